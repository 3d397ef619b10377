use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use crate::domain::capacity::{MONTH_SECONDS, ResourcePrice};
use crate::domain::exchange_rate::ExchangeRate;
use crate::domain::ids::QuoteId;
use crate::domain::money::{Currency, CurrencyCode, OutOfRange, add, subtract};
use crate::domain::rating::number::{Number, PrecisionExceeded, Wide};
use crate::domain::rating::{Label, Step};

/// An offer holds for so long.
pub const QUOTE_HOLDS: TimeDelta = TimeDelta::minutes(15);
/// The most offers of one account that hold at once.
pub const QUOTES_MAX: usize = 200;

/// The resources that apps are limited in.
pub const LIMITED: [&str; 3] = ["app_cpu", "app_mem", "app_storage"];

/// What an app may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Milli-cores.
    pub cpu: i32,
    /// MiB.
    pub mem: i32,
    /// MiB.
    pub storage: i32,
}

impl Limits {
    /// The resources that are limited, each with how much of it and how its step is called.
    pub fn resources(self) -> [(&'static str, i32, Label); 3] {
        let [cpu, mem, storage] = LIMITED;
        [
            (cpu, self.cpu, Label::AppCpu),
            (mem, self.mem, Label::AppMem),
            (storage, self.storage, Label::AppStorage),
        ]
    }
}

/// What an app costs for a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// At display scale of USD, half up.
    pub usd: Decimal,
    /// The same in the asset that is paid with: USD and USDT one for one, others by their rate, rounded up at their scale.
    pub amount: Decimal,
    /// How `usd` comes about; they sum to it.
    pub steps: Vec<Step>,
}

/// An offer to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrepayQuote {
    pub id: QuoteId,
    /// The asset that is paid with.
    pub currency: CurrencyCode,
    pub amount: Decimal,
    pub usd: Decimal,
    pub months: i32,
    pub cluster: String,
    pub chart: String,
    pub limits: Limits,
    /// The rate by which `usd` became `amount`, where they differ.
    pub rate: Option<Arc<ExchangeRate>>,
    pub steps: Vec<Step>,
    pub expires_at: DateTime<Utc>,
}

/// The prices of what is limited, in the order of [`Limits::resources`]; None if there is none of one.
pub fn prices_of(found: &[ResourcePrice]) -> Option<[&ResourcePrice; 3]> {
    let of = |code: &str| found.iter().find(|price| price.resource == code);
    let [cpu, mem, storage] = LIMITED;
    Some([of(cpu)?, of(mem)?, of(storage)?])
}

/// What limits cost for months of 30 days, at the prices of their resources (in the order of [`Limits::resources`]), in an
/// asset of which one is worth `rate` USD; None: it is worth one.
pub fn price(
    limits: Limits,
    months: i32,
    prices: [&ResourcePrice; 3],
    usd: &Currency,
    asset: &Currency,
    rate: Option<Decimal>,
) -> Result<Quoted, OutOfRange> {
    let narrow = |_: PrecisionExceeded| OutOfRange;
    let seconds = Decimal::from(i64::from(months).checked_mul(MONTH_SECONDS).ok_or(OutOfRange)?);
    let (mut sum, mut steps) = (Wide::zero(), Vec::new());
    for ((_, limit, label), price) in limits.resources().into_iter().zip(prices) {
        let quantity = Decimal::from(limit);
        let exact = Wide::of(price.price).times(&Wide::of(quantity)).map_err(narrow)?;
        let exact = exact.times(&Wide::of(seconds)).map_err(narrow)?;
        let exact = exact.over(&Wide::of(price.multiplier)).map_err(narrow)?;
        steps.push(Step {
            quantity: Some(quantity),
            unit_price: Some(price.price),
            factor: Some(seconds),
            divisor: Some(price.multiplier),
            ..Step::of(label, exact.shown())
        });
        sum = sum.plus(&exact).map_err(narrow)?;
    }
    let total = sum.rounded(usd.display_scale).map_err(narrow)?.ok_or(OutOfRange)?;
    let mut rest = total;
    for step in &steps {
        rest = subtract(rest, step.amount)?;
    }
    if !rest.is_zero() {
        steps.push(Step::of(Label::Rounding, rest));
    }
    Ok(Quoted { usd: total, amount: in_asset(total, asset, rate)?, steps })
}

/// So many USD in an asset, rounded up to what can be paid.
fn in_asset(usd: Decimal, asset: &Currency, rate: Option<Decimal>) -> Result<Decimal, OutOfRange> {
    let Some(rate) = rate else { return Ok(usd) };
    let narrow = |_: PrecisionExceeded| OutOfRange;
    let exact = Wide::of(usd).over(&Wide::of(rate)).map_err(narrow)?;
    let near = exact.rounded(asset.display_scale).map_err(narrow)?.ok_or(OutOfRange)?;
    // The next place above, where rounding went below.
    let is_less = Wide::of(near).is_less(&exact).map_err(narrow)?;
    let step = Decimal::try_from_i128_with_scale(1, asset.display_scale).map_err(|_| OutOfRange)?;
    if is_less { add(near, step) } else { Ok(near) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ResourcePriceId;
    use crate::domain::money::Currencies;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn price_of(price: &str, multiplier: i64) -> ResourcePrice {
        ResourcePrice {
            id: ResourcePriceId(1),
            resource: "app_cpu".to_owned(),
            currency: CurrencyCode::parse("USD").unwrap(),
            level: 0,
            price: dec(price),
            unit: String::new(),
            multiplier: Decimal::from(multiplier),
            cluster: None,
            chart: None,
            effective_from: DateTime::UNIX_EPOCH,
        }
    }

    fn quoted(cpu: i32, mem: i32, storage: i32, months: i32, asset: &str, rate: Option<&str>) -> Quoted {
        let currencies = Currencies::default();
        let prices = [
            price_of("7", 1_000 * MONTH_SECONDS),
            price_of("0.5", 1_024 * MONTH_SECONDS),
            price_of("0.05", 1_024 * MONTH_SECONDS),
        ];
        let [cpu_price, mem_price, storage_price] = &prices;
        price(
            Limits { cpu, mem, storage },
            months,
            [cpu_price, mem_price, storage_price],
            currencies.by_code("USD").unwrap(),
            currencies.by_code(asset).unwrap(),
            rate.map(dec),
        )
        .unwrap()
    }

    #[test]
    fn limits_cost_their_prices_for_the_months_and_the_steps_sum_to_it() {
        // 0.1 core × 7, 100 ÷ 1024 GiB × 0.5 and × 0.05, three times: 2.1 + 0.146484375 + 0.0146484375.
        let quoted = quoted(100, 100, 100, 3, "USD", None);
        assert_eq!((quoted.usd, quoted.amount), (dec("2.26"), dec("2.26")));
        assert_eq!(quoted.steps.iter().map(|step| step.amount).sum::<Decimal>(), dec("2.26"));
        assert_eq!(quoted.steps.len(), 4);
    }

    #[test]
    fn tokens_are_rounded_up_at_their_own_places() {
        let ankr = quoted(1_000, 0, 0, 1, "ANKR_ERC20", Some("0.03"));
        assert_eq!((ankr.usd, ankr.amount), (dec("7.00"), dec("233.333333333333333334")));
        let exact = quoted(1_000, 0, 0, 1, "ANKR_ERC20", Some("0.0625"));
        assert_eq!(exact.amount, dec("112"));
        assert_eq!(quoted(1_000, 0, 0, 1, "USDT_ERC20", None).amount, dec("7"));
    }
}
