//! What all of a simulation know.

use chrono::{DateTime, TimeDelta, Utc};

/// Accounts, which all clients share.
pub(super) const ACCOUNTS: i64 = 5;

/// When it begins, by the store's clock.
pub(super) fn begin() -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000)
}
