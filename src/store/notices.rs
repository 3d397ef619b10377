//! Notices that nobody has acknowledged.

use diesel::sql_types::{Array, BigInt};

use super::error::StoreError;
use super::rows::{NoticeRow, select_list};
use super::statement::Statement;
use super::{Conn, rows};
use crate::domain::notice::Notice;

/// The newest open notices of each account.
pub async fn notice_open(conn: Conn<'_>, accounts: Vec<i64>, limit: i64) -> Result<Vec<Notice>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<NoticeRow>(""))
        .sql(
            " FROM (SELECT l.* FROM accounts a CROSS JOIN LATERAL (SELECT t.* FROM notices t \
             WHERE t.account_id = a.id AND t.acknowledged_at IS NULL ORDER BY t.id DESC LIMIT ",
        )
        .bigint(limit)
        .sql(") l WHERE a.id = ANY(")
        .value::<Array<BigInt>, _>(accounts)
        .sql(")) t");
    rows::<NoticeRow>(conn, statement).await
}
