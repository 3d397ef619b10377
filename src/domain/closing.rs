//! Closing a month: what an account has used in it is rated once it is over, and becomes records and a bill.
//!
//! A closed month may be rated again, because usage came late or rules were replaced: then the difference is billed.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::Serialize;

use super::account::{Account, SuspendedSpan};
use super::ids::{AccountId, BillId};
use super::money::{self, Currency, OutOfRange};
use super::order::Order;
use super::rating::number::{Number, PrecisionExceeded, Wide};
use super::rating::{Charge, Label, Line, Part, PricePeriod, Quantity, Step, Title, Usage, rate};
use super::record::RecordOrder;
use super::usage::{Granularity, SUM_MAX, bucket_start, next_bucket};

/// A bill for what was used is due so long after it was made.
pub const DUE_AFTER: TimeDelta = TimeDelta::days(15);
/// A month is closed so long after its end: what is reported by then needs no correction.
const SETTLING: TimeDelta = TimeDelta::hours(1);
/// What is reported after that is billed so long after it came, with whatever else has come by then.
pub const CORRECTED_AFTER: TimeDelta = TimeDelta::hours(1);
const HOUR_SECONDS: i64 = 60 * 60;

/// What is closed at once: a calendar month in the account's zone; after a change of zone longer or shorter by hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Month {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl Month {
    /// The calendar month that an instant lies in.
    pub fn of(instant: DateTime<Utc>, zone: Tz) -> Result<Self, OutOfRange> {
        let start = bucket_start(instant, Granularity::Month, zone);
        Ok(Self { start, end: next_bucket(start, Granularity::Month, zone)? })
    }

    pub fn holds(&self, instant: DateTime<Utc>) -> bool {
        self.start <= instant && instant < self.end
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The first day of the calendar month that it is: the one that it ends with.
    pub fn period(&self, zone: Tz) -> NaiveDate {
        let last = self.end.checked_sub_signed(TimeDelta::microseconds(1)).unwrap_or(self.start);
        let day = last.with_timezone(&zone).date_naive();
        day.with_day(1).unwrap_or(day)
    }

    /// An instant that lies in no other.
    pub fn middle(&self) -> DateTime<Utc> {
        let half = self.end.signed_duration_since(self.start).checked_div(2).unwrap_or_default();
        self.start.checked_add_signed(half).unwrap_or(self.start)
    }

    /// When it is closed.
    pub fn closes_at(&self) -> DateTime<Utc> {
        self.end.checked_add_signed(SETTLING).unwrap_or(self.end)
    }

    /// The part of it that lies before an instant.
    fn before(self, end: DateTime<Utc>) -> Self {
        Self { end: self.end.min(end), ..self }
    }
}

/// Up to when an account's months are closed.
pub fn closed_until(account: &Account) -> DateTime<Utc> {
    let first = || bucket_start(account.created_at, Granularity::Month, account.time_zone);
    account.closed_until.unwrap_or_else(first)
}

/// A change of zone leaves less than this of a month: it goes with the next one.
const LEFTOVER: TimeDelta = TimeDelta::days(2);

/// The account's first month that is not closed, if it has ended by `end`.
pub fn next_to_close(account: &Account, end: DateTime<Utc>) -> Result<Option<Month>, OutOfRange> {
    let month = month_from(closed_until(account), account.time_zone)?;
    Ok((month.end <= end).then_some(month))
}

/// The month that follows one that ended at `start`, as a rule a calendar month.
pub fn month_from(start: DateTime<Utc>, zone: Tz) -> Result<Month, OutOfRange> {
    let mut month = Month::of(start, zone)?;
    if month.end.signed_duration_since(start) < LEFTOVER {
        month = Month::of(month.end, zone)?;
    }
    Ok(Month { start, ..month })
}

/// The window of a month that the account has not closed although later ones may be: `instant`'s calendar month without
/// what the closed ones, `neighbours`, cover.
pub fn left_open(instant: DateTime<Utc>, zone: Tz, neighbours: &[Month]) -> Result<Month, OutOfRange> {
    let mut month = Month::of(instant, zone)?;
    for closed in neighbours {
        if closed.end <= instant {
            month.start = month.start.max(closed.end);
        } else if closed.start > instant {
            month.end = month.end.min(closed.start);
        }
    }
    Ok(month)
}

