-- Words in the numbers and names of orders (docs/adr/0010). Both extensions come with PostgreSQL and are trusted: the
-- owner of the database may create them.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

-- The account stands first, so that one tenant's search does not read another's orders. Entries gather in a list of
-- 16 MB before they are sorted in: that costs a purchase less than half.
CREATE INDEX orders_words ON orders USING gin (account_id, number gin_trgm_ops, name gin_trgm_ops)
    WITH (gin_pending_list_limit = 16384);

-- Every name that an order can have: words shorter than a trigram are looked for among these few first.
CREATE TABLE product_names (
    name text PRIMARY KEY
);
CREATE FUNCTION keep_product_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO product_names (name) VALUES (NEW.name) ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER plans_keep_names AFTER INSERT OR UPDATE OF name ON plans
    FOR EACH ROW EXECUTE FUNCTION keep_product_name();
INSERT INTO product_names SELECT name FROM plans UNION SELECT name FROM orders ON CONFLICT DO NOTHING;

-- Lists over everybody's rows are an operator's, and say so: `account_id > 0`. A list of one account does not, so that it
-- cannot be planned past everybody else's rows, whatever the statistics promise.
DROP INDEX orders_newest, bills_newest, bills_started, transactions_newest, ledger_entries_newest;
CREATE INDEX orders_of_everyone ON orders (id) WHERE account_id > 0;
CREATE INDEX bills_of_everyone ON bills (id) WHERE account_id > 0;
CREATE INDEX bills_of_everyone_started ON bills (start_time) WHERE account_id > 0;
CREATE INDEX transactions_of_everyone ON transactions (id) WHERE account_id > 0;
CREATE INDEX ledger_entries_of_everyone ON ledger_entries (id) WHERE account_id > 0;
