//! A running server: its parts put together, started and stopped in order.

mod connections;
mod foundation;
mod http_listener;
mod job_server;
mod lane_threads;
mod month_billing;
mod start_error;
mod taking_back;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use chrono::TimeDelta;
use connections::Connections;
use foundation::foundation;
use futures_util::future::join_all;
use http_listener::HttpListener;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use url::Url;

use crate::clock::Clock;
use crate::documents::Provider;
use crate::domain::anchor::AnchorKeys;
use crate::domain::cell::CellNumber;
use crate::domain::money::Currencies;
use crate::domain::restoration::Restoration;
use crate::domain::retention::Retention;
use crate::domain::seal::SealKeys;
use crate::domain::usage::Allowance;
use crate::engine::EngineConfig;
use crate::graphql::Limits;
use crate::graphql::app::App;
use crate::graphql::invoice_links::InvoiceLinks;
use crate::http::router;
use crate::http::token::TokenKey;
use crate::jobs::{INVOICE_DELAY_DEFAULT, LEASE_SECONDS_DEFAULT, Runner};
use crate::metering::Meter;
use crate::payments::DepositSettings;
use crate::payments::stripe::StripeConfig;
use crate::payments::stripe::webhook::Webhook;
use crate::store::access::Store;
use crate::store::cells::Cells;
use crate::store::error::StoreError;
use crate::store::migrations::LOCK_WAIT_DEFAULT;
use crate::store::restorations::restorations;
use crate::store::turns::Turns;

pub use connections::ConnectionLimits;
pub use foundation::join_cells;
pub use http_listener::Port;
pub use job_server::JobServer;
pub use lane_threads::LaneThreads;
pub use month_billing::{BillingError, bill_month};
pub use start_error::StartError;
pub use taking_back::take_back;

/// Connections of the jobs of a server, beside those of its requests: neither is left without for the other.
const JOB_CONNECTIONS: u32 = 4;

/// Forecasts that are made at once: for one account, and for the provider's people.
const FORECASTS_OF_ACCOUNT: usize = 1;
const FORECASTS_OF_PROVIDER: usize = 2;
/// More than one request may ask for.
const FORECASTS_WAITING_MAX: usize = 400;

/// What invoices call the provider that says nothing of itself.
pub const PROVIDER_DEFAULT: &str = "Abacus";

/// What a server is made of.
pub struct ServerConfig {
    pub listen: SocketAddr,
    pub database_url: String,
    /// What the ledger is sealed with.
    pub ledger_keys: SealKeys,
    /// What anchors of the ledger are signed with.
    pub anchor_keys: AnchorKeys,
    /// For the role that owns the schema and migrates it; None: the server's own does.
    pub owner_url: Option<String>,
    /// Where accounts are spread over several databases: all of them, the home cell first, in place of the two before.
    pub cells: Vec<CellConfig>,
    /// Whether the one database may be that of a cell, as what is done is done in it alone.
    pub of_one_cell: bool,
    /// How long a migration waits for what others hold.
    pub lock_wait: Duration,
    pub connections_max: u32,
    /// The clients that may be connected.
    pub clients: ConnectionLimits,
    pub engine: EngineConfig,
    pub currencies: Currencies,
    pub limits: Limits,
    pub clock: Clock,
    pub sandbox: bool,
    /// The chain that tokens are taken on; None: a sandbox plays one, and others take none.
    pub deposits: Option<DepositSettings>,
    /// Whether it runs what falls due by itself.
    pub run_jobs: bool,
    /// How long a lease of the jobs lasts.
    pub job_lease_seconds: i64,
    /// When the time of reported usage may lie.
    pub usage_allowance: Allowance,
    /// Signs and checks tokens, and links to invoices.
    pub secret: Vec<u8>,
    /// Who charges cards; None: nobody, or in a sandbox the sandbox.
    pub stripe: Option<StripeConfig>,
    /// What Stripe signs its events with.
    pub stripe_webhook_secrets: Vec<String>,
    /// Who bills, as invoices say.
    pub provider: Provider,
    /// Where customers reach the server: links to invoices are absolute then.
    pub public_url: Option<Url>,
    /// How long after a month's end its invoices are issued.
    pub invoice_delay: TimeDelta,
    /// How long what is no part of the books is kept.
    pub retention: Retention,
    /// Whether look-ups are async-graphql's DataLoader's instead of the request's own, to compare the two (docs/adr/0006).
    pub data_loaders: bool,
}

