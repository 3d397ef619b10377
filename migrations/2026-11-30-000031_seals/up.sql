-- Locks: each of eleven tables for a moment, all together. Servers of before write rows without their seals: they stop first.
--
-- Rows that say what was posted are sealed with a key that is kept outside the database (docs/adr/0026). What was written before
-- has no seal: the check of the ledger seals it once.
ALTER TABLE accounts ADD COLUMN seal bytea;
ALTER TABLE orders ADD COLUMN seal bytea;
ALTER TABLE bills ADD COLUMN seal bytea;
ALTER TABLE transactions ADD COLUMN seal bytea;
ALTER TABLE idempotency_keys ADD COLUMN seal bytea;
ALTER TABLE payments ADD COLUMN seal bytea;
ALTER TABLE prepayments ADD COLUMN seal bytea;
ALTER TABLE reversals ADD COLUMN seal bytea;
ALTER TABLE closed_months ADD COLUMN seal bytea;
ALTER TABLE metered_records ADD COLUMN seal bytea;

-- Which key made an entry's hash; 0: none, as before there were keys.
ALTER TABLE ledger_entries ADD COLUMN key_version smallint NOT NULL DEFAULT 0;

-- The keys that this database knows, each by what only it makes of a known text.
CREATE TABLE seal_keys (
    version       smallint    PRIMARY KEY CHECK (version > 0),
    mark          bytea       NOT NULL,
    noted_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER seal_keys_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON seal_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How far the check of the whole ledger has come. `all_sealed_at`: since when whatever is not sealed is a fault.
ALTER TABLE ledger_check_position
    -- Of the check by and by; last_account_id is of those that were asked for.
    ADD COLUMN checked_to     bigint      NOT NULL DEFAULT 0,
    ADD COLUMN round_began_at timestamptz,
    ADD COLUMN round_ended_at timestamptz,
    ADD COLUMN all_sealed_at  timestamptz;
-- A database that is new has nothing that is not sealed.
UPDATE ledger_check_position SET all_sealed_at = clock_timestamp() WHERE NOT EXISTS (SELECT FROM accounts);

-- Where accounts' ledgers ended when they were looked at last: an entry that was there then has to be there for ever.
CREATE TABLE ledger_checkpoints (
    account_id bigint      PRIMARY KEY,
    seq        bigint      NOT NULL,
    hash       bytea       NOT NULL,
    noted_at   timestamptz NOT NULL,
    seal       bytea       NOT NULL
);

-- What is wrong, as long as it is found.
CREATE TABLE ledger_faults (
    account_id bigint      NOT NULL,
    kind       text        NOT NULL,
    message    text        NOT NULL,
    found_at   timestamptz NOT NULL,
    PRIMARY KEY (account_id, kind, message)
);

-- Once all is sealed, nothing is sealed later than it was written.
CREATE TRIGGER ledger_stays_sealed BEFORE UPDATE OF all_sealed_at ON ledger_check_position
    FOR EACH ROW WHEN (OLD.all_sealed_at IS NOT NULL AND NEW.all_sealed_at IS DISTINCT FROM OLD.all_sealed_at)
    EXECUTE FUNCTION refuse_change();
