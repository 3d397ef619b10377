-- Locks: nothing; it waits for transactions that are under way on bills, and reads that whole.
--
-- An account's bills that are to be paid are listed without a look at those that are.
CREATE INDEX CONCURRENTLY IF NOT EXISTS bills_unpaid ON bills (account_id, id)
    WHERE status IN ('UNPAID', 'OVERDUE');
