DROP TABLE operator_moves, approvals;
ALTER TABLE idempotency_keys DROP COLUMN approval_id;
