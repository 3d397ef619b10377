SELECT pg_advisory_xact_lock(4702394921427289931);
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['make_usage_month(date)', 'drop_usage_month(date)'] LOOP
        EXECUTE replace(pg_get_functiondef(name::regprocedure), '4702394921427289931', '4702394921427289929');
    END LOOP;
END $$;
DROP TABLE account_zones;
