//! A payment method is removed.

use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use crate::domain::ids::{AccountId, PaymentMethodId};
use crate::domain::outcome::Outcome;
use crate::domain::payment_method::PaymentMethod;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;

/// Forgets a card.
#[derive(Debug, Clone, Serialize)]
pub struct RemovePaymentMethod(pub PaymentMethodId);

impl Decide for RemovePaymentMethod {
    const STAKE: Option<Stake> = Some(Stake::Setting);

    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.methods.push(self.0.0);
    }

    /// Asking again changes nothing more.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let none =
            || Refusal::new(RefusalCode::NotFound, "paymentMethodId", "there is no such payment method");
        let kept = draft.book.payment_methods.get(&self.0).cloned().ok_or_else(none)?;
        if kept.removed_at.is_some() {
            return Ok(Outcome { payment_method: Some(kept), ..Outcome::default() });
        }
        let removed = PaymentMethod { removed_at: Some(draft.instant), ..PaymentMethod::clone(&kept) };
        let payment_method = Some(draft.put(removed));
        Ok(Outcome { payment_method, ..Outcome::default() })
    }
}
