DROP FUNCTION erase_rest(bigint, integer), blank_entries(bigint, uuid[], bytea[]), blank_rows(text, bigint, uuid[], bytea[]),
    give_up_namespace(bigint, bytea), drop_usage_month(date), forget_keys(timestamptz, integer);
DROP TRIGGER voided_events_go_with_their_account ON voided_events;
DROP TRIGGER voided_events_are_final ON voided_events;
CREATE TRIGGER voided_events_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON voided_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER approvals_are_decided_once ON approvals;
CREATE TRIGGER approvals_are_decided_once
    BEFORE UPDATE OF state, decided_by, decided_at, reason, next_step_at ON approvals
    FOR EACH ROW WHEN (OLD.state <> 'PENDING') EXECUTE FUNCTION refuse_change();
DROP TRIGGER approvals_are_asked_once ON approvals;
CREATE TRIGGER approvals_are_asked_once
    BEFORE UPDATE OF account_id, id, mutation, input, currency, amount, key, asked_by, asked_at ON approvals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER invoices_keep_their_figures ON invoices;
DROP TRIGGER invoices_are_final ON invoices;
CREATE TRIGGER invoices_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER ledger_entries_keep_their_figures ON ledger_entries;
DROP TRIGGER ledger_entries_are_final ON ledger_entries;
CREATE TRIGGER ledger_entries_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER accounts_are_closed_now ON accounts;
DROP TRIGGER accounts_are_erased_late ON accounts;
DROP FUNCTION only_of_the_erased_go(), only_words_of_invoices_go(), only_words_go(), accounts_are_erased_late(), accounts_are_closed_now(),
    without_words(jsonb), require_erased(bigint), is_erased(bigint);
CREATE OR REPLACE FUNCTION make_usage_month(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'usage_events_' || to_char(first, 'YYYY_MM');
BEGIN
    IF month IS NULL OR month NOT BETWEEN '1970-01-01' AND '9999-11-30' THEN
        RAISE EXCEPTION 'there are no events of %', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(4702394921427289929);
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE usage_events INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE usage_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
            first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION make_usage_month(date) SET search_path = %I, pg_temp', current_schema());
END $$;
DROP FUNCTION abacus_now();
DROP TABLE usage_events_kept, given_up_namespaces, erased_entries, erasures;
ALTER TABLE accounts DROP COLUMN erased_at;
