CREATE INDEX CONCURRENTLY IF NOT EXISTS idempotency_keys_oldest ON idempotency_keys (created_at);
