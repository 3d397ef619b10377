//! When accounts were suspended.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Timestamptz};

use crate::domain::account::SuspendedSpan;
use crate::domain::closing::Month;
use crate::domain::ids::AccountId;
use crate::store::error::StoreError;
use crate::store::list::each_window;
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{Conn, execute};

/// An account was not suspended so often within a month that more than these have to be read.
const SPANS_MAX: i64 = 1_000;

/// The suspensions of accounts that are over and overlap a window of each.
pub async fn spans_overlapping(
    mut conn: Conn<'_>,
    windows: &[(AccountId, Month)],
) -> Result<Vec<SuspendedSpan>, StoreError> {
    let select =
        Statement::<(BigInt, Timestamptz, Timestamptz)>::new("SELECT t.account_id, t.from_time, t.to_time");
    let statement = each_window(select, windows.iter().copied())
        .sql(
            "(SELECT * FROM account_suspensions t WHERE t.account_id = k.account_id \
             AND t.from_time < k.end_time AND t.to_time > k.start_time ORDER BY t.from_time DESC LIMIT ",
        )
        .bigint(SPANS_MAX)
        .sql(") t");
    let found: Vec<(i64, DateTime<Utc>, DateTime<Utc>)> = statement.load(&mut conn).await?;
    let span = |(account, from, to)| SuspendedSpan { account: AccountId(account), from, to };
    Ok(found.into_iter().map(span).collect())
}

pub async fn span_insert(conn: Conn<'_>, spans: &[SuspendedSpan]) -> Result<(), StoreError> {
    if spans.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", spans.iter().map(|span| span.account.0))
        .column::<Timestamptz, _>("from_time", spans.iter().map(|span| span.from))
        .column::<Timestamptz, _>("to_time", spans.iter().map(|span| span.to));
    let statement = columns.insert_into("account_suspensions").sql(" ON CONFLICT DO NOTHING");
    execute(conn, statement).await.map(drop)
}
