//! What falls due of an order by itself: its next period, warnings, renewal, suspension and end.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::{cancellation, on_demand, postpone, renewal};
use crate::domain::account::AccountStatus;
use crate::domain::ids::{AccountId, OrderId};
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::notice::NoticeKind;
use crate::domain::order::{ENDING, Order, OrderState};
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;

/// Does what is due of an order. `due` is what the order said when it was read: once the step is done it says something
/// else, so that the step is done once, however many servers ask for it.
#[derive(Debug, Clone, Serialize)]
pub struct OrderStep {
    pub order: OrderId,
    pub due: DateTime<Utc>,
}

impl Decide for OrderStep {
    const IS_FOLLOWED: bool = false;

    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.orders.push(self.order.0);
    }

    /// Does what is due, if the order still says what it said when it was read.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let still_due =
            |order: &&Arc<Order>| order.next_step_at == Some(self.due) && self.due <= draft.instant;
        let Some(order) = draft.order(self.order).filter(still_due).cloned() else {
            return Ok(Outcome::default());
        };
        let mut attempt = draft.clone();
        let jobs = match advance(&mut attempt, &order, self) {
            Ok(jobs) => {
                *draft = attempt;
                jobs
            }
            Err(refusal) => vec![postpone(draft, &order, &refusal)?],
        };
        Ok(Outcome { order: draft.order(order.id).cloned(), jobs, ..Outcome::default() })
    }
}

fn done(kind: JobKind, succeeded: bool) -> JobOutcome {
    JobOutcome { kind, succeeded }
}

fn advance(draft: &mut Draft<'_>, order: &Order, step: &OrderStep) -> Result<Vec<JobOutcome>, Refusal> {
    if order.state == OrderState::Unpaid || draft.account.status == AccountStatus::Closed {
        cancellation::cancel(draft, order.id)?;
        return Ok(vec![done(JobKind::OrderCancellation, true)]);
    }
    if order.is_on_demand() {
        return on_demand::step(draft, order);
    }
    let mut jobs = Vec::new();
    let seq = order.seq_at(draft.instant, draft.bills_of(order.id).iter().map(AsRef::as_ref));
    if seq != order.seq {
        draft.put_order(Order { seq, ..order.clone() });
        jobs.push(done(JobKind::OrderPeriod, true));
    }
    // A step that was due in time is tried even if it comes late.
    let was_in_time = order.expires_at.is_some_and(|end| step.due.signed_duration_since(end) < ENDING);
    if was_in_time && order.wants_renewal(draft.instant) {
        jobs.extend(near_its_end(draft, order.id)?);
    }
    jobs.extend(settle_state(draft, order.id)?);
    Ok(jobs)
}

/// Renews an order that renews itself; of another it warns.
fn near_its_end(draft: &mut Draft<'_>, id: OrderId) -> Result<Option<JobOutcome>, Refusal> {
    let order = draft.named_order(id)?;
    if order.auto_renewal {
        return Ok(Some(done(JobKind::OrderRenewal, try_renewal(draft, &order)?)));
    }
    let ahead = order.expires_at.filter(|end| *end > draft.instant);
    let Some(end) = ahead else { return Ok(None) };
    let message = format!(
        "Order {} ({}) ends at {} and is not renewed by itself.",
        order.number(),
        order.product_name,
        end.with_timezone(&draft.account.time_zone).format("%Y-%m-%d %H:%M %Z")
    );
    draft.notify(NoticeKind::OrderExpiring, message, id.to_string())?;
    Ok(Some(done(JobKind::OrderExpiry, true)))
}

fn try_renewal(draft: &mut Draft<'_>, order: &Order) -> Result<bool, Refusal> {
    let mut attempt = draft.clone();
    let renewed = attempt.require_active().and_then(|()| renewal::renew(&mut attempt, order, 1));
    match renewed {
        Ok(_) => {
            *draft = attempt;
            Ok(true)
        }
        Err(refusal) => {
            let message = format!(
                "Order {} ({}) could not be renewed: {}.",
                order.number(),
                order.product_name,
                refusal.message
            );
            draft.notify(NoticeKind::RenewalFailed, message, order.id.to_string())?;
            Ok(false)
        }
    }
}

/// Puts the order where it stands by now, and says when it is to be looked at next.
pub(super) fn settle_state(draft: &mut Draft<'_>, id: OrderId) -> Result<Option<JobOutcome>, Refusal> {
    let order = draft.named_order(id)?;
    let lapsed = draft.bills_of(id).iter().any(|bill| bill.has_lapsed(draft.instant));
    let state = order.state_at(draft.instant, lapsed);
    let mut settled = Order { state, ..order.clone() };
    settled.next_step_at = draft.next_step_of(&settled)?;
    draft.put_order(settled);
    if state == order.state {
        return Ok(None);
    }
    Ok(match state {
        OrderState::Suspended => {
            let message =
                format!("Order {} ({}) has ended and is suspended.", order.number(), order.product_name);
            draft.notify(NoticeKind::OrderSuspended, message, id.to_string())?;
            Some(done(JobKind::OrderSuspension, true))
        }
        OrderState::Ended => {
            cancellation::void_open_bills(draft, id);
            Some(done(JobKind::OrderEnd, true))
        }
        _ => None,
    })
}

fn postpone(draft: &mut Draft<'_>, order: &Order, refusal: &Refusal) -> Result<JobOutcome, Refusal> {
    let name = format!("Order {}", order.number());
    let later = postpone::postpone(draft, &name, order.id.to_string(), refusal)?;
    draft.put_order(Order { next_step_at: Some(later), ..order.clone() });
    Ok(done(JobKind::OrderPeriod, false))
}
