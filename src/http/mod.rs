//! The server's HTTP side: GraphQL, GraphiQL, printable invoices, health and metrics.

mod auth;
mod bodies;
mod cross_origin;
mod graphiql;
mod graphql_over_http;
pub mod health;
mod heavy;
mod invoices;
mod json_text;
mod kept;
mod persisted;
mod printed_invoice;
mod printer;
mod request_id;
mod schema_text;
mod state;
mod stripe_webhook;
pub mod token;
pub mod usage;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::from_fn;
use axum::routing::{get, post};
use bodies::Bodies;
use heavy::HeavyWork;
use metrics_exporter_prometheus::PrometheusHandle;
use persisted::PersistedQueries;
use printer::Printer;
use token::TokenKey;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::documents::Provider;
use crate::graphql::app::App;
use crate::graphql::{DocumentCache, Executor};
use crate::payments::stripe::webhook::Webhook;

pub use cross_origin::AllowedOrigins;
pub use state::HttpState;

/// A client that stops sending its body is not waited for longer.
const BODY_PAUSE_MAX: std::time::Duration = std::time::Duration::from_secs(15);
/// Of the bodies that are being read and answered, over all, and of one account.
const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;
const BODIES_BYTES_OF_ACCOUNT: usize = BODIES_BYTES_MAX / 4;
/// Of those that Stripe, or whoever says so, is sending.
const WEBHOOKS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of an answer from which on it is compressed for who takes that.
const COMPRESSED_FROM: u16 = 1_024;

/// The server's routes.
pub fn router(
    app: Arc<App>,
    tokens: TokenKey,
    stripe_webhook: Webhook,
    provider: Provider,
    metrics: PrometheusHandle,
    origins: &AllowedOrigins,
) -> Router {
    let watched = Arc::clone(&app);
    let lanes = move || watched.engine.watches().into_iter().chain(watched.meter.watches()).collect();
    let health = health::routes(app.store.cells().clone(), lanes, metrics);
    let state = Arc::new(HttpState {
        executor: Executor::new(&app.limits),
        documents: DocumentCache::default(),
        persisted: PersistedQueries::default(),
        bodies: Bodies::new(BODIES_BYTES_MAX, BODIES_BYTES_OF_ACCOUNT, app.limits.body_time_max),
        heavy: HeavyWork::new(),
        tokens,
        stripe_webhook,
        usage_answers: Arc::new(Semaphore::new(usage::ANSWERS_BYTES_IN_ALL)),
        webhook_bodies: Bodies::new(WEBHOOKS_BYTES_MAX, WEBHOOKS_BYTES_MAX, app.limits.body_time_max),
        printer: Printer::new(provider),
        app,
    });
    // Shorter answers are sent faster as they are; a file that is compressed already, and a stream whose lines are waited for, stay so.
    let is_compressed = SizeAbove::new(COMPRESSED_FROM)
        .and(NotForContentType::const_new("application/x-ndjson"))
        .and(NotForContentType::const_new("application/pdf"))
        .and(NotForContentType::const_new("text/event-stream"));
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(is_compressed);
    let routes = Router::new()
        .route("/graphql", get(graphql_over_http::get).post(graphql_over_http::post))
        .route("/usage", post(usage::post))
        .route("/webhooks/stripe", post(stripe_webhook::post))
        .route("/invoices/{file}", get(invoices::get))
        .merge(graphiql::routes())
        .route("/schema.graphql", get(schema_text::get))
        .with_state(state);
    let routes = match origins.layer() {
        Some(cross_origin) => routes.layer(cross_origin),
        None => routes,
    };
    routes.merge(health).layer(
        // One stack, so that a request passes through one boxed service and not one for each layer.
        ServiceBuilder::new()
            .layer(from_fn(request_id::identify))
            .layer(CatchPanicLayer::new())
            .layer(SetResponseHeaderLayer::if_not_present(
                HeaderName::from_static("x-content-type-options"),
                HeaderValue::from_static("nosniff"),
            ))
            .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE_MAX))
            .layer(compression),
    )
}
