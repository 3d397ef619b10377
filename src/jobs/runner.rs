//! Runs what is due, again and again, as long as the server runs.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{
    JobContext, Pass, Permit, Runs, billing, burst, deposits, invoices, pass, payments, prepayments,
};
use crate::store::error::StoreError;
use crate::store::leases::{self, Lease};

/// Between two looks at what is due.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at the chain, which has a block every 12 seconds; nodes count how often they are asked.
const CHAIN_PAUSE: Duration = Duration::from_secs(4);
/// After the database could not be asked.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// A pass that is under way when the server stops is waited for so long.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// A running runner.
pub struct Runner {
    stop: watch::Sender<bool>,
    running: Vec<JoinHandle<()>>,
}

impl Runner {
    /// Starts. Of a sandbox it also follows the clock; with `run_jobs` it runs what is due, and beside that closes months,
    /// charges burst, issues invoices, asks payment providers and looks for deposits: they may take long, and nothing else waits
    /// for them.
    pub fn start(jobs: JobContext, run_jobs: bool) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut running = vec![tokio::spawn(run(jobs.clone(), run_jobs, stopping.clone()))];
        if run_jobs {
            running.push(tokio::spawn(run_billing(jobs.clone(), stopping.clone())));
            running.push(tokio::spawn(run_burst(jobs.clone(), stopping.clone())));
            running.push(tokio::spawn(run_invoices(jobs.clone(), stopping.clone())));
            running.push(tokio::spawn(run_payments(jobs.clone(), stopping.clone())));
            running.push(tokio::spawn(run_deposits(jobs, stopping)));
        }
        Self { stop, running }
    }

    /// Lets the pages that are under way come to their end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(STOP_TIME_MAX, join_all(self.running)).await.is_err() {
            tracing::warn!("jobs were still under way when the server stopped");
        }
    }
}

async fn run(jobs: JobContext, run_jobs: bool, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let looked = look(&jobs, run_jobs, &stopping).await;
        if !wait(looked, &mut stopping).await {
            break;
        }
    }
    if run_jobs && let Ok(conn) = jobs.database.connection().await {
        let _ = leases::lease_end(&conn, Lease::Jobs, &jobs.holder).await;
    }
}

async fn run_billing(jobs: JobContext, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let billed = bill(&jobs, &stopping).await;
        if !wait(billed, &mut stopping).await {
            break;
        }
    }
    if let Ok(conn) = jobs.database.connection().await {
        let _ = leases::lease_end(&conn, Lease::LateUsage, &jobs.holder).await;
    }
}

async fn run_burst(jobs: JobContext, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let charged = charge_burst(&jobs, &stopping).await;
        if !wait(charged, &mut stopping).await {
            break;
        }
    }
    if let Ok(conn) = jobs.database.connection().await {
        let _ = leases::lease_end(&conn, Lease::Burst, &jobs.holder).await;
    }
}

async fn run_invoices(jobs: JobContext, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let issued = issue_invoices(&jobs, &stopping).await;
        if !wait(issued, &mut stopping).await {
            break;
        }
    }
    if let Ok(conn) = jobs.database.connection().await {
        let _ = leases::lease_end(&conn, Lease::Invoices, &jobs.holder).await;
    }
}

async fn run_payments(jobs: JobContext, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let carried = carry_payments(&jobs, &stopping).await;
        if !wait(carried, &mut stopping).await {
            break;
        }
    }
    if let Ok(conn) = jobs.database.connection().await {
        let _ = leases::lease_end(&conn, Lease::Payments, &jobs.holder).await;
    }
}

async fn run_deposits(jobs: JobContext, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let looked = look_for_deposits(&jobs, &stopping).await;
        if !wait_for(CHAIN_PAUSE, looked, &mut stopping).await {
            break;
        }
    }
    if let Ok(conn) = jobs.database.connection().await {
        let _ = leases::lease_end(&conn, Lease::Deposits, &jobs.holder).await;
    }
}

/// Waits until it is time to look again; false if the server is gone without a word.
async fn wait(looked: Result<(), StoreError>, stopping: &mut watch::Receiver<bool>) -> bool {
    wait_for(PAUSE, looked, stopping).await
}

async fn wait_for(
    pause: Duration,
    looked: Result<(), StoreError>,
    stopping: &mut watch::Receiver<bool>,
) -> bool {
    let pause = match looked {
        Ok(()) => pause,
        Err(error) => {
            metrics::counter!("abacus_job_pass_failures_total").increment(1);
            tracing::error!(%error, "what is due could not be read");
            PAUSE_AFTER_FAILURE
        }
    };
    !matches!(tokio::time::timeout(pause, stopping.wait_for(|stop| *stop)).await, Ok(Err(_)))
}

async fn look(jobs: &JobContext, run_jobs: bool, stopping: &watch::Receiver<bool>) -> Result<(), StoreError> {
    jobs.follow_clock().await?;
    if run_jobs {
        let Pass { runs, .. } = pass(jobs, Permit::Leased { lease: Lease::Jobs, stopping }).await?;
        tell(&runs);
    }
    Ok(())
}

async fn bill(jobs: &JobContext, stopping: &watch::Receiver<bool>) -> Result<(), StoreError> {
    jobs.follow_clock().await?;
    billing::begin_runs(jobs, None).await?;
    let mut runs = billing::run_pass(jobs, None, Some(stopping)).await?;
    let late = billing::late_pass(jobs, &Permit::Leased { lease: Lease::LateUsage, stopping }).await?;
    runs.add(&late.runs);
    tell(&runs);
    Ok(())
}

async fn charge_burst(jobs: &JobContext, stopping: &watch::Receiver<bool>) -> Result<(), StoreError> {
    jobs.follow_clock().await?;
    let permit = Permit::Leased { lease: Lease::Burst, stopping };
    tell(&burst::burst_pass(jobs, &permit).await?);
    Ok(())
}

async fn issue_invoices(jobs: &JobContext, stopping: &watch::Receiver<bool>) -> Result<(), StoreError> {
    jobs.follow_clock().await?;
    let permit = Permit::Leased { lease: Lease::Invoices, stopping };
    tell(&invoices::invoice_pass(jobs, &permit).await?);
    Ok(())
}

async fn carry_payments(jobs: &JobContext, stopping: &watch::Receiver<bool>) -> Result<(), StoreError> {
    jobs.follow_clock().await?;
    let permit = Permit::Leased { lease: Lease::Payments, stopping };
    let stepped = prepayments::prepayment_pass(jobs, &permit).await;
    let carried = payments::payment_pass(jobs, &permit).await;
    // The one is done even if the other cannot be.
    for runs in [&stepped, &carried].into_iter().flatten() {
        tell(runs);
    }
    stepped.and(carried).map(drop)
}

async fn look_for_deposits(jobs: &JobContext, stopping: &watch::Receiver<bool>) -> Result<(), StoreError> {
    jobs.follow_clock().await?;
    let permit = Permit::Leased { lease: Lease::Deposits, stopping };
    tell(&deposits::deposit_pass(jobs, &permit).await?);
    Ok(())
}

fn tell(runs: &Runs) {
    if !runs.0.is_empty() {
        tracing::info!(?runs, "jobs ran");
    }
}
