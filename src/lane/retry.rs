//! How often what fails is tried, and how long is waited in between.

use std::time::Duration;

use super::state::LaneKind;
use crate::store::error::StoreError;

/// A batch is tried so often before its callers are told.
pub const ATTEMPTS_MAX: u32 = 6;
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The attempts at a part of a batch.
pub struct Retry {
    kind: LaneKind,
    attempt: u32,
    backoff: Duration,
}

impl Retry {
    pub const fn new(kind: LaneKind) -> Self {
        Self { kind, attempt: 1, backoff: BACKOFF_FIRST }
    }

    /// Waits until it is to be tried again; the error comes back where it was tried often enough. What may stay as it is, or not, is tried
    /// `attempts` times.
    pub async fn after(&mut self, error: StoreError, attempts: u32) -> Result<(), StoreError> {
        if self.attempt >= attempts_max(&error, attempts) {
            return Err(error);
        }
        metrics::counter!(self.kind.retries()).increment(1);
        tokio::time::sleep(self.backoff).await;
        self.backoff = self.backoff.saturating_mul(3).min(BACKOFF_MAX);
        self.attempt = self.attempt.saturating_add(1);
        Ok(())
    }
}

/// How often what fails so is tried in all.
const fn attempts_max(error: &StoreError, attempts: u32) -> u32 {
    match error {
        StoreError::Unavailable(_) | StoreError::CellAway { .. } | StoreError::Contended(_) => ATTEMPTS_MAX,
        StoreError::Broken(_) | StoreError::Internal(_) => attempts,
        StoreError::Rejected { .. }
        | StoreError::Corrupt(_)
        | StoreError::Overloaded
        | StoreError::TooMuch { .. }
        | StoreError::WrongClock(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_stays_is_not() {
        let said = || "so".to_owned();
        for (error, of_a_batch, of_a_half) in [
            (StoreError::Unavailable(said()), 6, 6),
            (StoreError::Contended(said()), 6, 6),
            (StoreError::Broken(said()), 6, 1),
            (StoreError::Internal(said()), 6, 1),
            (StoreError::Rejected { constraint: None, message: said() }, 1, 1),
            (StoreError::Corrupt(said()), 1, 1),
            (StoreError::WrongClock(said()), 1, 1),
        ] {
            let tried = (attempts_max(&error, ATTEMPTS_MAX), attempts_max(&error, 1));
            assert_eq!(tried, (of_a_batch, of_a_half), "{error}");
        }
    }

    #[tokio::test]
    async fn an_error_comes_back_once_it_was_tried_often_enough() {
        let mut retry = Retry::new(LaneKind::Commands);
        let failed = || StoreError::Internal("so".to_owned());
        assert!(retry.after(failed(), 2).await.is_ok());
        assert!(matches!(retry.after(failed(), 2).await, Err(StoreError::Internal(_))));
    }
}
