//! An account is closed: what runs ends, the last bill is made at once, and what is left can be paid out.

use chrono::{DateTime, TimeDelta, Utc};

use super::draft::Draft;
use super::{cancellation, month_close, payment, suspension};
use crate::domain::account::AccountStatus;
use crate::domain::bill::Bill;
use crate::domain::closing::{RatedMonth, closed_until};
use crate::domain::money::OutOfRange;
use crate::domain::notice::NoticeKind;
use crate::domain::order::Order;
use crate::domain::refusal::{Refusal, RefusalCode};

/// So many orders that run are ended at once …
pub const ORDERS_ENDED_MAX: usize = 500;
/// … and so many bills of months, that are open, made due.
pub const BILLS_MADE_DUE_MAX: usize = 500;

/// An account's months up to its end, as they were read and rated for closing it.
#[derive(Debug, Clone)]
pub struct Closing {
    /// When it ends.
    pub at: DateTime<Utc>,
    /// All that are not closed yet, oldest first; the last one ends with the account.
    pub months: Vec<RatedMonth>,
}

/// A message with the reason, where one is given.
pub(super) fn because(message: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{message}: {reason}."),
        None => format!("{message}."),
    }
}

pub(super) fn close(
    draft: &mut Draft<'_>,
    closing: Option<&Closing>,
    reason: Option<&str>,
) -> Result<(), Refusal> {
    if draft.book.has_open_subs {
        let message = "it has SUB accounts that are not closed";
        return Err(Refusal::new(RefusalCode::Conflict, "status", message));
    }
    if draft.book.is_too_large_to_close {
        let message = format!(
            "more than {ORDERS_ENDED_MAX} of its orders run, or more than {BILLS_MADE_DUE_MAX} of its bills are open, which is more than can be ended at once: cancel some, or have some paid or made void, first"
        );
        return Err(Refusal::new(RefusalCode::LimitExceeded, "status", message));
    }
    let closing = closing.filter(|closing| is_up_to_date(draft, closing)).ok_or_else(|| {
        let message =
            "its last bill could not be made: something of the account changed meanwhile; ask again";
        Refusal::new(RefusalCode::Conflict, "status", message)
    })?;
    end_orders(draft, closing)?;
    suspension::end_span(draft, closing.at);
    draft.account.status = AccountStatus::Closed;
    draft.account.suspension = None;
    draft.account.suspension_held_until = None;
    draft.account.closed_at = Some(closing.at);
    for rated in &closing.months {
        month_close::close(draft, rated)?;
    }
    for end in closing.months.iter().map(|rated| rated.month.end) {
        draft.look_again_at(end.checked_sub_signed(TimeDelta::microseconds(1)).ok_or(OutOfRange)?);
    }
    make_due(draft)?;
    payment::settle(draft)?;
    let message = because("The account is closed", reason);
    Ok(draft.notify(NoticeKind::AccountClosed, message, draft.account.id.to_string())?)
}

/// Whether what was read for closing is what the account's book says.
fn is_up_to_date(draft: &Draft<'_>, closing: &Closing) -> bool {
    let is_rated = |order: &Order| {
        let mut on_demand = closing.months.iter().flat_map(|rated| &rated.on_demand);
        on_demand.any(|rated| rated.order.id == order.id)
    };
    let begun_since = |order: &Order| {
        let is_after = order.delivered_at.is_some_and(|begun| begun > closing.at);
        let is_before = order.delivered_at.is_some_and(|begun| begun < closing.at);
        let costs_once = order.once_price.is_some_and(|price| !price.is_zero());
        let was_missed = is_before && costs_once && !is_rated(order) && !is_billed(draft, order);
        order.is_on_demand() && order.runs() && (is_after || was_missed)
    };
    // In the zone in which the months were read.
    let mut until = closed_until(&draft.book.account);
    for rated in &closing.months {
        if rated.month.start != until || !month_close::is_as_it_was_read(draft, rated) {
            return false;
        }
        until = rated.month.end;
    }
    let reaches_the_end = until >= closing.at;
    reaches_the_end
        && closing.at <= draft.instant
        && !draft.all_orders().iter().any(|order| begun_since(order))
}

/// Whether the month that an order began in was billed before.
fn is_billed(draft: &Draft<'_>, order: &Order) -> bool {
    order.delivered_at.is_some_and(|begun| begun < closed_until(&draft.book.account))
}

/// Cancels what is live, the last of each chain first; what is on demand ran until the account's end.
fn end_orders(draft: &mut Draft<'_>, closing: &Closing) -> Result<(), Refusal> {
    for order in draft.all_orders().into_iter().rev().filter(|order| order.state.is_live()) {
        let cancelled = cancellation::cancel(draft, order.id)?;
        if cancelled.is_on_demand() {
            draft.put_order(Order { expires_at: Some(closing.at), ..Order::clone(&cancelled) });
        }
    }
    Ok(())
}

/// What is open is due at once.
fn make_due(draft: &mut Draft<'_>) -> Result<(), OutOfRange> {
    let now = draft.instant;
    for bill in draft.bills_that(|bill| bill.is_open() && !bill.is_due(now)) {
        let due = Bill { due_at: now, ..Bill::clone(&bill) };
        draft.put_bill(Bill { next_step_at: due.next_step_after(now), ..due });
    }
    Ok(())
}
