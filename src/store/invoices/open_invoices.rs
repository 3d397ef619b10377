//! The months of accounts that have no invoice yet: of each the one that runs, and those that are over and held up.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bool, Nullable, Timestamptz};
use diesel_async::RunQueryDsl;

use crate::domain::ids::AccountId;
use crate::store::error::StoreError;
use crate::store::sql::row::answered;
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{Conn, execute, rows};

/// An account shows so many of them, the newest.
const SHOWN_MAX: i64 = 36;

/// A month without an invoice, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenInvoice {
    pub account: AccountId,
    pub start: DateTime<Utc>,
    /// Of one that is held up.
    pub end: Option<DateTime<Utc>>,
    /// Whether operators know that it is held up.
    pub told: bool,
}

answered! {
    OpenInvoice {
        account: AccountId as BigInt,
        start: DateTime<Utc> as Timestamptz,
        end: Option<DateTime<Utc>> as Nullable<Timestamptz>,
        told: bool as Bool,
    }
    Self { account, start, end, told }
}

/// Begins an account's months.
pub async fn open_begin(
    conn: Conn<'_>,
    account: AccountId,
    start: DateTime<Utc>,
    due: DateTime<Utc>,
) -> Result<(), StoreError> {
    let statement = Statement::new("INSERT INTO open_invoices (account_id, start_time, due_at) VALUES (")
        .bigint(account.0)
        .sql(", ")
        .instant(start)
        .sql(", ")
        .instant(due)
        .sql(")");
    execute(conn, statement).await.map(drop)
}

/// The months that were due by then, those that have waited longest first.
pub async fn open_due(conn: Conn<'_>, by: DateTime<Utc>, limit: i64) -> Result<Vec<OpenInvoice>, StoreError> {
    let statement =
        Statement::new("SELECT account_id, start_time, end_time, told FROM open_invoices WHERE due_at <= ")
            .instant(by)
            .sql(" ORDER BY due_at, account_id, start_time LIMIT ")
            .bigint(limit);
    rows::<OpenInvoice>(conn, statement).await
}

/// When a month is due next, after that instant.
pub async fn open_next(
    mut conn: Conn<'_>,
    after: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let statement =
        Statement::<Nullable<Timestamptz>>::new("SELECT min(due_at) FROM open_invoices WHERE due_at > ")
            .instant(after);
    Ok(statement.get_result(&mut conn).await?)
}

/// The newest such months of accounts.
pub async fn open_of(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<OpenInvoice>, StoreError> {
    let statement = Statement::new("SELECT o.account_id, o.start_time, o.end_time, o.told FROM UNNEST(")
        .accounts(accounts)
        .sql(
            ") k (account_id) CROSS JOIN LATERAL (SELECT * FROM open_invoices o \
             WHERE o.account_id = k.account_id ORDER BY o.start_time DESC LIMIT ",
        )
        .bigint(SHOWN_MAX)
        .sql(") o");
    rows::<OpenInvoice>(conn, statement).await
}

/// Has the month that an account is in looked at anew, as it ends at another instant now.
pub async fn reopen_for_review(
    conn: Conn<'_>,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let statement = Statement::new("UPDATE open_invoices SET due_at = least(due_at, ")
        .instant(now)
        .sql(") WHERE account_id = ")
        .bigint(account.0)
        .sql(" AND end_time IS NULL");
    execute(conn, statement).await.map(drop)
}

/// Those of the months that are as they were read, locked in their order until the transaction ends.
pub(in crate::store) async fn open_lock(
    conn: Conn<'_>,
    months: &[OpenInvoice],
) -> Result<Vec<OpenInvoice>, StoreError> {
    let statement = key(
        Statement::new(
            "SELECT o.account_id, o.start_time, o.end_time, o.told FROM open_invoices o JOIN UNNEST(",
        ),
        months,
    )
    .sql(
        ") k (account_id, start_time) ON o.account_id = k.account_id AND o.start_time = k.start_time \
          ORDER BY o.account_id, o.start_time FOR UPDATE OF o",
    );
    let found = rows::<OpenInvoice>(conn, statement).await?;
    Ok(found.into_iter().filter(|open| months.contains(open)).collect())
}

/// Takes months off the list.
pub(in crate::store) async fn open_done(conn: Conn<'_>, months: &[OpenInvoice]) -> Result<(), StoreError> {
    if months.is_empty() {
        return Ok(());
    }
    let statement = key(Statement::new("DELETE FROM open_invoices o USING UNNEST("), months).sql(
        ") k (account_id, start_time) WHERE o.account_id = k.account_id AND o.start_time = k.start_time",
    );
    execute(conn, statement).await.map(drop)
}

fn key<ST>(statement: Statement<ST>, months: &[OpenInvoice]) -> Statement<ST> {
    let accounts: Vec<i64> = months.iter().map(|open| open.account.0).collect();
    let starts: Vec<DateTime<Utc>> = months.iter().map(|open| open.start).collect();
    statement.accounts(accounts).sql(", ").keys::<Timestamptz, _>(starts)
}

/// A month that stays on the list, and when it is looked at next.
pub(in crate::store) type Waiting = (OpenInvoice, DateTime<Utc>);

/// Keeps what is known of months by now.
pub(in crate::store) async fn open_keep(conn: Conn<'_>, months: &[Waiting]) -> Result<(), StoreError> {
    if months.is_empty() {
        return Ok(());
    }
    execute(conn, columns(months).update("open_invoices", 2)).await.map(drop)
}

/// Keeps that operators were told of a month.
pub async fn open_told(conn: Conn<'_>, month: &OpenInvoice) -> Result<(), StoreError> {
    let statement = Statement::new("UPDATE open_invoices SET told = true WHERE account_id = ")
        .bigint(month.account.0)
        .sql(" AND start_time = ")
        .instant(month.start);
    execute(conn, statement).await.map(drop)
}

/// Adds the months that follow.
pub(in crate::store) async fn open_add(conn: Conn<'_>, months: &[Waiting]) -> Result<(), StoreError> {
    if months.is_empty() {
        return Ok(());
    }
    let statement = columns(months).insert_into("open_invoices").sql(" ON CONFLICT DO NOTHING");
    execute(conn, statement).await.map(drop)
}

fn columns(months: &[Waiting]) -> Columns {
    Columns::new()
        .column::<BigInt, _>("account_id", months.iter().map(|(open, _)| open.account.0))
        .column::<Timestamptz, _>("start_time", months.iter().map(|(open, _)| open.start))
        .column::<Nullable<Timestamptz>, _>("end_time", months.iter().map(|(open, _)| open.end))
        .column::<Timestamptz, _>("due_at", months.iter().map(|(_, due)| *due))
        .column::<Bool, _>("told", months.iter().map(|(open, _)| open.told))
}
