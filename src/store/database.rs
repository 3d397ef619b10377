//! Connections: how they are made, pooled, and watched.

mod connect_failure;

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{Bool, Text};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::bb8::{Pool, RunError};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolableConnection, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::{Config, NoTls};

use super::clock_check::require_right_clock;
use super::error::StoreError;
use super::places::Topology;
use super::sql::statement::Statement;
use crate::domain::anchor::AnchorKeys;
use crate::domain::seal::SealKeys;

/// What every connection sets for itself. Every statement is a look-up through an index, with few parameters that change
/// its best plan: so it is planned once, for whatever values come, and never as a scan, even while tables are new and
/// small (docs/adr/0004-planned-once.md).
const SESSION_SETTINGS: [(&str, &str); 10] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("client_encoding", "UTF8"),
    ("plan_cache_mode", "force_generic_plan"),
    // Indexes are cached, or on disks without a head to move.
    ("random_page_cost", "1.1"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];
/// Errors are told apart by PostgreSQL's words, where diesel keeps no more of them (error.rs). Not every role may say in which
/// language they are to be.
const IN_ENGLISH: &str = "SET lc_messages = 'C'";
/// Which shard a statement goes to is only known once its values are (docs/adr/0041).
const PLANNED_EACH_TIME: &str = "SET plan_cache_mode = 'auto'";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A machine that is gone without a word is noticed within a minute.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// A session that was opened while the database was read-only stays read-only. So long after one was found so, new ones are asked
/// whether they are, and where they are not, pooled ones are asked before they are used.
const READ_ONLY_SUSPECTED: Duration = Duration::from_secs(60);

/// A pooled connection.
pub type Connection = diesel_async::pooled_connection::bb8::PooledConnection<'static, AsyncPgConnection>;

/// A connection of one's own.
pub type OwnConnection = AsyncPgConnection;

/// What writes, on a connection of the pool: one statement, or one transaction.
pub type Writing<'c, T> = BoxFuture<'c, Result<T, StoreError>>;

/// The database of one server: a pool for reading and small writes, and the way to open further connections.
#[derive(Clone)]
pub struct Database {
    config: Config,
    pool: Pool<AsyncPgConnection>,
    /// For what is written beside the engine: readers do not leave it without.
    writers: Pool<AsyncPgConnection>,
    connections_max: u32,
    common: Common,
    keys: Keys,
}

/// What all connections share.
#[derive(Clone, Default)]
struct Common {
    seen: Arc<Seen>,
    topology: Arc<Topology>,
}

/// What is kept outside the database.
#[derive(Clone)]
struct Keys {
    /// What rows are sealed with.
    seal: Arc<SealKeys>,
    /// What anchors are signed and checked with.
    anchor: Arc<AnchorKeys>,
}

impl Keys {
    fn of_sandbox() -> Self {
        Self { seal: Arc::new(SealKeys::of_sandbox()), anchor: Arc::new(AnchorKeys::of_sandbox()) }
    }
}

/// Connections for writing beside the engine, which is seldom done.
const WRITERS: u32 = 2;
/// Whoever migrates has one, beside those that it opens for itself.
const OWNERS: u32 = 1;
/// So long a pool counts as starved after someone waited in vain for one of its connections.
const STARVED: Duration = Duration::from_secs(10);

impl Database {
    /// Makes the pool; connections are opened when they are needed, so the database may come up later. Rows are sealed, and anchors signed, as a
    /// sandbox's, unless it is said with what.
    pub fn new(url: &str, connections_max: u32) -> Result<Self, StoreError> {
        Self::of_setting(url, "DATABASE_URL", connections_max)
    }

    /// The same of an address that another setting gives.
    pub fn of_setting(url: &str, setting: &str, connections_max: u32) -> Result<Self, StoreError> {
        let config = session_config(url, setting)?;
        Ok(Self::with(config, Common::default(), Keys::of_sandbox(), connections_max))
    }

    /// The same database for who owns its schema, and migrates it.
    pub fn of_owner(url: &str) -> Result<Self, StoreError> {
        let config = session_config(url, "ABACUS_MIGRATE_URL")?;
        Ok(Self::with(config, Common::default(), Keys::of_sandbox(), OWNERS))
    }

    fn with(config: Config, common: Common, keys: Keys, connections_max: u32) -> Self {
        let (pool, writers) = (pool(&config, &common, connections_max), pool(&config, &common, WRITERS));
        Self { config, pool, writers, connections_max, common, keys }
    }

    /// The same database with connections of its own, for those who must not be left without by others.
    pub fn beside(&self, connections_max: u32) -> Self {
        let (config, common, keys) = (self.config.clone(), self.common.clone(), self.keys.clone());
        Self::with(config, common, keys, connections_max)
    }

    /// The same database, whose rows are sealed with these keys; otherwise with a sandbox's.
    pub fn sealed_with(self, seal: Arc<SealKeys>) -> Self {
        let keys = Keys { seal, ..self.keys };
        Self { keys, ..self }
    }

