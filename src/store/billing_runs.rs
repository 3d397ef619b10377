//! Billing runs: which there are, how far they have come, and who is at which of their accounts.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use diesel::sql_types::{BigInt, Bool, Date, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use super::accounts::account_zones::zone_named;
use super::clock_check::require_past;
use super::error::StoreError;
use super::sql::row::row;
use super::sql::statement::Statement;
use super::{Conn, execute, rows, select_from};
use crate::clock::HeldBy;
use crate::domain::account::Account;
use crate::domain::billing_run::{BillingRun, RunState};
use crate::domain::closing::Month;
use crate::domain::ids::AccountId;

row! {
    billing_runs => BillingRun {
        period: NaiveDate,
        time_zone: Tz,
        start_time: DateTime<Utc>,
        end_time: DateTime<Utc>,
        state: RunState,
        total: i64,
        done: i64,
        failed: i64,
        started_at: DateTime<Utc>,
        finished_at: Option<DateTime<Utc>>,
    }
    Self {
        period,
        time_zone,
        month: Month { start: start_time, end: end_time },
        state,
        total,
        done,
        failed,
        started_at,
        finished_at,
    }
}

/// A page that was taken on is done within this time, or another server takes it on too.
const PAGE_SECONDS: i64 = 120;

/// A zone that accounts are in, with its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneRuns {
    pub time_zone: Tz,
    /// When the last month ended that a run was begun for.
    pub until: Option<DateTime<Utc>>,
    /// Whether a run is under way.
    pub is_running: bool,
}

/// The zones that accounts are in, or were.
pub async fn zones(mut conn: Conn<'_>) -> Result<Vec<ZoneRuns>, StoreError> {
    let statement = Statement::<(Text, Nullable<Timestamptz>, Bool)>::new(
        "SELECT z.time_zone, (SELECT max(r.end_time) FROM billing_runs r WHERE r.time_zone = z.time_zone), \
         EXISTS (SELECT 1 FROM billing_runs r WHERE r.time_zone = z.time_zone AND r.state = 'RUNNING') \
         FROM account_zones z ORDER BY z.time_zone",
    );
    let found: Vec<(String, Option<DateTime<Utc>>, bool)> = statement.load(&mut conn).await?;
    let zone = |(zone, until, is_running)| Ok(ZoneRuns { time_zone: zone_named(zone)?, until, is_running });
    found.into_iter().map(zone).collect()
}

/// When the first account of a zone was made.
pub async fn first_account_of(mut conn: Conn<'_>, zone: Tz) -> Result<Option<DateTime<Utc>>, StoreError> {
    let statement = Statement::<Nullable<Timestamptz>>::new(
        "SELECT min(coalesce(closed_until, created_at)) FROM accounts WHERE time_zone = ",
    )
    .value::<Text, _>(zone.name());
    Ok(statement.get_result(&mut conn).await?)
}

/// Begins a run for a month that is over, unless it has begun before.
pub async fn run_begin(
    conn: Conn<'_>,
    held_by: HeldBy,
    period: NaiveDate,
    zone: Tz,
    month: Month,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    require_past(conn, held_by, month.end, "closed months").await?;
    let statement = Statement::new(
        "INSERT INTO billing_runs (period, time_zone, start_time, end_time, state, total, started_at) SELECT ",
    )
    .value::<Date, _>(period)
    .sql(", ")
    .value::<Text, _>(zone.name())
    .sql("::text, ")
    .instant(month.start)
    .sql(", ")
    .instant(month.end)
    .sql(", 'RUNNING', (SELECT count(*) FROM accounts WHERE time_zone = ")
    .value::<Text, _>(zone.name())
    .sql("), ")
    .instant(now)
    .sql(" ON CONFLICT DO NOTHING");
    execute(conn, statement).await.map(drop)
}

/// The runs of a month, or the latest ones.
pub async fn runs(
    conn: Conn<'_>,
    period: Option<NaiveDate>,
    limit: i64,
) -> Result<Vec<BillingRun>, StoreError> {
    let mut statement = select_from::<BillingRun>("billing_runs");
    if let Some(period) = period {
        statement = statement.sql(" WHERE period = ").value::<Date, _>(period);
    }
    let statement = statement.sql(" ORDER BY period DESC, end_time, time_zone LIMIT ").bigint(limit);
    rows::<BillingRun>(conn, statement).await
}

/// The runs that are not done, those whose months ended first, first.
pub async fn runs_under_way(conn: Conn<'_>, limit: i64) -> Result<Vec<BillingRun>, StoreError> {
    let statement = select_from::<BillingRun>("billing_runs")
        .sql(" WHERE state = 'RUNNING' ORDER BY period, time_zone LIMIT ")
        .bigint(limit);
    rows::<BillingRun>(conn, statement).await
}

/// Some accounts of a run: those after the one, up to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunPage {
    pub after: AccountId,
    pub last: AccountId,
}

/// Takes on the next accounts of a run, or those that another server has left; None if there are none now. A run of which
/// nothing is left is done. Of a month that is not over it is an error.
pub async fn page_take(
    connection: &mut AsyncPgConnection,
    held_by: HeldBy,
    run: &BillingRun,
    accounts: i64,
    now: DateTime<Utc>,
) -> Result<Option<RunPage>, StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            require_past(conn, held_by, run.month.end, "closed months").await?;
            let Some(last) = hold(conn, run).await? else { return Ok(None) };
            if let Some(page) = page_left(conn, run).await? {
                return Ok(Some(page));
            }
            match page_next(conn, run, last, accounts).await? {
                Some(page) => Ok(Some(page)),
                None => finish(conn, run, now).await.map(|()| None),
            }
        })
        .await
}

