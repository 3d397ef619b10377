-- Locks: approvals, operator_moves and ledger_check_position, for a moment. Servers of before write approvals without their seals:
-- where any amount needs a second operator they stop first.
--
-- An approval carries money as soon as a second operator says yes: it is sealed like what was posted (docs/adr/0026).
ALTER TABLE approvals ADD COLUMN seal bytea;
DROP TRIGGER approvals_are_decided_once ON approvals;
CREATE TRIGGER approvals_are_decided_once
    BEFORE UPDATE OF state, decided_by, decided_at, reason, next_step_at ON approvals
    FOR EACH ROW WHEN (OLD.state <> 'PENDING') EXECUTE FUNCTION refuse_change();
-- What is there already is sealed by the next round of the check; until then what waits can only be rejected.
ALTER TABLE ledger_check_position DISABLE TRIGGER ledger_stays_sealed;
UPDATE ledger_check_position SET all_sealed_at = NULL, checked_to = 0 WHERE EXISTS (SELECT FROM approvals);
ALTER TABLE ledger_check_position ENABLE TRIGGER ledger_stays_sealed;

-- What an operator has moved counts against him for a day: until then it stays as it was written. An id begins with the
-- milliseconds at which it was made. A sandbox's clock may be anywhere.
CREATE TRIGGER operator_moves_are_final BEFORE UPDATE OR TRUNCATE ON operator_moves
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE FUNCTION moved_lately(id uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint
        > 1000 * extract(epoch FROM clock_timestamp() - interval '1 day')
        AND EXISTS (SELECT FROM installation WHERE kind = 'PRODUCTION')
$$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION moved_lately(uuid) SET search_path = %I, pg_temp', current_schema());
END $$;
CREATE TRIGGER operator_moves_count_for_a_day BEFORE DELETE ON operator_moves
    FOR EACH ROW WHEN (moved_lately(OLD.id)) EXECUTE FUNCTION refuse_change();