impl ServerConfig {
    /// The usual settings.
    pub fn new(listen: SocketAddr, database_url: String, secret: Vec<u8>) -> Self {
        Self {
            listen,
            database_url,
            ledger_keys: SealKeys::of_sandbox(),
            anchor_keys: AnchorKeys::of_sandbox(),
            owner_url: None,
            cells: Vec::new(),
            of_one_cell: false,
            lock_wait: LOCK_WAIT_DEFAULT,
            connections_max: 10,
            clients: ConnectionLimits::default(),
            engine: EngineConfig::default(),
            currencies: Currencies::default(),
            limits: Limits::default(),
            clock: Clock::system(),
            sandbox: false,
            deposits: None,
            run_jobs: true,
            job_lease_seconds: LEASE_SECONDS_DEFAULT,
            usage_allowance: Allowance::default(),
            secret,
            stripe: None,
            stripe_webhook_secrets: Vec::new(),
            provider: Provider {
                name: PROVIDER_DEFAULT.to_owned(),
                address: Vec::new(),
                tax_id: None,
                logo: None,
            },
            public_url: None,
            invoice_delay: INVOICE_DELAY_DEFAULT,
            retention: Retention::default(),
            data_loaders: false,
        }
    }
}

/// One of the databases that accounts are spread over.
#[derive(Debug, Clone)]
pub struct CellConfig {
    pub number: CellNumber,
    pub name: String,
    pub database_url: String,
    /// For the role that owns its schema and migrates it; None: the server's own does.
    pub owner_url: Option<String>,
}

/// A server that answers.
pub struct Server {
    pub app: Arc<App>,
    pub address: SocketAddr,
    listener: HttpListener,
    runners: Vec<Runner>,
}

/// A server that answers nobody yet.
pub struct Prepared {
    pub app: Arc<App>,
    routes: Router,
    clients: ConnectionLimits,
    run_jobs: bool,
}

impl Prepared {
    /// Migrates the database, and starts what writes.
    pub async fn new(config: ServerConfig) -> Result<Self, StartError> {
        let tokens = TokenKey::new(&config.secret)?;
        let (cells, cell_jobs) = foundation(&config, JOB_CONNECTIONS, true).await?;
        let restorations = restorations_of(&cells).await?;
        let store = Store::new(cells);
        let jobs = cell_jobs.home().clone();
        let currencies = Arc::new(config.currencies);
        let app = Arc::new(App {
            engine: Arc::clone(&jobs.engine),
            meter: Meter::start(
                config.engine.lanes,
                &store,
                &jobs.engine,
                &currencies,
                &config.clock,
                config.usage_allowance,
            ),
            store,
            currencies,
            policies: config.engine.policies,
            clock: config.clock,
            limits: config.limits,
            sandbox: config.sandbox,
            jobs,
            cell_jobs,
            invoice_links: InvoiceLinks::new(&config.secret, config.public_url),
            data_loaders: config.data_loaders,
            restorations,
            forecasts: Turns::new(FORECASTS_OF_ACCOUNT, FORECASTS_OF_PROVIDER, FORECASTS_WAITING_MAX),
        });
        let webhook = Webhook::new(config.stripe_webhook_secrets);
        let routes = router(Arc::clone(&app), tokens, webhook, config.provider, metrics_handle()?);
        Ok(Self { app, routes, clients: config.clients, run_jobs: config.run_jobs })
    }

    /// Answers from now on.
    pub fn serve(self, port: Port) -> Result<Server, StartError> {
        let Self { app, routes, clients, run_jobs } = self;
        let listener = HttpListener::start(port, routes, Connections::new(clients))?;
        let runners = app.cell_jobs.all().map(|jobs| Runner::start(jobs.clone(), run_jobs)).collect();
        Ok(Server { app, address: listener.address, listener, runners })
    }
}

impl Server {
    /// Takes the port, migrates the database, and answers from then on.
    pub async fn start(config: ServerConfig) -> Result<Self, StartError> {
        let port = Port::take(&config.listen.to_string()).await?;
        Prepared::new(config).await?.serve(port)
    }

    /// Takes no new requests, answers those under way, carries out what the engine has taken, and ends.
    pub async fn stop(self) {
        self.listener.stop().await;
        join_all(self.runners.into_iter().map(Runner::stop)).await;
        self.app.meter.stop().await;
        self.app.engine.stop().await;
    }
}

/// The restores of each cell.
async fn restorations_of(cells: &Cells) -> Result<Vec<(CellNumber, Restoration)>, StoreError> {
    let mut all = Vec::new();
    for cell in cells.all() {
        let of_cell = restorations(&*cell.database.connection().await?).await?;
        all.extend(of_cell.into_iter().map(|restoration| (cell.number, restoration)));
    }
    Ok(all)
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
