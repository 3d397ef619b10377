//! The engine's lanes: what a batch of commands is, how it is carried out, and what is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{self, Verdict};
use super::batch_store::BatchStore;
use super::command_place::CommandPlace;
use super::doubts::Doubts;
use super::engine_error::EngineError;
use super::request::{Request, Whose};
use super::stale::{Asked, Patience};
use crate::clock::Clock;
use crate::domain::command::Command;
use crate::lane::{
    Attendant, Batch, Lane, LaneConnection, LaneKind, Parts, Retry, in_time, still_in_the_way,
};
use crate::store::cells::{ACCOUNT_IS_MOVING, MOVING};
use crate::store::error::StoreError;
use crate::store::places::group_by;

pub(super) struct CommandLane<S> {
    pub places: Attendant<CommandPlace>,
    pub store: S,
    pub clock: Clock,
    pub batch_max: usize,
    pub held_time_max: Duration,
    pub patience: Patience,
    pub doubts: Arc<Doubts>,
}

impl<S: BatchStore> Lane for CommandLane<S> {
    const KIND: LaneKind = LaneKind::Commands;
    type Batch = Batch<CommandPlace, Request>;
    type Connection = S::Connection;

    fn take(&mut self) -> Option<Self::Batch> {
        // Where everything that was held has expired there is nothing to carry out.
        self.places.take(|place| {
            let mut requests = self.try_held(place);
            place.queue.fill(&mut requests, self.batch_max);
            requests
        })
    }

    async fn come(&mut self) {
        self.places.changed().await;
    }

    fn close(&mut self) -> bool {
        self.places.close()
    }

    /// Carries out a batch; what the database rejects is halved until the poisoned command fails alone.
    async fn carry_out(&mut self, batch: Self::Batch, connection: &mut LaneConnection<S::Connection>) {
        let Batch { turn: place, requests } = batch;
        metrics::histogram!("abacus_batch_commands")
            .record(u32::try_from(requests.len()).unwrap_or(u32::MAX));
        let mut parts = Parts::of_each(self.by_place(requests));
        let mut held = Vec::new();
        // What could not be written, and whether anything could.
        let (mut unwritten, mut has_written) = (None, false);
        while let Some(mut part) = parts.pop() {
            match self.run_whole(&mut part, connection, parts.attempts()).await {
                Ok(verdicts) => {
                    // Of accounts that others hold nothing was written.
                    has_written |=
                        !verdicts.iter().all(|verdict| matches!(verdict, Verdict::LockedElsewhere));
                    self.answer_all(part, verdicts, &mut held);
                    move_what_follows(&mut parts, &mut held);
                }
                Err(StoreError::Contended(_)) => self.fail_all(part, &EngineError::Overloaded),
                Err(error) if part.len() > 1 && !is_of_the_machine(&error) => {
                    tracing::warn!(%error, commands = part.len(), "a batch is split");
                    parts.halve(part);
                }
                Err(error) if error.is_violation_of(ACCOUNT_IS_MOVING) => {
                    self.fail_all(part, &EngineError::Unavailable(MOVING.to_owned()));
                }
                Err(error) if error.is_of_the_machinery() => {
                    let first = part.first().map(|request| request.command.clone());
                    self.fail_all(part, &EngineError::Unavailable(error.to_string()));
                    unwritten = unwritten.or(first.map(|command| (command, error)));
                }
                Err(error) => {
                    metrics::counter!("abacus_commands_failed_total").increment(1);
                    tracing::error!(%error, "a command failed");
                    self.fail_all(part, &EngineError::Failed(error));
                }
            }
        }
        set_aside(&place, held);
        match unwritten {
            Some((command, error)) if !has_written => place.failed(&command, &error),
            _ if has_written => place.wrote(),
            _ => {}
        }
    }

    fn has_trial(&self) -> bool {
        self.places.all().iter().any(|place| place.has_trial())
    }

    /// Writes what could not be written, on a connection of its own, and takes it back: whoever asked has been answered.
    async fn try_again(&mut self) {
        for (number, place) in self.places.all().iter().enumerate() {
            let Some(command) = place.take_trial() else { continue };
            match still_in_the_way(self.try_out(&command)).await {
                Some(error) => place.failed(&command, &error),
                None => place.wrote(),
            }
            // What is told of it waits there.
            self.places.come(number);
        }
    }
}

impl<S: BatchStore> CommandLane<S> {
    async fn try_out(&self, command: &Command) -> Result<(), StoreError> {
        let live = self.store.connect_for_trial().await?;
        let commit = AtomicBool::new(false);
        let alone = [Asked { command, arrived: Instant::now() }];
        let asked = (&alone[..], self.patience);
        let verdicts = batch::run(&self.store, &live, &self.clock, asked, &commit).await?;
        // Of an account that is held by others nothing was written.
        let is_held = verdicts.iter().any(|verdict| matches!(verdict, Verdict::LockedElsewhere));
        if is_held { Err(StoreError::Unavailable("its account is held".to_owned())) } else { Ok(()) }
    }

