//! Time as usage is gathered in it: hours, 5-minute slots, days and months of an account's own zone.

use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::domain::codes::coded_enum;
use crate::domain::money::OutOfRange;
use crate::domain::period::midnight;

/// What adds up is kept by the hour.
pub const HOUR: TimeDelta = TimeDelta::hours(1);
/// Gauges are kept by the 5-minute slot. Every zone's offset is a multiple of it.
pub const SLOT: TimeDelta = TimeDelta::minutes(5);

coded_enum! {
    /// What the points of a series stand for.
    Granularity {
        Hour = "HOUR",
        /// A calendar day in the account's zone.
        Day = "DAY",
        /// A calendar month in the account's zone.
        Month = "MONTH",
    }
}

/// The beginning of the local hour that an instant lies in: in a zone half an hour off, at half past of UTC, so that no
/// hour lies in two days or months.
pub fn hour_of(instant: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let offset = zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc();
    floor(instant, HOUR, i64::from(offset))
}

/// The beginning of the 5-minute slot that an instant lies in.
pub fn slot_of(instant: DateTime<Utc>) -> DateTime<Utc> {
    floor(instant, SLOT, 0)
}

/// The last beginning of a unit at or before `instant`; units begin where the local clock, `offset` seconds ahead, says.
fn floor(instant: DateTime<Utc>, unit: TimeDelta, offset: i64) -> DateTime<Utc> {
    let local = instant.timestamp().saturating_add(offset);
    let into = local.rem_euclid(unit.num_seconds().max(1));
    let begin = instant.timestamp().saturating_sub(into);
    DateTime::from_timestamp(begin, 0).unwrap_or(instant)
}

/// The beginning of the hour, day or month that an instant lies in.
pub fn bucket_start(instant: DateTime<Utc>, granularity: Granularity, zone: Tz) -> DateTime<Utc> {
    let day = instant.with_timezone(&zone).date_naive();
    let start = match granularity {
        Granularity::Hour => Some(hour_of(instant, zone)),
        Granularity::Day => midnight(day, zone),
        Granularity::Month => day.with_day(1).and_then(|first| midnight(first, zone)),
    };
    start.unwrap_or(instant)
}

/// The beginning of the bucket after the one that begins at `start`.
pub fn next_bucket(
    start: DateTime<Utc>,
    granularity: Granularity,
    zone: Tz,
) -> Result<DateTime<Utc>, OutOfRange> {
    let day = start.with_timezone(&zone).date_naive();
    let next = match granularity {
        Granularity::Hour => start.checked_add_signed(HOUR).map(|next| hour_of(next, zone)),
        Granularity::Day => day.succ_opt().and_then(|next| midnight(next, zone)),
        Granularity::Month => next_month(day).and_then(|first| midnight(first, zone)),
    };
    next.filter(|next| *next > start).ok_or(OutOfRange)
}

/// The beginnings of the buckets that reach into a window, and the end of the last one. None: there are more than `max`.
pub fn buckets(
    window: (DateTime<Utc>, DateTime<Utc>),
    granularity: Granularity,
    zone: Tz,
    max: usize,
) -> Result<Option<Vec<DateTime<Utc>>>, OutOfRange> {
    let mut start = bucket_start(window.0, granularity, zone);
    let mut starts = vec![start];
    while start < window.1 {
        start = next_bucket(start, granularity, zone)?;
        starts.push(start);
        if starts.len() > max.saturating_add(1) {
            return Ok(None);
        }
    }
    Ok(Some(starts))
}

/// The first of the month after a day's.
fn next_month(day: NaiveDate) -> Option<NaiveDate> {
    day.with_day(1)?.checked_add_months(chrono::Months::new(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn hours_begin_where_the_local_clock_strikes() {
        for (zone, instant, hour) in [
            (Tz::UTC, "2026-03-01T10:59:59.999999Z", "2026-03-01T10:00:00Z"),
            (Tz::Asia__Shanghai, "2026-03-01T10:59:59Z", "2026-03-01T10:00:00Z"),
            (Tz::America__St_Johns, "2026-03-01T03:29:59Z", "2026-03-01T02:30:00Z"),
            (Tz::America__St_Johns, "2026-03-01T03:30:00Z", "2026-03-01T03:30:00Z"),
            (Tz::Asia__Kathmandu, "2026-03-01T18:15:00Z", "2026-03-01T18:15:00Z"),
            (Tz::Asia__Kathmandu, "2026-03-01T18:14:59Z", "2026-03-01T17:15:00Z"),
        ] {
            assert_eq!(hour_of(at(instant), zone), at(hour), "{zone} {instant}");
        }
    }

    #[test]
    fn months_begin_at_the_first_midnight_of_the_zone() {
        for (zone, instant, month, next) in [
            (Tz::UTC, "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            (Tz::Asia__Shanghai, "2026-02-28T16:00:00Z", "2026-02-28T16:00:00Z", "2026-03-31T16:00:00Z"),
            (Tz::America__St_Johns, "2026-03-01T03:29:59Z", "2026-02-01T03:30:00Z", "2026-03-01T03:30:00Z"),
            (Tz::America__St_Johns, "2026-03-01T03:30:00Z", "2026-03-01T03:30:00Z", "2026-04-01T02:30:00Z"),
        ] {
            let start = bucket_start(at(instant), Granularity::Month, zone);
            assert_eq!(
                (start, next_bucket(start, Granularity::Month, zone)),
                (at(month), Ok(at(next))),
                "{zone}"
            );
        }
    }

    #[test]
    fn buckets_follow_each_other_without_gaps_also_when_clocks_change() {
        for zone in [Tz::America__St_Johns, Tz::Australia__Lord_Howe, Tz::Pacific__Apia, Tz::Africa__Cairo] {
            for granularity in [Granularity::Hour, Granularity::Day, Granularity::Month] {
                let mut start = bucket_start(at("2026-01-01T00:00:00Z"), granularity, zone);
                for _ in 0..9_000 {
                    let next = next_bucket(start, granularity, zone).unwrap();
                    let last = next - TimeDelta::microseconds(1);
                    assert!(bucket_start(last, granularity, zone) < next);
                    if granularity != Granularity::Hour {
                        assert_eq!(bucket_start(last, granularity, zone), start, "{zone} {granularity}");
                    }
                    if next > at("2027-02-01T00:00:00Z") {
                        break;
                    }
                    start = next;
                }
            }
        }
    }
}
