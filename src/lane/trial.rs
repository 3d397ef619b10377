//! Whether a lane that could not write can again: it tries by itself, and takes back what it tried with.

use std::time::Duration;

use crate::store::error::StoreError;

/// A lane that could not write and has nothing to do looks so often whether it can.
pub(super) const TRIAL_PAUSE: Duration = Duration::from_secs(1);
const TRIAL_TIME_MAX: Duration = Duration::from_secs(10);

/// Tries whether a lane can write again; what is still in the way, if anything is.
pub async fn still_in_the_way<T>(writing: impl Future<Output = Result<T, StoreError>>) -> Option<StoreError> {
    let tried = tokio::time::timeout(TRIAL_TIME_MAX, writing).await;
    let error = tried.unwrap_or_else(|_| Err(StoreError::no_answer())).err();
    error.filter(StoreError::is_of_the_machinery)
}
