//! Once a night, what payment providers say has moved is held against the ledger (docs/adr/0019): what no event told of is booked,
//! and what differs is told.

use std::collections::HashSet;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};

use super::{JobContext, LeaseGuard, Runs};
use crate::clock::wall;
use crate::domain::cell::CellNumber;
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::payment::Payment;
use crate::domain::reversal::Reversal;
use crate::payments::{CarryError, Looked, PaymentProvider};
use crate::store::cells::Cell;
use crate::store::database::Connection;
use crate::store::error::StoreError;
use crate::store::reconciliations::{self, Reconciled};
use crate::store::reversals;

/// When it begins, in UTC.
const AT_HOUR: u32 = 2;
/// What moved before the last time is looked at again so far back: a provider may come to list it late.
const OVERLAP: TimeDelta = TimeDelta::days(3);
/// What moved longer ago is not looked at, however long it could not be done.
const WINDOW_MAX: TimeDelta = TimeDelta::days(30);
/// What has just been paid here may not be listed there yet.
const SETTLING: TimeDelta = TimeDelta::hours(1);
/// Pages of a hundred movements.
const PAGES_MAX: usize = 1_000;
/// Rows that are read at a time.
const PAGE: i64 = 256;
/// Things that are asked for at once.
const AT_ONCE: usize = 8;

