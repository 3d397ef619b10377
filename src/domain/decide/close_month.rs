//! A month that is over is closed, or one that was closed is corrected, because jobs ask.

use std::sync::Arc;

use super::decision::Decide;
use super::draft::Draft;
use super::month_close;
use crate::domain::closing::RatedMonth;
use crate::domain::ids::AccountId;
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;

/// Bills a month that is over, or corrects its bill.
#[derive(Debug, Clone)]
pub struct CloseMonth(pub Arc<RatedMonth>);

impl Decide for CloseMonth {
    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.month(account, &self.0);
    }

    /// Closes or corrects a month, if the account's book still says what it said when the month was read.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let Self(rated) = self;
        if !month_close::is_as_it_was_read(draft, rated) {
            return Ok(Outcome::default());
        }
        let kind = if rated.revision == 0 { JobKind::MonthClosing } else { JobKind::MonthCorrection };
        let bill = month_close::close(draft, rated)?;
        Ok(Outcome { bill, jobs: vec![JobOutcome { kind, succeeded: true }], ..Outcome::default() })
    }
}
