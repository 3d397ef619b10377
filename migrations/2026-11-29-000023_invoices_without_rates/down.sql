-- It fails where an invoice of unknown worth was issued, which is final.
ALTER TABLE invoices ALTER COLUMN total_usd SET NOT NULL;
