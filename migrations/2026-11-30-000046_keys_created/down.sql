-- Nobody could tell what they made, and their seals tell of more than is left.
DELETE FROM idempotency_keys WHERE created IS NOT NULL;
ALTER TABLE idempotency_keys DROP COLUMN created;
