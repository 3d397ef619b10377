//! Checkout: a new order, or the change of one that runs.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{Draft, Made};
use crate::domain::bill::{Bill, BillStatus};
use crate::domain::book::{Catalogue, ExclusiveOrder};
use crate::domain::command::Checkout;
use crate::domain::ids::{BillId, OrderId, TransactionId};
use crate::domain::ledger::Posting;
use crate::domain::money::{self, Currency};
use crate::domain::order::{Order, OrderState, OrderType, QUANTITY_MAX};
use crate::domain::period::{calendar_days, months_after};
use crate::domain::plan::Plan;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::transaction::{Ledger, Transaction, TransactionKind, TransactionStatus};

pub(super) fn decide(
    draft: &mut Draft<'_>,
    catalogue: &Catalogue,
    checkout: &Checkout,
) -> Result<Made, Refusal> {
    draft.require_active()?;
    let plan = plan_on_sale(draft, catalogue, checkout)?;
    let region = region_of(plan, checkout)?;
    let replaced = replaced_order(draft, plan, region.as_deref())?;
    let order = new_order(draft, plan, checkout, region, replaced.as_ref())?;
    match order.expires_at {
        None => on_demand(draft, order, replaced.as_ref()),
        Some(end) => prepaid(draft, order, end, replaced.as_ref()),
    }
}

fn plan_on_sale<'a>(
    draft: &Draft<'_>,
    catalogue: &'a Catalogue,
    checkout: &Checkout,
) -> Result<&'a Plan, Refusal> {
    let plan = catalogue.plans.get(&checkout.plan);
    let Some(plan) = plan.filter(|plan| plan.retired_at.is_none_or(|retired| retired > draft.instant)) else {
        return Err(Refusal::new(RefusalCode::NotFound, "planId", "there is no such plan on sale"));
    };
    if plan.currency != draft.currency.code {
        let message =
            format!("the plan costs {}, the account pays in {}", plan.currency, draft.currency.code);
        return Err(Refusal::new(RefusalCode::CurrencyMismatch, "planId", message));
    }
    if !(1..=QUANTITY_MAX).contains(&checkout.quantity) {
        let message = format!("must be from 1 to {QUANTITY_MAX}");
        return Err(Refusal::new(RefusalCode::OutOfRange, "quantity", message));
    }
    if checkout.expected_price.is_some_and(|expected| expected != plan.price) {
        let message = format!("the plan costs {} by now", draft.currency.format(plan.price));
        return Err(Refusal::new(RefusalCode::PriceChanged, "expectedPrice", message));
    }
    Ok(plan)
}

/// A plan of one region is sold there only; one of none, wherever the customer says.
fn region_of(plan: &Plan, checkout: &Checkout) -> Result<Option<String>, Refusal> {
    match (&plan.region, &checkout.region) {
        (Some(offered), Some(asked)) if offered != asked => {
            let message = format!("the plan is sold in {offered} only");
            Err(Refusal::new(RefusalCode::Invalid, "region", message))
        }
        (offered, asked) => Ok(offered.clone().or_else(|| asked.clone())),
    }
}

fn replaced_order(
    draft: &Draft<'_>,
    plan: &Plan,
    region: Option<&str>,
) -> Result<Option<ExclusiveOrder>, Refusal> {
    if !plan.is_exclusive() {
        return Ok(None);
    }
    let held = draft.book.exclusive_orders.iter().find(|held| held.order.region.as_deref() == region);
    match held {
        Some(held) if held.order.plan == Some(plan.id) => {
            let message = format!("order {} is for this plan already", held.order.number());
            Err(Refusal::new(RefusalCode::PlanUnchanged, "planId", message))
        }
        held => Ok(held.cloned()),
    }
}

fn new_order(
    draft: &mut Draft<'_>,
    plan: &Plan,
    checkout: &Checkout,
    region: Option<String>,
    replaced: Option<&ExclusiveOrder>,
) -> Result<Order, Refusal> {
    let expires_at = match plan.bill_period.months() {
        Some(months) => Some(months_after(draft.instant, months, draft.account.time_zone)?),
        None => None,
    };
    Ok(Order {
        id: OrderId(draft.next_id()?),
        name: plan.name.clone(),
        order_type: if replaced.is_some() { OrderType::Change } else { OrderType::New },
        state: OrderState::Active,
        previous: replaced.map(|held| held.order.id),
        plan: Some(plan.id),
        exclusive: plan.is_exclusive(),
        quantity: checkout.quantity,
        region,
        datacenter: checkout.datacenter.clone(),
        resource_type: plan.resource_type.clone(),
        product_name: plan.name.clone(),
        bill_period: plan.bill_period,
        currency: plan.currency,
        price: plan.price,
        once_price: plan.once_price,
        seq: 1,
        seq_count: 1,
        auto_renewal: checkout.auto_renewal,
        comment: checkout.comment.clone(),
        created_at: draft.instant,
        delivered_at: Some(draft.instant),
        expires_at,
    })
}

