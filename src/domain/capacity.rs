//! Capacity: so much of something for so long, priced by resource, currency and level.
//!
//! A price is for `multiplier` unit-seconds: charge = price × amount × seconds ÷ multiplier. The same function prices
//! what is quoted and what is charged. Source: CloudSigma's billing documentation.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::ids::ResourcePriceId;
use super::money::{CurrencyCode, OutOfRange, subtract};
use super::order::Subscription;
use super::rating::number::{Number, PrecisionExceeded, Wide};
use super::rating::{Label, Step};
use super::refusal::{Refusal, RefusalCode};
use super::usage::{QUANTITY_MAX, QUANTITY_PLACES};

/// The level of subscriptions: bought beforehand, and not above them.
pub const SUBSCRIPTION_LEVEL: i32 = 0;
/// A month of a price or a quote is so long: 30 days.
pub const MONTH_SECONDS: i64 = 30 * 24 * 60 * 60;
pub const HOUR_SECONDS: i64 = 60 * 60;

/// What a resource costs at a level, from a time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePrice {
    pub id: ResourcePriceId,
    pub resource: String,
    pub currency: CurrencyCode,
    pub level: i32,
    pub price: Decimal,
    /// For people: what the price is for, for example `GB/month`.
    pub unit: String,
    /// The unit-seconds that the price is for.
    pub multiplier: Decimal,
    /// The only cluster on which prepayments are priced by it.
    pub cluster: Option<String>,
    /// The only chart of which prepayments are priced by it.
    pub chart: Option<String>,
    pub effective_from: DateTime<Utc>,
}

/// Prices by their currencies and resources.
pub type Prices = HashMap<CurrencyCode, HashMap<String, ResourcePrice>>;

/// Prices of which there is one for each currency and resource; of two the later one counts.
pub fn by_currency(prices: impl IntoIterator<Item = ResourcePrice>) -> Prices {
    let mut all = Prices::new();
    for price in prices {
        all.entry(price.currency).or_default().insert(price.resource.clone(), price);
    }
    all
}

/// The longest term that is priced, in months.
pub const TERM_MONTHS_MAX: i32 = 120;
/// The highest burst level.
pub const LEVEL_MAX: i32 = 20;
/// The most decimal places of a price of capacity, and of what is charged by it before it is rounded to a currency's.
pub const PLACES_MAX: u32 = 20;

/// Refuses an amount of a resource that nothing can have: zero, negative, too large or too fine.
pub fn require_amount(field: &'static str, amount: Decimal) -> Result<(), Refusal> {
    if amount <= Decimal::ZERO {
        return Err(Refusal::new(RefusalCode::Invalid, field, "must be greater than zero"));
    }
    if amount > QUANTITY_MAX {
        return Err(Refusal::new(RefusalCode::OutOfRange, field, "must be at most 10^14"));
    }
    if amount.normalize().scale() > QUANTITY_PLACES {
        let message = format!("has more than {QUANTITY_PLACES} decimal places");
        return Err(Refusal::new(RefusalCode::Invalid, field, message));
    }
    Ok(())
}

/// What is taken off for a term of at least so many months.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermDiscount {
    /// For people: "3 months".
    pub period: String,
    pub months: i32,
    /// A fraction: 0.25 is a quarter.
    pub value: Decimal,
}

/// The discount of a term: that of the longest period not longer than it; none below the first.
pub fn term_discount(discounts: &[TermDiscount], months: i32) -> Decimal {
    let reached = discounts.iter().filter(|discount| discount.months <= months);
    reached.max_by_key(|discount| discount.months).map_or(Decimal::ZERO, |discount| discount.value)
}

/// A price with how it comes about; the steps sum to `price`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    pub price: Decimal,
    /// Without the discount.
    pub list_price: Decimal,
    pub discount: Decimal,
    pub steps: Vec<Step>,
}

/// The price of `amount` of a resource for `seconds`, less the fraction `discount`, at so many places; computed
/// exactly, and rounded once, half away from zero.
pub fn quote(
    price: &ResourcePrice,
    amount: Decimal,
    seconds: i64,
    discount: Decimal,
    places: u32,
) -> Result<Quote, OutOfRange> {
    let factor = Decimal::from(seconds);
    let narrow = |_: PrecisionExceeded| OutOfRange;
    let rounded = |number: &Wide| number.rounded(places).map_err(narrow)?.ok_or(OutOfRange);
    let list = Wide::of(price.price).times(&Wide::of(amount)).map_err(narrow)?;
    let list =
        list.times(&Wide::of(factor)).map_err(narrow)?.over(&Wide::of(price.multiplier)).map_err(narrow)?;
    let off = list.times(&Wide::of(discount)).map_err(narrow)?;
    let total = rounded(&list.minus(&off).map_err(narrow)?)?;
    let list_price = rounded(&list)?;
    let mut steps = vec![Step {
        quantity: Some(amount),
        unit_price: Some(price.price),
        factor: Some(factor),
        divisor: Some(price.multiplier),
        ..Step::of(Label::Capacity, list.shown())
    }];
    if !discount.is_zero() {
        let taken = Wide::zero().minus(&off).map_err(narrow)?.shown();
        steps.push(Step::of(Label::TermDiscount { value: discount }, taken));
    }
    let mut rest = total;
    for step in &steps {
        rest = subtract(rest, step.amount)?;
    }
    if !rest.is_zero() {
        steps.push(Step::of(Label::Rounding, rest));
    }
    Ok(Quote { price: total, list_price, discount: subtract(list_price, total)?, steps })
}

