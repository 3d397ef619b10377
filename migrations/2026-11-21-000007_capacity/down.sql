DROP TRIGGER resource_prices_are_final ON resource_prices;
DROP INDEX resource_prices_in_force;
ALTER TABLE resource_prices DROP COLUMN cluster_id, DROP COLUMN chart_name;
CREATE INDEX resource_prices_in_force ON resource_prices (resource_code, currency, level, effective_from DESC, id DESC);
