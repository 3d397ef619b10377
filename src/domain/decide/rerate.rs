//! A closed month is rated again because an operator asks for it.

use chrono::NaiveDate;
use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::month_close;
use crate::domain::closing::RatedMonth;
use crate::domain::ids::AccountId;
use crate::domain::mutation::Mutation;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};

/// Rates a closed month again, and bills the difference.
#[derive(Debug, Clone, Serialize)]
pub struct Rerate {
    /// The first day of the month.
    pub period: NaiveDate,
    /// The month as it was read and rated for this; no part of what is asked. None where the key is known to hold an answer.
    #[serde(skip)]
    pub rated: Option<RatedMonth>,
}

impl Decide for Rerate {
    const MUTATION: Option<Mutation> = Some(Mutation::named("rerate"));

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        self.rated.iter().for_each(|rated| reads.month(account, rated));
    }

    /// Rates a closed month again because an operator asks for it.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let Some(rated) = self.rated.as_ref().filter(|rated| month_close::is_as_it_was_read(draft, rated))
        else {
            let message = "the month was rated by another at the same time; ask again";
            return Err(Refusal::new(RefusalCode::Conflict, "period", message));
        };
        Ok(Outcome { bill: month_close::close(draft, rated)?, ..Outcome::default() })
    }
}
