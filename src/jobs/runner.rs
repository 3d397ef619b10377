//! Runs what is due, again and again, as long as the server runs.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{JobContext, Pass, Permit, billing, pass};
use crate::store::error::StoreError;
use crate::store::leases::{self, Lease};

/// Between two looks at what is due.
const PAUSE: Duration = Duration::from_secs(1);
/// After the database could not be asked.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// A pass that is under way when the server stops is waited for so long.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// A running runner.
pub struct Runner {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Runner {
    /// Starts. Of a sandbox it also follows the clock; with `run_jobs` it runs what is due.
    pub fn start(jobs: JobContext, run_jobs: bool) -> Self {
        let (stop, stopping) = watch::channel(false);
        Self { stop, running: tokio::spawn(run(jobs, run_jobs, stopping)) }
    }

    /// Lets the page that is under way come to its end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(STOP_TIME_MAX, self.running).await.is_err() {
            tracing::warn!("jobs were still under way when the server stopped");
        }
    }
}

async fn run(jobs: JobContext, run_jobs: bool, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let looked = look(&jobs, run_jobs, &stopping).await;
        let pause = match looked {
            Ok(()) => PAUSE,
            Err(error) => {
                metrics::counter!("abacus_job_pass_failures_total").increment(1);
                tracing::error!(%error, "what is due could not be read");
                PAUSE_AFTER_FAILURE
            }
        };
        // A server that is gone without a word stops its jobs too.
        if let Ok(Err(_)) = tokio::time::timeout(pause, stopping.wait_for(|stop| *stop)).await {
            break;
        }
    }
    if run_jobs && let Ok(conn) = jobs.database.connection().await {
        let _ = leases::lease_end(&conn, Lease::Jobs, &jobs.holder).await;
    }
}

async fn look(jobs: &JobContext, run_jobs: bool, stopping: &watch::Receiver<bool>) -> Result<(), StoreError> {
    jobs.follow_clock().await?;
    if !run_jobs {
        return Ok(());
    }
    billing::begin_runs(jobs, None).await?;
    let Pass { mut runs, .. } = pass(jobs, Permit::Leased { stopping }).await?;
    runs.add(&billing::run_pass(jobs, None, Some(stopping)).await?);
    if !runs.0.is_empty() {
        tracing::info!(?runs, "jobs ran");
    }
    Ok(())
}
