//! Leases: who does what only one at a time should do. A lease that is not renewed ends by itself; it saves work, and
//! nothing relies on it. Its time is the database's own, which no sandbox moves.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use super::clock_check::AskedAt;
use super::error::StoreError;
use super::sql::statement::Statement;
use super::usage::late_usage;
use super::{Conn, accounts, execute, list};

/// What there are leases for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Reading what is due, and having it done.
    Jobs,
    /// Looking at months for which usage came late.
    LateUsage,
    /// Charging burst.
    Burst,
    /// Carrying payments and prepayments on.
    Payments,
    /// Looking for deposits of tokens.
    Deposits,
    /// Issuing invoices.
    Invoices,
    /// Holding what payment providers have moved against the ledger.
    Reconciliation,
    /// Forgetting what is kept for a while only.
    Sweep,
    /// Checking all ledgers.
    LedgerCheck,
    /// Removing what was kept for long enough.
    Retention,
    /// Blanking accounts that are erased.
    Erasures,
    /// Anchoring the ledger.
    Anchors,
    /// Moving the sandbox's clock.
    Clock,
}

/// Longer than fifty accounts are looked at.
const LEDGER_CHECK_SECONDS: i64 = 15 * 60;

impl Lease {
    /// What runners hold.
    pub const OF_RUNNERS: [Self; 12] = [
        Self::Jobs,
        Self::LateUsage,
        Self::Burst,
        Self::Payments,
        Self::Deposits,
        Self::Invoices,
        Self::Reconciliation,
        Self::Sweep,
        Self::LedgerCheck,
        Self::Retention,
        Self::Erasures,
        Self::Anchors,
    ];

    /// How long it lasts, where others last so long: what is done slowly is taken over late.
    pub fn seconds(self, usual: i64) -> i64 {
        match self {
            Self::LedgerCheck => usual.max(LEDGER_CHECK_SECONDS),
            _ => usual,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::LateUsage => "late usage",
            Self::Burst => "burst",
            Self::Payments => "payments",
            Self::Deposits => "deposits",
            Self::Invoices => "invoices",
            Self::Reconciliation => "reconciliation",
            Self::Sweep => "sweep",
            Self::LedgerCheck => "ledger check",
            Self::Retention => "retention",
            Self::Erasures => "erasures",
            Self::Anchors => "anchors",
            Self::Clock => "clock",
        }
    }
}

/// None lasts longer: one that ends later was taken when the database had another clock.
pub const LEASE_SECONDS_MAX: i64 = 60 * 60;

/// Takes a lease, or keeps it for so many seconds more; false while another holds it. Where the machine's clock is wrong it is an
/// error: whoever goes on page by page compares at each.
pub async fn lease_take(
    mut conn: Conn<'_>,
    lease: Lease,
    holder: &str,
    seconds: i64,
) -> Result<bool, StoreError> {
    let statement = taking(lease, holder, seconds)
        .sql(
            " WHERE l.holder = excluded.holder OR l.expires_at < clock_timestamp() \
             OR l.expires_at > clock_timestamp() + make_interval(secs => ",
        )
        .bigint(LEASE_SECONDS_MAX)
        .sql(") RETURNING clock_timestamp()")
        .returning::<Timestamptz>();
    let asked = AskedAt::now();
    let taken: Vec<DateTime<Utc>> = statement.load(&mut conn).await?;
    let Some(time) = taken.into_iter().next() else { return Ok(false) };
    asked.require_right(time).map(|()| true)
}

/// Takes a lease away from whoever holds it.
pub async fn lease_seize(conn: Conn<'_>, lease: Lease, holder: &str, seconds: i64) -> Result<(), StoreError> {
    execute(conn, taking(lease, holder, seconds)).await.map(drop)
}

fn taking(lease: Lease, holder: &str, seconds: i64) -> Statement {
    Statement::new("INSERT INTO leases AS l (name, holder, expires_at) VALUES (")
        .value::<Text, _>(lease.name())
        .sql(", ")
        .text(holder.to_owned())
        .sql(", clock_timestamp() + make_interval(secs => ")
        .bigint(seconds)
        .sql(")) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at")
}

/// Gives a lease back, if it is still the holder's.
pub async fn lease_end(conn: Conn<'_>, lease: Lease, holder: &str) -> Result<(), StoreError> {
    let statement = Statement::new("DELETE FROM leases WHERE name = ")
        .value::<Text, _>(lease.name())
        .sql(" AND holder = ")
        .text(holder.to_owned());
    execute(conn, statement).await.map(drop)
}

/// When anything falls due next, after `now`.
pub async fn next_due(mut conn: Conn<'_>, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
    let orders: Option<DateTime<Utc>> = list::next_due("orders", now).get_result(&mut conn).await?;
    let bills: Option<DateTime<Utc>> = list::next_due("bills", now).get_result(&mut conn).await?;
    let payments: Option<DateTime<Utc>> = list::next_due("payments", now).get_result(&mut conn).await?;
    let prepayments: Option<DateTime<Utc>> = list::next_due("prepayments", now).get_result(&mut conn).await?;
    let approvals: Option<DateTime<Utc>> = list::next_due("approvals", now).get_result(&mut conn).await?;
    let late = late_usage::late_next_due(conn, now).await?;
    let holds = accounts::hold_next_due(conn, now).await?;
    Ok([orders, bills, payments, prepayments, approvals, late, holds].into_iter().flatten().min())
}

/// How far the sandbox's clock is ahead of the machines', in microseconds.
pub async fn clock_offset(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    let statement = Statement::<BigInt>::new("SELECT offset_micros FROM sandbox_clock");
    let found: Vec<i64> = statement.load(&mut conn).await?;
    Ok(found.into_iter().next().unwrap_or(0))
}

/// Keeps how far the sandbox's clock is ahead; it never goes back.
pub async fn set_clock_offset(conn: Conn<'_>, micros: i64) -> Result<(), StoreError> {
    let statement = Statement::new("INSERT INTO sandbox_clock AS c (offset_micros) VALUES (")
        .bigint(micros)
        .sql(
            ") ON CONFLICT (only_row) DO UPDATE SET offset_micros = greatest(c.offset_micros, excluded.offset_micros)",
        );
    execute(conn, statement).await.map(drop)
}
