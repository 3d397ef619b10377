CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_search ON orders USING gin (account_id, number gin_trgm_ops, name)
    WITH (gin_pending_list_limit = 16384);
