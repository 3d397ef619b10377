//! Whether the server lives, is ready, and how much it does.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::store::database::Database;
use crate::store::migrations;

const READY_TIME_MAX: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Health {
    database: Database,
    metrics: PrometheusHandle,
}

/// `/healthz`, `/readyz` and `/metrics`.
pub fn routes(database: Database, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(told_metrics))
        .with_state(Health { database, metrics })
}

/// The process answers.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The database answers, and its schema is current.
async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    let unready = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    match tokio::time::timeout(READY_TIME_MAX, migrations::is_ready(&health.database)).await {
        Ok(Ok(true)) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(Ok(false)) => unready("the database's schema is not current: run abacus migrate"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            unready("the database cannot be reached or written")
        }
        Err(_) => unready("the database does not answer"),
    }
}

/// Prometheus' text format.
async fn told_metrics(State(health): State<Health>) -> impl IntoResponse {
    metrics::counter!("abacus_sql_statements_total").absolute(health.database.statements_sent());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], health.metrics.render())
}
