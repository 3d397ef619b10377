//! Runs what is due, again and again, as long as the server runs.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::{
    JobContext, LeaseGuard, Runs, anchors, billing, burst, deposits, erasures, invoices, ledger_check, pass,
    payments, prepayments, reconciliation, retention,
};
use crate::domain::cell::CellNumber;
use crate::store::cells::catalogue;
use crate::store::clock_check::require_right_clock;
use crate::store::error::StoreError;
use crate::store::leases::{self, Lease};
use crate::store::{keys, operator_moves};

/// Between two looks at what is due.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at the chain, which has a block every 12 seconds; nodes count how often they are asked.
const CHAIN_PAUSE: Duration = Duration::from_secs(4);
/// Between two looks whether it is night.
const NIGHT_PAUSE: Duration = Duration::from_secs(20);
/// Between two looks at what has been kept long enough.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);
/// Between two looks whether an hour's anchor is due; one that cannot be made is tried again so much later.
const ANCHOR_PAUSE: Duration = Duration::from_secs(5 * 60);
/// Between two looks at what has been kept for years.
const RETENTION_PAUSE: Duration = Duration::from_secs(60 * 60);
/// The check of the ledgers, and what takes long, is nothing to begin a server's life with.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// After the database could not be asked.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// A pass that is under way when the server stops is waited for so long.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// A running runner. If it is gone without a word it stops, too.
pub struct Runner {
    stop: DropGuard,
    running: TaskTracker,
}

impl Runner {
    /// Starts. Of a sandbox it also follows the clock; with `run_jobs` it runs what is due, and beside that closes months,
    /// charges burst, issues invoices, asks payment providers, looks for deposits, holds providers' movements against the
    /// ledger and anchors that: they may take long, and nothing else waits for them.
    pub fn start(jobs: JobContext, run_jobs: bool) -> Self {
        let (stopping, running) = (CancellationToken::new(), TaskTracker::new());
        let duties: &[Duty] = if run_jobs { &Duty::ALL } else { &[Duty::Clock] };
        let of_several = [Duty::Catalogue];
        let is_home_of_several = jobs.cell == CellNumber::HOME && jobs.cells.are_several();
        let more = of_several.iter().filter(|_| run_jobs && is_home_of_several);
        for duty in duties.iter().chain(more) {
            running.spawn(duty.run_until(jobs.clone(), stopping.clone()));
        }
        Self { stop: stopping.drop_guard(), running }
    }

    /// Lets the pages that are under way come to their end.
    pub async fn stop(self) {
        drop(self.stop);
        self.running.close();
        if tokio::time::timeout(STOP_TIME_MAX, self.running.wait()).await.is_err() {
            tracing::warn!("jobs were still under way when the server stopped");
        }
    }
}

/// What a runner sees to; each is done beside the others, so that none waits for another.
#[derive(Clone, Copy)]
enum Duty {
    /// Only where a sandbox's clock was moved to.
    Clock,
    Steps,
    Months,
    Burst,
    Invoices,
    Payments,
    Deposits,
    Reconciliation,
    /// What is kept for a while only.
    Sweep,
    /// Whether all ledgers are as they must be.
    LedgerCheck,
    /// What is no part of the books, and was kept for long enough.
    Retention,
    /// Accounts that are erased.
    Erasures,
    /// Where all ledgers end, hour by hour.
    Anchors,
    /// Cells that do not have the whole catalogue, as they were away.
    Catalogue,
}

impl Duty {
    /// Of a server that runs jobs: each follows the clock by itself.
    const ALL: [Self; 12] = [
        Self::Steps,
        Self::Months,
        Self::Burst,
        Self::Invoices,
        Self::Payments,
        Self::Deposits,
        Self::Reconciliation,
        Self::Sweep,
        Self::LedgerCheck,
        Self::Retention,
        Self::Erasures,
        Self::Anchors,
    ];

    const fn lease(self) -> Option<Lease> {
        Some(match self {
            Self::Clock | Self::Catalogue => return None,
            Self::Steps => Lease::Jobs,
            Self::Months => Lease::LateUsage,
            Self::Burst => Lease::Burst,
            Self::Invoices => Lease::Invoices,
            Self::Payments => Lease::Payments,
            Self::Deposits => Lease::Deposits,
            Self::Reconciliation => Lease::Reconciliation,
            Self::Sweep => Lease::Sweep,
            Self::LedgerCheck => Lease::LedgerCheck,
            Self::Retention => Lease::Retention,
            Self::Erasures => Lease::Erasures,
            Self::Anchors => Lease::Anchors,
        })
    }

