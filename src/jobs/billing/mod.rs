//! Months are closed: what was used in them becomes records and bills (docs/adr/0012).
//!
//! Once a month is over, a *run* for each time zone hands its accounts out in pages to whichever servers take them on
//! (run.rs). A month is read and rated without locks (rate.rs), and sent to the engine, which decides under the account's
//! lock whether the account's book still says what it said. What is reported for a month that is over is looked at again
//! (late.rs).

mod last;
mod late;
mod plan;
mod rate;
mod readers;
mod run;

pub use last::rate_last_months;
pub use late::late_pass;
pub use plan::{PlanError, begin_period, begin_runs, next_begin};
pub use rate::{ToRate, Unrated, rate_months, to_rate_again};
pub use readers::Readers;
pub use run::{run_pass, runs_of, runs_under_way};

use chrono::{NaiveDate, TimeDelta};

use super::JobContext;
use super::submit::submit;
use crate::domain::closing::{Month, RatedMonth};
use crate::domain::decide::{Action, RaiseNotice};
use crate::domain::ids::AccountId;
use crate::domain::notice::NoticeKind;

/// What could not be closed or corrected is tried again after this time.
const AGAIN_AFTER: TimeDelta = TimeDelta::days(1);

/// Tells the account's owner, the metrics and the log that a month could not be closed.
async fn tell_failure(jobs: &JobContext, account: AccountId, period: NaiveDate, why: &str) {
    metrics::counter!("abacus_month_failures_total").increment(1);
    tracing::error!(%account, %period, why, "a month could not be closed; it is tried again");
    let message = format!("Month {} could not be billed: {why}. It is tried again.", period.format("%Y-%m"));
    let notice = RaiseNotice::about_account(NoticeKind::JobFailed, message);
    if let Err(error) = submit(jobs, account, Action::RaiseNotice(notice)).await {
        tracing::error!(%account, %error, "nor could that be told");
    }
}

/// Tells the metrics and the log what of a month cannot be rated; operators are told with its bill.
fn tell_unrated(account: AccountId, rated: &RatedMonth) {
    let unrated = rated.unrated();
    if !unrated.is_empty() {
        let count = u64::try_from(unrated.len()).unwrap_or(u64::MAX);
        metrics::counter!("abacus_unrated_resources_total").increment(count);
        tracing::error!(%account, period = %rated.period, ?unrated, "usage cannot be rated; it is tried again");
    }
}

/// The day by which a month that could not be closed is looked at again.
fn last_day(month: Month) -> NaiveDate {
    let last = month.end.checked_sub_signed(TimeDelta::seconds(1)).unwrap_or(month.start);
    last.date_naive()
}