/// Why a provider's movements could not be held against the ledger. The next night covers them, too.
#[derive(Debug, thiserror::Error)]
enum Unheld {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Provider(#[from] CarryError),
    #[error("another does it, or the server stops")]
    Stopped,
    #[error("it has moved more than {PAGES_MAX} pages")]
    TooMany,
    #[error("{0} of its movements could not be looked at")]
    Unread(usize),
}

/// Holds the movements of every provider against the ledger whose night has come, once.
pub async fn reconciliation_pass(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    // A provider lists what has moved of all cells, and is asked once: in the home cell's night.
    if jobs.cell != CellNumber::HOME {
        return Ok(runs);
    }
    for provider in jobs.cashier.providers.that_tell_movements() {
        let now = jobs.clock.now();
        let held = begun(jobs, provider, now).await?;
        if held.next_at > now || !guard.renew(jobs).await? {
            continue;
        }
        let seen_at = wall();
        let mut tally = Tally::default();
        let outcome = hold(jobs, guard, provider, held, now, &mut tally).await;
        runs.add(&tally.runs);
        let next_at = next_night(now);
        let reconciled = match &outcome {
            Ok(()) => Reconciled { next_at, held_until: seen_at, own_from: now },
            Err(Unheld::Stopped) => continue,
            Err(error) => {
                metrics::counter!("abacus_reconciliation_failures_total").increment(1);
                tracing::error!(provider = provider.name(), %error,
                    "what a provider has moved could not be held against the ledger; it is tried again the next night");
                Reconciled { next_at, ..held }
            }
        };
        let conn = connection(jobs).await?;
        reconciliations::set_reconciled(&conn, jobs.clock.held_by(), provider.name(), reconciled).await?;
        drop(conn);
        runs.count(JobOutcome { kind: JobKind::Reconciliation, succeeded: outcome.is_ok() });
    }
    Ok(runs)
}

/// When that is done next, after `seen`.
pub async fn next_due(jobs: &JobContext, seen: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
    let mut next = None;
    if jobs.cell != CellNumber::HOME {
        return Ok(next);
    }
    for provider in jobs.cashier.providers.that_tell_movements() {
        let at = begun(jobs, provider, seen).await?.next_at;
        next = next.into_iter().chain(Some(at).filter(|at| *at > seen)).min();
    }
    Ok(next)
}

async fn connection(jobs: &JobContext) -> Result<Connection, StoreError> {
    jobs.database.connection().await
}

/// How far it was done. It begins with the next night.
async fn begun(
    jobs: &JobContext,
    provider: &dyn PaymentProvider,
    now: DateTime<Utc>,
) -> Result<Reconciled, StoreError> {
    let conn = connection(jobs).await?;
    if let Some(held) = reconciliations::reconciled(&conn, provider.name()).await? {
        return Ok(held);
    }
    let first = Reconciled { next_at: next_night(now), held_until: wall(), own_from: now };
    reconciliations::set_reconciled(&conn, jobs.clock.held_by(), provider.name(), first).await?;
    Ok(first)
}

fn next_night(now: DateTime<Utc>) -> DateTime<Utc> {
    let hour = NaiveTime::from_hms_opt(AT_HOUR, 0, 0).unwrap_or_default();
    let today = now.date_naive().and_time(hour).and_utc();
    if today > now { today } else { today.checked_add_signed(TimeDelta::days(1)).unwrap_or(today) }
}

async fn hold(
    jobs: &JobContext,
    guard: &LeaseGuard<'_>,
    provider: &dyn PaymentProvider,
    held: Reconciled,
    now: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<(), Unheld> {
    let seen = hold_moved(jobs, guard, provider, since(held), tally).await?;
    for cell in jobs.cells.all() {
        look_at_open(jobs, cell, guard, provider, tally).await?;
        confirm_own(jobs, cell, guard, provider, (held.own_from, now), &seen, tally).await?;
    }
    if tally.unread > 0 { Err(Unheld::Unread(tally.unread)) } else { Ok(()) }
}

fn since(held: Reconciled) -> DateTime<Utc> {
    before(held.held_until, OVERLAP).max(before(wall(), WINDOW_MAX))
}

fn before(instant: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    instant.checked_sub_signed(by).unwrap_or(instant)
}

/// What was booked, and how much could not be looked at.
#[derive(Default)]
struct Tally {
    runs: Runs,
    unread: usize,
}

impl Tally {
    fn count(&mut self, what: &str, looked: Result<Looked, CarryError>) {
        match looked {
            Ok(Looked::Taken(done)) => done.into_iter().for_each(|done| self.runs.count(done)),
            Ok(Looked::Foreign | Looked::Unmatched) => {}
            Err(error) => {
                self.unread = self.unread.saturating_add(1);
                metrics::counter!("abacus_job_errors_total").increment(1);
                tracing::error!(%what, %error, "what a provider has moved could not be looked at");
            }
        }
    }
}

/// Everything that has moved there; answers the names of all of it.
async fn hold_moved(
    jobs: &JobContext,
    guard: &LeaseGuard<'_>,
    provider: &dyn PaymentProvider,
    since: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<HashSet<String>, Unheld> {
    let mut seen = HashSet::new();
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        require(guard, jobs).await?;
        let page = provider.moved(since, after.as_deref()).await.map_err(CarryError::from)?;
        let mut new = Vec::new();
        for moved in page.moved {
            let charge = moved.found.as_ref().map(|found| found.reference.clone());
            seen.extend(charge);
            if seen.insert(moved.reference.clone()) {
                new.push(moved);
            }
        }
        let holding = new.into_iter().map(|moved| async move {
            let looked = jobs.cashier.hold_against(provider, &moved).await;
            (moved.reference, looked)
        });
        let held: Vec<_> = stream::iter(holding).buffer_unordered(AT_ONCE).collect().await;
        held.into_iter().for_each(|(what, looked)| tally.count(&what, looked));
        after = page.next;
        if after.is_none() {
            return Ok(seen);
        }
    }
    Err(Unheld::TooMany)
}

/// What something may still become of, whatever was told of it.
async fn look_at_open(
    jobs: &JobContext,
    cell: &Cell,
    guard: &LeaseGuard<'_>,
    provider: &dyn PaymentProvider,
    tally: &mut Tally,
) -> Result<(), Unheld> {
    let mut after: Option<Reversal> = None;
    loop {
        require(guard, jobs).await?;
        let open = reversals::reversals_to_look_at(&*cell.database.connection().await?, after.as_ref(), PAGE)
            .await?;
        let Some(last) = open.last().cloned() else { return Ok(()) };
        after = Some(last);
        let own = open.into_iter().filter(|open| open.told.provider == provider.name());
        let looking = own.map(|open| async move {
            let (kind, name) = (open.told.kind.into(), open.told.reference);
            let looked = jobs.cashier.look_at_reversal(provider.name(), kind, &name).await;
            (name, looked)
        });
        let looked: Vec<_> = stream::iter(looking).buffer_unordered(AT_ONCE).collect().await;
        looked.into_iter().for_each(|(what, looked)| tally.count(&what, looked));
    }
}

/// What has succeeded here, and was not listed there.
async fn confirm_own(
    jobs: &JobContext,
    cell: &Cell,
    guard: &LeaseGuard<'_>,
    provider: &dyn PaymentProvider,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    seen: &HashSet<String>,
    tally: &mut Tally,
) -> Result<(), Unheld> {
    let window = (before(from, TimeDelta::days(1)), before(to, SETTLING));
    let mut after = None;
    loop {
        require(guard, jobs).await?;
        let conn = cell.database.connection().await?;
        let made = reconciliations::payments_made(&conn, provider.name(), window, after, PAGE).await?;
        drop(conn);
        let Some(last) = made.last() else { return Ok(()) };
        after = Some(last.id);
        let is_unseen =
            |payment: &Payment| !payment.reference.as_ref().is_some_and(|reference| seen.contains(reference));
        let asking = made.into_iter().filter(is_unseen).map(|payment| async move {
            let looked = jobs.cashier.confirm(&payment).await;
            (payment.id.to_string(), looked)
        });
        let asked: Vec<_> = stream::iter(asking).buffer_unordered(AT_ONCE).collect().await;
        asked.into_iter().for_each(|(what, looked)| tally.count(&what, looked));
    }
}

async fn require(guard: &LeaseGuard<'_>, jobs: &JobContext) -> Result<(), Unheld> {
    if guard.renew(jobs).await? { Ok(()) } else { Err(Unheld::Stopped) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_is_followed_by_the_next() {
        let night = |now: &str| next_night(now.parse().unwrap()).to_rfc3339();
        assert_eq!(night("2026-03-01T01:59:59Z"), "2026-03-01T02:00:00+00:00");
        assert_eq!(night("2026-03-01T02:00:00Z"), "2026-03-02T02:00:00+00:00");
        assert_eq!(night("2026-02-28T23:00:00Z"), "2026-03-01T02:00:00+00:00");
    }
}
