//! The meter's lanes: what a batch of usage is, how it is counted, and what is answered.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{Datelike, NaiveDate};

use super::meter_error::MeterError;
use super::usage_place::{Request, UsagePlace};
use crate::clock::Clock;
use crate::domain::usage::{Fault, Outcome};
use crate::lane::{
    ATTEMPTS_MAX, Attendant, Batch, Lane, LaneConnection, LaneKind, Parts, Retry, in_time, still_in_the_way,
};
use crate::store::cells::{ACCOUNT_IS_MOVING, Cells, MOVING};
use crate::store::database::{Database, OwnConnection};
use crate::store::error::StoreError;
use crate::store::usage::{EVENTS_ARE_KEPT, Mark, Metered, refused_columns, usage_month_make, usage_write};

/// Events of one transaction; a request that begins within it is taken whole.
const BATCH_MAX: usize = 8_192;

pub(super) struct UsageLane {
    pub places: Attendant<UsagePlace>,
    pub cells: Cells,
    /// The place of its cell among them.
    pub cell: usize,
    pub database: Database,
    pub clock: Clock,
}

/// A connection, with what is known of the database as it sees it: that ends with it.
pub(super) struct Session {
    connection: OwnConnection,
    /// The months (UTC) whose partitions are there.
    months: HashSet<NaiveDate>,
}

impl From<OwnConnection> for Session {
    fn from(connection: OwnConnection) -> Self {
        Self { connection, months: HashSet::new() }
    }
}

impl Session {
    /// Writes events, once the partitions that they need are made.
    async fn write(&mut self, events: &[Metered], clock: &Clock) -> Result<Vec<Mark>, StoreError> {
        let months: HashSet<NaiveDate> = events.iter().map(month_of).collect();
        for month in months {
            if !self.months.contains(&month) {
                usage_month_make(&self.connection, month).await?;
                self.months.insert(month);
            }
        }
        usage_write(&mut self.connection, events, clock.now()).await
    }
}

impl Lane for UsageLane {
    const KIND: LaneKind = LaneKind::Usage;
    type Batch = Batch<UsagePlace, Request>;
    type Connection = Session;

    fn take(&mut self) -> Option<Self::Batch> {
        self.places.take(|place| place.take(BATCH_MAX))
    }

    async fn come(&mut self) {
        self.places.changed().await;
    }

    fn close(&mut self) -> bool {
        self.places.close()
    }

    async fn carry_out(&mut self, batch: Self::Batch, session: &mut LaneConnection<Session>) {
        let Batch { turn: place, requests } = batch;
        let mut all = Vec::with_capacity(BATCH_MAX);
        let mut callers = Vec::with_capacity(requests.len());
        for request in requests {
            callers.push((request.events.len(), request.answer, request._room));
            all.extend(request.events);
        }
        metrics::histogram!("abacus_usage_batch_events").record(u32::try_from(all.len()).unwrap_or(u32::MAX));
        let mut outcomes = self.outcomes(&place, all, session).await.into_iter();
        for (size, answer, _room) in callers {
            // What one caller's events met with is nothing to the others.
            let share: Vec<_> = outcomes.by_ref().take(size).collect();
            // A caller that has left learns the outcomes by sending the events again.
            let _ = answer.send(share.into_iter().collect());
        }
    }

    fn has_trial(&self) -> bool {
        self.places.all().iter().any(|place| place.has_trial())
    }

    /// Writes what could not be written, on connections of their own, and takes it back: whoever sent it has been answered.
    async fn try_again(&mut self) {
        for place in self.places.all() {
            for (month, event) in place.trials() {
                let trying = async {
                    let mut session = Session::from(self.database.trial_connection().await?);
                    session.write(std::slice::from_ref(&event), &self.clock).await.map(drop)
                };
                match still_in_the_way(trying).await {
                    Some(error) => {
                        place.fails_still(event.event.account, &error);
                        break;
                    }
                    None => place.wrote_month(month),
                }
            }
            place.wrote();
        }
    }
}

impl UsageLane {
    async fn connect(database: &Database) -> Result<Session, StoreError> {
        database.dedicated_connection().await.map(Session::from)
    }

