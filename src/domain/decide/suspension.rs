//! Accounts are suspended, and resume; what runs on demand goes with them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::draft::Draft;
use super::on_demand;
use crate::domain::account::{AccountStatus, SuspendedSpan, Suspension};
use crate::domain::bill::Bill;
use crate::domain::notice::NoticeKind;
use crate::domain::refusal::Refusal;

/// Suspends an active account and tells its owner.
pub(super) fn suspend(
    draft: &mut Draft<'_>,
    why: Suspension,
    message: String,
    subject: String,
) -> Result<(), Refusal> {
    if draft.account.status != AccountStatus::Active {
        return Ok(());
    }
    draft.account.status = AccountStatus::Suspended;
    draft.account.suspension = Some(why);
    draft.account.suspended_at = Some(draft.instant);
    draft.account.suspension_held_until = None;
    on_demand::suspend_all(draft)?;
    Ok(draft.notify(NoticeKind::AccountSuspended, message, subject)?)
}

/// Whether an operator, who has lifted a suspension, holds off what was there then.
pub(super) fn is_held_off(draft: &Draft<'_>) -> bool {
    draft.account.suspension_held_until.is_some_and(|until| draft.instant < until)
}

/// Suspends an account for a bill that was not paid within the grace period, unless that is held off.
pub(super) fn suspend_for(draft: &mut Draft<'_>, bill: &Bill) -> Result<(), Refusal> {
    if is_held_off(draft) {
        return Ok(());
    }
    let message = format!("The account is suspended: bill {} was not paid in time.", bill.number());
    suspend(draft, Suspension::OverdueBill, message, bill.id.to_string())
}

/// Makes a suspended account active again.
pub(super) fn lift(draft: &mut Draft<'_>) {
    end_span(draft, draft.instant);
    draft.account.status = AccountStatus::Active;
    draft.account.suspension = None;
    on_demand::resume_all(draft);
}

/// Keeps when the account was suspended, up to `end`.
pub(super) fn end_span(draft: &mut Draft<'_>, end: DateTime<Utc>) {
    if let Some(from) = draft.account.suspended_at.take()
        && from < end
    {
        draft.put_suspended_span(SuspendedSpan { account: draft.account.id, from, to: end });
    }
}

/// Lifts the account's suspension, if what it owes was the reason and is not any more.
pub(super) fn restore(draft: &mut Draft<'_>) {
    if !matches!(draft.account.suspension, Some(Suspension::OverdueBill | Suspension::Overdrawn)) {
        return;
    }
    if draft.account.overdrawn {
        draft.account.suspension = Some(Suspension::Overdrawn);
    } else if lapsed_bill(draft).is_some() {
        draft.account.suspension = Some(Suspension::OverdueBill);
    } else {
        lift(draft);
    }
}

/// The oldest bill that suspends the account.
fn lapsed_bill(draft: &Draft<'_>) -> Option<Arc<Bill>> {
    let lapsed = draft.bills_that(|bill| bill.order.is_none() && bill.has_lapsed(draft.instant));
    lapsed.into_iter().min_by_key(|bill| (bill.due_at, bill.id))
}

/// Suspends the account for what is overdue by now; it is held off no longer.
pub(super) fn count_again(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    draft.account.suspension_held_until = None;
    if draft.account.available()? < Decimal::ZERO {
        return mark_overdrawn(draft, "what was used or taken back");
    }
    lapsed_bill(draft).map_or(Ok(()), |bill| suspend_for(draft, &bill))
}

/// Marks an account whose balance is below its limit, and suspends it, unless an operator lets it be overdrawn.
pub(super) fn mark_overdrawn(draft: &mut Draft<'_>, cause: &str) -> Result<(), Refusal> {
    let was_overdrawn = draft.account.overdrawn;
    if draft.account.available()? >= Decimal::ZERO || (was_overdrawn && is_held_off(draft)) {
        return Ok(());
    }
    overdraw(draft, cause)
}

pub(super) fn overdraw(draft: &mut Draft<'_>, cause: &str) -> Result<(), Refusal> {
    draft.account.overdrawn = true;
    let message = format!(
        "The account is suspended: {cause} has taken the balance to {} {}, below its limit.",
        draft.currency.format(draft.account.balance),
        draft.currency.code
    );
    suspend(draft, Suspension::Overdrawn, message, draft.account.id.to_string())
}
