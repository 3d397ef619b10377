//! A lane's connection: kept from batch to batch, and given up once it may be what fails.

use std::time::Duration;

use crate::store::error::StoreError;

/// PostgreSQL ends a statement long before; this is for a connection that says nothing at all.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(60);

/// The connection of a lane, if it has one, with what is known of the database as that sees it.
pub struct LaneConnection<C>(Option<C>);

impl<C> LaneConnection<C> {
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Takes the one that was kept, or makes a new one. Whoever is cut short does not bring it back: its transaction is still open.
    pub async fn take(&mut self, made: impl Future<Output = Result<C, StoreError>>) -> Result<C, StoreError> {
        match self.0.take() {
            Some(live) => Ok(live),
            None => made.await,
        }
    }

    /// Keeps it for the next attempt, unless it may be what has failed, or has not come to an end.
    pub fn keep<T>(&mut self, live: C, outcome: &Result<T, StoreError>) {
        if !matches!(outcome, Err(StoreError::Unavailable(_) | StoreError::Broken(_))) {
            self.0 = Some(live);
        }
    }

    pub(super) fn give_up(&mut self) {
        self.0 = None;
    }
}

/// What comes of an attempt within its time.
pub async fn in_time<T>(attempt: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(ATTEMPT_TIME_MAX, attempt).await.unwrap_or_else(|_| Err(StoreError::no_answer()))
}
