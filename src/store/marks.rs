//! Marks that only go forward, and what is dated: as `abacus doctor` looks at them. Nothing here changes anything.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use diesel::sql_types::{BigInt, Date, Nullable, Text, Timestamptz};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::Conn;
use super::accepted_futures::dated_ahead;
use super::clock_check::PRESENT;
use super::database::{Database, OwnConnection};
use super::error::StoreError;
use super::leases::LEASE_SECONDS_MAX;
use super::sql::statement::Statement;
use crate::domain::ids::AccountId;

/// Lists tell the first so many.
pub const SHOWN: i64 = 10;
/// A statement that looks through whole tables may take so long.
const SECONDS_MAX: i64 = 120;

/// A connection for looking: its statements may take their time, and change nothing.
pub async fn looking(database: &Database) -> Result<OwnConnection, StoreError> {
    let mut connection = database.reading_connection(SECONDS_MAX).await?;
    connection.batch_execute("SET default_transaction_read_only = on; SET enable_seqscan = on").await?;
    Ok(connection)
}

/// A mark that only goes forward.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    pub name: &'static str,
    /// Where it is.
    sql: &'static str,
    /// By which clock.
    by: By,
    /// So far beyond that it may be.
    pub beyond: TimeDelta,
    pub next: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// The database's, as far ahead as a sandbox's was moved.
    Present,
    /// The database's own.
    Database,
}

const TAKE_BACK: &str = "abacus take-back";

const fn mark(name: &'static str, sql: &'static str) -> Mark {
    Mark { name, sql, by: By::Present, beyond: TimeDelta::seconds(2), next: TAKE_BACK }
}

impl Mark {
    const fn beyond(self, beyond: TimeDelta) -> Self {
        Self { beyond, ..self }
    }

    const fn by_database(self) -> Self {
        Self { by: By::Database, ..self }
    }

    const fn next(self, next: &'static str) -> Self {
        Self { next, ..self }
    }
}

/// All that are an instant.
pub const MARKS: [Mark; 13] = [
    mark("burst was charged up to", "SELECT to_timestamp(next_cycle::bigint * 300) FROM burst_progress"),
    mark(
        "an account was charged for burst up to",
        "SELECT to_timestamp((max(burst_cycle)::bigint + 1) * 300) FROM accounts",
    )
    .next("nothing: it is charged for no cycle twice, and on from there once it is over"),
    mark("months may be closed that end by", "SELECT closed_before FROM billing_horizon"),
    mark("the last month that is being billed ends", "SELECT max(end_time) FROM billing_runs"),
    mark("a page of a billing run is held until", "SELECT max(expires_at) FROM billing_pages")
        .by_database()
        .beyond(TimeDelta::minutes(4)),
    mark("late usage is looked at by", "SELECT max(due_at) FROM late_usage").beyond(TimeDelta::hours(25)),
    // One that follows a month whose invoice was issued too early has nowhere else to begin.
    mark(
        "the last month without an invoice begins",
        "SELECT max(start_time) FROM open_invoices o WHERE NOT EXISTS (SELECT 1 FROM invoices i \
         WHERE i.account_id = o.account_id AND i.end_time = o.start_time)",
    ),
    mark(
        "providers' movements were looked at up to",
        "SELECT max(greatest(held_until, own_from, next_at - interval '1 day')) FROM reconciliations",
    ),
    mark(
        "the ledger was checked at",
        "SELECT greatest(round_began_at, round_ended_at) FROM ledger_check_position",
    )
    .by_database(),
    mark("where a ledger ended was noted at", "SELECT max(noted_at) FROM ledger_checkpoints")
        .next("nothing: it is noted anew with the next round of the check"),
    mark("the ledger was anchored at", "SELECT max(at) FROM ledger_anchors")
        .next("nothing: the next anchor is made as if it were not there"),
    mark("a key was refused at", "SELECT max(refused_at) FROM refused_keys")
        .by_database()
        .beyond(TimeDelta::minutes(1))
        .next("nothing: the key is refused until its time has come; ask with another"),
    mark(
        "what providers and the ledger do not say alike was seen at",
        "SELECT max(seen_at) FROM unmatched_payments",
    )
    .next("nothing: it stands first in the list until its time has come"),
];

/// Where a mark is, and what it may be at most.
pub async fn mark_at(
    mut conn: Conn<'_>,
    mark: &Mark,
) -> Result<(Option<DateTime<Utc>>, DateTime<Utc>), StoreError> {
    let by = if mark.by == By::Present { PRESENT } else { "clock_timestamp()" };
    let statement =
        Statement::<(Nullable<Timestamptz>, Timestamptz)>::new("SELECT (").sql(mark.sql).sql("), ").sql(by);
    Ok(statement.get_result(&mut conn).await?)
}

/// Who holds a lease, and until when; and whether that is longer than any lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    pub name: String,
    pub holder: String,
    pub expires_at: DateTime<Utc>,
    pub at_most: DateTime<Utc>,
}

