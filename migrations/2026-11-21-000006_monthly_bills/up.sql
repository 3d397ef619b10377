-- Months are closed: what was used is rated, recorded and billed (docs/adr/0012).

-- Up to when an account's months are closed. NULL: none yet; the first is that in which the account was made.
ALTER TABLE accounts ADD COLUMN closed_until timestamptz;
-- When it was closed as an account: nothing is charged for after that.
ALTER TABLE accounts ADD COLUMN closed_at timestamptz;
UPDATE accounts SET closed_at = now() WHERE status = 'CLOSED';
CREATE INDEX accounts_by_zone ON accounts (time_zone, id);
CREATE INDEX orders_on_demand ON orders (account_id, (coalesce(expires_at, 'infinity'))) WHERE bill_period = 'HOUR';

ALTER TABLE bills ADD COLUMN correction_of uuid;

-- A month is read as a whole: time comes first, and then what was used.
ALTER TABLE usage_hours DROP CONSTRAINT usage_hours_pkey, ADD PRIMARY KEY (account_id, hour, resource_code, subject);
ALTER TABLE usage_samples DROP CONSTRAINT usage_samples_pkey, ADD PRIMARY KEY (account_id, slot, resource_code, subject);

-- What was consumed in a month: metered usage, or an order on demand.
CREATE TABLE metered_records (
    account_id    bigint      NOT NULL,
    id            uuid        NOT NULL,
    bill_id       uuid        NOT NULL,
    order_id      uuid,
    resource_type text        NOT NULL,
    product_name  text        NOT NULL,
    datacenter    text,
    start_time    timestamptz NOT NULL,
    end_time      timestamptz NOT NULL,
    currency      text        NOT NULL,
    price         numeric     NOT NULL,
    -- domain/rating/charge.rs as JSON, decimals as strings.
    lines         jsonb       NOT NULL,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX metered_records_of_bill ON metered_records (account_id, bill_id);
CREATE INDEX metered_records_of_everyone ON metered_records (id) WHERE account_id > 0;
-- Few are of orders; lists of those say so.
CREATE INDEX metered_records_of_orders ON metered_records (account_id, id) WHERE order_id IS NOT NULL;
CREATE INDEX metered_records_of_everyones_orders ON metered_records (id) WHERE account_id > 0 AND order_id IS NOT NULL;

-- A month of an account that was billed: what it has come to by now, corrections included.
CREATE TABLE closed_months (
    account_id    bigint      NOT NULL,
    start_time    timestamptz NOT NULL,
    end_time      timestamptz NOT NULL,
    -- The first day of the calendar month that it was when it was closed.
    period        date        NOT NULL,
    -- How often it has been rated.
    revision      integer     NOT NULL CHECK (revision > 0),
    -- The sum of the versions of the aggregates that went into it.
    usage_version bigint      NOT NULL,
    -- The bill that later ones correct.
    bill_id       uuid,
    -- At ledger scale, usage alone and with orders on demand; at display scale, what the bills ask for.
    usage_amount  numeric     NOT NULL,
    amount        numeric     NOT NULL,
    billed_amount numeric     NOT NULL,
    closed_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, start_time),
    CONSTRAINT closed_months_window CHECK (start_time < end_time)
);

-- Usage that was reported for a month that was over: where to look again. What has to be corrected, the versions say.
CREATE SEQUENCE late_usage_batches;
CREATE TABLE late_usage (
    account_id bigint      NOT NULL,
    -- The day (UTC) of the usage.
    day        date        NOT NULL,
    -- Another number with each batch, and never one again: whoever has looked knows whether there was more since.
    batch      bigint      NOT NULL DEFAULT nextval('late_usage_batches'),
    due_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, day)
);
CREATE INDEX late_usage_due ON late_usage (due_at, account_id, day);

