DROP TRIGGER ledger_entries_are_final_whole ON ledger_entries;
CREATE OR REPLACE TRIGGER ledger_entries_are_final BEFORE DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER transactions_stay_whole ON transactions;
CREATE OR REPLACE TRIGGER transactions_stay BEFORE DELETE OR TRUNCATE ON transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER invoices_are_final_whole ON invoices;
CREATE OR REPLACE TRIGGER invoices_are_final BEFORE DELETE OR TRUNCATE ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER deposits_stay_whole ON deposits;
CREATE OR REPLACE TRIGGER deposits_stay BEFORE DELETE OR TRUNCATE ON deposits
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER reversals_stay_whole ON reversals;
CREATE OR REPLACE TRIGGER reversals_stay BEFORE DELETE OR TRUNCATE ON reversals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER approvals_stay_whole ON approvals;
CREATE OR REPLACE TRIGGER approvals_stay BEFORE DELETE OR TRUNCATE ON approvals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER erasures_stay_whole ON erasures;
CREATE OR REPLACE TRIGGER erasures_stay BEFORE DELETE OR TRUNCATE ON erasures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER operator_moves_are_final_whole ON operator_moves;
CREATE OR REPLACE TRIGGER operator_moves_are_final BEFORE UPDATE OR TRUNCATE ON operator_moves
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER voided_events_are_final_whole ON voided_events;
CREATE OR REPLACE TRIGGER voided_events_are_final BEFORE UPDATE OR TRUNCATE ON voided_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER erased_entries_are_final_whole ON erased_entries;
CREATE OR REPLACE TRIGGER erased_entries_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON erased_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER given_up_namespaces_stay_whole ON given_up_namespaces;
CREATE OR REPLACE TRIGGER given_up_namespaces_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON given_up_namespaces
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER resource_prices_are_final_whole ON resource_prices;
CREATE OR REPLACE TRIGGER resource_prices_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON resource_prices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER exchange_rates_are_final_whole ON exchange_rates;
CREATE OR REPLACE TRIGGER exchange_rates_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON exchange_rates
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER burst_capacities_are_final_whole ON burst_capacities;
CREATE OR REPLACE TRIGGER burst_capacities_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON burst_capacities
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER burst_levels_are_final_whole ON burst_levels;
CREATE OR REPLACE TRIGGER burst_levels_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON burst_levels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER installation_stays_whole ON installation;
CREATE OR REPLACE TRIGGER installation_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON installation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER currency_scales_stay_whole ON currency_scales;
CREATE OR REPLACE TRIGGER currency_scales_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON currency_scales
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER restorations_stay_whole ON restorations;
CREATE OR REPLACE TRIGGER restorations_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON restorations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER seal_keys_stay_whole ON seal_keys;
CREATE OR REPLACE TRIGGER seal_keys_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON seal_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
