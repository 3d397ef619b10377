//! `POST /usage`: what metering agents send in bulk. NDJSON is read, counted and answered piece by piece; CloudEvents come
//! whole, one or a batch of them.

mod event_json;
mod ndjson;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::HttpState;
use super::auth;
use crate::domain::usage::{EVENTS_MAX, Outcome};
use crate::graphql::app::App;
use crate::graphql::error::ApiError;
use event_json::CloudEvent;

/// What a request may have in all: some 300,000 events.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

const NDJSON: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];
const CLOUD_EVENT: &str = "application/cloudevents+json";
const CLOUD_EVENTS: &str = "application/cloudevents-batch+json";

pub(super) async fn post(State(state): State<Arc<HttpState>>, headers: HeaderMap, body: Body) -> Response {
    let viewer = match auth::viewer(&state, &headers).await {
        Ok(viewer) => viewer,
        Err(error) => return failed(&error),
    };
    if !viewer.may_report_usage() {
        return failed(&ApiError::forbidden("this takes the role SERVICE or OPERATOR"));
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let app = Arc::clone(&state.app);
    match media_type.as_str() {
        CLOUD_EVENT => cloud_events(&app, body, |event| vec![event]).await,
        CLOUD_EVENTS => cloud_events(&app, body, |events| events).await,
        ndjson if NDJSON.contains(&ndjson) => ndjson::answer(app, body).await,
        _ => {
            let expected = format!("the Content-Type must be {}, {CLOUD_EVENT} or {CLOUD_EVENTS}", NDJSON[0]);
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, axum::Json(told(&ApiError::bad_request(expected))))
                .into_response()
        }
    }
}

/// Counts CloudEvents that came whole.
async fn cloud_events<T: serde::de::DeserializeOwned>(
    app: &App,
    body: Body,
    events: impl FnOnce(T) -> Vec<Value>,
) -> Response {
    let Ok(bytes) = to_bytes(body, app.limits.body_bytes_max).await else {
        let message =
            format!("the body is too long or was not sent: it may have {} bytes", app.limits.body_bytes_max);
        return (StatusCode::PAYLOAD_TOO_LARGE, axum::Json(told(&ApiError::bad_request(message))))
            .into_response();
    };
    let events = match serde_json::from_slice::<T>(&bytes) {
        Ok(read) => events(read),
        Err(error) => {
            return failed(&ApiError::bad_request(format!("the body is no JSON of that kind: {error}")));
        }
    };
    if events.len() > EVENTS_MAX {
        return failed(&ApiError::bad_request(format!("at most {EVENTS_MAX} events at once")));
    }
    let (ids, reports) = events.into_iter().map(CloudEvent::read).unzip::<_, _, Vec<_>, Vec<_>>();
    match app.meter.record(reports).await {
        Ok(outcomes) => axum::Json(results(ids, outcomes)).into_response(),
        Err(error) => failed(&error.into()),
    }
}

fn results(ids: Vec<Option<String>>, outcomes: Vec<Outcome>) -> Value {
    let mut counts = Counts::default();
    let mut results = Vec::with_capacity(outcomes.len());
    for (id, outcome) in ids.into_iter().zip(outcomes) {
        counts.count(&outcome);
        let mut result = json!({ "id": id, "outcome": outcome.code() });
        if let (Outcome::Rejected(why), Some(fields)) = (outcome, result.as_object_mut()) {
            fields.insert("message".to_owned(), why.into());
        }
        results.push(result);
    }
    json!({ "results": results, "accepted": counts.accepted, "duplicates": counts.duplicates, "rejected": counts.rejected })
}

/// How many events of a request came to what.
#[derive(Default)]
struct Counts {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
}

impl Counts {
    fn count(&mut self, outcome: &Outcome) {
        let count = match outcome {
            Outcome::Accepted => &mut self.accepted,
            Outcome::Duplicate => &mut self.duplicates,
            Outcome::Rejected(_) => &mut self.rejected,
        };
        *count = count.saturating_add(1);
    }
}

fn told(error: &ApiError) -> Value {
    json!({ "error": { "code": error.code, "message": error.message } })
}

fn failed(error: &ApiError) -> Response {
    (super::graphql_over_http::status_of(error), axum::Json(told(error))).into_response()
}
