//! Billing runs: closing a month for all accounts of a time zone.

use std::cmp::Reverse;
use std::collections::BTreeMap;

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

impl BillingRun {
    /// The runs of several cells as one list: a month of a zone is closed once it is in all that have begun it.
    pub fn together(cells: Vec<Vec<Self>>) -> Vec<Self> {
        let mut cells = cells.into_iter();
        let (Some(first), others) = (cells.next(), cells.flatten().collect::<Vec<_>>()) else {
            return Vec::new();
        };
        if others.is_empty() {
            return first;
        }
        let mut runs: BTreeMap<_, Self> = BTreeMap::new();
        for run in first.into_iter().chain(others) {
            let key = (Reverse(run.period), run.month.end, run.time_zone.name());
            match runs.get_mut(&key) {
                Some(known) => known.add(&run),
                None => drop(runs.insert(key, run)),
            }
        }
        runs.into_values().collect()
    }

    fn add(&mut self, other: &Self) {
        let both = self.finished_at.zip(other.finished_at).map(|(one, other)| one.max(other));
        self.total = self.total.saturating_add(other.total);
        self.done = self.done.saturating_add(other.done);
        self.failed = self.failed.saturating_add(other.failed);
        self.started_at = self.started_at.min(other.started_at);
        self.finished_at = both;
        self.state = if self.finished_at.is_some() { RunState::Done } else { RunState::Running };
    }
}
