//! Charges of cards: Stripe's payment intents.

use chrono::TimeDelta;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::amount::{minor_units, of_minor_units};
use super::client::Client;
use super::failure::{Failure, Refusal};
use super::lookup::{self, Listed, Metadata, PAYMENT_PARAM};
use super::name::is_name;
use super::params::Params;
use crate::clock::wall;
use crate::domain::payment::{ChargeState, Progress};
use crate::domain::unmatched::OutsideKind;
use crate::payments::{Charge, ChargeName, Outside, ProviderError};

/// Where they are.
pub const PATH: &str = "/v1/payment_intents";
/// How far Stripe's clock and ours may be apart.
const CLOCK_SLACK: TimeDelta = TimeDelta::hours(24);

/// A payment, as Stripe tells it.
#[derive(Debug, Deserialize)]
pub struct PaymentIntent {
    id: String,
    status: String,
    metadata: Option<Metadata>,
    next_action: Option<NextAction>,
    last_payment_error: Option<PaymentError>,
    cancellation_reason: Option<String>,
    amount: Option<i64>,
    currency: Option<String>,
}

#[derive(Debug, Deserialize)]
struct NextAction {
    redirect_to_url: Option<Redirect>,
}

#[derive(Debug, Deserialize)]
struct Redirect {
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PaymentError {
    message: Option<String>,
    code: Option<String>,
}

impl Listed for PaymentIntent {
    fn name(&self) -> &str {
        &self.id
    }

    fn payment(&self) -> Option<&str> {
        self.metadata.as_ref().and_then(|metadata| metadata.abacus_payment.as_deref())
    }
}

impl PaymentIntent {
    /// How far it is.
    pub fn into_progress(self) -> Progress {
        let state = match self.status.as_str() {
            "succeeded" => ChargeState::Succeeded,
            "requires_action" | "requires_source_action" => {
                ChargeState::ActionNeeded { url: self.redirect() }
            }
            "requires_payment_method" | "requires_source" | "canceled" => {
                ChargeState::Failed { reason: self.why_failed() }
            }
            // Also what Stripe may come to say one day: never taken for an end.
            _ => ChargeState::Processing,
        };
        Progress { reference: Some(self.id), state }
    }

    /// What it is to this server; None: it moves no money, and never will, or it does not say how much.
    pub fn into_outside(self) -> Option<Outside> {
        let (amount, currency) = (self.amount?, self.currency?);
        if matches!(self.status.as_str(), "requires_payment_method" | "requires_source" | "canceled") {
            return None;
        }
        let payment = self.metadata.and_then(|metadata| metadata.abacus_payment);
        Some(Outside {
            kind: OutsideKind::Charge,
            reference: self.id.clone(),
            payment: payment.clone(),
            charge: Some(ChargeName { reference: self.id, payment }),
            amount: of_minor_units(amount, &currency),
            currency: currency.to_ascii_uppercase(),
            is_open: self.status != "succeeded",
            status: self.status,
            withdrawn: Decimal::ZERO,
            reinstated: Decimal::ZERO,
        })
    }

    fn redirect(&self) -> Option<String> {
        self.next_action.as_ref()?.redirect_to_url.as_ref()?.url.clone()
    }

