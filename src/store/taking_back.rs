//! What whoever owns the schema does after a machine with a wrong clock wrote: marks that it has moved beyond the present are set
//! back to it, and accounts that it has dated into the future are accepted as they are.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, RunQueryDsl};

use super::accepted_futures::dated_ahead;
use super::clock_check::{PRESENT, present, require_right_clock};
use super::database::Database;
use super::error::StoreError;
use super::leases::LEASE_SECONDS_MAX;
use super::sql::statement::Statement;
use super::{Conn, execute};
use crate::domain::burst::Cycle;
use crate::domain::ids::AccountId;

/// Cycles that are run once more at the most, unless somebody says from when on: of 60 days.
const CYCLES_MAX: i32 = 60 * 24 * 12;
/// Movements are looked at again so many days back.
const MOVEMENTS_DAYS: i64 = 30;

/// Sets marks back that are beyond the present, all or none, and says of each where it was. Burst goes back to `burst_since`; else to
/// the last cycle that is over and that somebody was charged for.
pub async fn marks_take_back(
    owner: &Database,
    burst_since: Option<DateTime<Utc>>,
) -> Result<Vec<String>, StoreError> {
    let mut connection = owner.dedicated_connection().await?;
    require_right_clock(&connection).await?;
    connection.transaction(async |connection| take_back(connection, burst_since).await).await
}

/// What that would do: it is done, and undone. With how many accounts have months that were closed before they were over.
pub async fn marks_try_to_take_back(
    owner: &Database,
    burst_since: Option<DateTime<Utc>>,
) -> Result<(Vec<String>, i64), StoreError> {
    let connection = owner.trial_connection().await?;
    require_right_clock(&connection).await?;
    Ok((take_back(&connection, burst_since).await?, closed_early_count(&connection).await?))
}

async fn take_back(conn: Conn<'_>, burst_since: Option<DateTime<Utc>>) -> Result<Vec<String>, StoreError> {
    let mut done = Vec::new();
    done.extend(burst(conn, burst_since).await?);
    for (what, statement) in statements() {
        let rows = execute(conn, statement).await?;
        if rows > 0 {
            done.push(format!("{what}: {rows}"));
        }
    }
    Ok(done)
}

async fn burst(mut conn: Conn<'_>, since: Option<DateTime<Utc>>) -> Result<Option<String>, StoreError> {
    let running = Cycle::of(present(conn).await?);
    let statement = Statement::<(Integer, Integer)>::new(
        "SELECT next_cycle, coalesce((SELECT max(burst_cycle) + 1 FROM accounts WHERE burst_cycle < ",
    )
    .value::<Integer, _>(running.number())
    .sql("), ")
    .value::<Integer, _>(running.number())
    .sql("::integer) FROM burst_progress");
    let (next, charged): (i32, i32) = statement.get_result(&mut conn).await?;
    let (next, charged) = (Cycle::numbered(next), Cycle::numbered(charged).max(running.plus(-CYCLES_MAX)));
    let to = since.map_or(charged, Cycle::of).min(running);
    if next <= running {
        return Ok(None);
    }
    let statement =
        Statement::new("UPDATE burst_progress SET next_cycle = ").value::<Integer, _>(to.number());
    execute(conn, statement).await?;
    Ok(Some(format!("burst was charged up to {}; it goes on from {}", next.start(), to.start())))
}

