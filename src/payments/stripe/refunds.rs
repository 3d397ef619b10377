//! Money given back: Stripe's refunds.

use rust_decimal::Decimal;
use serde::Deserialize;

use super::amount::{minor_units, of_minor_units};
use super::client::Client;
use super::failure::Failure;
use super::lookup::{self, Listed, Metadata, PAYMENT_PARAM, Reference};
use super::name::is_name;
use super::params::Params;
use crate::domain::payment::{ChargeState, Progress};
use crate::domain::unmatched::OutsideKind;
use crate::payments::{CardRefund, ChargeName, Outside, ProviderError};

/// Where they are.
pub const PATH: &str = "/v1/refunds";

/// A refund, as Stripe tells it.
#[derive(Debug, Deserialize)]
pub struct Refund {
    id: String,
    /// Some old refunds bear none: they were made at once.
    status: Option<String>,
    failure_reason: Option<String>,
    metadata: Option<Metadata>,
    amount: Option<i64>,
    currency: Option<String>,
    pub charge: Option<Reference>,
    pub payment_intent: Option<Reference>,
}

impl Listed for Refund {
    fn name(&self) -> &str {
        &self.id
    }

    fn payment(&self) -> Option<&str> {
        self.metadata.as_ref().and_then(|metadata| metadata.abacus_payment.as_deref())
    }
}

impl Refund {
    /// How far it is.
    pub fn into_progress(self) -> Progress {
        let state = match self.status.as_deref() {
            Some("succeeded") | None => ChargeState::Succeeded,
            Some("requires_action") => ChargeState::ActionNeeded { url: None },
            Some("failed") => ChargeState::Failed { reason: self.why_failed() },
            Some("canceled") => ChargeState::Failed { reason: "The refund was canceled.".to_owned() },
            Some(_) => ChargeState::Processing,
        };
        Progress { reference: Some(self.id), state }
    }

    /// What it is to this server; None: it does not say how much it is.
    pub fn into_outside(self, charge: Option<ChargeName>) -> Option<Outside> {
        let (amount, currency) = (self.amount?, self.currency?);
        let status = self.status.unwrap_or_else(|| "succeeded".to_owned());
        let amount = of_minor_units(amount, &currency);
        // What takes nothing any more has taken it at first, and given it back.
        let (withdrawn, reinstated) = match status.as_str() {
            "failed" | "canceled" => (amount, amount),
            "requires_action" => (Decimal::ZERO, Decimal::ZERO),
            _ => (amount, Decimal::ZERO),
        };
        Some(Outside {
            kind: OutsideKind::Refund,
            reference: self.id,
            payment: self.metadata.and_then(|metadata| metadata.abacus_payment),
            charge,
            amount,
            currency: currency.to_ascii_uppercase(),
            is_open: matches!(status.as_str(), "pending" | "requires_action"),
            status,
            withdrawn,
            reinstated,
        })
    }

    fn why_failed(&self) -> String {
        match &self.failure_reason {
            Some(reason) => format!("The refund failed: {reason}."),
            None => "The refund failed.".to_owned(),
        }
    }
}

/// Gives money back.
pub async fn make(client: &Client, refund: &CardRefund) -> Result<Progress, ProviderError> {
    let currency = refund.currency.as_str().to_ascii_lowercase();
    let amount = minor_units(refund.amount, &currency, refund.display_scale)?;
    // Stripe gives back in the currency of the charge, and takes no other word for it.
    let params = Params::default()
        .with(charge_param(refund), refund.charge.as_str())
        .with("amount", amount.to_string())
        .with(PAYMENT_PARAM, refund.payment.as_str());
    let made: Refund = client.post(PATH, params, Some(&refund.payment)).await?;
    Ok(made.into_progress())
}

/// What became of a refund.
pub async fn find(
    client: &Client,
    refund: &CardRefund,
    reference: Option<&str>,
) -> Result<Option<Progress>, ProviderError> {
    let found = match reference {
        Some(reference) if is_name(reference) => Some(lookup::by_name(client, PATH, reference).await?),
        _ => by_our_id(client, refund).await?,
    };
    Ok(found.map(Refund::into_progress))
}

async fn by_our_id(client: &Client, refund: &CardRefund) -> Result<Option<Refund>, Failure> {
    let filters = Params::default().with(charge_param(refund), refund.charge.as_str());
    lookup::find(client, PATH, &filters, &refund.payment).await
}

/// What kind of name the charge's reference is: ours are payment intents; older systems may have left charges.
fn charge_param(refund: &CardRefund) -> &'static str {
    if refund.charge.starts_with("ch_") { "charge" } else { "payment_intent" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_of_a_refund() {
        let state = |status: &str| {
            let json =
                format!(r#"{{"id": "re_1", "status": "{status}", "failure_reason": "lost_or_stolen_card"}}"#);
            serde_json::from_str::<Refund>(&json).unwrap().into_progress().state
        };
        assert_eq!(state("succeeded"), ChargeState::Succeeded);
        assert_eq!(state("pending"), ChargeState::Processing);
        assert_eq!(state("requires_action"), ChargeState::ActionNeeded { url: None });
        let reason = "The refund failed: lost_or_stolen_card.".to_owned();
        assert_eq!(state("failed"), ChargeState::Failed { reason });
        assert!(matches!(state("canceled"), ChargeState::Failed { .. }));
    }
}
