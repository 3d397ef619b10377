//! Notices: raised, listed until somebody acknowledges them.

use std::sync::Arc;

use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};

use super::error::StoreError;
use super::rows::{NoticeRow, select_list};
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows};
use crate::domain::ids::NoticeId;
use crate::domain::notice::Notice;

/// What the provider has to look at: customers are not told.
const FOR_OPERATORS: &str = " AND t.kind NOT IN ('UNPRICED_USAGE', 'UNRATED_USAGE', 'INVOICE_HELD_UP', 'WRITES_FAILING', \
    'PAYMENT_DISPUTED', 'PAYMENT_UNMATCHED', 'LEDGER_FAULT', \
    'APPROVAL_NEEDED', 'APPROVAL_EXPIRED')";
/// What customers are told of, and the provider has to do: they cannot take it off the list.
const DONE_BY_OPERATORS: &str = " AND t.kind <> 'DEPOSIT_UNUSED'";

/// The newest open notices of each account.
pub async fn notice_open(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    limit: i64,
    for_operators: bool,
) -> Result<Vec<Notice>, StoreError> {
    let told = if for_operators { "" } else { FOR_OPERATORS };
    let statement = Statement::new("SELECT ")
        .sql(select_list::<NoticeRow>(""))
        .sql(
            " FROM (SELECT l.* FROM accounts a CROSS JOIN LATERAL (SELECT t.* FROM notices t \
             WHERE t.account_id = a.id AND t.acknowledged_at IS NULL",
        )
        .sql(told)
        .sql(" ORDER BY t.id DESC LIMIT ")
        .bigint(limit)
        .sql(") l WHERE a.id = ANY(")
        .value::<Array<BigInt>, _>(accounts)
        .sql(")) t");
    rows::<NoticeRow>(conn, statement).await
}

pub async fn notice_insert(conn: Conn<'_>, notices: &[Arc<Notice>]) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", notices.iter().map(|n| n.id.account().0))
        .column::<SqlUuid, _>("id", notices.iter().map(|n| n.id.uuid()))
        .column::<Text, _>("kind", notices.iter().map(|n| n.kind.code()))
        .column::<Text, _>("message", notices.iter().map(|n| n.message.clone()))
        .column::<Nullable<Text>, _>("subject", notices.iter().map(|n| n.subject.clone()))
        .column::<Timestamptz, _>("at", notices.iter().map(|n| n.at));
    execute(conn, columns.insert_into("notices")).await.map(drop)
}

/// Takes a notice off its account's list, and answers it; one that is off it stays as it was. None: there is none, or it is for
/// operators to acknowledge.
pub async fn notice_acknowledge(
    conn: Conn<'_>,
    id: NoticeId,
    at: chrono::DateTime<chrono::Utc>,
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
        .sql(select_list::<NoticeRow>(""));
    Ok(rows::<NoticeRow>(conn, statement).await?.pop())
}
