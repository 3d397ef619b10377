-- Locks: idempotency_keys, for a moment.
--
-- What a key made that has no column of its own: ids as the API writes them, in their order. price_rule_ids is read of keys that were
-- used before.
ALTER TABLE idempotency_keys ADD COLUMN created jsonb;
