DROP INDEX orders_words;
CREATE INDEX orders_words ON orders USING gin (account_id, number gin_trgm_ops, name gin_trgm_ops)
    WITH (gin_pending_list_limit = 16384);
