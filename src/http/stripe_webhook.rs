//! `POST /webhooks/stripe`: Stripe tells that something has become of a charge, a refund or a dispute. It is a hint to look: Stripe
//! is asked how that stands, so that events may come twice, late and in any order.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::graphql_over_http::status_of_unread;
use super::state::HttpState;
use crate::clock::wall;
use crate::domain::ids::PaymentId;
use crate::domain::unmatched::OutsideKind;
use crate::graphql::error::ApiError;
use crate::payments::stripe::webhook::{Event, SIGNATURE_HEADER, Subject};
use crate::payments::{CarryError, Cashier, Looked};

/// Stripe does not wait longer, and sends the event again.
const LOOK_TIME_MAX: Duration = Duration::from_secs(20);
/// Events are some kilobytes long.
const EVENT_BYTES_MAX: usize = 256 * 1024;
/// Its name as a provider.
const STRIPE: &str = "stripe";

pub(super) async fn post(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    body: Body,
) -> (StatusCode, String) {
    if !state.stripe_webhook.is_set_up() {
        return (StatusCode::NOT_FOUND, "this server has no endpoint of Stripe's".to_owned());
    }
    let signature = headers.get(SIGNATURE_HEADER).and_then(|header| header.to_str().ok());
    let Some(signature) = signature else {
        count("refused");
        return (StatusCode::BAD_REQUEST, format!("the header {SIGNATURE_HEADER} is missing"));
    };
    // Who sends it is known once it is here: anybody's are read, but they take little room.
    let read = match state.webhook_bodies.read(body, None, EVENT_BYTES_MAX).await {
        Ok(read) => read,
        Err(unread) => {
            count("unread");
            return (status_of_unread(&unread), ApiError::from(unread).message);
        }
    };
    match state.stripe_webhook.read(signature, &read.bytes, wall()) {
        Ok(Some(event)) => take(&state, event).await,
        Ok(None) => (StatusCode::OK, "nothing to do".to_owned()),
        Err(error) => {
            count("refused");
            tracing::debug!(%error, "an event for Stripe's endpoint was refused");
            (StatusCode::BAD_REQUEST, error.to_string())
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("abacus_stripe_events_total", "outcome" => outcome).increment(1);
}

async fn take(state: &HttpState, event: Event) -> (StatusCode, String) {
    let (event_id, reference) = (event.event_id.clone(), event.reference.clone());
    let cashier = Arc::clone(&state.app.jobs.cashier);
    let looking = tokio::spawn(async move { look(&cashier, event).await });
    let error = match tokio::time::timeout(LOOK_TIME_MAX, looking).await {
        Ok(Ok(Ok(looked))) => return taken(&looked),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the payment provider takes its time".to_owned(),
    };
    count("failed");
    tracing::warn!(event = %event_id, %reference, %error, "an event of Stripe's could not be taken; it is sent again");
    (StatusCode::SERVICE_UNAVAILABLE, "to be sent again".to_owned())
}

fn taken(looked: &Looked) -> (StatusCode, String) {
    let (outcome, said) = match looked {
        Looked::Taken(_) => ("taken", "taken"),
        Looked::Foreign => ("foreign", "it is no payment of this server"),
        Looked::Unmatched => ("unmatched", "it is not known here, and kept"),
    };
    count(outcome);
    (StatusCode::OK, said.to_owned())
}

async fn look(cashier: &Cashier, event: Event) -> Result<Looked, CarryError> {
    let own = event.payment.as_deref().and_then(PaymentId::parse);
    match (event.subject, own) {
        (Subject::Charge, Some(payment)) => {
            cashier.look_at_charge(STRIPE, payment, &event.reference, event.told).await
        }
        (Subject::Charge, None) => Ok(Looked::Foreign),
        (Subject::Refund, Some(refund)) => match cashier.look(refund, event.reference.clone()).await? {
            Some(done) => Ok(Looked::Taken(done)),
            None => cashier.look_at_reversal(STRIPE, OutsideKind::Refund, &event.reference).await,
        },
        (Subject::Refund, None) => {
            cashier.look_at_reversal(STRIPE, OutsideKind::Refund, &event.reference).await
        }
        (Subject::Dispute, _) => {
            cashier.look_at_reversal(STRIPE, OutsideKind::Dispute, &event.reference).await
        }
        (Subject::GivenBack, _) => cashier.look_at_refunds(STRIPE, &event.reference).await,
    }
}
