-- Locks: one function, for a moment.
--
-- The server's role owns nothing (docs/adr/0025), so the partitions of events are made for it by the owner: with the owner's
-- rights, in this schema alone, and for months alone that there can be.
CREATE OR REPLACE FUNCTION make_usage_month(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'usage_events_' || to_char(first, 'YYYY_MM');
BEGIN
    IF month IS NULL OR month NOT BETWEEN '1970-01-01' AND '9999-11-30' THEN
        RAISE EXCEPTION 'there are no events of %', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(4702394921427289929);
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE usage_events INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE usage_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
            first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;
-- What its names mean is not for its callers to say.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION make_usage_month(date) SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE EXECUTE ON FUNCTION make_usage_month(date) FROM PUBLIC;
