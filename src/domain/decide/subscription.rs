//! Subscriptions: so much of one resource for a term, paid beforehand.

use rust_decimal::Decimal;
use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::{payment, periods};
use crate::domain::capacity::{self, Quote, TERM_MONTHS_MAX};
use crate::domain::ids::{AccountId, OrderId};
use crate::domain::mutation::Mutation;
use crate::domain::order::{Order, OrderState, OrderType, Subscription};
use crate::domain::outcome::Outcome;
use crate::domain::period::BillPeriod;
use crate::domain::plan::Resource;
use crate::domain::rating::Label;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::spelling::by_value;
use crate::domain::stake::Stake;
use crate::domain::transaction::TransactionKind;

/// Buys so much of a resource for a term.
#[derive(Debug, Clone, Serialize)]
pub struct Subscribe {
    /// The resource's code.
    pub resource: String,
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    pub months: i32,
    pub region: Option<String>,
    pub auto_renewal: bool,
}

impl Decide for Subscribe {
    const MUTATION: Option<Mutation> = Some(Mutation::named("subscribe"));
    const STAKE: Option<Stake> = Some(Stake::Purchase);

    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.resources.push(self.resource.clone());
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        draft.require_active()?;
        let none = || Refusal::new(RefusalCode::NotFound, "resource", "there is no such resource");
        let resource = draft.catalogue.capacity.resources.get(&self.resource).ok_or_else(none)?;
        require_possible(self)?;
        let order = new_order(draft, self, resource)?;
        let quote = price_of_first_period(draft, &order).map_err(|refusal| refusal.about("resource"))?;
        require_price(draft, &quote)?;
        let order = draft.put_order(Order { price: quote.price, ..order });
        let bill =
            periods::make_bills(draft, &order, Decimal::ZERO).map_err(|refusal| refusal.about("amount"))?;
        draft.require_available(bill.amount)?;
        let transaction = payment::pay(draft, bill.id, TransactionKind::Checkout)?;
        let bill = draft.bill(bill.id).cloned();
        Ok(Outcome { order: Some(order), bill, transaction, quote: Some(quote), ..Outcome::default() })
    }
}

/// Refuses what costs something, and too little to be paid.
fn require_price(draft: &Draft<'_>, quote: &Quote) -> Result<(), Refusal> {
    // What costs nothing needs no rounding to come to nothing.
    if quote.price.is_zero() && quote.steps.iter().any(|step| step.label == Label::Rounding) {
        let message = format!("comes to less than can be paid in {}", draft.currency.code);
        return Err(Refusal::new(RefusalCode::OutOfRange, "amount", message));
    }
    Ok(())
}

fn require_possible(subscribe: &Subscribe) -> Result<(), Refusal> {
    capacity::require_amount("amount", subscribe.amount)?;
    if !(1..=TERM_MONTHS_MAX).contains(&subscribe.months) {
        let message = format!("must be from 1 to {TERM_MONTHS_MAX}");
        return Err(Refusal::new(RefusalCode::OutOfRange, "months", message));
    }
    Ok(())
}

fn new_order(draft: &mut Draft<'_>, subscribe: &Subscribe, resource: &Resource) -> Result<Order, Refusal> {
    let Subscribe { amount, months, .. } = *subscribe;
    let mut order = Order {
        id: OrderId(draft.next_id()?),
        name: resource.name.clone(),
        order_type: OrderType::New,
        state: OrderState::Active,
        previous: None,
        plan: None,
        subscription: Some(Subscription { resource: resource.code.clone(), amount, months }),
        exclusive: false,
        quantity: 1,
        region: subscribe.region.clone(),
        datacenter: None,
        resource_type: resource.resource_type.clone(),
        product_name: resource.name.clone(),
        bill_period: BillPeriod::of_months(months),
        currency: draft.currency.code,
        price: Decimal::ZERO,
        once_price: None,
        seq: 1,
        seq_count: 1,
        auto_renewal: subscribe.auto_renewal,
        comment: None,
        created_at: draft.instant,
        delivered_at: Some(draft.instant),
        expires_at: None,
        anchor_at: draft.instant,
        anchor_months: 0,
        renewed_by: None,
        cancelled_at: None,
        next_step_at: None,
    };
    let zone = draft.account.time_zone;
    order.expires_at = order.boundary(1, zone)?;
    order.state = order.state_at(draft.instant, false);
    order.next_step_at = draft.next_step_of(&order)?;
    Ok(order)
}

/// What the first period of a subscription costs, at the price and the discount of now.
pub(super) fn price_of_first_period(draft: &Draft<'_>, order: &Order) -> Result<Quote, Refusal> {
    let catalogue = &draft.catalogue.capacity;
    let term = order.first_period(draft.account.time_zone)?;
    let (Some(subscription), Some(term)) = (&order.subscription, term) else {
        return Err(Refusal::general(RefusalCode::Invalid, "a subscription has a term"));
    };
    let price = catalogue.prices.get(&order.currency).and_then(|prices| prices.get(&subscription.resource));
    let none = || {
        let message = format!("there is no price for it in {}", order.currency);
        Refusal::general(RefusalCode::NotFound, message)
    };
    let (discounts, places) = (&catalogue.discounts, draft.currency.display_scale);
    Ok(capacity::term_price(price.ok_or_else(none)?, discounts, subscription, term, places)?)
}
