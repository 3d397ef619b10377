//! The sandbox's clock is moved forward, and everything that falls due on the way is done, in order.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    CellJobs, JobContext, LeaseGuard, Runs, anchors, billing, burst, deposits, invoices, pass, payments,
    prepayments, reconciliation,
};
use crate::store::clock_check::require_right_clock;
use crate::store::error::StoreError;
use crate::store::leases::{self, Lease};

/// The clock moves at most so many days at once.
pub const ADVANCE_DAYS_MAX: i64 = 400;
const LEASE_SECONDS: i64 = 60;
/// The leases are renewed so often, however long what falls due at an instant takes.
const RENEWAL: Duration = Duration::from_secs(20);
/// What the engine could not take on is asked for again so often before the clock stays where it is.
const TRIES: u32 = 5;
/// What a server that is gone had taken on of a billing run is free for others by then.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(150);
/// What the runners hold, who stand aside meanwhile.
const SEIZED: [Lease; 7] = [
    Lease::Jobs,
    Lease::Burst,
    Lease::Payments,
    Lease::Deposits,
    Lease::Invoices,
    Lease::Reconciliation,
    Lease::Anchors,
];
const PAUSE_BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// Why the clock was not moved, or not as far as it was to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdvanceError {
    #[error("this clock cannot be moved")]
    Fixed,
    #[error("the clock is at {0} already")]
    Past(DateTime<Utc>),
    #[error("the clock moves at most {ADVANCE_DAYS_MAX} days at once")]
    TooFar,
    #[error("the clock is being moved by another")]
    UnderWay,
    #[error("{undone} jobs could not be carried out: the clock stays at {at}")]
    Unfinished { undone: usize, at: DateTime<Utc> },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Moves the clock to `to` in all cells, stopping at each instant on the way at which something falls due in any of them. When it fails
/// the clock stays where it has come to; moving it on does what is left.
pub async fn advance(cells: &CellJobs, to: DateTime<Utc>) -> Result<Runs, AdvanceError> {
    let home = cells.home();
    if !home.clock.is_movable() {
        return Err(AdvanceError::Fixed);
    }
    let holder = format!("{} advancing {}", home.holder, Uuid::new_v4());
    hold(cells, &holder).await?;
    let (is_over, over) = oneshot::channel();
    let moving = async {
        let moved = move_to(cells, &holder, to).await;
        drop(is_over);
        moved
    };
    let (moved, ()) = tokio::join!(moving, renew(cells, &holder, over));
    if let Err(error) = let_go(cells, &holder).await {
        tracing::warn!(%error, "the clock's lease was not given back; it ends by itself");
    }
    moved
}

/// Takes or keeps what keeps others from moving the clock: whoever has it in the home cell is first everywhere.
async fn hold(cells: &CellJobs, holder: &str) -> Result<(), AdvanceError> {
    for jobs in cells.all() {
        let conn = jobs.database.connection().await?;
        if !leases::lease_take(&conn, Lease::Clock, holder, LEASE_SECONDS).await? {
            return Err(AdvanceError::UnderWay);
        }
    }
    Ok(())
}

/// The runners stand aside, so that nothing is done before its turn.
async fn seize(cells: &CellJobs, holder: &str) -> Result<(), AdvanceError> {
    hold(cells, holder).await?;
    for jobs in cells.all() {
        let conn = jobs.database.connection().await?;
        for lease in SEIZED {
            leases::lease_seize(&conn, lease, holder, LEASE_SECONDS).await?;
        }
    }
    Ok(())
}

/// Keeps the leases until it is over. Whoever moves the clock finds by himself where one is lost.
async fn renew(cells: &CellJobs, holder: &str, mut over: oneshot::Receiver<Infallible>) {
    while tokio::time::timeout(RENEWAL, &mut over).await.is_err() {
        if let Err(error) = seize(cells, holder).await {
            tracing::warn!(%error, "the clock's leases were not renewed; it is tried again");
        }
    }
}

async fn let_go(cells: &CellJobs, holder: &str) -> Result<(), StoreError> {
    for jobs in cells.all() {
        let conn = jobs.database.connection().await?;
        for lease in SEIZED {
            leases::lease_end(&conn, lease, holder).await?;
        }
        leases::lease_end(&conn, Lease::Clock, holder).await?;
    }
    Ok(())
}

