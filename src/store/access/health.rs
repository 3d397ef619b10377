//! The health of ledgers.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use rust_decimal::Decimal;

use super::{AccessError, Repository};
use crate::domain::account::Account;
use crate::domain::ids::AccountId;
use crate::domain::ledger::Fault;
use crate::store::Conn;
use crate::store::accounts::account_range::Range;
use crate::store::error::StoreError;
use crate::store::ledger_check::standing::{self, Progress};
use crate::store::ledger_check::{self, Look, Pace};

/// How many accounts the check of the whole ledger looks at when it is asked for.
const CHECK_ACCOUNTS_MAX: i64 = 1_000;

/// What a check of ledgers found.
#[derive(Debug, Clone, Default)]
pub struct HealthReport {
    pub accounts_checked: i32,
    pub entries_checked: i32,
    pub imbalance: Decimal,
    pub faults: Vec<(Arc<Account>, Fault)>,
    /// How far the check by and by has come, for operators.
    pub standing: Option<LedgerStanding>,
}

impl HealthReport {
    /// With what was found in another cell.
    fn add(&mut self, other: Self) {
        self.accounts_checked = self.accounts_checked.saturating_add(other.accounts_checked);
        self.entries_checked = self.entries_checked.saturating_add(other.entries_checked);
        self.imbalance = self.imbalance.saturating_add(other.imbalance);
        self.faults.extend(other.faults);
        self.standing = match (self.standing.take(), other.standing) {
            (Some(one), Some(other)) => Some(one.with(other)),
            (one, other) => one.or(other),
        };
    }
}

/// How far the check of all ledgers has come, and how many faults it knows.
#[derive(Debug, Clone)]
pub struct LedgerStanding {
    pub progress: Progress,
    pub faults: i64,
}

impl LedgerStanding {
    /// Of two cells: both have come as far as the one that is behind.
    fn with(self, other: Self) -> Self {
        Self {
            progress: self.progress.behind(&other.progress),
            faults: self.faults.saturating_add(other.faults),
        }
    }
}

impl Repository {
    /// Checks one account's ledger, or, for operators, those of the next accounts after where the last call stopped.
    pub async fn ledger_health(
        &self,
        account: Option<AccountId>,
        now: DateTime<Utc>,
    ) -> Result<HealthReport, AccessError> {
        let Some(account) = account else { return self.next_ledgers_health(now).await };
        // The provider is told even of an account that cannot be read.
        if !self.viewer.is_of_provider() {
            self.account(account).await?.ok_or(AccessError::NoSuchAccount)?;
        }
        let report =
            self.check_ledgers(&*self.slow_connection_of(account).await?, Range::one(account), now).await?;
        if report.accounts_checked == 0 {
            return Err(AccessError::NoSuchAccount);
        }
        Ok(report)
    }

    async fn next_ledgers_health(&self, now: DateTime<Utc>) -> Result<HealthReport, AccessError> {
        self.require_provider()?;
        let mut report = HealthReport::default();
        for place in 0..self.store.cells.count() {
            report.add(self.next_ledgers_of(place, now).await?);
        }
        Ok(report)
    }

    async fn next_ledgers_of(&self, place: usize, now: DateTime<Utc>) -> Result<HealthReport, StoreError> {
        let conn = self.reading(place, true).await?;
        let position = standing::check_position(&conn).await?;
        let last = ledger_check::last_of_next(&conn, position, CHECK_ACCOUNTS_MAX).await?;
        let report = match last {
            Some(last) => {
                let first = AccountId(position.0.saturating_add(1));
                self.check_ledgers(&conn, Range { first, last }, now).await?
            }
            None => HealthReport::default(),
        };
        drop(conn);
        let whole = i64::from(report.accounts_checked) == CHECK_ACCOUNTS_MAX;
        let stopped_at = last.filter(|_| whole).unwrap_or(AccountId(0));
        self.write_in(place, move |conn| standing::set_check_position(conn, stopped_at).boxed()).await?;
        Ok(report)
    }

    async fn check_ledgers(
        &self,
        conn: Conn<'_>,
        range: Range,
        now: DateTime<Utc>,
    ) -> Result<HealthReport, StoreError> {
        let progress = standing::progress(conn).await?;
        let all_sealed = progress.all_sealed_at.is_some();
        let (keys, anchor_keys) = (self.store.home().keys(), self.store.home().anchor_keys());
        let look = Look { conn, keys, anchor_keys, pace: Pace::AT_ONCE, all_sealed, now };
        let report = ledger_check::check(look, range).await?;
        let count = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
        let standing = match self.viewer.is_of_provider() {
            true => Some(LedgerStanding { progress, faults: standing::faults_count(conn).await? }),
            false => None,
        };
        let owners: BTreeMap<AccountId, Arc<Account>> =
            report.accounts.into_iter().map(|(id, account)| (id, Arc::new(account))).collect();
        // What belongs to an account that is not there is told with another: it says whose it is.
        let faults = report.faults.into_iter().filter_map(|(owner, mut fault)| {
            let shown = owners.get(&owner).or_else(|| {
                fault.message = format!("{owner}: {}", fault.message);
                owners.values().next()
            });
            Some((Arc::clone(shown?), fault))
        });
        Ok(HealthReport {
            accounts_checked: i32::try_from(owners.len()).unwrap_or(i32::MAX),
            entries_checked: count(report.entries_checked),
            imbalance: report.imbalance,
            faults: faults.collect(),
            standing,
        })
    }
}
