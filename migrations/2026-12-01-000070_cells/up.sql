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

-- In the others: what their accounts used in a cycle, for the home cell, which computes the levels of all.
CREATE TABLE burst_used (
    resource_code text    NOT NULL,
    cycle         integer NOT NULL,
    used          numeric NOT NULL,
    PRIMARY KEY (resource_code, cycle)
);

-- In the home cell: an account of another cell is erased, and nobody else gets its namespace. Accounts that live here have a function of
-- their own.
CREATE FUNCTION give_up_namespace_elsewhere(account bigint, given_up bytea) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF account IS NULL OR account <= 2147483647 OR EXISTS (SELECT 1 FROM accounts a WHERE a.id = account) THEN
        RAISE EXCEPTION 'account % lives here', account USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE namespaces n SET namespace = '(erased ' || account || ')' WHERE n.account_id = account AND n.account_id > 2147483647;
    INSERT INTO given_up_namespaces (digest) VALUES (given_up) ON CONFLICT DO NOTHING;
END $$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION give_up_namespace_elsewhere(bigint, bytea) SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE ALL ON FUNCTION give_up_namespace_elsewhere(bigint, bytea) FROM PUBLIC;

CREATE TRIGGER cell_stays BEFORE DELETE ON cell FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cell_stays_whole BEFORE TRUNCATE ON cell FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cell_is_final BEFORE UPDATE OF only_row, number, installation, joined_at ON cell
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cells_stay BEFORE UPDATE OR DELETE ON cells FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cells_stay_whole BEFORE TRUNCATE ON cells FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