    fn why_failed(&self) -> String {
        let error = self.last_payment_error.as_ref();
        let words = error.and_then(|error| error.message.as_ref().or(error.code.as_ref()));
        match (words, &self.cancellation_reason) {
            (Some(words), _) => words.clone(),
            (None, Some(reason)) => format!("The payment was canceled: {reason}."),
            (None, None) => "The payment failed.".to_owned(),
        }
    }
}

/// Charges a card.
pub async fn make(
    client: &Client,
    charge: &Charge,
    return_url: Option<&str>,
) -> Result<Progress, ProviderError> {
    let params = params(charge, return_url)?;
    let made: Result<PaymentIntent, Failure> = client.post(PATH, params, Some(&charge.payment)).await;
    match made {
        Ok(intent) => Ok(intent.into_progress()),
        Err(Failure::Refusal(refusal)) if refusal.is_decline() => declined(client, charge, &refusal).await,
        Err(Failure::Refusal(refusal)) if refusal.is_missing("payment_method") => {
            Err(ProviderError::NoSuchCard)
        }
        Err(failure) => Err(failure.into()),
    }
}

fn params<'c>(charge: &'c Charge, return_url: Option<&'c str>) -> Result<Params<'c>, ProviderError> {
    let currency = charge.currency.as_str().to_ascii_lowercase();
    let amount = minor_units(charge.amount, &currency, charge.display_scale)?;
    let params = Params::default()
        .with("amount", amount.to_string())
        .with("currency", currency)
        .with("payment_method", charge.token.as_str())
        // Cards only: other methods could ask for a redirect, without a customer who is there.
        .with("payment_method_types[]", "card")
        .with("confirm", "true")
        .with(PAYMENT_PARAM, charge.payment.as_str())
        .with_any("customer", charge.customer.as_deref())
        .with_any("off_session", (!charge.on_session).then_some("true"))
        // Without an address to come back to, Stripe answers none to authenticate at.
        .with_spare("error_on_requires_action", (charge.on_session && return_url.is_none()).then_some("true"))
        .with_spare("return_url", return_url.filter(|_| charge.on_session))
        .with_spare("description", Some(charge.description.as_str()).filter(|text| !text.is_empty()));
    Ok(params)
}

/// A charge that the card's bank declined.
async fn declined(client: &Client, charge: &Charge, refusal: &Refusal) -> Result<Progress, ProviderError> {
    let reference = match refusal.payment_intent() {
        Some(intent) => Some(intent.to_owned()),
        // `localstripe` does not say.
        None => by_our_id(client, charge).await?.map(|intent| intent.id),
    };
    Ok(Progress { reference, state: ChargeState::Failed { reason: refusal.message() } })
}

/// What became of a charge.
pub async fn find(
    client: &Client,
    charge: &Charge,
    reference: Option<&str>,
) -> Result<Option<Progress>, ProviderError> {
    let found = match reference {
        Some(reference) if is_name(reference) => Some(lookup::by_name(client, PATH, reference).await?),
        _ => by_our_id(client, charge).await?,
    };
    Ok(found.map(PaymentIntent::into_progress))
}

/// Cancels a charge that waits for its card's holder; one that has come to its end stays as it is.
pub async fn give_up(
    client: &Client,
    charge: &Charge,
    reference: Option<&str>,
) -> Result<Progress, ProviderError> {
    let intent = match reference {
        Some(reference) if is_name(reference) => lookup::by_name(client, PATH, reference).await?,
        _ => {
            by_our_id(client, charge).await?.ok_or_else(|| Failure::Unknown("it is not found".to_owned()))?
        }
    };
    let canceled = client.post(&format!("{PATH}/{}/cancel", intent.id), Params::default(), None).await;
    match canceled {
        Ok(intent) => Ok(PaymentIntent::into_progress(intent)),
        Err(Failure::Refusal(_)) => {
            Ok(lookup::by_name::<PaymentIntent>(client, PATH, &intent.id).await?.into_progress())
        }
        Err(failure) => Err(failure.into()),
    }
}

/// The payment that bears our id, among those of the customer since the charge was made.
async fn by_our_id(client: &Client, charge: &Charge) -> Result<Option<PaymentIntent>, Failure> {
    // A sandbox's clock may be ahead of Stripe's.
    let created_at = charge.created_at.min(wall());
    let since = created_at.timestamp().saturating_sub(CLOCK_SLACK.num_seconds());
    // They only make the list shorter: our id tells the payment, and `localstripe` does not know them.
    let filters = Params::default()
        .with_spare("customer", charge.customer.as_deref())
        .with_spare("created[gte]", Some(since.to_string()));
    lookup::find(client, PATH, &filters, &charge.payment).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_of(json: &str) -> ChargeState {
        serde_json::from_str::<PaymentIntent>(json).unwrap().into_progress().state
    }

    fn failed(reason: &str) -> ChargeState {
        ChargeState::Failed { reason: reason.to_owned() }
    }

    #[test]
    fn the_ends_of_a_payment() {
        assert_eq!(state_of(r#"{"id": "pi_1", "status": "succeeded"}"#), ChargeState::Succeeded);
        let declined = r#"{"id": "pi_1", "status": "requires_payment_method",
            "last_payment_error": {"code": "card_declined", "message": "Your card was declined."}}"#;
        assert_eq!(state_of(declined), failed("Your card was declined."));
        let canceled = r#"{"id": "pi_1", "status": "canceled", "cancellation_reason": "fraudulent"}"#;
        assert_eq!(state_of(canceled), failed("The payment was canceled: fraudulent."));
    }

    #[test]
    fn what_is_not_at_an_end_is_not_taken_for_one() {
        for status in ["processing", "requires_confirmation", "requires_capture", "something_new"] {
            let json = format!(r#"{{"id": "pi_1", "status": "{status}"}}"#);
            assert_eq!(state_of(&json), ChargeState::Processing, "{status}");
        }
    }

    #[test]
    fn a_customer_is_sent_to_where_to_authenticate() {
        let redirect = r#"{"id": "pi_1", "status": "requires_action", "next_action": {"type": "redirect_to_url",
            "redirect_to_url": {"url": "https://hooks.stripe.com/3d", "return_url": "https://here"}}}"#;
        let url = Some("https://hooks.stripe.com/3d".to_owned());
        assert_eq!(state_of(redirect), ChargeState::ActionNeeded { url });
        let script = r#"{"id": "pi_1", "status": "requires_action", "next_action": {"type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect"}}}"#;
        assert_eq!(state_of(script), ChargeState::ActionNeeded { url: None });
    }
}
