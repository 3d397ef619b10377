//! What a cluster is, and where its tables lie, as its coordinator has it.

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::RunQueryDsl;

use super::placements::{ACCOUNTS, WORKER_SETTINGS};
use super::plan::{Cluster, Lies};
use crate::store::Conn;
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;

/// Sessions that have just ended are waited for so long.
const ENDING: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The extension's version; None: this is no cluster.
pub(super) async fn version(mut conn: Conn<'_>) -> Result<Option<String>, StoreError> {
    let statement = Statement::<Text>::new("SELECT extversion FROM pg_extension WHERE extname = 'citus'");
    let found: Vec<String> = statement.load(&mut conn).await?;
    Ok(found.into_iter().next())
}

/// What is known of the database that is connected to.
pub(super) async fn cluster(mut conn: Conn<'_>) -> Result<Cluster, StoreError> {
    let Some(version) = version(conn).await? else { return Ok(Cluster::default()) };
    let statement = Statement::<(Bool, Bool, BigInt, BigInt)>::new(
        "SELECT (SELECT groupid = 0 FROM pg_dist_local_group), \
         EXISTS (SELECT 1 FROM pg_dist_node WHERE groupid = 0), \
         (SELECT count(*) FROM pg_dist_node WHERE groupid <> 0 AND noderole = 'primary' AND isactive AND shouldhaveshards), \
         (SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'accounts'::regclass)",
    );
    let (is_coordinator, coordinator_is_known, workers, shards): (bool, bool, i64, i64) =
        statement.get_result(&mut conn).await?;
    let tables = tables(conn).await?;
    let is_sharded = matches!(tables.get(ACCOUNTS), Some(Lies::Sharded { .. }));
    Ok(Cluster {
        version: Some(version),
        is_coordinator,
        coordinator_is_known,
        workers,
        shards: is_sharded.then_some(shards),
        tables,
    })
}

/// How those tables lie that the cluster knows; partitions lie as what they are parts of.
async fn tables(mut conn: Conn<'_>) -> Result<BTreeMap<String, Lies>, StoreError> {
    let statement = Statement::<(Text, Text, Text, Text, Bool, Bool)>::new(
        "SELECT c.relname::text, p.partmethod::text, p.repmodel::text, \
         coalesce(column_to_column_name(p.logicalrelid, p.partkey), ''), coalesce(p.colocationid = a.colocationid, false), \
         p.autoconverted FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid \
         LEFT JOIN pg_dist_partition a ON a.logicalrelid = 'accounts'::regclass \
         WHERE NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace",
    );
    let found: Vec<(String, String, String, String, bool, bool)> = statement.load(&mut conn).await?;
    let lies = |(table, method, model, column, beside_accounts, by_itself): (
        String,
        String,
        String,
        String,
        bool,
        bool,
    )| {
        let lies = match (method.as_str(), model.as_str()) {
            ("h", _) => Lies::Sharded { column, beside_accounts },
            ("n", "t") => Lies::Everywhere,
            ("n", "s") => Lies::OnCoordinator { by_itself },
            _ => Lies::Otherwise,
        };
        (table, lies)
    };
    Ok(found.into_iter().map(lies).collect())
}

/// Servers, and others of this program, that are connected to the database, as far as they stay: where they are and since when.
pub(super) async fn others(conn: Conn<'_>) -> Result<Vec<String>, StoreError> {
    let looked = tokio::time::Instant::now();
    loop {
        let found = sessions(conn).await?;
        if found.is_empty() || looked.elapsed() >= ENDING {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn sessions(mut conn: Conn<'_>) -> Result<Vec<String>, StoreError> {
    let statement = Statement::<Text>::new(
        "SELECT format('process %s of role %s from %s', pid, usename, coalesce(client_addr::text, 'this machine')) \
         FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'abacus' AND pid <> pg_backend_pid() \
         ORDER BY pid LIMIT 20",
    );
    Ok(statement.load(&mut conn).await?)
}

/// The workers whose sessions do not set what they are to.
pub(super) async fn workers_without_settings(mut conn: Conn<'_>) -> Result<Vec<String>, StoreError> {
    let wanted: Vec<String> =
        WORKER_SETTINGS.iter().map(|(name, value)| format!("'{name}={value}'")).collect();
    let asked = format!(
        "SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, UNNEST(s.setconfig) c \
         WHERE d.datname = current_database() AND s.setrole = 0 AND c IN ({})",
        wanted.join(", ")
    );
    let statement = Statement::<Text>::new("SELECT nodename || ':' || nodeport FROM run_command_on_workers(")
        .text(asked)
        .sql(") WHERE NOT success OR result <> ")
        .text(WORKER_SETTINGS.len().to_string())
        .sql(" ORDER BY 1");
    Ok(statement.load(&mut conn).await?)
}

/// Has the sessions of all workers set it. A worker would have the coordinator do so, for all nodes.
pub(super) async fn set_on_workers(mut conn: Conn<'_>) -> Result<(), StoreError> {
    let each = WORKER_SETTINGS.iter().map(|(name, value)| {
        format!("EXECUTE format('ALTER DATABASE %I SET {name} = %L', current_database(), '{value}'); ")
    });
    let all = format!(
        "DO $do$ BEGIN PERFORM set_config('citus.enable_ddl_propagation', 'off', true); {}END $do$",
        each.collect::<String>()
    );
    let statement = Statement::<Text>::new(
        "SELECT nodename || ':' || nodeport || ': ' || result FROM run_command_on_workers(",
    )
    .text(all)
    .sql(") WHERE NOT success");
    let failed: Vec<String> = statement.load(&mut conn).await?;
    if failed.is_empty() {
        return Ok(());
    }
    Err(StoreError::Broken(format!("the workers' sessions cannot be set up: {}", failed.join("; "))))
}
