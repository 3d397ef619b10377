DROP INDEX resource_prices_history;
DROP TRIGGER resources_keep_names ON resources;
DROP INDEX ledger_entries_of_cycle;
DROP INDEX orders_in_term;
ALTER TABLE orders
    DROP COLUMN resource_code,
    DROP COLUMN resource_amount,
    DROP COLUMN term_months,
    DROP COLUMN cancelled_at;
ALTER TABLE accounts DROP CONSTRAINT accounts_suspension_check;
UPDATE accounts SET suspension = 'OPERATOR' WHERE suspension = 'OVERDRAWN';
ALTER TABLE accounts ADD CONSTRAINT accounts_suspension_check CHECK (suspension IN ('OPERATOR', 'OVERDUE_BILL'));
ALTER TABLE accounts DROP COLUMN burst_cycle, DROP COLUMN burst_rate, DROP COLUMN burst_warned;
DROP TABLE gauge_slots, burst_owed, burst_progress, burst_levels, burst_capacities;
