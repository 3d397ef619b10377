//! Pages of other origins: which may ask this server, as their browsers want to know (CORS). Tokens travel in headers that a page sets
//! itself, so no credentials of the browser's own are let in.

use std::time::Duration;

use axum::http::header::{ETAG, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use url::Url;

use super::request_id::X_REQUEST_ID;

/// A browser asks again after this time.
const REMEMBERED_FOR: Duration = Duration::from_secs(60 * 60);

/// The origins whose pages may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// This server's own alone.
    #[default]
    Own,
    Any,
    These(Vec<HeaderValue>),
}

impl AllowedOrigins {
    /// Reads `*`, or origins as browsers write them: a scheme, a host, and a port that is not the scheme's own.
    pub fn parse(written: &[String]) -> Result<Self, String> {
        match written {
            [] => Ok(Self::Own),
            [any] if any == "*" => Ok(Self::Any),
            written => written.iter().map(|one| origin(one)).collect::<Result<_, _>>().map(Self::These),
        }
    }

    /// What answers browsers; None: nobody is let in.
    pub(super) fn layer(&self) -> Option<CorsLayer> {
        let origins = match self {
            Self::Own => return None,
            Self::Any => AllowOrigin::any(),
            Self::These(origins) => AllowOrigin::list(origins.iter().cloned()),
        };
        let shown: [HeaderName; 4] = [X_REQUEST_ID, RETRY_AFTER, WWW_AUTHENTICATE, ETAG];
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(shown)
            .max_age(REMEMBERED_FOR);
        Some(layer)
    }
}

fn origin(written: &str) -> Result<HeaderValue, String> {
    let expected = || {
        format!(
            "\"{written}\" is no origin as browsers write it: https://console.example.com, http://localhost:5173, or * alone"
        )
    };
    let url = Url::parse(written).map_err(|_| expected())?;
    // A part of a host is not matched: what looks like a pattern is none.
    let is_exact = matches!(url.scheme(), "https" | "http")
        && url.origin().ascii_serialization() == written
        && !written.contains('*');
    if is_exact { HeaderValue::from_str(written).map_err(|_| expected()) } else { Err(expected()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_write_them_and_nothing_else_is() {
        let parse = |written: &[&str]| {
            AllowedOrigins::parse(&written.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(parse(&[]), Ok(AllowedOrigins::Own));
        assert_eq!(parse(&["*"]), Ok(AllowedOrigins::Any));
        let these = ["https://console.example.com", "http://localhost:5173", "http://[::1]:8080"];
        assert_eq!(
            parse(&these),
            Ok(AllowedOrigins::These(these.iter().map(|one| HeaderValue::from_static(one)).collect()))
        );
        for wrong in [
            "console.example.com",
            "https://console.example.com/",
            "https://console.example.com/app",
            "https://console.example.com:443",
            "HTTPS://console.example.com",
            "https://user@console.example.com",
            "https://*.example.com",
            "ftp://example.com",
            "null",
            "",
        ] {
            assert!(parse(&[wrong]).unwrap_err().contains("is no origin"), "{wrong}");
        }
        assert!(parse(&["*", "https://console.example.com"]).is_err());
    }
}
