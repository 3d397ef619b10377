DROP INDEX orders_of_everyone, bills_of_everyone, bills_of_everyone_started, transactions_of_everyone,
    ledger_entries_of_everyone;
CREATE INDEX orders_newest ON orders (id);
CREATE INDEX bills_newest ON bills (id);
CREATE INDEX bills_started ON bills (start_time);
CREATE INDEX transactions_newest ON transactions (id);
CREATE INDEX ledger_entries_newest ON ledger_entries (id);
DROP TRIGGER plans_keep_names ON plans;
DROP FUNCTION keep_product_name();
DROP TABLE product_names;
DROP INDEX orders_words;
DROP EXTENSION btree_gin;
DROP EXTENSION pg_trgm;
