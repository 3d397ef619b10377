//! A running server: its parts put together, started and stopped in order.

mod connections;
mod foundation;
mod http_listener;
mod job_server;
mod lane_threads;
mod month_billing;
mod server_config;
mod start_error;
mod taking_back;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use connections::Connections;
use foundation::foundation;
use futures_util::future::join_all;
use http_listener::HttpListener;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::domain::cell::CellNumber;
use crate::domain::restoration::Restoration;
use crate::graphql::app::App;
use crate::graphql::invoice_links::InvoiceLinks;
use crate::http::router;
use crate::http::token::TokenKey;
use crate::jobs::Runner;
use crate::metering::Meter;
use crate::payments::stripe::webhook::Webhook;
use crate::store::access::Store;
use crate::store::cells::Cells;
use crate::store::error::StoreError;
use crate::store::restorations::restorations;
use crate::store::turns::Turns;

pub use connections::ConnectionLimits;
pub use foundation::{cells_with_owners, join_cells};
pub use http_listener::Port;
pub use job_server::JobServer;
pub use lane_threads::LaneThreads;
pub use month_billing::{BillingError, bill_month};
pub use server_config::{CellConfig, PROVIDER_DEFAULT, ServerConfig};
pub use start_error::StartError;
pub use taking_back::take_back;

/// Connections of the jobs of a server, beside those of its requests: neither is left without for the other.
const JOB_CONNECTIONS: u32 = 4;

/// Forecasts that are made at once: for one account, and for the provider's people.
const FORECASTS_OF_ACCOUNT: usize = 1;
const FORECASTS_OF_PROVIDER: usize = 2;
/// More than one request may ask for.
const FORECASTS_WAITING_MAX: usize = 400;

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
        let routes = router(
            Arc::clone(&app),
            tokens,
            webhook,
            config.provider,
            metrics_handle()?,
            &config.cors_origins,
        );
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
