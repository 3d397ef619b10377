//! Commands that are only tried out. They are decided as any others, on connections of their own that read and lock nothing, so
//! that no lane waits for them; an account's one at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::batch::{self, Verdict};
use super::books::Ground;
use super::engine_error::EngineError;
use super::request::ANSWER_TIME_MAX;
use super::stale::{Asked, Patience};
use crate::clock::Clock;
use crate::domain::command::Command;
use crate::domain::outcome::Done;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::turns::Turns;

/// Connections, and so many are under way at once.
const AT_ONCE: u32 = 4;
/// Of one account so many wait for their turn, and no longer than this.
const WAITING_MAX: usize = 64;
const WAIT_MAX: Duration = Duration::from_secs(10);
/// What the database could not say is asked so often.
const ATTEMPTS_MAX: u32 = 4;
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
/// PostgreSQL ends a statement long before; this is for a connection that says nothing at all.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(40);

pub(super) struct DryRuns {
    trying: Arc<Trying>,
    turns: Arc<Turns>,
    at_once: Arc<Semaphore>,
}

/// What a dry run stands on.
struct Trying {
    database: Database,
    ground: Ground,
    clock: Clock,
    patience: Patience,
}

impl DryRuns {
    pub fn new(database: &Database, ground: Ground, clock: Clock, patience: Patience) -> Self {
        let trying = Arc::new(Trying { database: database.beside(AT_ONCE), ground, clock, patience });
        let at_once = Arc::new(Semaphore::new(usize::try_from(AT_ONCE).unwrap_or(1)));
        Self { trying, turns: Turns::new(1, 1, WAITING_MAX), at_once }
    }

    /// Answers what would become of a command. It is read to its end though its caller leaves: no transaction is cut in half.
    pub async fn run(&self, command: Command, arrived: Instant) -> Result<Done, EngineError> {
        let waiting = async {
            // An account waits for itself first, so that of each one alone waits for the others.
            let turn = self.turns.turn(Some(command.account)).await.ok()?;
            let permit = Arc::clone(&self.at_once).acquire_owned().await.ok()?;
            Some((turn, permit))
        };
        let place = tokio::time::timeout(WAIT_MAX, waiting).await.ok().flatten();
        let place = place.ok_or(EngineError::Overloaded)?;
        let trying = Arc::clone(&self.trying);
        let task = tokio::spawn(async move {
            let verdict = trying.verdict(&command, arrived).await;
            drop(place);
            verdict
        });
        match tokio::time::timeout(ANSWER_TIME_MAX, task).await {
            Ok(Ok(verdict)) => answer(verdict),
            Ok(Err(error)) => Err(EngineError::Failed(StoreError::Internal(error.to_string()))),
            Err(_) => Err(EngineError::Unavailable(StoreError::no_answer().to_string())),
        }
    }
}

impl Trying {
    async fn verdict(&self, command: &Command, arrived: Instant) -> Result<Verdict, StoreError> {
        let mut backoff = BACKOFF_FIRST;
        let mut attempt = 1;
        loop {
            let tried = tokio::time::timeout(ATTEMPT_TIME_MAX, self.attempt(command, arrived)).await;
            let error = match tried {
                Ok(Ok(verdict)) => return Ok(verdict),
                Ok(Err(error)) => error,
                Err(_) => return Err(StoreError::no_answer()),
            };
            let may_pass = matches!(error, StoreError::Unavailable(_) | StoreError::Contended(_));
            if !may_pass || attempt >= ATTEMPTS_MAX {
                return Err(error);
            }
            tokio::time::sleep(backoff).await;
            backoff = backoff.saturating_mul(3);
            attempt += 1;
        }
    }

    async fn attempt(&self, command: &Command, arrived: Instant) -> Result<Verdict, StoreError> {
        let mut connection = self.database.connection().await?;
        let asked = (Asked { command, arrived }, self.patience);
        batch::try_out(&mut connection, &self.ground, &self.clock, asked).await
    }
}

fn answer(verdict: Result<Verdict, StoreError>) -> Result<Done, EngineError> {
    match verdict {
        Ok(Verdict::Done(done)) => {
            metrics::counter!("abacus_dry_runs_total", "outcome" => "done").increment(1);
            Ok(done)
        }
        Ok(Verdict::Refused(refusal)) => {
            metrics::counter!("abacus_dry_runs_total", "outcome" => "refused").increment(1);
            Err(EngineError::Refused(refusal))
        }
        Ok(Verdict::LockedElsewhere | Verdict::TooLate) => Err(EngineError::Overloaded),
        Ok(Verdict::AheadOfTime(last)) => Err(EngineError::ahead_of_time(last)),
        Err(StoreError::Contended(_)) => Err(EngineError::Overloaded),
        Err(error) if error.is_of_the_machinery() => Err(EngineError::Unavailable(error.to_string())),
        Err(error) => {
            tracing::error!(%error, "a dry run failed");
            Err(EngineError::Failed(error))
        }
    }
}
