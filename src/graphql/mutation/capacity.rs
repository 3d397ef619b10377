//! Operators: what capacity costs.

use std::collections::HashSet;
use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::domain::capacity::{
    LEVEL_MAX, PLACES_MAX, ResourcePrice as DomainPrice, TERM_MONTHS_MAX, TermDiscount as DomainDiscount,
};
use crate::domain::decide::require_not_above_largest;
use crate::domain::ids::{AccountId, ResourcePriceId};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::error::MutationResult;
use crate::graphql::input::{asked, known_currency, optional};
use crate::graphql::payload::{answer, attempt};
use crate::graphql::scalars::{Code, Exact};
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::price_quote::TermDiscount;
use crate::graphql::types::resource_price::ResourcePrice;
use crate::graphql::types::user_error::UserError;
use crate::store::capacity::NewResourcePrices;

/// The most prices that are set at once.
const PRICES_MAX: usize = 1_000;
/// The most terms that have discounts.
const DISCOUNTS_MAX: usize = 100;
/// The most unit-seconds that a price is for: 10^18.
const MULTIPLIER_MAX: Decimal = Decimal::from_parts(2_808_348_672, 232_830_643, 0, false, 0);

/// What capacity costs at a level. It is appended, and holds from now on.
#[derive(InputObject)]
pub struct ResourcePriceInput {
    /// The resource's code.
    resource: String,
    /// The currency of the price.
    currency: Code,
    /// The burst level, 0 to 20; 0 is what subscriptions cost.
    level: i32,
    /// For `multiplier` unit-seconds: zero or more, at most 99,999,999.99, up to 20 decimal places.
    price: Exact,
    /// What the price is for, for people: `GB/month`.
    unit: String,
    /// The unit-seconds that the price is for: greater than zero, at most 10^18.
    multiplier: Exact,
    /// The only cluster on which prepayments are priced by it.
    cluster_id: Option<String>,
    /// The only chart of which prepayments are priced by it.
    chart_name: Option<String>,
}

/// Sets prices of capacity, all or none.
#[derive(InputObject)]
pub struct SetResourcePricesInput {
    /// The prices: 1 to 1,000.
    prices: Vec<ResourcePriceInput>,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as keys
    /// count (`serviceConfig.idempotencyKeyDays`). The key is the provider's. Absent: it is done as often as it is asked for.
    idempotency_key: Option<String>,
}

/// The prices that were set.
#[derive(SimpleObject, Default)]
pub struct SetResourcePricesPayload {
    /// The prices, in the order in which they were given.
    prices: Option<Vec<ResourcePrice>>,
    /// Why none was set.
    user_errors: Vec<UserError>,
}

/// A discount on subscriptions of at least `months`.
#[derive(InputObject)]
pub struct TermDiscountInput {
    /// The term, for people.
    period: String,
    /// The term, 1 to 120 months; each once.
    months: i32,
    /// The fraction taken off, 0 to 1: 0.25 is a quarter.
    value: Exact,
}

/// Puts discounts on terms in the place of those that there are.
#[derive(InputObject)]
pub struct SetTermDiscountsInput {
    /// The discounts: at most 100; none takes them all away.
    discounts: Vec<TermDiscountInput>,
}

/// The discounts that there are now.
#[derive(SimpleObject, Default)]
pub struct SetTermDiscountsPayload {
    /// The discounts, the shortest term first.
    discounts: Option<Vec<TermDiscount>>,
    /// Why they stay as they were.
    user_errors: Vec<UserError>,
}

/// The mutations of what capacity costs.
#[derive(Default)]
pub struct CapacityMutation;

/// The mutations of what capacity costs.
#[Object]
impl CapacityMutation {
    /// Operators: sets prices of capacity, from now on. Earlier ones stay, so that every charge can be checked again.
    async fn set_resource_prices(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The prices.")] input: SetResourcePricesInput,
    ) -> async_graphql::Result<SetResourcePricesPayload> {
        answer(set_prices(operator_session(ctx)?, input).await, |prices, user_errors| {
            let shown = |price| ResourcePrice(Arc::new(price));
            SetResourcePricesPayload {
                prices: prices.map(|all| all.into_iter().map(shown).collect()),
                user_errors,
            }
        })
    }

    /// Operators: replaces the discounts on terms. Subscriptions keep what they were bought at.
    async fn set_term_discounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The discounts.")] input: SetTermDiscountsInput,
    ) -> async_graphql::Result<SetTermDiscountsPayload> {
        answer(set_discounts(operator_session(ctx)?, input).await, |discounts, user_errors| {
            let shown = |all: Vec<DomainDiscount>| all.into_iter().map(TermDiscount::from).collect();
            SetTermDiscountsPayload { discounts: discounts.map(shown), user_errors }
        })
    }
}

