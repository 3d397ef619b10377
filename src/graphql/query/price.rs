//! The price of capacity, from the table of resource prices.

use async_graphql::InputObject;
use rust_decimal::Decimal;

use crate::domain::burst::Cycle;
use crate::domain::capacity::{
    self, HOUR_SECONDS, LEVEL_MAX, MONTH_SECONDS, PLACES_MAX, SUBSCRIPTION_LEVEL, TERM_MONTHS_MAX,
    term_discount,
};
use crate::domain::money::{self, Currency, CurrencyCode};
use crate::domain::order::QUANTITY_MAX;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::enums::PaymentType;
use crate::graphql::error::{ApiError, ApiResult, MutationError, MutationResult};
use crate::graphql::input::{known_currency, may_be_kept};
use crate::graphql::scalars::{Code, Exact};
use crate::graphql::session::Session;
use crate::graphql::types::account;
use crate::graphql::types::price_quote::PriceQuote;
use crate::store::error::StoreError;

/// What is to be priced.
#[derive(InputObject)]
pub struct PriceInput {
    /// The kind of resource: volume, eip, router, loadbalancer, snapshot, image, cpu, memory.
    resource_kind: String,
    /// A class of the kind, for example 5000 of loadbalancer.
    resource_type: Option<String>,
    /// How large one is, in the resource's unit; greater than zero.
    size: Exact,
    /// How many: 1 to 10,000.
    amount: i32,
    /// POSTPAY: for an hour on demand, at the current burst level. PREPAY: for paymentMonths.
    payment_type: PaymentType,
    /// For how many months of 30 days, 1 to 120; needed for PREPAY.
    payment_months: Option<i32>,
    /// In which currency; default: the caller's account's.
    currency: Option<Code>,
}

pub async fn quote(session: &Session, input: PriceInput) -> ApiResult<PriceQuote> {
    try_quote(session, input).await.map_err(MutationError::of_query)
}

async fn try_quote(session: &Session, input: PriceInput) -> MutationResult<PriceQuote> {
    let currency = currency(session, input.currency.map(|code| code.0)).await?;
    let amount = amount_of(&input)?;
    let term = term_of(&input)?;
    let resource = resource_code(&input)?;
    let named_last = if input.resource_type.is_some() { "resourceType" } else { "resourceKind" };
    let now = session.app.clock.now();
    let level = match term {
        Some(_) => SUBSCRIPTION_LEVEL,
        None => current_level(session, &resource).await?,
    };
    let price = session.repository().resource_price(resource, currency.code, level, now).await?;
    let none = || {
        let message = format!("there is no price for it in {}", currency.code);
        Refusal::new(RefusalCode::NotFound, named_last, message)
    };
    let price = price.ok_or_else(none)?;
    let quote = match term {
        // What is charged afterwards is added up before it is rounded to what people pay in.
        None => capacity::quote(&price, amount, HOUR_SECONDS, Decimal::ZERO, currency.ledger_scale)?,
        Some(months) => {
            let discount = term_discount(&session.repository().term_discounts().await?, months);
            let seconds = i64::from(months).saturating_mul(MONTH_SECONDS);
            capacity::quote(&price, amount, seconds, discount, currency.display_scale)?
        }
    };
    Ok(PriceQuote { quote, currency: currency.code })
}

async fn currency(session: &Session, asked: Option<CurrencyCode>) -> MutationResult<Currency> {
    let code = match (asked, session.viewer().account) {
        (Some(code), _) => code,
        (None, Some(own)) => account::load(session, own).await?.0.currency,
        (None, None) => {
            let message = "an operator has no account of its own: name a currency";
            return Err(Refusal::new(RefusalCode::Required, "currency", message).into());
        }
    };
    Ok(known_currency(session, "currency", code)?)
}

