//! Somebody takes it on to ask the provider.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::super::decision::Decide;
use super::super::draft::Draft;
use crate::domain::ids::{AccountId, PaymentId};
use crate::domain::outcome::Outcome;
use crate::domain::payment::{Payment, PaymentState};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;

/// Takes a payment on; `due` as in [`OrderStep`](super::super::OrderStep).
#[derive(Debug, Clone, Serialize)]
pub struct ClaimPayment {
    pub payment: PaymentId,
    pub due: DateTime<Utc>,
}

impl Decide for ClaimPayment {
    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.payments.push(self.payment.0);
    }

    /// From now on the provider may have been asked. Nobody else takes it on meanwhile, if it still says what it said when it was
    /// read.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let still_due =
            |held: &&Arc<Payment>| held.next_step_at == Some(self.due) && !held.state.is_settled();
        let Some(held) = draft.payment(self.payment).filter(still_due).cloned() else {
            return Ok(Outcome::default());
        };
        let claimed = Payment {
            state: PaymentState::Processing,
            attempts: held.attempts.saturating_add(1),
            ..Payment::clone(&held)
        };
        let next_step_at = claimed.next_attempt(draft.instant);
        let payment = draft.put(Payment { next_step_at, ..claimed });
        Ok(Outcome { payment: Some(payment), ..Outcome::default() })
    }
}
