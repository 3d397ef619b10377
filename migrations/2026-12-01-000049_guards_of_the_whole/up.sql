-- Locks: ledger_entries, transactions, invoices, deposits, reversals, approvals, erasures, operator_moves, voided_events, the catalogue and what is noted once, all together and for a moment, against those who write.
--
-- What refuses that rows are changed or taken away is apart from what refuses that a whole table is emptied: a cluster drops a trigger
-- of both from its shards without a word (docs/adr/0035). Each is replaced where it stands: there is no moment without it.

CREATE OR REPLACE TRIGGER ledger_entries_are_final BEFORE DELETE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entries_are_final_whole BEFORE TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER transactions_stay BEFORE DELETE ON transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transactions_stay_whole BEFORE TRUNCATE ON transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER invoices_are_final BEFORE DELETE ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoices_are_final_whole BEFORE TRUNCATE ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER deposits_stay BEFORE DELETE ON deposits
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER deposits_stay_whole BEFORE TRUNCATE ON deposits
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER reversals_stay BEFORE DELETE ON reversals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER reversals_stay_whole BEFORE TRUNCATE ON reversals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER approvals_stay BEFORE DELETE ON approvals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER approvals_stay_whole BEFORE TRUNCATE ON approvals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER erasures_stay BEFORE DELETE ON erasures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER erasures_stay_whole BEFORE TRUNCATE ON erasures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER operator_moves_are_final BEFORE UPDATE ON operator_moves
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER operator_moves_are_final_whole BEFORE TRUNCATE ON operator_moves
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER voided_events_are_final BEFORE UPDATE ON voided_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER voided_events_are_final_whole BEFORE TRUNCATE ON voided_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER erased_entries_are_final BEFORE UPDATE OR DELETE ON erased_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER erased_entries_are_final_whole BEFORE TRUNCATE ON erased_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER given_up_namespaces_stay BEFORE UPDATE OR DELETE ON given_up_namespaces
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER given_up_namespaces_stay_whole BEFORE TRUNCATE ON given_up_namespaces
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER resource_prices_are_final BEFORE UPDATE OR DELETE ON resource_prices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER resource_prices_are_final_whole BEFORE TRUNCATE ON resource_prices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER exchange_rates_are_final BEFORE UPDATE OR DELETE ON exchange_rates
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER exchange_rates_are_final_whole BEFORE TRUNCATE ON exchange_rates
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER burst_capacities_are_final BEFORE UPDATE OR DELETE ON burst_capacities
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER burst_capacities_are_final_whole BEFORE TRUNCATE ON burst_capacities
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER burst_levels_are_final BEFORE UPDATE OR DELETE ON burst_levels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER burst_levels_are_final_whole BEFORE TRUNCATE ON burst_levels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER installation_stays BEFORE UPDATE OR DELETE ON installation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER installation_stays_whole BEFORE TRUNCATE ON installation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER currency_scales_stay BEFORE UPDATE OR DELETE ON currency_scales
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER currency_scales_stay_whole BEFORE TRUNCATE ON currency_scales
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER restorations_stay BEFORE UPDATE OR DELETE ON restorations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER restorations_stay_whole BEFORE TRUNCATE ON restorations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER seal_keys_stay BEFORE UPDATE OR DELETE ON seal_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER seal_keys_stay_whole BEFORE TRUNCATE ON seal_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
