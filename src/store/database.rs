//! Connections: how they are made, pooled, and watched.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::ConnectionResult;
use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel_async::pooled_connection::bb8::Pool;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolableConnection, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;

use super::error::StoreError;

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
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A pooled connection.
pub type Connection = diesel_async::pooled_connection::bb8::PooledConnection<'static, AsyncPgConnection>;

/// A connection of one's own.
pub type OwnConnection = AsyncPgConnection;

/// The database of one server: a pool for reading and small writes, and the way to open further connections.
#[derive(Clone)]
pub struct Database {
    url: String,
    pool: Pool<AsyncPgConnection>,
    statements: Arc<AtomicU64>,
}

impl Database {
    /// Makes the pool; connections are opened when they are needed, so the database may come up later.
    pub fn new(url: &str, connections_max: u32) -> Result<Self, StoreError> {
        let url = with_session_settings(url)?;
        let statements = Arc::new(AtomicU64::new(0));
        let mut config = ManagerConfig::<AsyncPgConnection>::default();
        let counter = Arc::clone(&statements);
        config.custom_setup = Box::new(move |url| establish(url.to_owned(), Arc::clone(&counter)).boxed());
        config.recycling_method = RecyclingMethod::CustomFunction(Box::new(|connection| {
            let broken = connection.is_broken();
            async move { if broken { Err(diesel::result::Error::BrokenTransactionManager) } else { Ok(()) } }
                .boxed()
        }));
        let manager = AsyncDieselConnectionManager::new_with_config(url.clone(), config);
        let pool = Pool::builder()
            .max_size(connections_max)
            .connection_timeout(CONNECT_TIMEOUT)
            .test_on_check_out(true)
            .build_unchecked(manager);
        Ok(Self { url, pool, statements })
    }

    /// A connection from the pool, within 5 seconds.
    pub async fn connection(&self) -> Result<Connection, StoreError> {
        self.pool.get_owned().await.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Ends a pooled session for good: one that was opened while the database was read-only stays read-only.
    pub async fn discard(&self, mut connection: Connection) {
        let ending = connection.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())");
        // It ends with an error, as it is meant to, or is gone already.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, ending).await;
    }

    /// A connection of one's own.
    pub async fn dedicated_connection(&self) -> Result<OwnConnection, StoreError> {
        let connecting = establish(self.url.clone(), Arc::clone(&self.statements));
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connection) => connection.map_err(|error| StoreError::Unavailable(error.to_string())),
            Err(_) => Err(StoreError::Unavailable("no connection within 5 seconds".to_owned())),
        }
    }

    /// A connection of one's own whose statements may take so many seconds.
    pub async fn reading_connection(&self, seconds: i64) -> Result<OwnConnection, StoreError> {
        let mut connection = self.dedicated_connection().await?;
        connection.batch_execute(&format!("SET statement_timeout = '{seconds}s'")).await?;
        Ok(connection)
    }

    /// How many statements were sent so far, BEGIN and COMMIT among them.
    pub fn statements_sent(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Where it connects to.
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn establish(url: String, statements: Arc<AtomicU64>) -> ConnectionResult<AsyncPgConnection> {
    let mut connection = AsyncPgConnection::establish(&url).await?;
    connection.set_instrumentation(StatementCount(statements));
    Ok(connection)
}

/// Names the connection and sets its limits, on every connection alike.
fn with_session_settings(url: &str) -> Result<String, StoreError> {
    let malformed = |error: tokio_postgres::Error| StoreError::Internal(format!("DATABASE_URL: {error}"));
    tokio_postgres::Config::from_str(url).map_err(malformed)?;
    let options: Vec<String> =
        SESSION_SETTINGS.iter().map(|(name, value)| format!("-c {name}={value}")).collect();
    let options = options.join(" ");
    let encoded = options.replace(' ', "%20").replace('=', "%3D");
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{separator}application_name=abacus&connect_timeout=5&options={encoded}"))
}

/// Counts statements, for the metrics and for the tests that bound how many a request needs.
struct StatementCount(Arc<AtomicU64>);

impl Instrumentation for StatementCount {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { .. } = event {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
