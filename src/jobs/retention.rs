//! What is kept for a while only goes once that is over: in small steps with rests between, so that nobody notices it
//! (docs/RETENTION.md). What cannot be removed is told, and tried again; it holds up nothing else.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::submit::submit;
use super::{JobContext, Permit, Runs};
use crate::domain::decide::{Action, RaiseNotice};
use crate::domain::ids::AccountId;
use crate::domain::notice::NoticeKind;
use crate::store::database::Connection;
use crate::store::error::StoreError;
use crate::store::{accounts, notices, retention};

/// Rows that are removed at a time.
const STEP: i64 = 1_000;
/// Accounts that are looked at together.
const ACCOUNTS: i64 = 500;
/// After each step it rests so many times as long as that took, and not for long.
const REST_TIMES: u32 = 4;
const REST_MAX: Duration = Duration::from_secs(2);
/// Keys are kept so much longer than is said, so that no two clocks disagree about one.
const KEYS_SLACK: TimeDelta = TimeDelta::days(1);

/// What is kept for a while only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Keys,
    Quotes,
    GaugeSlots,
    UsageEvents,
    Notices,
}

impl Kept {
    const ALL: [Self; 5] = [Self::Keys, Self::Quotes, Self::GaugeSlots, Self::UsageEvents, Self::Notices];

    const fn name(self) -> &'static str {
        match self {
            Self::Keys => "idempotency keys",
            Self::Quotes => "offers of prepayments",
            Self::GaugeSlots => "gauge slots",
            Self::UsageEvents => "usage events",
            Self::Notices => "notices",
        }
    }
}

/// Where a removal stands.
#[derive(Clone, Copy)]
struct Step {
    /// Of what is found account by account, the last account that is done.
    after: AccountId,
    removed: i64,
    goes_on: bool,
}

impl Step {
    /// The first `STEP` rows; there may be more.
    fn of_rows(removed: i64) -> Self {
        Self { after: AccountId(0), removed, goes_on: removed >= STEP }
    }

    fn of_accounts((next, removed): (Option<AccountId>, i64)) -> Self {
        Self { after: next.unwrap_or(AccountId(0)), removed, goes_on: next.is_some() }
    }
}

/// Removes everything that has been kept for long enough, once.
pub async fn retention_pass(jobs: &JobContext, permit: &Permit<'_>) -> Result<Runs, StoreError> {
    for kept in Kept::ALL {
        let mut removed: i64 = 0;
        match remove_all(jobs, permit, kept, &mut removed).await {
            Ok(()) => {}
            // Others are writing just now.
            Err(StoreError::Contended(message)) => {
                tracing::debug!(what = kept.name(), message, "it is removed later")
            }
            Err(error) => tell_failure(jobs, kept.name(), &error).await?,
        }
        if removed > 0 {
            tracing::info!(what = kept.name(), removed, "what was kept for long enough is removed");
        }
    }
    Ok(Runs::default())
}

async fn remove_all(
    jobs: &JobContext,
    permit: &Permit<'_>,
    kept: Kept,
    removed: &mut i64,
) -> Result<(), StoreError> {
    let mut after = AccountId(0);
    while permit.goes_on(jobs).await? {
        let began = Instant::now();
        let step = remove(jobs, kept, after).await?;
        *removed = removed.saturating_add(step.removed);
        metrics::counter!("abacus_retention_removed_total", "what" => kept.name())
            .increment(u64::try_from(step.removed).unwrap_or(0));
        if !step.goes_on {
            break;
        }
        after = step.after;
        if let Permit::Leased { .. } = permit {
            tokio::time::sleep(began.elapsed().saturating_mul(REST_TIMES).min(REST_MAX)).await;
        }
    }
    Ok(())
}

async fn remove(jobs: &JobContext, kept: Kept, after: AccountId) -> Result<Step, StoreError> {
    let conn: Connection = jobs.database.connection().await?;
    let (ages, now) = (jobs.retention, jobs.clock.now());
    let before = |age: TimeDelta| now.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    let at_once = (ACCOUNTS, STEP);
    Ok(match kept {
        Kept::Keys => {
            let age = ages.keys.checked_add(&KEYS_SLACK).unwrap_or(ages.keys);
            Step::of_rows(retention::keys_forget(&conn, before(age), STEP).await?)
        }
        Kept::Quotes => {
            Step::of_accounts(retention::quotes_forget(&conn, after, before(ages.quotes), at_once).await?)
        }
        Kept::GaugeSlots => {
            Step::of_rows(retention::gauge_slots_forget(&conn, before(ages.gauge_slots), STEP).await?)
        }
        Kept::UsageEvents => month(&conn, before(ages.usage_events)).await?,
        Kept::Notices => {
            Step::of_accounts(notices::notices_forget(&conn, after, before(ages.notices), at_once).await?)
        }
    })
}

/// The oldest month of events, whole.
async fn month(conn: &Connection, before: DateTime<Utc>) -> Result<Step, StoreError> {
    let nothing = Step { after: AccountId(0), removed: 0, goes_on: false };
    let Some(month) = retention::usage_month_over(conn, before).await? else { return Ok(nothing) };
    let is_removed = retention::usage_month_drop(conn, month).await?;
    tracing::info!(month = %month.format("%Y-%m"), "the usage events of a month are removed");
    Ok(Step { removed: i64::from(is_removed), goes_on: is_removed, ..nothing })
}

/// Says what could not be removed: to operators once, until they have acknowledged it. What is nobody's is told at the first account.
async fn tell_failure(jobs: &JobContext, what: &'static str, error: &StoreError) -> Result<(), StoreError> {
    failed(what, error);
    let conn = jobs.database.connection().await?;
    let Some(first) = accounts::account_from(&conn, AccountId(0), 1).await?.pop() else { return Ok(()) };
    drop(conn);
    tell_operators(jobs, first.id, what, error).await
}

pub(super) fn failed(what: &str, error: &StoreError) {
    metrics::counter!("abacus_retention_failures_total").increment(1);
    tracing::error!(what, %error, "what was kept for long enough could not be removed; it is tried again");
}

pub(super) async fn tell_operators(
    jobs: &JobContext,
    account: AccountId,
    what: &str,
    error: &StoreError,
) -> Result<(), StoreError> {
    let conn = jobs.database.connection().await?;
    if notices::notice_is_open(&conn, account, NoticeKind::RetentionFailed).await? {
        return Ok(());
    }
    drop(conn);
    let message = format!("{what} could not be removed: {error}. It is tried again.");
    let notice = RaiseNotice::about_account(NoticeKind::RetentionFailed, message);
    if let Err(error) = submit(jobs, account, Action::RaiseNotice(notice)).await {
        tracing::error!(%account, %error, "nor could that be told");
    }
    Ok(())
}
