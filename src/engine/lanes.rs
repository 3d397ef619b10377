//! The lanes of a server: each command goes to the place of its account, and lanes take places in turn.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::batch_store::BatchStore;
use super::command_place::CommandPlace;
use super::doubts::Doubts;
use super::engine_config::EngineConfig;
use super::engine_error::EngineError;
use super::lane::CommandLane;
use super::queue::NoPlace;
use super::request::{ANSWER_TIME_MAX, Priority, Request};
use crate::clock::Clock;
use crate::domain::command::Command;
use crate::domain::ids::AccountId;
use crate::domain::outcome::Done;
use crate::lane::{Attendant, Crew, LaneWatch, Places};

pub(super) struct Lanes {
    places: Arc<Places<CommandPlace>>,
    place_of: Box<dyn Fn(AccountId) -> usize + Send + Sync>,
    doubts: Arc<Doubts>,
    crew: Crew,
}

impl Lanes {
    pub fn start<S: BatchStore>(config: &EngineConfig, store: &S, clock: &Clock) -> Self {
        let (doubts, crew) = (Arc::<Doubts>::default(), Crew::on(config.runtime.clone()));
        let lanes = config.lanes.max(1);
        let opening = (config.clone(), clock.clone());
        let places = Places::new(lanes, move |number| CommandPlace::open(number, &opening.0, &opening.1));
        for _ in 0..lanes {
            crew.start(CommandLane {
                places: Attendant::of(&places),
                store: store.clone(),
                clock: clock.clone(),
                batch_max: config.batch_max.max(1),
                held_time_max: config.held_time_max,
                patience: config.patience,
                doubts: Arc::clone(&doubts),
            });
        }
        let store = store.clone();
        // Where all accounts live in one place each lane has a share of them.
        let place_of = move |account| store.place_of(account).unwrap_or_else(|| account.lane(lanes));
        Self { places, place_of: Box::new(place_of), doubts, crew }
    }

    /// Has a command of a request carried out that arrived then.
    pub async fn submit(
        &self,
        command: Command,
        priority: Priority,
        arrived: Instant,
    ) -> Result<Done, EngineError> {
        let (answer, answered) = oneshot::channel();
        let number = (self.place_of)(command.account);
        let key = command.kept_key();
        let request = Request::new(command, priority, answer, arrived);
        if let Err(error) = self.places.at(number).queue.push(request) {
            let (request, why) = match *error {
                NoPlace::Full(request) => (request, EngineError::Overloaded),
                NoPlace::Closed(request) => (request, stopping()),
            };
            return Err(self.doubts.told(request.command(), why));
        }
        self.places.come(number);
        match tokio::time::timeout(ANSWER_TIME_MAX, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => {
                self.doubts.begin(key);
                Err(EngineError::Unknown)
            }
        }
    }

    /// Whether a command of the account that people ask for would be answered OVERLOADED, whatever it is.
    pub fn turn_away(&self, account: AccountId) -> bool {
        let place = self.places.at((self.place_of)(account));
        !place.queue.has_place(account) && self.doubts.are_none()
    }

    pub fn are_stopping(&self) -> bool {
        self.crew.is_stopping()
    }

    /// What tells whether they can write, wherever accounts live.
    pub fn watches(&self) -> Vec<LaneWatch> {
        self.places.all().iter().map(|place| place.watch.clone()).collect()
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
