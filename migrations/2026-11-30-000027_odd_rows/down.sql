DROP TABLE voided_events;
DROP INDEX usage_events_of_account;
ALTER TABLE usage_marks DROP COLUMN bucket;
ALTER TABLE closed_months DROP COLUMN unrated;
