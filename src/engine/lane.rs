//! A lane: takes what has queued, runs it as a batch, answers, and starts over.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use diesel_async::AsyncPgConnection;
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};

use super::batch::{self, Ground, Verdict};
use super::doubts::Doubts;
use super::lane_state::{TRIAL_PAUSE, still_in_the_way};
use super::stale::{Asked, Patience};
use super::{EngineError, LaneState};
use crate::clock::Clock;
use crate::domain::command::{Command, Done};
use crate::store::database::Database;
use crate::store::error::StoreError;

/// A batch is tried so often before its callers are told.
const ATTEMPTS_MAX: u32 = 6;
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// PostgreSQL ends a statement long before; this is for a connection that says nothing at all.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(60);
/// How soon, where nothing else makes a batch.
const HELD_PAUSE: Duration = Duration::from_millis(5);

/// A command with the one who waits for it.
pub struct Request {
    command: Command,
    answer: oneshot::Sender<Result<Done, EngineError>>,
    arrived: Instant,
    /// Since when its account was found held.
    held_since: Option<Instant>,
    /// Whether a commit with it was sent, and nobody knows what became of that.
    is_in_doubt: bool,
}

impl Request {
    pub fn new(
        command: Command,
        answer: oneshot::Sender<Result<Done, EngineError>>,
        arrived: Instant,
    ) -> Self {
        Self { command, answer, arrived, held_since: None, is_in_doubt: false }
    }

    pub(super) fn command(&self) -> &Command {
        &self.command
    }

    fn answer(self, outcome: Result<Done, EngineError>) {
        // A caller that has left learns the outcome by asking again with its key.
        let _ = self.answer.send(outcome);
    }

    /// Answers that it was not carried out, unless it may have been, or may still be.
    fn fail(self, error: EngineError, doubts: &Doubts) {
        if self.is_in_doubt {
            doubts.begin(self.command.kept_key());
            return self.answer(Err(EngineError::Unknown));
        }
        let error = doubts.told(&self.command, error);
        self.answer(Err(error));
    }
}

pub(super) struct Lane {
    pub people: mpsc::Receiver<Request>,
    pub jobs: mpsc::Receiver<Request>,
    pub stopping: watch::Receiver<bool>,
    pub database: Database,
    pub ground: Ground,
    pub clock: Clock,
    pub batch_max: usize,
    pub held_time_max: Duration,
    pub patience: Patience,
    pub state: LaneState,
    pub doubts: Arc<Doubts>,
    /// A command that could not be written, for no fault of its own.
    pub trial: Option<Command>,
}

impl Lane {
    /// Runs until the engine stops and nothing waits any more.
    pub async fn run(mut self) {
        let mut connection = None;
        let mut held = VecDeque::new();
        while let Some(batch) = self.next_batch(&mut held).await {
            metrics::histogram!("abacus_batch_commands")
                .record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
            let carried_out =
                AssertUnwindSafe(self.carry_out(batch, &mut connection, &mut held)).catch_unwind().await;
            if carried_out.is_err() {
                // Its callers are told that the outcome is unknown; the lane goes on.
                tracing::error!("a batch panicked");
                connection = None;
            }
        }
    }

    /// What has queued, waiting for the first if there is none. None: the engine stops, and all is done.
    async fn next_batch(&mut self, held: &mut VecDeque<Request>) -> Option<Vec<Request>> {
        let mut batch: Vec<Request> = held.drain(..).collect();
        if batch.is_empty() {
            batch.push(self.first().await?);
        } else if self.people.is_empty() && self.jobs.is_empty() {
            tokio::time::sleep(HELD_PAUSE).await;
        }
        while batch.len() < self.batch_max {
            let Ok(request) = self.people.try_recv() else { break };
            batch.push(request);
        }
        // Jobs take a quarter of a batch while people wait, and whatever is free when none do.
        let people_wait = !self.people.is_empty() || batch.len() > 1;
        let share = if people_wait { self.batch_max / 4 } else { self.batch_max };
        for _ in 0..share.min(self.batch_max.saturating_sub(batch.len())) {
            let Ok(request) = self.jobs.try_recv() else { break };
            batch.push(request);
        }
        Some(batch)
    }

    async fn first(&mut self) -> Option<Request> {
        loop {
            if *self.stopping.borrow() {
                self.people.close();
                self.jobs.close();
                return match self.people.recv().await {
                    Some(request) => Some(request),
                    None => self.jobs.recv().await,
                };
            }
            tokio::select! {
                biased;
                Some(request) = self.people.recv() => return Some(request),
                Some(request) = self.jobs.recv() => return Some(request),
                changed = self.stopping.changed() => {
                    // An engine that is gone without a word stops its lanes too.
                    if changed.is_err() {
                        return None;
                    }
                }
                () = tokio::time::sleep(TRIAL_PAUSE), if self.trial.is_some() => self.try_again().await,
            }
        }
    }

