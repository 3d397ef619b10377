-- Money from outside: payments by card, and the prepayments that are paid by them or by deposits of tokens.

-- What a card's holder is called where the provider needs that to charge it.
ALTER TABLE payment_methods ADD COLUMN provider_customer text;

-- A charge of a card, or what is given back of one, on its way: created, processing, succeeded or failed. The provider is
-- called outside any transaction; this row tells what has to be asked for after a crash (docs/adr/0014).
CREATE TABLE payments (
    account_id      bigint      NOT NULL,
    id              uuid        NOT NULL,
    purpose         text        NOT NULL CHECK (purpose IN ('RECHARGE', 'PREPAYMENT', 'REFUND')),
    state           text        NOT NULL CHECK (state IN ('CREATED', 'PROCESSING', 'SUCCEEDED', 'FAILED')),
    currency        text        NOT NULL,
    amount          numeric     NOT NULL CHECK (amount > 0),
    description     text        NOT NULL,
    -- The card as it was when the payment was made; it may have been removed since.
    method_id       uuid        NOT NULL,
    provider        text        NOT NULL,
    provider_token  text        NOT NULL,
    provider_customer text,
    brand           text        NOT NULL,
    on_session      boolean     NOT NULL,
    prepayment_id   uuid,
    -- Of what is given back: the payment that it is given back of.
    refund_of       uuid,
    -- The movement of money that it led to; of what is given back, which is made before.
    transaction_id  uuid,
    -- The provider's name for it.
    reference       text,
    failure         text,
    action_url      text,
    attempts        integer     NOT NULL,
    next_step_at    timestamptz,
    PRIMARY KEY (account_id, id),
    CONSTRAINT payments_purpose CHECK ((purpose = 'REFUND') = (refund_of IS NOT NULL)
        AND (purpose <> 'PREPAYMENT' OR prepayment_id IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX payments_due ON payments (next_step_at, account_id, id) WHERE next_step_at IS NOT NULL;
CREATE INDEX payments_of_transaction ON payments (account_id, transaction_id) WHERE transaction_id IS NOT NULL;

CREATE TABLE prepayments (
    account_id      bigint      NOT NULL,
    id              uuid        NOT NULL,
    status          text        NOT NULL CHECK (status IN
        ('AWAITING_DEPOSIT', 'PROCESSING', 'PAID', 'BOUND', 'EXPIRED', 'FAILED', 'REFUNDED')),
    quote_id        uuid        NOT NULL,
    method_id       uuid,
    currency        text        NOT NULL,
    amount          numeric     NOT NULL CHECK (amount > 0),
    usd             numeric     NOT NULL CHECK (usd > 0),
    months          integer     NOT NULL CHECK (months BETWEEN 1 AND 12),
    cluster_id      text        NOT NULL,
    chart_name      text        NOT NULL,
    cpu_limit       integer     NOT NULL,
    mem_limit       integer     NOT NULL,
    storage_limit   integer     NOT NULL,
    auto_renewal    boolean     NOT NULL,
    deposit_address text,
    failure         text,
    action_url      text,
    app_id          text,
    icon_url        text,
    project_name    text,
    start_time      timestamptz,
    end_time        timestamptz,
    -- The one that this one renews.
    previous_id     uuid,
    -- What charged it, and the movement of money that it made.
    payment_id      uuid,
    transaction_id  uuid,
    paid_at         timestamptz,
    next_step_at    timestamptz,
    PRIMARY KEY (account_id, id),
    CONSTRAINT prepayments_bound CHECK ((app_id IS NULL) = (start_time IS NULL) AND (app_id IS NULL) = (end_time IS NULL)
        AND (app_id IS NULL) = (project_name IS NULL)),
    CONSTRAINT prepayments_window CHECK (start_time < end_time),
    CONSTRAINT prepayments_card_or_deposit CHECK ((method_id IS NULL) <> (deposit_address IS NULL)),
    CONSTRAINT prepayments_renewed_by_card CHECK (method_id IS NOT NULL OR NOT auto_renewal)
) WITH (fillfactor = 80);
CREATE INDEX prepayments_newest ON prepayments (id);
CREATE INDEX prepayments_due ON prepayments (next_step_at, account_id, id) WHERE next_step_at IS NOT NULL;
CREATE INDEX prepayments_renewals ON prepayments (account_id, previous_id) WHERE previous_id IS NOT NULL;
-- An offer is taken once, unless the payment failed or was given back.
CREATE UNIQUE INDEX prepayments_one_of_quote ON prepayments (account_id, quote_id) WHERE status NOT IN ('FAILED', 'REFUNDED');

ALTER TABLE idempotency_keys
    ADD COLUMN payment_id uuid,
    ADD COLUMN prepayment_id uuid;
