//! GraphiQL, from assets that are part of the binary: it works offline, and no third party's script runs beside a token.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Path, Query};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::kept::{KeptFor, kept, version};
use super::state::HttpState;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
    img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'; \
    form-action 'none'";

macro_rules! assets {
    ($($name:literal: $media_type:literal,)*) => {
        const NAMES: &[&str] = &[$($name,)*];

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

/// A file as it is sent, and what tells it from that of another version of the server.
struct Served {
    media_type: &'static str,
    bytes: Cow<'static, [u8]>,
    version: String,
}

static SERVED: LazyLock<BTreeMap<&'static str, Served>> = LazyLock::new(|| {
    let read = |name: &&'static str| {
        let (media_type, bytes) = asset(name)?;
        Some((*name, Served { media_type, bytes: Cow::Borrowed(bytes), version: version(bytes) }))
    };
    let mut served: BTreeMap<&'static str, Served> = NAMES.iter().filter_map(read).collect();
    if let Some(page) = served.remove(PAGE) {
        let bytes = with_versions(&page.bytes, &served);
        let version = version(&bytes);
        served.insert(PAGE, Served { bytes: Cow::Owned(bytes), version, ..page });
    }
    served
});
const PAGE: &str = "index.html";

/// The page, which asks for each file by its version: a copy of that is good for ever.
fn with_versions(page: &[u8], files: &BTreeMap<&'static str, Served>) -> Vec<u8> {
    let mut page = String::from_utf8_lossy(page).into_owned();
    for (name, Served { version, .. }) in files {
        page = page.replace(&format!("\"/graphiql/{name}\""), &format!("\"/graphiql/{name}?v={version}\""));
    }
    page.into_bytes()
}

/// The version of a file that is asked for.
#[derive(serde::Deserialize)]
struct Wanted {
    v: Option<String>,
}

pub(super) fn routes() -> Router<Arc<HttpState>> {
    let page = |asked: HeaderMap| async move { served(PAGE, None, &asked) };
    let file = |Path(file): Path<String>, Query(wanted): Query<Wanted>, asked: HeaderMap| async move {
        served(&file, wanted.v.as_deref(), &asked)
    };
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/graphiql") }))
        .route("/graphiql", get(page))
        .route("/graphiql/{file}", get(file))
}

fn served(name: &str, wanted: Option<&str>, asked: &HeaderMap) -> Response {
    let Some(Served { media_type, bytes, version }) = SERVED.get(name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers: [(HeaderName, &str); 3] =
        [(CONTENT_TYPE, media_type), (CONTENT_SECURITY_POLICY, POLICY), (REFERRER_POLICY, "no-referrer")];
    let kept_for = if wanted == Some(version) { KeptFor::Ever } else { KeptFor::Asking };
    kept(asked, version, kept_for, (headers, bytes.as_ref()))
}
