//! What is the same until the next version of the server: told apart by a hash, so that it is sent once.

use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// How long a copy is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeptFor {
    /// It is asked each time whether it still is.
    Asking,
    /// Another has another address.
    Ever,
}

/// What tells contents apart: the beginning of their SHA-256.
pub(super) fn version(contents: &[u8]) -> String {
    HEXLOWER.encode(Sha256::digest(contents).get(..8).unwrap_or_default())
}

/// The answer with these contents, or that whoever asks has them already.
pub(super) fn kept(
    asked: &HeaderMap,
    version: &str,
    kept_for: KeptFor,
    contents: impl IntoResponse,
) -> Response {
    // Weak, as the same is sent with and without compression.
    let tag = format!("W/\"{version}\"");
    let mut response =
        if has(asked, &tag) { StatusCode::NOT_MODIFIED.into_response() } else { contents.into_response() };
    let control = match kept_for {
        KeptFor::Asking => "no-cache",
        KeptFor::Ever => "public, max-age=31536000, immutable",
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(control));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// Whether one of the tags that are named is this one; `*` is any.
fn has(asked: &HeaderMap, tag: &str) -> bool {
    let named = asked.get_all(IF_NONE_MATCH).iter().filter_map(|named| named.to_str().ok());
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    named.flat_map(|named| named.split(',')).any(|named| named.trim() == "*" || opaque(named) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_not_sent_it_again() {
        let version = version(b"contents");
        for (named, expected) in [
            (None, StatusCode::OK),
            (Some(format!("W/\"{version}\"")), StatusCode::NOT_MODIFIED),
            (Some(format!("\"other\", \"{version}\"")), StatusCode::NOT_MODIFIED),
            (Some("*".to_owned()), StatusCode::NOT_MODIFIED),
            (Some("W/\"other\"".to_owned()), StatusCode::OK),
            (Some(version.clone()), StatusCode::OK),
        ] {
            let mut asked = HeaderMap::new();
            if let Some(named) = &named {
                asked.insert(IF_NONE_MATCH, HeaderValue::from_str(named).unwrap());
            }
            let response = kept(&asked, &version, KeptFor::Asking, "contents");
            assert_eq!(response.status(), expected, "{named:?}");
            assert_eq!(response.headers()[ETAG], format!("W/\"{version}\""));
        }
    }
}