fn amount_of(input: &PriceInput) -> Result<Decimal, Refusal> {
    if input.size.value <= Decimal::ZERO {
        return Err(Refusal::new(RefusalCode::Invalid, "size", "must be greater than zero"));
    }
    if !(1..=QUANTITY_MAX).contains(&input.amount) {
        let message = format!("must be from 1 to {QUANTITY_MAX}");
        return Err(Refusal::new(RefusalCode::OutOfRange, "amount", message));
    }
    Ok(money::multiply(input.size.value, Decimal::from(input.amount))?)
}

/// What capacity is asked for.
pub struct Capacity {
    pub resource: String,
    pub amount: Decimal,
    pub seconds: i32,
    pub currency: CurrencyCode,
    /// None: the current one.
    pub level: Option<i32>,
}

/// What capacity costs for a time, at 20 decimal places; None if there is no such price.
pub async fn charge(session: &Session, asked: Capacity) -> ApiResult<Option<PriceQuote>> {
    let wrong = |code, argument, message: &str| ApiError::of_argument(code, argument, message.to_owned());
    let currency = known_currency(session, "currency", asked.currency)
        .map_err(|refusal| wrong(refusal.code, "currency", &refusal.message))?;
    if asked.amount < Decimal::ZERO {
        return Err(wrong(RefusalCode::Invalid, "amount", "must not be negative"));
    }
    if asked.seconds < 0 {
        return Err(wrong(RefusalCode::Invalid, "seconds", "must not be negative"));
    }
    if asked.level.is_some_and(|level| !(0..=LEVEL_MAX).contains(&level)) {
        return Err(wrong(RefusalCode::OutOfRange, "level", &format!("must be from 0 to {LEVEL_MAX}")));
    }
    if !may_be_kept(&asked.resource) {
        return Ok(None);
    }
    let level = match asked.level {
        Some(level) => level,
        None => current_level(session, &asked.resource).await?,
    };
    let now = session.app.clock.now();
    let price = session.repository().resource_price(asked.resource, currency.code, level, now).await?;
    let Some(price) = price else { return Ok(None) };
    let seconds = i64::from(asked.seconds);
    let quote = capacity::quote(&price, asked.amount, seconds, Decimal::ZERO, PLACES_MAX)?;
    Ok(Some(PriceQuote { quote, currency: currency.code }))
}

/// The level at which a resource is used beyond subscriptions; that of subscriptions, where no capacity of it is declared.
async fn current_level(session: &Session, resource: &str) -> Result<i32, StoreError> {
    let bursting = session.repository().bursting(Cycle::of(session.app.clock.now())).await?;
    let level = bursting.iter().find(|one| one.resource == resource).map(|one| one.level);
    Ok(level.unwrap_or(SUBSCRIPTION_LEVEL))
}

/// The months of what is paid beforehand; None for an hour on demand.
fn term_of(input: &PriceInput) -> Result<Option<i32>, Refusal> {
    match (input.payment_type, input.payment_months) {
        (PaymentType::Postpay, None) => Ok(None),
        (PaymentType::Postpay, Some(_)) => {
            Err(Refusal::new(RefusalCode::Invalid, "paymentMonths", "is for PREPAY"))
        }
        (PaymentType::Prepay, None) => {
            Err(Refusal::new(RefusalCode::Required, "paymentMonths", "is needed for PREPAY"))
        }
        (PaymentType::Prepay, Some(months)) if (1..=TERM_MONTHS_MAX).contains(&months) => Ok(Some(months)),
        (PaymentType::Prepay, Some(_)) => {
            let message = format!("must be from 1 to {TERM_MONTHS_MAX}");
            Err(Refusal::new(RefusalCode::OutOfRange, "paymentMonths", message))
        }
    }
}

fn resource_code(input: &PriceInput) -> Result<String, Refusal> {
    let kind = text::code("resourceKind", &input.resource_kind)?;
    Ok(match &input.resource_type {
        Some(class) => format!("idc_{kind}_{}", text::code("resourceType", class)?),
        None => format!("idc_{kind}"),
    })
}
