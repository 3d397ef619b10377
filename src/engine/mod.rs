//! Every write that moves money or changes an order: group commit.
//!
//! A command waits at the place of its account. A lane takes whatever has queued at a place while its last batch was under
//! way and runs it as one transaction of a few statements, so that many commands share one commit, and the commands
//! of one account never wait for each other's locks. docs/adr/0003 tells why; batch.rs is the transaction.

mod ahead;
mod approvals;
mod batch;
mod batch_store;
mod books;
mod command_place;
mod doubts;
mod dry_runs;
mod engine_config;
mod engine_error;
mod fair_queue;
mod held;
mod lane;
mod lanes;
mod load;
mod pace;
mod paid;
mod postgres;
mod queue;
mod request;
#[cfg(test)]
mod simulation;
mod stale;
mod trial;
mod write;

use std::sync::Arc;

use books::Ground;
use dry_runs::DryRuns;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use lanes::Lanes;
use postgres::Postgres;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::domain::command::Command;
use crate::domain::ids::AccountId;
use crate::domain::money::Currencies;
use crate::domain::outcome::Done;
use crate::lane::{LaneWatch, NoticeSink};
use crate::store::cells::{Cell, Cells, MOVING};
use crate::store::database::Database;

pub use engine_config::EngineConfig;
pub use engine_error::EngineError;
pub use pace::WaitingLimit;
pub use request::Priority;
pub use stale::Patience;
pub use trial::die_at;

/// Takes commands and answers what became of them. Each cell has lanes of its own, so that none waits for one that is away.
pub struct Engine {
    cells: Cells,
    /// By the places of the cells.
    parts: Box<[CellEngine]>,
}

/// What carries out the commands of a cell's accounts.
struct CellEngine {
    lanes: Lanes,
    dry_runs: DryRuns,
}

impl CellEngine {
    fn start(config: &EngineConfig, database: &Database, ground: Ground, clock: &Clock) -> Self {
        let store = Postgres { database: database.clone(), ground: ground.clone() };
        let lanes = Lanes::start(config, &store, clock);
        let dry_runs = DryRuns::new(database, ground, clock.clone(), config.patience);
        Self { lanes, dry_runs }
    }
}

impl Engine {
    pub fn start(config: &EngineConfig, cells: &Cells, currencies: &Arc<Currencies>, clock: &Clock) -> Self {
        let begin = |cell: &Cell| {
            let (currencies, keys) = (Arc::clone(currencies), Arc::clone(cell.database.keys()));
            let ground = Ground { currencies, policies: config.policies.clone(), keys };
            let config = EngineConfig { cell: cell.number, ..config.clone() };
            CellEngine::start(&config, &cell.database, ground, clock)
        };
        Self { cells: cells.clone(), parts: cells.all().map(begin).collect() }
    }

    /// What carries out the commands of an account.
    fn of(&self, account: AccountId) -> Result<&CellEngine, EngineError> {
        if self.cells.is_moving(account) {
            return Err(EngineError::Unavailable(MOVING.to_owned()));
        }
        let place = self.cells.place_of(account);
        self.cells.require_heard(place).map_err(|error| EngineError::Unavailable(error.to_string()))?;
        self.parts.get(place).ok_or_else(lanes::stopping)
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
        let CellEngine { lanes, dry_runs } = self.of(command.account)?;
        if !command.dry_run {
            return lanes.submit(command, priority, arrived).await;
        }
        if lanes.are_stopping() { Err(lanes::stopping()) } else { dry_runs.run(command, arrived).await }
    }

    /// Whether a command of the account that people ask for would be answered OVERLOADED, whatever it is: nothing need be read of it.
    pub fn turns_away(&self, account: AccountId) -> bool {
        self.of(account).is_ok_and(|part| part.lanes.turn_away(account))
    }

    /// What tells whether its lanes can write.
    pub fn watches(&self) -> Vec<LaneWatch> {
        self.parts.iter().flat_map(|part| part.lanes.watches()).collect()
    }

    /// Takes no more commands, carries out and answers those that were taken, and ends.
    pub async fn stop(&self) {
        join_all(self.parts.iter().map(|part| part.lanes.stop())).await;
    }
}

impl NoticeSink for Engine {
    fn raise(self: Arc<Self>, notice: Command) -> BoxFuture<'static, Result<(), String>> {
        let raised = async move { self.submit(notice, Priority::Background).await };
        raised.map(|raised| raised.map(drop).map_err(|error| error.to_string())).boxed()
    }
}
