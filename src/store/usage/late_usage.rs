//! Usage that was reported for months that are over: where to look again (docs/adr/0012).
//!
//! Whoever records usage enters a room, and sees how far months may be closed by now; whoever closes a month first says so,
//! and then waits until the room was empty once. So what is recorded is either seen by who closes its month, or noted here.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{BigInt, Date, Nullable, Timestamptz};
use diesel_async::RunQueryDsl;

use crate::clock::HeldBy;
use crate::domain::ids::AccountId;
use crate::store::clock_check::require_past;
use crate::store::error::StoreError;
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{Conn, execute};

/// The room, as an advisory lock.
const ROOM: i64 = 4_702_394_921_427_289_930;

/// Enters the room, until the transaction ends.
pub(in crate::store) async fn enter(conn: Conn<'_>) -> Result<(), StoreError> {
    let statement = Statement::new("SELECT pg_advisory_xact_lock_shared(").bigint(ROOM).sql(")");
    execute(conn, statement).await.map(drop)
}

/// Months that end before this may be closed by now.
pub(in crate::store) async fn horizon(mut conn: Conn<'_>) -> Result<DateTime<Utc>, StoreError> {
    let statement = Statement::<Timestamptz>::new("SELECT closed_before FROM billing_horizon");
    Ok(statement.get_result(&mut conn).await?)
}

/// Says that months that end by `end`, which is past, are going to be closed. To be committed before [`wait_for_recorders`].
pub async fn horizon_move(conn: Conn<'_>, held_by: HeldBy, end: DateTime<Utc>) -> Result<(), StoreError> {
    require_past(conn, held_by, end, "closed months").await?;
    let statement = Statement::new("UPDATE billing_horizon SET closed_before = ")
        .instant(end)
        .sql(" WHERE closed_before < ")
        .instant(end);
    execute(conn, statement).await.map(drop)
}

/// Waits until whoever was recording usage when the horizon was moved has finished.
pub async fn wait_for_recorders(conn: Conn<'_>) -> Result<(), StoreError> {
    let statement = Statement::new("SELECT pg_advisory_xact_lock(").bigint(ROOM).sql(")");
    execute(conn, statement).await.map(drop)
}

/// Notes days of accounts: whoever looks again does so from `due` on, or as soon as he was going to. Each time it is another
/// batch, which the column's default numbers.
pub async fn record_late(
    conn: Conn<'_>,
    days: &BTreeSet<(AccountId, NaiveDate)>,
    due: DateTime<Utc>,
) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    let statement = Columns::new()
        .column::<BigInt, _>("account_id", days.iter().map(|(account, _)| account.0))
        .column::<Date, _>("day", days.iter().map(|(_, day)| *day))
        .column::<Timestamptz, _>("due_at", days.iter().map(|_| due))
        .insert_into("late_usage AS l")
        .sql(
            " ON CONFLICT (account_id, day) DO UPDATE SET batch = excluded.batch, \
             due_at = least(l.due_at, excluded.due_at)",
        );
    execute(conn, statement).await.map(drop)
}

/// A day of an account whose usage came late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LateDay {
    pub account: AccountId,
    pub day: NaiveDate,
    /// Another with each time that it was noted.
    pub batch: i64,
    pub due_at: DateTime<Utc>,
}

/// The days that are to be looked at by `now`, those that have waited longest first, after where the last page stopped.
pub async fn late_due(
    mut conn: Conn<'_>,
    now: DateTime<Utc>,
    after: Option<&LateDay>,
    limit: i64,
) -> Result<Vec<LateDay>, StoreError> {
    let (at, account, day) = match after {
        Some(late) => (late.due_at, late.account.0, late.day),
        None => (DateTime::<Utc>::UNIX_EPOCH, 0, NaiveDate::default()),
    };
    let statement = Statement::<(BigInt, Date, BigInt, Timestamptz)>::new(
        "SELECT account_id, day, batch, due_at FROM late_usage WHERE due_at <= ",
    )
    .instant(now)
    .sql(" AND (due_at, account_id, day) > (")
    .instant(at)
    .sql(", ")
    .bigint(account)
    .sql(", ")
    .value::<Date, _>(day)
    .sql(") ORDER BY due_at, account_id, day LIMIT ")
    .bigint(limit);
    let found: Vec<(i64, NaiveDate, i64, DateTime<Utc>)> = statement.load(&mut conn).await?;
    let late = |(account, day, batch, due_at)| LateDay { account: AccountId(account), day, batch, due_at };
    Ok(found.into_iter().map(late).collect())
}

/// Takes days off the list, but for those that were noted again since they were read.
pub async fn late_done(conn: Conn<'_>, days: &[LateDay]) -> Result<(), StoreError> {
    // In the order of the keys, as those who note do it.
    let statement = Statement::new(
        "WITH done AS (SELECT l.account_id, l.day FROM late_usage l JOIN UNNEST(",
    )
    .accounts(days.iter().map(|late| late.account.0).collect::<Vec<_>>())
    .sql(", ")
    .keys::<Date, _>(days.iter().map(|late| late.day).collect::<Vec<_>>())
    .sql(", ")
    .keys::<BigInt, _>(days.iter().map(|late| late.batch).collect::<Vec<_>>())
    .sql(
        ") d (account_id, day, batch) ON l.account_id = d.account_id AND l.day = d.day AND l.batch = d.batch \
         ORDER BY l.account_id, l.day FOR UPDATE OF l) \
         DELETE FROM late_usage l USING done WHERE l.account_id = done.account_id AND l.day = done.day",
    );
    execute(conn, statement).await.map(drop)
}

/// Puts days off until `due`.
pub async fn late_put_off(conn: Conn<'_>, days: &[LateDay], due: DateTime<Utc>) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", days.iter().map(|late| late.account.0))
        .column::<Date, _>("day", days.iter().map(|late| late.day))
        .column::<Timestamptz, _>("due_at", days.iter().map(|_| due));
    execute(conn, columns.update("late_usage", 2)).await.map(drop)
}

/// When days are to be looked at next, after `now`.
pub async fn late_next_due(
    mut conn: Conn<'_>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let statement =
        Statement::<Nullable<Timestamptz>>::new("SELECT min(due_at) FROM late_usage WHERE due_at > ")
            .instant(now);
    Ok(statement.get_result(&mut conn).await?)
}
