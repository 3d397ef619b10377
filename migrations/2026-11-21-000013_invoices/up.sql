-- Invoices: an account's calendar month of payment (docs/adr/0015).

-- What an invoice said when it was issued; its id is made of the account and the instant at which the month begins.
CREATE TABLE invoices (
    account_id bigint      NOT NULL,
    id         uuid        NOT NULL,
    period     date        NOT NULL,
    start_time timestamptz NOT NULL,
    end_time   timestamptz NOT NULL,
    number     text        NOT NULL UNIQUE,
    issued_at  timestamptz NOT NULL,
    customer   text        NOT NULL,
    total_usd  numeric     NOT NULL,
    -- store/invoice_json.rs: decimals and ids as strings.
    groups     jsonb       NOT NULL,
    PRIMARY KEY (account_id, id),
    CONSTRAINT invoices_one_a_month UNIQUE (account_id, period),
    CONSTRAINT invoices_window CHECK (start_time < end_time)
);
CREATE INDEX invoices_of_everyone ON invoices (id) WHERE account_id > 0;
CREATE TRIGGER invoices_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How many invoices of a year there are: moved in the transaction that inserts them, so that there are no gaps.
CREATE TABLE invoice_counters (
    year integer PRIMARY KEY,
    last bigint  NOT NULL CHECK (last > 0)
);

-- The months that have no invoice yet: of each account the one that runs, and those that are over and held up.
CREATE TABLE open_invoices (
    account_id bigint      NOT NULL,
    start_time timestamptz NOT NULL,
    -- Of one that is held up: where it ends, whatever becomes of the account's time zone.
    end_time   timestamptz,
    -- When it is over, or to be tried again; the delay of issuing comes on top.
    due_at     timestamptz NOT NULL,
    -- Whether operators know that it is held up.
    told       boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, start_time)
);
CREATE INDEX open_invoices_due ON open_invoices (due_at, account_id, start_time);
INSERT INTO open_invoices (account_id, start_time, due_at)
    SELECT id, date_trunc('month', created_at AT TIME ZONE zone) AT TIME ZONE zone,
        (date_trunc('month', created_at AT TIME ZONE zone) + interval '1 month') AT TIME ZONE zone
    -- Of a zone that this PostgreSQL does not know: the end is put right when it is looked at.
    FROM (SELECT a.id, a.created_at, coalesce(n.name, 'UTC') AS zone
        FROM accounts a LEFT JOIN pg_timezone_names n ON n.name = a.time_zone) a;

-- What a movement of money has prepaid.
CREATE INDEX prepayments_of_transaction ON prepayments (account_id, transaction_id) WHERE transaction_id IS NOT NULL;
