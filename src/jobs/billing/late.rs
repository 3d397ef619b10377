//! Usage that came when its month was over: the month is looked at again, and what has changed is billed.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use futures_util::future::join_all;

use super::super::JobContext;
use super::super::pass::{LeaseGuard, Pass};
use super::AGAIN_AFTER;
use super::plan::no_such_month;
use super::rate::{ToRate, rate_months};
use super::run::{NotClosed, close};
use crate::domain::account::Account;
use crate::domain::closing::{ClosedMonth, Month, closed_until, left_open, next_to_close};
use crate::domain::ids::AccountId;
use crate::domain::usage::HOUR;
use crate::store::billing_runs::{self, ZoneRuns};
use crate::store::error::StoreError;
use crate::store::usage::late_usage::{self, LateDay};
use crate::store::usage::month_usage::usage_versions;
use crate::store::{Conn, accounts, closings};

/// Days that are looked at together.
const PAGE: i64 = 128;

/// Looks at everything that was reported late by now.
pub async fn late_pass(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Pass, StoreError> {
    let mut done = Pass::default();
    let mut after: Option<LateDay> = None;
    while guard.renew(jobs).await? {
        let conn = jobs.database.connection().await?;
        let days = late_usage::late_due(&conn, jobs.clock.now(), after.as_ref(), PAGE).await?;
        drop(conn);
        let full = i64::try_from(days.len()).is_ok_and(|found| found >= PAGE);
        look_at(jobs, &days, &mut done).await?;
        match days.last() {
            Some(last) if full => after = Some(*last),
            _ => break,
        }
    }
    Ok(done)
}

/// Why a day stays on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// Something else was done with it meanwhile, or has to be done first: to be looked at again at once.
    Again,
    /// It cannot be done, or what is left of it cannot be rated: to be looked at again a day later.
    Later,
}

/// A month that is to be looked at, with how it was closed, where it was.
struct Wanted {
    to_rate: ToRate,
    closed: Option<ClosedMonth>,
}

/// The months that days are of.
#[derive(Default)]
struct Months {
    wanted: BTreeMap<(AccountId, Month), Wanted>,
    of_days: Vec<(LateDay, Vec<(AccountId, Month)>)>,
    /// Days whose months are being closed, or whose earlier ones have to be closed first.
    again: Vec<LateDay>,
}

async fn look_at(jobs: &JobContext, days: &[LateDay], pass: &mut Pass) -> Result<(), StoreError> {
    let months = months_of(jobs, days).await?;
    let wanted = without_unchanged(jobs, months.wanted).await?;
    let looked = rate_again(jobs, wanted, pass).await?;
    let (mut done, mut later) = (Vec::new(), Vec::new());
    for (late, months_of_day) in months.of_days {
        let is = |outcome| months_of_day.iter().any(|month| looked.get(month) == Some(&outcome));
        if is(Looked::Later) {
            later.push(late);
        } else if is(Looked::Again) || months.again.contains(&late) {
            pass.undone = pass.undone.saturating_add(1);
        } else {
            done.push(late);
        }
    }
    settle(jobs, &done, &later).await
}

/// Rates months, and bills what has changed; answers which of them are not done with.
async fn rate_again(
    jobs: &JobContext,
    wanted: Vec<Wanted>,
    pass: &mut Pass,
) -> Result<BTreeMap<(AccountId, Month), Looked>, StoreError> {
    let to_rate = wanted.iter().map(|wanted| wanted.to_rate.clone()).collect();
    let rated = rate_months(jobs, to_rate).await?;
    let mut looked = BTreeMap::new();
    let mut closing = Vec::with_capacity(wanted.len());
    for (Wanted { to_rate, closed }, rated) in wanted.into_iter().zip(rated) {
        let key = (to_rate.account.id, to_rate.month);
        let is_still_unrated =
            |closed: &ClosedMonth| rated.as_ref().is_ok_and(|rated| rated.is_still_unrated(closed));
        if closed.as_ref().is_some_and(is_still_unrated) {
            looked.insert(key, Looked::Later);
        } else {
            closing.push(async move { (key, close(jobs, to_rate, rated).await) });
        }
    }
    for (key, closed) in join_all(closing).await {
        let outcome = match closed {
            Ok(closed) if closed.is_stale => Looked::Again,
            Ok(closed) => {
                pass.runs.add(&closed.runs);
                continue;
            }
            Err(NotClosed::Later(error)) => {
                tracing::warn!(%error, "a late month waits for the next look");
                Looked::Again
            }
            Err(NotClosed::Failed(..)) => Looked::Later,
        };
        looked.insert(key, outcome);
    }
    Ok(looked)
}

/// Leaves out months whose usage is what was billed, all of it.
async fn without_unchanged(
    jobs: &JobContext,
    wanted: BTreeMap<(AccountId, Month), Wanted>,
) -> Result<Vec<Wanted>, StoreError> {
    let billed: Vec<(AccountId, Month)> =
        wanted.iter().filter(|(_, wanted)| wanted.closed.is_some()).map(|(key, _)| *key).collect();
    let mut now: BTreeMap<(AccountId, Month), i64> = BTreeMap::new();
    for months in jobs.database.topology().group(billed) {
        let versions = versions_of(jobs, &months).await?;
        now.extend(months.into_iter().zip(versions));
    }
    let is_changed = |(key, wanted): &((AccountId, Month), Wanted)| {
        let is_as_billed =
            |closed: &ClosedMonth| closed.unrated.is_empty() && now.get(key) == Some(&closed.usage_version);
        !wanted.closed.as_ref().is_some_and(is_as_billed)
    };
    Ok(wanted.into_iter().filter(is_changed).map(|(_, wanted)| wanted).collect())
}

