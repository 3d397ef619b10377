-- Deposits of tokens, and the addresses that they are sent to (docs/adr/0016).

-- Which child of the extended public key is next; a number that was taken for nothing is left out.
CREATE SEQUENCE deposit_address_places AS bigint MINVALUE 0 MAXVALUE 2147483647 START 0;

-- Every address that was ever given out: what reaches it is never lost.
CREATE TABLE deposit_addresses (
    place       bigint      NOT NULL PRIMARY KEY,
    address     text        NOT NULL UNIQUE,
    account_id  bigint      NOT NULL,
    reserved_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX prepayments_of_address ON prepayments (account_id, deposit_address) WHERE deposit_address IS NOT NULL;

-- How far a chain was scanned. Who writes what a scan found counts `scans` up: so two that began at the same place do not both.
CREATE TABLE chains (
    chain_id    bigint      NOT NULL PRIMARY KEY,
    begin_after bigint      NOT NULL,
    scans       bigint      NOT NULL DEFAULT 0
);
-- The newest blocks that were scanned: by them a re-organisation is noticed.
CREATE TABLE chain_blocks (
    chain_id    bigint      NOT NULL,
    number      bigint      NOT NULL,
    hash        text        NOT NULL,
    PRIMARY KEY (chain_id, number)
);

-- Transfers of tokens to deposit addresses. What the chain says of one (is_gone) is written by scans; what it is good for (state)
-- is decided under the account's lock. Where the two do not agree, it is still to be decided.
CREATE TABLE deposits (
    account_id       bigint      NOT NULL,
    block_hash       text        NOT NULL,
    log_index        bigint      NOT NULL,
    chain_id         bigint      NOT NULL,
    block_number     bigint      NOT NULL,
    block_time       timestamptz NOT NULL,
    transaction_hash text        NOT NULL,
    asset            text        NOT NULL,
    amount           numeric     NOT NULL CHECK (amount > 0),
    sender           text        NOT NULL,
    address          text        NOT NULL,
    is_gone          boolean     NOT NULL,
    state            text        NOT NULL CHECK (state IN ('SEEN', 'COUNTED', 'UNUSED', 'UNDONE')),
    PRIMARY KEY (account_id, block_hash, log_index)
) WITH (fillfactor = 80);
CREATE INDEX deposits_to_address ON deposits (account_id, address);
CREATE INDEX deposits_of_blocks ON deposits (chain_id, block_number);
CREATE INDEX deposits_undecided ON deposits (account_id, address)
    WHERE state = 'SEEN' OR is_gone <> (state = 'UNDONE');
CREATE TRIGGER deposits_stay BEFORE DELETE OR TRUNCATE ON deposits
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
