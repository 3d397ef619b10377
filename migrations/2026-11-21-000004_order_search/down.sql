DROP TRIGGER plans_keep_names ON plans;
DROP FUNCTION keep_product_name();
DROP TABLE product_names;
DROP INDEX orders_words;
DROP EXTENSION btree_gin;
DROP EXTENSION pg_trgm;
