-- Locks: nothing; it waits for transactions that are under way on namespaces, and reads that whole.
--
-- In the home cell: the namespaces of accounts that live elsewhere, by account. Of a single database it stays empty.
CREATE INDEX CONCURRENTLY IF NOT EXISTS namespaces_elsewhere ON namespaces (account_id) WHERE account_id > 2147483647;
