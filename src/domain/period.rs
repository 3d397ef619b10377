//! Billing periods, cut in an account's own time zone.

use chrono::{DateTime, Duration, LocalResult, Months, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::codes::coded_enum;
use super::money::OutOfRange;

coded_enum! {
    /// How often something is billed.
    BillPeriod {
        /// On demand, by the second; billed afterwards.
        Hour = "HOUR",
        Month = "MONTH",
        /// Three months.
        Quarter = "QUARTER",
        /// Six months.
        HalfYear = "HALF_YEAR",
        /// Twelve months.
        Year = "YEAR",
    }
}

impl BillPeriod {
    /// Its length in calendar months; None for what is on demand.
    pub fn months(self) -> Option<u32> {
        match self {
            Self::Hour => None,
            Self::Month => Some(1),
            Self::Quarter => Some(3),
            Self::HalfYear => Some(6),
            Self::Year => Some(12),
        }
    }

    /// The period of so many months; a month where there is no name for it.
    pub fn of_months(months: i32) -> Self {
        match months {
            3 => Self::Quarter,
            6 => Self::HalfYear,
            12 => Self::Year,
            _ => Self::Month,
        }
    }
}

coded_enum! {
    /// When something is paid.
    PaymentType {
        /// Beforehand, by the period.
        Prepay = "PREPAY",
        /// Afterwards, by use.
        Postpay = "POSTPAY",
    }
}

/// The instant `months` calendar months after `anchor`, in `zone`: the same local day and time, the day clamped to
/// the month's end. Counting from the anchor, not from the period before, keeps 31 Jan → 28 Feb → 31 Mar.
pub fn months_after(anchor: DateTime<Utc>, months: u32, zone: Tz) -> Result<DateTime<Utc>, OutOfRange> {
    let local = anchor.with_timezone(&zone).naive_local();
    let local = local.checked_add_months(Months::new(months)).ok_or(OutOfRange)?;
    instant_of(local, zone).ok_or(OutOfRange)
}

/// The instant of a local time. Of a time that comes twice (clocks set back) the first; for one that never comes
/// (clocks set forward) as much later as the gap is wide.
fn instant_of(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => {
            Some(instant.with_timezone(&Utc))
        }
        LocalResult::None => {
            let before = local.checked_sub_signed(Duration::days(1))?;
            let offset = zone.offset_from_local_datetime(&before).earliest()?;
            let utc = local.checked_sub_offset(chrono::Offset::fix(&offset))?;
            Some(Utc.from_utc_datetime(&utc))
        }
    }
}

/// The first instant of a day in `zone`.
pub fn midnight(day: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    instant_of(day.and_hms_opt(0, 0, 0)?, zone)
}

/// Whole calendar days from the day of `from` to the day of `until` in `zone`; zero if it does not lie ahead.
pub fn calendar_days(from: DateTime<Utc>, until: DateTime<Utc>, zone: Tz) -> u32 {
    let day = |instant: DateTime<Utc>| instant.with_timezone(&zone).date_naive();
    u32::try_from(day(until).signed_duration_since(day(from)).num_days()).unwrap_or(0)
}

/// The first of `first`, `first + every`, … up to and including `last` that comes after `instant`.
pub fn next_of_series(
    first: DateTime<Utc>,
    every: Duration,
    last: DateTime<Utc>,
    instant: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    if instant < first {
        return Some(first);
    }
    let passed = instant.signed_duration_since(first).num_seconds().checked_div(every.num_seconds())?;
    let next = every.checked_mul(i32::try_from(passed.checked_add(1)?).ok()?)?;
    first.checked_add_signed(next).filter(|next| *next <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_of_january_goes_to_the_last_of_february_and_back_to_the_thirty_first() {
        let anchor = at("2026-01-31T10:00:00Z");
        for (months, expected) in
            [(1, "2026-02-28T10:00:00Z"), (2, "2026-03-31T10:00:00Z"), (13, "2027-02-28T10:00:00Z")]
        {
            assert_eq!(months_after(anchor, months, Tz::UTC), Ok(at(expected)));
        }
    }

    #[test]
    fn a_series_goes_on_after_each_of_its_instants_and_ends_with_its_last() {
        let (first, last) = (at("2026-03-01T10:00:00Z"), at("2026-03-03T10:00:00Z"));
        let next = |instant| next_of_series(first, Duration::days(1), last, at(instant));
        assert_eq!(next("2026-01-01T00:00:00Z"), Some(first));
        assert_eq!(next("2026-03-01T09:59:59.999999Z"), Some(first));
        assert_eq!(next("2026-03-01T10:00:00Z"), Some(at("2026-03-02T10:00:00Z")));
        assert_eq!(next("2026-03-03T09:59:59.999999Z"), Some(last));
        assert_eq!(next("2026-03-03T10:00:00Z"), None);
    }

    #[test]
    fn months_are_cut_in_the_accounts_zone() {
        // 31 January, 01:00 in Shanghai, is still the 30th in UTC.
        let anchor = at("2026-01-30T17:00:00Z");
        assert_eq!(months_after(anchor, 1, Tz::Asia__Shanghai), Ok(at("2026-02-27T17:00:00Z")));
    }

    #[test]
    fn a_time_in_the_gap_of_daylight_saving_moves_later_and_a_doubled_one_is_the_first() {
        let spring = at("2026-02-08T07:30:00Z"); // 02:30 in New York; on 8 March there is no 02:30
        assert_eq!(months_after(spring, 1, Tz::America__New_York), Ok(at("2026-03-08T07:30:00Z")));
        let autumn = at("2026-10-01T05:30:00Z"); // 01:30; on 1 November it comes twice
        assert_eq!(months_after(autumn, 1, Tz::America__New_York), Ok(at("2026-11-01T05:30:00Z")));
    }

    #[test]
    fn calendar_days_are_counted_between_dates_not_hours() {
        let zone = Tz::Asia__Shanghai;
        assert_eq!(calendar_days(at("2026-03-10T15:59:00Z"), at("2026-03-10T16:01:00Z"), zone), 1);
        assert_eq!(calendar_days(at("2026-03-10T16:00:00Z"), at("2026-03-11T15:59:00Z"), zone), 0);
        assert_eq!(calendar_days(at("2026-03-12T00:00:00Z"), at("2026-03-10T00:00:00Z"), zone), 0);
    }
}
