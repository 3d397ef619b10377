//! Whether the server lives, is ready, and how much it does.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::HttpState;

const READY_TIME_MAX: Duration = Duration::from_secs(5);

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The database answers, and its schema is current.
pub(super) async fn readyz(State(state): State<Arc<HttpState>>) -> (StatusCode, String) {
    let unready = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    match tokio::time::timeout(READY_TIME_MAX, state.app.store.is_ready()).await {
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
pub(super) async fn metrics(State(state): State<Arc<HttpState>>) -> impl IntoResponse {
    metrics::counter!("abacus_sql_statements_total").absolute(state.app.store.database.statements_sent());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}
