//! Ledger entries, and what they come to.

use diesel::sql_types::{
    Array, BigInt, Binary, Integer, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;

use super::error::StoreError;
use super::list::{self, Found, Narrow, Owners, Page, Window};
use super::numeric::Exact;
use super::rows::EntryRow;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows};
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::ledger::Entry;

pub async fn entry_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<Entry>, StoreError> {
    rows::<EntryRow>(conn, list::by_ids::<EntryRow>("ledger_entries", ids)).await
}

/// The newest entries of each account.
pub async fn entry_newest(conn: Conn<'_>, accounts: Vec<i64>, limit: i64) -> Result<Vec<Entry>, StoreError> {
    rows::<EntryRow>(conn, list::newest_of_each::<EntryRow>("ledger_entries", accounts, limit)).await
}

/// What a list of entries is narrowed by; conditions are joined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFilter {
    pub window: Window,
    pub billing_cycle: Option<i32>,
}

impl Narrow for EntryFilter {
    fn along<ST>(&self, _: Owners, statement: Statement<ST>) -> Statement<ST> {
        let statement = self.window.restrict(statement);
        match self.billing_cycle {
            Some(cycle) => statement.sql(" AND t.billing_cycle = ").value::<Integer, _>(cycle),
            None => statement,
        }
    }

    fn is_walked(&self, _: Owners) -> bool {
        false
    }
}

pub async fn entry_list(
    conn: Conn<'_>,
    owners: Owners,
    filter: &EntryFilter,
    page: &Page,
) -> Result<Found<Entry>, StoreError> {
    list::page::<EntryRow, _>(conn, "ledger_entries", owners, page, filter).await
}

pub async fn entry_count(conn: Conn<'_>, owners: Owners, filter: &EntryFilter) -> Result<i64, StoreError> {
    list::count(conn, "ledger_entries", owners, filter).await
}

pub async fn entry_count_of_each(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<(i64, i64)>, StoreError> {
    list::count_of_each(conn, "ledger_entries", accounts).await
}

/// The balances that accounts' last entries up to and including `at` left; none before an account's first.
pub async fn balances_at(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<Vec<(AccountId, Decimal)>, StoreError> {
    let next = at.checked_add_signed(chrono::Duration::microseconds(1)).unwrap_or(at);
    let statement = Statement::<(BigInt, Numeric)>::new(
        "SELECT a.id, l.\"end\" FROM accounts a CROSS JOIN LATERAL (SELECT t.\"end\" FROM ledger_entries t \
         WHERE t.account_id = a.id AND t.id < ",
    )
    .uuid(OwnedId::first_at(next).uuid())
    .sql(" ORDER BY t.id DESC LIMIT 1) l WHERE a.id = ANY(")
    .value::<Array<BigInt>, _>(accounts)
    .sql(")");
    let found: Vec<(i64, Exact)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(account, Exact(balance))| (AccountId(account), balance)).collect())
}

pub async fn entry_insert(conn: Conn<'_>, entries: &[Entry]) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", entries.iter().map(|e| e.id.account().0))
        .column::<SqlUuid, _>("id", entries.iter().map(|e| e.id.uuid()))
        .column::<BigInt, _>("seq", entries.iter().map(|e| e.seq))
        .column::<Timestamptz, _>("time", entries.iter().map(|e| e.time))
        .column::<Nullable<Timestamptz>, _>("poll_time", entries.iter().map(|e| e.poll_time))
        .column::<Text, _>("currency", entries.iter().map(|e| e.currency.to_string()))
        .column::<Numeric, _>("amount", entries.iter().map(|e| e.amount))
        .column::<Numeric, _>("initial", entries.iter().map(|e| e.initial))
        .column::<Numeric, _>("\"end\"", entries.iter().map(|e| e.end))
        .column::<Text, _>("reason", entries.iter().map(|e| e.reason.clone()))
        .column::<Nullable<Integer>, _>("billing_cycle", entries.iter().map(|e| e.billing_cycle))
        .column::<Nullable<Integer>, _>("\"interval\"", entries.iter().map(|e| e.interval))
        .column::<Nullable<Text>, _>("resource_code", entries.iter().map(|e| e.resource.clone()))
        .column::<Numeric, _>("resource_amount", entries.iter().map(|e| e.resource_amount))
        .column::<Binary, _>("hash", entries.iter().map(|e| e.hash.to_vec()))
        .column::<SmallInt, _>("key_version", entries.iter().map(|e| e.key));
    execute(conn, columns.insert_into("ledger_entries")).await.map(drop)
}

/// Over the accounts of a range of numbers: what their balances are, and what the transfers between the other
/// ledgers and theirs come to, by currency. The two are equal when the books balance.
pub async fn books_of(
    mut conn: Conn<'_>,
    first: AccountId,
    last: AccountId,
) -> Result<Vec<(String, Decimal, Decimal)>, StoreError> {
    let statement = Statement::<(Text, Numeric, Numeric)>::new(
        "SELECT currency, sum(balance), sum(transferred) FROM (\
         SELECT currency, balance, 0 AS transferred FROM accounts WHERE id BETWEEN ",
    )
    .bigint(first.0)
    .sql(" AND ")
    .bigint(last.0)
    .sql(
        " UNION ALL SELECT currency, 0, CASE WHEN credit_ledger = 'customer' THEN amount \
         WHEN debit_ledger = 'customer' THEN -amount ELSE 0 END FROM transactions \
         WHERE status IN ('FINISHED', 'REFUNDED') AND account_id BETWEEN ",
    )
    .bigint(first.0)
    .sql(" AND ")
    .bigint(last.0)
    .sql(") sides GROUP BY currency");
    let found: Vec<(String, Exact, Exact)> = statement.load(&mut conn).await?;
    Ok(found
        .into_iter()
        .map(|(currency, Exact(balances), Exact(transferred))| (currency, balances, transferred))
        .collect())
}

/// Where the check of the whole ledger stopped the last time.
pub async fn check_position(mut conn: Conn<'_>) -> Result<AccountId, StoreError> {
    let statement = Statement::<BigInt>::new("SELECT last_account_id FROM ledger_check_position");
    let found: Vec<i64> = statement.load(&mut conn).await?;
    Ok(AccountId(found.into_iter().next().unwrap_or_default()))
}

pub async fn set_check_position(conn: Conn<'_>, position: AccountId) -> Result<(), StoreError> {
    let statement = Statement::new("UPDATE ledger_check_position SET last_account_id = ").bigint(position.0);
    execute(conn, statement).await.map(drop)
}
