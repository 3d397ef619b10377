DROP INDEX CONCURRENTLY IF EXISTS deposit_addresses_of_account;
