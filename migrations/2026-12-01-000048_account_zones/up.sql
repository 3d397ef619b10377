-- Locks: nothing that was there before; who makes the partition of a month is waited for.
--
-- Statements that a cluster takes (docs/adr/0035).

-- The time zones that accounts are or were in. Servers of before do not note them: others find them by looking, now and then
-- (src/jobs/billing/plan.rs).
CREATE TABLE account_zones (
    time_zone text PRIMARY KEY
);
-- One look into the index for each zone, however many accounts are in it.
INSERT INTO account_zones (time_zone)
    WITH RECURSIVE zones AS ((SELECT time_zone FROM accounts ORDER BY time_zone LIMIT 1) UNION ALL
        SELECT (SELECT a.time_zone FROM accounts a WHERE a.time_zone > z.time_zone ORDER BY a.time_zone LIMIT 1)
        FROM zones z WHERE z.time_zone IS NOT NULL)
    SELECT time_zone FROM zones WHERE time_zone IS NOT NULL;

-- The names of plans, resources and licences are kept in product_names by the server now, in the transaction that gives them. The
-- triggers plans_keep_names and resources_keep_names stay for servers of the version before, which leave it to them; a migration of a
-- later version takes them away.

-- The partitions of months have a lock of their own: price rules have had the same. The functions are the database's, so servers of
-- both versions ask for the same one.
SELECT pg_advisory_xact_lock(4702394921427289929);
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['make_usage_month(date)', 'drop_usage_month(date)'] LOOP
        EXECUTE replace(pg_get_functiondef(name::regprocedure), '4702394921427289929', '4702394921427289931');
    END LOOP;
END $$;
