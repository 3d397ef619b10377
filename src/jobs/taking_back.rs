//! Months that were closed before they were over are taken back, account by account, the last of each first.

use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use super::JobContext;
use super::submit::submit;
use crate::domain::account::Account;
use crate::domain::closing::{Month, RatedMonth};
use crate::domain::decide::{Action, TakeBackMonth};
use crate::domain::ids::AccountId;
use crate::store::error::StoreError;
use crate::store::leases::{self, Lease};
use crate::store::{Conn, accounts, closings, marks};

/// Accounts that are read at a time.
const PAGE: i64 = 100;
/// More months than a clock can be wrong by.
const MONTHS_MAX: usize = 1_200;
/// The runners stand aside for so long, from each page on.
const LEASE_SECONDS: i64 = 120;

/// What taking months back came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenBack {
    pub accounts: usize,
    pub months: usize,
    /// Accounts whose months could not be taken back, and why.
    pub left: Vec<(AccountId, String)>,
}

/// Keeps the runners from what they do, as long as that is renewed.
pub struct Aside {
    holder: String,
}

impl Aside {
    pub async fn begin(jobs: &JobContext) -> Result<Self, StoreError> {
        let aside = Self { holder: format!("{} taking back {}", jobs.holder, Uuid::new_v4()) };
        aside.hold(jobs).await.map(|()| aside)
    }

    async fn hold(&self, jobs: &JobContext) -> Result<(), StoreError> {
        let conn = jobs.database.connection().await?;
        for lease in Lease::OF_RUNNERS {
            leases::lease_seize(&conn, lease, &self.holder, LEASE_SECONDS).await?;
        }
        Ok(())
    }

    pub async fn end(self, jobs: &JobContext) -> Result<(), StoreError> {
        let conn = jobs.database.connection().await?;
        for lease in Lease::OF_RUNNERS {
            leases::lease_end(&conn, lease, &self.holder).await?;
        }
        Ok(())
    }
}

/// Takes back all months that are not over.
pub async fn take_back_months(jobs: &JobContext, aside: &Aside) -> Result<TakenBack, StoreError> {
    let mut taken = TakenBack::default();
    let mut after = AccountId(0);
    loop {
        let conn = jobs.database.connection().await?;
        let page = marks::accounts_closed_early(&conn, jobs.clock.now(), after, PAGE).await?;
        drop(conn);
        let Some(last) = page.last() else { return Ok(taken) };
        after = *last;
        for account in page {
            aside.hold(jobs).await?;
            match of_account(jobs, account).await? {
                Ok(months) => {
                    taken.accounts = taken.accounts.saturating_add(1);
                    taken.months = taken.months.saturating_add(months);
                }
                Err(why) => taken.left.push((account, why)),
            }
        }
    }
}

/// How many months were taken back of an account, or why they could not be.
async fn of_account(jobs: &JobContext, id: AccountId) -> Result<Result<usize, String>, StoreError> {
    for months in 0..MONTHS_MAX {
        let conn = jobs.database.connection().await?;
        let found = accounts::account_by_ids(&conn, vec![id.0]).await?.pop();
        let last = match &found {
            Some(account) => last_early(jobs, &conn, account).await?,
            None => None,
        };
        drop(conn);
        let Some(last) = last else { return Ok(Ok(months)) };
        let end = last.month.end;
        match submit(jobs, id, Action::TakeBackMonth(TakeBackMonth(Arc::new(last)))).await {
            Ok(outcome) if outcome.account.closed_until.is_some_and(|until| until < end) => {}
            Ok(_) => return Ok(Err("its months were changed meanwhile; ask again".to_owned())),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    Ok(Err(format!("it has more than {MONTHS_MAX} months")))
}

/// The last month of an account, as it was closed, if it is not over.
async fn last_early(
    jobs: &JobContext,
    conn: Conn<'_>,
    account: &Account,
) -> Result<Option<RatedMonth>, StoreError> {
    let Some(end) = account.closed_until.filter(|end| *end > jobs.clock.now()) else { return Ok(None) };
    let within = end.checked_sub_signed(TimeDelta::microseconds(1)).unwrap_or(end);
    let around = closings::closed_around(conn, account.id, within).await?;
    if let Some(closed) = around.iter().find(|closed| closed.month.end == end) {
        return Ok(Some(RatedMonth::nothing_of(closed)));
    }
    let no_such_month = |error| StoreError::Corrupt(format!("a month: {error}"));
    let month = Month::of(within, account.time_zone).map_err(no_such_month)?;
    let before = around.iter().map(|closed| closed.month.end).filter(|before| *before < end).max();
    let start = before.map_or(month.start, |before| before.max(month.start));
    let month = Month { start, end };
    Ok(Some(RatedMonth::empty(month, month.period(account.time_zone))))
}
