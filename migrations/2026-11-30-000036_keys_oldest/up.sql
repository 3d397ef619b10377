-- Locks: nothing; it waits for transactions that are under way on idempotency_keys, and reads that whole.
--
-- The keys that have been kept long enough.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idempotency_keys_oldest ON idempotency_keys (created_at);
