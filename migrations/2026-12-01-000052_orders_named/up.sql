-- Locks: nothing; it waits for transactions that are under way on orders, and reads that whole.
--
-- Orders by the whole of their name, of one account and of everybody (docs/adr/0010).
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_named ON orders (name, account_id);