/// What a subscription costs from an instant to another: its seconds at the price of subscriptions, less the discount of its
/// term, at display scale.
pub fn term_price(
    price: &ResourcePrice,
    discounts: &[TermDiscount],
    subscription: &Subscription,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    display_scale: u32,
) -> Result<Quote, OutOfRange> {
    let discount = term_discount(discounts, subscription.months);
    quote(price, subscription.amount, to.signed_duration_since(from).num_seconds(), discount, display_scale)
}

/// The price of `amount` of a resource for `seconds` at so many places, without a word how: what [`quote`] answers without a
/// discount.
pub fn charge(
    price: &ResourcePrice,
    amount: Decimal,
    seconds: i64,
    places: u32,
) -> Result<Decimal, OutOfRange> {
    match charge_narrow(price, amount, seconds, places) {
        Some(charge) => Ok(charge),
        None => quote(price, amount, seconds, Decimal::ZERO, places).map(|quote| quote.price),
    }
}

/// The same with 38 digits; None where those do not do.
fn charge_narrow(price: &ResourcePrice, amount: Decimal, seconds: i64, places: u32) -> Option<Decimal> {
    let multiplier = price.multiplier.normalize();
    let (price, amount) = (price.price.normalize(), amount.normalize());
    let shift = multiplier.scale().checked_add(places)?;
    let shift = shift.checked_sub(price.scale().checked_add(amount.scale())?)?;
    let product = price.mantissa().checked_mul(amount.mantissa())?.checked_mul(i128::from(seconds))?;
    let dividend = product.checked_mul(10_i128.checked_pow(shift)?)?;
    let divisor = multiplier.mantissa();
    // Half away from zero; charges are not negative, and neither are what they are made of.
    let rounded = dividend.checked_add(divisor.checked_div(2)?)?.checked_div(divisor)?;
    // An odd divisor has no half, an even one is halved whole.
    Decimal::try_from_i128_with_scale(rounded, places).ok().filter(|_| dividend >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn price(price: &str, multiplier: i64) -> ResourcePrice {
        ResourcePrice {
            id: ResourcePriceId(1),
            resource: "idc_volume".to_owned(),
            currency: CurrencyCode::parse("CNY").unwrap(),
            level: SUBSCRIPTION_LEVEL,
            price: dec(price),
            unit: "GB/month".to_owned(),
            multiplier: Decimal::from(multiplier),
            cluster: None,
            chart: None,
            effective_from: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn three_months_of_a_monthly_price_are_three_times_it_less_the_discount() {
        let quote =
            quote(&price("0.6", MONTH_SECONDS), dec("200"), 3 * MONTH_SECONDS, dec("0.03"), 2).unwrap();
        assert_eq!(
            (quote.list_price, quote.price, quote.discount),
            (dec("360.00"), dec("349.20"), dec("10.80"))
        );
        assert_eq!(quote.steps.iter().map(|step| step.amount).sum::<Decimal>(), quote.price);
    }

    #[test]
    fn what_has_no_end_is_rounded_once_and_the_steps_still_sum_to_the_price() {
        let quote = quote(&price("0.1", MONTH_SECONDS), dec("7"), HOUR_SECONDS, dec("0.45"), 10).unwrap();
        assert_eq!(quote.list_price, dec("0.0009722222"));
        assert_eq!(quote.price, dec("0.0005347222"));
        assert_eq!(quote.steps.iter().map(|step| step.amount).sum::<Decimal>(), quote.price);
    }

    proptest::proptest! {
        #[test]
        fn a_charge_is_what_the_quote_says_in_either_width(
            mantissa in 0_i64..10_000_000_000, scale in 0_u32..12, amount in 0_i64..1_000_000_000_000_000,
            amount_scale in 0_u32..9, seconds in 0_i64..3_000_000, multiplier in 1_i64..4_000_000_000_000_000,
            places in 0_u32..=20,
        ) {
            let price = ResourcePrice { price: Decimal::new(mantissa, scale), ..price("1", multiplier) };
            let amount = Decimal::new(amount, amount_scale);
            let quoted = quote(&price, amount, seconds, Decimal::ZERO, places).map(|quote| quote.price);
            proptest::prop_assert_eq!(charge(&price, amount, seconds, places), quoted);
        }
    }

    #[test]
    fn the_greatest_period_not_longer_than_the_term_applies() {
        let table = [("3 months", 3, "0.03"), ("6 months", 6, "0.10"), ("1 year", 12, "0.25")].map(
            |(period, months, value)| TermDiscount { period: period.to_owned(), months, value: dec(value) },
        );
        for (months, expected) in
            [(1, "0"), (2, "0"), (3, "0.03"), (5, "0.03"), (6, "0.10"), (11, "0.10"), (36, "0.25")]
        {
            assert_eq!(term_discount(&table, months), dec(expected), "{months} months");
        }
    }
}
