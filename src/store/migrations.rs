//! The database's own schema: brought up to date, and checked.

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::Conn;
use super::database::Database;
use super::error::StoreError;
use super::statement::Statement;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// Servers that start together migrate one after the other. A migration may take its time.
const PREPARE: &str =
    "SET statement_timeout = 0; SET lock_timeout = 0; SELECT pg_advisory_lock(4702394921427289928)";

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Internal(format!("migrating the database: {error}"))
}

/// Runs the migrations that have not run yet, and answers their versions.
pub async fn migrate(database: &Database) -> Result<Vec<String>, StoreError> {
    let mut connection = database.dedicated_connection().await?;
    connection.batch_execute(PREPARE).await?;
    tokio::task::spawn_blocking(move || {
        let mut harness = AsyncMigrationHarness::new(connection);
        let run = harness.run_pending_migrations(MIGRATIONS).map_err(failed)?;
        Ok(run.iter().map(ToString::to_string).collect())
    })
    .await
    .map_err(failed)?
}

fn versions() -> Result<Vec<String>, StoreError> {
    let migrations: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().map_err(failed)?;
    Ok(migrations.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// Whether every migration of this server has run, and the database can be written.
pub async fn is_ready(mut conn: Conn<'_>) -> Result<bool, StoreError> {
    let versions = versions()?;
    let expected = versions.len();
    let statement = Statement::<(BigInt, Bool)>::new(
        "SELECT count(*), current_setting('transaction_read_only')::bool FROM __diesel_schema_migrations \
         WHERE version = ANY(",
    )
    .value::<Array<Text>, _>(versions)
    .sql(")");
    let (run, read_only): (i64, bool) = statement.get_result(&mut conn).await?;
    if read_only {
        return Err(StoreError::Unavailable("the database is read-only".to_owned()));
    }
    Ok(usize::try_from(run) == Ok(expected))
}
