//! A place of the meter: what waits there, and whether it can be written to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::meter_error::MeterError;
use crate::clock::Clock;
use crate::domain::ids::AccountId;
use crate::domain::usage::Outcome;
use crate::engine::Engine;
use crate::lane::{LaneKind, LaneNumber, LaneState, LaneWatch, Next, Place, Teller};
use crate::store::error::StoreError;
use crate::store::usage::Metered;

/// Requests that a place keeps waiting.
const REQUESTS_MAX: usize = 1_024;
/// Events that it keeps waiting.
const EVENTS_MAX: usize = 100_000;

/// Events with the one who waits for them.
pub(super) struct Request {
    pub events: Vec<Metered>,
    pub answer: oneshot::Sender<Result<Vec<Outcome>, MeterError>>,
    /// Its share of what may wait.
    pub _room: OwnedSemaphorePermit,
}

pub(super) struct UsagePlace {
    waiting: Mutex<Waiting>,
    room: Arc<Semaphore>,
    pub watch: LaneWatch,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    is_closed: bool,
}

/// What lanes know of it.
struct Known {
    state: LaneState,
    /// Of each month (UTC) whose events could not be written, for no fault of their own, one.
    trials: BTreeMap<NaiveDate, Metered>,
}

impl UsagePlace {
    pub fn open(number: LaneNumber, engine: &Arc<Engine>, clock: &Clock) -> Self {
        let teller = Teller::Others(Arc::<Engine>::clone(engine));
        let state = LaneState::new(LaneKind::Usage, number, teller, clock.clone());
        let (watch, room) = (state.watch(), Arc::new(Semaphore::new(EVENTS_MAX)));
        let known = Mutex::new(Known { state, trials: BTreeMap::new() });
        Self { waiting: Mutex::default(), room, watch, known }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has events wait, as long as there is room for them.
    pub fn push(
        &self,
        events: Vec<Metered>,
        answer: oneshot::Sender<Result<Vec<Outcome>, MeterError>>,
    ) -> Result<(), MeterError> {
        let size = u32::try_from(events.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(size).map_err(|_| MeterError::Overloaded)?;
        let mut waiting = self.waiting();
        if waiting.is_closed {
            return Err(MeterError::Unavailable("the server is stopping".to_owned()));
        }
        if waiting.requests.len() >= REQUESTS_MAX {
            return Err(MeterError::Overloaded);
        }
        waiting.requests.push_back(Request { events, answer, _room: room });
        Ok(())
    }

    /// What waits, as far as to so many events; a request that begins within them is taken whole.
    pub fn take(&self, events_max: usize) -> Vec<Request> {
        let mut waiting = self.waiting();
        let (mut batch, mut events) = (Vec::new(), 0_usize);
        while events < events_max {
            let Some(request) = waiting.requests.pop_front() else { break };
            events = events.saturating_add(request.events.len());
            batch.push(request);
        }
        batch
    }

    pub fn has_trial(&self) -> bool {
        !self.known().trials.is_empty()
    }

    /// What could not be written, of each month.
    pub fn trials(&self) -> BTreeMap<NaiveDate, Metered> {
        self.known().trials.clone()
    }

    /// Whether events of all these months could not be written before.
    pub fn were_broken(&self, mut months: impl Iterator<Item = NaiveDate>) -> bool {
        let known = self.known();
        months.all(|month| known.trials.contains_key(&month))
    }

    /// A month's events were written.
    pub fn wrote_month(&self, month: NaiveDate) {
        self.known().trials.remove(&month);
    }

    /// Says that it can be written to, unless there is a month that cannot.
    pub fn wrote(&self) {
        let mut known = self.known();
        if known.trials.is_empty() {
            known.state.wrote();
        }
    }

    /// An event of a month could not be written, for no fault of its own.
    pub fn failed(&self, month: NaiveDate, first: &Metered, error: &StoreError) {
        let mut known = self.known();
        known.trials.entry(month).or_insert_with(|| first.clone());
        known.state.failed(first.event.account, error);
    }

    /// It cannot be written to still.
    pub fn fails_still(&self, account: AccountId, error: &StoreError) {
        self.known().state.failed(account, error);
    }
}

impl Place for UsagePlace {
    fn close(&self) {
        self.waiting().is_closed = true;
    }

    fn is_empty(&self) -> bool {
        self.waiting().requests.is_empty()
    }

    fn next(&self) -> Next {
        if self.is_empty() { Next::WhenItComes } else { Next::Now }
    }

    fn abandon(&self) {
        let left = std::mem::take(&mut self.waiting().requests);
        drop(left);
    }
}
