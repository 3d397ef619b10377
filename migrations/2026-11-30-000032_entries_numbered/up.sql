-- Locks: nothing; it waits for transactions that are under way on ledger_entries, and reads that whole.
--
-- An account's entries are numbered, and no number is given twice.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ledger_entries_numbered ON ledger_entries (account_id, seq);
