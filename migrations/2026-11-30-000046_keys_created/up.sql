-- Locks: idempotency_keys, for a moment.
--
-- What a key made that has no column of its own: ids as the API writes them, in their order. price_rule_ids is read of keys that were
-- used before. Where it is set it is sealed with the row: the check of the ledger by a version before reports such keys, so servers and jobs of
-- before are to be stopped first.
ALTER TABLE idempotency_keys ADD COLUMN created jsonb;
