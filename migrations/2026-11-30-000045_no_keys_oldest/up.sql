-- Locks: nothing; it waits for transactions that are under way on idempotency_keys.
--
-- Old keys are found page by page: no key that is written has to be put into an order of its age.
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_oldest;
