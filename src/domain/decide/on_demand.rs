//! Orders on demand: they run until they are cancelled, or as long as their account may spend.

use std::sync::Arc;

use super::draft::Draft;
use crate::domain::account::AccountStatus;
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::money::{self, OutOfRange};
use crate::domain::order::{ENDING, Order, OrderState};
use crate::domain::refusal::Refusal;

/// Begins an order: an hour of it and of all that run already must be available.
pub(super) fn begin(draft: &mut Draft<'_>, order: Order) -> Result<Arc<Order>, Refusal> {
    let rate = money::add(draft.account.on_demand_rate, order.cycle_price()?.amount)?;
    draft.require_available(rate)?;
    draft.account.on_demand_rate = rate;
    Ok(draft.put_order(order))
}

/// An order that ran is over: an hour of it need not be there any more.
pub(super) fn release(draft: &mut Draft<'_>, order: &Order) -> Result<(), OutOfRange> {
    if order.is_on_demand() && order.runs() {
        draft.account.on_demand_rate =
            money::subtract(draft.account.on_demand_rate, order.cycle_price()?.amount)?;
    }
    Ok(())
}

fn running(draft: &Draft<'_>) -> Vec<Arc<Order>> {
    let mut running = draft.all_orders();
    running.retain(|order| order.is_on_demand() && order.runs());
    running
}

/// Suspends all with their account. They end later, unless they resume with it.
pub(super) fn suspend_all(draft: &mut Draft<'_>) -> Result<(), OutOfRange> {
    for order in running(draft) {
        suspend(draft, &order)?;
    }
    Ok(())
}

fn suspend(draft: &mut Draft<'_>, order: &Order) -> Result<(), OutOfRange> {
    let ends_at = draft.instant.checked_add_signed(ENDING).ok_or(OutOfRange)?;
    draft.put_order(Order { state: OrderState::Suspended, next_step_at: Some(ends_at), ..order.clone() });
    Ok(())
}

/// Resumes all with their account.
pub(super) fn resume_all(draft: &mut Draft<'_>) {
    for order in running(draft) {
        resume(draft, &order);
    }
}

fn resume(draft: &mut Draft<'_>, order: &Order) {
    draft.put_order(Order { state: OrderState::Active, next_step_at: None, ..order.clone() });
}

/// Does what is due of one: what is suspended for too long ends, as of when it was suspended.
pub(super) fn step(draft: &mut Draft<'_>, order: &Order) -> Result<Vec<JobOutcome>, Refusal> {
    let done = |kind| vec![JobOutcome { kind, succeeded: true }];
    match (draft.account.status, order.state) {
        (AccountStatus::Active, _) => {
            resume(draft, order);
            Ok(Vec::new())
        }
        (_, OrderState::Suspended) => {
            release(draft, order)?;
            let ended_at = draft.account.suspended_at.or(order.next_step_at);
            draft.put_order(Order {
                state: OrderState::Ended,
                expires_at: ended_at.max(order.delivered_at),
                next_step_at: None,
                ..order.clone()
            });
            Ok(done(JobKind::OrderEnd))
        }
        _ => {
            suspend(draft, order)?;
            Ok(done(JobKind::OrderSuspension))
        }
    }
}
