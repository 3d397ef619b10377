//! A card is to be charged for the balance.

use rust_decimal::Decimal;
use serde::Serialize;

use super::super::decision::Decide;
use super::super::draft::Draft;
use super::super::payment;
use super::{Wish, kept, want};
use crate::domain::ids::{AccountId, PaymentMethodId};
use crate::domain::mutation::Mutation;
use crate::domain::outcome::Outcome;
use crate::domain::payment::PaymentPurpose;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;
use crate::domain::spelling::by_value;
use crate::domain::stake::Stake;

/// Charges a card for the balance.
#[derive(Debug, Clone, Serialize)]
pub struct RechargeByCard {
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    pub method: PaymentMethodId,
    pub reason: Option<String>,
}

impl Decide for RechargeByCard {
    const MUTATION: Option<Mutation> = Some(Mutation::named("recharge"));
    const STAKE: Option<Stake> = Some(Stake::Payment);

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.methods.push(self.method.0);
        reads.payers.push(account);
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        payment::require_taken(draft, self.amount)?;
        draft.require_payable("amount", self.amount)?;
        let card = kept(draft, self.method)?.as_ref().into();
        let wish = Wish {
            purpose: PaymentPurpose::Recharge,
            currency: draft.currency.code,
            amount: self.amount,
            description: self.reason.clone().unwrap_or_else(|| "Recharge".to_owned()),
            card,
            on_session: true,
            prepayment: None,
            refund_of: None,
            transaction: None,
        };
        let payment = Some(want(draft, wish)?);
        Ok(Outcome { payment, ..Outcome::default() })
    }
}
