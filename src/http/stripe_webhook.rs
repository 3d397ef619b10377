//! `POST /webhooks/stripe`: Stripe tells that something has become of a payment. It is a hint to look: Stripe is asked how the
//! payment stands, so that events may come twice, late and in any order.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::HttpState;
use crate::clock::wall;
use crate::domain::ids::PaymentId;
use crate::payments::stripe::webhook::{Event, SIGNATURE_HEADER, Subject};

/// Stripe does not wait longer, and sends the event again.
const LOOK_TIME_MAX: Duration = Duration::from_secs(20);

pub(super) async fn post(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    if !state.stripe_webhook.is_set_up() {
        return (StatusCode::NOT_FOUND, "this server has no endpoint of Stripe's".to_owned());
    }
    let signature = headers.get(SIGNATURE_HEADER).and_then(|header| header.to_str().ok()).unwrap_or_default();
    match state.stripe_webhook.read(signature, &body, wall()) {
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
    let beside = event.subject == Subject::Refund && event.payment.is_none();
    if beside || event.subject == Subject::Dispute {
        // What was done in Stripe's dashboard, or by a bank, is for people to look at.
        count("beside");
        tracing::error!(event = %event.event_id, charge = %event.reference, subject = ?event.subject,
            "a charge was given back or disputed beside this server");
        return (StatusCode::OK, "noted".to_owned());
    }
    let Some(payment) = event.payment.as_deref().and_then(PaymentId::parse) else {
        count("foreign");
        return (StatusCode::OK, "it is no payment of this server".to_owned());
    };
    let cashier = Arc::clone(&state.app.jobs.cashier);
    let looking = tokio::spawn(async move { cashier.look(payment, event.reference).await });
    let error = match tokio::time::timeout(LOOK_TIME_MAX, looking).await {
        Ok(Ok(Ok(Some(_)))) => {
            count("taken");
            return (StatusCode::OK, "taken".to_owned());
        }
        Ok(Ok(Ok(None))) => {
            count("foreign");
            return (StatusCode::OK, "it is no payment of this server".to_owned());
        }
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the payment provider takes its time".to_owned(),
    };
    count("failed");
    tracing::warn!(%payment, %error, "an event of Stripe's could not be taken; it is sent again");
    (StatusCode::SERVICE_UNAVAILABLE, "to be sent again".to_owned())
}
