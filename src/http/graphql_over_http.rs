//! GraphQL over HTTP: POST with application/json, GET for queries, answers as the client accepts them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, ServerError, Variables};
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE, ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use futures_util::FutureExt;
use serde::Deserialize;
use tokio::time::Instant;

use super::auth;
use super::bodies::{Read, Unread};
use super::heavy::Undone;
use super::json_text::require_few_values;
use super::persisted::{PersistedQueries, PersistedQuery};
use super::state::HttpState;
use crate::domain::label::Language;
use crate::domain::viewer::Viewer;
use crate::graphql::error::{ApiError, OUTCOME_UNKNOWN};
use crate::graphql::session::Session;
use crate::graphql::{ERRORS_MAX, Measure, Operation, RequestLoader, was_executed, write_response};
use crate::store::access::Repository;

/// A request is answered within this time. What it has handed to the engine is carried out all the same.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(75);

/// Longer bodies are read, and queries of more tokens parsed, where nobody else waits: both take about a millisecond.
pub(super) const LIGHT_BODY_BYTES: usize = 16 * 1024;
const LIGHT_TOKENS: usize = 250;

/// Room for a common answer, so that writing it does not grow the buffer step by step.
const ANSWER_BYTES: usize = 4 * 1024;

const GRAPHQL_RESPONSE: &str = "application/graphql-response+json; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// The status tells whether the request was executed.
    GraphqlResponse,
    /// For older clients: what could be read is answered with 200.
    Json,
}

impl Format {
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        let Some(accept) = headers.get(ACCEPT) else { return Some(Self::Json) };
        let accept = accept.to_str().ok()?.to_ascii_lowercase();
        let media_types = accept.split(',').map(|part| part.split(';').next().unwrap_or("").trim());
        media_types.filter_map(Self::of_media_type).next()
    }

    fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/graphql-response+json" => Some(Self::GraphqlResponse),
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            _ => None,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => GRAPHQL_RESPONSE,
            Self::Json => JSON,
        })
    }
}

type Answer = axum::response::Response;

fn failed(format: Format, status: StatusCode, error: ApiError) -> Answer {
    let response = Response::from_errors(vec![server_error(error)]);
    written(format, status, &response)
}

fn server_error(error: ApiError) -> ServerError {
    async_graphql::Error::from(error).into_server_error(async_graphql::Pos::default())
}

