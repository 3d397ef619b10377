-- Locks: nothing that was there before.
--
-- Where all ledgers ended at an instant, as the root of a Merkle tree that is signed (docs/adr/0036).
CREATE TABLE ledger_anchors (
    -- The hours since 1970, as a rule; always greater than the one before. So two servers make one an hour.
    number     bigint      PRIMARY KEY,
    at         timestamptz NOT NULL,
    -- Those that have an entry: each has a leaf.
    accounts   bigint      NOT NULL CHECK (accounts >= 0),
    root       bytea       NOT NULL CHECK (octet_length(root) = 32),
    -- The hash of the anchor before.
    previous   bytea       CHECK (octet_length(previous) = 32),
    public_key bytea       NOT NULL CHECK (octet_length(public_key) = 32),
    signature  bytea       NOT NULL CHECK (octet_length(signature) = 64)
);
CREATE INDEX ledger_anchors_at ON ledger_anchors (at, number);

-- Subtrees of an anchor's tree, of 1,024 leaves each, the last one of fewer: so that the path of one account is found without all others.
CREATE TABLE ledger_anchor_pages (
    anchor        bigint  NOT NULL,
    page          integer NOT NULL,
    first_account bigint  NOT NULL,
    last_account  bigint  NOT NULL,
    leaves        bigint  NOT NULL,
    root          bytea   NOT NULL CHECK (octet_length(root) = 32),
    PRIMARY KEY (anchor, page)
);

-- Where an account's ledger ended, of each anchor by which it had moved: its leaf is the newest at or before an anchor.
CREATE TABLE ledger_anchor_heads (
    account_id bigint  NOT NULL,
    anchor     bigint  NOT NULL,
    seq        bigint  NOT NULL,
    hash       bytea   NOT NULL CHECK (octet_length(hash) = 32),
    balance    numeric NOT NULL,
    PRIMARY KEY (account_id, anchor)
);

-- What was anchored stays anchored.
CREATE TRIGGER ledger_anchors_are_final BEFORE UPDATE OR DELETE ON ledger_anchors
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_anchors_are_final_whole BEFORE TRUNCATE ON ledger_anchors
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_anchor_pages_are_final BEFORE UPDATE OR DELETE ON ledger_anchor_pages
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_anchor_pages_are_final_whole BEFORE TRUNCATE ON ledger_anchor_pages
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_anchor_heads_are_final BEFORE UPDATE OR DELETE ON ledger_anchor_heads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_anchor_heads_are_final_whole BEFORE TRUNCATE ON ledger_anchor_heads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