pub async fn leases_held(mut conn: Conn<'_>) -> Result<Vec<HeldLease>, StoreError> {
    let statement = Statement::<(Text, Text, Timestamptz, Timestamptz)>::new(
        "SELECT name, holder, expires_at, clock_timestamp() + make_interval(secs => ",
    )
    .bigint(LEASE_SECONDS_MAX)
    .sql(") FROM leases ORDER BY name");
    let found: Vec<(String, String, DateTime<Utc>, DateTime<Utc>)> = statement.load(&mut conn).await?;
    let lease = |(name, holder, expires_at, at_most)| HeldLease { name, holder, expires_at, at_most };
    Ok(found.into_iter().map(lease).collect())
}

/// Something of an account that lies ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    pub account: AccountId,
    /// Of which kind it is, and which.
    pub what: String,
    pub at: DateTime<Utc>,
}

type AheadSql = (BigInt, BigInt, Text, Timestamptz);

/// How many there are, and the first of them.
async fn counted(
    mut conn: Conn<'_>,
    statement: Statement<AheadSql>,
) -> Result<(i64, Vec<Ahead>), StoreError> {
    let found: Vec<(i64, i64, String, DateTime<Utc>)> = statement.load(&mut conn).await?;
    let count = found.as_slice().first().map_or(0, |(count, ..)| *count);
    let ahead = |(_, account, what, at)| Ahead { account: AccountId(account), what, at };
    Ok((count, found.into_iter().map(ahead).collect()))
}

/// What is dated ahead; what an operator has accepted is apart.
pub async fn dated(conn: Conn<'_>, accepted: bool) -> Result<(i64, Vec<Ahead>), StoreError> {
    let statement = Statement::new("SELECT count(*) OVER (), t.account_id, t.kind || ' ' || t.named, t.at FROM ")
        .sql(dated_ahead())
        .sql(" t LEFT JOIN accepted_futures f ON f.account_id = t.account_id AND f.until >= t.at WHERE f.account_id IS ")
        .sql(if accepted { "NOT NULL" } else { "NULL" })
        .sql(" ORDER BY t.account_id, t.kind, t.named LIMIT ")
        .bigint(SHOWN);
    counted(conn, statement).await
}

/// Months of accounts that were closed before they were over.
pub async fn closed_early(conn: Conn<'_>) -> Result<(i64, Vec<Ahead>), StoreError> {
    let statement = Statement::new(
        "SELECT count(*) OVER (), a.id, 'months closed' || coalesce(', bill ' || (SELECT b.number FROM closed_months m \
         JOIN bills b ON b.account_id = m.account_id AND b.id = m.bill_id WHERE m.account_id = a.id \
         AND m.end_time = a.closed_until), ''), a.closed_until FROM accounts a WHERE a.closed_until > ",
    )
    .sql(PRESENT)
    .sql(" ORDER BY a.id LIMIT ")
    .bigint(SHOWN);
    counted(conn, statement).await
}

/// Accounts with months that were closed before they were over, after one.
pub async fn accounts_closed_early(
    mut conn: Conn<'_>,
    now: DateTime<Utc>,
    after: AccountId,
    limit: i64,
) -> Result<Vec<AccountId>, StoreError> {
    let statement = Statement::<BigInt>::new("SELECT id FROM accounts WHERE closed_until > ")
        .instant(now)
        .sql(" AND id > ")
        .bigint(after.0)
        .sql(" ORDER BY id LIMIT ")
        .bigint(limit);
    let found: Vec<i64> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(AccountId).collect())
}

/// Where a chain's scans have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    pub chain: i64,
    pub begin_after: i64,
    pub newest: Option<i64>,
}

pub async fn chains_scanned(mut conn: Conn<'_>) -> Result<Vec<Scanned>, StoreError> {
    let statement = Statement::<(BigInt, BigInt, Nullable<BigInt>)>::new(
        "SELECT chain_id, begin_after, (SELECT max(number) FROM chain_blocks b WHERE b.chain_id = c.chain_id) FROM chains c \
         ORDER BY chain_id",
    );
    let found: Vec<(i64, i64, Option<i64>)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(chain, begin_after, newest)| Scanned { chain, begin_after, newest }).collect())
}

/// The last month that there is a partition of events for, and the last that there may be.
pub async fn last_partition(mut conn: Conn<'_>) -> Result<(Option<NaiveDate>, NaiveDate), StoreError> {
    let statement = Statement::<(Nullable<Date>, Date)>::new(
        "SELECT max(to_date(right(c.relname, 7), 'YYYY_MM')), (date_trunc('month', ",
    )
    .sql(PRESENT)
    .sql(
        " AT TIME ZONE 'UTC') + interval '1 month')::date FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = 'usage_events'::regclass",
    );
    Ok(statement.get_result(&mut conn).await?)
}

/// Open notices of what went wrong: how many, and when the last came.
pub async fn open_faults(mut conn: Conn<'_>) -> Result<(i64, Option<DateTime<Utc>>), StoreError> {
    let statement = Statement::<(BigInt, Nullable<Timestamptz>)>::new(
        "SELECT count(*), max(at) FROM notices WHERE acknowledged_at IS NULL AND kind IN ('LEDGER_FAULT', 'WRITES_FAILING', \
         'JOB_FAILED', 'PAYMENT_UNMATCHED', 'INVOICE_HELD_UP', 'UNRATED_USAGE', 'ANCHOR_FAILED')",
    );
    Ok(statement.get_result(&mut conn).await?)
}