/// A month that was closed: what it has come to by now, corrections included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedMonth {
    pub account: AccountId,
    pub month: Month,
    /// The first day of the calendar month that it was when it was closed.
    pub period: NaiveDate,
    /// How often it has been rated.
    pub revision: i32,
    /// The sum of the versions of the aggregates that went into it.
    pub usage_version: i64,
    /// The bill that later ones correct.
    pub bill: Option<BillId>,
    /// What its usage costs, at ledger scale.
    pub usage_amount: Decimal,
    /// What all of it costs, at ledger scale.
    pub amount: Decimal,
    /// What its bills ask for, at display scale, before what is withheld.
    pub billed_amount: Decimal,
    /// What corrections did not credit, as it had been given back already.
    pub withheld_amount: Decimal,
    /// What bills of it asked for that operators have made void.
    pub forgiven_amount: Decimal,
    /// The resources that could not be rated when it was rated last, in order.
    pub unrated: Vec<String>,
    pub closed_at: DateTime<Utc>,
}

/// What is left of a month that was closed before it was over, once that is taken back: nothing else is as short.
const TAKEN_BACK: TimeDelta = TimeDelta::microseconds(1);

impl ClosedMonth {
    /// As if nothing of it had been charged: what it cost is taken back with a bill, and it is closed once it is over.
    pub fn taken_back(&self, closed_at: DateTime<Utc>) -> Result<Self, OutOfRange> {
        let end = self.month.start.checked_add_signed(TAKEN_BACK).ok_or(OutOfRange)?;
        Ok(Self {
            month: Month { end, ..self.month },
            revision: self.revision.checked_add(1).ok_or(OutOfRange)?,
            usage_version: 0,
            usage_amount: Decimal::ZERO,
            amount: Decimal::ZERO,
            billed_amount: Decimal::ZERO,
            unrated: Vec::new(),
            closed_at,
            ..self.clone()
        })
    }

    /// Whether it is to be charged whole.
    pub fn is_taken_back(&self) -> bool {
        is_taken_back(&self.month)
    }
}

/// Whether that is what is left of a month that was taken back.
pub fn is_taken_back(month: &Month) -> bool {
    month.end.signed_duration_since(month.start) == TAKEN_BACK
}

/// What an order on demand costs in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDemand {
    pub order: RecordOrder,
    pub resource_type: String,
    pub product_name: String,
    pub datacenter: Option<String>,
    /// When it ran, within the month.
    pub ran: Month,
    pub charge: Charge,
}

/// A month as it was rated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatedMonth {
    pub month: Month,
    /// The first day of the calendar month that it is.
    pub period: NaiveDate,
    /// Its bill, where it was billed.
    pub bill: Option<BillId>,
    /// How often it had been rated when it was read: only then is it what the account's book says.
    pub revision: i32,
    /// The sum of the versions of the aggregates that were read.
    pub usage_version: i64,
    /// The kind of product of what was used.
    pub resource_type: String,
    /// None: nothing was used.
    pub usage: Option<Charge>,
    pub on_demand: Vec<OnDemand>,
    /// Gauges that were not reported for so many 5-minute slots, by the resource.
    pub silent: Vec<(String, usize)>,
}

impl RatedMonth {
    /// The resources that were used and have no price.
    pub fn unpriced(&self) -> Vec<&str> {
        self.resources(|title| matches!(title, Title::Unpriced(_)))
    }

    /// The resources that were used and cannot be rated.
    pub fn unrated(&self) -> Vec<&str> {
        self.resources(|title| matches!(title, Title::Unrated(_)))
    }

    /// Whether it leaves unrated what it left when it was closed, and nothing was reported since.
    pub fn is_still_unrated(&self, closed: &ClosedMonth) -> bool {
        let is_same = closed.usage_version == self.usage_version && closed.unrated == self.unrated();
        is_same && !closed.unrated.is_empty()
    }