/// One at a time gives out accounts of a run. Answers the last one that is out; None if the run is done.
async fn hold(mut conn: Conn<'_>, run: &BillingRun) -> Result<Option<AccountId>, StoreError> {
    let statement =
        Statement::<BigInt>::new("SELECT last_account FROM billing_runs WHERE state = 'RUNNING' AND ");
    let found: Vec<i64> = of_run(statement, run).sql(" FOR UPDATE").load(&mut conn).await?;
    Ok(found.into_iter().next().map(AccountId))
}

fn of_run<ST>(statement: Statement<ST>, run: &BillingRun) -> Statement<ST> {
    statement
        .sql("period = ")
        .value::<Date, _>(run.period)
        .sql(" AND time_zone = ")
        .value::<Text, _>(run.time_zone.name())
}

fn page_of(found: Vec<(i64, i64)>) -> Option<RunPage> {
    let (after, last) = found.into_iter().next()?;
    Some(RunPage { after: AccountId(after), last: AccountId(last) })
}

async fn page_left(mut conn: Conn<'_>, run: &BillingRun) -> Result<Option<RunPage>, StoreError> {
    let statement = Statement::<(BigInt, BigInt)>::new(
        "UPDATE billing_pages p SET expires_at = clock_timestamp() + make_interval(secs => ",
    )
    .bigint(PAGE_SECONDS)
    .sql(") FROM (SELECT period, time_zone, after_account FROM billing_pages WHERE (expires_at < clock_timestamp() \
         OR expires_at > clock_timestamp() + make_interval(secs => ")
    // The database had another clock.
    .bigint(PAGE_SECONDS.saturating_mul(2))
    .sql(")) AND ");
    let statement = of_run(statement, run).sql(
        " ORDER BY after_account LIMIT 1) l WHERE p.period = l.period AND p.time_zone = l.time_zone \
         AND p.after_account = l.after_account RETURNING p.after_account, p.last_account",
    );
    let found: Vec<(i64, i64)> = statement.load(&mut conn).await?;
    Ok(page_of(found))
}

async fn page_next(
    mut conn: Conn<'_>,
    run: &BillingRun,
    after: AccountId,
    accounts: i64,
) -> Result<Option<RunPage>, StoreError> {
    let statement = Statement::<Nullable<BigInt>>::new(
        "SELECT max(a.id) AS last FROM (SELECT id FROM accounts WHERE time_zone = ",
    )
    .value::<Text, _>(run.time_zone.name())
    .sql(" AND id > ")
    .bigint(after.0)
    .sql(" ORDER BY id LIMIT ")
    .bigint(accounts)
    .sql(") a");
    let last: Option<i64> = statement.get_result(&mut conn).await?;
    let Some(last) = last else { return Ok(None) };
    let moved = Statement::new("UPDATE billing_runs SET last_account = ").bigint(last).sql(" WHERE ");
    execute(conn, of_run(moved, run)).await?;
    let page = Statement::new(
        "INSERT INTO billing_pages (period, time_zone, after_account, last_account, expires_at) VALUES (",
    )
    .value::<Date, _>(run.period)
    .sql(", ")
    .value::<Text, _>(run.time_zone.name())
    .sql(", ")
    .bigint(after.0)
    .sql(", ")
    .bigint(last)
    .sql(", clock_timestamp() + make_interval(secs => ")
    .bigint(PAGE_SECONDS)
    .sql("))");
    execute(conn, page).await?;
    Ok(Some(RunPage { after, last: AccountId(last) }))
}

/// A run of which all accounts are handed out is done when none is under way.
async fn finish(conn: Conn<'_>, run: &BillingRun, now: DateTime<Utc>) -> Result<(), StoreError> {
    let statement = Statement::new("UPDATE billing_runs r SET state = 'DONE', finished_at = ")
        .instant(now)
        .sql(" WHERE ");
    let statement = of_run(statement, run).sql(
        " AND NOT EXISTS (SELECT 1 FROM billing_pages p WHERE p.period = r.period \
         AND p.time_zone = r.time_zone)",
    );
    execute(conn, statement).await.map(drop)
}

/// Says that a page's accounts have been looked at. Of two servers that did the same, one says so.
pub async fn page_done(
    connection: &mut AsyncPgConnection,
    run: &BillingRun,
    page: RunPage,
    done: i64,
    failed: i64,
) -> Result<(), StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            if hold(conn, run).await?.is_none() {
                return Ok(());
            }
            let statement = Statement::new("DELETE FROM billing_pages WHERE ");
            let statement = of_run(statement, run).sql(" AND after_account = ").bigint(page.after.0);
            if execute(conn, statement).await? == 0 {
                return Ok(());
            }
            let statement = Statement::new("UPDATE billing_runs SET done = done + ")
                .bigint(done)
                .sql(", failed = failed + ")
                .bigint(failed)
                .sql(" WHERE ");
            execute(conn, of_run(statement, run)).await.map(drop)
        })
        .await
}

/// The accounts of a page.
pub async fn page_accounts(
    conn: Conn<'_>,
    run: &BillingRun,
    page: RunPage,
) -> Result<Vec<Account>, StoreError> {
    let statement = select_from::<Account>("accounts")
        .sql(" WHERE time_zone = ")
        .value::<Text, _>(run.time_zone.name())
        .sql(" AND id > ")
        .bigint(page.after.0)
        .sql(" AND id <= ")
        .bigint(page.last.0)
        .sql(" ORDER BY id");
    rows::<Account>(conn, statement).await
}