    /// The same database, whose anchors are signed and checked with these keys; otherwise with a sandbox's.
    pub fn anchored_with(self, anchor: Arc<AnchorKeys>) -> Self {
        let keys = Keys { anchor, ..self.keys };
        Self { keys, ..self }
    }

    /// What anchors are signed and checked with.
    pub fn anchor_keys(&self) -> &Arc<AnchorKeys> {
        &self.keys.anchor
    }

    /// Where accounts live.
    pub fn topology(&self) -> &Topology {
        &self.common.topology
    }

    /// What rows are sealed with.
    pub fn keys(&self) -> &Arc<SealKeys> {
        &self.keys.seal
    }

    /// How many connections its pool has.
    pub fn connections_max(&self) -> u32 {
        self.connections_max
    }

    /// A connection from the pool, within 5 seconds.
    pub async fn connection(&self) -> Result<Connection, StoreError> {
        self.connection_of(&self.pool).await
    }

    async fn connection_of(&self, pool: &Pool<AsyncPgConnection>) -> Result<Connection, StoreError> {
        pool.get_owned().await.map_err(|error| {
            // Where the database is away there are none to be had at all.
            let state = pool.state();
            if matches!(error, RunError::TimedOut) && state.connections > 0 && state.idle_connections == 0 {
                self.common.seen.starved();
            }
            StoreError::Unavailable(error.to_string())
        })
    }

    /// Whether someone has waited in vain for a connection just now.
    pub fn is_starved(&self) -> bool {
        self.common.seen.is_starved()
    }

    /// Has something written by a task of its own: it runs to its end even if the caller leaves, and never stops half-way. A
    /// session that could not write does not go back to the pool. Where the machine's clock is wrong nothing is written.
    pub async fn write<T, W>(&self, writing: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut OwnConnection) -> Writing<'c, T> + Send + 'static,
    {
        let database = self.clone();
        let task = tokio::spawn(async move {
            let mut connection = database.connection_of(&database.writers).await?;
            require_right_clock(&connection).await?;
            let written = writing(&mut connection).await;
            if written.as_ref().is_err_and(StoreError::is_of_the_machinery) {
                database.discard(connection).await;
            }
            written
        });
        task.await.unwrap_or_else(|error| Err(StoreError::Internal(format!("a write did not end: {error}"))))
    }

    /// Ends a pooled session for good: one that was opened while the database was read-only stays read-only.
    pub async fn discard(&self, mut connection: Connection) {
        let ending = connection.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())");
        // It ends with an error, as it is meant to, or is gone already.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, ending).await;
    }

    /// A connection of one's own.
    pub async fn dedicated_connection(&self) -> Result<OwnConnection, StoreError> {
        let connecting = establish(self.config.clone(), self.common.clone());
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(ConnectionError::BadConnection(why))) => Err(StoreError::Unavailable(why)),
            Ok(Err(error)) => Err(StoreError::Unavailable(error.to_string())),
            Err(_) => Err(StoreError::Unavailable(connect_failure::no_answer(&self.config))),
        }
    }

    /// A connection of one's own in a transaction that never ends: what it writes goes with it.
    pub async fn trial_connection(&self) -> Result<OwnConnection, StoreError> {
        let mut connection = self.dedicated_connection().await?;
        <OwnConnection as AsyncConnection>::TransactionManager::begin_transaction(&mut connection).await?;
        Ok(connection)
    }

    /// A connection of one's own whose statements may take so many seconds.
    pub async fn reading_connection(&self, seconds: i64) -> Result<OwnConnection, StoreError> {
        let mut connection = self.dedicated_connection().await?;
        connection.batch_execute(&format!("SET statement_timeout = '{seconds}s'")).await?;
        Ok(connection)
    }

    /// Where PostgreSQL's messages cannot be understood, the language that they are in and the role that may not change it.
    pub async fn foreign_messages(&self) -> Result<Option<(String, String)>, StoreError> {
        use diesel_async::RunQueryDsl;
        let connection = self.dedicated_connection().await?;
        let mut conn = &connection;
        let wrong = Statement::<Bool>::new("SELECT 1 / 0 = 0").get_result::<bool>(&mut conn).await;
        if wrong.is_err_and(|error| matches!(error.into(), StoreError::Rejected { .. })) {
            return Ok(None);
        }
        let asked =
            Statement::<(Text, Text)>::new("SELECT current_setting('lc_messages'), current_user::text");
        Ok(Some(asked.get_result(&mut conn).await?))
    }

    /// How many statements were sent so far, BEGIN and COMMIT among them.
    pub fn statements_sent(&self) -> u64 {
        self.common.seen.statements.load(Ordering::Relaxed)
    }
}

