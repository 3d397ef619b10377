ALTER TABLE idempotency_keys DROP COLUMN payment_id, DROP COLUMN prepayment_id;
DROP TABLE prepayments, payments;
ALTER TABLE payment_methods DROP COLUMN provider_customer;
