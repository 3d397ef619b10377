//! How an engine is set up.

use std::time::Duration;

use tokio::runtime::Handle;

use super::pace::WaitingLimit;
use super::stale::Patience;
use crate::domain::cell::CellNumber;
use crate::domain::policies::Policies;

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The cell whose accounts it is for.
    pub cell: CellNumber,
    /// Lanes, each with a connection of its own.
    pub lanes: usize,
    /// Where they run; None: where the engine is started.
    pub runtime: Option<Handle>,
    /// Commands of people that a lane keeps waiting; an account holds as many places at most as it leaves free.
    pub queue_max: usize,
    /// How many of these places there are where the lane is slow.
    pub waiting_limit: WaitingLimit,
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
            cell: CellNumber::HOME,
            lanes: 2,
            runtime: None,
            queue_max: 4_096,
            waiting_limit: WaitingLimit::default(),
            batch_max: 512,
            held_time_max: Duration::from_secs(10),
            patience: Patience::default(),
            policies: Policies::default(),
        }
    }
}
