-- Locks: ledger_entries, transactions, invoices, deposits, reversals, approvals, erasures and erased_entries, all together and for a moment, against those who write.
--
-- Accounts that move to another cell (docs/adr/0043). Of a single database nothing is ever written here.

-- Which accounts have left this cell, or are about to, and which have come. Only the owner of the schema writes here.
CREATE TABLE departures (
    account_id bigint      PRIMARY KEY,
    -- Where it goes, or has gone; of one that has come, where from.
    cell       smallint    NOT NULL CHECK (cell BETWEEN 0 AND 128),
    -- LEAVING: it lives here still, and nothing of it is written. GONE: it lives there, and what is left of it here goes. HERE: it has come.
    state      text        NOT NULL CHECK (state IN ('LEAVING', 'GONE', 'HERE')),
    since      timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- How often that has changed: servers look every second.
ALTER TABLE cell ADD COLUMN departures bigint NOT NULL DEFAULT 0;

-- What accounts own that leave is not written any more: a trigger of theirs asks this, which is made for them and goes with them.
CREATE FUNCTION refuse_leaving() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'its account is moving to another cell' USING ERRCODE = 'check_violation', CONSTRAINT = 'account_is_moving';
END $$;

-- What is final goes with an account that lives elsewhere, where all of it is, and with nobody else.
CREATE FUNCTION has_gone(account bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM departures d WHERE d.account_id = account AND d.state = 'GONE');
END $$;

CREATE FUNCTION only_of_the_gone_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT has_gone(OLD.account_id) THEN
        RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
-- Where accounts are on the shards of a cluster, who makes a trigger says that it looks at its own node alone.
SET LOCAL citus.enable_unsafe_triggers = on;
CREATE OR REPLACE TRIGGER ledger_entries_are_final BEFORE DELETE ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION only_of_the_gone_go();
CREATE OR REPLACE TRIGGER transactions_stay BEFORE DELETE ON transactions
    FOR EACH ROW EXECUTE FUNCTION only_of_the_gone_go();
CREATE OR REPLACE TRIGGER invoices_are_final BEFORE DELETE ON invoices
    FOR EACH ROW EXECUTE FUNCTION only_of_the_gone_go();
CREATE OR REPLACE TRIGGER deposits_stay BEFORE DELETE ON deposits
    FOR EACH ROW EXECUTE FUNCTION only_of_the_gone_go();
CREATE OR REPLACE TRIGGER reversals_stay BEFORE DELETE ON reversals
    FOR EACH ROW EXECUTE FUNCTION only_of_the_gone_go();
CREATE OR REPLACE TRIGGER approvals_stay BEFORE DELETE ON approvals
    FOR EACH ROW EXECUTE FUNCTION only_of_the_gone_go();
CREATE OR REPLACE TRIGGER erasures_stay BEFORE DELETE ON erasures
    FOR EACH ROW EXECUTE FUNCTION only_of_the_gone_go();
CREATE OR REPLACE TRIGGER erased_entries_are_final BEFORE UPDATE ON erased_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER erased_entries_stay BEFORE DELETE ON erased_entries
    FOR EACH ROW EXECUTE FUNCTION only_of_the_gone_go();

CREATE OR REPLACE FUNCTION moves_count_for_a_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF moved_lately(OLD.id) AND NOT has_gone(OLD.account_id) THEN
        RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;

CREATE OR REPLACE FUNCTION only_of_the_erased_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT has_gone(OLD.account_id) THEN
        PERFORM require_erased(OLD.account_id);
    END IF;
    RETURN OLD;
END $$;

CREATE OR REPLACE FUNCTION price_rules_are_only_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.account_id IS NOT NULL AND has_gone(OLD.account_id) THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'DELETE' OR (OLD.id, OLD.account_id, OLD.definition_id, OLD.effective_from, OLD.created_at, OLD.created_by)
        IS DISTINCT FROM (NEW.id, NEW.account_id, NEW.definition_id, NEW.effective_from, NEW.created_at, NEW.created_by)
    THEN
        RAISE EXCEPTION 'price rules are only ever ended' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- Also of accounts that were born in the home cell and have left it.
CREATE OR REPLACE FUNCTION give_up_namespace_elsewhere(account bigint, given_up bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF account IS NULL OR EXISTS (SELECT 1 FROM accounts a WHERE a.id = account) OR (account <= 2147483647 AND NOT has_gone(account)) THEN
        RAISE EXCEPTION 'account % lives here', account USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF account > 2147483647 THEN
        UPDATE namespaces n SET namespace = '(erased ' || account || ')' WHERE n.account_id = account AND n.account_id > 2147483647;
    ELSE
        UPDATE namespaces n SET namespace = '(erased ' || account || ')' WHERE n.account_id = account;
    END IF;
    INSERT INTO given_up_namespaces (digest) VALUES (given_up) ON CONFLICT DO NOTHING;
END $$;
-- What their names mean is not for their callers to say.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['give_up_namespace_elsewhere(bigint, bytea)', 'has_gone(bigint)', 'only_of_the_gone_go()',
        'moves_count_for_a_day()', 'only_of_the_erased_go()', 'price_rules_are_only_ended()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END $$;
