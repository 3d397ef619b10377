//! What is kept for a while only is removed: so many rows at a time, each a short transaction (docs/RETENTION.md). Notices have a
//! file of their own.

use chrono::{DateTime, Months, NaiveDate, NaiveTime, Utc};
use diesel::sql_types::{BigInt, Bool, Date, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use super::error::StoreError;
use super::places::Topology;
use super::sql::statement::Statement;
use super::{Conn, execute};
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::prepay::QUOTE_HOLDS;

/// How many pages the table of keys has; of several shards the one that has most.
pub async fn keys_pages(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    let statement = Statement::<BigInt>::new("SELECT pages_of_keys()");
    Ok(statement.get_result(&mut conn).await?)
}

/// Removes the keys on so many pages, from one on, that were first used before an instant; how many. The database keeps those of 90 days.
pub async fn keys_forget(
    mut conn: Conn<'_>,
    before: DateTime<Utc>,
    (first, pages): (i64, i64),
) -> Result<i64, StoreError> {
    let statement = Statement::<BigInt>::new("SELECT forget_keys_of_pages(")
        .instant(before)
        .sql(", ")
        .bigint(first)
        .sql(", ")
        .bigint(pages)
        .sql("::integer)");
    Ok(statement.get_result(&mut conn).await?)
}

pub(super) type ForgetStatement = Statement<BigInt>;

/// Removes rows of the accounts that follow a number, `most` of them at most: what was made before an instant and is as `is_old` says.
/// `delete` is spelled out by whoever asks, as the server's rights are held against it (rights.rs).
/// Answers the last of these accounts, if there may be more to remove after it, and how many rows were removed.
pub(super) async fn forget_by_account(
    (mut conn, places): (Conn<'_>, &Topology),
    old: (&'static str, &'static str, DateTime<Utc>),
    after: AccountId,
    (accounts, most): (i64, i64),
    is_old: impl Fn(ForgetStatement) -> ForgetStatement,
) -> Result<(Option<AccountId>, i64), StoreError> {
    let page = Statement::<BigInt>::new("SELECT id FROM accounts WHERE id > ")
        .bigint(after.0)
        .sql(" ORDER BY id LIMIT ")
        .bigint(accounts);
    let page: Vec<i64> = page.load(&mut conn).await?;
    let is_full = i64::try_from(page.len()).is_ok_and(|seen| seen >= accounts);
    let last = page.last().copied().map(AccountId);
    let mut gone: i64 = 0;
    for group in places.group(page.into_iter().map(AccountId).collect()) {
        let owners: Vec<i64> = group.into_iter().map(|account| account.0).collect();
        let statement = forgetting(old, owners, most.saturating_sub(gone), &is_old);
        let found: Vec<i64> = statement.load(&mut conn).await?;
        gone = gone.saturating_add(found.into_iter().sum());
    }
    // Of the same accounts there may be more.
    let next = if gone >= most { Some(after) } else { last.filter(|_| is_full) };
    Ok((next, gone))
}

fn forgetting(
    (table, delete, made_before): (&'static str, &'static str, DateTime<Utc>),
    owners: Vec<i64>,
    most: i64,
    is_old: impl Fn(ForgetStatement) -> ForgetStatement,
) -> ForgetStatement {
    let statement = ForgetStatement::new("WITH old AS MATERIALIZED (SELECT o.place FROM UNNEST(")
        .accounts(owners.clone())
        .sql(format!(
            ") a (id) CROSS JOIN LATERAL (SELECT t.ctid AS place FROM {table} t WHERE t.account_id = a.id AND t.id < "
        ))
        // Ids begin with the instant of their rows.
        .uuid(OwnedId::first_at(made_before).uuid());
    // On another shard another's row stands at the same place.
    is_old(statement)
        .sql(") o LIMIT ")
        .bigint(most)
        .sql(format!("), gone AS ({delete} WHERE account_id = ANY("))
        .keys::<BigInt, _>(owners)
        .sql(") AND ctid = ANY(ARRAY(SELECT place FROM old)) RETURNING 1) SELECT count(*) FROM gone")
}

/// Removes offers of accounts that had expired before an instant, each account for itself.
pub async fn quotes_forget(
    on: (Conn<'_>, &Topology),
    after: AccountId,
    before: DateTime<Utc>,
    at_once: (i64, i64),
) -> Result<(Option<AccountId>, i64), StoreError> {
    let made_before = before.checked_sub_signed(QUOTE_HOLDS).unwrap_or(before);
    let is_old = |statement: ForgetStatement| statement.sql(" AND t.expires_at < ").instant(before);
    let old = ("prepay_quotes", "DELETE FROM prepay_quotes", made_before);
    forget_by_account(on, old, after, at_once, is_old).await
}

/// Removes slots in which gauges were reported before an instant, but none that a cycle which has not been run may ask for; how many.
pub async fn gauge_slots_forget(conn: Conn<'_>, before: DateTime<Utc>, most: i64) -> Result<i64, StoreError> {
    let statement = Statement::new(
        "DELETE FROM gauge_slots WHERE slot = ANY(ARRAY(SELECT slot FROM gauge_slots WHERE slot < least(",
    )
    .instant(before)
    // A report holds for an hour. Before burst began, no cycle is run that was over when it did.
    .sql(
        ", (SELECT CASE WHEN next_cycle > 0 THEN to_timestamp(next_cycle * 300.0) \
         ELSE (SELECT min(effective_from) FROM burst_capacities) END - interval '2 hours' FROM burst_progress)) \
         ORDER BY slot LIMIT ",
    )
    .bigint(most)
    .sql("))");
    Ok(i64::try_from(execute(conn, statement).await?).unwrap_or(i64::MAX))
}

/// The oldest month (UTC) of which there are events, if it ended before an instant and is billed.
pub async fn usage_month_over(
    mut conn: Conn<'_>,
    before: DateTime<Utc>,
) -> Result<Option<NaiveDate>, StoreError> {
    let statement = Statement::<Text>::new(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = 'usage_events'::regclass AND c.relname ~ '^usage_events_[0-9]{4}_[0-9]{2}$' \
         ORDER BY c.relname LIMIT 1",
    );
    let found: Vec<String> = statement.load(&mut conn).await?;
    let month = found.into_iter().next().and_then(|name| {
        let (year, month) = name.strip_prefix("usage_events_")?.split_once('_')?;
        NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)
    });
    let Some(month) = month else { return Ok(None) };
    let billed = Statement::<Timestamptz>::new("SELECT closed_before FROM billing_horizon");
    let billed: DateTime<Utc> = billed.get_result(&mut conn).await?;
    let end = month.checked_add_months(Months::new(1)).map(|end| end.and_time(NaiveTime::MIN).and_utc());
    Ok(Some(month).filter(|_| end.is_some_and(|end| end < before && end <= billed)))
}

/// Removes the events of a month (UTC), unless somebody is writing events just now; whether there were any. From then on none of that
/// month is taken.
pub async fn usage_month_drop(mut conn: Conn<'_>, month: NaiveDate) -> Result<bool, StoreError> {
    let statement = Statement::<Bool>::new("SELECT drop_usage_month(").value::<Date, _>(month).sql(")");
    Ok(statement.get_result(&mut conn).await?)
}
