//! Billing runs: closing a month for all accounts of a time zone.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::closing::Month;
use super::codes::coded_enum;

coded_enum! {
    /// Where a run stands.
    RunState {
        Running = "RUNNING",
        Done = "DONE",
    }
}

/// Closing a month for all accounts of a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingRun {
    /// The first day of the month.
    pub period: NaiveDate,
    pub time_zone: Tz,
    pub month: Month,
    pub state: RunState,
    /// The accounts to look at, as there were when it began.
    pub total: i64,
    /// How many have been looked at.
    pub done: i64,
    /// How many of those could not be closed; they are tried again after the run.
    pub failed: i64,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}
