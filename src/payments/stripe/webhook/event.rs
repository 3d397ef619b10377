//! What an event says.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Event, Subject, WebhookError};
use crate::payments::Outside;
use crate::payments::stripe::charges::PaymentIntent;
use crate::payments::stripe::lookup::{Listed, Reference};
use crate::payments::stripe::refunds::Refund;

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

/// A dispute, by its name: Stripe is asked for the rest.
#[derive(Deserialize)]
struct Dispute {
    id: String,
}

/// A charge. Ours come about by payment intents, which are our references.
#[derive(Deserialize)]
struct OfCharge {
    id: String,
    payment_intent: Option<Reference>,
}

/// What is told of a thing.
struct Told {
    payment: Option<String>,
    reference: String,
    charge: Option<Outside>,
}

/// Reads an event; None: of a type that is nothing for us.
pub fn parse(body: &[u8]) -> Result<Option<Event>, WebhookError> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(not_understood)?;
    let Some(subject) = subject(&envelope.kind) else { return Ok(None) };
    let told = match subject {
        Subject::Charge => of_intent(object(envelope.data.object)?),
        Subject::Refund => of_refund(&object(envelope.data.object)?),
        Subject::Dispute => {
            let Dispute { id } = object(envelope.data.object)?;
            Told { payment: None, reference: id, charge: None }
        }
        Subject::GivenBack => of_charge(object(envelope.data.object)?),
    };
    let Told { payment, reference, charge } = told;
    Ok(Some(Event { event_id: envelope.id, subject, payment, reference, told: charge }))
}

fn subject(kind: &str) -> Option<Subject> {
    match kind {
        "payment_intent.succeeded"
        | "payment_intent.payment_failed"
        | "payment_intent.processing"
        | "payment_intent.requires_action"
        | "payment_intent.canceled" => Some(Subject::Charge),
        // Newer versions of the API tell of refunds by the first, older ones by the last.
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            Some(Subject::Refund)
        }
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated"
        | "charge.dispute.closed" => Some(Subject::Dispute),
        "charge.refunded" => Some(Subject::GivenBack),
        _ => None,
    }
}

fn of_intent(intent: PaymentIntent) -> Told {
    Told {
        payment: intent.payment().map(str::to_owned),
        reference: intent.name().to_owned(),
        charge: intent.into_outside(),
    }
}

fn of_refund(refund: &Refund) -> Told {
    Told { payment: refund.payment().map(str::to_owned), reference: refund.name().to_owned(), charge: None }
}

fn of_charge(charge: OfCharge) -> Told {
    let reference = charge.payment_intent.map_or(charge.id, Reference::into_name);
    Told { payment: None, reference, charge: None }
}

fn object<T: DeserializeOwned>(value: Value) -> Result<T, WebhookError> {
    serde_json::from_value(value).map_err(not_understood)
}

fn not_understood(error: serde_json::Error) -> WebhookError {
    WebhookError::Body(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(kind: &str, object: &str) -> Result<Option<Event>, WebhookError> {
        let body = format!(
            r#"{{"id": "evt_1", "type": "{kind}", "created": 1700000000, "data": {{"object": {object}}}}}"#
        );
        parse(body.as_bytes())
    }

    fn event(kind: &str, object: &str) -> Event {
        parsed(kind, object).unwrap().unwrap()
    }

    #[test]
    fn a_charge_that_failed() {
        let object = r#"{"id": "pi_1", "status": "requires_payment_method", "metadata": {"abacus_payment": "pay_1"},
            "last_payment_error": {"message": "Your card has expired."}}"#;
        let expected = Event {
            event_id: "evt_1".to_owned(),
            subject: Subject::Charge,
            payment: Some("pay_1".to_owned()),
            reference: "pi_1".to_owned(),
            told: None,
        };
        assert_eq!(event("payment_intent.payment_failed", object), expected);
    }

    #[test]
    fn a_refund_is_told_under_its_old_and_its_new_name() {
        let object = r#"{"id": "re_1", "status": "failed", "failure_reason": "expired_or_canceled_card",
            "payment_intent": "pi_1", "metadata": {"abacus_payment": "pay_2", "other": "x"}}"#;
        for kind in ["refund.updated", "refund.failed", "charge.refund.updated"] {
            let event = event(kind, object);
            assert_eq!((event.subject, event.reference.as_str()), (Subject::Refund, "re_1"));
            assert_eq!(event.payment.as_deref(), Some("pay_2"));
        }
    }

    #[test]
    fn what_is_told_of_a_charge_refers_to_its_payment_intent() {
        let charge = event("charge.refunded", r#"{"id": "ch_1", "payment_intent": "pi_1", "metadata": {}}"#);
        assert_eq!((charge.subject, charge.reference.as_str()), (Subject::GivenBack, "pi_1"));
    }

    #[test]
    fn a_dispute_is_told_of_from_its_beginning_to_its_end() {
        for kind in ["created", "updated", "funds_withdrawn", "funds_reinstated", "closed"] {
            let dispute = event(
                &format!("charge.dispute.{kind}"),
                r#"{"id": "dp_1", "payment_intent": "pi_1", "metadata": {}}"#,
            );
            assert_eq!((dispute.subject, dispute.reference.as_str()), (Subject::Dispute, "dp_1"));
            assert_eq!(dispute.payment, None);
        }
    }

    #[test]
    fn a_charge_is_told_as_it_was_unless_it_moves_no_money() {
        let told = |status: &str| {
            let object = format!(
                r#"{{"id": "pi_1", "status": "{status}", "amount": 5000, "currency": "usd", "metadata": {{"abacus_payment": "pay_1"}}}}"#
            );
            event("payment_intent.succeeded", &object).told
        };
        let succeeded = told("succeeded").unwrap();
        assert_eq!((succeeded.amount.to_string().as_str(), succeeded.currency.as_str()), ("50.00", "USD"));
        assert_eq!((told("canceled"), told("requires_payment_method")), (None, None));
    }

    #[test]
    fn charges_that_are_not_ours_bear_no_id_of_ours() {
        let event =
            event("payment_intent.succeeded", r#"{"id": "pi_1", "status": "succeeded", "metadata": {}}"#);
        assert_eq!(event.payment, None);
    }

    #[test]
    fn other_events_are_nothing_for_us_whatever_they_hold() {
        assert_eq!(parsed("customer.created", "{}"), Ok(None));
        assert_eq!(parsed("invoice.paid", "[1]"), Ok(None));
    }

    #[test]
    fn what_is_not_an_event_is_an_error() {
        assert!(matches!(parse(b"not json"), Err(WebhookError::Body(_))));
        assert!(matches!(parsed("payment_intent.succeeded", "{}"), Err(WebhookError::Body(_))));
    }
}
