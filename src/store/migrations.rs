//! The database's own schema: brought up to date by who owns it, and checked.

mod in_the_way;
mod pending;
mod plan;
mod session;

use std::sync::Arc;
use std::time::Duration;

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel_async::RunQueryDsl;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use pending::failed;
use session::Session;

use super::database::Database;
use super::distribution::{self, Due, NotDistributed};
use super::error::StoreError;
use super::sql::statement::Statement;
use super::{Conn, rights};

pub use pending::Pending;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// How long others' locks are waited for, unless something else is said.
pub const LOCK_WAIT_DEFAULT: Duration = Duration::from_secs(120);

/// Brings the schema up to date.
pub struct Migrator {
    server: Database,
    /// Who owns the schema, where that is not the server's own role.
    owner: Option<Database>,
    lock_wait: Duration,
}

impl Migrator {
    /// The server's own role migrates, unless an `owner` does; others' locks are waited for so long.
    pub fn new(server: &Database, owner_url: Option<&str>, lock_wait: Duration) -> Result<Self, StoreError> {
        let owner = owner_url.map(Database::of_owner).transpose()?;
        Ok(Self { server: server.clone(), owner, lock_wait })
    }

    /// Who may change the schema.
    pub fn owner(&self) -> &Database {
        self.owner.as_ref().unwrap_or(&self.server)
    }

    /// The migrations that have not run yet.
    pub async fn pending(&self) -> Result<Vec<Pending>, StoreError> {
        pending(&self.owner().dedicated_connection().await?, &MIGRATIONS).await
    }

    /// Runs them, and answers their names; the server's role has the rights that this version needs then (rights.rs).
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.migrate_from(MIGRATIONS).await
    }

    /// The same with the migrations of another version.
    pub async fn migrate_from<S>(&self, source: S) -> Result<Vec<String>, StoreError>
    where
        S: MigrationSource<Pg> + Send + Sync + 'static,
    {
        let connection = self.owner().dedicated_connection().await?;
        let role = self.served_by().await?;
        // Who has nothing to do waits for nobody; and a role that owns nothing starts on what another has brought up to date.
        if pending(&connection, &source).await?.is_empty()
            && is_served(&connection, &source, role.as_deref()).await?
            && distribution::left_behind(&connection).await?.is_none()
        {
            return Ok(Vec::new());
        }
        require_creator(&connection).await?;
        let mut session = Session::open(self.owner(), connection, self.lock_wait).await?;
        let source = Arc::new(source);
        let mut run = Vec::new();
        // Another may have run some meanwhile.
        for migration in pending(session.conn(), &*source).await? {
            session = session.run(&source, &migration).await?;
            run.push(migration.name);
        }
        if let Some(plan) = distribution::left_behind(session.conn()).await? {
            distribution::place(session.connection(), &plan).await?;
            run.extend(plan.lines());
        }
        if let Some(role) = role
            && is_newest(session.conn(), &*source).await?
        {
            rights::see_to(session.connection(), &role).await?;
        }
        Ok(run)
    }

    /// What there is to do so that the database is distributed over the nodes of its cluster, on so many shards if that is said.
    pub async fn distribution_due(&self, shards: Option<u16>) -> Result<Due, NotDistributed> {
        let connection = self.owner().dedicated_connection().await?;
        require_current(&connection).await?;
        distribution::due(&connection, shards).await
    }

    /// Does that, all of it or nothing, while nobody migrates and no server is connected; answers what there was to do.
    pub async fn distribute(&self, shards: Option<u16>) -> Result<Due, NotDistributed> {
        let connection = self.owner().dedicated_connection().await?;
        require_current(&connection).await?;
        require_creator(&connection).await?;
        let role = self.served_by().await?;
        let mut session = Session::open(self.owner(), connection, self.lock_wait).await?;
        let done = distribution::distribute(session.connection(), shards).await?;
        if let Some(role) = role {
            rights::see_to(session.connection(), &role).await?;
        }
        Ok(done)
    }

    /// The server's role, if it is another than the owner's.
    async fn served_by(&self) -> Result<Option<String>, StoreError> {
        let Some(owner) = &self.owner else { return Ok(None) };
        let role = rights::role_of(&self.server).await?;
        Ok((role != rights::role_of(owner).await?).then_some(role))
    }
}

/// What is not current is not distributed.
async fn require_current(conn: Conn<'_>) -> Result<(), NotDistributed> {
    if pending(conn, &MIGRATIONS).await?.is_empty() { Ok(()) } else { Err(NotDistributed::NotCurrent) }
}

/// Those of a source that have not run yet, in their order.
async fn pending<S: MigrationSource<Pg>>(conn: Conn<'_>, source: &S) -> Result<Vec<Pending>, StoreError> {
    let mut all = migrations_of(source)?;
    let run = versions_run(conn).await?;
    all.retain(|migration| !run.contains(&migration.version));
    all.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(all)
}

fn migrations_of<S: MigrationSource<Pg>>(source: &S) -> Result<Vec<Pending>, StoreError> {
    let migrations: Vec<Box<dyn Migration<Pg>>> = source.migrations().map_err(failed)?;
    Ok(migrations.iter().map(|migration| Pending::of(migration.as_ref())).collect())
}

async fn versions_run(mut conn: Conn<'_>) -> Result<Vec<String>, StoreError> {
    let there = Statement::<Bool>::new("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL");
    if !there.get_result::<bool>(&mut conn).await? {
        return Ok(Vec::new());
    }
    Ok(Statement::<Text>::new("SELECT version::text FROM __diesel_schema_migrations").load(&mut conn).await?)
}

/// Whether the server's role has its rights, if it is another than the owner's and they are for this version to judge.
async fn is_served<S: MigrationSource<Pg>>(
    conn: Conn<'_>,
    source: &S,
    role: Option<&str>,
) -> Result<bool, StoreError> {
    let Some(role) = role else { return Ok(true) };
    Ok(!is_newest(conn, source).await? || rights::are_as_wanted(conn, role).await?)
}

/// Whether no later version has migrated the database: what rights that has given is not this one's to judge.
async fn is_newest<S: MigrationSource<Pg>>(conn: Conn<'_>, source: &S) -> Result<bool, StoreError> {
    let known = migrations_of(source)?;
    let run = versions_run(conn).await?;
    Ok(run.iter().all(|version| known.iter().any(|migration| migration.version == *version)))
}

/// Who may make nothing in the schema is told what to do about it.
async fn require_creator(mut conn: Conn<'_>) -> Result<(), StoreError> {
    let asked = Statement::<(Text, Bool)>::new(
        "SELECT current_user::text, coalesce(has_schema_privilege(current_schema()::text, 'CREATE'), false)",
    );
    let (role, may_create): (String, bool) = asked.get_result(&mut conn).await?;
    if may_create {
        return Ok(());
    }
    Err(StoreError::Broken(format!(
        "its schema is not current, and the role \"{role}\" may not change it: run `abacus migrate` with the owner's address in \
         ABACUS_MIGRATE_URL"
    )))
}

/// Whether every migration of this server has run, and the database can be written.
pub async fn is_ready(mut conn: Conn<'_>) -> Result<bool, StoreError> {
    let versions: Vec<String> =
        migrations_of(&MIGRATIONS)?.into_iter().map(|migration| migration.version).collect();
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
