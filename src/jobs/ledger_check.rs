//! The check of all ledgers, by and by: a few accounts at a time, and slowly, so that nobody notices it. What is found is kept, told
//! to operators, counted and logged.

use std::collections::BTreeMap;

use futures_util::FutureExt;

use super::submit::submit;
use super::{JobContext, LeaseGuard, Runs};
use crate::domain::decide::{Action, RaiseNotice};
use crate::domain::ids::AccountId;
use crate::domain::notice::NoticeKind;
use crate::store::accounts::account_range::Range;
use crate::store::error::StoreError;
use crate::store::ledger_check::standing::{self, Progress};
use crate::store::ledger_check::{Look, Pace, Report, check, last_of_next};
use crate::store::seals::seal_what_is_not;

/// Accounts that are looked at together.
const ACCOUNTS: i64 = 50;
/// After each statement it rests so many times as long as that took: of two processors it takes less than two in a hundred.
pub const PACE: Pace = Pace(40);
/// Between two rounds.
const ROUND_PAUSE_MINUTES: i32 = 10;

/// Goes on with the round, or begins one if the last one is long enough over.
pub(super) async fn round(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    if standing::is_just_over(&*jobs.database.connection().await?, ROUND_PAUSE_MINUTES).await? {
        return Ok(Runs::default());
    }
    check_pass(jobs, guard, PACE).await
}

/// Goes on with the round to its end, as long as it may.
pub async fn check_pass(jobs: &JobContext, guard: &LeaseGuard<'_>, pace: Pace) -> Result<Runs, StoreError> {
    while guard.renew(jobs).await? {
        let conn = jobs.database.connection().await?;
        let progress = standing::progress(&conn).await?;
        let Some(last) = last_of_next(&conn, progress.checked_to, ACCOUNTS).await? else {
            standing::note_end_of_round(&conn).await?;
            count(standing::faults_count(&conn).await?);
            break;
        };
        let range = Range { first: AccountId(progress.checked_to.0.saturating_add(1)), last };
        let (all_sealed, now) = (progress.all_sealed_at.is_some(), jobs.clock.now());
        let (keys, anchor_keys) = (jobs.database.keys(), jobs.database.anchor_keys());
        let look = Look { conn: &conn, keys, anchor_keys, pace, all_sealed, now };
        let report = check_all(look, range).await?;
        let new = standing::note_faults(&conn, range, &report).await?;
        standing::note_checkpoints(&conn, &report, now, jobs.database.keys()).await?;
        drop(conn);
        tell(jobs, new.into_iter().filter(|(account, ..)| report.accounts.contains_key(account))).await;
        seal(jobs, range, &progress, &report).await?;
        standing::note_progress(&*jobs.database.connection().await?, progress.checked_to, last).await?;
        metrics::counter!("abacus_ledger_entries_checked_total")
            .increment(u64::try_from(report.entries_checked).unwrap_or(0));
    }
    Ok(Runs::default())
}

/// Checks a range, or where that takes too long or cannot be done, its accounts one by one: one that cannot be checked holds up no
/// other, and is a fault.
pub async fn check_all(look: Look<'_>, range: Range) -> Result<Report, StoreError> {
    let error = match check(look, range).await {
        Err(error) if !error.is_of_the_machinery() || error.is_timeout() => error,
        checked => return checked,
    };
    tracing::warn!(%error, first = %range.first, last = %range.last, "a check did not come to its end");
    let mut all = Report::default();
    let mut next = range.first;
    while let Some(account) = last_of_next(look.conn, AccountId(next.0.saturating_sub(1)), 1).await? {
        if account > range.last {
            break;
        }
        match check(look, Range::one(account)).await {
            Err(error) if !error.is_of_the_machinery() || error.is_timeout() => {
                all.unchecked(account, &error)
            }
            checked => all.add(checked?),
        }
        next = AccountId(account.0.saturating_add(1));
    }
    Ok(all)
}

fn count(faults: i64) {
    metrics::gauge!("abacus_ledger_faults").set(f64::from(i32::try_from(faults).unwrap_or(i32::MAX)));
}

/// Tells operators, of each account once, of what was not found before.
async fn tell(jobs: &JobContext, new: impl Iterator<Item = (AccountId, String, String)>) {
    let mut of_accounts: BTreeMap<AccountId, Vec<(String, String)>> = BTreeMap::new();
    for (account, kind, message) in new {
        metrics::counter!("abacus_ledger_faults_found_total").increment(1);
        tracing::error!(%account, kind, message, "the ledger's check found a fault");
        of_accounts.entry(account).or_default().push((kind, message));
    }
    for (account, faults) in of_accounts {
        let others = match faults.len().saturating_sub(1) {
            0 => String::new(),
            count => format!(" There are {count} faults more."),
        };
        let Some((kind, message)) = faults.into_iter().next() else { continue };
        let message = format!("The ledger's check found {kind}: {message}.{others} See ledgerHealth.");
        let notice = RaiseNotice::about_account(NoticeKind::LedgerFault, message);
        if let Err(error) = submit(jobs, account, Action::RaiseNotice(notice)).await {
            tracing::error!(%account, %error, "nor could that be told");
        }
    }
}

/// Seals what was written before there were seals, until a whole round has come by.
async fn seal(
    jobs: &JobContext,
    range: Range,
    progress: &Progress,
    report: &Report,
) -> Result<(), StoreError> {
    if progress.all_sealed_at.is_some() || report.unsealed == 0 {
        return Ok(());
    }
    let database = jobs.database.clone();
    let sealing = jobs.database.write(move |connection| {
        async move { seal_what_is_not(connection, database.topology(), range, database.keys()).await }.boxed()
    });
    let (sealed, Range { first, last }) = (sealing.await?, range);
    tracing::info!(%first, %last, sealed, "rows of before there were seals are sealed");
    Ok(())
}
