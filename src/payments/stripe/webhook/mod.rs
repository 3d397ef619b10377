//! What Stripe tells by itself: events, posted to an endpoint of ours and signed.
//!
//! An event shows a thing as it was when the event came about, and events come twice, late and in any order. So an event is
//! only a hint that there is something to look at; Stripe is asked how it stands.

mod event;
mod signature;

use chrono::{DateTime, TimeDelta, Utc};

use crate::payments::Outside;

/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "stripe-signature";
/// How old a signature may be.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A charge of ours is further.
    Charge,
    /// A refund is further: ours, or one that was made in Stripe's dashboard.
    Refund,
    /// A card's holder disputes a charge, or that is further.
    Dispute,
    /// Something was given back of a charge.
    GivenBack,
}

/// What Stripe tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The same when it is told again.
    pub event_id: String,
    pub subject: Subject,
    /// Our id of the charge or of the refund, where it bears one.
    pub payment: Option<String>,
    /// Stripe's name for the charge, the refund or the dispute.
    pub reference: String,
    /// A charge as it was then.
    pub told: Option<Outside>,
}

/// Why an event is not believed, or not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The header is missing parts.
    #[error("the signature header is not of the form t=…,v1=…")]
    Header,
    /// Not Stripe's.
    #[error("the signature is none of this endpoint's")]
    Signature,
    /// Stripe's, but perhaps sent again by somebody else.
    #[error("the signature is too old or ahead of time")]
    Stale,
    /// Not an event as Stripe writes them.
    #[error("the event is not understood: {0}")]
    Body(String),
}

/// Reads events that are sent to an endpoint.
pub struct Webhook {
    /// Several while one takes the place of another.
    secrets: Vec<String>,
}

impl Webhook {
    /// An endpoint with its secrets, `whsec_…`.
    pub fn new(secrets: Vec<String>) -> Self {
        Self { secrets }
    }

    /// Whether it has a secret: without one it believes nothing.
    pub fn is_set_up(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// What an event says; None: nothing for us, to be acknowledged all the same. `now` is the machine's time, not that
    /// of a clock that has been moved.
    pub fn read(
        &self,
        signature: &str,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<Event>, WebhookError> {
        let signed_at = signature::signed_at(signature, body, &self.secrets)?;
        let age = now.signed_duration_since(signed_at).abs();
        if age > TOLERANCE {
            return Err(WebhookError::Stale);
        }
        event::parse(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] =
        br#"{"id": "evt_1", "type": "customer.created", "created": 1700000000, "data": {"object": {}}}"#;

    fn read(endpoint: &Webhook, seconds_later: i64) -> Result<Option<Event>, WebhookError> {
        let signed_at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let header = signature::tests::header(signed_at.timestamp(), BODY, &["whsec_new"]);
        endpoint.read(&header, BODY, signed_at + TimeDelta::seconds(seconds_later))
    }

    #[test]
    fn an_event_is_believed_for_five_minutes() {
        let endpoint = Webhook::new(vec!["whsec_old".to_owned(), "whsec_new".to_owned()]);
        assert_eq!(read(&endpoint, 0), Ok(None));
        assert_eq!(read(&endpoint, 300), Ok(None));
        assert_eq!(read(&endpoint, 301), Err(WebhookError::Stale));
        assert_eq!(read(&endpoint, -301), Err(WebhookError::Stale));
    }

    #[test]
    fn an_endpoint_believes_its_own_secrets_only() {
        let other = Webhook::new(vec!["whsec_other".to_owned()]);
        assert_eq!(read(&other, 0), Err(WebhookError::Signature));
        assert_eq!(read(&Webhook::new(Vec::new()), 0), Err(WebhookError::Signature));
    }
}
