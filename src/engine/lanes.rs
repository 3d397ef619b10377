//! The lanes of a server: each command goes to that of its account.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::batch_store::BatchStore;
use super::doubts::Doubts;
use super::engine_config::EngineConfig;
use super::engine_error::EngineError;
use super::held::Held;
use super::lane::CommandLane;
use super::queue::{NoPlace, Queue};
use super::request::{ANSWER_TIME_MAX, Priority, Request};
use crate::clock::Clock;
use crate::domain::command::Command;
use crate::domain::outcome::Done;
use crate::lane::{Crew, LaneKind, LaneState, LaneWatch, Teller};

struct LaneHandle {
    queue: Arc<Queue>,
    state: LaneWatch,
}

pub(super) struct Lanes {
    lanes: Vec<LaneHandle>,
    doubts: Arc<Doubts>,
    crew: Crew,
}

impl Lanes {
    pub fn start<S: BatchStore>(config: &EngineConfig, store: &S, clock: &Clock) -> Self {
        let doubts = Arc::<Doubts>::default();
        let (mut lanes, crew) = (Vec::new(), Crew::default());
        for number in 0..config.lanes.max(1) {
            let queue = Arc::new(Queue::new(config.queue_max));
            let teller = Teller::Itself(Arc::<Queue>::clone(&queue));
            let state = LaneState::new(LaneKind::Commands, number, teller, clock.clone());
            lanes.push(LaneHandle { queue: Arc::clone(&queue), state: state.watch() });
            crew.start(CommandLane {
                queue,
                held: Held::default(),
                store: store.clone(),
                clock: clock.clone(),
                batch_max: config.batch_max.max(1),
                held_time_max: config.held_time_max,
                patience: config.patience,
                state,
                doubts: Arc::clone(&doubts),
                trial: None,
            });
        }
        Self { lanes, doubts, crew }
    }

    /// Has a command of a request carried out that arrived then.
    pub async fn submit(
        &self,
        command: Command,
        priority: Priority,
        arrived: Instant,
    ) -> Result<Done, EngineError> {
        let (answer, answered) = oneshot::channel();
        let lane = self.lanes.get(command.account.lane(self.lanes.len())).ok_or(EngineError::Overloaded)?;
        let key = command.kept_key();
        if let Err(error) = lane.queue.push(Request::new(command, priority, answer, arrived)) {
            let (request, why) = match *error {
                NoPlace::Full(request) => (request, EngineError::Overloaded),
                NoPlace::Closed(request) => (request, stopping()),
            };
            return Err(self.doubts.told(request.command(), why));
        }
        match tokio::time::timeout(ANSWER_TIME_MAX, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => {
                self.doubts.begin(key);
                Err(EngineError::Unknown)
            }
        }
    }

    pub fn are_stopping(&self) -> bool {
        self.crew.is_stopping()
    }

    /// What tells whether they can write.
    pub fn watches(&self) -> Vec<LaneWatch> {
        self.lanes.iter().map(|lane| lane.state.clone()).collect()
    }

    /// Has them take no more, carry out and answer what was taken, and end.
    pub async fn stop(&self) {
        if !self.crew.stop().await {
            tracing::error!("commands were still waiting when the server stopped");
        }
    }
}

pub(super) fn stopping() -> EngineError {
    EngineError::Unavailable("the server is stopping".to_owned())
}
