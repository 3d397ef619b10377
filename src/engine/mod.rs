//! Every write that moves money or changes an order: group commit.
//!
//! A command goes to a lane, chosen by its account. A lane takes whatever has queued while its last batch was under
//! way and runs it as one transaction of a few statements, so that many commands share one commit, and the commands
//! of one account never wait for each other's locks. docs/adr/0003 tells why; batch.rs is the transaction.

mod ahead;
mod approvals;
mod batch;
mod books;
mod doubts;
mod dry_runs;
mod engine_error;
mod fair_queue;
mod held;
mod lane;
mod load;
mod paid;
mod queue;
mod request;
mod stale;
mod trial;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use books::Ground;
use doubts::Doubts;
use dry_runs::DryRuns;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use held::Held;
use lane::CommandLane;
use queue::{NoPlace, Queue};
use request::{ANSWER_TIME_MAX, Request};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::domain::command::Command;
use crate::domain::money::Currencies;
use crate::domain::outcome::Done;
use crate::domain::policies::Policies;
use crate::lane::{Crew, LaneKind, LaneState, LaneWatch, NoticeSink, Teller};
use crate::store::database::Database;

pub use engine_error::EngineError;
pub use request::Priority;
pub use stale::Patience;
pub use trial::die_at;

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Lanes, each with a connection of its own.
    pub lanes: usize,
    /// Commands of people that a lane keeps waiting; an account holds as many places at most as it leaves free.
    pub queue_max: usize,
    /// Commands of one batch.
    pub batch_max: usize,
    /// The commands of an account that is held by another transaction wait for so long.
    pub held_time_max: Duration,
    /// How long commands may wait.
    pub patience: Patience,
    /// What the provider has set otherwise.
    pub policies: Policies,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            lanes: 2,
            queue_max: 4_096,
            batch_max: 512,
            held_time_max: Duration::from_secs(10),
            patience: Patience::default(),
            policies: Policies::default(),
        }
    }
}

struct LaneHandle {
    queue: Arc<Queue>,
    state: LaneWatch,
}

/// Takes commands and answers what became of them.
pub struct Engine {
    lanes: Vec<LaneHandle>,
    dry_runs: DryRuns,
    doubts: Arc<Doubts>,
    crew: Crew,
}

impl Engine {
    pub fn start(
        config: &EngineConfig,
        database: &Database,
        currencies: &Arc<Currencies>,
        clock: &Clock,
    ) -> Self {
        let doubts = Arc::<Doubts>::default();
        let (currencies, keys) = (Arc::clone(currencies), Arc::clone(database.keys()));
        let ground = Ground { currencies, policies: config.policies.clone(), keys };
        let (mut lanes, crew) = (Vec::new(), Crew::default());
        for number in 0..config.lanes.max(1) {
            let queue = Arc::new(Queue::new(config.queue_max));
            let teller = Teller::Itself(Arc::<Queue>::clone(&queue));
            let state = LaneState::new(LaneKind::Commands, number, teller, clock.clone());
            lanes.push(LaneHandle { queue: Arc::clone(&queue), state: state.watch() });
            crew.start(CommandLane {
                queue,
                held: Held::default(),
                database: database.clone(),
                ground: ground.clone(),
                clock: clock.clone(),
                batch_max: config.batch_max.max(1),
                held_time_max: config.held_time_max,
                patience: config.patience,
                state,
                doubts: Arc::clone(&doubts),
                trial: None,
            });
        }
        let dry_runs = DryRuns::new(database, ground, clock.clone(), config.patience);
        Self { lanes, dry_runs, doubts, crew }
    }

    /// Has a command carried out. A caller that leaves changes nothing: what was taken is carried out.
    pub async fn submit(&self, command: Command, priority: Priority) -> Result<Done, EngineError> {
        self.submit_of(command, priority, Instant::now()).await
    }

    /// The same of a request that arrived then.
    pub async fn submit_of(
        &self,
        command: Command,
        priority: Priority,
        arrived: Instant,
    ) -> Result<Done, EngineError> {
        if command.dry_run {
            let is_stopping = self.crew.is_stopping();
            return if is_stopping { Err(stopping()) } else { self.dry_runs.run(command, arrived).await };
        }
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

    /// What tells whether its lanes can write.
    pub fn watches(&self) -> Vec<LaneWatch> {
        self.lanes.iter().map(|lane| lane.state.clone()).collect()
    }

    /// Takes no more commands, carries out and answers those that were taken, and ends.
    pub async fn stop(&self) {
        if !self.crew.stop().await {
            tracing::error!("commands were still waiting when the server stopped");
        }
    }
}

impl NoticeSink for Engine {
    fn raise(self: Arc<Self>, notice: Command) -> BoxFuture<'static, Result<(), String>> {
        let raised = async move { self.submit(notice, Priority::Background).await };
        raised.map(|raised| raised.map(drop).map_err(|error| error.to_string())).boxed()
    }
}

fn stopping() -> EngineError {
    EngineError::Unavailable("the server is stopping".to_owned())
}
