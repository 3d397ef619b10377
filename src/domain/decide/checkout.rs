//! Checkout: a new order, or the change of one that runs.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::{cancellation, on_demand, payment, periods};
use crate::domain::ids::{AccountId, OrderId, PlanId};
use crate::domain::money;
use crate::domain::mutation::Mutation;
use crate::domain::order::{Order, OrderState, OrderType, PERIODS_MAX, QUANTITY_MAX, UNPAID_MAX};
use crate::domain::outcome::Outcome;
use crate::domain::period::BillPeriod;
use crate::domain::plan::Plan;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::spelling::by_optional_value;
use crate::domain::stake::Stake;
use crate::domain::transaction::TransactionKind;

/// Buys a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Checkout {
    pub plan: PlanId,
    pub region: Option<String>,
    pub datacenter: Option<String>,
    pub quantity: i32,
    pub comment: Option<String>,
    /// How many periods the order runs, each with its own bill; None is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instalments: Option<i32>,
    pub auto_renewal: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pay_later: bool,
    #[serde(serialize_with = "by_optional_value")]
    pub expected_price: Option<Decimal>,
}

impl Decide for Checkout {
    const MUTATION: Option<Mutation> = Some(Mutation::named("checkout"));
    const STAKE: Option<Stake> = Some(Stake::Purchase);

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.plans.push(self.plan);
        reads.buyers.push(account);
        if self.pay_later {
            reads.owing.push(account);
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        draft.require_active()?;
        let plan = plan_on_sale(draft, self)?;
        let periods = periods_of(plan, self)?;
        let region = region_of(plan, self)?;
        let replaced = replaced_orders(draft, plan, region.as_deref())?;
        if self.pay_later && !replaced.is_empty() {
            let message = "it changes an order that runs, and a change is paid at once";
            return Err(Refusal::new(RefusalCode::Invalid, "payLater", message));
        }
        if self.pay_later && draft.book.unpaid_orders >= UNPAID_MAX {
            let message =
                format!("{UNPAID_MAX} orders wait for their payment already: pay or cancel some of them");
            return Err(Refusal::new(RefusalCode::LimitExceeded, "payLater", message));
        }
        let order = new_order(draft, plan, self, region, periods, replaced.last())?;
        let credit = end_replaced_orders(draft, &replaced)?;
        if order.bill_period == BillPeriod::Hour {
            on_demand(draft, order, credit)
        } else {
            prepaid(draft, order, credit)
        }
    }
}

fn plan_on_sale<'a>(draft: &Draft<'a>, checkout: &Checkout) -> Result<&'a Plan, Refusal> {
    let plan = draft.catalogue.plans.get(&checkout.plan);
    let Some(plan) = plan.filter(|plan| plan.is_on_sale(draft.instant)) else {
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

/// How many periods the order runs. What is on demand has none: it is neither paid in instalments nor later, nor renewed.
fn periods_of(plan: &Plan, checkout: &Checkout) -> Result<i32, Refusal> {
    let periods = checkout.instalments.unwrap_or(1);
    if !(1..=PERIODS_MAX).contains(&periods) {
        let message = format!("must be from 1 to {PERIODS_MAX}");
        return Err(Refusal::new(RefusalCode::OutOfRange, "instalments", message));
    }
    if plan.bill_period == BillPeriod::Hour {
        let message = "the plan is on demand: it is billed afterwards";
        if checkout.instalments.is_some_and(|instalments| instalments != 1) {
            return Err(Refusal::new(RefusalCode::Invalid, "instalments", message));
        }
        if checkout.pay_later {
            return Err(Refusal::new(RefusalCode::Invalid, "payLater", message));
        }
        if checkout.auto_renewal {
            let message = "the plan is on demand: it has no end at which it could be renewed";
            return Err(Refusal::new(RefusalCode::Invalid, "autoRenewal", message));
        }
    }
    Ok(periods)
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

/// The live orders of exclusive plans in the region, oldest first: an order, and those that continue it.
fn replaced_orders(draft: &Draft<'_>, plan: &Plan, region: Option<&str>) -> Result<Vec<Arc<Order>>, Refusal> {
    if !plan.is_exclusive() {
        return Ok(Vec::new());
    }
    let mut held = draft.all_orders();
    held.retain(|order| order.exclusive && order.state.is_live() && order.region.as_deref() == region);
    match held.last() {
        Some(last) if last.plan == Some(plan.id) => {
            let message = format!("order {} is for this plan already", last.number());
            Err(Refusal::new(RefusalCode::PlanUnchanged, "planId", message))
        }
        _ => Ok(held),
    }
}

fn new_order(
    draft: &mut Draft<'_>,
    plan: &Plan,
    checkout: &Checkout,
    region: Option<String>,
    periods: i32,
    replaced: Option<&Arc<Order>>,
) -> Result<Order, Refusal> {
    let mut order = Order {
        id: OrderId(draft.next_id()?),
        name: plan.name.clone(),
        order_type: if replaced.is_some() { OrderType::Change } else { OrderType::New },
        state: if checkout.pay_later { OrderState::Unpaid } else { OrderState::Active },
        previous: replaced.map(|held| held.id),
        plan: Some(plan.id),
        subscription: None,
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
        seq_count: periods,
        auto_renewal: checkout.auto_renewal,
        comment: checkout.comment.clone(),
        created_at: draft.instant,
        delivered_at: None,
        expires_at: None,
        anchor_at: draft.instant,
        anchor_months: 0,
        renewed_by: None,
        cancelled_at: None,
        next_step_at: None,
    };
    let zone = draft.account.time_zone;
    if !checkout.pay_later {
        order.delivered_at = Some(draft.instant);
        order.expires_at = order.boundary(periods, zone)?;
    }
    order.next_step_at = draft.next_step_of(&order)?;
    Ok(order)
}

/// On demand: nothing is charged now, but an hour of all that runs must be there. As nothing is charged, no credit can count.
fn on_demand(draft: &mut Draft<'_>, order: Order, credit: Decimal) -> Result<Outcome, Refusal> {
    periods::require_credit_within(draft, credit, Decimal::ZERO)?;
    let order = on_demand::begin(draft, order)?;
    Ok(Outcome { order: Some(order), ..Outcome::default() })
}

fn prepaid(draft: &mut Draft<'_>, order: Order, credit: Decimal) -> Result<Outcome, Refusal> {
    let order = draft.put_order(order);
    let bill = periods::make_bills(draft, &order, credit)?;
    if order.state == OrderState::Unpaid {
        return Ok(Outcome { order: Some(order), bill: Some(bill), ..Outcome::default() });
    }
    draft.require_available(bill.amount)?;
    let transaction = payment::pay(draft, bill.id, TransactionKind::Checkout)?;
    let bill = draft.bill(bill.id).cloned();
    Ok(Outcome { order: Some(order), bill, transaction, ..Outcome::default() })
}

/// Ends the orders that are replaced, the last first, and answers the credit for what was paid of the days to come.
fn end_replaced_orders(draft: &mut Draft<'_>, replaced: &[Arc<Order>]) -> Result<Decimal, Refusal> {
    let mut credit = Decimal::ZERO;
    for held in replaced.iter().rev() {
        credit = money::add(credit, cancellation::credit_for_days_left(draft, held.id)?)?;
        cancellation::cancel(draft, held.id)?;
    }
    Ok(credit)
}
