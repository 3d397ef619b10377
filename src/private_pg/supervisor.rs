//! The task that keeps PostgreSQL running.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use tokio::select;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::postmaster::Postmaster;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// After a run of this length the next restart is quick again.
const STEADY: Duration = Duration::from_secs(30);

/// The pid of the current postmaster, 0 for none; shared with the handle.
#[derive(Debug, Default, Clone)]
pub(super) struct CurrentPid(Arc<AtomicI32>);

impl CurrentPid {
    pub(super) fn get(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    pub(super) fn set(&self, pid: Option<i32>) {
        self.0.store(pid.unwrap_or_default(), Ordering::Relaxed);
    }
}

pub(super) struct Supervisor {
    pub(super) cluster: Arc<Cluster>,
    pub(super) slot: Option<Postmaster>,
    pub(super) pid: CurrentPid,
    /// PostgreSQL is to be stopped.
    pub(super) stop: CancellationToken,
    /// The handle is gone.
    pub(super) abandon: CancellationToken,
}

/// Why the task ends.
enum End {
    /// Asked to: PostgreSQL is stopped.
    Stop,
    /// The handle is gone: PostgreSQL is left to the next start.
    Abandon,
}

impl Supervisor {
    pub(super) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let begin = Instant::now();
            let how = select! {
                end = wanted(&self.stop, &self.abandon) => return self.finish(end).await,
                how = ended(&mut self.slot) => how,
            };
            self.slot = None;
            self.pid.set(None);
            tracing::error!(how, "PostgreSQL ended unexpectedly, starting it again");
            if begin.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            if let Some(end) = self.revive(&mut pause).await {
                return self.finish(end).await;
            }
        }
    }

    /// Starts PostgreSQL again until it runs, or until the task has to end.
    async fn revive(&mut self, pause: &mut Duration) -> Option<End> {
        while self.slot.is_none() {
            let attempt = async {
                sleep(*pause).await;
                self.cluster.bring_up(&mut self.slot).await
            };
            let outcome = select! {
                end = wanted(&self.stop, &self.abandon) => return Some(end),
                outcome = attempt => outcome,
            };
            *pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            match outcome {
                Ok(()) => tracing::info!("PostgreSQL runs again"),
                Err(error) => tracing::error!(%error, "cannot start PostgreSQL again"),
            }
        }
        self.pid.set(self.slot.as_ref().and_then(Postmaster::pid));
        None
    }

    async fn finish(mut self, end: End) {
        let Some(mut postmaster) = self.slot.take() else {
            return;
        };
        if matches!(end, End::Stop) {
            if postmaster.shut_down().await {
                tracing::info!("PostgreSQL stopped");
            } else {
                tracing::error!(pid = postmaster.pid(), "PostgreSQL does not stop");
            }
            self.pid.set(None);
        }
    }
}

async fn wanted(stop: &CancellationToken, abandon: &CancellationToken) -> End {
    select! {
        biased;
        () = stop.cancelled() => End::Stop,
        () = abandon.cancelled() => End::Abandon,
    }
}

async fn ended(slot: &mut Option<Postmaster>) -> String {
    match slot {
        Some(postmaster) => postmaster.wait().await,
        None => "not started".to_owned(),
    }
}
