//! Why reports were not counted, or are not known to be.

use crate::store::error::StoreError;

/// Why reports were not counted, or are not known to be. Sending them again counts none twice.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MeterError {
    #[error("too many events are waiting; try again later")]
    Overloaded,
    #[error("the events could not be counted now: {0}")]
    Unavailable(String),
    #[error("the events could not be kept: {0}")]
    Failed(StoreError),
}

impl From<StoreError> for MeterError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(message)
            | StoreError::Broken(message)
            | StoreError::CellAway { cause: message, .. }
            | StoreError::WrongClock(message) => Self::Unavailable(message),
            StoreError::Overloaded | StoreError::Contended(_) => Self::Overloaded,
            error => Self::Failed(error),
        }
    }
}
