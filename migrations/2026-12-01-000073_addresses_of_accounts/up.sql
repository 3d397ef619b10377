-- Locks: nothing; it waits for transactions that are under way on deposit_addresses, and reads that whole.
--
-- Addresses of accounts that have come from another cell are looked for by their accounts.
CREATE INDEX CONCURRENTLY IF NOT EXISTS deposit_addresses_of_account ON deposit_addresses (account_id);
