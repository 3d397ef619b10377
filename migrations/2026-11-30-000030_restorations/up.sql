-- Locks: nothing that was there before.
--
-- When this database was restored from a backup, as far as the backup knows (docs/adr/0025). What was given out after a backup was
-- made, a restored database does not know: accounts from `first_account` on are others than may have had a number then.
CREATE TABLE restorations (
    restored_at   timestamptz PRIMARY KEY,
    first_account bigint      NOT NULL
);
CREATE TRIGGER restorations_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON restorations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
