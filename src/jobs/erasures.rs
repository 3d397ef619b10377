//! Accounts that are erased are blanked, step by step, until all is: an account with a million orders is not one transaction.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::FutureExt;

use super::retention::{failed, tell_operators};
use super::{JobContext, LeaseGuard, Runs};
use crate::domain::cell::CellNumber;
use crate::domain::ids::AccountId;
use crate::store::erasures;
use crate::store::error::StoreError;

/// Accounts that are read at a time.
const PAGE: i64 = 100;
/// What could not be blanked is tried again so much later.
const AGAIN_AFTER: TimeDelta = TimeDelta::hours(6);

/// Blanks all that is to be blanked.
pub async fn erasure_pass(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    while guard.renew(jobs).await? {
        let now = jobs.clock.now();
        let due = erasures::erasure_due(&*jobs.database.connection().await?, now, PAGE).await?;
        if due.is_empty() {
            break;
        }
        for account in due {
            let Err(error) = blank(jobs, guard, account).await else { continue };
            failed("the words of an account that is erased", &error);
            let until = now.checked_add_signed(AGAIN_AFTER).unwrap_or(now);
            let conn = jobs.database.connection().await?;
            erasures::erasure_put_off(&conn, account, until).await?;
            drop(conn);
            tell_operators(jobs, account, "Words of the account, which is erased,", &error).await?;
        }
    }
    Ok(Runs::default())
}

async fn blank(jobs: &JobContext, guard: &LeaseGuard<'_>, account: AccountId) -> Result<(), StoreError> {
    if jobs.cell != CellNumber::HOME {
        let keys = Arc::clone(jobs.database.keys());
        let giving_up = jobs.cells.home().database.write(move |connection| {
            async move { erasures::directory_give_up(connection, account, &keys).await }.boxed()
        });
        giving_up.await?;
    }
    while guard.renew(jobs).await? {
        let keys = Arc::clone(jobs.database.keys());
        let step = jobs.database.write(move |connection| {
            async move { erasures::erasure_step(connection, account, &keys).await }.boxed()
        });
        if step.await? {
            metrics::counter!("abacus_accounts_erased_total").increment(1);
            tracing::info!(%account, "an account is erased");
            break;
        }
    }
    Ok(())
}
