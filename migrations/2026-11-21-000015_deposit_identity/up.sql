-- Nodes have numbered events wrongly, by transaction or not at all as others do: an event is one of its transaction, too.
ALTER TABLE deposits DROP CONSTRAINT deposits_pkey,
    ADD PRIMARY KEY (account_id, block_hash, transaction_hash, log_index);
-- The contracts whose events are scanned for: who is not told of one of them does not scan.
ALTER TABLE chains ADD COLUMN tokens text[] NOT NULL DEFAULT '{}';
-- After a re-organisation that undid its payment, a prepayment waits for tokens until then.
ALTER TABLE prepayments ADD COLUMN deposit_again_until timestamptz;
-- How many of an account's prepayments wait for tokens.
CREATE INDEX prepayments_awaiting_deposit ON prepayments (account_id) WHERE status = 'AWAITING_DEPOSIT';
