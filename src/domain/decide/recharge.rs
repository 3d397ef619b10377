//! Recharge: money comes in, is on the balance at once, and pays what is due.

use rust_decimal::Decimal;
use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::payment;
use crate::domain::ids::AccountId;
use crate::domain::ledger::Posting;
use crate::domain::money::Money;
use crate::domain::mutation::Mutation;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;
use crate::domain::spelling::by_value;
use crate::domain::stake::Stake;
use crate::domain::transaction::{Ledger, Movement, TransactionKind};

/// Puts money on the balance.
#[derive(Debug, Clone, Serialize)]
pub struct Recharge {
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    /// Whom the money came in through: `sandbox`, `offline`, a card's brand. It follows from who asks, and is no part of
    /// what is asked: a key's repeat may come from another.
    #[serde(skip)]
    pub payment_method: String,
    pub reason: Option<String>,
}

impl Decide for Recharge {
    const MUTATION: Option<Mutation> = Some(Mutation::named("recharge"));
    const STAKE: Option<Stake> = Some(Stake::Payment);

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.payers.push(account);
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        payment::require_taken(draft, self.amount)?;
        draft.require_payable("amount", self.amount)?;
        let description = self.reason.clone().unwrap_or_else(|| "Recharge".to_owned());
        let transaction = draft.transaction_of(Movement {
            kind: TransactionKind::Recharge,
            money: Money::new(self.amount, draft.currency.code),
            debit: Ledger::Cash(self.payment_method.clone()),
            credit: Ledger::Customer,
            description: description.clone(),
            payment_method: self.payment_method.clone(),
        })?;
        let transaction = draft.post(transaction, Posting::because(description))?;
        payment::settle(draft)?;
        Ok(Outcome { transaction: Some(transaction), ..Outcome::default() })
    }
}
