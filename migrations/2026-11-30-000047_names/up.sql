-- Locks: views, for a moment; of tables whose indexes are renamed nothing that readers or writers wait for.
--
-- Views and indexes under the field's names. The views' old names stay for servers of the version before.

ALTER VIEW told_price_rules RENAME TO price_rules_with_terms;
-- In the order in which readers lock them.
ALTER VIEW told_records RENAME TO consumption_records;
ALTER VIEW told_prepaid_records RENAME TO prepaid_consumption_records;
ALTER VIEW told_metered_records RENAME TO metered_consumption_records;
CREATE VIEW told_price_rules AS SELECT * FROM price_rules_with_terms;
CREATE VIEW told_prepaid_records AS SELECT * FROM prepaid_consumption_records;
CREATE VIEW told_metered_records AS SELECT * FROM metered_consumption_records;
CREATE VIEW told_records AS SELECT * FROM consumption_records;

ALTER INDEX price_rules_of_everyone RENAME TO price_rules_global;
ALTER INDEX orders_of_everyone RENAME TO orders_global;
ALTER INDEX bills_of_everyone RENAME TO bills_global;
ALTER INDEX bills_of_everyone_started RENAME TO bills_global_started;
ALTER INDEX bills_unpaid_of_everyone RENAME TO bills_unpaid_global;
ALTER INDEX transactions_of_everyone RENAME TO transactions_global;
ALTER INDEX ledger_entries_of_everyone RENAME TO ledger_entries_global;
ALTER INDEX metered_records_of_everyone RENAME TO metered_records_global;
ALTER INDEX metered_records_of_everyones_orders RENAME TO metered_records_global_of_orders;
ALTER INDEX invoices_of_everyone RENAME TO invoices_global;
ALTER INDEX orders_words RENAME TO orders_search;
