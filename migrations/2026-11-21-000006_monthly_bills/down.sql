DROP VIEW told_records, told_metered_records, told_prepaid_records;
CREATE VIEW told_records AS
    SELECT t.account_id, t.id,
        'R' || t.account_id || '-' || to_char(t.created_at AT TIME ZONE 'UTC', 'YYYYMMDD') || '-'
            || (('x' || right(t.id::text, 8))::bit(32)::bigint & 536870911) AS number,
        t.created_at, t.bill_id, t.order_id, o.number AS order_number, o.name AS order_name, o.type AS order_type,
        o.resource_type, o.product_name, o.quantity, o.price AS unit_price, o.once_price, b.datacenter, b.start_time,
        b.end_time, b.currency, b.amount, b.once_amount, b.cycle_amount, b.credit_amount
    FROM transactions t
    -- LIMIT 1 says what the keys say: one bill, one order. So lists walk transactions in their order.
    CROSS JOIN LATERAL (SELECT * FROM bills WHERE account_id = t.account_id AND id = t.bill_id LIMIT 1) b
    CROSS JOIN LATERAL (SELECT * FROM orders WHERE account_id = t.account_id AND id = b.order_id LIMIT 1) o
    WHERE t.kind IN ('CHECKOUT', 'BILL_PAYMENT', 'RENEWAL');
DROP TABLE billing_pages, billing_runs, billing_horizon, late_usage, closed_months, metered_records;
DROP SEQUENCE late_usage_batches;
ALTER TABLE usage_samples DROP CONSTRAINT usage_samples_pkey, ADD PRIMARY KEY (account_id, resource_code, slot, subject);
ALTER TABLE usage_hours DROP CONSTRAINT usage_hours_pkey, ADD PRIMARY KEY (account_id, resource_code, hour, subject);
ALTER TABLE bills DROP COLUMN correction_of;
DROP INDEX orders_on_demand, accounts_by_zone;
ALTER TABLE accounts DROP COLUMN closed_until, DROP COLUMN closed_at;
