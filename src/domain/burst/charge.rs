use chrono::{DateTime, Utc};
use rust_decimal::{Decimal, RoundingStrategy};

use super::{CYCLE, Cycle};
use crate::domain::capacity::{self, Prices, ResourcePrice};
use crate::domain::ledger::human_interval;
use crate::domain::money::{self, Currency, CurrencyCode, OutOfRange};

/// More than this is not charged: 10^18.
const BEYOND_MAX: Decimal = Decimal::from_parts(2_808_348_672, 232_830_643, 0, false, 0);

/// A resource that is charged for in a cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bursting {
    pub resource: String,
    /// From when on.
    pub since: DateTime<Utc>,
    /// Until when, where it is not any more.
    pub until: Option<DateTime<Utc>>,
    /// Its level in the cycle.
    pub level: i32,
}

/// What a cycle charges an account: all of its resources at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleCharge {
    pub cycle: Cycle,
    pub charges: Vec<ResourceCharge>,
    /// What a whole cycle comes to at this rate.
    pub rate: Decimal,
}

/// What a cycle charges an account for one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceCharge {
    pub resource: String,
    /// How much was used beyond what is subscribed.
    pub amount: Decimal,
    pub seconds: i32,
    /// At ledger scale; greater than zero.
    pub charge: Decimal,
    /// For people, as CloudSigma writes it.
    pub reason: String,
}

/// Why an account cannot be charged for a cycle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Uncharged {
    #[error("there is no price of {resource} at level {level} in {currency}")]
    NoPrice { resource: String, level: i32, currency: CurrencyCode },
    #[error("this server does not know the account's currency {0}")]
    UnknownCurrency(CurrencyCode),
    #[error("what it comes to is out of range")]
    OutOfRange,
}

impl From<OutOfRange> for Uncharged {
    fn from(_: OutOfRange) -> Self {
        Self::OutOfRange
    }
}

/// What a cycle charges an account that used so much beyond its subscriptions, and was closed at `closed_at`, if it was.
/// None where there is nothing to charge. `prices` are those of the cycle, at its levels.
pub fn charge_account(
    cycle: Cycle,
    beyond: &[(&Bursting, Decimal)],
    closed_at: Option<DateTime<Utc>>,
    currency: &Currency,
    prices: &Prices,
) -> Result<Option<CycleCharge>, Uncharged> {
    let mut charged = CycleCharge { cycle, charges: Vec::with_capacity(beyond.len()), rate: Decimal::ZERO };
    for (bursting, amount) in beyond {
        let ends = [bursting.until, closed_at].into_iter().flatten().min();
        let seconds = seconds_of(cycle, bursting.since, ends);
        if *amount <= Decimal::ZERO || seconds <= 0 {
            continue;
        }
        if *amount >= BEYOND_MAX {
            return Err(Uncharged::OutOfRange);
        }
        let price = prices.get(&currency.code).and_then(|prices| prices.get(&bursting.resource));
        let price = price.ok_or_else(|| {
            let (resource, level) = (bursting.resource.clone(), bursting.level);
            Uncharged::NoPrice { resource, level, currency: currency.code }
        })?;
        let of = |seconds: i64| capacity::charge(price, *amount, seconds, currency.ledger_scale);
        let (seconds_charged, whole_cycle) = (i64::from(seconds), CYCLE.num_seconds());
        let charge = of(seconds_charged)?;
        let whole = if seconds_charged == whole_cycle { charge } else { of(whole_cycle)? };
        charged.rate = money::add(charged.rate, whole)?;
        // Less than the ledger can tell from nothing.
        if charge.is_zero() {
            continue;
        }
        let reason = reason_of(price, *amount, seconds, cycle.end());
        let resource = bursting.resource.clone();
        charged.charges.push(ResourceCharge { resource, amount: *amount, seconds, charge, reason });
    }
    Ok(if charged.charges.is_empty() { None } else { Some(charged) })
}

