//! A process of its own that closes a month, and ends.

use std::time::Duration;

use chrono::NaiveDate;
use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

use super::foundation::foundation;
use super::{ServerConfig, StartError};
use crate::domain::billing_run::{BillingRun, RunState};
use crate::jobs::billing::{PlanError, begin_period, run_pass, runs_of};
use crate::jobs::{CellJobs, JobContext};
use crate::store::clock_check::require_right_clock;
use crate::store::error::StoreError;

/// Between two looks at what other servers have taken on, and at the progress.
const PAUSE: Duration = Duration::from_millis(250);

/// Why a month was not closed.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Closes a month for the accounts of all time zones, beside whoever else does; says over and over how far it has come,
/// and answers the runs as they are at the end: not all done if it was told to stop.
pub async fn bill_month(
    config: ServerConfig,
    period: NaiveDate,
    stopping: CancellationToken,
    tell: impl Fn(&[BillingRun]) + Send,
) -> Result<Vec<BillingRun>, BillingError> {
    let (_, cells) = foundation(&config, config.connections_max, false).await?;
    let outcome = async {
        for jobs in cells.all() {
            require_right_clock(&*jobs.database.connection().await?).await?;
            begin_period(jobs, period).await?;
        }
        let outcome = tokio::select! {
            outcome = work(&cells, period, &stopping) => outcome,
            failed = tell_progress(&cells, period, &tell) => failed,
        };
        let runs = outcome?;
        tell(&runs);
        Ok(runs)
    }
    .await;
    cells.home().engine.stop().await;
    outcome
}

/// Works in all cells at once.
async fn work(
    cells: &CellJobs,
    period: NaiveDate,
    stopping: &CancellationToken,
) -> Result<Vec<BillingRun>, StoreError> {
    let runs = try_join_all(cells.all().map(|jobs| work_in(jobs, period, stopping))).await?;
    Ok(BillingRun::together(runs))
}

async fn work_in(
    jobs: &JobContext,
    period: NaiveDate,
    stopping: &CancellationToken,
) -> Result<Vec<BillingRun>, StoreError> {
    loop {
        require_right_clock(&*jobs.database.connection().await?).await?;
        run_pass(jobs, Some(period), Some(stopping)).await?;
        let runs = runs_of(jobs, period).await?;
        if stopping.is_cancelled() || runs.iter().all(|run| run.state == RunState::Done) {
            return Ok(runs);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Only ever ends with an error.
async fn tell_progress(
    cells: &CellJobs,
    period: NaiveDate,
    tell: &(impl Fn(&[BillingRun]) + Send),
) -> Result<Vec<BillingRun>, StoreError> {
    loop {
        let runs = try_join_all(cells.all().map(|jobs| runs_of(jobs, period))).await?;
        tell(&BillingRun::together(runs));
        tokio::time::sleep(PAUSE).await;
    }
}
