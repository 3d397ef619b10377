//! Orders end before their time.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::{on_demand, payment};
use crate::domain::bill::{Bill, BillStatus};
use crate::domain::ids::{AccountId, OrderId, printed_number};
use crate::domain::money::{self, Currency, OutOfRange};
use crate::domain::mutation::Mutation;
use crate::domain::order::{Order, OrderState};
use crate::domain::outcome::Outcome;
use crate::domain::period::{BillPeriod, calendar_days};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;

/// Ends an order now, or lets it end with its last period.
#[derive(Debug, Clone, Serialize)]
pub struct CancelOrder {
    pub order: OrderId,
    pub at_period_end: bool,
}

impl Decide for CancelOrder {
    const MUTATION: Option<Mutation> = Some(Mutation::named("cancelOrder"));
    const STAKE: Option<Stake> = Some(Stake::Setting);

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.orders.push(self.order.0);
        reads.payers.push(account);
    }

    /// Ends an order at once, or stops its renewal. What was paid is not given back. Asking again changes nothing more.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let order = draft.named_order(self.order)?;
        let order = match order.state {
            OrderState::Ended => {
                let message = format!("order {} is over", order.number());
                return Err(Refusal::new(RefusalCode::Invalid, "orderId", message));
            }
            OrderState::Cancelled => Arc::new(order),
            _ if self.at_period_end => stop_renewal(draft, order)?,
            _ => {
                require_last(&order)?;
                let bills = draft.bills_of(order.id);
                let cancelled = cancel(draft, order.id)?;
                bills.iter().filter(|bill| bill.is_open()).for_each(|bill| payment::go_on_after(draft, bill));
                cancelled
            }
        };
        Ok(Outcome { order: Some(order), ..Outcome::default() })
    }
}

fn stop_renewal(draft: &mut Draft<'_>, order: Order) -> Result<Arc<Order>, Refusal> {
    if order.bill_period == BillPeriod::Hour {
        let message = "an order on demand has no period to run to the end of";
        return Err(Refusal::new(RefusalCode::Invalid, "atPeriodEnd", message));
    }
    require_last(&order)?;
    Ok(draft.put_order(Order { auto_renewal: false, ..order }))
}

/// Refuses to end what another order continues: that one comes first.
fn require_last(order: &Order) -> Result<(), Refusal> {
    let Some(renewal) = order.renewed_by else { return Ok(()) };
    let renewal = printed_number('O', renewal.0);
    let message = format!("order {} is continued by {renewal}: cancel that one first", order.number());
    Err(Refusal::new(RefusalCode::Conflict, "orderId", message))
}

/// Ends an order, voids what is unpaid of it, and lets the order that it was to continue run out.
pub(super) fn cancel(draft: &mut Draft<'_>, id: OrderId) -> Result<Arc<Order>, Refusal> {
    let order = draft.named_order(id)?;
    void_open_bills(draft, id);
    on_demand::release(draft, &order)?;
    let continued = order.previous.and_then(|previous| draft.order(previous)).cloned();
    let last_of_all = order.renewed_by.is_none();
    let is_freed = |before: &Arc<Order>| last_of_all && before.renewed_by == Some(id) && before.runs();
    if let Some(continued) = continued.filter(is_freed) {
        let mut before = Order { renewed_by: None, auto_renewal: false, ..Order::clone(&continued) };
        let next = draft.next_step_of(&before)?;
        // Where its time is long over, as the jobs have not come by, it ends with the next of them.
        before.next_step_at = next.or(Some(draft.instant));
        draft.put_order(before);
    }
    let expires_at = if order.is_on_demand() { Some(draft.instant) } else { order.expires_at };
    let state = OrderState::Cancelled;
    let cancelled_at = Some(draft.instant);
    let next_step_at = None;
    Ok(draft.put_order(Order { state, auto_renewal: false, next_step_at, expires_at, cancelled_at, ..order }))
}

/// What is over asks for nothing that is still open.
pub(super) fn void_open_bills(draft: &mut Draft<'_>, order: OrderId) {
    for bill in draft.bills_of(order).iter().filter(|bill| bill.is_open()) {
        draft.put_bill(bill.voided());
    }
}

/// Counts what has been paid for days of an order that are still to come: the price of each paid period, before credits and
/// less what was refunded beyond what was charged once, times the whole calendar days left of it, over its whole days;
/// rounded down. It is given back by that.
pub(super) fn credit_for_days_left(draft: &mut Draft<'_>, order: OrderId) -> Result<Decimal, OutOfRange> {
    let mut credit = Decimal::ZERO;
    for bill in draft.bills_of(order).iter().filter(|bill| bill.status == BillStatus::Paid) {
        let zone = draft.account.time_zone;
        let days_left = calendar_days(draft.instant.max(bill.start_time), bill.end_time, zone);
        let days = calendar_days(bill.start_time, bill.end_time, zone);
        let refunded = money::subtract(bill.refunded_amount, bill.once_amount)?.max(Decimal::ZERO);
        let price = money::subtract(bill.cycle_amount, refunded)?.max(Decimal::ZERO);
        let counted = share(&draft.currency, price, days_left, days)?;
        credit = money::add(credit, counted)?;
        let credited_amount = money::add(bill.credited_amount, counted)?;
        draft.put_bill(Bill { credited_amount, ..Bill::clone(bill) });
    }
    Ok(credit)
}

/// The share of `price` for the days left of a period, rounded down to what can be paid.
fn share(currency: &Currency, price: Decimal, days_left: u32, days: u32) -> Result<Decimal, OutOfRange> {
    let days_left = Decimal::from(days_left.min(days));
    let share = money::multiply(price, days_left)?.checked_div(Decimal::from(days)).unwrap_or_default();
    Ok(currency.truncate_to_display(share))
}
