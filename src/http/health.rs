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

use crate::lane::LaneWatch;
use crate::store::clock_check::require_right_clock;
use crate::store::database::{Database, OwnConnection};
use crate::store::error::StoreError;
use crate::store::migrations;

/// Whoever asks is answered within a second.
const READY_TIME_MAX: Duration = Duration::from_millis(800);

type Lanes = Arc<dyn Fn() -> Vec<LaneWatch> + Send + Sync>;

#[derive(Clone)]
struct Health {
    database: Database,
    /// Of its own: a pool whose connections are all at work is no reason not to be ready, as long as nobody waits in vain.
    connection: Arc<Mutex<Option<OwnConnection>>>,
    lanes: Lanes,
    metrics: PrometheusHandle,
}

/// `/healthz`, `/readyz` and `/metrics`, with the lanes that must be able to write, as they are by then.
pub fn routes(
    database: Database,
    lanes: impl Fn() -> Vec<LaneWatch> + Send + Sync + 'static,
    metrics: PrometheusHandle,
) -> Router {
    let health = Health { database, connection: Arc::default(), lanes: Arc::new(lanes), metrics };
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
    let failing: Vec<String> = (health.lanes)().iter().filter_map(LaneWatch::failing).collect();
    if !failing.is_empty() {
        return unready(&failing.join("\n"));
    }
    if health.database.is_starved() {
        return unready("requests wait in vain for a connection to the database");
    }
    match tokio::time::timeout(READY_TIME_MAX, health.is_current()).await {
        Ok(Ok(true)) => (StatusCode::OK, "ready\n".to_owned()),
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
        let connection = self.database.dedicated_connection().await?;
        let is_current = migrations::is_ready(&connection).await?;
        require_right_clock(&connection).await?;
        *kept = Some(connection);
        Ok(is_current)
    }
}

/// Prometheus' text format.
async fn told_metrics(State(health): State<Health>) -> impl IntoResponse {
    metrics::counter!("abacus_sql_statements_total").absolute(health.database.statements_sent());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], health.metrics.render())
}
