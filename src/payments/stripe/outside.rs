//! What there is at Stripe of charges, refunds and disputes that this server may know nothing of.

use rust_decimal::Decimal;
use serde::Deserialize;

use super::amount::of_minor_units;
use super::charges::{self, PaymentIntent};
use super::client::Client;
use super::failure::Failure;
use super::lookup::{self, Listed, Metadata, Reference};
use super::params::Params;
use super::refunds;
use crate::domain::unmatched::OutsideKind;
use crate::payments::{ChargeName, Outside, ProviderError};

const CHARGES: &str = "/v1/charges";
const DISPUTES: &str = "/v1/disputes";

/// A charge, as Stripe tells it: what a payment intent comes to, with the intent's metadata.
#[derive(Debug, Deserialize)]
pub struct Charge {
    id: String,
    payment_intent: Option<Reference>,
    metadata: Option<Metadata>,
    amount: i64,
    currency: String,
    status: Option<String>,
}

/// A dispute, as Stripe tells it.
#[derive(Debug, Deserialize)]
struct Dispute {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    charge: Option<Reference>,
    payment_intent: Option<Reference>,
    /// What was withdrawn by it, and reinstated.
    balance_transactions: Option<Vec<Moved>>,
}

/// A movement of Stripe's balance, in the currency of that.
#[derive(Debug, Deserialize)]
struct Moved {
    amount: i64,
}

/// What there is under a name of Stripe's; None: nothing.
pub async fn find(client: &Client, kind: OutsideKind, name: &str) -> Result<Option<Outside>, ProviderError> {
    Ok(match kind {
        OutsideKind::Charge => charge(client, name).await?,
        OutsideKind::Refund => refund(client, name).await?,
        OutsideKind::Dispute => dispute(client, name).await?,
    })
}

async fn charge(client: &Client, name: &str) -> Result<Option<Outside>, Failure> {
    if !name.starts_with("ch_") && !name.starts_with("py_") {
        let intent: Option<PaymentIntent> = lookup::at(client, charges::PATH, name).await?;
        return Ok(intent.and_then(PaymentIntent::into_outside));
    }
    let charge: Option<Charge> = lookup::at(client, CHARGES, name).await?;
    Ok(charge.map(Charge::into_outside))
}

impl Charge {
    /// What it is to this server.
    pub fn into_outside(self) -> Outside {
        let intent = self.payment_intent.map_or(self.id, Reference::into_name);
        let payment = self.metadata.and_then(|metadata| metadata.abacus_payment);
        Outside {
            kind: OutsideKind::Charge,
            reference: intent.clone(),
            payment: payment.clone(),
            charge: Some(ChargeName { reference: intent, payment }),
            amount: of_minor_units(self.amount, &self.currency),
            currency: self.currency.to_ascii_uppercase(),
            status: self.status.unwrap_or_default(),
            withdrawn: Decimal::ZERO,
            reinstated: Decimal::ZERO,
            is_open: false,
        }
    }
}

async fn refund(client: &Client, name: &str) -> Result<Option<Outside>, Failure> {
    let Some(refund): Option<refunds::Refund> = lookup::at(client, refunds::PATH, name).await? else {
        return Ok(None);
    };
    let charge = charge_of(client, refund.payment_intent.as_ref(), refund.charge.as_ref()).await?;
    Ok(refund.into_outside(charge))
}

async fn dispute(client: &Client, name: &str) -> Result<Option<Outside>, Failure> {
    let Some(dispute): Option<Dispute> = lookup::at(client, DISPUTES, name).await? else { return Ok(None) };
    let charge = charge_of(client, dispute.payment_intent.as_ref(), dispute.charge.as_ref()).await?;
    Ok(Some(dispute.into_outside(charge)))
}

/// The charge that something takes back from, with our id, which its payment intent bears.
async fn charge_of(
    client: &Client,
    intent: Option<&Reference>,
    charge: Option<&Reference>,
) -> Result<Option<ChargeName>, Failure> {
    let intent = match (intent, charge) {
        (Some(intent), _) => Some(intent.name().to_owned()),
        (None, Some(charge)) => {
            let found: Option<Charge> = lookup::at(client, CHARGES, charge.name()).await?;
            found.and_then(|charge| charge.payment_intent).map(Reference::into_name)
        }
        (None, None) => None,
    };
    let Some(reference) = intent else { return Ok(None) };
    let found: Option<PaymentIntent> = lookup::at(client, charges::PATH, &reference).await?;
    let payment = found.and_then(|intent| intent.payment().map(str::to_owned));
    Ok(Some(ChargeName { reference, payment }))
}