async fn set_prices(session: &Session, input: SetResourcePricesInput) -> MutationResult<Vec<DomainPrice>> {
    let asked = asked(&input, &[]);
    require_count("prices", input.prices.len(), 1, PRICES_MAX)?;
    let now = session.app.clock.now();
    let mut prices = Vec::with_capacity(input.prices.len());
    for (index, price) in input.prices.into_iter().enumerate() {
        let read = price_of(session, price, now);
        prices.push(read.map_err(|refusal| refusal.within(&format!("prices.{index}")))?);
    }
    let codes = prices.iter().map(|price| price.resource.clone()).collect();
    let known = session.repository().resources(codes).await?;
    if let Some(index) = prices.iter().position(|price| !known.contains_key(&price.resource)) {
        let field = format!("prices.{index}.resource");
        return Err(Refusal::new(RefusalCode::NotFound, field, "there is no such resource").into());
    }
    let attempt = attempt(session, AccountId::PROVIDER, input.idempotency_key.as_deref(), asked)?;
    let prices = NewResourcePrices(prices);
    Ok(session.repository().resource_price_insert(prices, attempt).await?)
}

fn require_count(field: &'static str, count: usize, least: usize, most: usize) -> Result<(), Refusal> {
    if count < least {
        return Err(Refusal::new(RefusalCode::Required, field, "at least one is needed"));
    }
    if count > most {
        return Err(Refusal::new(RefusalCode::LimitExceeded, field, format!("at most {most}")));
    }
    Ok(())
}

fn price_of(
    session: &Session,
    input: ResourcePriceInput,
    now: DateTime<Utc>,
) -> Result<DomainPrice, Refusal> {
    let currency = known_currency(session, "currency", input.currency.0)?;
    if !(0..=LEVEL_MAX).contains(&input.level) {
        return Err(Refusal::new(RefusalCode::OutOfRange, "level", format!("must be from 0 to {LEVEL_MAX}")));
    }
    let (price, multiplier) = (input.price.value, input.multiplier.value);
    if price < Decimal::ZERO {
        return Err(Refusal::new(RefusalCode::Invalid, "price", "must not be negative"));
    }
    require_not_above_largest("price", price)?;
    if price.normalize().scale() > PLACES_MAX {
        let message = format!("has more than {PLACES_MAX} decimal places");
        return Err(Refusal::new(RefusalCode::Invalid, "price", message));
    }
    if multiplier <= Decimal::ZERO {
        return Err(Refusal::new(RefusalCode::Invalid, "multiplier", "must be greater than zero"));
    }
    if multiplier > MULTIPLIER_MAX {
        return Err(Refusal::new(RefusalCode::OutOfRange, "multiplier", "must be at most 10^18"));
    }
    Ok(DomainPrice {
        id: ResourcePriceId(0),
        resource: text::code("resource", &input.resource)?,
        currency: currency.code,
        level: input.level,
        price,
        unit: text::name("unit", &input.unit)?,
        multiplier,
        cluster: optional(input.cluster_id, |cluster| text::code("clusterId", cluster))?,
        chart: optional(input.chart_name, |chart| text::code("chartName", chart))?,
        effective_from: now,
    })
}

async fn set_discounts(
    session: &Session,
    input: SetTermDiscountsInput,
) -> MutationResult<Vec<DomainDiscount>> {
    require_count("discounts", input.discounts.len(), 0, DISCOUNTS_MAX)?;
    let mut terms = HashSet::new();
    let mut discounts = Vec::with_capacity(input.discounts.len());
    for (index, discount) in input.discounts.into_iter().enumerate() {
        let read = discount_of(discount, &mut terms);
        discounts.push(read.map_err(|refusal| refusal.within(&format!("discounts.{index}")))?);
    }
    discounts.sort_by_key(|discount| discount.months);
    session.repository().term_discount_replace(discounts.clone()).await?;
    Ok(discounts)
}

fn discount_of(input: TermDiscountInput, terms: &mut HashSet<i32>) -> Result<DomainDiscount, Refusal> {
    if !(1..=TERM_MONTHS_MAX).contains(&input.months) {
        return Err(Refusal::new(
            RefusalCode::OutOfRange,
            "months",
            format!("must be from 1 to {TERM_MONTHS_MAX}"),
        ));
    }
    if !terms.insert(input.months) {
        return Err(Refusal::new(RefusalCode::Invalid, "months", "the term is named twice"));
    }
    let value = input.value.value;
    if value < Decimal::ZERO || value > Decimal::ONE {
        return Err(Refusal::new(RefusalCode::OutOfRange, "value", "must be from 0 to 1"));
    }
    Ok(DomainDiscount { period: text::name("period", &input.period)?, months: input.months, value })
}
