//! An order's bills: made when it is placed, one for each of its periods.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::draft::Draft;
use crate::domain::bill::{Bill, BillStatus};
use crate::domain::ids::BillId;
use crate::domain::money::{self, OutOfRange};
use crate::domain::order::{Order, OrderState};
use crate::domain::refusal::{Refusal, RefusalCode};

/// The limits of a period of an order, from 1.
fn period(draft: &Draft<'_>, order: &Order, seq: i32) -> Result<(DateTime<Utc>, DateTime<Utc>), Refusal> {
    let zone = draft.account.time_zone;
    let begin = order.boundary(seq.checked_sub(1).ok_or(OutOfRange)?, zone)?;
    let end = order.boundary(seq, zone)?;
    match (begin, end) {
        (Some(begin), Some(end)) => Ok((begin, end)),
        _ => Err(Refusal::general(RefusalCode::Invalid, "an order on demand has no periods")),
    }
}

/// Makes the bills of an order's periods. The first also asks for what is paid once, less the credit for what it
/// replaces, and is due now; the others when their periods begin.
pub(super) fn make_bills(
    draft: &mut Draft<'_>,
    order: &Order,
    credit: Decimal,
) -> Result<Arc<Bill>, Refusal> {
    let cycle_amount = order.cycle_price()?.amount;
    let once_amount = money::multiply(order.once_price.unwrap_or_default(), Decimal::from(order.quantity))?;
    let first_price = money::add(once_amount, cycle_amount)?;
    super::require_not_above_largest("quantity", first_price)?;
    require_credit_within(draft, credit, first_price)?;
    let first = make_bill(draft, order, 1, once_amount, cycle_amount, credit)?;
    for seq in 2..=order.seq_count {
        make_bill(draft, order, seq, Decimal::ZERO, cycle_amount, Decimal::ZERO)?;
    }
    Ok(first)
}

fn make_bill(
    draft: &mut Draft<'_>,
    order: &Order,
    seq: i32,
    once_amount: Decimal,
    cycle_amount: Decimal,
    credit_amount: Decimal,
) -> Result<Arc<Bill>, Refusal> {
    let (start_time, end_time) = period(draft, order, seq)?;
    let bill = Bill {
        id: BillId(draft.next_id()?),
        order: Some(order.id),
        status: BillStatus::Unpaid,
        currency: order.currency,
        amount: money::subtract(money::add(once_amount, cycle_amount)?, credit_amount)?,
        once_amount,
        cycle_amount,
        credit_amount,
        start_time,
        end_time,
        seq,
        seq_count: order.seq_count,
        due_at: if seq == 1 { draft.instant } else { start_time },
        last_paid_at: None,
        paid_by: None,
        refunded_amount: Decimal::ZERO,
        credited_amount: Decimal::ZERO,
        replaced_amount: Decimal::ZERO,
        withheld_amount: Decimal::ZERO,
        next_step_at: None,
        datacenter: order.datacenter.clone(),
        correction_of: None,
        created_at: draft.instant,
    };
    // The bills of an order that is not paid yet wait with it.
    let next_step_at =
        if order.state == OrderState::Unpaid { None } else { bill.next_step_after(draft.instant) };
    Ok(draft.put_bill(Bill { next_step_at, ..bill }))
}

/// Refuses a credit above the price: Abacus does not pay out what is left.
pub(super) fn require_credit_within(
    draft: &Draft<'_>,
    credit: Decimal,
    price: Decimal,
) -> Result<(), Refusal> {
    if credit <= price {
        return Ok(());
    }
    let message = format!("{} would be left of the order that it replaces", draft.currency.format(credit));
    Err(Refusal::new(RefusalCode::CreditExceedsPrice, "planId", message))
}

/// Begins an order that was placed to be paid later: its periods run from now on.
pub(super) fn deliver(draft: &mut Draft<'_>, order: &Order) -> Result<(), Refusal> {
    let mut order = Order { state: OrderState::Active, anchor_at: draft.instant, ..order.clone() };
    order.delivered_at = Some(draft.instant);
    order.expires_at = order.boundary(order.seq_count, draft.account.time_zone)?;
    for bill in draft.bills_of(order.id) {
        let (start_time, end_time) = period(draft, &order, bill.seq)?;
        let due_at = if bill.seq == 1 { bill.due_at } else { start_time };
        let bill = Bill { start_time, end_time, due_at, ..Bill::clone(&bill) };
        let next_step_at = bill.next_step_after(draft.instant);
        draft.put_bill(Bill { next_step_at, ..bill });
    }
    order.next_step_at = draft.next_step_of(&order)?;
    draft.put_order(order);
    Ok(())
}