async fn move_to(cells: &CellJobs, holder: &str, to: DateTime<Utc>) -> Result<Runs, AdvanceError> {
    // Another server may have moved the clock since this one looked.
    for jobs in cells.all() {
        jobs.follow_clock().await?;
    }
    let now = cells.home().clock.now();
    if to < now {
        return Err(AdvanceError::Past(now));
    }
    if to.signed_duration_since(now) > TimeDelta::days(ADVANCE_DAYS_MAX) {
        return Err(AdvanceError::TooFar);
    }
    step_by_step(cells, holder, to).await
}

async fn step_by_step(cells: &CellJobs, holder: &str, to: DateTime<Utc>) -> Result<Runs, AdvanceError> {
    let clock = &cells.home().clock;
    let mut runs = Runs::default();
    loop {
        seize(cells, holder).await?;
        // A sandbox's clock runs on meanwhile: what falls due during the pass is the next stop.
        let seen = clock.now();
        let mut next = None;
        for jobs in cells.all() {
            do_all_due(jobs, &mut runs).await?;
        }
        for jobs in cells.all() {
            next = next.into_iter().chain(next_stop(jobs, seen).await?).min();
        }
        let stop = next.filter(|next| *next < to);
        if stop.is_none() && seen >= to {
            // The hours on the way have nothing that this one's anchor does not have.
            for jobs in cells.all() {
                runs.add(&anchors::anchor_pass(jobs, &LeaseGuard::Always).await?);
            }
            return Ok(runs);
        }
        let next = stop.unwrap_or(to);
        // Kept first: a clock that was moved and not kept would go back with the next start.
        if let Some(offset) = clock.offset_at(next) {
            for jobs in cells.all() {
                let conn = jobs.database.connection().await?;
                require_right_clock(&conn).await?;
                leases::set_clock_offset(&conn, offset).await?;
            }
        }
        clock.move_to(next);
    }
}

/// When anything falls due next in a cell.
async fn next_stop(jobs: &JobContext, seen: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
    let conn = jobs.database.connection().await?;
    let next = leases::next_due(&conn, seen).await?;
    drop(conn);
    let later = [
        next,
        billing::next_begin(jobs, seen).await?,
        burst::next_end(jobs, seen).await?,
        invoices::next_due(jobs, seen).await?,
        reconciliation::next_due(jobs, seen).await?,
    ];
    Ok(later.into_iter().flatten().min())
}

async fn do_all_due(jobs: &JobContext, runs: &mut Runs) -> Result<(), AdvanceError> {
    let mut tries = TRIES;
    loop {
        billing::begin_runs(jobs, None).await?;
        let done = pass(jobs, LeaseGuard::Always).await?;
        runs.add(&done.runs);
        if done.goes_on {
            continue;
        }
        // Before what waits for them is given up.
        runs.add(&deposits::deposit_pass(jobs, &LeaseGuard::Always).await?);
        runs.add(&prepayments::prepayment_pass(jobs, &LeaseGuard::Always).await?);
        runs.add(&payments::payment_pass(jobs, &LeaseGuard::Always).await?);
        runs.add(&reconciliation::reconciliation_pass(jobs, &LeaseGuard::Always).await?);
        runs.add(&burst::burst_pass(jobs, &LeaseGuard::Always).await?);
        let late = bill(jobs, runs).await?;
        runs.add(&invoices::invoice_pass(jobs, &LeaseGuard::Always).await?);
        tries = tries.saturating_sub(1);
        match done.undone.saturating_add(late) {
            0 => return Ok(()),
            undone if tries == 0 => {
                return Err(AdvanceError::Unfinished { undone, at: jobs.clock.now() });
            }
            _ => tokio::time::sleep(PAUSE_BETWEEN_TRIES).await,
        }
    }
}

/// Closes months, and waits for what other servers have taken on of them; answers how many late days are left.
async fn bill(jobs: &JobContext, runs: &mut Runs) -> Result<usize, AdvanceError> {
    let begin = Instant::now();
    loop {
        runs.add(&billing::run_pass(jobs, None, None).await?);
        let under_way = billing::runs_under_way(jobs).await?;
        if under_way == 0 {
            break;
        }
        if begin.elapsed() > WAIT_FOR_OTHERS {
            return Err(AdvanceError::Unfinished { undone: under_way, at: jobs.clock.now() });
        }
        tokio::time::sleep(PAUSE_BETWEEN_TRIES).await;
    }
    let late = billing::late_pass(jobs, &LeaseGuard::Always).await?;
    runs.add(&late.runs);
    Ok(late.undone)
}