async fn versions_of(jobs: &JobContext, months: &[(AccountId, Month)]) -> Result<Vec<i64>, StoreError> {
    loop {
        let (conn, was_used) = jobs.readers.take(&jobs.database).await?;
        match usage_versions(&conn, months).await {
            Ok(versions) => {
                jobs.readers.give_back(conn);
                return Ok(versions);
            }
            // Its connection may have been lost since.
            Err(_) if was_used => {}
            Err(error) => return Err(error),
        }
    }
}

async fn months_of(jobs: &JobContext, days: &[LateDay]) -> Result<Months, StoreError> {
    let conn = jobs.database.connection().await?;
    let ids = days.iter().map(|late| late.account.0).collect();
    let accounts = accounts::account_by_ids(&conn, ids).await?;
    let accounts: BTreeMap<AccountId, Arc<Account>> =
        accounts.into_iter().map(|account| (account.id, Arc::new(account))).collect();
    let zones = billing_runs::zones(&conn).await?;
    let mut months = Months::default();
    for late in days {
        let mut of_day = Vec::new();
        if let Some(account) = accounts.get(&late.account) {
            let (mut at, end) = limits(late.day);
            let zone = zones.iter().find(|zone| zone.time_zone == account.time_zone);
            while at < end {
                let wanted = match month_at(&conn, account, at, zone).await? {
                    At::Month(wanted) => *wanted,
                    At::NotOver => break,
                    At::BeingClosed => {
                        months.again.push(*late);
                        break;
                    }
                };
                let month = wanted.to_rate.month;
                of_day.push((account.id, month));
                months.wanted.insert((account.id, month), wanted);
                if month.end <= at {
                    months.again.push(*late);
                    break;
                }
                at = month.end;
            }
        }
        months.of_days.push((*late, of_day));
    }
    Ok(months)
}

/// When usage of a day counts: what a gauge held at its end counts for an hour more.
fn limits(day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
    let start = day.and_time(NaiveTime::MIN).and_utc();
    let end = start.checked_add_signed(TimeDelta::days(1)).and_then(|end| end.checked_add_signed(HOUR));
    (start, end.unwrap_or(start))
}

/// What there is to look at again for what happened at an instant.
enum At {
    /// A month, with how it was closed, where it was; where earlier ones have not been closed, the first of those.
    Month(Box<Wanted>),
    /// Its run will look at it.
    NotOver,
    /// Its run is looking at it.
    BeingClosed,
}

impl At {
    /// A month that was never closed.
    fn first(account: &Arc<Account>, month: Month) -> Self {
        let to_rate = ToRate::first(Arc::clone(account), month);
        Self::Month(Box::new(Wanted { to_rate, closed: None }))
    }
}

/// A month that its run should have closed is closed here only after a run was begun for it, so that whoever records usage
/// knows. What lies before an account's first month is noted whenever it comes.
async fn month_at(
    conn: Conn<'_>,
    account: &Arc<Account>,
    at: DateTime<Utc>,
    zone: Option<&ZoneRuns>,
) -> Result<At, StoreError> {
    if at >= closed_until(account) {
        let begun = zone.and_then(|zone| zone.until).unwrap_or(DateTime::UNIX_EPOCH);
        return Ok(match next_to_close(account, begun).map_err(no_such_month)? {
            None => At::NotOver,
            Some(_) if zone.is_some_and(|zone| zone.is_running) => At::BeingClosed,
            Some(month) => At::first(account, month),
        });
    }
    let around = closings::closed_around(conn, account.id, at).await?;
    if let Some(closed) = around.iter().find(|closed| closed.month.holds(at)) {
        let to_rate = ToRate::again(Arc::clone(account), closed);
        return Ok(At::Month(Box::new(Wanted { to_rate, closed: Some(closed.clone()) })));
    }
    let neighbours: Vec<Month> = around.iter().map(|closed| closed.month).collect();
    let mut month = left_open(at, account.time_zone, &neighbours).map_err(no_such_month)?;
    month.end = month.end.min(closed_until(account));
    Ok(At::first(account, month))
}

/// Takes days off the list that are done with, and puts off those that are for later.
async fn settle(jobs: &JobContext, done: &[LateDay], later: &[LateDay]) -> Result<(), StoreError> {
    let conn = jobs.database.connection().await?;
    // Not in one transaction: each takes its locks in order, as those who note do, and both together would not. A day that is
    // not put off is looked at again.
    let places = jobs.database.topology();
    for done in places.group_of(done.to_vec(), |late| late.account) {
        late_usage::late_done(&conn, &done).await?;
    }
    let due = jobs.clock.now().checked_add_signed(AGAIN_AFTER).unwrap_or_default();
    for later in places.group_of(later.to_vec(), |late| late.account) {
        late_usage::late_put_off(&conn, &later, due).await?;
    }
    Ok(())
}