impl Dispute {
    fn into_outside(self, charge: Option<ChargeName>) -> Outside {
        let (withdrawn, reinstated) = self.moved();
        Outside {
            kind: OutsideKind::Dispute,
            payment: None,
            charge,
            is_open: !matches!(self.status.as_str(), "won" | "lost" | "warning_closed" | "prevented"),
            withdrawn: of_minor_units(withdrawn, &self.currency),
            reinstated: of_minor_units(reinstated, &self.currency),
            amount: of_minor_units(self.amount, &self.currency),
            currency: self.currency.to_ascii_uppercase(),
            reference: self.id,
            status: self.status,
        }
    }

    /// What was ever withdrawn and reinstated, in the dispute's own currency. Its movements are in that of Stripe's balance, so
    /// they are taken for parts of the first one, by which the whole was withdrawn.
    fn moved(&self) -> (i64, i64) {
        let moved = self.balance_transactions.iter().flatten().map(|moved| moved.amount);
        let first = moved.clone().find(|amount| *amount < 0);
        let part = |sum: i128| match first.map(|first| i128::from(first.unsigned_abs())) {
            Some(first) => sum
                .checked_mul(i128::from(self.amount))
                .and_then(|whole| whole.checked_div(first))
                .and_then(|part| i64::try_from(part).ok())
                .unwrap_or(self.amount),
            None => 0,
        };
        let sum = |is_part: fn(&i64) -> bool| -> i128 {
            moved.clone().filter(is_part).map(|amount| i128::from(amount.unsigned_abs())).sum()
        };
        let (withdrawn, reinstated) = (part(sum(|amount| *amount < 0)), part(sum(|amount| *amount > 0)));
        // Where the movements are not told, its end tells what they were.
        match self.status.as_str() {
            "lost" => (withdrawn.max(self.amount), reinstated),
            "won" => (withdrawn, if reinstated == 0 { withdrawn } else { reinstated }),
            _ => (withdrawn, reinstated),
        }
    }
}

/// The names of all that was given back of a charge.
pub async fn refunds_of(client: &Client, charge: &str) -> Result<Vec<String>, ProviderError> {
    let name = if charge.starts_with("pi_") { "payment_intent" } else { "charge" };
    let filters = Params::default().with(name, charge);
    let refunds: Vec<refunds::Refund> = lookup::all(client, refunds::PATH, &filters).await?;
    Ok(refunds.into_iter().map(|refund| refund.name().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(status: &str, amounts: &[i64]) -> (i64, i64) {
        let transactions: Vec<String> =
            amounts.iter().map(|amount| format!(r#"{{"amount": {amount}}}"#)).collect();
        let json = format!(
            r#"{{"id": "dp_1", "amount": 5000, "currency": "usd", "status": "{status}", "charge": "ch_1",
                "payment_intent": "pi_1", "balance_transactions": [{}]}}"#,
            transactions.join(", ")
        );
        serde_json::from_str::<Dispute>(&json).unwrap().moved()
    }

    #[test]
    fn a_dispute_takes_what_was_withdrawn_and_not_reinstated() {
        assert_eq!(moved("warning_needs_response", &[]), (0, 0));
        assert_eq!(moved("needs_response", &[]), (0, 0), "opened, and nothing moved yet");
        assert_eq!(moved("needs_response", &[-5000]), (5000, 0));
        assert_eq!(moved("under_review", &[-5000, 5000]), (5000, 5000));
        assert_eq!(moved("won", &[-5000, 5000]), (5000, 5000));
        assert_eq!(moved("won", &[-5000, 2000]), (5000, 2000), "in part");
        assert_eq!(moved("lost", &[-5000, 5000, -5000]), (10_000, 5000), "won, and lost after all");
    }

    #[test]
    fn the_end_of_a_dispute_tells_what_its_movements_do_not() {
        assert_eq!(moved("lost", &[]), (5000, 0));
        assert_eq!(moved("won", &[-5000]), (5000, 5000));
        assert_eq!(moved("won", &[]), (0, 0));
        assert_eq!(moved("warning_closed", &[]), (0, 0));
    }

    #[test]
    fn movements_in_another_currency_are_parts_of_the_dispute() {
        assert_eq!(moved("needs_response", &[-4600]), (5000, 0));
        assert_eq!(moved("won", &[-4600, 2300]), (5000, 2500));
    }
}
