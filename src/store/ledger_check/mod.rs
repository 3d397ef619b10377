//! The check of ledgers: whether the entries are those that were posted, whether rows are those that were sealed, and whether they
//! say what was posted. A row that is broken is a fault like any other, and ends no check. docs/adr/0026 has the reasons.

mod anchors;
mod entries;
mod posted;
mod seals;
pub mod standing;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel_async::RunQueryDsl;
use futures_util::StreamExt;
use rust_decimal::Decimal;
use tokio::time::Instant;

use super::accounts::account_range::Range;
use super::error::StoreError;
use super::seals::lacks_key;
use super::sql::statement::Statement;
use super::{Conn, installation, ledger};
use crate::domain::account::Account;
use crate::domain::anchor::AnchorKeys;
use crate::domain::ids::AccountId;
use crate::domain::ledger::Fault;
use crate::domain::seal::{KeyVersion, SealKeys};
use crate::store::each_row;
use crate::store::sql::row::{Fields, Read, select_list};

/// What a check of ledgers found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub accounts: BTreeMap<AccountId, Account>,
    pub entries_checked: i64,
    /// The sum over currencies of what the balances and the transfers differ by.
    pub imbalance: Decimal,
    /// Of each account the first 20.
    pub faults: Vec<(AccountId, Fault)>,
    /// Rows without a seal, where that is no fault yet.
    pub unsealed: i64,
    /// Accounts that have rows which are sealed with keys that this server lacks.
    other_keys: Vec<(AccountId, KeyVersion)>,
    /// The highest numbers that accounts have given.
    numbers: BTreeMap<AccountId, i64>,
}

/// More faults of one account than this are not listed: one broken row can break all that follow.
const FAULTS_MAX: usize = 20;
/// What a row says may be long, and is told only so far.
const MESSAGE_MAX: usize = 500;

impl Report {
    fn fault(&mut self, account: AccountId, kind: &'static str, message: String) {
        let message = message.chars().take(MESSAGE_MAX).collect();
        let of_account = self.faults.iter().filter(|(of, _)| *of == account).count();
        if of_account < FAULTS_MAX {
            self.faults.push((account, Fault { kind, message }));
        }
    }

    /// Takes up what another found.
    pub fn add(&mut self, other: Self) {
        self.accounts.extend(other.accounts);
        self.entries_checked = self.entries_checked.saturating_add(other.entries_checked);
        self.imbalance = self.imbalance.checked_add(other.imbalance).unwrap_or(Decimal::MAX);
        self.faults.extend(other.faults);
        self.unsealed = self.unsealed.saturating_add(other.unsealed);
    }

    /// Notes that an account could not be checked.
    pub fn unchecked(&mut self, account: AccountId, error: &StoreError) {
        self.fault(account, "UNCHECKED", format!("the check of {account} did not come to its end: {error}"));
    }

    /// Whether an account's own row says nothing that could be compared.
    fn is_unreadable(&self, account: AccountId) -> bool {
        self.faults.iter().any(|(of, fault)| *of == account && fault.kind == "UNREADABLE")
    }

    /// Whether nothing is wrong with an account.
    pub fn is_sound(&self, account: AccountId) -> bool {
        self.faults.iter().all(|(of, _)| *of != account)
    }
}

/// How fast a check goes: after each statement it rests so many times as long as that took, so that others have the database.
#[derive(Debug, Clone, Copy)]
pub struct Pace(pub u32);

impl Pace {
    /// For whoever waits for the answer.
    pub const AT_ONCE: Self = Self(0);
    /// Longer than this nobody rests: a statement that took so long was not the check's fault.
    const REST_MAX: Duration = Duration::from_secs(5);

    async fn rest(self, began: Instant) {
        if self.0 > 0 {
            tokio::time::sleep(began.elapsed().saturating_mul(self.0).min(Self::REST_MAX)).await;
        }
    }
}

/// How a check reads.
#[derive(Clone, Copy)]
pub struct Look<'l> {
    pub conn: Conn<'l>,
    pub keys: &'l SealKeys,
    /// What anchors are checked with.
    pub anchor_keys: &'l AnchorKeys,
    pub pace: Pace,
    /// Whether whatever is not sealed is a fault.
    pub all_sealed: bool,
    /// By the server's clock, which a sandbox moves.
    pub now: DateTime<Utc>,
}

/// Checks the ledgers of a range of accounts. It sees each row at one instant, not all of them at the same: what is written
/// meanwhile is looked at by the next check.
pub async fn check(look: Look<'_>, range: Range) -> Result<Report, StoreError> {
    let mut report = Report::default();
    // Before the accounts: what is noted of them later is ahead of them.
    let noted = standing::checkpoints(look.conn, range).await?;
    accounts(look, range, &mut report).await?;
    entries::check(look, range, noted, &mut report).await?;
    anchors::check(look, range, &mut report).await?;
    seals::check(look, range, &mut report).await?;
    posted::check(look, range, &mut report).await?;
    books(look, range, &mut report).await?;
    other_keys(look, &mut report).await?;
    Ok(report)
}

