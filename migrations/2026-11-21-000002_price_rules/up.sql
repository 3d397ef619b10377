-- What consumption costs. Definitions never change; rules are numbered in the order in which they were set, and are only
-- ever ended.
CREATE TABLE price_definitions (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text        NOT NULL CHECK (kind IN ('BASE', 'DISCOUNT', 'PACKAGE')),
    type        text        NOT NULL,
    description text        NOT NULL,
    currency    text,
    -- domain/price_rule.rs as JSON, decimals as strings.
    terms       jsonb       NOT NULL,
    created_at  timestamptz NOT NULL
);

CREATE TABLE price_rules (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- NULL: for everyone who has no base price of his own.
    account_id      bigint,
    definition_id   bigint      NOT NULL REFERENCES price_definitions,
    effective_from  timestamptz NOT NULL,
    effective_until timestamptz,
    created_at      timestamptz NOT NULL,
    created_by      text        NOT NULL,
    CONSTRAINT price_rules_window CHECK (effective_until >= effective_from)
);
CREATE INDEX price_rules_of_account ON price_rules (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX price_rules_of_everyone ON price_rules (id) WHERE account_id IS NULL;

CREATE FUNCTION price_rules_are_only_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (OLD.id, OLD.account_id, OLD.definition_id, OLD.effective_from, OLD.created_at, OLD.created_by)
        IS DISTINCT FROM (NEW.id, NEW.account_id, NEW.definition_id, NEW.effective_from, NEW.created_at, NEW.created_by)
    THEN
        RAISE EXCEPTION 'price rules are only ever ended' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER price_rules_are_only_ended BEFORE UPDATE OR DELETE ON price_rules
    FOR EACH ROW EXECUTE FUNCTION price_rules_are_only_ended();

CREATE FUNCTION price_definitions_never_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'price definitions never change' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER price_definitions_never_change BEFORE UPDATE OR DELETE ON price_definitions
    FOR EACH ROW EXECUTE FUNCTION price_definitions_never_change();

-- The rules that a key made or ended. Keys of rules for everyone are the provider's own: account 0.
ALTER TABLE idempotency_keys ADD COLUMN price_rule_ids bigint[];

CREATE VIEW told_price_rules AS
    SELECT r.id, r.account_id, r.effective_from, r.effective_until, r.created_at, r.created_by, r.definition_id,
        d.type AS definition_type, d.description, d.currency, d.terms, d.created_at AS defined_at
    FROM price_rules r JOIN price_definitions d ON d.id = r.definition_id;
