//! `POST /usage`: what metering agents send in bulk. NDJSON is read, counted and answered piece by piece; CloudEvents come
//! whole, one or a batch of them.

mod event_json;
mod ndjson;

pub(super) use ndjson::ANSWERS_BYTES_IN_ALL;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use event_json::CloudEvent;
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::auth;
use super::graphql_over_http::{LIGHT_BODY_BYTES, status_of_unread};
use super::json_text::require_few_values;
use super::state::HttpState;
use crate::domain::usage::{EVENTS_MAX, Fault, Outcome};
use crate::graphql::error::ApiError;
use crate::metering::Report;

/// What a request may have in all: some 300,000 events.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What events that come whole may have of JSON's values: 80 each, as one with 20 attributes.
const VALUES_MAX: usize = 800_000;

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
    match media_type.as_str() {
        CLOUD_EVENT => cloud_events(&state, body, |event| vec![event]).await,
        CLOUD_EVENTS => cloud_events(&state, body, |events| events).await,
        ndjson if NDJSON.contains(&ndjson) => ndjson::answer(&state, body).await,
        _ => {
            let expected = format!("the Content-Type must be {}, {CLOUD_EVENT} or {CLOUD_EVENTS}", NDJSON[0]);
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, axum::Json(told(&ApiError::bad_request(expected))))
                .into_response()
        }
    }
}

/// Counts CloudEvents that came whole. Many are read where nobody else waits.
async fn cloud_events<T: serde::de::DeserializeOwned + 'static>(
    state: &HttpState,
    body: Body,
    events: fn(T) -> Vec<Value>,
) -> Response {
    let read = match state.bodies.read(body, None, state.app.limits.body_bytes_max).await {
        Ok(read) => read,
        Err(unread) => {
            let told = axum::Json(told(&ApiError::from(unread.clone())));
            return (status_of_unread(&unread), told).into_response();
        }
    };
    let read_bytes = read.bytes.len();
    let reading = move || reports(&read.bytes, events);
    let read = if read_bytes <= LIGHT_BODY_BYTES {
        reading()
    } else {
        state.heavy.run(None, async move { reading() }.boxed()).await.map_err(ApiError::from).flatten()
    };
    let (ids, reports) = match read {
        Ok(read) => read.into_iter().unzip::<_, _, Vec<_>, Vec<_>>(),
        Err(error) => return failed(&error),
    };
    match state.app.meter.record(reports).await {
        Ok(outcomes) => axum::Json(results(ids, outcomes)).into_response(),
        Err(error) => failed(&error.into()),
    }
}

/// An event's id, as far as it could be read, and what it reports.
pub type ReadEvent = (Option<String>, Result<Report, Fault>);

/// What a line of NDJSON reports: for those who try it from outside (fuzz/).
pub fn read_line(line: &[u8]) -> ReadEvent {
    event_json::read_line(line)
}

/// What a batch of CloudEvents reports: the same.
///
/// # Errors
///
/// What it is refused with as a whole.
pub fn read_cloud_events(json: &[u8]) -> Result<Vec<ReadEvent>, ApiError> {
    reports(json, |events: Vec<Value>| events)
}

/// What is reported.
fn reports<T: serde::de::DeserializeOwned>(
    json: &[u8],
    events: fn(T) -> Vec<Value>,
) -> Result<Vec<ReadEvent>, ApiError> {
    require_few_values(json, VALUES_MAX).map_err(ApiError::bad_request)?;
    let read = serde_json::from_slice::<T>(json)
        .map_err(|error| ApiError::bad_request(format!("the body is no JSON of that kind: {error}")))?;
    let events = events(read);
    if events.len() > EVENTS_MAX {
        return Err(ApiError::bad_request(format!("at most {EVENTS_MAX} events at once")));
    }
    Ok(events.into_iter().map(CloudEvent::read).collect())
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