    const fn pause(self) -> Duration {
        match self {
            Self::Deposits | Self::Catalogue => CHAIN_PAUSE,
            Self::Reconciliation => NIGHT_PAUSE,
            Self::Sweep | Self::LedgerCheck | Self::Erasures => SWEEP_PAUSE,
            Self::Retention => RETENTION_PAUSE,
            Self::Anchors => ANCHOR_PAUSE,
            _ => PAUSE,
        }
    }

    async fn run_until(self, jobs: JobContext, stopping: CancellationToken) {
        if let Self::LedgerCheck | Self::Retention | Self::Anchors = self {
            wait(FIRST_PAUSE, Ok(()), &stopping).await;
        }
        while !stopping.is_cancelled() {
            let looked = self.look(&jobs, &stopping).await;
            wait(self.pause(), looked, &stopping).await;
        }
        if let Some(lease) = self.lease()
            && let Ok(conn) = jobs.database.connection().await
        {
            let _ = leases::lease_end(&conn, lease, &jobs.holder).await;
        }
    }

    async fn look(self, jobs: &JobContext, stopping: &CancellationToken) -> Result<(), StoreError> {
        jobs.follow_clock().await?;
        if let Self::Catalogue = self {
            return catalogue::copy_to_all(&jobs.cells).await;
        }
        let Some(lease) = self.lease() else { return Ok(()) };
        require_right_clock(&*jobs.database.connection().await?).await?;
        let guard = LeaseGuard::Leased { lease, stopping };
        let runs = match self {
            Self::Clock | Self::Catalogue => return Ok(()),
            Self::Steps => pass(jobs, guard).await?.runs,
            Self::Months => bill(jobs, &guard, stopping).await?,
            Self::Burst => burst::burst_pass(jobs, &guard).await?,
            Self::Invoices => invoices::invoice_pass(jobs, &guard).await?,
            Self::Payments => carry_payments(jobs, &guard).await?,
            Self::Deposits => deposits::deposit_pass(jobs, &guard).await?,
            Self::Reconciliation => reconciliation::reconciliation_pass(jobs, &guard).await?,
            Self::Sweep => sweep(jobs, &guard).await?,
            Self::LedgerCheck => ledger_check::round(jobs, &guard).await?,
            Self::Retention => retention::retention_pass(jobs, &guard).await?,
            Self::Erasures => erasures::erasure_pass(jobs, &guard).await?,
            Self::Anchors => anchors::anchor_pass(jobs, &guard).await?,
        };
        tell(&runs);
        Ok(())
    }
}

/// Waits until it is time to look again, or the runner stops.
async fn wait(pause: Duration, looked: Result<(), StoreError>, stopping: &CancellationToken) {
    let pause = match looked {
        Ok(()) => pause,
        Err(error) => {
            metrics::counter!("abacus_job_pass_failures_total").increment(1);
            tracing::error!(%error, "what is due could not be read");
            PAUSE_AFTER_FAILURE
        }
    };
    let _ = tokio::time::timeout(pause, stopping.cancelled()).await;
}

async fn bill(
    jobs: &JobContext,
    guard: &LeaseGuard<'_>,
    stopping: &CancellationToken,
) -> Result<Runs, StoreError> {
    billing::begin_runs(jobs, None).await?;
    let mut runs = billing::run_pass(jobs, None, Some(stopping)).await?;
    runs.add(&billing::late_pass(jobs, guard).await?.runs);
    Ok(runs)
}

/// Forgets what was kept for a while, in small steps.
async fn sweep(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    while guard.renew(jobs).await? {
        let on_shards = jobs.database.topology().are_shards();
        if !keys::refused_forget(&*jobs.database.connection().await?, on_shards).await? {
            break;
        }
    }
    while guard.renew(jobs).await? {
        let conn = jobs.database.connection().await?;
        if !operator_moves::moves_forget(&conn, jobs.clock.held_by(), jobs.clock.now()).await? {
            break;
        }
    }
    Ok(Runs::default())
}

/// The one is done even if the other cannot be.
async fn carry_payments(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    let stepped = prepayments::prepayment_pass(jobs, guard).await;
    let carried = payments::payment_pass(jobs, guard).await;
    for runs in [&stepped, &carried].into_iter().flatten() {
        tell(runs);
    }
    stepped.and(carried).map(|_| Runs::default())
}

fn tell(runs: &Runs) {
    if !runs.0.is_empty() {
        tracing::info!(?runs, "jobs ran");
    }
}