/// A pool whose connections are opened when they are needed.
fn pool(config: &Config, common: &Common, connections_max: u32) -> Pool<AsyncPgConnection> {
    let mut manager = ManagerConfig::<AsyncPgConnection>::default();
    let (own, shared) = (config.clone(), common.clone());
    manager.custom_setup = Box::new(move |_| establish(own.clone(), shared.clone()).boxed());
    let watching = Arc::clone(&common.seen);
    manager.recycling_method = RecyclingMethod::CustomFunction(Box::new(move |connection| {
        let is_suspect = watching.are_old_ones_suspect();
        usable(connection, is_suspect).boxed()
    }));
    // Where it connects to is in the setup.
    let manager = AsyncDieselConnectionManager::new_with_config(String::new(), manager);
    Pool::builder()
        .max_size(connections_max)
        .connection_timeout(CONNECT_TIMEOUT)
        .test_on_check_out(true)
        .build_unchecked(manager)
}

/// Whether a pooled connection can be used once more.
async fn usable(connection: &mut AsyncPgConnection, is_suspect: bool) -> diesel::QueryResult<()> {
    if connection.is_broken() || (is_suspect && is_read_only(connection).await?) {
        return Err(DieselError::BrokenTransactionManager);
    }
    Ok(())
}

async fn is_read_only(connection: &mut AsyncPgConnection) -> diesel::QueryResult<bool> {
    use diesel_async::RunQueryDsl;
    let asked = Statement::<Bool>::new("SELECT current_setting('transaction_read_only')::bool");
    asked.get_result(connection).await
}

async fn establish(config: Config, Common { seen, topology }: Common) -> ConnectionResult<AsyncPgConnection> {
    let connected = config.connect(NoTls).await;
    let failed = |error| ConnectionError::BadConnection(connect_failure::told(&config, &error));
    let (client, connection) = connected.map_err(failed)?;
    let mut connection = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
    // A role that may not is told of at the start.
    let _ = connection.batch_execute(IN_ENGLISH).await;
    topology.look(&connection).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    if topology.are_shards() {
        let set_up = connection.batch_execute(PLANNED_EACH_TIME).await;
        set_up.map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    if seen.with_read_only(ReadOnly::is_suspected) {
        let is_writable = is_read_only(&mut connection).await.is_ok_and(|is_read_only| !is_read_only);
        seen.with_read_only(|read_only| read_only.new_are_writable = is_writable);
    }
    connection.set_instrumentation(Watching(seen));
    Ok(connection)
}

/// Where to connect to, with the name and the limits of every connection.
fn session_config(url: &str, setting: &str) -> Result<Config, StoreError> {
    // The parser's own words may repeat a part of the password.
    let malformed = |_| {
        let expected = "an address such as postgres://user:password@host:5432/database is expected";
        StoreError::Internal(format!("{setting}: {expected}"))
    };
    let mut config = Config::from_str(url).map_err(malformed)?;
    let mut options: Vec<String> = config.get_options().map(str::to_owned).into_iter().collect();
    options.extend(SESSION_SETTINGS.iter().map(|(name, value)| format!("-c {name}={value}")));
    config
        .options(options.join(" "))
        .application_name("abacus")
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES);
    Ok(config)
}

/// What is seen of all connections.
#[derive(Default)]
struct Seen {
    /// For the metrics and for the tests that bound how many a request needs.
    statements: AtomicU64,
    starved: Mutex<Option<Instant>>,
    read_only: Mutex<ReadOnly>,
}

impl Seen {
    fn starved(&self) {
        metrics::counter!("abacus_connections_starved_total").increment(1);
        *self.starved.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_starved(&self) -> bool {
        let last = *self.starved.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < STARVED)
    }

    fn with_read_only<T>(&self, look: impl FnOnce(&mut ReadOnly) -> T) -> T {
        look(&mut self.read_only.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the pool may have read-only sessions where new ones are not.
    fn are_old_ones_suspect(&self) -> bool {
        self.with_read_only(|read_only| read_only.is_suspected() && read_only.new_are_writable)
    }
}

#[derive(Default)]
struct ReadOnly {
    /// When a session was last found to be so.
    seen: Option<Instant>,
    /// Whether the last session that was opened since is not.
    new_are_writable: bool,
}

impl ReadOnly {
    fn is_suspected(&mut self) -> bool {
        self.seen.is_some_and(|seen| seen.elapsed() < READ_ONLY_SUSPECTED)
    }
}

struct Watching(Arc<Seen>);

impl Instrumentation for Watching {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => {
                self.0.statements.fetch_add(1, Ordering::Relaxed);
            }
            InstrumentationEvent::FinishQuery {
                error: Some(DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _)),
                ..
            } => self.0.with_read_only(|read_only| {
                if !read_only.is_suspected() {
                    read_only.new_are_writable = false;
                }
                read_only.seen = Some(Instant::now());
            }),
            _ => {}
        }
    }
}
