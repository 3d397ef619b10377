//! Somebody takes it on to ask the provider.

use std::sync::Arc;

use super::super::Made;
use super::super::draft::Draft;
use crate::domain::command::PaymentClaim;
use crate::domain::payment::{Payment, PaymentState};
use crate::domain::refusal::Refusal;

/// From now on the provider may have been asked. Nobody else takes it on meanwhile, if it still says what it said when it was
/// read.
pub(in crate::domain::decide) fn claim(draft: &mut Draft<'_>, claim: &PaymentClaim) -> Result<Made, Refusal> {
    let still_due = |held: &&Arc<Payment>| held.next_step_at == Some(claim.due) && !held.state.is_settled();
    let Some(held) = draft.payment(claim.payment).filter(still_due).cloned() else {
        return Ok(Made::default());
    };
    let claimed = Payment {
        state: PaymentState::Processing,
        attempts: held.attempts.saturating_add(1),
        ..Payment::clone(&held)
    };
    let next_step_at = claimed.next_attempt(draft.instant);
    let payment = draft.put_payment(Payment { next_step_at, ..claimed });
    Ok(Made { payment: Some(payment), ..Made::default() })
}
