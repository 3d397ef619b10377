//! The engine's lanes: what a batch of commands is, how it is carried out, and what is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{self, Verdict};
use super::batch_store::BatchStore;
use super::doubts::Doubts;
use super::engine_error::EngineError;
use super::held::Held;
use super::queue::Queue;
use super::request::{Request, Whose};
use super::stale::{Asked, Patience};
use crate::clock::Clock;
use crate::domain::command::Command;
use crate::lane::{Lane, LaneConnection, LaneKind, LaneState, Parts, Retry, in_time, still_in_the_way};
use crate::store::error::StoreError;

pub(super) struct CommandLane<S> {
    pub queue: Arc<Queue>,
    pub held: Held,
    pub store: S,
    pub clock: Clock,
    pub batch_max: usize,
    pub held_time_max: Duration,
    pub patience: Patience,
    pub state: LaneState,
    pub doubts: Arc<Doubts>,
    /// A command that could not be written, for no fault of its own.
    pub trial: Option<Command>,
}

impl<S> Drop for CommandLane<S> {
    /// Whoever waits for a lane that is gone is told.
    fn drop(&mut self) {
        self.queue.abandon();
    }
}

impl<S: BatchStore> Lane for CommandLane<S> {
    const KIND: LaneKind = LaneKind::Commands;
    type Batch = Vec<Request>;
    type Connection = S::Connection;

    fn take(&mut self) -> Option<Vec<Request>> {
        let mut batch = self.try_held();
        self.queue.fill(&mut batch, self.batch_max);
        (!batch.is_empty()).then_some(batch)
    }

    async fn come(&mut self) {
        let held_next = self.held.next();
        let held_due = async {
            match held_next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.queue.changed() => {}
            () = held_due => {}
        }
    }

    fn close(&mut self) -> bool {
        self.queue.close();
        self.queue.is_empty()
    }

    /// Carries out a batch; what the database rejects is halved until the poisoned command fails alone.
    async fn carry_out(&mut self, batch: Vec<Request>, connection: &mut LaneConnection<S::Connection>) {
        metrics::histogram!("abacus_batch_commands").record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        let mut parts = Parts::of(batch);
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
        self.set_aside(held);
        match unwritten {
            Some((command, error)) if !has_written => self.note(&command, Some(error)),
            _ if has_written => {
                self.trial = None;
                self.state.wrote();
            }
            _ => {}
        }
    }

    fn end_batch(&mut self) {
        for whose in self.held.end_tried() {
            self.queue.resume(whose);
        }
    }

    fn has_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// Writes what could not be written, on a connection of its own, and takes it back: whoever asked has been answered.
    async fn try_again(&mut self) {
        let Some(command) = self.trial.clone() else { return };
        let trying = async {
            let mut live = self.store.connect_for_trial().await?;
            let commit = AtomicBool::new(false);
            let alone = [Asked { command: &command, arrived: Instant::now() }];
            let asked = (&alone[..], self.patience);
            let verdicts = batch::run(&self.store, &mut live, &self.clock, asked, &commit).await?;
            // Of an account that is held by others nothing was written.
            let is_held = verdicts.iter().any(|verdict| matches!(verdict, Verdict::LockedElsewhere));
            if is_held { Err(StoreError::Unavailable("its account is held".to_owned())) } else { Ok(()) }
        };
        let error = still_in_the_way(trying).await;
        self.note(&command, error);
    }
}

impl<S: BatchStore> CommandLane<S> {
    /// The first command of each account that was held and is to be tried again: together a quarter of a batch at most. Those that
    /// have waited too long are answered.
    fn try_held(&mut self) -> Vec<Request> {
        let mut batch = Vec::new();
        for (whose, since) in self.held.due() {
            let has_expired = |request: &Request| since.max(request.arrived).elapsed() >= self.held_time_max;
            while let Some(mut request) = self.queue.pop_aside_if(whose, has_expired) {
                // Who holds it may be another server that carries out the same key.
                request.is_in_doubt |= request.command.key.is_some() && !request.command.dry_run;
                request.fail(EngineError::Overloaded, &self.doubts);
            }
            match self.queue.pop_aside_if(whose, |_| true) {
                Some(request) => {
                    self.held.tried(whose);
                    batch.push(request);
                }
                None => {
                    self.held.forget(whose);
                    self.queue.resume(whose);
                }
            }
            if batch.len() >= (self.batch_max / 4).max(1) {
                break;
            }
        }
        batch
    }

    /// Has the commands of accounts that are held wait, in their order.
    fn set_aside(&mut self, found: Vec<Request>) {
        let mut of_each: BTreeMap<Whose, Vec<Request>> = BTreeMap::new();
        for request in found {
            of_each.entry(request.whose()).or_default().push(request);
        }
        for (whose, requests) in of_each {
            self.held.found(whose);
            self.queue.set_aside(whose, requests);
        }
    }

    /// Keeps in mind whether what was asked could be written.
    fn note(&mut self, command: &Command, error: Option<StoreError>) {
        match error {
            Some(error) => {
                self.state.failed(command.account, &error);
                self.trial.get_or_insert_with(|| command.clone());
            }
            None => {
                self.trial = None;
                self.state.wrote();
            }
        }
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
        let mut live = connection.take(self.store.connect()).await?;
        let asked = part.iter().map(|request| Asked { command: &request.command, arrived: request.arrived });
        let asked: Vec<Asked<'_>> = asked.collect();
        let asked = (asked.as_slice(), self.patience);
        let outcome = in_time(batch::run(&self.store, &mut live, &self.clock, asked, commit)).await;
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
