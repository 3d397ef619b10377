//! What metering agents report is counted: each event once, however often it is sent.
//!
//! Like the engine's commands, events wait at the places of their accounts: a lane takes whatever has queued at one while the last
//! batch was under way, and writes it as one transaction. Several requests share a commit, and the events of one
//! account never wait for each other. docs/adr/0011 tells why.

mod cache;
mod lane;
mod license_cap;
mod meter_error;
mod refused;
mod report;
mod unratable;
mod usage_place;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cache::MeteringCache;
use chrono::{DateTime, Utc};
use futures_util::future::{join_all, try_join_all};
use lane::UsageLane;
use license_cap::LicenseCap;
use tokio::sync::oneshot;
use unratable::Unratable;
use usage_place::UsagePlace;

use crate::clock::Clock;
use crate::domain::ids::AccountId;
use crate::domain::money::Currencies;
use crate::domain::usage::{Allowance, Fault, Outcome};
use crate::engine::Engine;
use crate::lane::{Attendant, Crew, LaneNumber, LaneWatch, Places};
use crate::store::access::Store;
use crate::store::cells::{Cell, Cells, MOVING};
use crate::store::clock_check::require_right_clock;
use crate::store::database::Database;
use crate::store::usage::Metered;

pub use meter_error::MeterError;
pub use report::{Report, Reported};

/// A caller waits no longer than this; the events may still be counted.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// Counts usage. Each cell has lanes of its own, so that none waits for one that is away.
pub struct Meter {
    cells: Cells,
    /// By the places of the cells.
    parts: Box<[CellMeter]>,
    cache: MeteringCache,
    license_cap: LicenseCap,
    unratable: Unratable,
    clock: Clock,
    allowance: Allowance,
}

/// What counts the usage of a cell's accounts.
struct CellMeter {
    places: Arc<Places<UsagePlace>>,
    lanes: usize,
    database: Database,
    crew: Crew,
}

impl CellMeter {
    fn start(lanes: usize, cells: &Cells, cell: &Cell, engine: &Arc<Engine>, clock: &Clock) -> Self {
        let (lanes, crew) = (lanes.max(1), Crew::default());
        let (opening, number) = ((Arc::clone(engine), clock.clone()), cell.number);
        let open =
            move |nth| UsagePlace::open(LaneNumber { cell: number, number: nth }, &opening.0, &opening.1);
        let places = Places::new(lanes, open);
        for _ in 0..lanes {
            let (database, clock) = (cell.database.clone(), clock.clone());
            let (cells, place) = (cells.clone(), cells.place_at(cell.number).unwrap_or(0));
            crew.start(UsageLane { places: Attendant::of(&places), cells, cell: place, database, clock });
        }
        Self { places, lanes, database: cell.database.clone(), crew }
    }

    /// The place at which the events of an account wait: where all are in one database each lane has a share of them.
    fn place_of(&self, account: AccountId) -> usize {
        self.database.topology().of(account).unwrap_or_else(|| account.lane(self.lanes))
    }

    /// Has a place's share of a request counted.
    async fn count_in(
        &self,
        place: usize,
        events: Vec<(usize, Metered)>,
    ) -> Result<Vec<(usize, Outcome)>, MeterError> {
        let (indices, events): (Vec<usize>, Vec<Metered>) = events.into_iter().unzip();
        let (answer, answered) = oneshot::channel();
        self.places.at(place).push(events, answer)?;
        self.places.come(place);
        let unknown =
            || MeterError::Unavailable("the outcome is not known; send the events again".to_owned());
        match tokio::time::timeout(ANSWER_TIME_MAX, answered).await {
            Ok(Ok(outcomes)) => Ok(indices.into_iter().zip(outcomes?).collect()),
            Ok(Err(_)) | Err(_) => Err(unknown()),
        }
    }
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
        let cells = store.cells().clone();
        let parts = cells.all().map(|cell| CellMeter::start(lanes, &cells, cell, engine, clock)).collect();
        let cache = MeteringCache::new(Arc::clone(store));
        let license_cap = LicenseCap::new(cells.clone(), Arc::clone(engine), clock.clone());
        let unratable = Unratable::new(cells.clone(), Arc::clone(currencies), clock.clone());
        Self { cells, parts, cache, license_cap, unratable, clock: clock.clone(), allowance }
    }

    /// Counts reports, and answers what became of each, in their order; those that could not be read are rejected. When
    /// it fails some may have been counted; sending them again tells.
    pub async fn record(&self, reports: Vec<Result<Report, Fault>>) -> Result<Vec<Outcome>, MeterError> {
        let mut outcomes = vec![None; reports.len()];
        let mut of_places: BTreeMap<(usize, usize), Vec<(usize, Metered)>> = BTreeMap::new();
        let now = self.clock.now();
        let readable = reports.iter().filter_map(|report| report.as_ref().ok());
        let known = self.cache.look_up(readable, now).await?;
        let metered = |report: Result<Report, Fault>| {
            report.and_then(|report| known.metered(report)).and_then(|metered| self.checked(metered, now))
        };
        let mut all: Vec<Result<Metered, Fault>> = reports.into_iter().map(metered).collect();
        if all.iter().any(|metered| metered.as_ref().is_err_and(Fault::is_of_time)) {
            // Those that lie too early or too late do so by this machine's clock.
            require_right_clock(&*self.cells.home().database.connection().await?).await?;
        }
        self.unratable.refuse(&mut all, &known).await?;
        self.license_cap.refuse_beyond(&mut all).await?;
        for (index, (metered, outcome)) in all.into_iter().zip(&mut outcomes).enumerate() {
            match metered {
                Ok(metered) => {
                    if self.cells.is_moving(metered.event.account) {
                        return Err(MeterError::Unavailable(MOVING.to_owned()));
                    }
                    let place = self.place_of(metered.event.account);
                    of_places.entry(place).or_default().push((index, metered));
                }
                Err(fault) => *outcome = Some(Outcome::Rejected(fault.to_string())),
            }
        }
        let counting = of_places.into_iter().map(|((cell, place), events)| async move {
            let stopping = || MeterError::Unavailable("the server is stopping".to_owned());
            self.parts.get(cell).ok_or_else(stopping)?.count_in(place, events).await
        });
        for (index, counted) in try_join_all(counting).await?.into_iter().flatten() {
            if let Some(outcome) = outcomes.get_mut(index) {
                *outcome = Some(counted);
            }
        }
        let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
        tell(&outcomes);
        Ok(outcomes)
    }

    /// The cell in which the events of an account are counted, and where they wait there.
    fn place_of(&self, account: AccountId) -> (usize, usize) {
        let cell = self.cells.place_of(account);
        (cell, self.parts.get(cell).map_or(0, |part| part.place_of(account)))
    }

    fn checked(&self, metered: Metered, now: DateTime<Utc>) -> Result<Metered, Fault> {
        metered.event.check(now, self.allowance)?;
        Ok(metered)
    }

    /// What tells whether its lanes can write.
    pub fn watches(&self) -> Vec<LaneWatch> {
        let watches = |part: &CellMeter| part.places.all().iter().map(|place| place.watch.clone()).collect();
        self.parts.iter().flat_map(|part| -> Vec<LaneWatch> { watches(part) }).collect()
    }

    /// Takes no more events, counts those that were taken, and ends.
    pub async fn stop(&self) {
        let stopped = join_all(self.parts.iter().map(|part| part.crew.stop())).await;
        if stopped.contains(&false) {
            tracing::error!("usage was still waiting when the server stopped");
        }
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
