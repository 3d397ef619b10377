//! A run's accounts, page by page.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::super::{JobContext, Runs};
use super::rate::{ToRate, Unrated, rate_months};
use super::{AGAIN_AFTER, last_day, submit, tell_failure, tell_unrated};
use crate::domain::account::Account;
use crate::domain::billing_run::BillingRun;
use crate::domain::closing::{Month, RatedMonth, next_to_close};
use crate::domain::decide::{Action, CloseMonth};
use crate::domain::ids::AccountId;
use crate::domain::outcome::Executed;
use crate::engine::EngineError;
use crate::store::billing_runs;
use crate::store::error::StoreError;
use crate::store::usage::late_usage;

/// Accounts of one page.
const PAGE: i64 = 256;
/// Pages that are under way at once: while one is written, another is read.
const WORKERS: usize = 3;
/// Runs that are looked at in one pass; more wait for the next.
const RUNS: i64 = 100;
/// More than there are time zones.
const ZONES_MAX: i64 = 1_000;

/// Closes months of accounts until nothing is left to be handed out, or the server stops. Any number of servers may do so at
/// once. With a `period`, months after it wait. Answers what was done.
pub async fn run_pass(
    jobs: &JobContext,
    period: Option<NaiveDate>,
    stopping: Option<&CancellationToken>,
) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    let conn = jobs.database.connection().await?;
    let under_way = billing_runs::runs_under_way(&conn, RUNS).await?;
    drop(conn);
    // Where a sandbox's clock was moved by another server, this one's may still be behind.
    let is_over = |run: &BillingRun| run.month.closes_at() <= jobs.clock.now();
    let is_wanted = |run: &BillingRun| period.is_none_or(|period| run.period <= period) && is_over(run);
    for run in under_way.into_iter().filter(is_wanted) {
        // One that fails does not cut short what the others are at.
        let workers = join_all((0..WORKERS).map(|_| work(jobs, &run, stopping))).await;
        for done in workers {
            runs.add(&done?);
        }
        show_progress(jobs, &run).await?;
    }
    Ok(runs)
}

async fn work(
    jobs: &JobContext,
    run: &BillingRun,
    stopping: Option<&CancellationToken>,
) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    while !stopping.is_some_and(CancellationToken::is_cancelled) {
        let mut conn = jobs.database.connection().await?;
        let (held_by, now) = (jobs.clock.held_by(), jobs.clock.now());
        let Some(page) = billing_runs::page_take(&mut conn, held_by, run, PAGE, now).await? else {
            break;
        };
        let mut accounts = billing_runs::page_accounts(&conn, run, page).await?;
        drop(conn);
        accounts.retain(|account| jobs.is_of(account.id));
        let looked_at = i64::try_from(accounts.len()).unwrap_or(i64::MAX);
        let failed = close_all(jobs, run, accounts, &mut runs).await?;
        let mut conn = jobs.database.connection().await?;
        billing_runs::page_done(&mut conn, run, page, looked_at, failed).await?;
        drop(conn);
        show_progress(jobs, run).await?;
        metrics::counter!("abacus_accounts_closed_total", "period" => run.period.to_string(),
            "zone" => run.time_zone.name())
        .increment(u64::try_from(looked_at).unwrap_or(0));
    }
    Ok(runs)
}

/// Closes every month of the accounts that ended with the run's; answers of how many accounts that failed.
async fn close_all(
    jobs: &JobContext,
    run: &BillingRun,
    accounts: Vec<Account>,
    runs: &mut Runs,
) -> Result<i64, StoreError> {
    let mut left: Vec<Arc<Account>> = accounts.into_iter().map(Arc::new).collect();
    let mut failed: Vec<(AccountId, Month)> = Vec::new();
    loop {
        let wanted = first_open_months(&left, run);
        if wanted.is_empty() {
            break;
        }
        let rated = rate_months(jobs, wanted.clone()).await?;
        let closing = wanted.into_iter().zip(rated).map(|(wanted, rated)| close(jobs, wanted, rated));
        left.clear();
        for closed in join_all(closing).await {
            match closed {
                Ok(closed) => {
                    runs.add(&closed.runs);
                    left.extend(closed.account);
                }
                Err(NotClosed::Failed(account, month)) => failed.push((account, month)),
                // The page is handed out again.
                Err(NotClosed::Later(error)) => return Err(StoreError::Unavailable(error.to_string())),
            }
        }
    }
    leave_for_later(jobs, &failed).await?;
    Ok(i64::try_from(failed.len()).unwrap_or(i64::MAX))
}

