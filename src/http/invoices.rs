//! The printable invoices: as pages for the browser, and as PDFs.
//!
//! Whoever has a token sees what it may see; a signed link shows one invoice, for a short time, to whoever has it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::graphql_over_http::{language, status_of};
use super::state::HttpState;
use super::{auth, printed_invoice};
use crate::documents;
use crate::domain::account::Account;
use crate::domain::ids::InvoiceId;
use crate::domain::invoice::Invoice;
use crate::domain::label::Language;
use crate::domain::viewer::{Role, Viewer};
use crate::graphql::error::ApiError;
use crate::graphql::invoice_links::Form;
use crate::store::access::Repository;

/// Waiting for one's turn, and being drawn.
const TIME_MAX: Duration = Duration::from_secs(30);
/// The page loads nothing, runs nothing, sends nothing, and stands in no other page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// The parameters of a link.
#[derive(Deserialize)]
pub(super) struct Parameters {
    lang: Option<String>,
    expires: Option<String>,
    signature: Option<String>,
}

/// Why an invoice is not shown: a status, and a line for people.
struct Refused(StatusCode, String);

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self(status_of(&error), error.message)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "private, no-store")];
        (self.0, headers, format!("{}\n", self.1)).into_response()
    }
}

/// Answers `/invoices/<id>` and `/invoices/<id>.pdf`.
pub(super) async fn get(
    State(state): State<Arc<HttpState>>,
    Path(file): Path<String>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let shown = async {
        let Query(parameters) =
            parameters.map_err(|error| Refused(StatusCode::BAD_REQUEST, error.body_text()))?;
        show(&state, &file, &headers, parameters).await
    };
    let shown = tokio::time::timeout(TIME_MAX, shown).await.unwrap_or_else(|_| Err(too_many()));
    shown.unwrap_or_else(Refused::into_response)
}

async fn show(
    state: &HttpState,
    file: &str,
    headers: &HeaderMap,
    parameters: Parameters,
) -> Result<Response, Refused> {
    let language = match parameters.lang.as_deref() {
        None => language(headers),
        Some("zh") => Language::Zh,
        Some("en") => Language::En,
        Some(_) => return Err(Refused(StatusCode::BAD_REQUEST, "lang must be zh or en".to_owned())),
    };
    let (id, form) = match file.strip_suffix(".pdf") {
        Some(id) => (id, Form::Pdf),
        None => (file, Form::Html),
    };
    let viewer = viewer(state, headers, id, &parameters).await?;
    let _waiting = state.printer.waiting.try_acquire().map_err(|_| too_many())?;
    let (invoice, account) = found(state, viewer, id).await?;
    draw(state, &invoice, &account, form, language).await
}

/// Who asks: whoever has followed a link sees as the account that the invoice is of.
async fn viewer(
    state: &HttpState,
    headers: &HeaderMap,
    id: &str,
    parameters: &Parameters,
) -> Result<Arc<Viewer>, Refused> {
    if parameters.signature.is_none() && parameters.expires.is_none() {
        let viewer = auth::viewer(state, headers).await?;
        if viewer.role == Role::Service {
            return Err(ApiError::forbidden("the role SERVICE records usage and nothing else").into());
        }
        return Ok(viewer);
    }
    let (expires, signature) = (parameters.expires.as_deref(), parameters.signature.as_deref());
    let links = &state.app.invoice_links;
    links
        .check(id, expires.unwrap_or_default(), signature.unwrap_or_default())
        .map_err(|error| Refused(StatusCode::FORBIDDEN, error.to_string()))?;
    let account = InvoiceId::parse(id).map(InvoiceId::account);
    Ok(Arc::new(Viewer { subject: "a link".to_owned(), role: Role::Customer, account }))
}

/// The invoice with its account, if the viewer may see it.
async fn found(
    state: &HttpState,
    viewer: Arc<Viewer>,
    id: &str,
) -> Result<(Arc<Invoice>, Arc<Account>), Refused> {
    let absent = || Refused(StatusCode::NOT_FOUND, "there is no such invoice".to_owned());
    let id = InvoiceId::parse(id).ok_or_else(absent)?;
    let repository = Repository::new(Arc::clone(&state.app.store), viewer);
    let invoice = repository.invoices(&[id]).await.map_err(ApiError::from)?.remove(&id).ok_or_else(absent)?;
    let account = repository.account(id.account()).await.map_err(ApiError::from)?.ok_or_else(absent)?;
    Ok((invoice, account))
}

fn too_many() -> Refused {
    let message = "too many invoices are being drawn; try again".to_owned();
    Refused(StatusCode::SERVICE_UNAVAILABLE, message)
}

async fn draw(
    state: &HttpState,
    invoice: &Invoice,
    account: &Account,
    form: Form,
    language: Language,
) -> Result<Response, Refused> {
    let failed = |error: String| Refused::from(ApiError::internal(error));
    let turns = Arc::clone(&state.printer.turns);
    let turn = turns.acquire_owned().await.map_err(|error| failed(error.to_string()))?;
    let provider = Arc::clone(&state.printer.provider);
    let printed = printed_invoice::printed(invoice, account, &provider, &state.app.currencies);
    let language = match language {
        Language::Zh => documents::Language::Zh,
        Language::En => documents::Language::En,
    };
    let drawing = tokio::task::spawn_blocking(move || {
        let drawn = match form {
            Form::Html => Ok(documents::html(&printed, language).into_bytes()),
            Form::Pdf => documents::pdf(&printed, language).map_err(|error| error.to_string()),
        };
        // Whoever asked may have left: the turn ends with the drawing.
        drop(turn);
        drawn
    });
    let drawn = drawing.await.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
    Ok((headers_of(invoice, form), drawn).into_response())
}

fn headers_of(invoice: &Invoice, form: Form) -> [(HeaderName, String); 5] {
    let (media_type, suffix) = match form {
        Form::Html => ("text/html; charset=utf-8", "html"),
        Form::Pdf => ("application/pdf", "pdf"),
    };
    let name = match &invoice.issue {
        Some(issue) => issue.number.clone(),
        None => format!("draft-{}", invoice.period.format("%Y-%m")),
    };
    [
        (CONTENT_TYPE, media_type.to_owned()),
        (CONTENT_DISPOSITION, format!("inline; filename=\"{name}.{suffix}\"")),
        (CACHE_CONTROL, "private, no-store".to_owned()),
        (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
    ]
}
