-- Locks: nothing; it waits for transactions that are under way on orders, and reads that whole.
--
-- Parts of the numbers of a large account's orders. An account's first 2,047 things are walked instead (docs/adr/0010), so that a
-- purchase of most accounts writes nothing into it. Entries gather in a list of 16 MB before they are sorted in.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_numbers ON orders USING gin (account_id, number gin_trgm_ops)
    WITH (gin_pending_list_limit = 16384) WHERE owned_number(id) > 2047;