    /// Counts events of which some may have the same id; the first of those is the one that counts.
    async fn outcomes(
        &self,
        place: &UsagePlace,
        all: Vec<Metered>,
        session: &mut LaneConnection<Session>,
    ) -> Vec<Result<Outcome, MeterError>> {
        let keys: Vec<(i64, String)> =
            all.iter().map(|metered| (metered.event.account.0, metered.event.id.clone())).collect();
        let payloads: Vec<i64> = all.iter().map(|metered| metered.payload).collect();
        let mut first_of: HashMap<&(i64, String), usize> = HashMap::with_capacity(all.len());
        let mut firsts = Vec::with_capacity(all.len());
        let mut first_at = Vec::with_capacity(all.len());
        for (key, metered) in keys.iter().zip(all) {
            let next = firsts.len();
            let first = *first_of.entry(key).or_insert(next);
            first_at.push(first);
            if first == next {
                firsts.push(metered);
            }
        }
        let written = self.write_months(place, &firsts, session).await;
        let mut seen = vec![false; firsts.len()];
        let outcome = |(first, payload): (usize, i64)| {
            let is_first = seen.get_mut(first).is_some_and(|seen| !std::mem::replace(seen, true));
            let counted = match written.get(first) {
                Some(Written::Mark(Mark::New)) if is_first => return Ok(Outcome::Accepted),
                Some(Written::Mark(Mark::New)) => firsts.get(first).map(|metered| metered.payload),
                Some(Written::Mark(Mark::Held(payload))) => Some(*payload),
                Some(Written::Refused(fault)) => return Ok(Outcome::Rejected(fault.to_string())),
                Some(Written::Failed(error)) => return Err(error.clone().into()),
                None => return Err(StoreError::no_answer().into()),
            };
            Ok(if counted == Some(payload) {
                Outcome::Duplicate
            } else {
                Outcome::Rejected("id: another event has this id".to_owned())
            })
        };
        first_at.into_iter().zip(payloads).map(outcome).collect()
    }

    /// Writes events, each month's by themselves: one that cannot be written holds up no other. The answers are in the order
    /// of the events.
    async fn write_months(
        &self,
        place: &UsagePlace,
        events: &[Metered],
        session: &mut LaneConnection<Session>,
    ) -> Vec<Written> {
        let mut of_months: BTreeMap<NaiveDate, Vec<usize>> = BTreeMap::new();
        for (index, metered) in events.iter().enumerate() {
            of_months.entry(month_of(metered)).or_default().push(index);
        }
        let mut written: Vec<Option<Written>> = events.iter().map(|_| None).collect();
        let mut is_away = None;
        for (month, indices) in of_months {
            let of_month = indices.iter().filter_map(|index| events.get(*index));
            let outcome = match (&is_away, indices.len() == events.len()) {
                (Some(error), _) => Err(StoreError::clone(error)),
                (None, true) => self.write_all(place, events, session).await,
                (None, false) => {
                    self.write_all(place, &of_month.clone().cloned().collect::<Vec<_>>(), session).await
                }
            };
            let mut outcome = match outcome {
                Ok(outcome) => {
                    place.wrote_month(month);
                    outcome.into_iter()
                }
                Err(error) => {
                    let first = of_month.clone().next();
                    note_failure(place, month, first, &error);
                    let failed = indices.iter().map(|_| Written::Failed(error.clone())).collect::<Vec<_>>();
                    is_away = Some(error).filter(|error| matches!(error, StoreError::Unavailable(_)));
                    failed.into_iter()
                }
            };
            for index in indices {
                if let Some(slot) = written.get_mut(index) {
                    *slot = outcome.next();
                }
            }
        }
        place.wrote();
        written
            .into_iter()
            .map(|slot| slot.unwrap_or_else(|| Written::Failed(StoreError::no_answer())))
            .collect()
    }

