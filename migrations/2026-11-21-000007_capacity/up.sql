-- A price may hold for prepayments on one cluster, of one chart, alone.
ALTER TABLE resource_prices ADD COLUMN cluster_id text, ADD COLUMN chart_name text;
DROP INDEX resource_prices_in_force;
CREATE INDEX resource_prices_in_force ON resource_prices (resource_code, currency, level, effective_from DESC, id DESC)
    WHERE cluster_id IS NULL AND chart_name IS NULL;

-- What was set stays: charges can be checked against the price of their time.
CREATE TRIGGER resource_prices_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON resource_prices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