-- Every month that ends up to here may be closed by now: usage before it is told to `late_usage`.
CREATE TABLE billing_horizon (
    only_row      boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    closed_before timestamptz NOT NULL
);
INSERT INTO billing_horizon (closed_before) VALUES ('1970-01-01T00:00:00Z');

-- Closing a month for the accounts of a time zone.
CREATE TABLE billing_runs (
    -- The first day of the month.
    period       date        NOT NULL,
    time_zone    text        NOT NULL,
    start_time   timestamptz NOT NULL,
    end_time     timestamptz NOT NULL,
    state        text        NOT NULL CHECK (state IN ('RUNNING', 'DONE')),
    total        bigint      NOT NULL,
    done         bigint      NOT NULL DEFAULT 0,
    failed       bigint      NOT NULL DEFAULT 0,
    -- The accounts up to this one have been handed out.
    last_account bigint      NOT NULL DEFAULT 0,
    started_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    PRIMARY KEY (period, time_zone)
);
CREATE INDEX billing_runs_running ON billing_runs (period, time_zone) WHERE state = 'RUNNING';
CREATE INDEX billing_runs_of_zone ON billing_runs (time_zone, end_time);

-- Accounts of a run that a server has taken on. What it has not finished by then, another does.
CREATE TABLE billing_pages (
    period        date        NOT NULL,
    time_zone     text        NOT NULL,
    -- Those after the one, up to the other.
    after_account bigint      NOT NULL,
    last_account  bigint      NOT NULL,
    -- By the database's clock, which no sandbox moves.
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (period, time_zone, after_account)
);

-- Records of both kinds, in the same columns: lists page through each, and merge the pages.
DROP VIEW told_records;
CREATE VIEW told_prepaid_records AS
    SELECT t.account_id, t.id,
        'R' || t.account_id || '-' || to_char(t.created_at AT TIME ZONE 'UTC', 'YYYYMMDD') || '-'
            || (('x' || right(t.id::text, 8))::bit(32)::bigint & 536870911) AS number,
        t.created_at, t.bill_id, t.order_id, o.number AS order_number, o.name AS order_name, o.type AS order_type,
        o.resource_type, o.product_name, b.datacenter, b.start_time, b.end_time, b.currency, b.amount,
        o.quantity, o.price AS unit_price, o.once_price, b.once_amount, b.cycle_amount, b.credit_amount,
        NULL::jsonb AS lines
    FROM transactions t
    -- LIMIT 1 says what the keys say: one bill, one order. So lists walk transactions in their order.
    CROSS JOIN LATERAL (SELECT * FROM bills WHERE account_id = t.account_id AND id = t.bill_id LIMIT 1) b
    CROSS JOIN LATERAL (SELECT * FROM orders WHERE account_id = t.account_id AND id = b.order_id LIMIT 1) o
    WHERE t.kind IN ('CHECKOUT', 'BILL_PAYMENT', 'RENEWAL');
CREATE VIEW told_metered_records AS
    SELECT t.account_id, t.id,
        'R' || t.account_id || '-' || to_char(t.created_at AT TIME ZONE 'UTC', 'YYYYMMDD') || '-'
            || (('x' || right(t.id::text, 8))::bit(32)::bigint & 536870911) AS number,
        t.created_at, t.bill_id, t.order_id, o.number AS order_number, o.name AS order_name, o.type AS order_type,
        t.resource_type, t.product_name, t.datacenter, t.start_time, t.end_time, t.currency, t.price AS amount,
        NULL::integer AS quantity, NULL::numeric AS unit_price, NULL::numeric AS once_price,
        NULL::numeric AS once_amount, NULL::numeric AS cycle_amount, NULL::numeric AS credit_amount, t.lines
    FROM metered_records t
    LEFT JOIN LATERAL (SELECT * FROM orders WHERE account_id = t.account_id AND id = t.order_id LIMIT 1) o ON true;
CREATE VIEW told_records AS SELECT * FROM told_prepaid_records UNION ALL SELECT * FROM told_metered_records;