/// A key that the database knows, and this server lacks, is no fault of the rows that are sealed with it: they cannot be looked at here.
async fn other_keys(look: Look<'_>, report: &mut Report) -> Result<(), StoreError> {
    for (owner, version) in std::mem::take(&mut report.other_keys) {
        if installation::has_key(look.conn, version).await? {
            return Err(lacks_key(version));
        }
        report.fault(owner, "SEAL", format!("a row is sealed with key {version}, which there is not"));
    }
    Ok(())
}

/// Whether the balances are what was transferred.
async fn books(look: Look<'_>, range: Range, report: &mut Report) -> Result<(), StoreError> {
    let began = Instant::now();
    let differences = match ledger::imbalances_of(look.conn, range).await {
        Err(StoreError::Corrupt(message)) => {
            let first = report.accounts.keys().next().copied().unwrap_or(range.first);
            report.fault(first, "UNREADABLE", format!("the books cannot be added up: {message}"));
            Vec::new()
        }
        differences => differences?,
    };
    for difference in differences {
        report.imbalance = report.imbalance.checked_add(difference.abs()).unwrap_or(Decimal::MAX);
    }
    look.pace.rest(began).await;
    Ok(())
}

/// How many accounts there are.
pub async fn accounts_count(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    Ok(Statement::<BigInt>::new("SELECT count(*) FROM accounts").get_result(&mut conn).await?)
}

/// The last of the next accounts after a number, at most so many; None: there are no more.
pub async fn last_of_next(
    mut conn: Conn<'_>,
    after: AccountId,
    most: i64,
) -> Result<Option<AccountId>, StoreError> {
    let statement =
        Statement::<Nullable<BigInt>>::new("SELECT max(id) FROM (SELECT id FROM accounts WHERE id > ")
            .bigint(after.0)
            .sql(" ORDER BY id LIMIT ")
            .bigint(most)
            .sql(") a");
    let last: Option<i64> = statement.get_result(&mut conn).await?;
    Ok(last.map(AccountId))
}

/// Reads the accounts, and checks their seals.
async fn accounts(look: Look<'_>, range: Range, report: &mut Report) -> Result<(), StoreError> {
    let began = Instant::now();
    let mut broken = false;
    for account in read_accounts(look.conn, range, "").await? {
        match account {
            Ok(SealedAccount(account, seal)) => {
                seals::check_one(look, account.id, &account, seal.as_deref(), report);
                report.accounts.insert(account.id, account);
            }
            Err(_) => broken = true,
        }
    }
    if broken {
        unreadable_accounts(look.conn, range, report).await?;
    }
    look.pace.rest(began).await;
    Ok(())
}

/// An account with its seal.
struct SealedAccount(Account, Option<Vec<u8>>);

impl Read for SealedAccount {
    fn read(fields: &mut Fields<'_>) -> diesel::deserialize::Result<Self> {
        Ok(Self(Account::read(fields)?, fields.value::<Nullable<Binary>, _>()?))
    }
}

async fn read_accounts(
    conn: Conn<'_>,
    range: Range,
    shell: &'static str,
) -> Result<Vec<Result<SealedAccount, StoreError>>, StoreError> {
    let columns = select_list::<Account>("t.");
    let source = if shell.is_empty() { "accounts" } else { shell };
    let statement = Statement::new(format!("SELECT {columns}, t.seal FROM {source} t WHERE t.id"));
    let statement = range.restrict(statement).sql(" ORDER BY t.id");
    Ok(each_row::<SealedAccount>(conn, statement).await?.collect().await)
}

/// Accounts of which only those columns are read that every account has, as they are always readable: to name what is broken.
const SHELL: &str = "(SELECT id, namespace, external_id, name, 'MAIN'::text AS kind, NULL::bigint AS parent_id, \
    'ACTIVE'::text AS status, NULL::text AS suspension, 'USD'::text AS currency, 'UTC'::text AS time_zone, \
    NULL::text AS manager_name, NULL::text AS manager_email, NULL::numeric AS credit_limit, 0::numeric AS balance, \
    true AS overdrawn, false AS purchased, 0::bigint AS last_no, 0::bigint AS last_entry_seq, NULL::bytea AS last_entry_hash, \
    NULL::timestamptz AS last_entry_at, NULL::timestamptz AS closed_until, NULL::timestamptz AS closed_at, NULL::timestamptz AS erased_at, \
    NULL::timestamptz AS suspended_at, NULL::timestamptz AS suspension_held_until, 0::numeric AS on_demand_rate, \
    NULL::integer AS burst_cycle, NULL::numeric AS burst_rate, false AS burst_warned, created_at, seal FROM accounts)";

async fn unreadable_accounts(conn: Conn<'_>, range: Range, report: &mut Report) -> Result<(), StoreError> {
    for SealedAccount(account, _) in read_accounts(conn, range, SHELL).await?.into_iter().flatten() {
        if !report.accounts.contains_key(&account.id) {
            report.fault(account.id, "UNREADABLE", format!("the account {} cannot be read", account.id));
            report.accounts.insert(account.id, account);
        }
    }
    Ok(())
}

/// Rows of `(account_id, text)`.
type Told = (BigInt, Text);
