DROP TRIGGER operator_moves_count_for_a_day ON operator_moves;
DROP TRIGGER operator_moves_are_final ON operator_moves;
DROP FUNCTION moved_lately(uuid);
DROP TRIGGER approvals_are_decided_once ON approvals;
CREATE TRIGGER approvals_are_decided_once BEFORE UPDATE ON approvals
    FOR EACH ROW WHEN (OLD.state <> 'PENDING') EXECUTE FUNCTION refuse_change();
ALTER TABLE approvals DROP COLUMN seal;
