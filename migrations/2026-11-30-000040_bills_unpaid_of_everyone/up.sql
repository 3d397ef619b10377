-- Locks: nothing; it waits for transactions that are under way on bills, and reads that whole.
--
-- Everybody's bills that are to be paid are listed without a look at those that are.
CREATE INDEX CONCURRENTLY IF NOT EXISTS bills_unpaid_of_everyone ON bills (id)
    WHERE account_id > 0 AND status IN ('UNPAID', 'OVERDUE');
