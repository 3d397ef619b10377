-- Locks: nothing; it waits for transactions that are under way on orders.
--
-- Words are looked for in orders_named and orders_numbers. A server of the version before that runs beside has to read all orders for a
-- rare word, within its limit of time.
DROP INDEX CONCURRENTLY IF EXISTS orders_search;
