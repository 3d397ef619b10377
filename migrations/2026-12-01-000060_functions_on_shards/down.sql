CREATE OR REPLACE TRIGGER operator_moves_count_for_a_day BEFORE DELETE ON operator_moves
    FOR EACH ROW WHEN (moved_lately(OLD.id)) EXECUTE FUNCTION refuse_change();
DROP FUNCTION moves_count_for_a_day;
CREATE OR REPLACE FUNCTION is_erased(account bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM accounts WHERE id = account AND erased_at IS NOT NULL)
$$;
CREATE OR REPLACE FUNCTION moved_lately(id uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint
        > 1000 * extract(epoch FROM clock_timestamp() - interval '1 day')
        AND EXISTS (SELECT FROM installation WHERE kind = 'PRODUCTION')
$$;
CREATE OR REPLACE FUNCTION give_up_namespace(account bigint, given_up bytea) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM require_erased(account);
    UPDATE namespaces SET namespace = '(erased ' || account || ')' WHERE account_id = account
        AND namespace = (SELECT a.namespace FROM accounts a WHERE a.id = account);
    UPDATE accounts SET namespace = '(erased ' || account || ')' WHERE id = account;
    INSERT INTO given_up_namespaces (digest) VALUES (given_up) ON CONFLICT DO NOTHING;
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
    DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(SELECT k.ctid FROM idempotency_keys k
        WHERE k.ctid >= start AND k.ctid < stop AND k.created_at < before
        AND NOT EXISTS (SELECT FROM approvals a WHERE a.account_id = k.account_id AND a.id = k.approval_id
            AND coalesce(a.decided_at, 'infinity') >= before)
        FOR UPDATE OF k SKIP LOCKED));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;
CREATE OR REPLACE FUNCTION erase_rest(account bigint, most integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    erased bigint := 0;
    more   bigint;
BEGIN
    PERFORM require_erased(account);
    IF most IS NULL OR most NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION '% rows are too many, or too few', most USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE payment_methods SET provider_token = '', provider_customer = NULL, last4 = '', removed_at = coalesce(removed_at, abacus_now())
        WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM payment_methods t WHERE t.account_id = account
            AND (t.provider_token <> '' OR t.provider_customer IS NOT NULL OR t.last4 <> '' OR t.removed_at IS NULL) LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    UPDATE deposits SET sender = '' WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM deposits t WHERE t.account_id = account
        AND t.sender <> '' LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    UPDATE invoices SET customer = '(erased)', groups = without_words(groups) WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM invoices t
        WHERE t.account_id = account AND (t.customer <> '(erased)' OR t.groups <> without_words(t.groups)) LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM voided_events WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM voided_events t WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM usage_hours WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM usage_hours t WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM usage_samples WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM usage_samples t WHERE t.account_id = account LIMIT most));
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
    DELETE FROM notices WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM notices t WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN erased + more;
END $$;
DROP FUNCTION pages_of_keys;
DROP FUNCTION is_on_shards;
DO $$
DECLARE
    own text;
BEGIN
    FOREACH own IN ARRAY ARRAY['is_erased(bigint)', 'moved_lately(uuid)', 'give_up_namespace(bigint, bytea)',
        'forget_keys_of_pages(timestamptz, bigint, integer)', 'erase_rest(bigint, integer)']
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', own, current_schema());
    END LOOP;
END $$;
