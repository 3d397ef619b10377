//! A lane: takes what has queued, counts it in one transaction, answers, and starts over.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use chrono::{Datelike, NaiveDate};
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::MeterError;
use crate::clock::Clock;
use crate::domain::usage::Outcome;
use crate::store::database::{Database, OwnConnection};
use crate::store::error::StoreError;
use crate::store::usage::{Mark, Metered, usage_month_make, usage_write};

/// Events of one transaction; a request that begins within it is taken whole.
const BATCH_MAX: usize = 8_192;
/// A batch is tried so often before its callers are told.
const ATTEMPTS_MAX: u32 = 6;
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// PostgreSQL ends a statement long before; this is for a connection that says nothing at all.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(60);

/// Events with the one who waits for them.
pub(super) struct Request {
    pub events: Vec<Metered>,
    pub answer: oneshot::Sender<Result<Vec<Outcome>, MeterError>>,
    /// Its share of what may wait.
    pub _room: OwnedSemaphorePermit,
}

pub(super) struct Lane {
    pub requests: mpsc::Receiver<Request>,
    pub stopping: watch::Receiver<bool>,
    pub database: Database,
    pub clock: Clock,
}

/// What a lane keeps between batches.
#[derive(Default)]
struct Session {
    connection: Option<OwnConnection>,
    /// The months (UTC) whose partitions are there.
    months: HashSet<NaiveDate>,
}

impl Lane {
    /// Runs until the meter stops and nothing waits any more.
    pub async fn run(mut self) {
        let mut session = Session::default();
        while let Some(batch) = self.next_batch().await {
            let counting = AssertUnwindSafe(self.count(batch, &mut session)).catch_unwind().await;
            if counting.is_err() {
                // Its callers are told that the outcome is unknown; the lane goes on.
                tracing::error!("a batch of usage panicked");
                session = Session::default();
            }
        }
    }

    /// What has queued, waiting for the first if there is none. None: the meter stops, and all is done.
    async fn next_batch(&mut self) -> Option<Vec<Request>> {
        let first = self.first().await?;
        let mut events = first.events.len();
        let mut batch = vec![first];
        while events < BATCH_MAX {
            let Ok(request) = self.requests.try_recv() else { break };
            events = events.saturating_add(request.events.len());
            batch.push(request);
        }
        Some(batch)
    }

    async fn first(&mut self) -> Option<Request> {
        loop {
            if *self.stopping.borrow() {
                self.requests.close();
                return self.requests.recv().await;
            }
            tokio::select! {
                biased;
                Some(request) = self.requests.recv() => return Some(request),
                changed = self.stopping.changed() => {
                    // A meter that is gone without a word stops its lanes too.
                    if changed.is_err() {
                        return None;
                    }
                }
            }
        }
    }

    async fn count(&self, batch: Vec<Request>, session: &mut Session) {
        let mut all = Vec::with_capacity(BATCH_MAX);
        let mut callers = Vec::with_capacity(batch.len());
        for request in batch {
            callers.push((request.events.len(), request.answer, request._room));
            all.extend(request.events);
        }
        metrics::histogram!("abacus_usage_batch_events").record(u32::try_from(all.len()).unwrap_or(u32::MAX));
        let outcomes = self.outcomes(all, session).await;
        if let Err(error) = &outcomes {
            tracing::error!(%error, "usage could not be counted");
        }
        let mut outcomes = outcomes.map(Vec::into_iter);
        for (size, answer, _room) in callers {
            let share = outcomes.as_mut().map(|outcomes| outcomes.by_ref().take(size).collect());
            // A caller that has left learns the outcomes by sending the events again.
            let _ = answer.send(share.map_err(|error| error.clone()));
        }
    }