    /// Writes events; what the database rejects, or fails at again and again, is halved until the poisoned event fails alone.
    async fn write_all(
        &self,
        place: &UsagePlace,
        events: &[Metered],
        session: &mut LaneConnection<Session>,
    ) -> Result<Vec<Written>, StoreError> {
        let mut written = Vec::with_capacity(events.len());
        let mut parts = Parts::of(events);
        while let Some(part) = parts.pop() {
            match self.write(place, part, session, parts.attempts()).await {
                Ok(marks) => written.extend(marks.into_iter().map(Written::Mark)),
                Err(error) if part.len() > 1 && is_of_the_events(&error) => parts.halve(part),
                Err(error) if error.is_violation_of(ACCOUNT_IS_MOVING) => {
                    written.push(Written::Failed(StoreError::Unavailable(MOVING.to_owned())));
                }
                Err(error @ StoreError::Rejected { .. }) => {
                    tracing::error!(%error, "an event that was checked cannot be kept");
                    written.push(Written::Refused(self.fault(&error).await));
                }
                // Nobody knows why; what came with it need not know.
                Err(error) if is_of_the_events(&error) => {
                    tracing::error!(%error, "an event cannot be kept");
                    written.push(Written::Failed(error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// What the database does not take of an event, as far as it tells.
    async fn fault(&self, error: &StoreError) -> Fault {
        if error.is_violation_of(EVENTS_ARE_KEPT) {
            return Fault::new("time", "it is so long ago that its month's events are kept no more");
        }
        let columns = match self.database.connection().await {
            Ok(conn) => refused_columns(&conn, error).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        Fault::new(field_of(&columns), "the database cannot keep this value")
    }

    /// Tries until it is committed or has been tried often enough. When a connection is lost at the commit the outcome is
    /// unknown: the marks tell the next try what is done, and those events are answered as duplicates.
    async fn write(
        &self,
        place: &UsagePlace,
        events: &[Metered],
        session: &mut LaneConnection<Session>,
        attempts: u32,
    ) -> Result<Vec<Mark>, StoreError> {
        let mut retry = Retry::new(Self::KIND);
        loop {
            let error = match self.attempt(events, session).await {
                Ok(marks) => return Ok(marks),
                Err(error) => error,
            };
            let attempts = match error {
                // What was broken before is not waited for.
                StoreError::Broken(_) if place.were_broken(events.iter().map(month_of)) => 1,
                StoreError::Broken(_) => ATTEMPTS_MAX,
                _ => attempts,
            };
            retry.after(error, attempts).await?;
        }
    }

    async fn attempt(
        &self,
        events: &[Metered],
        session: &mut LaneConnection<Session>,
    ) -> Result<Vec<Mark>, StoreError> {
        // Asked again with each try: accounts may have left meanwhile.
        self.cells.require_heard(self.cell)?;
        if !events.iter().all(|metered| self.cells.is_written_at(self.cell, metered.event.account)) {
            let (constraint, message) = (Some(ACCOUNT_IS_MOVING.to_owned()), MOVING.to_owned());
            return Err(StoreError::Rejected { constraint, message });
        }
        let mut live = session.take(Self::connect(&self.database)).await?;
        let outcome = in_time(live.write(events, &self.clock)).await;
        session.keep(live, &outcome);
        outcome
    }
}

fn note_failure(place: &UsagePlace, month: NaiveDate, first: Option<&Metered>, error: &StoreError) {
    tracing::error!(%month, %error, "usage could not be counted");
    if let Some(first) = first.filter(|_| error.is_of_the_machinery()) {
        place.failed(month, first, error);
    }
}

/// Whether the same events would fail again, and others need not.
fn is_of_the_events(error: &StoreError) -> bool {
    matches!(error, StoreError::Rejected { .. } | StoreError::Internal(_) | StoreError::Corrupt(_))
}

/// What became of an event in the database.
enum Written {
    Mark(Mark),
    Refused(Fault),
    /// It is not known to be kept, for no fault of its own.
    Failed(StoreError),
}

/// The field of a report that a refused value comes from.
fn field_of(columns: &[String]) -> &'static str {
    let is = |names: &[&str]| columns.iter().any(|column| names.contains(&column.as_str()));
    // Of a key that has several, the one that its sender has chosen.
    if is(&["subject"]) {
        "subject"
    } else if is(&["quantity"]) {
        "quantity"
    } else if is(&["event_id"]) {
        "id"
    } else if is(&["attributes"]) {
        "attributes"
    } else if is(&["datacenter"]) {
        "datacenter"
    } else if is(&["time", "hour", "slot", "reported_at"]) {
        "time"
    } else if is(&["resource_code"]) {
        "resource"
    } else if is(&["account_id"]) {
        "accountId"
    } else {
        "event"
    }
}

/// The first of the month (UTC) that an event is kept in.
fn month_of(metered: &Metered) -> NaiveDate {
    let day = metered.event.time.date_naive();
    day.with_day(1).unwrap_or(day)
}
