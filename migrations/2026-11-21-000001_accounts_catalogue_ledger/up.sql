-- Accounts, the catalogue, orders, bills, transactions and the ledger.
--
-- Everything an account owns has (account_id, id) as its key. An id is a UUIDv7 that begins with the
-- instant of its row, so this one index also serves "newest first" and every window of time
-- (docs/adr/0002-ids-that-carry-account-and-time.md). Rows are written by the engine alone, under a lock on the
-- account, a few hundred at a time; the ledger's health check looks after what foreign keys would.

CREATE SEQUENCE account_numbers START 1001 MAXVALUE 4294967295;

CREATE TABLE accounts (
    id              bigint      PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
    namespace       text        NOT NULL,
    external_id     text,
    name            text        NOT NULL,
    kind            text        NOT NULL CHECK (kind IN ('MAIN', 'SUB')),
    parent_id       bigint,
    status          text        NOT NULL CHECK (status IN ('ACTIVE', 'SUSPENDED', 'CLOSED')),
    currency        text        NOT NULL,
    time_zone       text        NOT NULL,
    manager_name    text,
    manager_email   text,
    credit_limit    numeric     CHECK (credit_limit >= 0),
    balance         numeric     NOT NULL DEFAULT 0,
    overdrawn       boolean     NOT NULL DEFAULT false,
    purchased       boolean     NOT NULL DEFAULT false,
    last_no         bigint      NOT NULL DEFAULT 0,
    last_entry_seq  bigint      NOT NULL DEFAULT 0,
    last_entry_hash bytea,
    last_entry_at   timestamptz,
    created_at      timestamptz NOT NULL,
    CONSTRAINT accounts_sub_has_parent CHECK ((kind = 'SUB') = (parent_id IS NOT NULL)),
    CONSTRAINT accounts_balance_within_limit CHECK (overdrawn OR balance >= -coalesce(credit_limit, 0))
) WITH (fillfactor = 60);
CREATE INDEX accounts_newest ON accounts (created_at DESC, id DESC);
CREATE INDEX accounts_subs ON accounts (parent_id, created_at DESC, id DESC) WHERE parent_id IS NOT NULL;

-- What is unique across accounts has a small table of its own, so that accounts can be distributed.
CREATE TABLE namespaces (
    namespace  text   PRIMARY KEY,
    account_id bigint NOT NULL
);

CREATE TABLE resources (
    code          text PRIMARY KEY,
    name          text NOT NULL,
    unit          text NOT NULL,
    resource_type text NOT NULL,
    aggregation   text NOT NULL CHECK (aggregation IN ('SUM', 'MAX', 'LAST', 'AVERAGE', 'P95'))
);
INSERT INTO resources (code, name, unit, resource_type, aggregation) VALUES
    ('cpu',          'CPU cores',          'core', 'CLOUD', 'LAST'),
    ('mem',          'Memory',             'MB',   'CLOUD', 'LAST'),
    ('dssd',         'Distributed SSD',    'GB',   'CLOUD', 'LAST'),
    ('ip',           'IPv4 addresses',     'IP',   'CLOUD', 'LAST'),
    ('space',        'Object storage',     'GB',   'CLOUD', 'AVERAGE'),
    ('transfer_out', 'Outbound traffic',   'GB',   'CLOUD', 'SUM'),
    ('bandwidth',    'Outbound bandwidth', 'Mbps', 'CLOUD', 'P95'),
    ('api_get',      'GET requests',       'call', 'CLOUD', 'SUM'),
    ('api_put',      'PUT requests',       'call', 'CLOUD', 'SUM');

CREATE TABLE plans (
    id            uuid        PRIMARY KEY,
    name          text        NOT NULL,
    type          text        NOT NULL,
    region        text,
    resource_type text        NOT NULL,
    currency      text        NOT NULL,
    price         numeric     NOT NULL CHECK (price >= 0),
    once_price    numeric     CHECK (once_price >= 0),
    bill_period   text        NOT NULL CHECK (bill_period IN ('HOUR', 'MONTH', 'QUARTER', 'HALF_YEAR', 'YEAR')),
    description   text        NOT NULL,
    created_at    timestamptz NOT NULL,
    retired_at    timestamptz
);
CREATE INDEX plans_market ON plans (region, id DESC) WHERE retired_at IS NULL;

CREATE TABLE plan_resources (
    plan_id       uuid    NOT NULL REFERENCES plans,
    resource_code text    NOT NULL REFERENCES resources,
    amount        numeric NOT NULL CHECK (amount > 0),
    PRIMARY KEY (plan_id, resource_code)
);

