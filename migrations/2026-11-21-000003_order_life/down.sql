DROP TABLE term_discounts;
DROP TABLE resource_prices;
DROP TABLE code_labels;
DROP VIEW told_records;
DROP TABLE sandbox_clock;
DROP TABLE leases;
DROP INDEX bills_open;
DROP INDEX bills_due;
ALTER TABLE bills DROP COLUMN next_step_at, DROP COLUMN refunded_amount;
CREATE UNIQUE INDEX orders_one_exclusive ON orders (account_id, coalesce(region, ''))
    WHERE exclusive AND state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED');
DROP INDEX orders_exclusive;
DROP INDEX orders_one_exclusive_now;
DROP INDEX orders_due;
ALTER TABLE orders
    DROP COLUMN next_step_at, DROP COLUMN renewed_by, DROP COLUMN anchor_months, DROP COLUMN anchor_at;
ALTER TABLE accounts DROP COLUMN suspension;
