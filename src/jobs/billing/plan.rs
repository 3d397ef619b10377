//! Which runs are to be begun, and when.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::super::JobContext;
use crate::domain::closing::Month;
use crate::domain::money::OutOfRange;
use crate::domain::period::midnight;
use crate::store::Conn;
use crate::store::accounts::account_zones;
use crate::store::billing_runs::{self, ZoneRuns};
use crate::store::error::StoreError;
use crate::store::usage::late_usage;

/// A server that has been away begins at most so many months of a zone at once.
const MONTHS_MAX: usize = 120;
/// A zone that only servers of before know of is found within this time.
const ZONES_FOUND_EVERY: Duration = Duration::from_secs(3_600);

/// The next month of each zone that no run was begun for.
async fn next_months(jobs: &JobContext) -> Result<Vec<(Tz, Month)>, StoreError> {
    let conn = jobs.database.connection().await?;
    find_zones(jobs, &conn).await?;
    let mut months = Vec::new();
    for ZoneRuns { time_zone, until, .. } in billing_runs::zones(&conn).await? {
        let from = match until {
            Some(until) => Some(until),
            None => first_account_of(jobs, &conn, time_zone).await?,
        };
        if let Some(from) = from {
            months.push((time_zone, Month::of(from, time_zone).map_err(no_such_month)?));
        }
    }
    Ok(months)
}

/// Accounts are looked through for zones that servers of before have not noted, now and then.
async fn find_zones(jobs: &JobContext, conn: Conn<'_>) -> Result<(), StoreError> {
    let found = || jobs.zones_found.lock().unwrap_or_else(PoisonError::into_inner);
    if found().is_some_and(|at| at.elapsed() < ZONES_FOUND_EVERY) {
        return Ok(());
    }
    account_zones::zones_find(conn).await?;
    *found() = Some(Instant::now());
    Ok(())
}

/// Asked again and again until the zone's first run, and read once: accounts that come later begin later.
async fn first_account_of(
    jobs: &JobContext,
    conn: Conn<'_>,
    zone: Tz,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    if let Some(known) = jobs.first_accounts.get(&zone) {
        return Ok(Some(known));
    }
    let first = billing_runs::first_account_of(conn, zone).await?;
    if let Some(first) = first {
        jobs.first_accounts.insert(zone, first);
    }
    Ok(first)
}

pub(super) fn no_such_month(error: OutOfRange) -> StoreError {
    StoreError::Corrupt(format!("a month: {error}"))
}

/// Begins the runs of all months that are over, up to and including the one of `period` if there is one.
pub async fn begin_runs(jobs: &JobContext, period: Option<NaiveDate>) -> Result<(), StoreError> {
    let now = jobs.clock.now();
    for (zone, mut month) in next_months(jobs).await? {
        let is_wanted = |month: &Month| period.is_none_or(|period| month.period(zone) <= period);
        for _ in 0..MONTHS_MAX {
            if month.closes_at() > now || !is_wanted(&month) {
                break;
            }
            begin(jobs, zone, month, now).await?;
            month = Month::of(month.end, zone).map_err(no_such_month)?;
        }
    }
    Ok(())
}

async fn begin(jobs: &JobContext, zone: Tz, month: Month, now: DateTime<Utc>) -> Result<(), StoreError> {
    let conn = jobs.database.connection().await?;
    late_usage::horizon_move(&conn, jobs.clock.held_by(), month.end).await?;
    late_usage::wait_for_recorders(&conn).await?;
    billing_runs::run_begin(&conn, jobs.clock.held_by(), month.period(zone), zone, month, now).await?;
    tracing::info!(period = %month.period(zone), %zone, "a month is being closed");
    Ok(())
}

/// When the next run begins, after `now`.
pub async fn next_begin(jobs: &JobContext, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
    let begins = next_months(jobs).await?.into_iter().map(|(_, month)| month.closes_at());
    Ok(begins.filter(|begin| *begin > now).min())
}

/// Why the runs of a month cannot be begun.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PlanError {
    #[error("the month that begins on {period} is not over in {zone}: it is closed from {at} on")]
    NotOver { period: NaiveDate, zone: Tz, at: DateTime<Utc> },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Begins the runs of a month, and those before it, in all zones; an error if it is not over in one of them.
pub async fn begin_period(jobs: &JobContext, period: NaiveDate) -> Result<(), PlanError> {
    let now = jobs.clock.now();
    for (zone, next) in next_months(jobs).await? {
        if next.period(zone) > period {
            continue;
        }
        let start = midnight(period, zone).ok_or(OutOfRange);
        let month = start.and_then(|start| Month::of(start, zone)).map_err(no_such_month)?;
        let at = month.closes_at();
        if at > now {
            return Err(PlanError::NotOver { period, zone, at });
        }
    }
    Ok(begin_runs(jobs, Some(period)).await?)
}
