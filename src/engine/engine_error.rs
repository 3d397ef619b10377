//! Why a command was not done, or is not known to be.

use chrono::{DateTime, Utc};

use crate::domain::refusal::Refusal;
use crate::store::error::StoreError;

/// Why a command was not done, or is not known to be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// Decided against; nothing changed.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// The lane is full; nothing was taken on.
    #[error("too much is waiting; try again later")]
    Overloaded,
    /// The database could not be reached, or the server stops; nothing was done.
    #[error("the command could not be carried out now: {0}")]
    Unavailable(String),
    /// It was, may have been, or may still be carried out. Asking again with the same key tells.
    #[error("whether the command is carried out is not known; ask again with the same key")]
    Unknown,
    /// The database refused what the command would write.
    #[error("the command could not be kept: {0}")]
    Failed(StoreError),
}

impl EngineError {
    /// The account's last entry is dated so, by a machine whose clock was wrong.
    pub(super) fn ahead_of_time(last: DateTime<Utc>) -> Self {
        Self::Unavailable(format!("the account's last entry is dated {last}, which is still to come"))
    }

    /// Whether the same may be done later, for no fault of its own.
    pub fn is_of_the_moment(&self) -> bool {
        matches!(self, Self::Overloaded | Self::Unavailable(_) | Self::Unknown)
    }
}