/// On demand: nothing is charged now, but one hour's price must be there. As nothing is charged, no credit can count.
fn on_demand(
    draft: &mut Draft<'_>,
    order: Order,
    replaced: Option<&ExclusiveOrder>,
) -> Result<Made, Refusal> {
    let credit = end_replaced_order(draft, replaced)?;
    require_credit_within(draft, credit, Decimal::ZERO)?;
    draft.require_available(order.cycle_price()?.amount)?;
    let order = Arc::new(order);
    draft.gain.orders.push(Arc::clone(&order));
    Ok(Made { order: Some(order), ..Made::default() })
}

fn prepaid(
    draft: &mut Draft<'_>,
    order: Order,
    end: DateTime<Utc>,
    replaced: Option<&ExclusiveOrder>,
) -> Result<Made, Refusal> {
    let credit = end_replaced_order(draft, replaced)?;
    let mut bill = first_bill(draft, &order, end, credit)?;
    draft.require_available(bill.amount)?;
    let transaction = pay(draft, &order, &mut bill)?;
    draft.account.purchased = true;
    let (order, bill) = (Arc::new(order), Arc::new(bill));
    draft.gain.orders.push(Arc::clone(&order));
    draft.gain.bills.push(Arc::clone(&bill));
    Ok(Made { order: Some(order), bill: Some(bill), transaction, refunded: None })
}

fn first_bill(
    draft: &mut Draft<'_>,
    order: &Order,
    end: DateTime<Utc>,
    credit: Decimal,
) -> Result<Bill, Refusal> {
    let quantity = Decimal::from(order.quantity);
    let cycle_amount = order.cycle_price()?.amount;
    let once_amount = money::multiply(order.once_price.unwrap_or_default(), quantity)?;
    let price = money::add(once_amount, cycle_amount)?;
    super::require_not_above_largest("quantity", price)?;
    require_credit_within(draft, credit, price)?;
    Ok(Bill {
        id: BillId(draft.next_id()?),
        order: Some(order.id),
        status: BillStatus::Paid,
        currency: order.currency,
        amount: money::subtract(price, credit)?,
        once_amount,
        cycle_amount,
        credit_amount: credit,
        start_time: draft.instant,
        end_time: end,
        seq: 1,
        seq_count: 1,
        due_at: draft.instant,
        last_paid_at: Some(draft.instant),
        paid_by: None,
        datacenter: order.datacenter.clone(),
        created_at: draft.instant,
    })
}

/// Debits the bill's amount; a bill of zero is paid by being made.
fn pay(draft: &mut Draft<'_>, order: &Order, bill: &mut Bill) -> Result<Option<Arc<Transaction>>, Refusal> {
    if bill.amount.is_zero() {
        return Ok(None);
    }
    let id = TransactionId(draft.next_id()?);
    bill.paid_by = Some(id);
    let transaction = Transaction {
        id,
        kind: TransactionKind::Checkout,
        status: TransactionStatus::Finished,
        currency: bill.currency,
        amount: bill.amount,
        debit: Ledger::Customer,
        credit: Ledger::Revenue("checkout".to_owned()),
        description: order.product_name.clone(),
        payment_method: "balance".to_owned(),
        order: Some(order.id),
        bill: Some(bill.id),
        refund_of: None,
        refunded_amount: Decimal::ZERO,
        balance_after: None,
        region: order.region.clone(),
        created_at: draft.instant,
    };
    let reason = format!("{}, order {}", order.product_name, order.number());
    draft.post(transaction, Posting::because(reason)).map(Some)
}

fn require_credit_within(draft: &Draft<'_>, credit: Decimal, price: Decimal) -> Result<(), Refusal> {
    if credit <= price {
        return Ok(());
    }
    let message = format!("{} would be left of the order that it replaces", draft.currency.format(credit));
    Err(Refusal::new(RefusalCode::CreditExceedsPrice, "planId", message))
}

/// Ends the order that is replaced, voids what is unpaid of it, and answers the credit for the days left.
fn end_replaced_order(draft: &mut Draft<'_>, replaced: Option<&ExclusiveOrder>) -> Result<Decimal, Refusal> {
    let Some(held) = replaced else { return Ok(Decimal::ZERO) };
    let mut ended = Order::clone(&held.order);
    ended.state = OrderState::Cancelled;
    ended.auto_renewal = false;
    draft.gain.changed_orders.push(Arc::new(ended));
    for bill in &held.bills {
        if matches!(bill.status, BillStatus::Unpaid | BillStatus::Overdue) {
            draft.gain.changed_bills.push(Arc::new(Bill { status: BillStatus::Void, ..Bill::clone(bill) }));
        }
    }
    let current =
        held.bills.iter().find(|bill| bill.seq == held.order.seq && bill.status == BillStatus::Paid);
    current.map_or(Ok(Decimal::ZERO), |bill| {
        let zone = draft.account.time_zone;
        let days_left = calendar_days(draft.instant, bill.end_time, zone);
        let days = calendar_days(bill.start_time, bill.end_time, zone);
        credit_for(&draft.currency, bill.cycle_amount, days_left, days)
    })
}

/// The share of `price` for the days left of a period, rounded down to what can be paid.
fn credit_for(currency: &Currency, price: Decimal, days_left: u32, days: u32) -> Result<Decimal, Refusal> {
    let days_left = Decimal::from(days_left.min(days));
    let share = money::multiply(price, days_left)?.checked_div(Decimal::from(days)).unwrap_or_default();
    Ok(currency.truncate_to_display(share))
}
