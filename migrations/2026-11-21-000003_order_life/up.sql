-- The life of orders and bills: what falls due by itself, and when.

-- Why an account is suspended: what an operator has done, only an operator undoes.
ALTER TABLE accounts ADD COLUMN suspension text CHECK (suspension IN ('OPERATOR', 'OVERDUE_BILL'));
UPDATE accounts SET suspension = 'OPERATOR' WHERE status = 'SUSPENDED';

-- Periods are cut so many months after the anchor; renewals keep the anchor of the order that they continue.
ALTER TABLE orders
    ADD COLUMN anchor_at timestamptz,
    ADD COLUMN anchor_months integer NOT NULL DEFAULT 0 CHECK (anchor_months >= 0),
    ADD COLUMN renewed_by uuid,
    -- When the jobs have to look at it next; NULL: never again.
    ADD COLUMN next_step_at timestamptz;
UPDATE orders SET next_step_at = expires_at - interval '168 hours'
    WHERE expires_at IS NOT NULL AND state IN ('ACTIVE', 'EXPIRING', 'SUSPENDED');
CREATE INDEX orders_due ON orders (next_step_at, account_id, id) WHERE next_step_at IS NOT NULL;
-- An order that another continues gives up its place to that one, and runs on to its end.
CREATE UNIQUE INDEX orders_one_exclusive_now ON orders (account_id, coalesce(region, ''))
    WHERE exclusive AND state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED') AND renewed_by IS NULL;
DROP INDEX orders_one_exclusive;
CREATE INDEX orders_exclusive ON orders (account_id)
    WHERE exclusive AND state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED');

ALTER TABLE bills
    ADD COLUMN refunded_amount numeric NOT NULL DEFAULT 0 CHECK (refunded_amount >= 0),
    ADD COLUMN next_step_at timestamptz;
UPDATE bills b SET refunded_amount = t.refunded_amount FROM transactions t
    WHERE t.account_id = b.account_id AND t.id = b.paid_by AND t.refunded_amount > 0;
CREATE INDEX bills_due ON bills (next_step_at, account_id, id) WHERE next_step_at IS NOT NULL;
-- The first bill of an order that is not paid yet waits for its owner: nothing is to be done with it.
CREATE INDEX bills_open ON bills (account_id, due_at)
    WHERE status IN ('UNPAID', 'OVERDUE') AND (status = 'OVERDUE' OR next_step_at IS NOT NULL);

-- Who does the reading for the jobs, and who moves the sandbox's clock.
CREATE TABLE leases (
    name       text        PRIMARY KEY,
    holder     text        NOT NULL,
    expires_at timestamptz NOT NULL
);

-- How far the sandbox's clock is ahead of the machines'.
CREATE TABLE sandbox_clock (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    offset_micros bigint  NOT NULL CHECK (offset_micros >= 0)
);

-- What prepaid periods were charged, told as consumption: the payment of an order's bill is the record of its period
-- (docs/adr/0008).
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

-- Lists of codes with what they are called.
CREATE TABLE code_labels (
    list     text    NOT NULL CHECK (list IN ('RESOURCE_TYPE', 'DATACENTER')),
    code     text    NOT NULL,
    -- The place in its list.
    position integer NOT NULL,
    zh       text    NOT NULL,
    en       text    NOT NULL,
    PRIMARY KEY (list, code)
);
INSERT INTO code_labels (list, code, position, zh, en) VALUES
    ('RESOURCE_TYPE', 'CLOUD', 1, '云资源', 'Cloud'),
    ('RESOURCE_TYPE', 'IDC', 2, '物理架构', 'Physical');

-- The price of capacity. Append-only: of the prices of one resource, currency and level, the last one whose time has
-- come holds, so that every charge can be checked again.
CREATE TABLE resource_prices (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resource_code  text        NOT NULL REFERENCES resources,
    currency       text        NOT NULL,
    level          integer     NOT NULL CHECK (level BETWEEN 0 AND 20),
    price          numeric     NOT NULL CHECK (price >= 0),
    unit           text        NOT NULL,
    multiplier     numeric     NOT NULL CHECK (multiplier > 0),
    effective_from timestamptz NOT NULL
);
CREATE INDEX resource_prices_in_force ON resource_prices (resource_code, currency, level, effective_from DESC, id DESC);

-- What is taken off a subscription of at least so many months, as a fraction.
CREATE TABLE term_discounts (
    months integer PRIMARY KEY CHECK (months > 0),
    period text    NOT NULL,
    value  numeric NOT NULL CHECK (value BETWEEN 0 AND 1)
);
