//! A server, with a clock of its own.

use super::model::Model;
use crate::clock::Clock;
use crate::engine::engine_config::EngineConfig;
use crate::engine::lanes::Lanes;

pub(super) struct Server {
    pub lanes: Lanes,
    pub clock: Clock,
}

impl Server {
    pub fn start(model: &Model, config: &EngineConfig) -> Self {
        let clock = Clock::standing_at(model.now());
        let lanes = Lanes::start(config, &model.seen_by(clock.clone()), &clock);
        Self { lanes, clock }
    }
}
