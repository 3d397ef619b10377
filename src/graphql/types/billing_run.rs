use async_graphql::SimpleObject;

use crate::domain;
use crate::graphql::scalars::{Day, Instant};

/// Closing a month for all accounts of a time zone: what was used in it becomes records and bills.
#[derive(SimpleObject)]
pub struct BillingRun {
    /// The first day of the month.
    period: Day,
    /// The accounts' time zone: where the month is over first, it is billed first.
    time_zone: String,
    /// RUNNING or DONE.
    state: String,
    /// How many accounts have been looked at.
    done: i64,
    /// How many there are to look at; as many as there were when it began.
    total: i64,
    /// How many of those that were looked at could not be billed: each has a notice, and is tried again.
    failed: i64,
    /// When it began.
    started_at: Instant,
    /// When it ended.
    finished_at: Option<Instant>,
}

impl From<domain::billing_run::BillingRun> for BillingRun {
    fn from(run: domain::billing_run::BillingRun) -> Self {
        Self {
            period: Day(run.period),
            time_zone: run.time_zone.name().to_owned(),
            state: run.state.code().to_owned(),
            done: run.done,
            // Accounts that were made since are looked at, too.
            total: run.total.max(run.done),
            failed: run.failed,
            started_at: Instant(run.started_at),
            finished_at: run.finished_at.map(Instant),
        }
    }
}
