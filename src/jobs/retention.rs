//! What is kept for a while only goes once that is over: in small steps with rests between, so that nobody notices it
//! (docs/RETENTION.md). What cannot be removed is told, and tried again; it holds up nothing else.

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use tokio::time::Instant;

use super::telling::{first_account, tell_once};
use super::{JobContext, LeaseGuard, Runs};
use crate::domain::ids::AccountId;
use crate::domain::notice::NoticeKind;
use crate::store::database::Connection;
use crate::store::error::StoreError;
use crate::store::{notices, retention};

/// Rows that are removed at a time.
const STEP: i64 = 1_000;
/// Pages of the table of keys that are looked at together: some 1,500 keys.
const PAGES: i64 = 32;
/// A table of so many pages (256 MiB) is walked through each time.
const PAGES_OF_A_SMALL_TABLE: i64 = 32_768;
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

/// How far a removal has come.
#[derive(Clone)]
enum Place {
    Start,
    /// What is found account by account: the last account that is done.
    After(AccountId),
    /// What is found page by page: the pages that are left.
    Pages(Range<i64>),
}

struct Step {
    removed: i64,
    /// Where it goes on; `None`: it is over.
    next: Option<Place>,
}

impl Step {
    /// The first `STEP` rows; there may be more.
    fn of_rows(removed: i64) -> Self {
        Self { removed, next: (removed >= STEP).then_some(Place::Start) }
    }

    fn of_accounts((next, removed): (Option<AccountId>, i64)) -> Self {
        Self { removed, next: next.map(Place::After) }
    }
}

/// Removes everything that has been kept for long enough, once.
pub async fn retention_pass(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    for kept in Kept::ALL {
        let mut removed: i64 = 0;
        match remove_all(jobs, guard, kept, &mut removed).await {
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
    guard: &LeaseGuard<'_>,
    kept: Kept,
    removed: &mut i64,
) -> Result<(), StoreError> {
    let mut place = Place::Start;
    while guard.renew(jobs).await? {
        let began = Instant::now();
        let step = remove(jobs, kept, place).await?;
        *removed = removed.saturating_add(step.removed);
        metrics::counter!("abacus_retention_removed_total", "what" => kept.name())
            .increment(u64::try_from(step.removed).unwrap_or(0));
        let Some(next) = step.next else { break };
        place = next;
        if let LeaseGuard::Leased { .. } = guard {
            tokio::time::sleep(began.elapsed().saturating_mul(REST_TIMES).min(REST_MAX)).await;
        }
    }
    Ok(())
}

async fn remove(jobs: &JobContext, kept: Kept, place: Place) -> Result<Step, StoreError> {
    let conn: Connection = jobs.database.connection().await?;
    let (ages, now) = (jobs.retention, jobs.clock.now());
    let before = |age: TimeDelta| now.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    let (at_once, on) = ((ACCOUNTS, STEP), (&*conn, jobs.database.topology()));
    let after = if let Place::After(account) = place { account } else { AccountId(0) };
    Ok(match kept {
        Kept::Keys => {
            let age = ages.keys.checked_add(&KEYS_SLACK).unwrap_or(ages.keys);
            keys(&conn, before(age), place, now).await?
        }
        Kept::Quotes => {
            Step::of_accounts(retention::quotes_forget(on, after, before(ages.quotes), at_once).await?)
        }
        Kept::GaugeSlots => {
            Step::of_rows(retention::gauge_slots_forget(&conn, before(ages.gauge_slots), STEP).await?)
        }
        Kept::UsageEvents => month(&conn, before(ages.usage_events)).await?,
        Kept::Notices => {
            Step::of_accounts(notices::notices_forget(on, after, before(ages.notices), at_once).await?)
        }
    })
}

/// The keys on the pages that come next.
async fn keys(
    conn: &Connection,
    before: DateTime<Utc>,
    place: Place,
    now: DateTime<Utc>,
) -> Result<Step, StoreError> {
    let left = match place {
        Place::Pages(left) => left,
        Place::Start | Place::After(_) => pages_of_the_hour(retention::keys_pages(conn).await?, now.hour()),
    };
    if left.is_empty() {
        return Ok(Step { removed: 0, next: None });
    }
    let removed = retention::keys_forget(conn, before, (left.start, PAGES)).await?;
    let next = left.start.saturating_add(PAGES)..left.end;
    Ok(Step { removed, next: (!next.is_empty()).then_some(Place::Pages(next)) })
}

/// Which pages of a large table are walked through in an hour of the day (UTC): each of them once a day. A small one is walked through
/// as a whole.
fn pages_of_the_hour(pages: i64, hour: u32) -> Range<i64> {
    if pages <= PAGES_OF_A_SMALL_TABLE {
        return 0..pages;
    }
    let share = pages.div_euclid(24).saturating_add(1);
    let first = share.saturating_mul(i64::from(hour));
    first..first.saturating_add(share)
}

/// The oldest month of events, whole.
async fn month(conn: &Connection, before: DateTime<Utc>) -> Result<Step, StoreError> {
    let nothing = Step { removed: 0, next: None };
    let Some(month) = retention::usage_month_over(conn, before).await? else { return Ok(nothing) };
    let is_removed = retention::usage_month_drop(conn, month).await?;
    tracing::info!(month = %month.format("%Y-%m"), "the usage events of a month are removed");
    Ok(Step { removed: i64::from(is_removed), next: is_removed.then_some(Place::Start) })
}

/// Says what could not be removed: to operators once, until they have acknowledged it. What is nobody's is told at the first account.
async fn tell_failure(jobs: &JobContext, what: &'static str, error: &StoreError) -> Result<(), StoreError> {
    failed(what, error);
    match first_account(jobs).await? {
        Some(first) => tell_operators(jobs, first, what, error).await,
        None => Ok(()),
    }
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
    let message = format!("{what} could not be removed: {error}. It is tried again.");
    tell_once(jobs, account, NoticeKind::RetentionFailed, message).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_is_looked_at_once_a_day() {
        assert_eq!(pages_of_the_hour(0, 7), 0..0);
        assert_eq!(pages_of_the_hour(PAGES_OF_A_SMALL_TABLE, 7), 0..PAGES_OF_A_SMALL_TABLE);
        for pages in [PAGES_OF_A_SMALL_TABLE + 1, 1_000_000, 1_000_007, 4_000_000_000] {
            let hours: Vec<Range<i64>> = (0..24).map(|hour| pages_of_the_hour(pages, hour)).collect();
            assert_eq!(hours[0].start, 0);
            assert!(hours.windows(2).all(|two| two[0].end == two[1].start), "{hours:?}");
            assert!((pages..pages + 24).contains(&(hours[23].end - 1)), "{hours:?}");
        }
    }
}
