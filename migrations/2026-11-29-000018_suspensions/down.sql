DROP INDEX orders_awaiting_renewal;
DROP TABLE account_suspensions;
DROP INDEX accounts_held;
ALTER TABLE accounts DROP COLUMN suspended_at, DROP COLUMN suspension_held_until, DROP COLUMN on_demand_rate;
