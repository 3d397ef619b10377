//! A request's id: the one that its sender gave it, or a new one. Every answer has it, so that people on both ends speak of the same.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ones are not taken on.
const LENGTH_MAX: usize = 128;

/// Gives a request its id, and the answer the same.
pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(&X_REQUEST_ID).filter(|given| is_taken(given)).cloned();
    let id = given.or_else(|| HeaderValue::from_str(&Uuid::new_v4().to_string()).ok());
    if let Some(id) = &id {
        request.headers_mut().insert(X_REQUEST_ID, id.clone());
    }
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// Whether an id is one that logs can show as it is.
fn is_taken(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    !bytes.is_empty() && bytes.len() <= LENGTH_MAX && bytes.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_on_that_fit_into_a_line_of_a_log() {
        let long = "a".repeat(LENGTH_MAX + 1);
        for (id, expected) in [
            ("4bf92f3577b34da6a3ce929d0e0e4736", true),
            ("console:42/retry=1", true),
            (&long[1..], true),
            (&long, false),
            ("", false),
            ("two words", false),
            ("quoted\"", false),
            ("tab\t", false),
        ] {
            assert_eq!(HeaderValue::from_str(id).is_ok_and(|id| is_taken(&id)), expected, "{id}");
        }
    }
}