    /// The resources of lines, in order, each once.
    fn resources(&self, of: impl Fn(&Title) -> bool) -> Vec<&str> {
        let titles = self.usage.iter().flat_map(|charge| &charge.lines).map(|line| &line.title);
        let mut resources: Vec<&str> = titles.filter(|title| of(title)).filter_map(Title::resource).collect();
        resources.sort_unstable();
        resources.dedup();
        resources
    }
}

impl RatedMonth {
    /// A closed month of which nothing is charged.
    pub fn nothing_of(closed: &ClosedMonth) -> Self {
        let ClosedMonth { month, period, revision, bill, .. } = *closed;
        Self { bill, revision, ..Self::empty(month, period) }
    }

    /// A month in which nothing was used.
    pub fn empty(month: Month, period: NaiveDate) -> Self {
        Self {
            month,
            period,
            bill: None,
            revision: 0,
            usage_version: 0,
            resource_type: String::new(),
            usage: None,
            on_demand: Vec::new(),
            silent: Vec::new(),
        }
    }
}

/// What usage costs in a month that is cut where the rules change; at ledger scale. Nothing used, and no package to be
/// paid, costs nothing and needs no word. What is out of range costs nothing, and says so: it holds up nothing else.
pub fn rate_usage(
    price_periods: &[PricePeriod],
    usage: &[Usage],
    currency: &Currency,
) -> Result<Option<Charge>, OutOfRange> {
    let parts: Vec<_> = price_periods.iter().map(PricePeriod::part).collect();
    let mut charge = charge_of(&parts, usage, currency)
        .or_else(|OutOfRange| charge_of_what_can_be(&parts, usage, currency))?;
    // In which part of the month nothing of a resource was used is no news.
    charge.lines.retain(|line| !line.steps.is_empty() || line.quantity.is_some_and(|used| !used.is_zero()));
    let says_something = !usage.is_empty() || !charge.total.is_zero();
    Ok(says_something.then_some(charge))
}

/// Whether a quantity of a resource could not be charged for by the rules of a stretch, even if nothing else was used.
pub fn is_beyond_all_charges(price_period: &PricePeriod, used: &Usage, currency: &Currency) -> bool {
    let parts = [price_period.part()];
    let charge = |usage: &[Usage]| charge_of(&parts, usage, currency);
    charge(&[]).is_ok() && charge(std::slice::from_ref(used)).is_err()
}

