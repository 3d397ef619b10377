//! The schema as text, for those who generate clients from it.

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use super::kept::{KeptFor, kept, version};
use crate::graphql::sdl;

/// With what tells it from that of another version of the server.
static SCHEMA: LazyLock<(String, String)> = LazyLock::new(|| {
    let text = sdl();
    let version = version(text.as_bytes());
    (text, version)
});

pub(super) async fn get(asked: HeaderMap) -> Response {
    let (text, version) = &*SCHEMA;
    kept(&asked, version, KeptFor::Asking, ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text.as_str()))
}
