-- Locks: nothing; it waits for transactions that are under way on payments, and reads that whole.
--
-- What was given back of a charge, for the check of the ledger.
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_refunds ON payments (account_id, refund_of) WHERE refund_of IS NOT NULL;
