-- Locks: nothing; it waits for transactions that are under way on bills, and reads that whole.
--
-- The bills of months that are open, however many bills of orders are: what is late of them keeps an account suspended.
CREATE INDEX CONCURRENTLY IF NOT EXISTS bills_open_of_months ON bills (account_id, due_at, id)
    WHERE order_id IS NULL AND status IN ('UNPAID', 'OVERDUE') AND (status = 'OVERDUE' OR next_step_at IS NOT NULL);