fn statements() -> [(&'static str, Statement); 9] {
    let sql = |text: String| Statement::new(text);
    [
        (
            "where closed months end is the present again",
            sql(format!(
                "UPDATE billing_horizon SET closed_before = {PRESENT} WHERE closed_before > {PRESENT}"
            )),
        ),
        (
            "pages of billing runs of months that are not over, given up",
            sql(format!(
                "DELETE FROM billing_pages p USING billing_runs r WHERE p.period = r.period AND p.time_zone = r.time_zone \
                 AND r.end_time > {PRESENT}"
            )),
        ),
        (
            "billing runs of months that are not over, given up",
            sql(format!("DELETE FROM billing_runs WHERE end_time > {PRESENT}")),
        ),
        (
            "leases that nobody can hold for so long, ended",
            Statement::new("DELETE FROM leases WHERE expires_at > clock_timestamp() + make_interval(secs => ")
                .bigint(LEASE_SECONDS_MAX)
                .sql(")"),
        ),
        (
            "days with late usage that are looked at now",
            sql(format!(
                "UPDATE late_usage SET due_at = {PRESENT} WHERE due_at > {PRESENT} + interval '25 hours'"
            )),
        ),
        (
            "providers whose movements are looked at again",
            sql(format!(
                "UPDATE reconciliations SET next_at = least(next_at, {PRESENT}), \
                 held_until = CASE WHEN held_until > {PRESENT} THEN clock_timestamp() - make_interval(days => {MOVEMENTS_DAYS}) \
                 ELSE held_until END, own_from = CASE WHEN own_from > {PRESENT} \
                 THEN {PRESENT} - make_interval(days => {MOVEMENTS_DAYS}) ELSE own_from END \
                 WHERE greatest(held_until, own_from, next_at - interval '1 day') > {PRESENT}"
            )),
        ),
        (
            "the check of the ledger, to begin its next round now",
            sql("UPDATE ledger_check_position SET round_began_at = least(round_began_at, clock_timestamp()), \
                 round_ended_at = CASE WHEN round_ended_at > clock_timestamp() THEN NULL ELSE round_ended_at END \
                 WHERE greatest(round_began_at, round_ended_at) > clock_timestamp()"
                .to_owned()),
        ),
        // The month goes on without its invoice; where it has one, what follows that does.
        ("accounts whose month is open again for its invoice", sql(open_months_begin())),
        (
            "months that are still to come, not open yet",
            sql(format!("DELETE FROM open_invoices WHERE start_time > {PRESENT} AND NOT {IS_AFTER_AN_INVOICE}")),
        ),
    ]
}

/// Whether an open month begins where the account's last invoice ends.
const IS_AFTER_AN_INVOICE: &str = "EXISTS (SELECT 1 FROM invoices i WHERE i.account_id = open_invoices.account_id \
    AND i.end_time = open_invoices.start_time)";

fn open_months_begin() -> String {
    let month = format!("date_trunc('month', {PRESENT} AT TIME ZONE a.time_zone)");
    format!(
        "INSERT INTO open_invoices (account_id, start_time, due_at) SELECT m.id, m.start, greatest(m.start, m.over) FROM \
             (SELECT a.id, greatest({month} AT TIME ZONE a.time_zone, \
                 (SELECT max(i.end_time) FROM invoices i WHERE i.account_id = a.id)) AS start, \
             ({month} + interval '1 month') AT TIME ZONE a.time_zone AS over FROM accounts a \
             WHERE EXISTS (SELECT 1 FROM open_invoices o WHERE o.account_id = a.id AND o.start_time > {PRESENT})) m \
         WHERE NOT EXISTS (SELECT 1 FROM open_invoices o WHERE o.account_id = m.id AND o.start_time <= m.start \
             AND o.end_time IS NULL) ON CONFLICT DO NOTHING"
    )
}

async fn closed_early_count(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    let statement =
        Statement::<BigInt>::new("SELECT count(*) FROM accounts WHERE closed_until > ").sql(PRESENT);
    Ok(statement.get_result(&mut conn).await?)
}

/// Has accounts followed to where the latest of what they have is dated now; None for all that have anything still to come. Answers
/// those that have, and up to where; those that have nothing to come are left out.
pub async fn future_accept(
    mut conn: Conn<'_>,
    accounts: Option<Vec<i64>>,
    reason: String,
) -> Result<Vec<(AccountId, DateTime<Utc>)>, StoreError> {
    let statement = Statement::<(BigInt, Timestamptz)>::new("INSERT INTO accepted_futures AS f (account_id, until, reason) SELECT account_id, max(at), ")
        .value::<Text, _>(reason)
        .sql("::text FROM ")
        .sql(dated_ahead())
        .sql(" t WHERE coalesce(account_id = ANY(")
        .value::<Nullable<Array<BigInt>>, _>(accounts)
        .sql(
            "), true) GROUP BY account_id ON CONFLICT (account_id) DO UPDATE SET until = greatest(f.until, excluded.until), \
             reason = excluded.reason, accepted_at = excluded.accepted_at RETURNING account_id, until",
        );
    let found: Vec<(i64, DateTime<Utc>)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(account, until)| (AccountId(account), until)).collect())
}
