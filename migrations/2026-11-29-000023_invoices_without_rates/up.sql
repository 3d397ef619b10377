-- An invoice is in the account's own currency; what it is worth in US dollars may be unknown.
ALTER TABLE invoices ALTER COLUMN total_usd DROP NOT NULL;
-- Months that waited for a rate wait no longer: all that are held up are looked at now.
UPDATE open_invoices SET due_at = end_time WHERE end_time < due_at;
