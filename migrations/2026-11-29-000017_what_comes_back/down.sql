ALTER TABLE transactions DROP CONSTRAINT transactions_kind_check;
ALTER TABLE transactions ADD CONSTRAINT transactions_kind_check CHECK (kind IN
    ('RECHARGE', 'CHECKOUT', 'BILL_PAYMENT', 'RENEWAL', 'BURST', 'PREPAYMENT', 'REFUND', 'ADJUSTMENT')) NOT VALID;
ALTER TABLE closed_months DROP COLUMN withheld_amount, DROP COLUMN forgiven_amount;
DROP INDEX bills_corrections;
ALTER TABLE bills DROP CONSTRAINT bills_amount_is_its_parts;
ALTER TABLE bills DROP COLUMN credited_amount, DROP COLUMN replaced_amount, DROP COLUMN withheld_amount;
ALTER TABLE bills ADD CONSTRAINT bills_amount_is_its_parts
    CHECK (amount = once_amount + cycle_amount - credit_amount) NOT VALID;
