-- Nodes number a block's events differently, or wrongly: which of its transaction's to an address a transfer is, they agree on.
ALTER TABLE deposits ADD COLUMN nth integer NOT NULL DEFAULT 0;
UPDATE deposits d SET nth = r.nth - 1
    FROM (SELECT account_id, block_hash, log_index, row_number() OVER (PARTITION BY account_id, block_hash, transaction_hash, address, asset
        ORDER BY log_index) AS nth FROM deposits) r
    WHERE (d.account_id, d.block_hash, d.log_index) = (r.account_id, r.block_hash, r.log_index) AND r.nth > 1;
ALTER TABLE deposits DROP CONSTRAINT deposits_pkey,
    ADD PRIMARY KEY (account_id, block_hash, transaction_hash, address, asset, nth);
-- The contracts whose events are scanned for: who is not told of one of them does not scan.
ALTER TABLE chains ADD COLUMN tokens text[] NOT NULL DEFAULT '{}';
-- After a re-organisation that undid its payment, a prepayment waits for tokens until then.
ALTER TABLE prepayments ADD COLUMN deposit_again_until timestamptz;
-- How many of an account's prepayments wait for tokens.
CREATE INDEX prepayments_awaiting_deposit ON prepayments (account_id) WHERE status = 'AWAITING_DEPOSIT';
