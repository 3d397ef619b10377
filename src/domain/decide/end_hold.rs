//! The time is over for which a suspension was lifted by hand.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::suspension;
use crate::domain::ids::AccountId;
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;

/// Ends the time for which a suspension was lifted by hand; it says until when that was.
#[derive(Debug, Clone, Serialize)]
pub struct EndHold(pub DateTime<Utc>);

impl Decide for EndHold {
    const IS_FOLLOWED: bool = false;

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.payers.push(account);
        reads.may_suspend(account, None);
    }

    /// The time is over for which a suspension was lifted by hand: what is overdue counts again. Done once, as the account
    /// says something else then.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let Self(due) = *self;
        if draft.account.suspension_held_until != Some(due) || draft.instant < due {
            return Ok(Outcome::default());
        }
        suspension::count_again(draft)?;
        Ok(Outcome {
            jobs: vec![JobOutcome { kind: JobKind::HoldEnd, succeeded: true }],
            ..Outcome::default()
        })
    }
}
