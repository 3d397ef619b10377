-- What happens to charges at a payment provider outside this server: disputes, refunds made in the provider's own pages, and
-- whatever it and this server do not say alike (docs/adr/0019).

-- What is, or was, taken back of a charge. `withdrawn` and `reinstated` are what the provider says, and only grow; `booked` is
-- decided under the account's lock. Where they do not agree, something is still to be booked.
CREATE TABLE reversals (
    account_id  bigint  NOT NULL,
    provider    text    NOT NULL,
    reference   text    NOT NULL,
    kind        text    NOT NULL CHECK (kind IN ('DISPUTE', 'REFUND')),
    payment_id  uuid    NOT NULL,
    currency    text    NOT NULL,
    amount      numeric NOT NULL CHECK (amount >= 0),
    -- In the provider's word.
    status      text    NOT NULL,
    withdrawn   numeric NOT NULL CHECK (withdrawn >= 0),
    reinstated  numeric NOT NULL CHECK (reinstated >= 0),
    -- Whether something may still become of it.
    is_open     boolean NOT NULL,
    -- What is taken and not given back, and the part of it that is beyond what was left of the charge.
    booked      numeric NOT NULL,
    beyond      numeric NOT NULL,
    -- The last movements that took money, and gave some back.
    taken_by    uuid,
    returned_by uuid,
    PRIMARY KEY (account_id, provider, reference),
    CONSTRAINT reversals_booked CHECK (beyond >= 0 AND booked >= 0)
) WITH (fillfactor = 80);
CREATE INDEX reversals_of_payment ON reversals (account_id, payment_id);
CREATE INDEX reversals_to_look_at ON reversals (account_id, provider, reference)
    WHERE is_open OR booked <> greatest(withdrawn - reinstated, 0);
CREATE TRIGGER reversals_stay BEFORE DELETE OR TRUNCATE ON reversals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What bears an id of ours at a provider and is not known here, or otherwise there and here. No account owns it: the account that
-- the id names may not be known either.
CREATE TABLE unmatched_payments (
    provider    text        NOT NULL,
    reference   text        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('CHARGE', 'REFUND', 'DISPUTE')),
    -- The id of ours that it bears.
    payment_id  uuid        NOT NULL,
    -- Whose that is, if the account is known.
    account_id  bigint,
    currency    text        NOT NULL,
    amount      numeric     NOT NULL,
    status      text        NOT NULL,
    why         text        NOT NULL,
    seen_at     timestamptz NOT NULL,
    -- Whether operators were told.
    told        boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (provider, reference)
);
CREATE INDEX unmatched_payments_newest ON unmatched_payments (seen_at DESC, provider, reference);

-- When the movements of a provider are held against the ledger next, and from when on: the first by the server's clock, the other
-- by the provider's.
CREATE TABLE reconciliations (
    provider    text        NOT NULL PRIMARY KEY,
    next_at     timestamptz NOT NULL,
    held_until  timestamptz NOT NULL,
    -- From here on this server's own payments are looked for there.
    own_from    timestamptz NOT NULL
);
-- Payments of a window of time.
CREATE INDEX payments_newest ON payments (id);
