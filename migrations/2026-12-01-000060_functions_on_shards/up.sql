-- Locks: operator_moves, for a moment.
--
-- What the database's own functions say so that a cluster carries it out as well (docs/adr/0040). Most only say more than before: whose
-- rows they are, beside where they lie, as on another shard there is another's row at the same place.

-- Whether a table lies on shards.
CREATE FUNCTION is_on_shards(wanted regclass) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    found boolean := false;
BEGIN
    IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
        EXECUTE 'SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_dist_partition WHERE logicalrelid = $1 AND partmethod = ''h'')'
            INTO found USING wanted;
    END IF;
    RETURN found;
END $$;

-- In a function of SQL a cluster does not know the parameter's value.
CREATE OR REPLACE FUNCTION is_erased(account bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM accounts WHERE id = account AND erased_at IS NOT NULL);
END $$;

CREATE OR REPLACE FUNCTION moved_lately(id uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint
            > 1000 * extract(epoch FROM clock_timestamp() - interval '1 day')
        AND EXISTS (SELECT 1 FROM installation WHERE kind = 'PRODUCTION');
END $$;

-- Only a trigger's function may look into other tables on a shard, and not its condition.
CREATE FUNCTION moves_count_for_a_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF moved_lately(OLD.id) THEN
        RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE OR REPLACE TRIGGER operator_moves_count_for_a_day BEFORE DELETE ON operator_moves
    FOR EACH ROW EXECUTE FUNCTION moves_count_for_a_day();

-- A namespace says where its row lies, and so is not changed: another row takes its place.
CREATE OR REPLACE FUNCTION give_up_namespace(account bigint, given_up bytea) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    held text;
BEGIN
    PERFORM require_erased(account);
    SELECT a.namespace INTO held FROM accounts a WHERE a.id = account;
    DELETE FROM namespaces n WHERE n.namespace = held AND n.account_id = account;
    IF FOUND THEN
        INSERT INTO namespaces (namespace, account_id) VALUES ('(erased ' || account || ')', account);
    END IF;
    UPDATE accounts SET namespace = '(erased ' || account || ')' WHERE id = account;
    INSERT INTO given_up_namespaces (digest) VALUES (given_up) ON CONFLICT DO NOTHING;
END $$;

-- How many pages there are of keys that may be forgotten: of the shard that has most of them, where they lie on shards.
CREATE FUNCTION pages_of_keys() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    bytes bigint := pg_relation_size('idempotency_keys');
BEGIN
    IF is_on_shards('idempotency_keys') THEN
        EXECUTE 'SELECT coalesce(max(result::bigint), 0)
            FROM run_command_on_shards(''idempotency_keys'', ''SELECT pg_relation_size(%L)'') WHERE success' INTO bytes;
    END IF;
    RETURN bytes / current_setting('block_size')::bigint;
END $$;

CREATE OR REPLACE FUNCTION forget_keys_of_pages(before timestamptz, first bigint, pages integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    start     tid;
    stop      tid;
    forgotten bigint;
BEGIN
    IF before IS NULL OR before > abacus_now() - interval '90 days'
        OR coalesce(first NOT BETWEEN 0 AND 4294960000 OR pages NOT BETWEEN 1 AND 1000, true)
    THEN
        RAISE EXCEPTION 'keys from % on are kept', before USING ERRCODE = 'invalid_parameter_value';
    END IF;
    start := format('(%s,0)', first);
    stop := format('(%s,0)', first + pages);
    IF is_on_shards('idempotency_keys') THEN
        -- The same pages of each shard. What is so old nobody holds.
        DELETE FROM idempotency_keys k WHERE k.ctid >= start AND k.ctid < stop AND k.created_at < before
            AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.account_id = k.account_id AND a.id = k.approval_id
                AND coalesce(a.decided_at, 'infinity') >= before);
    ELSE
        DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(SELECT k.ctid FROM idempotency_keys k
            WHERE k.ctid >= start AND k.ctid < stop AND k.created_at < before
            AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.account_id = k.account_id AND a.id = k.approval_id
                AND coalesce(a.decided_at, 'infinity') >= before)
            FOR UPDATE OF k SKIP LOCKED));
    END IF;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;

CREATE OR REPLACE FUNCTION erase_rest(account bigint, most integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    present timestamptz := abacus_now();
    erased  bigint := 0;
    more    bigint;
BEGIN
    PERFORM require_erased(account);
    IF most IS NULL OR most NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION '% rows are too many, or too few', most USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE payment_methods SET provider_token = '', provider_customer = NULL, last4 = '', removed_at = coalesce(removed_at, present)
        WHERE account_id = account AND ctid = ANY(ARRAY(SELECT t.ctid FROM payment_methods t WHERE t.account_id = account
            AND (t.provider_token <> '' OR t.provider_customer IS NOT NULL OR t.last4 <> '' OR t.removed_at IS NULL) LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    UPDATE deposits SET sender = '' WHERE account_id = account AND ctid = ANY(ARRAY(SELECT t.ctid FROM deposits t
        WHERE t.account_id = account AND t.sender <> '' LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    UPDATE invoices SET customer = '(erased)', groups = without_words(groups)
        WHERE account_id = account AND ctid = ANY(ARRAY(SELECT t.ctid FROM invoices t WHERE t.account_id = account
            AND (t.customer <> '(erased)' OR t.groups <> without_words(t.groups)) LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM voided_events WHERE account_id = account AND ctid = ANY(ARRAY(SELECT t.ctid FROM voided_events t
        WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM usage_hours WHERE account_id = account AND ctid = ANY(ARRAY(SELECT t.ctid FROM usage_hours t
        WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM usage_samples WHERE account_id = account AND ctid = ANY(ARRAY(SELECT t.ctid FROM usage_samples t
        WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    -- Of partitions a row's place says nothing: they are found by their keys.
    DELETE FROM usage_marks m USING (SELECT t.event_id FROM usage_marks t WHERE t.account_id = account LIMIT most) u
        WHERE m.account_id = account AND m.event_id = u.event_id;
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM usage_events e USING (SELECT t.event_id, t.time FROM usage_events t WHERE t.account_id = account LIMIT most) u
        WHERE e.account_id = account AND e.time = u.time AND e.event_id = u.event_id;
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM notices WHERE account_id = account AND ctid = ANY(ARRAY(SELECT t.ctid FROM notices t
        WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN erased + more;
END $$;

-- What their names mean is not for their callers to say.
DO $$
DECLARE
    own text;
BEGIN
    FOREACH own IN ARRAY ARRAY['is_on_shards(regclass)', 'is_erased(bigint)', 'moved_lately(uuid)', 'moves_count_for_a_day()',
        'give_up_namespace(bigint, bytea)', 'pages_of_keys()', 'forget_keys_of_pages(timestamptz, bigint, integer)',
        'erase_rest(bigint, integer)']
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', own, current_schema());
    END LOOP;
END $$;