fn written(format: Format, status: StatusCode, response: &Response) -> Answer {
    let mut body = Vec::with_capacity(ANSWER_BYTES);
    match write_response(&mut body, response) {
        Ok(()) => (status, [(CONTENT_TYPE, format.content_type())], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

pub(super) fn status_of(error: &ApiError) -> StatusCode {
    match error.code {
        "UNAUTHENTICATED" => StatusCode::UNAUTHORIZED,
        "FORBIDDEN" => StatusCode::FORBIDDEN,
        "UNAVAILABLE" | "OVERLOADED" => StatusCode::SERVICE_UNAVAILABLE,
        "INTERNAL" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The parameters of a GET.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetParameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// Queries only: a link must not change anything.
pub(super) async fn get(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    parameters: Result<Query<GetParameters>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let arrived = Instant::now();
    let Some(format) = Format::accepted(&headers) else { return not_acceptable() };
    let viewer = match auth::viewer(&state, &headers).await {
        Ok(viewer) => viewer,
        Err(error) => return failed(format, status_of(&error), error),
    };
    let asker = Asker { viewer, language: language(&headers), format, query_only: true, arrived };
    let parameters = parameters.map_err(|error| ApiError::bad_request(error.body_text()));
    match parameters.and_then(|Query(parameters)| read_parameters(&state.persisted, parameters)) {
        Ok(request) => answered(state, asker, request).await,
        Err(error) => unread(format, error),
    }
}

fn read_parameters(persisted: &PersistedQueries, parameters: GetParameters) -> Result<Request, ApiError> {
    let GetParameters { query, operation_name, variables, extensions } = parameters;
    let is_not_json = |name: &'static str| {
        move |error: serde_json::Error| ApiError::bad_request(format!("{name}: {error}"))
    };
    let extensions = match extensions.filter(|text| !text.is_empty()) {
        Some(text) => Some(serde_json::from_str(&text).map_err(is_not_json("extensions"))?),
        None => None,
    };
    let query = persisted.text(query, named_in(extensions)?)?;
    let query = query.ok_or_else(|| ApiError::bad_request("the parameter \"query\" is missing"))?;
    let mut request = Request::new(query);
    request.operation_name = operation_name;
    if let Some(variables) = variables.filter(|text| !text.is_empty()) {
        let variables: serde_json::Value =
            serde_json::from_str(&variables).map_err(is_not_json("variables"))?;
        request.variables = Variables::from_json(variables);
    }
    Ok(request)
}

/// A request that could not be read. One that names a query by a hash that is not known is answered as one that was not executed, for which
/// clients of that protocol wait.
fn unread(format: Format, error: ApiError) -> Answer {
    let status = if error.code == "BAD_REQUEST" { StatusCode::BAD_REQUEST } else { refused_status(format) };
    failed(format, status, error)
}

/// Nothing is read of a body before it is known who sends it.
pub(super) async fn post(State(state): State<Arc<HttpState>>, headers: HeaderMap, body: Body) -> Answer {
    let arrived = Instant::now();
    let Some(format) = Format::accepted(&headers) else { return not_acceptable() };
    let viewer = match auth::viewer(&state, &headers).await {
        Ok(viewer) => viewer,
        Err(error) => return failed(format, status_of(&error), error),
    };
    if !is_json(&headers) {
        let error = ApiError::bad_request("the body must be application/json");
        return failed(format, StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
    }
    let account = viewer.account;
    let read = match state.bodies.read(body, account, state.app.limits.body_bytes_max).await {
        Ok(read) => read,
        Err(unread) => return failed(format, status_of_unread(&unread), unread.into()),
    };
    let asker = Asker { viewer, language: language(&headers), format, query_only: false, arrived };
    if read.bytes.len() <= LIGHT_BODY_BYTES {
        return match read_body(&state.persisted, &read.bytes) {
            Ok(request) => answered(state, asker, request).await,
            Err(error) => unread(format, error),
        };
    }
    let answering = answered_long(Arc::clone(&state), asker, read);
    done_beside(state.heavy.run(account, answering.boxed()).await, format)
}

pub(super) fn status_of_unread(unread: &Unread) -> StatusCode {
    match unread {
        Unread::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Unread::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
        Unread::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        Unread::BrokenOff(_) => StatusCode::BAD_REQUEST,
    }
}

fn done_beside(done: Result<Answer, Undone>, format: Format) -> Answer {
    done.unwrap_or_else(|undone| {
        let error = ApiError::from(undone);
        failed(format, status_of(&error), error)
    })
}

/// Reads a long body and answers it, where nobody else waits. The body is held until then: what is made of it is larger.
async fn answered_long(state: Arc<HttpState>, asker: Asker, read: Read) -> Answer {
    let few = require_few_values(&read.bytes, values_max(&asker.viewer)).map_err(ApiError::bad_request);
    match few.and_then(|()| read_body(&state.persisted, &read.bytes)) {
        Ok(request) => parsed_and_executed(&state, asker, request).await,
        Err(error) => unread(asker.format, error),
    }
}

/// The values that a body may have: those of 10,000 events with their attributes, or more than a customer has to say.
fn values_max(viewer: &Viewer) -> usize {
    if viewer.may_report_usage() { 800_000 } else { 20_000 }
}

/// Only this content type: a foreign page's form cannot send it unasked.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or("");
    let is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    media_type.eq_ignore_ascii_case("application/json") && parts.all(is_utf8)
}

/// A request's body. Unknown fields are passed over, as the specification has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestBody {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Variables>,
    extensions: Option<Extensions>,
}

/// A map, of which only what is known here is looked at.
type Extensions = HashMap<String, serde_json::Value>;

fn named_in(extensions: Option<Extensions>) -> Result<Option<PersistedQuery>, ApiError> {
    let named = extensions.and_then(|mut extensions| extensions.remove("persistedQuery"));
    let malformed = |error| ApiError::bad_request(format!("extensions.persistedQuery: {error}"));
    named.map(serde_json::from_value).transpose().map_err(malformed)
}

fn read_body(persisted: &PersistedQueries, body: &[u8]) -> Result<Request, ApiError> {
    let text = std::str::from_utf8(body).map_err(|_| ApiError::bad_request("the body is not UTF-8"))?;
    let malformed = |error| ApiError::bad_request(format!("the body is no GraphQL request: {error}"));
    let RequestBody { query, operation_name, variables, extensions } =
        serde_json::from_str(text).map_err(malformed)?;
    let query = persisted.text(query, named_in(extensions)?)?;
    let mut request = Request::new(query.ok_or_else(|| ApiError::bad_request("the body has no \"query\""))?);
    request.operation_name = operation_name;
    request.variables = variables.unwrap_or_default();
    Ok(request)
}

/// Who asks, and how it is to be answered.
struct Asker {
    viewer: Arc<Viewer>,
    language: Language,
    format: Format,
    query_only: bool,
    arrived: Instant,
}

/// Answers a request; if that may take longer, where nobody else waits.
async fn answered(state: Arc<HttpState>, asker: Asker, request: Request) -> Answer {
    let format = asker.format;
    let operation = match state.documents.known(&request) {
        Some(operation) => Some(Ok(operation)),
        None => match Measure::of(&request.query, &state.app.limits) {
            Ok(measure) if measure.tokens > LIGHT_TOKENS => None,
            Ok(measure) => Some(state.documents.parsed(&request, measure)),
            Err(error) => Some(Err(error)),
        },
    };
    match operation {
        Some(Err(error)) => refused(format, error),
        Some(Ok(operation)) if operation.is_light() => execute(&state, asker, request, operation).await,
        Some(Ok(_)) | None => {
            let account = asker.viewer.account;
            let own = Arc::clone(&state);
            let answering = async move { parsed_and_executed(&own, asker, request).await };
            done_beside(state.heavy.run(account, answering.boxed()).await, format)
        }
    }
}

async fn parsed_and_executed(state: &HttpState, asker: Asker, request: Request) -> Answer {
    match operation(state, &request) {
        Ok(operation) => execute(state, asker, request, operation).await,
        Err(error) => refused(asker.format, error),
    }
}

fn operation(state: &HttpState, request: &Request) -> Result<Arc<Operation>, ServerError> {
    if let Some(operation) = state.documents.known(request) {
        return Ok(operation);
    }
    let measure = Measure::of(&request.query, &state.app.limits)?;
    state.documents.parsed(request, measure)
}

/// A request that was not executed.
fn refused(format: Format, error: ServerError) -> Answer {
    let mut response = Response::from_errors(vec![error]);
    complete_errors(&mut response);
    written(format, refused_status(format), &response)
}

async fn execute(state: &HttpState, asker: Asker, request: Request, operation: Arc<Operation>) -> Answer {
    let Asker { viewer, language, format, query_only, arrived } = asker;
    if query_only && operation.ty() != OperationType::Query {
        let error = ApiError::bad_request("a GET can only query: send a POST");
        let mut answer = failed(format, StatusCode::METHOD_NOT_ALLOWED, error);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return answer;
    }
    let own_lane_is_full = || viewer.account.is_some_and(|own| state.app.engine.turns_away(own));
    if operation.ty() == OperationType::Mutation && own_lane_is_full() {
        // Whom the lane would turn away costs as little as may be: those who are served need the time.
        return failed(format, StatusCode::SERVICE_UNAVAILABLE, ApiError::overloaded());
    }
    let repository = Repository::new(Arc::clone(&state.app.store), viewer);
    let loader = match state.app.data_loaders {
        true => Arc::new(RequestLoader::with_data_loader(repository)),
        false => Arc::new(RequestLoader::new(repository)),
    };
    let session = Session::new(Arc::clone(&state.app), language, arrived, Arc::clone(&loader));
    let request = request.data(session);
    let answered = loader.drive(state.executor.execute(request, &operation));
    let Ok(mut response) = tokio::time::timeout(REQUEST_TIME_MAX, answered).await else {
        // What was handed to the engine goes on.
        let code = if operation.ty() == OperationType::Mutation { OUTCOME_UNKNOWN } else { "UNAVAILABLE" };
        let error = ApiError::new(code, "the request took too long");
        return failed(format, StatusCode::GATEWAY_TIMEOUT, error);
    };
    metrics::counter!("abacus_graphql_requests_total").increment(1);
    complete_errors(&mut response);
    let status = if was_executed(&response) { StatusCode::OK } else { refused_status(format) };
    written(format, status, &response)
}

pub(super) fn language(headers: &HeaderMap) -> Language {
    let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    accepted.map_or_else(Language::default, Language::accepted)
}

fn refused_status(format: Format) -> StatusCode {
    match format {
        Format::GraphqlResponse => StatusCode::BAD_REQUEST,
        Format::Json => StatusCode::OK,
    }
}

/// Every error has a code, and there are not too many: the last tells how many there are more.
fn complete_errors(response: &mut Response) {
    let errors = &mut response.errors;
    if errors.len() > ERRORS_MAX {
        let told = ERRORS_MAX.saturating_sub(1);
        let more = errors.len().saturating_sub(told);
        let path = errors.get(told).map(|error| error.path.clone()).unwrap_or_default();
        errors.truncate(told);
        let mut last = ServerError::new(format!("and {more} more errors"), None);
        last.path = path;
        errors.push(last);
    }
    for error in errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", "BAD_REQUEST");
        }
    }
}

fn not_acceptable() -> Answer {
    let error = ApiError::bad_request("answers are application/graphql-response+json or application/json");
    failed(Format::Json, StatusCode::NOT_ACCEPTABLE, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(accept: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))])
    }

    #[test]
    fn the_answer_is_written_as_the_client_accepts_it() {
        assert_eq!(Format::accepted(&HeaderMap::new()), Some(Format::Json));
        assert_eq!(Format::accepted(&accepting("*/*")), Some(Format::Json));
        let both = "application/graphql-response+json, application/json;q=0.9";
        assert_eq!(Format::accepted(&accepting(both)), Some(Format::GraphqlResponse));
        assert_eq!(Format::accepted(&accepting("text/html, application/json")), Some(Format::Json));
        assert_eq!(Format::accepted(&accepting("text/html")), None);
    }

    #[test]
    fn only_json_in_utf8_is_read() {
        let with = |value| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
        assert!(is_json(&with("application/json")));
        assert!(is_json(&with("application/json; charset=UTF-8")));
        assert!(!is_json(&with("application/json; charset=latin1")));
        assert!(!is_json(&with("text/plain")));
        assert!(!is_json(&HeaderMap::new()));
    }
}
