-- Names are few: orders are found by the whole of theirs, which product_names knows by its parts (docs/adr/0010). With an
-- entry for each trigram of a name checkouts were 8 % slower.
INSERT INTO product_names SELECT DISTINCT name FROM orders ON CONFLICT DO NOTHING;
DROP INDEX orders_words;
CREATE INDEX orders_words ON orders USING gin (account_id, number gin_trgm_ops, name)
    WITH (gin_pending_list_limit = 16384);
