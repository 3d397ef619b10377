//! The session of whoever migrates: one at a time, and never in others' way for long.
//!
//! A statement that waits for a table has everybody wait who comes to that table after it. So each try waits for a few seconds,
//! is taken back as a whole, lets those pass, and begins anew; until others' locks were waited for as long as may be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::{Bool, Integer, Text};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::MigrationHarness;
use tokio::time::sleep;

use super::super::Conn;
use super::super::database::{Database, OwnConnection};
use super::super::distribution::is_cluster;
use super::super::error::StoreError;
use super::super::sql::statement::Statement;
use super::in_the_way::{MIGRATING, Watch, migrating, told};
use super::pending::{Pending, failed};

/// So long a try waits for a lock, and so long those pass that it has kept waiting.
const TRY: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks whether another migrates still.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const TELL_EVERY: Duration = Duration::from_secs(3);
/// Whoever looks for servers does not take it for one.
const OWN_NAME: &str = "SET application_name = 'abacus migrate'";
/// Guards of tables on shards only refuse. A migration that changes tables and rows does one after the other.
const ON_A_CLUSTER: &str =
    "SET citus.enable_unsafe_triggers = on; SET citus.multi_shard_modify_mode = 'sequential'";

pub(super) struct Session {
    connection: OwnConnection,
    watch: Watch,
    lock_wait: Duration,
}

impl Session {
    /// Waits until nobody else migrates.
    pub(super) async fn open(
        database: &Database,
        mut connection: OwnConnection,
        lock_wait: Duration,
    ) -> Result<Self, StoreError> {
        connection.batch_execute(&format!("SET statement_timeout = 0; {OWN_NAME}")).await?;
        if is_cluster(&connection).await? {
            connection.batch_execute(ON_A_CLUSTER).await?;
        }
        enter(&connection, lock_wait).await?;
        let pid: i32 =
            Statement::<Integer>::new("SELECT pg_backend_pid()").get_result(&mut connection).await?;
        let mut watching = database.dedicated_connection().await?;
        watching.batch_execute(OWN_NAME).await?;
        let watch = Watch::new(watching, pid);
        Ok(Self { connection, watch, lock_wait })
    }

    pub(super) fn conn(&self) -> Conn<'_> {
        &self.connection
    }

    pub(super) fn connection(&mut self) -> &mut OwnConnection {
        &mut self.connection
    }

    /// Runs a migration, the whole of it or nothing. One that runs outside a transaction (an index that is built beside those who
    /// write) keeps nobody waiting, and is tried once.
    pub(super) async fn run<S>(self, source: &Arc<S>, migration: &Pending) -> Result<Self, StoreError>
    where
        S: MigrationSource<Pg> + Send + Sync + 'static,
    {
        let Self { mut connection, mut watch, lock_wait } = self;
        let patience = if migration.in_transaction { TRY.min(lock_wait) } else { lock_wait };
        connection.batch_execute(&format!("SET lock_timeout = {}", patience.as_millis())).await?;
        if !migration.in_transaction {
            drop_unfinished_indexes(&mut connection).await?;
        }
        let begin = Instant::now();
        loop {
            let outcome;
            (connection, outcome) = tokio::select! {
                tried = attempt(connection, Arc::clone(source), migration.clone()) => tried?,
                never = watch.look(&migration.name) => match never {},
            };
            match outcome {
                Ok(()) => return Ok(Self { connection, watch, lock_wait }),
                Err(StoreError::Contended(_)) if migration.in_transaction && begin.elapsed() < lock_wait => {
                    sleep(PAUSE).await;
                }
                Err(StoreError::Contended(why)) => {
                    return Err(gave_up(migration, begin.elapsed(), &told(&watch.seen), &why));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits until nobody else migrates. Asked again and again: who waited in a statement would have whoever builds an index wait for
/// its end.
async fn enter(mut conn: Conn<'_>, lock_wait: Duration) -> Result<(), StoreError> {
    let begin = Instant::now();
    let mut told_at = begin;
    loop {
        let statement = Statement::<Bool>::new("SELECT pg_try_advisory_lock(").bigint(MIGRATING).sql(")");
        if statement.get_result::<bool>(&mut conn).await? {
            return Ok(());
        }
        let others = told(&migrating(conn).await?);
        if begin.elapsed() >= lock_wait {
            let waited = begin.elapsed().as_secs();
            return Err(StoreError::Unavailable(format!(
                "another migrates it, and has for {waited} s: {others}. Start again when it is done (ABACUS_MIGRATE_LOCK_WAIT)"
            )));
        }
        if told_at.elapsed() >= TELL_EVERY {
            tracing::warn!(held_by = others, "waiting for another to migrate the database");
            told_at = Instant::now();
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Runs a migration once: diesel's part of it blocks.
async fn attempt<S>(
    connection: OwnConnection,
    source: Arc<S>,
    wanted: Pending,
) -> Result<(OwnConnection, Result<(), StoreError>), StoreError>
where
    S: MigrationSource<Pg> + Send + Sync + 'static,
{
    let trying = move || -> Result<_, StoreError> {
        let all: Vec<Box<dyn Migration<Pg>>> = source.migrations().map_err(failed)?;
        let migration = all.iter().find(|migration| migration.name().version().to_string() == wanted.version);
        let migration = migration.ok_or_else(|| failed("a migration is gone"))?;
        let mut harness = AsyncMigrationHarness::new(connection);
        harness.applied_migrations().map_err(failed)?;
        let outcome = harness.run_migration(migration.as_ref()).map(drop);
        Ok((harness.into_inner(), outcome.map_err(|error| of_migration(&error.to_string()))))
    };
    tokio::task::spawn_blocking(trying).await.map_err(failed)?
}

/// What the database said of a migration.
fn of_migration(message: &str) -> StoreError {
    match StoreError::of_message(message.to_owned()) {
        waited @ StoreError::Contended(_) => waited,
        _ => failed(message),
    }
}

fn gave_up(migration: &Pending, waited: Duration, held_by: &str, why: &str) -> StoreError {
    let name = &migration.name;
    let left = if migration.in_transaction {
        "Nothing of it was done"
    } else {
        "What it began is dropped the next time"
    };
    StoreError::Unavailable(format!(
        "the migration {name} waited for {} s for what others hold: {held_by}. {left}: end that, and start again \
         (ABACUS_MIGRATE_LOCK_WAIT; {why})",
        waited.as_secs(),
    ))
}

/// What a build left that was killed half-way: nobody reads such an index, and everybody who writes keeps it.
async fn drop_unfinished_indexes(connection: &mut OwnConnection) -> Result<(), StoreError> {
    let statement = Statement::<Text>::new(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indexrelid \
         WHERE NOT indisvalid AND c.relkind = 'i' AND pg_has_role(c.relowner, 'USAGE') \
         AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
         AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = indexrelid) ORDER BY 1",
    );
    let unfinished: Vec<String> = statement.load(&mut &*connection).await?;
    for index in unfinished {
        tracing::warn!(index, "dropping an index whose building was not finished");
        connection.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
    }
    Ok(())
}
