-- Locks: accounts, ledger_entries, invoices, approvals and voided_events for a moment, all together.
--
-- What is kept for a while only goes, and what names a person is blanked where books need not be kept any more (docs/adr/0027).

-- When it was erased as an account: what named a person is blank, the figures are left.
ALTER TABLE accounts ADD COLUMN erased_at timestamptz;

-- Accounts whose words are blanked, step by step, and how far that has come.
CREATE TABLE erasures (
    account_id   bigint      PRIMARY KEY,
    reason       text        NOT NULL,
    -- The subject of the operator's token.
    erased_by    text        NOT NULL,
    erased_at    timestamptz NOT NULL,
    stage        text        NOT NULL CHECK (stage IN ('ORDERS', 'TRANSACTIONS', 'PAYMENTS', 'PREPAYMENTS', 'APPROVALS', 'REST', 'DONE')),
    -- Of the stage, the last row that is done.
    after_id     uuid,
    -- When it goes on; NULL: it is over.
    next_step_at timestamptz,
    CONSTRAINT erasures_go_on CHECK ((stage = 'DONE') = (next_step_at IS NULL))
);
CREATE INDEX erasures_due ON erasures (next_step_at, account_id) WHERE next_step_at IS NOT NULL;
CREATE TRIGGER erasures_stay BEFORE DELETE OR TRUNCATE ON erasures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER erasures_are_asked_once BEFORE UPDATE OF account_id, reason, erased_by, erased_at ON erasures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- An entry's hash is over words that are blank by now. It was right when they were blanked: this says so, under the ledger's key.
CREATE TABLE erased_entries (
    account_id bigint NOT NULL,
    id         uuid   NOT NULL,
    seal       bytea  NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE TRIGGER erased_entries_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON erased_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Namespaces of accounts that were erased, as digests under the ledger's key: nobody else gets one.
CREATE TABLE given_up_namespaces (
    digest bytea PRIMARY KEY
);
CREATE TRIGGER given_up_namespaces_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON given_up_namespaces
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- From which month (UTC) on there are events; those of before were removed, and none comes again.
CREATE TABLE usage_events_kept (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    since    date    NOT NULL
);
INSERT INTO usage_events_kept (since) VALUES ('1970-01-01');

-- Now, as this database's servers have it: a sandbox's clock may be ahead, and no other's.
CREATE FUNCTION abacus_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT clock_timestamp() + coalesce((SELECT make_interval(secs => offset_micros / 1000000.0) FROM sandbox_clock
        WHERE EXISTS (SELECT FROM installation WHERE kind = 'SANDBOX')), interval '0')
$$;

CREATE FUNCTION is_erased(account bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM accounts WHERE id = account AND erased_at IS NOT NULL)
$$;

CREATE FUNCTION require_erased(account bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF is_erased(account) IS NOT TRUE THEN
        RAISE EXCEPTION 'account % is not erased', account USING ERRCODE = 'restrict_violation';
    END IF;
END $$;

-- An account is erased once, closed, and not within a year of that, whatever the server's settings say.
CREATE FUNCTION accounts_are_erased_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.erased_at IS NOT NULL OR OLD.status <> 'CLOSED' OR NEW.status <> 'CLOSED'
        OR coalesce(OLD.closed_at > abacus_now() - interval '365 days', true)
    THEN
        RAISE EXCEPTION 'account % is not to be erased', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER accounts_are_erased_late BEFORE UPDATE OF erased_at ON accounts
    FOR EACH ROW WHEN (NEW.erased_at IS DISTINCT FROM OLD.erased_at) EXECUTE FUNCTION accounts_are_erased_late();

-- Nor is one closed long ago that was open just now.
CREATE FUNCTION accounts_are_closed_now() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.closed_at < abacus_now() - interval '1 day' AND EXISTS (SELECT FROM installation WHERE kind = 'PRODUCTION') THEN
        RAISE EXCEPTION 'account % is not closed at %', OLD.id, NEW.closed_at USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER accounts_are_closed_now BEFORE UPDATE OF closed_at ON accounts
    FOR EACH ROW WHEN (NEW.closed_at IS DISTINCT FROM OLD.closed_at) EXECUTE FUNCTION accounts_are_closed_now();

-- Of rows that never change the words go, those that the trigger names, where their account is erased; and nothing else but the
-- row's seal.
CREATE FUNCTION only_words_go() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := to_jsonb(OLD);
    after  jsonb := to_jsonb(NEW);
    words  text[] := TG_ARGV;
BEGIN
    IF before - words - 'seal' <> after - words - 'seal' OR is_erased(OLD.account_id) IS NOT TRUE OR EXISTS (SELECT FROM UNNEST(words) word
        WHERE after -> word <> before -> word AND coalesce(after ->> word, '') NOT IN ('', '{}', '(erased)'))
    THEN
        RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- An invoice's groups (src/store/invoice_json.rs) without the words of their items.
CREATE FUNCTION without_words(groups jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_agg(g || jsonb_build_object('items', (
            SELECT coalesce(jsonb_agg((i - 'icon_url') || '{"title": ""}' ORDER BY n), '[]')
            FROM jsonb_array_elements(g -> 'items') WITH ORDINALITY items (i, n))) ORDER BY m), '[]')
    FROM jsonb_array_elements(groups) WITH ORDINALITY all_groups (g, m)
$$;

CREATE FUNCTION only_words_of_invoices_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) <> to_jsonb(OLD) || jsonb_build_object('customer', '(erased)', 'groups', without_words(OLD.groups))
        OR is_erased(OLD.account_id) IS NOT TRUE
    THEN
        RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION only_of_the_erased_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM require_erased(OLD.account_id);
    RETURN OLD;
END $$;

DROP TRIGGER ledger_entries_are_final ON ledger_entries;
CREATE TRIGGER ledger_entries_are_final BEFORE DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entries_keep_their_figures BEFORE UPDATE ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION only_words_go('reason');

DROP TRIGGER invoices_are_final ON invoices;
CREATE TRIGGER invoices_are_final BEFORE DELETE OR TRUNCATE ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoices_keep_their_figures BEFORE UPDATE ON invoices
    FOR EACH ROW EXECUTE FUNCTION only_words_of_invoices_go();

DROP TRIGGER approvals_are_asked_once ON approvals;
CREATE TRIGGER approvals_are_asked_once
    BEFORE UPDATE OF account_id, id, mutation, input, currency, amount, key, asked_by, asked_at ON approvals
    FOR EACH ROW EXECUTE FUNCTION only_words_go('input', 'key', 'reason');
DROP TRIGGER approvals_are_decided_once ON approvals;
CREATE TRIGGER approvals_are_decided_once
    BEFORE UPDATE OF state, decided_by, decided_at, reason, next_step_at ON approvals
    FOR EACH ROW WHEN (OLD.state <> 'PENDING') EXECUTE FUNCTION only_words_go('input', 'key', 'reason');

DROP TRIGGER voided_events_are_final ON voided_events;
CREATE TRIGGER voided_events_are_final BEFORE UPDATE OR TRUNCATE ON voided_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER voided_events_go_with_their_account BEFORE DELETE ON voided_events
    FOR EACH ROW EXECUTE FUNCTION only_of_the_erased_go();

-- What the server has done for it, as it may not do it itself: each within bounds of its own.

-- Removes the oldest keys that were first used before an instant, at most so many. None within 90 days, and none that waits for
-- another operator, or has within that time.
CREATE FUNCTION forget_keys(before timestamptz, most integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    forgotten bigint;
BEGIN
    IF before IS NULL OR most IS NULL OR before > abacus_now() - interval '90 days' OR most NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'keys from % on are kept', before USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(SELECT k.ctid FROM idempotency_keys k WHERE k.created_at < before
        AND NOT EXISTS (SELECT FROM approvals a WHERE a.account_id = k.account_id AND a.id = k.approval_id
            AND coalesce(a.decided_at, 'infinity') >= before)
        ORDER BY k.created_at LIMIT most FOR UPDATE OF k SKIP LOCKED));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;

-- Removes the events of a month (UTC): none that ended within 92 days, and none that may still be billed.
-- Whoever writes events is not waited for.
CREATE FUNCTION drop_usage_month(month date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '200ms' AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    over  timestamptz := (date_trunc('month', month) + interval '1 month') AT TIME ZONE 'UTC';
    name  text := 'usage_events_' || to_char(first, 'YYYY_MM');
BEGIN
    IF over IS NULL OR over > abacus_now() - interval '92 days' OR over > (SELECT closed_before FROM billing_horizon) THEN
        RAISE EXCEPTION 'the events of % are kept', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(4702394921427289929);
    UPDATE usage_events_kept SET since = greatest(since, (first + interval '1 month')::date);
    IF to_regclass(name) IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %I', name);
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION make_usage_month(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'usage_events_' || to_char(first, 'YYYY_MM');
BEGIN
    IF month IS NULL OR month NOT BETWEEN '1970-01-01' AND '9999-11-30' THEN
        RAISE EXCEPTION 'there are no events of %', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(4702394921427289929);
    IF first < (SELECT since FROM usage_events_kept) THEN
        RAISE EXCEPTION 'events of % are kept no more', month
            USING ERRCODE = 'check_violation', CONSTRAINT = 'usage_events_are_kept_no_more';
    END IF;
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE usage_events INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE usage_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
            first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;

-- Takes the namespace from an account that is erased.
CREATE FUNCTION give_up_namespace(account bigint, given_up bytea) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM require_erased(account);
    UPDATE namespaces SET namespace = '(erased ' || account || ')' WHERE account_id = account
        AND namespace = (SELECT a.namespace FROM accounts a WHERE a.id = account);
    UPDATE accounts SET namespace = '(erased ' || account || ')' WHERE id = account;
    INSERT INTO given_up_namespaces (digest) VALUES (given_up) ON CONFLICT DO NOTHING;
END $$;

-- Blanks the words of rows of an account that is erased; each with the seal that it bears from then on.
CREATE FUNCTION blank_rows(kind text, account bigint, ids uuid[], seals bytea[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM require_erased(account);
    IF kind = 'orders' THEN
        UPDATE orders t SET comment = NULL, seal = u.seal
            FROM UNNEST(ids, seals) u (id, seal) WHERE t.account_id = account AND t.id = u.id;
    ELSIF kind = 'transactions' THEN
        UPDATE transactions t SET description = '', seal = u.seal
            FROM UNNEST(ids, seals) u (id, seal) WHERE t.account_id = account AND t.id = u.id;
    ELSIF kind = 'payments' THEN
        UPDATE payments t SET description = '', provider_token = '', provider_customer = NULL, failure = NULL, action_url = NULL,
            seal = u.seal FROM UNNEST(ids, seals) u (id, seal) WHERE t.account_id = account AND t.id = u.id;
    ELSIF kind = 'prepayments' THEN
        UPDATE prepayments t SET failure = NULL, action_url = NULL, icon_url = NULL, seal = u.seal,
            app_id = CASE WHEN app_id IS NOT NULL THEN '' END, project_name = CASE WHEN project_name IS NOT NULL THEN '' END
            FROM UNNEST(ids, seals) u (id, seal) WHERE t.account_id = account AND t.id = u.id;
    ELSIF kind = 'approvals' THEN
        UPDATE approvals t SET input = '{}', key = NULL, reason = NULL, seal = u.seal
            FROM UNNEST(ids, seals) u (id, seal) WHERE t.account_id = account AND t.id = u.id AND t.state <> 'PENDING';
    ELSE
        RAISE EXCEPTION 'there are no rows of %', kind USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;

-- Blanks the words of entries, each with what says from then on that its hash was right.
CREATE FUNCTION blank_entries(account bigint, ids uuid[], seals bytea[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM require_erased(account);
    INSERT INTO erased_entries (account_id, id, seal) SELECT account, u.id, u.seal FROM UNNEST(ids, seals) u (id, seal)
        ON CONFLICT DO NOTHING;
    UPDATE ledger_entries e SET reason = '' FROM UNNEST(ids) u (id) WHERE e.account_id = account AND e.id = u.id AND e.reason <> '';
END $$;

-- Blanks or removes what else names a person, at most so many rows of each kind; answers how many there were.
CREATE FUNCTION erase_rest(account bigint, most integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    erased bigint := 0;
    more   bigint;
BEGIN
    PERFORM require_erased(account);
    IF most IS NULL OR most NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION '% rows are too many, or too few', most USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE payment_methods SET provider_token = '', provider_customer = NULL, last4 = '', removed_at = coalesce(removed_at, abacus_now())
        WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM payment_methods t WHERE t.account_id = account
            AND (t.provider_token <> '' OR t.provider_customer IS NOT NULL OR t.last4 <> '' OR t.removed_at IS NULL) LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    UPDATE deposits SET sender = '' WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM deposits t WHERE t.account_id = account
        AND t.sender <> '' LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    UPDATE invoices SET customer = '(erased)', groups = without_words(groups) WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM invoices t
        WHERE t.account_id = account AND (t.customer <> '(erased)' OR t.groups <> without_words(t.groups)) LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM voided_events WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM voided_events t WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM usage_hours WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM usage_hours t WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM usage_samples WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM usage_samples t WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    -- Of partitions a row's place says nothing: they are found by their keys.
    DELETE FROM usage_marks m USING (SELECT t.event_id FROM usage_marks t WHERE t.account_id = account LIMIT most) u
        WHERE m.account_id = account AND m.event_id = u.event_id;
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM usage_events e USING (SELECT t.event_id, t.time FROM usage_events t WHERE t.account_id = account LIMIT most) u
        WHERE e.account_id = account AND e.time = u.time AND e.event_id = u.event_id;
    GET DIAGNOSTICS more = ROW_COUNT;
    erased := erased + more;
    DELETE FROM notices WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM notices t WHERE t.account_id = account LIMIT most));
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN erased + more;
END $$;

-- What their names mean is not for their callers to say.
DO $$
DECLARE
    own text;
BEGIN
    FOREACH own IN ARRAY ARRAY['abacus_now()', 'is_erased(bigint)', 'require_erased(bigint)', 'accounts_are_erased_late()', 'accounts_are_closed_now()',
        'only_words_go()', 'only_words_of_invoices_go()', 'only_of_the_erased_go()', 'forget_keys(timestamptz, integer)',
        'drop_usage_month(date)', 'make_usage_month(date)', 'give_up_namespace(bigint, bytea)',
        'blank_rows(text, bigint, uuid[], bytea[])', 'blank_entries(bigint, uuid[], bytea[])', 'erase_rest(bigint, integer)']
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', own, current_schema());
    END LOOP;
    FOREACH own IN ARRAY ARRAY['forget_keys(timestamptz, integer)', 'drop_usage_month(date)', 'make_usage_month(date)',
        'give_up_namespace(bigint, bytea)', 'blank_rows(text, bigint, uuid[], bytea[])',
        'blank_entries(bigint, uuid[], bytea[])', 'erase_rest(bigint, integer)']
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', own);
    END LOOP;
END $$;