    /// What waited together, by where its accounts live now: no transaction has two places.
    fn by_place(&self, requests: Vec<Request>) -> Vec<Vec<Request>> {
        group_by(requests, |request| self.store.place_of(request.command.account))
    }

    /// The first command of each account of a place that was held and is to be tried again: together a quarter of a batch at most.
    /// Those that have waited too long are answered.
    fn try_held(&self, place: &CommandPlace) -> Vec<Request> {
        let mut batch = Vec::new();
        for (whose, since) in place.with_held(|held| held.due()) {
            let has_expired = |request: &Request| since.max(request.arrived).elapsed() >= self.held_time_max;
            while let Some(mut request) = place.queue.pop_aside_if(whose, has_expired) {
                // Who holds it may be another server that carries out the same key.
                request.is_in_doubt |= request.command.key.is_some() && !request.command.dry_run;
                request.fail(EngineError::Overloaded, &self.doubts);
            }
            match place.queue.pop_aside_if(whose, |_| true) {
                Some(request) => {
                    place.with_held(|held| held.tried(whose));
                    batch.push(request);
                }
                None => {
                    place.with_held(|held| held.forget(whose));
                    place.queue.resume(whose);
                }
            }
            if batch.len() >= (self.batch_max / 4).max(1) {
                break;
            }
        }
        batch
    }

    /// Tries a batch until it is committed, or refused by the database, or has been tried often enough. When a
    /// connection is lost at the commit the outcome is unknown: the keys tell the next try what is done.
    async fn run_whole(
        &self,
        part: &mut [Request],
        connection: &mut LaneConnection<S::Connection>,
        attempts: u32,
    ) -> Result<Vec<Verdict>, StoreError> {
        let mut retry = Retry::new(Self::KIND);
        loop {
            let commit = AtomicBool::new(false);
            let error = match self.attempt(part, connection, &commit).await {
                Ok(verdicts) => return Ok(verdicts),
                Err(error) => error,
            };
            // What the database answers to a commit is so; where the answer is lost it is not known.
            let is_answered = matches!(error, StoreError::Rejected { .. } | StoreError::Contended(_));
            if commit.into_inner() && !is_answered {
                part.iter_mut().for_each(|request| request.is_in_doubt |= !request.command.dry_run);
            }
            retry.after(error, attempts).await?;
        }
    }

    async fn attempt(
        &self,
        part: &[Request],
        connection: &mut LaneConnection<S::Connection>,
        commit: &AtomicBool,
    ) -> Result<Vec<Verdict>, StoreError> {
        let live = connection.take(self.store.connect()).await?;
        let asked = part.iter().map(|request| Asked { command: &request.command, arrived: request.arrived });
        let asked: Vec<Asked<'_>> = asked.collect();
        let asked = (asked.as_slice(), self.patience);
        let outcome = in_time(batch::run(&self.store, &live, &self.clock, asked, commit)).await;
        connection.keep(live, &outcome);
        outcome
    }

    fn answer_all(&self, part: Vec<Request>, verdicts: Vec<Verdict>, held: &mut Vec<Request>) {
        for (request, verdict) in part.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Done(done) => {
                    metrics::counter!("abacus_commands_done_total").increment(1);
                    self.doubts.end(&request.command);
                    request.answer(Ok(done));
                }
                Verdict::Refused(refusal) => {
                    metrics::counter!("abacus_commands_refused_total", "code" => refusal.code.code())
                        .increment(1);
                    self.doubts.end(&request.command);
                    request.answer(Err(EngineError::Refused(refusal)));
                }
                Verdict::LockedElsewhere => held.push(request),
                Verdict::AheadOfTime(last) => {
                    let error = EngineError::ahead_of_time(last);
                    tracing::error!(account = %request.command.account, %error, "a command was not carried out");
                    request.fail(error, &self.doubts);
                }
                Verdict::TooLate => request.fail(EngineError::Overloaded, &self.doubts),
            }
        }
    }

    fn fail_all(&self, part: Vec<Request>, error: &EngineError) {
        for request in part {
            request.fail(error.clone(), &self.doubts);
        }
    }
}

/// Has the commands of accounts that are held wait, in their order.
fn set_aside(place: &CommandPlace, found: Vec<Request>) {
    let mut of_each: BTreeMap<Whose, Vec<Request>> = BTreeMap::new();
    for request in found {
        of_each.entry(request.whose()).or_default().push(request);
    }
    for (whose, requests) in of_each {
        place.with_held(|held| held.found(whose));
        place.queue.set_aside(whose, requests);
    }
}

/// What follows on commands of accounts that are held, in the parts of a batch that are still to come, waits with them: an account's
/// commands keep their order.
fn move_what_follows(parts: &mut Parts<Vec<Request>>, held: &mut Vec<Request>) {
    let accounts: Vec<Whose> = held.iter().map(Request::whose).collect();
    if accounts.is_empty() {
        return;
    }
    for part in parts.to_come() {
        let (follows, others) =
            std::mem::take(part).into_iter().partition(|request| accounts.contains(&request.whose()));
        *part = others;
        held.extend::<Vec<Request>>(follows);
    }
}

/// Whether no part of a batch would fare better.
fn is_of_the_machine(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::WrongClock(_))
}
