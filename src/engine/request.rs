//! What is asked of a lane.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::doubts::Doubts;
use super::engine_error::EngineError;
use crate::domain::command::Command;
use crate::domain::ids::AccountId;
use crate::domain::outcome::Done;

/// A caller waits no longer than this; the command may still be done.
pub(super) const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// Who waits for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A person, or whoever asks for one.
    Interactive,
    /// A job.
    Background,
}

/// Whose commands, and of which kind.
pub(super) type Whose = (AccountId, Priority);

/// A command with the one who waits for it.
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) priority: Priority,
    pub(super) answer: oneshot::Sender<Result<Done, EngineError>>,
    pub(super) arrived: Instant,
    /// Whether a commit with it was sent, and nobody knows what became of that.
    pub(super) is_in_doubt: bool,
}

impl Request {
    pub(super) fn new(
        command: Command,
        priority: Priority,
        answer: oneshot::Sender<Result<Done, EngineError>>,
        arrived: Instant,
    ) -> Self {
        Self { command, priority, answer, arrived, is_in_doubt: false }
    }

    pub(super) const fn command(&self) -> &Command {
        &self.command
    }

    pub(super) const fn priority(&self) -> Priority {
        self.priority
    }

    pub(super) const fn whose(&self) -> Whose {
        (self.command.account, self.priority)
    }

    pub(super) fn answer(self, outcome: Result<Done, EngineError>) {
        // A caller that has left learns the outcome by asking again with its key.
        let _ = self.answer.send(outcome);
    }

    /// Answers that it was not carried out, unless it may have been, or may still be.
    pub(super) fn fail(self, error: EngineError, doubts: &Doubts) {
        if self.is_in_doubt {
            doubts.begin(self.command.kept_key());
            return self.answer(Err(EngineError::Unknown));
        }
        let error = doubts.told(&self.command, error);
        self.answer(Err(error));
    }
}
