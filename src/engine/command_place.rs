//! A place of the engine: what waits there, the accounts in it that others hold, and whether it can be written to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::engine_config::EngineConfig;
use super::held::Held;
use super::queue::Queue;
use crate::clock::Clock;
use crate::domain::command::Command;
use crate::lane::{LaneKind, LaneNumber, LaneState, LaneWatch, Next, Place, Teller};
use crate::store::error::StoreError;

pub(super) struct CommandPlace {
    pub queue: Arc<Queue>,
    pub watch: LaneWatch,
    known: Mutex<Known>,
}

/// What lanes know of it.
struct Known {
    held: Held,
    state: LaneState,
    /// A command that could not be written, for no fault of its own.
    trial: Option<Command>,
}

impl CommandPlace {
    pub fn open(number: usize, config: &EngineConfig, clock: &Clock) -> Self {
        let queue = Arc::new(Queue::new(config.queue_max, config.waiting_limit));
        let teller = Teller::Itself(Arc::<Queue>::clone(&queue));
        let number = LaneNumber { cell: config.cell, number };
        let state = LaneState::new(LaneKind::Commands, number, teller, clock.clone());
        let watch = state.watch();
        Self { queue, watch, known: Mutex::new(Known { held: Held::default(), state, trial: None }) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the accounts that are held.
    pub fn with_held<T>(&self, look: impl FnOnce(&mut Held) -> T) -> T {
        look(&mut self.known().held)
    }

    /// It was written to.
    pub fn wrote(&self) {
        let mut known = self.known();
        known.trial = None;
        known.state.wrote();
    }

    /// A command could not be written, for no fault of its own.
    pub fn failed(&self, command: &Command, error: &StoreError) {
        let mut known = self.known();
        known.state.failed(command.account, error);
        known.trial.get_or_insert_with(|| command.clone());
    }

    pub fn has_trial(&self) -> bool {
        self.known().trial.is_some()
    }

    /// What could not be written, to be tried by whoever takes it.
    pub fn take_trial(&self) -> Option<Command> {
        self.known().trial.take()
    }
}

impl Place for CommandPlace {
    fn close(&self) {
        self.queue.close();
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn end_batch(&self) {
        for whose in self.with_held(Held::end_tried) {
            self.queue.resume(whose);
        }
        self.queue.end_batch();
    }

    fn next(&self) -> Next {
        if self.queue.has_ready() {
            return Next::Now;
        }
        self.with_held(|held| held.next()).map_or(Next::WhenItComes, Next::At)
    }

    fn abandon(&self) {
        self.queue.abandon();
    }
}
