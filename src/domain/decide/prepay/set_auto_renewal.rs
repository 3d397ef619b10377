//! Whether a prepayment's card is charged for another term when it ends.

use serde::Serialize;

use super::super::decision::Decide;
use super::super::draft::Draft;
use super::named;
use crate::domain::ids::{AccountId, PrepaymentId};
use crate::domain::outcome::Outcome;
use crate::domain::prepay::{Prepayment, PrepaymentStatus};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;

/// Says whether a prepayment is renewed when it ends.
#[derive(Debug, Clone, Serialize)]
pub struct SetPrepaymentRenewal {
    pub prepayment: PrepaymentId,
    pub auto_renewal: bool,
}

impl Decide for SetPrepaymentRenewal {
    const STAKE: Option<Stake> = Some(Stake::Setting);

    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.prepayments.push(self.prepayment.0);
    }

    /// Says whether a prepayment's card is charged for another term when it ends.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        draft.require_open()?;
        let held = named(draft, self.prepayment)?;
        if held.auto_renewal == self.auto_renewal {
            return Ok(Outcome { prepayment: Some(held), ..Outcome::default() });
        }
        if held.method().is_none() {
            let message =
                format!("there is no card that could be charged again: it was paid in {}", held.currency);
            return Err(Refusal::new(RefusalCode::Invalid, "autoRenewal", message));
        }
        let over = [PrepaymentStatus::Expired, PrepaymentStatus::Failed, PrepaymentStatus::Refunded];
        if over.contains(&held.status) {
            let message = format!("it is {}", held.status.code().to_lowercase());
            return Err(Refusal::new(RefusalCode::Conflict, "prepaymentId", message));
        }
        let set = Prepayment { auto_renewal: self.auto_renewal, ..Prepayment::clone(&held) };
        Ok(Outcome { prepayment: Some(draft.put(set)), ..Outcome::default() })
    }
}
