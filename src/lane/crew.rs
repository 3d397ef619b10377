//! Lanes while they run, and how they are stopped.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::run::{Lane, run};

/// What waits when the server stops is done within this time.
const STOP_TIME_MAX: Duration = Duration::from_secs(30);

/// The lanes of an engine or a meter. If that is gone without a word they stop, too.
pub struct Crew {
    stop: DropGuard,
    running: TaskTracker,
    /// Where they run; None: where they are started.
    runtime: Option<Handle>,
}

impl Default for Crew {
    fn default() -> Self {
        Self::on(None)
    }
}

impl Crew {
    pub fn on(runtime: Option<Handle>) -> Self {
        Self { stop: CancellationToken::new().drop_guard(), running: TaskTracker::new(), runtime }
    }

    pub fn start(&self, lane: impl Lane + 'static) {
        let running = run(lane, self.stop.token().clone());
        match &self.runtime {
            Some(runtime) => drop(self.running.spawn_on(running, runtime)),
            None => drop(self.running.spawn(running)),
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.token().is_cancelled()
    }

    /// Has them take no more, and waits until what they have taken is done; whether that was in time.
    pub async fn stop(&self) -> bool {
        self.stop.token().cancel();
        self.running.close();
        tokio::time::timeout(STOP_TIME_MAX, self.running.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::connection::LaneConnection;
    use crate::lane::state::LaneKind;
    use crate::store::database::OwnConnection;
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    /// A lane of numbers, each a batch; it panics at the poisoned one.
    struct NumberLane {
        numbers: UnboundedReceiver<u32>,
        next: Option<u32>,
        is_drained: bool,
        written: UnboundedSender<u32>,
    }

    const POISONED: u32 = 13;

    impl Lane for NumberLane {
        const KIND: LaneKind = LaneKind::Usage;
        type Batch = u32;
        type Connection = OwnConnection;

        fn take(&mut self) -> Option<u32> {
            self.next.take()
        }

        async fn come(&mut self) {
            self.next = self.numbers.recv().await;
            self.is_drained = self.next.is_none();
        }

        fn close(&mut self) -> bool {
            self.numbers.close();
            self.is_drained
        }

        async fn carry_out(&mut self, number: u32, _: &mut LaneConnection<OwnConnection>) {
            assert_ne!(number, POISONED);
            self.written.send(number).unwrap();
        }

        fn has_trial(&self) -> bool {
            false
        }

        async fn try_again(&mut self) {}
    }

    fn start(crew: &Crew) -> (UnboundedSender<u32>, UnboundedReceiver<u32>) {
        let (numbers, taken) = unbounded_channel();
        let (written, seen) = unbounded_channel();
        crew.start(NumberLane { numbers: taken, next: None, is_drained: false, written });
        (numbers, seen)
    }

    async fn all(mut seen: UnboundedReceiver<u32>) -> Vec<u32> {
        let mut all = Vec::new();
        while let Some(number) = seen.recv().await {
            all.push(number);
        }
        all
    }

    #[tokio::test]
    async fn a_lane_goes_on_after_a_panic_and_stops_once_all_is_done() {
        let crew = Crew::default();
        let (numbers, seen) = start(&crew);
        [1, POISONED, 2].into_iter().for_each(|number| numbers.send(number).unwrap());
        assert!(!crew.is_stopping());
        assert!(crew.stop().await && crew.is_stopping());
        assert!(numbers.send(3).is_err(), "it takes no more");
        assert_eq!(all(seen).await, [1, 2]);
    }

    #[tokio::test]
    async fn a_crew_that_is_gone_without_a_word_stops_its_lanes_too() {
        let crew = Crew::default();
        let (numbers, seen) = start(&crew);
        numbers.send(1).unwrap();
        drop(crew);
        assert_eq!(all(seen).await, [1]);
    }
}
