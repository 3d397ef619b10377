//! What metering agents report is counted: each event once, however often it is sent.
//!
//! Like the engine's commands, events go to lanes, chosen by their accounts: a lane takes whatever has queued while its
//! last batch was under way, and writes it as one transaction. Several requests share a commit, and the events of one
//! account never wait for each other. docs/adr/0011 tells why.

mod cache;
mod lane;
mod license_cap;
mod meter_error;
mod refused;
mod report;
mod unratable;

use std::sync::Arc;
use std::time::Duration;

use cache::MeteringCache;
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use lane::{Request, UsageLane};
use license_cap::LicenseCap;
use tokio::sync::{Semaphore, mpsc, oneshot};
use unratable::Unratable;

use crate::clock::Clock;
use crate::domain::ids::AccountId;
use crate::domain::money::Currencies;
use crate::domain::usage::{Allowance, Fault, Outcome};
use crate::engine::Engine;
use crate::lane::{Crew, LaneKind, LaneState, LaneWatch, Teller};
use crate::store::access::Store;
use crate::store::clock_check::require_right_clock;
use crate::store::database::Database;
use crate::store::usage::Metered;

pub use meter_error::MeterError;
pub use report::{Report, Reported};

/// Events that a lane keeps waiting.
const QUEUE_MAX: usize = 100_000;
/// A caller waits no longer than this; the events may still be counted.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

struct LaneHandle {
    queue: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
    state: LaneWatch,
}

/// Counts usage.
pub struct Meter {
    lanes: Vec<LaneHandle>,
    cache: MeteringCache,
    license_cap: LicenseCap,
    unratable: Unratable,
    database: Database,
    clock: Clock,
    allowance: Allowance,
    crew: Crew,
}

impl Meter {
    /// Looks an account up anew: it was changed.
    pub fn forget(&self, account: AccountId) {
        self.cache.forget(account);
    }

    /// Looks everything up anew: a sandbox's clock was moved.
    pub fn forget_all(&self) {
        self.cache.forget_all();
    }

    pub fn start(
        lanes: usize,
        store: &Arc<Store>,
        engine: &Arc<Engine>,
        currencies: &Arc<Currencies>,
        clock: &Clock,
        allowance: Allowance,
    ) -> Self {
        let (mut handles, crew) = (Vec::new(), Crew::default());
        for number in 0..lanes.max(1) {
            let (queue, requests) = mpsc::channel(1_024);
            let teller = Teller::Others(Arc::<Engine>::clone(engine));
            let state = LaneState::new(LaneKind::Usage, number, teller, clock.clone());
            let room = Arc::new(Semaphore::new(QUEUE_MAX));
            handles.push(LaneHandle { queue, room, state: state.watch() });
            crew.start(UsageLane::new(requests, store.database.clone(), clock.clone(), state));
        }
        let cache = MeteringCache::new(Arc::clone(store));
        let license_cap = LicenseCap::new(store.database.clone(), Arc::clone(engine), clock.clone());
        let unratable = Unratable::new(store.database.clone(), Arc::clone(currencies), clock.clone());
        let (database, clock) = (store.database.clone(), clock.clone());
        Self { lanes: handles, cache, license_cap, unratable, database, clock, allowance, crew }
    }

    /// Counts reports, and answers what became of each, in their order; those that could not be read are rejected. When
    /// it fails some may have been counted; sending them again tells.
    pub async fn record(&self, reports: Vec<Result<Report, Fault>>) -> Result<Vec<Outcome>, MeterError> {
        let mut outcomes = vec![None; reports.len()];
        let mut of_lanes: Vec<Vec<(usize, Metered)>> = self.lanes.iter().map(|_| Vec::new()).collect();
        let now = self.clock.now();
        let readable = reports.iter().filter_map(|report| report.as_ref().ok());
        let known = self.cache.look_up(readable, now).await?;
        let metered = |report: Result<Report, Fault>| {
            report.and_then(|report| known.metered(report)).and_then(|metered| self.checked(metered, now))
        };
        let mut all: Vec<Result<Metered, Fault>> = reports.into_iter().map(metered).collect();
        if all.iter().any(|metered| metered.as_ref().is_err_and(Fault::is_of_time)) {
            // Those that lie too early or too late do so by this machine's clock.
            require_right_clock(&*self.database.connection().await?).await?;
        }
        self.unratable.refuse(&mut all, &known).await?;
        self.license_cap.refuse_beyond(&mut all).await?;
        for (place, (metered, outcome)) in all.into_iter().zip(&mut outcomes).enumerate() {
            match metered {
                Ok(metered) => {
                    let lane = metered.event.account.lane(self.lanes.len());
                    if let Some(events) = of_lanes.get_mut(lane) {
                        events.push((place, metered));
                    }
                }
                Err(fault) => *outcome = Some(Outcome::Rejected(fault.to_string())),
            }
        }
        let counting = self.lanes.iter().zip(of_lanes).map(|(lane, events)| count_in(lane, events));
        for (place, counted) in try_join_all(counting).await?.into_iter().flatten() {
            if let Some(outcome) = outcomes.get_mut(place) {
                *outcome = Some(counted);
            }
        }
        let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
        tell(&outcomes);
        Ok(outcomes)
    }

    fn checked(&self, metered: Metered, now: DateTime<Utc>) -> Result<Metered, Fault> {
        metered.event.check(now, self.allowance)?;
        Ok(metered)
    }

    /// What tells whether its lanes can write.
    pub fn watches(&self) -> Vec<LaneWatch> {
        self.lanes.iter().map(|lane| lane.state.clone()).collect()
    }

    /// Takes no more events, counts those that were taken, and ends.
    pub async fn stop(&self) {
        if !self.crew.stop().await {
            tracing::error!("usage was still waiting when the server stopped");
        }
    }
}

/// Has a lane count its share of a request.
async fn count_in(
    lane: &LaneHandle,
    events: Vec<(usize, Metered)>,
) -> Result<Vec<(usize, Outcome)>, MeterError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let (places, events): (Vec<usize>, Vec<Metered>) = events.into_iter().unzip();
    let size = u32::try_from(events.len()).unwrap_or(u32::MAX);
    let room = Arc::clone(&lane.room).try_acquire_many_owned(size).map_err(|_| MeterError::Overloaded)?;
    let (answer, answered) = oneshot::channel();
    lane.queue.try_send(Request { events, answer, _room: room }).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => MeterError::Overloaded,
        mpsc::error::TrySendError::Closed(_) => MeterError::Unavailable("the server is stopping".to_owned()),
    })?;
    let unknown = || MeterError::Unavailable("the outcome is not known; send the events again".to_owned());
    match tokio::time::timeout(ANSWER_TIME_MAX, answered).await {
        Ok(Ok(outcomes)) => Ok(places.into_iter().zip(outcomes?).collect()),
        Ok(Err(_)) | Err(_) => Err(unknown()),
    }
}

fn tell(outcomes: &[Outcome]) {
    for code in ["ACCEPTED", "DUPLICATE", "REJECTED"] {
        let count = outcomes.iter().filter(|outcome| outcome.code() == code).count();
        if let Some(count) = u64::try_from(count).ok().filter(|count| *count > 0) {
            metrics::counter!("abacus_usage_events_total", "outcome" => code).increment(count);
        }
    }
}
