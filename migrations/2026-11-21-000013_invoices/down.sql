DROP INDEX prepayments_of_transaction;
DROP TABLE open_invoices, invoice_counters, invoices;
