//! A month that was closed before it was over is taken back.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::decision::Decide;
use super::draft::Draft;
use super::month_close;
use crate::domain::closing::{RatedMonth, less_charged_before};
use crate::domain::ids::AccountId;
use crate::domain::money;
use crate::domain::outcome::Outcome;
use crate::domain::rating::Charge;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;

/// Takes back a month that was closed before it was over, as it was closed, with nothing of it charged.
#[derive(Debug, Clone)]
pub struct TakeBackMonth(pub Arc<RatedMonth>);

impl Decide for TakeBackMonth {
    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.month(account, &self.0);
    }

    /// Takes back a month that was closed before it was over: what its bills ask for is credited or asked for no longer, and it is closed
    /// once it is over. Of several the last goes first.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let Self(rated) = self;
        let is_last = draft.account.closed_until == Some(rated.month.end);
        if rated.month.end <= draft.now || !is_last || !month_close::is_as_it_was_read(draft, rated) {
            return Ok(Outcome::default());
        }
        draft.account.closed_until = Some(rated.month.start);
        let before = draft.closed_months().find(|closed| closed.month.start == rated.month.start).cloned();
        let Some(before) = before else { return Ok(Outcome::default()) };
        let mut closed = before.taken_back(draft.instant)?;
        closed.withheld_amount = month_close::withheld(draft, &closed)?;
        let ask = month_close::Ask {
            cycle: money::subtract(closed.billed_amount, before.billed_amount)?,
            withheld: money::subtract(closed.withheld_amount, before.withheld_amount)?,
        };
        draft.put(closed);
        let is_billed = before.bill.is_some() && !(before.amount.is_zero() && before.billed_amount.is_zero());
        if !is_billed {
            return Ok(Outcome::default());
        }
        let nothing = Charge { total: Decimal::ZERO, lines: Vec::new() };
        let charge = less_charged_before(nothing, before.amount)?;
        let bill = month_close::bill(draft, rated, ask, before.bill, vec![(None, charge)])?;
        Ok(Outcome { bill: Some(bill), ..Outcome::default() })
    }
}
