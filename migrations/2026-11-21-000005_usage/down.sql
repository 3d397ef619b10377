DROP TABLE usage_samples, usage_hours, usage_events, usage_marks;
DROP FUNCTION make_usage_month(date);
ALTER TABLE resources DROP COLUMN allows_corrections;
