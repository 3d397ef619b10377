-- Locks: nothing; it waits for transactions that are under way on transactions, and reads that whole.
--
-- An account's recharges are listed without a look at what it has bought.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_recharges ON transactions (account_id, id)
    WHERE kind = 'RECHARGE';