    /// Writes what could not be written, on a connection of its own, and takes it back: whoever asked has been answered.
    async fn try_again(&mut self) {
        let Some(command) = self.trial.clone() else { return };
        let trying = async {
            let mut live = self.database.trial_connection().await?;
            let commit = AtomicBool::new(false);
            let alone = [Asked { command: &command, arrived: Instant::now() }];
            let asked = (&alone[..], self.patience);
            let verdicts = batch::run(&mut live, &self.ground, &self.clock, asked, &commit).await?;
            // Of an account that is held by others nothing was written.
            let is_held = verdicts.iter().any(|verdict| matches!(verdict, Verdict::HeldElsewhere));
            if is_held { Err(StoreError::Unavailable("its account is held".to_owned())) } else { Ok(()) }
        };
        let error = still_in_the_way(trying).await;
        self.note(&command, error);
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

    /// Carries out a batch; what the database rejects is halved until the poisoned command fails alone.
    async fn carry_out(
        &mut self,
        batch: Vec<Request>,
        connection: &mut Option<AsyncPgConnection>,
        held: &mut VecDeque<Request>,
    ) {
        let mut attempts_max = ATTEMPTS_MAX;
        let mut parts = vec![batch];
        // What could not be written, and whether anything could.
        let (mut unwritten, mut has_written) = (None, false);
        while let Some(mut part) = parts.pop() {
            match self.run_whole(&mut part, connection, attempts_max).await {
                Ok(verdicts) => {
                    // Of accounts that others hold nothing was written.
                    has_written |= !verdicts.iter().all(|verdict| matches!(verdict, Verdict::HeldElsewhere));
                    self.answer_all(part, verdicts, held);
                }
                Err(StoreError::Contended(_)) => self.fail_all(part, &EngineError::Overloaded),
                Err(error) if part.len() > 1 && !is_of_the_machine(&error) => {
                    tracing::warn!(%error, commands = part.len(), "a batch is split");
                    // Its parts have been tried often enough.
                    attempts_max = 1;
                    let half = part.split_off(part.len() / 2);
                    parts.push(half);
                    parts.push(part);
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
        match unwritten {
            Some((command, error)) if !has_written => self.note(&command, Some(error)),
            _ if has_written => {
                self.trial = None;
                self.state.wrote();
            }
            _ => {}
        }
    }

    /// Tries a batch until it is committed, or refused by the database, or has been tried often enough. When a
    /// connection is lost at the commit the outcome is unknown: the keys tell the next try what is done.
    async fn run_whole(
        &self,
        part: &mut [Request],
        connection: &mut Option<AsyncPgConnection>,
        attempts_max: u32,
    ) -> Result<Vec<Verdict>, StoreError> {
        let mut backoff = BACKOFF_FIRST;
        let mut attempt = 1;
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
            let attempts_max = match error {
                StoreError::Unavailable(_) => {
                    *connection = None;
                    ATTEMPTS_MAX
                }
                StoreError::Broken(_) => {
                    *connection = None;
                    attempts_max
                }
                StoreError::Contended(_) => ATTEMPTS_MAX,
                StoreError::Internal(_) => attempts_max,
                StoreError::Rejected { .. }
                | StoreError::Corrupt(_)
                | StoreError::Overloaded
                | StoreError::WrongClock(_) => 1,
            };
            if attempt >= attempts_max {
                return Err(error);
            }
            metrics::counter!("abacus_batch_retries_total").increment(1);
            tokio::time::sleep(backoff).await;
            backoff = backoff.saturating_mul(3).min(BACKOFF_MAX);
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        part: &[Request],
        connection: &mut Option<AsyncPgConnection>,
        commit: &AtomicBool,
    ) -> Result<Vec<Verdict>, StoreError> {
        let mut live = match connection.take() {
            Some(live) => live,
            None => self.database.dedicated_connection().await?,
        };
        let asked = part.iter().map(|request| Asked { command: &request.command, arrived: request.arrived });
        let asked: Vec<Asked<'_>> = asked.collect();
        let asked = (asked.as_slice(), self.patience);
        let running = batch::run(&mut live, &self.ground, &self.clock, asked, commit);
        let outcome = tokio::time::timeout(ATTEMPT_TIME_MAX, running).await;
        match outcome {
            // The connection is put back only when its transaction has come to an end.
            Ok(outcome) => {
                *connection = Some(live);
                outcome
            }
            Err(_) => Err(StoreError::no_answer()),
        }
    }

    fn answer_all(&self, part: Vec<Request>, verdicts: Vec<Verdict>, held: &mut VecDeque<Request>) {
        for (mut request, verdict) in part.into_iter().zip(verdicts) {
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
                Verdict::HeldElsewhere => {
                    let since = *request.held_since.get_or_insert_with(Instant::now);
                    if since.elapsed() < self.held_time_max {
                        held.push_back(request);
                    } else {
                        // Who holds it may be another server that carries out the same key.
                        request.is_in_doubt |= request.command.key.is_some() && !request.command.dry_run;
                        request.fail(EngineError::Overloaded, &self.doubts);
                    }
                }
                Verdict::AheadOfTime(last) => {
                    let why = format!("the account's last entry is dated {last}, which is still to come");
                    tracing::error!(account = %request.command.account, %why, "a command was not carried out");
                    request.fail(EngineError::Unavailable(why), &self.doubts);
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

/// Whether no part of a batch would fare better.
fn is_of_the_machine(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::WrongClock(_))
}
