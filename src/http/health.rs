//! Whether the server lives, is ready, and how much it does.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Mutex;

use crate::domain::cell::CellNumber;
use crate::lane::LaneWatch;
use crate::store::cells::Cells;
use crate::store::clock_check::require_right_clock;
use crate::store::database::{Database, OwnConnection};
use crate::store::error::StoreError;
use crate::store::migrations;

/// Whoever asks is answered within a second.
const READY_TIME_MAX: Duration = Duration::from_millis(800);

type Lanes = Arc<dyn Fn() -> Vec<LaneWatch> + Send + Sync>;

#[derive(Clone)]
struct Health {
    cells: Cells,
    /// Of its own: a pool whose connections are all at work is no reason not to be ready, as long as nobody waits in vain.
    connection: Arc<Mutex<Option<OwnConnection>>>,
    lanes: Lanes,
    metrics: PrometheusHandle,
}

/// `/healthz`, `/readyz` and `/metrics`, with the lanes that must be able to write, as they are by then.
pub fn routes(
    cells: Cells,
    lanes: impl Fn() -> Vec<LaneWatch> + Send + Sync + 'static,
    metrics: PrometheusHandle,
) -> Router {
    let health = Health { cells, connection: Arc::default(), lanes: Arc::new(lanes), metrics };
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(told_metrics))
        .with_state(health)
}

/// The process answers.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The database answers, can be written by every lane, its schema is current, and its clock is the machine's.
async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    let unready = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    let lanes = (health.lanes)();
    // Whoever cannot write to another cell serves the accounts of all others.
    let (of_home, of_others): (Vec<_>, Vec<_>) =
        lanes.iter().partition(|lane| lane.cell() == CellNumber::HOME);
    let failing: Vec<String> = of_home.into_iter().filter_map(LaneWatch::failing).collect();
    if !failing.is_empty() {
        return unready(&failing.join("\n"));
    }
    let others_failing = of_others.into_iter().filter_map(LaneWatch::failing);
    let ready: Vec<String> = std::iter::once("ready".to_owned()).chain(others_failing).collect();
    if health.home().is_starved() {
        return unready("requests wait in vain for a connection to the database");
    }
    match tokio::time::timeout(READY_TIME_MAX, health.is_current()).await {
        Ok(Ok(true)) => (StatusCode::OK, format!("{}\n", ready.join("\n"))),
        Ok(Ok(false)) => unready("the database's schema is not current: run abacus migrate"),
        Ok(Err(StoreError::WrongClock(why))) => unready(&why),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            unready("the database cannot be reached or written")
        }
        Err(_) => unready("the database does not answer"),
    }
}

impl Health {
    fn home(&self) -> &Database {
        &self.cells.home().database
    }

    async fn is_current(&self) -> Result<bool, StoreError> {
        let mut kept = self.connection.lock().await;
        // One that fails, or is given up half-way, is not used again. It may have been lost since the last time.
        if let Some(connection) = kept.take()
            && let Ok(is_current) = migrations::is_ready(&connection).await
        {
            require_right_clock(&connection).await?;
            *kept = Some(connection);
            return Ok(is_current);
        }
        let connection = self.home().dedicated_connection().await?;
        let is_current = migrations::is_ready(&connection).await?;
        require_right_clock(&connection).await?;
        *kept = Some(connection);
        Ok(is_current)
    }
}

/// Prometheus' text format.
async fn told_metrics(State(health): State<Health>) -> impl IntoResponse {
    let sent = health.cells.all().map(|cell| cell.database.statements_sent()).fold(0, u64::saturating_add);
    metrics::counter!("abacus_sql_statements_total").absolute(sent);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], health.metrics.render())
}
