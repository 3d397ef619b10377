GRANT EXECUTE ON FUNCTION make_usage_month(date) TO PUBLIC;
ALTER FUNCTION make_usage_month(date) RESET ALL;
CREATE OR REPLACE FUNCTION make_usage_month(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'usage_events_' || to_char(first, 'YYYY_MM');
BEGIN
    PERFORM pg_advisory_xact_lock(4702394921427289929);
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE usage_events INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE usage_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
            first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;
