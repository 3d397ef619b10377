DROP INDEX prepayments_awaiting_deposit;
ALTER TABLE chains DROP COLUMN tokens;
ALTER TABLE prepayments DROP COLUMN deposit_again_until;
ALTER TABLE deposits DROP CONSTRAINT deposits_pkey, DROP COLUMN nth,
    ADD PRIMARY KEY (account_id, block_hash, log_index);
