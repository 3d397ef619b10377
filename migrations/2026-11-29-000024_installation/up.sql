-- What this database is, for ever: a sandbox's, where money is play money, or not.
CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    kind     text    NOT NULL CHECK (kind IN ('SANDBOX', 'PRODUCTION')),
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- No other's clock is moved.
INSERT INTO installation (kind) SELECT 'SANDBOX' FROM sandbox_clock LIMIT 1;
CREATE TRIGGER installation_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON installation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How exactly the money of each currency is kept and paid, for ever: what was posted at one scale does not add up at another.
CREATE TABLE currency_scales (
    code text PRIMARY KEY,
    display_scale integer NOT NULL,
    ledger_scale integer NOT NULL
);
CREATE TRIGGER currency_scales_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON currency_scales
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