fn charge_of(parts: &[Part<'_>], usage: &[Usage], currency: &Currency) -> Result<Charge, OutOfRange> {
    let is_in_range = |quantity: &Decimal| quantity.abs() < SUM_MAX;
    let all_in_range = usage.iter().all(|used| match &used.quantity {
        Quantity::Summed(parts) => parts.iter().all(is_in_range),
        Quantity::Whole(quantity) => is_in_range(quantity),
    });
    if !all_in_range {
        return Err(OutOfRange);
    }
    let charge = rate(parts, usage, currency.ledger_scale)?;
    if charge.total.abs() <= currency.charge_max() { Ok(charge) } else { Err(OutOfRange) }
}

/// Takes resources into the charge one after the other, and leaves out those with which it is out of range.
fn charge_of_what_can_be(
    parts: &[Part<'_>],
    usage: &[Usage],
    currency: &Currency,
) -> Result<Charge, OutOfRange> {
    let mut charge = charge_of(parts, &[], currency)?;
    let mut rated = Vec::with_capacity(usage.len());
    let mut unrated = Vec::new();
    for used in usage {
        rated.push(used.clone());
        match charge_of(parts, &rated, currency) {
            Ok(with_it) => charge = with_it,
            Err(OutOfRange) => unrated.extend(rated.pop()),
        }
    }
    charge.lines.extend(unrated.into_iter().map(unrated_line));
    Ok(charge)
}

fn unrated_line(used: Usage) -> Line {
    let quantity = match used.quantity {
        Quantity::Whole(quantity) => quantity,
        Quantity::Summed(parts) => parts.into_iter().fold(Decimal::ZERO, Decimal::saturating_add),
    };
    let quantity = Some(quantity.clamp(money::negate(SUM_MAX), SUM_MAX));
    let step = Step { quantity, ..Step::of(Label::Unrated, Decimal::ZERO) };
    Line { title: Title::Unrated(used.resource), quantity, amount: Decimal::ZERO, steps: vec![step] }
}

/// When an account's orders on demand do not run, whatever they say themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standstill {
    /// When it was closed, if it is.
    pub closed_at: Option<DateTime<Utc>>,
    /// When it was suspended; clocks that were set back may make these overlap.
    pub suspended: BTreeSet<Month>,
}

impl Standstill {
    /// Of an account, with its suspensions that are over.
    pub fn of(account: &Account, over: impl IntoIterator<Item = SuspendedSpan>) -> Self {
        let is_now = account.suspended_at.map(|start| Month { start, end: DateTime::<Utc>::MAX_UTC });
        let over = over.into_iter().map(|span| Month { start: span.from, end: span.to });
        Self { closed_at: account.closed_at, suspended: over.chain(is_now).collect() }
    }

    /// The seconds of a span in which it was not suspended.
    fn seconds_between(&self, start: DateTime<Utc>, end: DateTime<Utc>) -> i64 {
        let length = |start: DateTime<Utc>, end: DateTime<Utc>| {
            end.signed_duration_since(start).max(TimeDelta::zero())
        };
        let (mut ran, mut from) = (TimeDelta::zero(), start);
        for span in &self.suspended {
            ran = ran.checked_add(&length(from, span.start.min(end))).unwrap_or(ran);
            from = from.max(span.end);
        }
        ran.checked_add(&length(from, end)).unwrap_or(ran).num_seconds()
    }
}

/// What an order on demand costs in a month, or until its account was closed: price × quantity × seconds ÷ 3600, at ledger
/// scale, and what it costs once, in the month that it began in. None: it costs nothing.
pub fn rate_on_demand(
    order: &Order,
    month: Month,
    standstill: &Standstill,
    currency: &Currency,
) -> Result<Option<OnDemand>, OutOfRange> {
    let Some(begun) = order.delivered_at else { return Ok(None) };
    let ends = [order.expires_at, standstill.closed_at].into_iter().flatten().min();
    let until = ends.map_or(month, |end| month.before(end));
    let ran = Month { start: month.start.max(begun), end: until.end.max(month.start.max(begun)) };
    let seconds = standstill.seconds_between(ran.start, ran.end);
    let quantity = Decimal::from(order.quantity);
    let once = order.once_price.filter(|price| month.holds(begun) && !price.is_zero());
    if seconds <= 0 && once.is_none() {
        return Ok(None);
    }
    let mut charge = seconds_at_hourly_price(order.price, quantity, seconds, currency.ledger_scale)?;
    if let Some(price) = once {
        let line = charged_once(price, quantity)?;
        charge.total = money::add(charge.total, line.amount)?;
        charge.lines.insert(0, line);
    }
    Ok(Some(OnDemand {
        order: RecordOrder { id: order.id, number: order.number(), order_type: order.order_type },
        resource_type: order.resource_type.clone(),
        product_name: order.product_name.clone(),
        datacenter: order.datacenter.clone(),
        ran,
        charge,
    }))
}

fn charged_once(price: Decimal, quantity: Decimal) -> Result<Line, OutOfRange> {
    let amount = money::multiply(price, quantity)?;
    let step = Step { quantity: Some(quantity), unit_price: Some(price), ..Step::of(Label::Once, amount) };
    Ok(Line { title: Title::Once, quantity: Some(quantity), amount, steps: vec![step] })
}

fn seconds_at_hourly_price(
    price: Decimal,
    quantity: Decimal,
    seconds: i64,
    places: u32,
) -> Result<Charge, OutOfRange> {
    let (factor, divisor) = (Decimal::from(seconds), Decimal::from(HOUR_SECONDS));
    let exact = Wide::of(price)
        .times(&Wide::of(quantity))
        .and_then(|hourly| hourly.times(&Wide::of(factor)))
        .and_then(|all| all.over(&Wide::of(divisor)))
        .map_err(|PrecisionExceeded| OutOfRange)?;
    let total = exact.rounded(places).map_err(|PrecisionExceeded| OutOfRange)?.ok_or(OutOfRange)?;
    let step = Step {
        quantity: Some(quantity),
        unit_price: Some(price),
        factor: Some(factor),
        divisor: Some(divisor),
        ..Step::of(Label::Seconds, exact.shown())
    };
    let rounding = money::subtract(total, step.amount)?;
    let mut steps = vec![step];
    if !rounding.is_zero() {
        steps.push(Step::of(Label::Rounding, rounding));
    }
    let line = Line { title: Title::OnDemand, quantity: Some(quantity), amount: total, steps };
    Ok(Charge { total, lines: vec![line] })
}

/// What is still to be charged for usage that was charged before: the whole of it, and what was charged taken off.
pub fn less_charged_before(mut charge: Charge, before: Decimal) -> Result<Charge, OutOfRange> {
    let taken_off = money::negate(before);
    charge.total = money::add(charge.total, taken_off)?;
    charge.lines.push(Line {
        title: Title::ChargedBefore,
        quantity: None,
        amount: taken_off,
        steps: vec![Step::of(Label::ChargedBefore, taken_off)],
    });
    Ok(charge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn month(start: &str, end: &str) -> Month {
        Month { start: at(start), end: at(end) }
    }

    #[test]
    fn what_closed_months_leave_open_of_a_calendar_month_does_not_overlap_them() {
        let shanghai = month("2026-09-30T16:00:00Z", "2026-10-31T16:00:00Z");
        for (instant, neighbours, expected) in [
            ("2026-10-31T18:00:00Z", vec![shanghai], month("2026-10-31T16:00:00Z", "2026-11-01T00:00:00Z")),
            ("2026-09-30T10:00:00Z", vec![shanghai], month("2026-09-01T00:00:00Z", "2026-09-30T16:00:00Z")),
            ("2026-12-24T00:00:00Z", vec![shanghai], month("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")),
        ] {
            assert_eq!(left_open(at(instant), Tz::UTC, &neighbours), Ok(expected), "{instant}");
        }
    }

    #[test]
    fn what_stood_still_for_a_time_did_not_run_then_however_often_that_is_said() {
        let spans = [("10:00", "11:00"), ("10:30", "10:45"), ("10:50", "12:00"), ("22:00", "23:00")];
        let on_the_day = |time: &str| at(&format!("2026-03-01T{time}:00Z"));
        let suspended =
            spans.map(|(start, end)| Month { start: on_the_day(start), end: on_the_day(end) }).into();
        let standstill = Standstill { closed_at: None, suspended };
        for (start, end, seconds) in [
            ("00:00", "10:00", 36_000),
            ("09:00", "13:00", 7_200),
            ("10:10", "11:50", 0),
            ("22:30", "23:30", 1_800),
        ] {
            assert_eq!(
                standstill.seconds_between(on_the_day(start), on_the_day(end)),
                seconds,
                "{start} {end}"
            );
        }
    }

    #[test]
    fn seconds_at_an_hourly_price_are_rounded_once_and_explained() {
        let dec = |text: &str| text.parse::<Decimal>().unwrap();
        for (price, quantity, seconds, expected) in [
            ("0.1", 1, 3_600, "0.1"),
            ("0.1", 2, 1_800, "0.1"),
            ("0.1", 1, 1, "0.0000277778"),
            ("0.07", 3, 2_678_400, "156.24"),
        ] {
            let charge = seconds_at_hourly_price(dec(price), Decimal::from(quantity), seconds, 10).unwrap();
            assert_eq!(charge.total, dec(expected), "{price} {quantity} {seconds}");
            let steps = charge.lines.iter().flat_map(|line| &line.steps).map(|step| step.amount);
            assert_eq!(steps.sum::<Decimal>(), charge.total);
        }
    }
}
