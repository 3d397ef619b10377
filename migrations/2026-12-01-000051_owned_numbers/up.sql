-- Locks: nothing.
--
-- The number that its account counted, in the id of what an account owns (docs/adr/0002).
CREATE FUNCTION owned_number(id uuid) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (get_byte(uuid_send(id), 12) & 31) << 24 | get_byte(uuid_send(id), 13) << 16
        | get_byte(uuid_send(id), 14) << 8 | get_byte(uuid_send(id), 15)
$$;
