//! GraphiQL, from assets that are part of the binary: it works offline, and no third party's script runs beside a token.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::state::HttpState;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
    img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'; \
    form-action 'none'";

macro_rules! assets {
    ($($name:literal: $media_type:literal,)*) => {
        fn asset(name: &str) -> Option<(&'static str, &'static [u8])> {
            match name {
                $($name => Some(($media_type, include_bytes!(concat!("../../assets/graphiql/", $name)))),)*
                _ => None,
            }
        }
    };
}

assets! {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "examples.json": "application/json",
    "react.production.min.js": "text/javascript; charset=utf-8",
    "react-dom.production.min.js": "text/javascript; charset=utf-8",
    "graphiql.min.js": "text/javascript; charset=utf-8",
    "graphiql.min.css": "text/css; charset=utf-8",
    "explorer.umd.js": "text/javascript; charset=utf-8",
    "explorer.css": "text/css; charset=utf-8",
}

pub(super) fn routes() -> Router<Arc<HttpState>> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/graphiql") }))
        .route("/graphiql", get(|| async { served("index.html") }))
        .route("/graphiql/{file}", get(|Path(file): Path<String>| async move { served(&file) }))
}

fn served(name: &str) -> Response {
    let Some((media_type, bytes)) = asset(name) else { return StatusCode::NOT_FOUND.into_response() };
    let headers: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, bytes).into_response()
}