CREATE TABLE orders (
    account_id    bigint      NOT NULL,
    id            uuid        NOT NULL,
    number        text        NOT NULL,
    name          text        NOT NULL,
    type          text        NOT NULL CHECK (type IN ('NEW', 'RENEW', 'CHANGE')),
    state         text        NOT NULL
        CHECK (state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED', 'ENDED', 'CANCELLED')),
    previous_id   uuid,
    plan_id       uuid,
    -- At most one live order of an exclusive plan per account and region.
    exclusive     boolean     NOT NULL,
    quantity      integer     NOT NULL CHECK (quantity > 0),
    region        text,
    datacenter    text,
    resource_type text        NOT NULL,
    product_name  text        NOT NULL,
    bill_period   text        NOT NULL,
    currency      text        NOT NULL,
    price         numeric     NOT NULL CHECK (price >= 0),
    once_price    numeric     CHECK (once_price >= 0),
    seq           integer     NOT NULL,
    seq_count     integer     NOT NULL,
    auto_renewal  boolean     NOT NULL,
    comment       text,
    created_at    timestamptz NOT NULL,
    delivered_at  timestamptz,
    expires_at    timestamptz,
    PRIMARY KEY (account_id, id)
) WITH (fillfactor = 90);
CREATE INDEX orders_newest ON orders (id);
CREATE UNIQUE INDEX orders_one_exclusive ON orders (account_id, coalesce(region, ''))
    WHERE exclusive AND state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED');

CREATE TABLE bills (
    account_id    bigint      NOT NULL,
    id            uuid        NOT NULL,
    number        text        NOT NULL,
    order_id      uuid,
    status        text        NOT NULL CHECK (status IN ('UNPAID', 'PAID', 'OVERDUE', 'VOID')),
    currency      text        NOT NULL,
    amount        numeric     NOT NULL,
    once_amount   numeric     NOT NULL,
    cycle_amount  numeric     NOT NULL,
    credit_amount numeric     NOT NULL CHECK (credit_amount >= 0),
    start_time    timestamptz NOT NULL,
    end_time      timestamptz NOT NULL,
    seq           integer     NOT NULL,
    seq_count     integer     NOT NULL,
    due_at        timestamptz NOT NULL,
    last_paid_at  timestamptz,
    -- A bill is paid whole, by one transaction.
    paid_by       uuid,
    datacenter    text,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    CONSTRAINT bills_amount_is_its_parts CHECK (amount = once_amount + cycle_amount - credit_amount)
) WITH (fillfactor = 90);
CREATE INDEX bills_newest ON bills (id);
CREATE INDEX bills_started ON bills (start_time);
CREATE INDEX bills_of_order ON bills (account_id, order_id, id) WHERE order_id IS NOT NULL;

CREATE TABLE transactions (
    account_id      bigint      NOT NULL,
    id              uuid        NOT NULL,
    kind            text        NOT NULL CHECK (kind IN
        ('RECHARGE', 'CHECKOUT', 'BILL_PAYMENT', 'RENEWAL', 'BURST', 'PREPAYMENT', 'REFUND', 'ADJUSTMENT')),
    status          text        NOT NULL CHECK (status IN ('PENDING', 'FINISHED', 'FAILED', 'REFUNDED')),
    currency        text        NOT NULL,
    amount          numeric     NOT NULL CHECK (amount > 0),
    debit_ledger    text        NOT NULL,
    credit_ledger   text        NOT NULL,
    description     text        NOT NULL,
    payment_method  text        NOT NULL,
    order_id        uuid,
    bill_id         uuid,
    refund_of       uuid,
    refunded_amount numeric     NOT NULL DEFAULT 0,
    balance_after   numeric,
    region          text,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    CONSTRAINT transactions_two_ledgers CHECK (debit_ledger <> credit_ledger),
    CONSTRAINT transactions_refund_within_amount CHECK (refunded_amount BETWEEN 0 AND amount)
);
CREATE INDEX transactions_newest ON transactions (id);
CREATE INDEX transactions_refunds ON transactions (account_id, refund_of) WHERE refund_of IS NOT NULL;

-- One change of one account's balance; its id is that of the transaction that made it.
CREATE TABLE ledger_entries (
    account_id      bigint      NOT NULL,
    id              uuid        NOT NULL,
    seq             bigint      NOT NULL,
    time            timestamptz NOT NULL,
    poll_time       timestamptz,
    currency        text        NOT NULL,
    amount          numeric     NOT NULL CHECK (amount <> 0),
    initial         numeric     NOT NULL,
    "end"           numeric     NOT NULL,
    reason          text        NOT NULL,
    billing_cycle   integer,
    "interval"      integer,
    resource_code   text,
    resource_amount numeric     NOT NULL DEFAULT 0,
    hash            bytea       NOT NULL,
    PRIMARY KEY (account_id, id),
    CONSTRAINT ledger_entries_chain CHECK ("end" = initial - amount)
);
CREATE INDEX ledger_entries_newest ON ledger_entries (id);

CREATE TABLE idempotency_keys (
    account_id     bigint      NOT NULL,
    key            text        NOT NULL,
    mutation       text        NOT NULL,
    fingerprint    bytea       NOT NULL,
    transaction_id uuid,
    order_id       uuid,
    bill_id        uuid,
    created_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, key)
);

CREATE TABLE notices (
    account_id      bigint      NOT NULL,
    id              uuid        NOT NULL,
    kind            text        NOT NULL,
    message         text        NOT NULL,
    subject         text,
    at              timestamptz NOT NULL,
    acknowledged_at timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX notices_open ON notices (account_id, id DESC) WHERE acknowledged_at IS NULL;

-- Where the check of the whole ledger stopped the last time.
CREATE TABLE ledger_check_position (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last_account_id bigint  NOT NULL
);
INSERT INTO ledger_check_position (last_account_id) VALUES (0);

-- What has been posted stays posted.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_entries_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transactions_stay BEFORE DELETE OR TRUNCATE ON transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transactions_are_final
    BEFORE UPDATE OF account_id, id, kind, currency, amount, debit_ledger, credit_ledger, created_at ON transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
