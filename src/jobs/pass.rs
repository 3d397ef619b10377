//! One pass over everything that is due.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::JobContext;
use crate::domain::command::Command;
use crate::domain::decide::{Action, BillStep, EndHold, ExpireApproval, OrderStep};
use crate::domain::ids::{AccountId, ApprovalId, BillId, OrderId, OwnedId};
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::outcome::Done;
use crate::engine::{EngineError, Priority};
use crate::store::error::StoreError;
use crate::store::leases::{self, Lease};
use crate::store::list::DuePage;
use crate::store::{accounts, approvals, bills, orders};

/// Steps that are under way at once: what one page reads.
const PAGE: i64 = 256;

/// So often a pass has money pay as many bills of an account as it does at once, before it sees to others.
const BILL_ROUNDS: u32 = 20;

/// How many jobs of each kind were done, and how many could not do what they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs(pub BTreeMap<JobKind, Counts>);

/// The jobs of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub ran: i32,
    pub failed: i32,
}

impl Runs {
    pub(super) fn count(&mut self, done: JobOutcome) {
        let counts = self.0.entry(done.kind).or_default();
        let outcome = if done.succeeded { "done" } else { "failed" };
        let count = if done.succeeded { &mut counts.ran } else { &mut counts.failed };
        *count = count.saturating_add(1);
        metrics::counter!("abacus_jobs_total", "kind" => done.kind.code(), "outcome" => outcome).increment(1);
    }

    pub fn add(&mut self, other: &Self) {
        for (kind, more) in &other.0 {
            let counts = self.0.entry(*kind).or_default();
            counts.ran = counts.ran.saturating_add(more.ran);
            counts.failed = counts.failed.saturating_add(more.failed);
        }
    }
}

/// What a pass came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pass {
    pub runs: Runs,
    /// Steps that could not be carried out now, and can be later. They stay due.
    pub undone: usize,
    /// Whether money was about to pay more bills than it does in a pass; the next one goes on.
    pub goes_on: bool,
}

/// What a pass asks before each of its pages.
pub enum LeaseGuard<'p> {
    Always,
    /// As long as this process holds a lease and is not told to stop.
    Leased {
        lease: Lease,
        stopping: &'p CancellationToken,
    },
}

impl LeaseGuard<'_> {
    /// Whether the pass goes on: its lease is renewed, and nobody has told it to stop.
    pub(super) async fn renew(&self, jobs: &JobContext) -> Result<bool, StoreError> {
        match self {
            Self::Always => Ok(true),
            Self::Leased { stopping, .. } if stopping.is_cancelled() => Ok(false),
            Self::Leased { lease, .. } => {
                let conn = jobs.database.connection().await?;
                leases::lease_take(&conn, *lease, &jobs.holder, lease.seconds(jobs.lease_seconds)).await
            }
        }
    }
}

/// Has everything done that is due by now, once. What the engine could not do is left for the next pass.
pub async fn pass(jobs: &JobContext, guard: LeaseGuard<'_>) -> Result<Pass, StoreError> {
    let mut done = Pass::default();
    let mut after = None;
    while guard.renew(jobs).await? {
        let due = orders::order_due(&*jobs.database.connection().await?, &page(jobs, after)).await?;
        let step = |(order, due): &(OrderId, DateTime<Utc>)| {
            (order.account(), Action::OrderStep(OrderStep { order: *order, due: *due }))
        };
        have_done(jobs, due.iter().map(step), &mut done).await;
        match due.last() {
            Some((order, at)) if is_full(due.len()) => after = Some((*at, order.0)),
            _ => break,
        }
    }
    for _ in 0..BILL_ROUNDS {
        done.goes_on = false;
        bill_round(jobs, &guard, &mut done).await?;
        if !done.goes_on {
            break;
        }
    }
    let mut after = None;
    while guard.renew(jobs).await? {
        let conn = jobs.database.connection().await?;
        let due = accounts::account_hold_due(&conn, jobs.clock.now(), after, PAGE).await?;
        drop(conn);
        let step = |(account, due): &(AccountId, DateTime<Utc>)| (*account, Action::EndHold(EndHold(*due)));
        have_done(jobs, due.iter().map(step), &mut done).await;
        match due.last() {
            Some((account, at)) if is_full(due.len()) => after = Some((*at, *account)),
            _ => break,
        }
    }
    let mut after = None;
    while guard.renew(jobs).await? {
        let due = approvals::approval_due(&*jobs.database.connection().await?, &page(jobs, after)).await?;
        let step = |(approval, due): &(ApprovalId, DateTime<Utc>)| {
            (approval.account(), Action::ExpireApproval(ExpireApproval { approval: *approval, due: *due }))
        };
        have_done(jobs, due.iter().map(step), &mut done).await;
        match due.last() {
            Some((approval, at)) if is_full(due.len()) => after = Some((*at, approval.0)),
            _ => break,
        }
    }
    Ok(done)
}