/// The seconds of a cycle in which a resource was charged for and the account was open: to `ends`, if that was before.
fn seconds_of(cycle: Cycle, since: DateTime<Utc>, ends: Option<DateTime<Utc>>) -> i32 {
    let from = since.max(cycle.start());
    let to = ends.map_or(cycle.end(), |ends| ends.min(cycle.end()));
    i32::try_from(to.signed_duration_since(from).num_seconds()).unwrap_or(0)
}

/// "Burst: 4.50 GB of dssd for 5 minutes at 2014-06-05 09:06"; the time is UTC.
fn reason_of(price: &ResourcePrice, amount: Decimal, seconds: i32, poll_time: DateTime<Utc>) -> String {
    let (unit, size) = shown_unit(price);
    let shown = amount.checked_div(size).unwrap_or(amount);
    let shown = shown.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    let space = if unit.is_empty() { "" } else { " " };
    format!(
        "Burst: {}{space}{unit} of {} for {} at {}",
        money::format_decimal(shown, 2),
        price.resource,
        human_interval(seconds),
        poll_time.format("%Y-%m-%d %H:%M")
    )
}

/// The unit that a price counts in, for people, and how much of the resource one is: in a price for GB/month the
/// multiplier is the bytes of a GB times the seconds of a month. What is counted by the piece has none.
fn shown_unit(price: &ResourcePrice) -> (&str, Decimal) {
    let (unit, time) = price.unit.split_once('/').unwrap_or((&price.unit, ""));
    let seconds = match time {
        "second" => 1,
        "minute" => 60,
        "hour" => capacity::HOUR_SECONDS,
        "day" => capacity::HOUR_SECONDS.saturating_mul(24),
        "month" => capacity::MONTH_SECONDS,
        _ => return ("", Decimal::ONE),
    };
    let size = price.multiplier.checked_div(Decimal::from(seconds)).unwrap_or(Decimal::ONE);
    let unit = if unit == "count" { "" } else { unit };
    (unit, if size.is_zero() { Decimal::ONE } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ResourcePriceId;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn price(resource: &str, price: &str, unit: &str, multiplier: &str) -> ResourcePrice {
        ResourcePrice {
            id: ResourcePriceId(1),
            resource: resource.to_owned(),
            currency: CurrencyCode::parse("USD").unwrap(),
            level: 1,
            price: dec(price),
            unit: unit.to_owned(),
            multiplier: dec(multiplier),
            cluster: None,
            chart: None,
            effective_from: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn reasons_read_as_the_source_writes_them() {
        let at = |text: &str| text.parse().unwrap();
        let dssd = price("dssd", "0.18", "GB/month", "2783138807808000");
        assert_eq!(
            reason_of(&dssd, dec("4831838208"), 300, at("2014-06-05T09:06:06Z")),
            "Burst: 4.50 GB of dssd for 5 minutes at 2014-06-05 09:06"
        );
        let cpu = price("cpu", "0.02", "GHz/hour", "3600000");
        assert_eq!(
            reason_of(&cpu, dec("8500"), 135, at("2014-06-05T06:31:06Z")),
            "Burst: 8.50 GHz of cpu for 2 minutes at 2014-06-05 06:31"
        );
        let ip = price("ip", "5", "count/month", "2592000");
        assert_eq!(
            reason_of(&ip, dec("2"), 49, at("2014-06-05T06:31:06Z")),
            "Burst: 2.00 of ip for 49 seconds at 2014-06-05 06:31"
        );
    }

    #[test]
    fn only_the_seconds_in_which_there_was_a_price_and_an_account_are_charged() {
        let cycle = Cycle::numbered(1_000_000);
        let (start, end) = (cycle.start(), cycle.end());
        let second = chrono::TimeDelta::seconds(1);
        assert_eq!(seconds_of(cycle, start, None), 300);
        assert_eq!(seconds_of(cycle, start + second, Some(end - second)), 298);
        assert_eq!(seconds_of(cycle, end, None), 0);
        assert_eq!(seconds_of(cycle, start, Some(start)), 0);
        assert!(seconds_of(cycle, end + second, None) < 0);
    }
}
