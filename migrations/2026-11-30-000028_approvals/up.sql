-- Locks: idempotency_keys, for a moment.
--
-- What one operator asks for and another has to allow (docs/adr/0024).
CREATE TABLE approvals (
    account_id   bigint      NOT NULL,
    id           uuid        NOT NULL,
    mutation     text        NOT NULL,
    -- As it was asked, as JSON; its key stands beside it.
    input        text        NOT NULL,
    -- What it came to when it was asked for.
    currency     text        NOT NULL,
    amount       numeric     NOT NULL CHECK (amount > 0),
    key          text,
    -- The subjects of the operators' tokens.
    asked_by     text        NOT NULL,
    asked_at     timestamptz NOT NULL,
    state        text        NOT NULL CHECK (state IN ('PENDING', 'DONE', 'REJECTED', 'EXPIRED')),
    decided_by   text,
    decided_at   timestamptz,
    reason       text,
    -- When it expires; NULL: it is over.
    next_step_at timestamptz,
    PRIMARY KEY (account_id, id),
    CONSTRAINT approvals_are_decided CHECK ((state = 'PENDING') = (decided_at IS NULL)
        AND (state = 'PENDING') = (next_step_at IS NOT NULL)),
    CONSTRAINT approvals_take_two CHECK (state <> 'DONE' OR (decided_by IS NOT NULL AND decided_by <> asked_by))
) WITH (fillfactor = 80);
CREATE INDEX approvals_newest ON approvals (id);
CREATE INDEX approvals_of_state ON approvals (state, id);
CREATE INDEX approvals_pending ON approvals (account_id) WHERE state = 'PENDING';
CREATE INDEX approvals_due ON approvals (next_step_at, account_id, id) WHERE next_step_at IS NOT NULL;
CREATE TRIGGER approvals_stay BEFORE DELETE OR TRUNCATE ON approvals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER approvals_are_asked_once
    BEFORE UPDATE OF account_id, id, mutation, input, currency, amount, key, asked_by, asked_at ON approvals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER approvals_are_decided_once BEFORE UPDATE ON approvals
    FOR EACH ROW WHEN (OLD.state <> 'PENDING') EXECUTE FUNCTION refuse_change();

-- What waits holds its key.
ALTER TABLE idempotency_keys ADD COLUMN approval_id uuid;

-- What operators have moved without another, by its transaction: what they move of an account within a day counts together. Rows
-- are kept for two days (src/store/operator_moves.rs).
CREATE TABLE operator_moves (
    account_id bigint  NOT NULL,
    id         uuid    NOT NULL,
    moved_by   text    NOT NULL,
    currency   text    NOT NULL,
    amount     numeric NOT NULL CHECK (amount > 0),
    PRIMARY KEY (account_id, id)
);
CREATE INDEX operator_moves_oldest ON operator_moves (id);
