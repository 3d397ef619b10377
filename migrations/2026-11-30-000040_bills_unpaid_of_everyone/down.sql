DROP INDEX CONCURRENTLY IF EXISTS bills_unpaid_of_everyone;