fn first_open_months(accounts: &[Arc<Account>], run: &BillingRun) -> Vec<ToRate> {
    let open = accounts.iter().filter_map(|account| {
        let month = next_to_close(account, run.month.end).ok().flatten()?;
        Some(ToRate::first(Arc::clone(account), month))
    });
    open.collect()
}

/// What became of a month that was sent to the engine.
#[derive(Debug, Default)]
pub(super) struct Closed {
    /// The account after it.
    account: Option<Arc<Account>>,
    pub runs: Runs,
    /// It was closed or corrected by another meanwhile; this did nothing.
    pub is_stale: bool,
}

/// Why a month was not closed.
#[derive(Debug)]
pub(super) enum NotClosed {
    /// The database or the engine could not take it on: to be asked again.
    Later(EngineError),
    /// It cannot be rated or billed as it is; that has been told.
    Failed(AccountId, Month),
}

/// Closes or corrects a month.
pub(super) async fn close(
    jobs: &JobContext,
    wanted: ToRate,
    rated: Result<RatedMonth, Unrated>,
) -> Result<Closed, NotClosed> {
    let (account, month) = (wanted.account.id, wanted.month);
    match &rated {
        Ok(rated) => tell_unrated(account, rated),
        Err(error) => tracing::error!(%account, ?error, "a month could not be rated"),
    }
    let outcome = match rated {
        Err(why) => Err(why.to_string()),
        Ok(rated) => match submit(jobs, account, Action::CloseMonth(CloseMonth(Arc::new(rated)))).await {
            Err(error) if error.is_of_the_moment() => {
                return Err(NotClosed::Later(error));
            }
            closed => closed.map_err(|error| error.to_string()),
        },
    };
    let is_closed = |outcome: &Executed| outcome.account.closed_until.is_some_and(|until| until >= month.end);
    let why = match outcome {
        Ok(outcome) if is_closed(&outcome) => {
            let mut runs = Runs::default();
            // A month in which nothing was used is no job that did something.
            if outcome.made.bill.is_some() || wanted.revision > 0 {
                outcome.made.jobs.iter().for_each(|done| runs.count(*done));
            }
            return Ok(Closed {
                account: Some(outcome.account),
                runs,
                is_stale: outcome.made.jobs.is_empty(),
            });
        }
        Ok(_) => "another has billed a part of it".to_owned(),
        Err(why) => why,
    };
    tell_failure(jobs, account, wanted.period, &why).await;
    Err(NotClosed::Failed(account, month))
}

/// What could not be closed is not held up by, and does not hold up, its run.
async fn leave_for_later(jobs: &JobContext, failed: &[(AccountId, Month)]) -> Result<(), StoreError> {
    if failed.is_empty() {
        return Ok(());
    }
    let days: BTreeSet<_> = failed.iter().map(|(account, month)| (*account, last_day(*month))).collect();
    let now = jobs.clock.now();
    let due = now.checked_add_signed(AGAIN_AFTER).unwrap_or(now);
    late_usage::record_late(&*jobs.database.connection().await?, &days, due).await
}

/// How many runs are not done.
pub async fn runs_under_way(jobs: &JobContext) -> Result<usize, StoreError> {
    let conn = jobs.database.connection().await?;
    Ok(billing_runs::runs_under_way(&conn, RUNS).await?.len())
}

/// The runs that close a month.
pub async fn runs_of(jobs: &JobContext, period: NaiveDate) -> Result<Vec<BillingRun>, StoreError> {
    let conn = jobs.database.connection().await?;
    billing_runs::runs(&conn, Some(period), ZONES_MAX).await
}

/// Says in the metrics how far a run has come.
async fn show_progress(jobs: &JobContext, run: &BillingRun) -> Result<(), StoreError> {
    let now = runs_of(jobs, run.period).await?;
    for run in now.iter().filter(|now| now.time_zone == run.time_zone) {
        let mut labels = vec![("period", run.period.to_string()), ("zone", run.time_zone.name().to_owned())];
        if jobs.cells.are_several() {
            labels.push(("cell", jobs.cell.to_string()));
        }
        let count = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        metrics::gauge!("abacus_billing_run_done", &labels).set(count(run.done));
        metrics::gauge!("abacus_billing_run_total", &labels).set(count(run.total));
    }
    Ok(())
}
