//! Renewal: a new order continues one that ends.

use rust_decimal::Decimal;

use super::draft::Draft;
use super::{order_step, payment, periods, subscription};
use crate::domain::account::AccountStatus;
use crate::domain::ids::{OrderId, printed_number};
use crate::domain::order::{Order, OrderState, OrderType};
use crate::domain::outcome::Outcome;
use crate::domain::period::BillPeriod;
use crate::domain::plan::Plan;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::transaction::TransactionKind;

/// Places the order that continues `order`, from where it ends, and pays its first period at today's price. It changes
/// the draft only when it succeeds in full; a caller that goes on after a refusal tries it on a copy.
pub(super) fn renew(draft: &mut Draft<'_>, order: &Order, periods: i32) -> Result<Outcome, Refusal> {
    require_renewable(draft, order)?;
    let offer = offer_of(draft, order, periods)?;
    let renewal = continuation(draft, order, offer, periods)?;
    let before = Order { renewed_by: Some(renewal.id), ..order.clone() };
    let state = before.state_at(draft.instant, false);
    let mut before = Order { state, ..before };
    before.next_step_at = draft.next_step_of(&before)?;
    draft.put_order(before);
    if state == OrderState::Ended {
        end_what_it_continues(draft, order)?;
    }
    let renewal = draft.put_order(renewal);
    let bill = periods::make_bills(draft, &renewal, Decimal::ZERO)?;
    draft.require_available(bill.amount)?;
    let transaction = payment::pay(draft, bill.id, TransactionKind::Renewal)?;
    let bill = draft.bill(bill.id).cloned();
    Ok(Outcome { order: Some(renewal), bill, transaction, ..Outcome::default() })
}

/// What an order continues is over with it at the latest, also where the jobs have not come by yet.
fn end_what_it_continues(draft: &mut Draft<'_>, order: &Order) -> Result<(), Refusal> {
    let previous = order.previous.filter(|id| draft.order(*id).is_some_and(|previous| previous.runs()));
    previous.map_or(Ok(()), |id| order_step::settle_state(draft, id).map(drop))
}

/// Tries the renewals that wait for money, of what ends first first; what cannot be renewed waits on.
pub(super) fn renew_waiting(draft: &mut Draft<'_>) {
    if draft.account.status != AccountStatus::Active {
        return;
    }
    let mut waiting = draft.all_orders();
    waiting.retain(|order| order.awaits_renewal() && order.wants_renewal(draft.instant));
    waiting.sort_by_key(|order| (order.expires_at, order.id));
    for order in waiting {
        let mut attempt = draft.clone();
        if renew(&mut attempt, &order, 1).is_ok() {
            *draft = attempt;
        }
    }
}

fn require_renewable(draft: &Draft<'_>, order: &Order) -> Result<(), Refusal> {
    let refuse = |code, message: String| Err(Refusal::new(code, "orderId", message));
    let number = order.number();
    if order.bill_period == BillPeriod::Hour {
        return refuse(RefusalCode::Invalid, format!("order {number} is on demand and has no end"));
    }
    if let Some(renewal) = order.renewed_by {
        let renewal = printed_number('O', renewal.0);
        return refuse(RefusalCode::Conflict, format!("order {number} is continued by {renewal} already"));
    }
    match order.state {
        OrderState::Active | OrderState::Expiring | OrderState::Suspended => {}
        OrderState::Unpaid => {
            return refuse(RefusalCode::Conflict, format!("order {number} is not paid yet"));
        }
        OrderState::Ended | OrderState::Cancelled => {
            return refuse(RefusalCode::Invalid, format!("order {number} is over"));
        }
    }
    let unpaid = draft.bills_of(order.id).into_iter().find(|bill| bill.is_due(draft.instant));
    match unpaid {
        Some(bill) => refuse(RefusalCode::Conflict, format!("bill {} is to be paid first", bill.number())),
        None => Ok(()),
    }
}

fn plan_on_sale<'a>(draft: &Draft<'a>, order: &Order) -> Result<&'a Plan, Refusal> {
    let plan = draft.plan_of(order).filter(|plan| plan.is_on_sale(draft.instant));
    plan.ok_or_else(|| Refusal::new(RefusalCode::Invalid, "orderId", "the order's plan is no longer sold"))
}

/// What an order is continued at.
struct Offer {
    name: String,
    /// Of one, per period.
    price: Decimal,
}

fn offer_of(draft: &Draft<'_>, order: &Order, periods: i32) -> Result<Offer, Refusal> {
    if order.subscription.is_none() {
        let plan = plan_on_sale(draft, order)?;
        return Ok(Offer { name: plan.name.clone(), price: plan.price });
    }
    if periods != 1 {
        let message = "a subscription is renewed by one term at a time";
        return Err(Refusal::new(RefusalCode::Invalid, "periods", message));
    }
    let price = next_term_price(draft, order).map_err(|refusal| refusal.about("orderId"))?;
    Ok(Offer { name: order.name.clone(), price })
}

/// What the term after an order's end costs, at the price and the discount of now.
fn next_term_price(draft: &Draft<'_>, order: &Order) -> Result<Decimal, Refusal> {
    let quote = subscription::price_of_first_period(draft, &order.continued(draft.instant)?)?;
    Ok(quote.price)
}

/// What an order, of one, would cost to continue; None where it cannot be continued.
pub(super) fn price(draft: &Draft<'_>, order: &Order) -> Option<Decimal> {
    match order.subscription {
        Some(_) => next_term_price(draft, order).ok(),
        None => plan_on_sale(draft, order).ok().map(|plan| plan.price),
    }
}

fn continuation(draft: &mut Draft<'_>, order: &Order, offer: Offer, periods: i32) -> Result<Order, Refusal> {
    let mut renewal = Order {
        id: OrderId(draft.next_id()?),
        name: offer.name.clone(),
        order_type: OrderType::Renew,
        state: OrderState::Active,
        previous: Some(order.id),
        product_name: offer.name,
        price: offer.price,
        once_price: None,
        seq: 1,
        seq_count: periods,
        comment: None,
        created_at: draft.instant,
        renewed_by: None,
        ..order.continued(draft.instant)?
    };
    let zone = draft.account.time_zone;
    renewal.expires_at = renewal.boundary(periods, zone)?;
    // A renewal that comes late may begin in the past.
    renewal.seq = renewal.seq_to_begin_with(draft.instant, zone)?;
    renewal.state = renewal.state_at(draft.instant, false);
    if renewal.state == OrderState::Ended {
        let message = "the renewed periods would be over already";
        return Err(Refusal::new(RefusalCode::OutOfRange, "periods", message));
    }
    renewal.next_step_at = draft.next_step_of(&renewal)?;
    Ok(renewal)
}
