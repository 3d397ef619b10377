//! Usage that came when its month was over: the month is looked at again, and what has changed is billed.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use futures_util::future::join_all;

use super::super::JobContext;
use super::super::pass::{Pass, Permit};
use super::AGAIN_AFTER;
use super::plan::no_such_month;
use super::rate::{ToRate, rate_months};
use super::run::{NotClosed, close};
use crate::domain::account::Account;
use crate::domain::closing::{Month, closed_until, left_open, next_to_close};
use crate::domain::ids::AccountId;
use crate::domain::usage::HOUR;
use crate::store::billing_runs::{self, ZoneRuns};
use crate::store::error::StoreError;
use crate::store::late_usage::{self, LateDay};
use crate::store::month_usage::usage_versions;
use crate::store::{Conn, accounts, closings};

/// Days that are looked at together.
const PAGE: i64 = 128;

/// Looks at everything that was reported late by now.
pub async fn late_pass(jobs: &JobContext, permit: &Permit<'_>) -> Result<Pass, StoreError> {
    let mut done = Pass::default();
    let mut after: Option<LateDay> = None;
    while permit.goes_on(jobs).await? {
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
    Failed,
}

/// The months that days are of.
#[derive(Default)]
struct Months {
    /// With the version of the usage that was billed, where it was.
    wanted: BTreeMap<(AccountId, Month), (ToRate, Option<i64>)>,
    of_days: Vec<(LateDay, Vec<(AccountId, Month)>)>,
    /// Days whose months are being closed, or whose earlier ones have to be closed first.
    again: Vec<LateDay>,
}

async fn look_at(jobs: &JobContext, days: &[LateDay], pass: &mut Pass) -> Result<(), StoreError> {
    let months = months_of(jobs, days).await?;
    let wanted = without_unchanged(jobs, months.wanted).await?;
    let rated = rate_months(jobs, wanted.clone()).await?;
    let looking = wanted
        .into_iter()
        .zip(rated)
        .map(async |(wanted, rated)| ((wanted.account.id, wanted.month), close(jobs, wanted, rated).await));
    let mut looked: BTreeMap<(AccountId, Month), Looked> = BTreeMap::new();
    for (key, closed) in join_all(looking).await {
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
            Err(NotClosed::Failed(..)) => Looked::Failed,
        };
        looked.insert(key, outcome);
    }
    let mut done = Vec::new();
    let mut failed = Vec::new();
    for (late, months_of_day) in months.of_days {
        let is = |outcome| months_of_day.iter().any(|month| looked.get(month) == Some(&outcome));
        if is(Looked::Failed) {
            failed.push(late);
        } else if is(Looked::Again) || months.again.contains(&late) {
            pass.undone = pass.undone.saturating_add(1);
        } else {
            done.push(late);
        }
    }
    settle(jobs, &done, &failed).await
}

/// Leaves out months whose usage is what was billed.
async fn without_unchanged(
    jobs: &JobContext,
    wanted: BTreeMap<(AccountId, Month), (ToRate, Option<i64>)>,
) -> Result<Vec<ToRate>, StoreError> {
    let billed: Vec<(AccountId, Month)> =
        wanted.iter().filter(|(_, (_, version))| version.is_some()).map(|(key, _)| *key).collect();
    let versions = loop {
        let (conn, was_used) = jobs.readers.take(&jobs.database).await?;
        match usage_versions(&conn, &billed).await {
            Ok(versions) => {
                jobs.readers.give_back(conn);
                break versions;
            }
            // Its connection may have been lost since.
            Err(_) if was_used => {}
            Err(error) => return Err(error),
        }
    };
    let now: BTreeMap<(AccountId, Month), i64> = billed.into_iter().zip(versions).collect();
    let changed = wanted
        .into_iter()
        .filter(|(key, (_, version))| version.is_none() || now.get(key) != version.as_ref());
    Ok(changed.map(|(_, (wanted, _))| wanted).collect())
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
                let (wanted, version) = match month_at(&conn, account, at, zone).await? {
                    At::Month(wanted, version) => (wanted, version),
                    At::NotOver => break,
                    At::BeingClosed => {
                        months.again.push(*late);
                        break;
                    }
                };
                let month = wanted.month;
                of_day.push((account.id, month));
                months.wanted.insert((account.id, month), (wanted, version));
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
    /// A month, with the version of its usage that was billed, where it was; where earlier ones have not been closed, the
    /// first of those.
    Month(ToRate, Option<i64>),
    /// Its run will look at it.
    NotOver,
    /// Its run is looking at it.
    BeingClosed,
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
            Some(month) => At::Month(ToRate::first(Arc::clone(account), month), None),
        });
    }
    let around = closings::closed_around(conn, account.id, at).await?;
    if let Some(closed) = around.iter().find(|closed| closed.month.holds(at)) {
        return Ok(At::Month(ToRate::again(Arc::clone(account), closed), Some(closed.usage_version)));
    }
    let neighbours: Vec<Month> = around.iter().map(|closed| closed.month).collect();
    let mut month = left_open(at, account.time_zone, &neighbours).map_err(no_such_month)?;
    month.end = month.end.min(closed_until(account));
    Ok(At::Month(ToRate::first(Arc::clone(account), month), None))
}

/// Takes days off the list that are done with, and puts off those that failed.
async fn settle(jobs: &JobContext, done: &[LateDay], failed: &[LateDay]) -> Result<(), StoreError> {
    let conn = jobs.database.connection().await?;
    // Not in one transaction: each takes its locks in order, as those who note do, and both together would not. A day that is
    // not put off is looked at again.
    if !done.is_empty() {
        late_usage::late_done(&conn, done).await?;
    }
    if !failed.is_empty() {
        let due = jobs.clock.now().checked_add_signed(AGAIN_AFTER).unwrap_or_default();
        late_usage::late_put_off(&conn, failed, due).await?;
    }
    Ok(())
}
