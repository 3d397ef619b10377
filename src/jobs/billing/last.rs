//! The last months of an account that is to be closed are read and rated, up to now.

use std::sync::Arc;

use super::super::JobContext;
use super::plan::no_such_month;
use super::rate::{ToRate, Unrated, rate_months};
use crate::domain::closing::{Month, closed_until, month_from};
use crate::domain::decide::Closing;
use crate::domain::ids::AccountId;
use crate::store::accounts;
use crate::store::error::StoreError;

/// More months than an account can have that no run was begun for.
const MONTHS_MAX: usize = 1_200;

/// Rates all months of an account that are not closed; the last one ends now.
pub async fn rate_last_months(
    jobs: &JobContext,
    account: AccountId,
) -> Result<Result<Closing, Unrated>, StoreError> {
    let at = jobs.clock.now();
    let found = accounts::account_by_ids(&*jobs.database.connection().await?, vec![account.0]).await?.pop();
    let account = found.map(Arc::new).ok_or_else(|| StoreError::Corrupt(format!("no account {account}")))?;
    let mut wanted = Vec::new();
    let mut from = closed_until(&account);
    while from < at && wanted.len() < MONTHS_MAX {
        let month = month_from(from, account.time_zone).map_err(no_such_month)?;
        let month = Month { end: month.end.min(at), ..month };
        wanted.push(ToRate::first(Arc::clone(&account), month));
        from = month.end;
    }
    let rated: Result<Vec<_>, Unrated> = rate_months(jobs, wanted).await?.into_iter().collect();
    Ok(rated.map(|months| Closing { at, months }))
}
