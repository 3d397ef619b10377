//! The machine's clock, held against the database's: all servers of one ledger share that, and a machine whose clock is wrong
//! must not date a purchase, nor close a month.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::Timestamptz;
use diesel_async::RunQueryDsl;

use super::Conn;
use super::error::StoreError;
use super::sql::statement::Statement;
use crate::clock::{HeldBy, wall};

/// How far both may be apart, beside what asking takes.
pub const SKEW_MAX: TimeDelta = TimeDelta::seconds(2);

/// The machine's clock when the database was asked for its own.
pub struct AskedAt(DateTime<Utc>);

impl AskedAt {
    pub fn now() -> Self {
        Self(wall())
    }

    /// Refuses to go on where the database has answered a time that the machine did not have meanwhile.
    pub fn require_right(&self, database: DateTime<Utc>) -> Result<(), StoreError> {
        let ahead = ahead(self.0, wall(), database);
        let seconds = i32::try_from(ahead.num_seconds()).unwrap_or(i32::MAX);
        metrics::gauge!("abacus_clock_ahead_seconds").set(f64::from(seconds));
        if ahead.abs() <= SKEW_MAX {
            return Ok(());
        }
        Err(StoreError::WrongClock(told(ahead)))
    }
}

/// Asks the database for its time, and refuses to go on where the machine has another.
pub async fn require_right_clock(mut conn: Conn<'_>) -> Result<(), StoreError> {
    let asked = AskedAt::now();
    let database = Statement::<Timestamptz>::new("SELECT clock_timestamp()").get_result(&mut conn).await?;
    asked.require_right(database)
}

/// What time it is by the database: in a sandbox, as far ahead as that was moved.
/// Asked once in a statement, however many rows it reads.
pub(super) const PRESENT: &str = "(SELECT abacus_now())";

/// What time it is by the database.
pub async fn present(mut conn: Conn<'_>) -> Result<DateTime<Utc>, StoreError> {
    let statement = Statement::<Timestamptz>::new("SELECT ").sql(PRESENT);
    Ok(statement.get_result(&mut conn).await?)
}

/// Refuses to set a mark that only goes forward to what is still to come by the database's clock, whatever the machine's says
/// by now.
pub(super) async fn require_past(
    conn: Conn<'_>,
    held_by: HeldBy,
    instant: DateTime<Utc>,
    what: &'static str,
) -> Result<(), StoreError> {
    if held_by == HeldBy::Itself {
        return Ok(());
    }
    let present = present(conn).await?;
    if instant.signed_duration_since(present) <= SKEW_MAX {
        return Ok(());
    }
    metrics::counter!("abacus_marks_refused_total", "mark" => what).increment(1);
    Err(StoreError::WrongClock(format!(
        "{what} would go up to {instant}, and it is {present} by the database's clock"
    )))
}

/// How far the machine's clock is ahead of the database's, and what that says.
pub async fn machine_ahead(mut conn: Conn<'_>) -> Result<(TimeDelta, DateTime<Utc>), StoreError> {
    let asked = AskedAt::now();
    let database = Statement::<Timestamptz>::new("SELECT clock_timestamp()").get_result(&mut conn).await?;
    Ok((ahead(asked.0, wall(), database), database))
}

/// How far the machine's clock is ahead, at least: the database's was read at some time between.
fn ahead(before: DateTime<Utc>, after: DateTime<Utc>, database: DateTime<Utc>) -> TimeDelta {
    if database < before {
        before.signed_duration_since(database)
    } else if database > after {
        after.signed_duration_since(database)
    } else {
        TimeDelta::zero()
    }
}

fn told(ahead: TimeDelta) -> String {
    let way = if ahead < TimeDelta::zero() { "behind" } else { "ahead of" };
    format!("this machine's clock is {} {way} the database's", length(ahead))
}

/// A length of time in words, without its sign.
pub fn length(of: TimeDelta) -> String {
    let apart = of.abs();
    let (count, unit) = match apart.num_seconds() {
        ..=119 => (apart.num_seconds(), "seconds"),
        120..=7_199 => (apart.num_minutes(), "minutes"),
        7_200..=172_799 => (apart.num_hours(), "hours"),
        _ => (apart.num_days(), "days"),
    };
    format!("{count} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_right_as_long_as_the_answer_fits_between() {
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        for (before, after, database, expected) in [
            (0, 1, 0, 0),
            (0, 30, 15, 0),
            (10, 11, 7, 3),
            (10, 11, 20, -9),
            (3_456_000, 3_456_001, 0, 3_456_000),
        ] {
            let ahead = ahead(at(before), at(after), at(database));
            assert_eq!(ahead.num_seconds(), expected, "{before} {after} {database}");
        }
        for (ahead, expected) in [
            (TimeDelta::days(40), "40 days ahead of"),
            (TimeDelta::minutes(-61), "61 minutes behind"),
            (TimeDelta::hours(5), "5 hours ahead of"),
            (TimeDelta::seconds(-9), "9 seconds behind"),
        ] {
            assert_eq!(told(ahead), format!("this machine's clock is {expected} the database's"));
        }
    }
}
