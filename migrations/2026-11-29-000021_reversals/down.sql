DROP INDEX payments_newest;
DROP TABLE reconciliations, unmatched_payments, reversals;
