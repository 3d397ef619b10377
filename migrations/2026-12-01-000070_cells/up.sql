-- Locks: nothing that was there before.
--
-- An installation whose accounts are spread over several databases, its cells (docs/adr/0042). Of a single database both tables are empty.

-- Which cell this database is, from when it has joined on.
CREATE TABLE cell (
    only_row     boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    number       smallint    NOT NULL CHECK (number BETWEEN 0 AND 128),
    installation uuid        NOT NULL,
    -- Of the home cell: how often the catalogue was changed. Of others: up to which change they have it.
    catalogue    bigint      NOT NULL DEFAULT 0,
    -- How many live here: the next one is born where they are fewest.
    accounts     bigint      NOT NULL DEFAULT 0,
    joined_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- In the home cell: the others, so that none is forgotten.
CREATE TABLE cells (
    number    smallint    PRIMARY KEY CHECK (number BETWEEN 1 AND 128),
    joined_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TRIGGER cell_stays BEFORE DELETE ON cell FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cell_stays_whole BEFORE TRUNCATE ON cell FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cell_is_final BEFORE UPDATE OF only_row, number, installation, joined_at ON cell
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cells_stay BEFORE UPDATE OR DELETE ON cells FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cells_stay_whole BEFORE TRUNCATE ON cells FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
