-- Locks: nothing.
--
-- Old keys are found page by page, without an index that is paid for with each key that is written (docs/adr/0027).

-- Removes the keys on so many pages of the table, from one on, that were first used before an instant; how many. None within 90 days, and
-- none that waits for another operator, or has within that time.
CREATE FUNCTION forget_keys_of_pages(before timestamptz, first bigint, pages integer) RETURNS bigint
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

-- What its names mean is not for its callers to say.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION forget_keys_of_pages SET search_path = %I, pg_temp', current_schema());
    REVOKE EXECUTE ON FUNCTION forget_keys_of_pages FROM PUBLIC;
END $$;
