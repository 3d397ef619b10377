-- Capacity beyond what is subscribed is charged by the 5-minute cycle, at levels that follow the cloud's use (docs/adr/0013).

-- How much the cloud has of a resource, and which level what use of it leads to. Append-only: the last one whose time has
-- come holds. A resource is charged for from its first on.
CREATE TABLE burst_capacities (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resource_code  text        NOT NULL REFERENCES resources,
    capacity       numeric     NOT NULL CHECK (capacity > 0),
    -- domain/burst/level.rs as JSON, decimals as strings.
    curve          jsonb       NOT NULL,
    effective_from timestamptz NOT NULL
);
CREATE INDEX burst_capacities_in_force ON burst_capacities (resource_code, effective_from DESC, id DESC);
CREATE TRIGGER burst_capacities_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON burst_capacities
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- From which cycle on a resource is at which level, with the use that led to it. Cycles are numbered from 1970.
CREATE TABLE burst_levels (
    resource_code text    NOT NULL REFERENCES resources,
    cycle         integer NOT NULL,
    level         integer NOT NULL CHECK (level BETWEEN 0 AND 20),
    used          numeric NOT NULL,
    PRIMARY KEY (resource_code, cycle)
);
CREATE TRIGGER burst_levels_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON burst_levels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Every cycle before this one has been run.
CREATE TABLE burst_progress (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    next_cycle integer NOT NULL
);
INSERT INTO burst_progress (next_cycle) VALUES (0);

-- What accounts could not be charged for in a cycle. While there is any of an account its later cycles come here, too, and all
-- are made up in order.
CREATE TABLE burst_owed (
    account_id bigint  NOT NULL,
    cycle      integer NOT NULL,
    -- What was used beyond what was subscribed: amounts by resource, as strings.
    beyond     jsonb   NOT NULL,
    PRIMARY KEY (account_id, cycle)
);

-- The 5-minute slots in which any gauge was reported: cycles that none reaches into are passed over.
CREATE TABLE gauge_slots (
    slot timestamptz PRIMARY KEY
);

-- The last cycle that was charged for, what a whole cycle comes to at its rate, and whether the account's owner was told
-- that the money will not last.
ALTER TABLE accounts
    ADD COLUMN burst_cycle integer,
    ADD COLUMN burst_rate numeric,
    ADD COLUMN burst_warned boolean NOT NULL DEFAULT false;
ALTER TABLE accounts DROP CONSTRAINT accounts_suspension_check;
ALTER TABLE accounts ADD CONSTRAINT accounts_suspension_check
    CHECK (suspension IN ('OPERATOR', 'OVERDUE_BILL', 'OVERDRAWN'));

-- A subscription is an order for so much of one resource and a term of its own.
ALTER TABLE orders
    ADD COLUMN resource_code text,
    ADD COLUMN resource_amount numeric CHECK (resource_amount > 0),
    ADD COLUMN term_months integer CHECK (term_months > 0),
    ADD COLUMN cancelled_at timestamptz,
    ADD CONSTRAINT orders_of_resources CHECK
        ((resource_code IS NULL) = (resource_amount IS NULL) AND (resource_code IS NULL) = (term_months IS NULL));
UPDATE orders SET cancelled_at = least(expires_at, now()) WHERE state = 'CANCELLED' AND delivered_at IS NOT NULL;
-- What an account has at a time, without what is over.
CREATE INDEX orders_in_term ON orders (account_id, (coalesce(least(cancelled_at, expires_at), 'infinity')))
    WHERE delivered_at IS NOT NULL;

-- What a cycle of an account came to.
CREATE INDEX ledger_entries_of_cycle ON ledger_entries (billing_cycle, account_id, id) WHERE billing_cycle IS NOT NULL;

CREATE TRIGGER resources_keep_names AFTER INSERT OR UPDATE OF name ON resources
    FOR EACH ROW EXECUTE FUNCTION keep_product_name();
INSERT INTO product_names SELECT name FROM resources ON CONFLICT DO NOTHING;

-- Which prices hold, those of single clusters and charts among them.
CREATE INDEX resource_prices_history ON resource_prices (resource_code, currency, level, effective_from DESC, id DESC);
