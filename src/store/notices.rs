//! Notices: raised, listed until somebody acknowledges them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;

use super::error::StoreError;
use super::places::Topology;
use super::retention::{ForgetStatement, forget_by_account};
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::Statement;
use super::{Conn, execute, rows};
use crate::domain::ids::{AccountId, NoticeId};
use crate::domain::notice::{Notice, NoticeKind};

row! {
    notices => Notice as n {
        kept {
            id: NoticeId = n.id,
            kind: NoticeKind = n.kind,
            message: String = n.message,
            subject: Option<String> = n.subject,
            at: DateTime<Utc> = n.at,
        }
        written {
            account_id: AccountId = n.id.account(),
        }
    }
    Self { id, kind, message, subject, at }
}

/// What the provider has to look at: customers are not told.
const FOR_OPERATORS: &str = " AND t.kind NOT IN ('UNPRICED_USAGE', 'UNRATED_USAGE', 'INVOICE_HELD_UP', 'WRITES_FAILING', \
    'PAYMENT_DISPUTED', 'PAYMENT_UNMATCHED', 'LEDGER_FAULT', \
    'APPROVAL_NEEDED', 'APPROVAL_EXPIRED', 'RETENTION_FAILED', 'ANCHOR_FAILED')";
/// What customers are told of, and the provider has to do: they cannot take it off the list.
const DONE_BY_OPERATORS: &str = " AND t.kind <> 'DEPOSIT_UNUSED'";

/// Removes old notices of accounts, each account for itself. What the provider has to look at stays until somebody has.
pub async fn notices_forget(
    on: (Conn<'_>, &Topology),
    after: AccountId,
    before: DateTime<Utc>,
    at_once: (i64, i64),
) -> Result<(Option<AccountId>, i64), StoreError> {
    let is_old = |statement: ForgetStatement| {
        statement
            .sql(" AND (t.acknowledged_at < ")
            .instant(before)
            .sql(" OR (t.acknowledged_at IS NULL")
            .sql(FOR_OPERATORS)
            .sql(DONE_BY_OPERATORS)
            .sql("))")
    };
    forget_by_account(on, ("notices", "DELETE FROM notices", before), after, at_once, is_old).await
}

/// Whether an account has an open notice of a kind.
pub async fn notice_is_open(
    mut conn: Conn<'_>,
    account: AccountId,
    kind: NoticeKind,
) -> Result<bool, StoreError> {
    let statement = Statement::<Bool>::new(
        "SELECT EXISTS (SELECT 1 FROM notices WHERE acknowledged_at IS NULL AND account_id = ",
    )
    .bigint(account.0)
    .sql(" AND kind = ")
    .value::<Text, _>(kind.code())
    .sql(")");
    Ok(statement.get_result(&mut conn).await?)
}

/// The newest open notices of each account.
pub async fn notice_open(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    limit: i64,
    for_operators: bool,
) -> Result<Vec<Notice>, StoreError> {
    let told = if for_operators { "" } else { FOR_OPERATORS };
    let statement = Statement::new("SELECT ")
        .sql(select_list::<Notice>(""))
        .sql(
            " FROM (SELECT l.* FROM accounts a CROSS JOIN LATERAL (SELECT t.* FROM notices t \
             WHERE t.account_id = a.id AND t.acknowledged_at IS NULL",
        )
        .sql(told)
        .sql(" ORDER BY t.id DESC LIMIT ")
        .bigint(limit)
        .sql(") l WHERE a.id = ANY(")
        .accounts(accounts)
        .sql(")) t");
    rows::<Notice>(conn, statement).await
}

pub async fn notice_insert(conn: Conn<'_>, notices: &[Arc<Notice>]) -> Result<(), StoreError> {
    if notices.is_empty() {
        return Ok(());
    }
    execute(conn, Notice::columns(notices.iter().map(Arc::as_ref)).insert_into("notices")).await.map(drop)
}

/// Takes a notice off its account's list, and answers it; one that is off it stays as it was. None: there is none, or it is for
/// operators to acknowledge.
pub async fn notice_acknowledge(
    conn: Conn<'_>,
    id: NoticeId,
    at: DateTime<Utc>,
    by_operator: bool,
) -> Result<Option<Notice>, StoreError> {
    let (for_operators, done_by_operators) =
        if by_operator { ("", "") } else { (FOR_OPERATORS, DONE_BY_OPERATORS) };
    let statement = Statement::new("UPDATE notices t SET acknowledged_at = coalesce(acknowledged_at, ")
        .instant(at)
        .sql(") WHERE account_id = ")
        .bigint(id.account().0)
        .sql(" AND id = ")
        .uuid(id.uuid())
        .sql(for_operators)
        .sql(done_by_operators)
        .sql(" RETURNING ")
        .sql(select_list::<Notice>(""));
    Ok(rows::<Notice>(conn, statement).await?.pop())
}
