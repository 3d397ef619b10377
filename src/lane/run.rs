//! A lane's life: it takes what has queued, has it carried out, and starts over, whatever becomes of that.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::LaneConnection;
use super::state::LaneKind;
use super::trial::TRIAL_PAUSE;

/// What one lane does that others do not.
pub trait Lane: Send {
    const KIND: LaneKind;
    type Batch: Send;
    type Connection: Send;

    /// What has queued, if anything has.
    fn take(&mut self) -> Option<Self::Batch>;

    /// Waits until there may be something to take.
    fn come(&mut self) -> impl Future<Output = ()> + Send;

    /// Lets nothing come any more; whether all that has come was taken.
    fn close(&mut self) -> bool;

    /// Carries out a batch, and answers. If it panics its callers learn that the outcome is unknown.
    fn carry_out(
        &mut self,
        batch: Self::Batch,
        connection: &mut LaneConnection<Self::Connection>,
    ) -> impl Future<Output = ()> + Send;

    /// Whether there is anything that could not be written, for no fault of its own.
    fn has_trial(&self) -> bool;

    /// Writes that, and takes it back: whoever asked has been answered.
    fn try_again(&mut self) -> impl Future<Output = ()> + Send;
}

/// Runs until it is told to stop and nothing waits any more.
pub(super) async fn run<L: Lane>(mut lane: L, stop: CancellationToken) {
    let mut connection = LaneConnection::none();
    while let Some(batch) = next_batch(&mut lane, &stop).await {
        let carried_out = AssertUnwindSafe(lane.carry_out(batch, &mut connection)).catch_unwind().await;
        if carried_out.is_err() {
            tracing::error!(kind = L::KIND.label(), "a batch panicked");
            connection.give_up();
        }
    }
}

/// What has queued, waiting for the first if there is none. None: the lane stops, and all is done.
async fn next_batch<L: Lane>(lane: &mut L, stop: &CancellationToken) -> Option<L::Batch> {
    let mut trial_at = Instant::now() + TRIAL_PAUSE;
    loop {
        if let Some(batch) = lane.take() {
            return Some(batch);
        }
        let is_stopping = stop.is_cancelled();
        if is_stopping && lane.close() {
            return None;
        }
        let has_trial = lane.has_trial();
        tokio::select! {
            biased;
            () = lane.come() => {}
            () = stop.cancelled(), if !is_stopping => {}
            () = tokio::time::sleep_until(trial_at), if has_trial => {
                lane.try_again().await;
                trial_at = Instant::now() + TRIAL_PAUSE;
            }
        }
    }
}
