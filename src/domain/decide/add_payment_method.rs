//! A payment method is added.

use std::sync::Arc;

use super::decision::Decide;
use super::draft::Draft;
use crate::domain::account::Hash;
use crate::domain::ids::{AccountId, PaymentMethodId};
use crate::domain::mutation::{ADD_PAYMENT_METHOD, Mutation};
use crate::domain::outcome::Outcome;
use crate::domain::payment_method::{Card, METHODS_MAX, PaymentMethod};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;

/// Keeps a card that the payment provider holds.
#[derive(Debug, Clone)]
pub struct AddPaymentMethod {
    /// What was asked for, which the provider's answer is not told apart by.
    pub asked: Hash,
    /// Who charges it.
    pub provider: String,
    /// The provider's name for it.
    pub token: String,
    /// The provider's name for its holder, where it needs one.
    pub customer: Option<String>,
    pub card: Card,
}

impl Decide for AddPaymentMethod {
    const MUTATION: Option<Mutation> = Some(Mutation::named(ADD_PAYMENT_METHOD));
    const STAKE: Option<Stake> = Some(Stake::Setting);

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.card_holders.push(account);
    }

    /// Keeps a card. One that is kept already stays as it is.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        draft.require_open()?;
        let is_same = |kept: &&Arc<PaymentMethod>| {
            (&kept.provider, &kept.token) == (&self.provider, &self.token) && kept.removed_at.is_none()
        };
        if let Some(kept) = draft.book.payment_methods.values().find(is_same) {
            return Ok(Outcome { payment_method: Some(Arc::clone(kept)), ..Outcome::default() });
        }
        let kept = draft.book.payment_methods.values().filter(|method| method.removed_at.is_none()).count();
        if kept >= METHODS_MAX {
            let message = format!("an account keeps at most {METHODS_MAX} payment methods");
            return Err(Refusal::general(RefusalCode::LimitExceeded, message));
        }
        let method = PaymentMethod {
            id: PaymentMethodId(draft.next_id()?),
            provider: self.provider.clone(),
            token: self.token.clone(),
            customer: self.customer.clone(),
            card: self.card.clone(),
            removed_at: None,
        };
        let payment_method = Some(draft.put(method));
        Ok(Outcome { payment_method, ..Outcome::default() })
    }
}
