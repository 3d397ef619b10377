//! Who is who in the cluster: its superuser, who owns the schema and migrates it, and who serves (docs/adr/0025).

use tokio_postgres::{Client, Error};

pub(super) const SUPERUSER: &str = "postgres";
pub(super) const OWNER: &str = "abacus_owner";
pub(super) const SERVER: &str = "abacus";

/// Makes the roles where they are missing. The owner sees what those do that it waits for.
const MAKE: &str = "
DO $$ BEGIN
    CREATE ROLE abacus_owner;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
    CREATE ROLE abacus;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
ALTER ROLE abacus_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE abacus LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
GRANT pg_read_all_stats TO abacus_owner;";

/// Hands what an earlier version made as the superuser over to the owner. What belongs to an extension stays with it, and the
/// sequence of a column goes with its table.
const HAND_OVER: &str = "
DO $$
DECLARE thing text;
BEGIN
    FOR thing IN
        SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE ' WHEN 'v' THEN 'VIEW ' ELSE 'TABLE ' END || c.oid::regclass FROM pg_class c
        WHERE relnamespace = 'public'::regnamespace AND relowner = 'postgres'::regrole AND relkind IN ('r', 'p', 'v', 'S')
            AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                AND (d.deptype = 'e' OR relkind = 'S' AND d.deptype IN ('a', 'i')))
        UNION ALL
        SELECT 'ROUTINE ' || p.oid::regprocedure FROM pg_proc p
        WHERE pronamespace = 'public'::regnamespace AND proowner = 'postgres'::regrole
            AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER %s OWNER TO abacus_owner', thing);
    END LOOP;
END $$;";

pub(super) async fn make(client: &Client) -> Result<(), Error> {
    client.batch_execute(MAKE).await
}

/// Has the owner own a database, and all that is in it. Nobody else makes anything there, not for a moment either.
pub(super) async fn hand_over(client: &Client, database: &str) -> Result<(), Error> {
    let whole = format!(
        "ALTER DATABASE \"{database}\" OWNER TO {OWNER}; REVOKE TEMPORARY ON DATABASE \"{database}\" FROM PUBLIC; {HAND_OVER}"
    );
    client.batch_execute(&whole).await
}