/// Has everything done that is due of bills. Where money pays more of them than it does at once, `done` says that it goes on.
async fn bill_round(jobs: &JobContext, guard: &LeaseGuard<'_>, done: &mut Pass) -> Result<(), StoreError> {
    let mut after = None;
    while guard.renew(jobs).await? {
        let due = bills::bill_due(&*jobs.database.connection().await?, &page(jobs, after)).await?;
        let step = |(bill, due): &(BillId, DateTime<Utc>)| {
            (bill.account(), Action::BillStep(BillStep { bill: *bill, due: *due }))
        };
        have_done(jobs, due.iter().map(step), done).await;
        match due.last() {
            Some((bill, at)) if is_full(due.len()) => after = Some((*at, bill.0)),
            _ => break,
        }
    }
    Ok(())
}

/// The page of what is due that begins after another.
pub(super) fn page(jobs: &JobContext, after: Option<(DateTime<Utc>, OwnedId)>) -> DuePage {
    DuePage { now: jobs.clock.now(), after, limit: PAGE }
}

/// Whether there may be another page.
pub(super) fn is_full(rows: usize) -> bool {
    i64::try_from(rows).is_ok_and(|rows| rows >= PAGE)
}

async fn have_done(jobs: &JobContext, steps: impl Iterator<Item = (AccountId, Action)>, pass: &mut Pass) {
    let submitted = steps.map(|(account, action)| async move {
        let subject = subject_of(&action);
        let command = Command::by_itself(account, action);
        (subject, jobs.engine.submit(command, Priority::Background).await)
    });
    for (subject, outcome) in join_all(submitted).await {
        match outcome {
            Ok(Done::Executed(outcome)) => {
                pass.goes_on |= outcome.goes_on;
                outcome.made.jobs.into_iter().for_each(|done| pass.runs.count(done));
            }
            Ok(Done::Replayed(_) | Done::Awaits(_)) => {}
            Err(error) => {
                let is_refused = matches!(error, EngineError::Refused(_));
                pass.undone = pass.undone.saturating_add(usize::from(!is_refused));
                tell(&subject, &error);
            }
        }
    }
}

fn subject_of(action: &Action) -> String {
    match action {
        Action::OrderStep(step) => step.order.to_string(),
        Action::BillStep(step) => step.bill.to_string(),
        Action::ExpireApproval(step) => step.approval.to_string(),
        Action::EndHold(_) => "a suspension that was held off".to_owned(),
        _ => String::new(),
    }
}

/// A step that is not done stays due, and is tried with the next pass.
fn tell(subject: &str, error: &EngineError) {
    metrics::counter!("abacus_job_errors_total").increment(1);
    match error {
        EngineError::Overloaded => tracing::debug!(%subject, "a job waits: too much is going on"),
        error => tracing::error!(%subject, %error, "a job could not be carried out; it is tried again"),
    }
}
