//! A running server: its parts put together, started and stopped in order.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::money::Currencies;
use crate::engine::{Engine, EngineConfig};
use crate::graphql::Limits;
use crate::graphql::app::App;
use crate::http::router;
use crate::http::token::{TokenError, TokenKey};
use crate::jobs::{JobContext, LEASE_SECONDS_DEFAULT, Runner};
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::repository::Store;
use crate::store::{leases, migrations};

/// Requests that are under way when the server stops are answered within this time.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// What a server is made of.
pub struct ServerConfig {
    pub listen: SocketAddr,
    pub database_url: String,
    pub connections_max: u32,
    pub engine: EngineConfig,
    pub currencies: Currencies,
    pub limits: Limits,
    pub clock: Clock,
    pub sandbox: bool,
    /// Whether it runs what falls due by itself.
    pub run_jobs: bool,
    /// How long a lease of the jobs lasts.
    pub job_lease_seconds: i64,
    /// Signs and checks tokens.
    pub secret: Vec<u8>,
}

impl ServerConfig {
    /// The usual settings.
    pub fn new(listen: SocketAddr, database_url: String, secret: Vec<u8>) -> Self {
        Self {
            listen,
            database_url,
            connections_max: 10,
            engine: EngineConfig::default(),
            currencies: Currencies::default(),
            limits: Limits::default(),
            clock: Clock::system(),
            sandbox: false,
            run_jobs: true,
            job_lease_seconds: LEASE_SECONDS_DEFAULT,
            secret,
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    #[error("the metrics could not be set up: {0}")]
    Metrics(String),
}

/// A server that answers.
pub struct Server {
    pub app: Arc<App>,
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    runner: Runner,
}

impl Server {
    /// Migrates the database, and answers from then on.
    pub async fn start(config: ServerConfig) -> Result<Self, StartError> {
        let database = Database::new(&config.database_url, config.connections_max)?;
        for migration in migrations::migrate(&database).await? {
            tracing::info!(%migration, "migrated");
        }
        let tokens = TokenKey::new(&config.secret)?;
        let currencies = Arc::new(config.currencies);
        let engine = Arc::new(Engine::start(&config.engine, &database, &currencies, &config.clock));
        let jobs = JobContext {
            database: database.clone(),
            engine: Arc::clone(&engine),
            clock: config.clock.clone(),
            holder: Uuid::new_v4().to_string(),
            lease_seconds: config.job_lease_seconds,
        };
        follow_clock(&jobs).await?;
        let app = Arc::new(App {
            engine,
            store: Store::new(database),
            currencies,
            clock: config.clock,
            limits: config.limits,
            sandbox: config.sandbox,
            jobs,
        });
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| StartError::Listen(config.listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(config.listen, error))?;
        let (stop, stopping) = watch::channel(false);
        let routes = router(Arc::clone(&app), tokens, metrics_handle()?);
        let serving = tokio::spawn(async move {
            let serving = axum::serve(listener, routes).with_graceful_shutdown(told_to_stop(stopping));
            if let Err(error) = serving.await {
                tracing::error!(%error, "the server ended");
            }
        });
        let runner = Runner::start(app.jobs.clone(), config.run_jobs);
        Ok(Self { app, address, stop, serving, runner })
    }

    /// Takes no new requests, answers those under way, carries out what the engine has taken, and ends.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let mut serving = self.serving;
        if tokio::time::timeout(STOP_TIME_MAX, &mut serving).await.is_err() {
            tracing::warn!("some connections did not end in time");
            serving.abort();
        }
        self.runner.stop().await;
        self.app.engine.stop().await;
    }
}

/// A sandbox goes on where its clock was.
async fn follow_clock(jobs: &JobContext) -> Result<(), StoreError> {
    if jobs.clock.offset_micros().is_some() {
        jobs.clock.keep_up_with(leases::clock_offset(&*jobs.database.connection().await?).await?);
    }
    Ok(())
}

/// Runs what falls due by itself, and answers nobody.
pub struct JobServer {
    engine: Arc<Engine>,
    runner: Runner,
}

impl JobServer {
    /// Migrates the database, and runs from then on.
    pub async fn start(config: ServerConfig) -> Result<Self, StartError> {
        let database = Database::new(&config.database_url, config.connections_max)?;
        for migration in migrations::migrate(&database).await? {
            tracing::info!(%migration, "migrated");
        }
        let currencies = Arc::new(config.currencies);
        let engine = Arc::new(Engine::start(&config.engine, &database, &currencies, &config.clock));
        let holder = Uuid::new_v4().to_string();
        let lease_seconds = config.job_lease_seconds;
        let jobs =
            JobContext { database, engine: Arc::clone(&engine), clock: config.clock, holder, lease_seconds };
        follow_clock(&jobs).await?;
        Ok(Self { engine, runner: Runner::start(jobs, true) })
    }

    /// Lets what is under way come to its end.
    pub async fn stop(self) {
        self.runner.stop().await;
        self.engine.stop().await;
    }
}

async fn told_to_stop(mut stopping: watch::Receiver<bool>) {
    // A server that is dropped is told so, too.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// One recorder for the process, however many servers run in it.
fn metrics_handle() -> Result<PrometheusHandle, StartError> {
    static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    let install = || {
        PrometheusBuilder::new()
            .set_buckets(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
            .and_then(PrometheusBuilder::install_recorder)
            .map_err(|error| error.to_string())
    };
    HANDLE.get_or_init(install).clone().map_err(StartError::Metrics)
}