    /// Counts events of which some may have the same id; the first of those is the one that counts.
    async fn outcomes(&self, all: Vec<Metered>, session: &mut Session) -> Result<Vec<Outcome>, MeterError> {
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
        let marks = self.write_all(&firsts, session).await?;
        let mut seen = vec![false; firsts.len()];
        let outcome = |(first, payload): (usize, i64)| {
            let is_first = seen.get_mut(first).is_some_and(|seen| !std::mem::replace(seen, true));
            let counted = match marks.get(first) {
                Some(Written::Mark(Mark::New)) if is_first => return Outcome::Accepted,
                Some(Written::Mark(Mark::New)) => firsts.get(first).map(|metered| metered.payload),
                Some(Written::Mark(Mark::Held(payload))) => Some(*payload),
                Some(Written::Refused(message)) => return Outcome::Rejected(message.clone()),
                None => None,
            };
            if counted == Some(payload) {
                Outcome::Duplicate
            } else {
                Outcome::Rejected("id: another event has this id".to_owned())
            }
        };
        Ok(first_at.into_iter().zip(payloads).map(outcome).collect())
    }

    /// Writes events; what the database rejects is halved until the poisoned event fails alone.
    async fn write_all(&self, events: &[Metered], session: &mut Session) -> Result<Vec<Written>, MeterError> {
        let mut written = Vec::with_capacity(events.len());
        let mut parts = vec![events];
        while let Some(part) = parts.pop() {
            match self.write(part, session).await {
                Ok(marks) => written.extend(marks.into_iter().map(Written::Mark)),
                Err(StoreError::Rejected { .. }) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    // What comes first is written first, so that the answers keep their order.
                    parts.extend([second, first]);
                }
                Err(error @ StoreError::Rejected { .. }) => {
                    tracing::error!(%error, "an event could not be kept");
                    written.push(Written::Refused("it could not be kept".to_owned()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(written)
    }

    /// Tries until it is committed or has been tried often enough. When a connection is lost at the commit the outcome is
    /// unknown: the marks tell the next try what is done, and those events are answered as duplicates.
    async fn write(&self, events: &[Metered], session: &mut Session) -> Result<Vec<Mark>, StoreError> {
        let mut backoff = BACKOFF_FIRST;
        let mut attempt = 1;
        loop {
            let error = match self.attempt(events, session).await {
                Ok(marks) => return Ok(marks),
                Err(error) => error,
            };
            let retry = match error {
                StoreError::Unavailable(_) => {
                    session.connection = None;
                    true
                }
                StoreError::Contended(_) | StoreError::Internal(_) => true,
                StoreError::Rejected { .. } | StoreError::Corrupt(_) | StoreError::Overloaded => false,
            };
            if !retry || attempt >= ATTEMPTS_MAX {
                return Err(error);
            }
            metrics::counter!("abacus_usage_retries_total").increment(1);
            tokio::time::sleep(backoff).await;
            backoff = backoff.saturating_mul(3).min(BACKOFF_MAX);
            attempt += 1;
        }
    }

    async fn attempt(&self, events: &[Metered], session: &mut Session) -> Result<Vec<Mark>, StoreError> {
        let mut live = match session.connection.take() {
            Some(live) => live,
            None => self.database.dedicated_connection().await?,
        };
        let months: HashSet<NaiveDate> = events.iter().filter_map(month_of).collect();
        let missing: Vec<NaiveDate> = months.difference(&session.months).copied().collect();
        let writing = async {
            for month in &missing {
                usage_month_make(&live, *month).await?;
            }
            usage_write(&mut live, events, self.clock.now()).await
        };
        let outcome = tokio::time::timeout(ATTEMPT_TIME_MAX, writing).await;
        match outcome {
            // The connection is put back only when its transaction has come to an end.
            Ok(outcome) => {
                session.connection = Some(live);
                session.months.extend(missing);
                outcome
            }
            Err(_) => Err(StoreError::Unavailable("the database did not answer for a minute".to_owned())),
        }
    }
}

/// What became of an event in the database.
enum Written {
    Mark(Mark),
    Refused(String),
}

/// The first of the month (UTC) that an event is kept in.
fn month_of(metered: &Metered) -> Option<NaiveDate> {
    metered.event.time.date_naive().with_day(1)
}
