//! Burst: what is declared of capacity, levels as they were published, what accounts use and have, and which cycles have run.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Integer, Jsonb, Nullable, Numeric, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;

use super::error::StoreError;
use super::numeric::Exact;
use super::statement::{Columns, Statement};
use super::{Conn, capacity, execute};
use crate::domain::burst::{BurstCapacity, BurstStep, Bursting, Cycle, Price};
use crate::domain::capacity::ResourcePrice;
use crate::domain::ids::AccountId;
use crate::domain::license::LICENSE_LEVEL;
use crate::domain::money::{Currencies, CurrencyCode};
use crate::domain::usage::{SLOT, held_from, slot_of};

// ── capacity ──

/// The capacity of each resource that holds at an instant; of one, or of all.
pub async fn capacities_at(mut conn: Conn<'_>, at: DateTime<Utc>) -> Result<Vec<BurstCapacity>, StoreError> {
    let statement = Statement::<(Text, Numeric, Jsonb, Timestamptz)>::new(
        "SELECT DISTINCT ON (resource_code) resource_code, capacity, curve, effective_from FROM burst_capacities \
         WHERE effective_from <= ",
    )
    .instant(at)
    .sql(" ORDER BY resource_code, effective_from DESC, id DESC");
    let found: Vec<(String, Exact, serde_json::Value, DateTime<Utc>)> = statement.load(&mut conn).await?;
    let capacity =
        |(resource, Exact(capacity), curve, effective_from): (String, Exact, serde_json::Value, _)| {
            let unreadable = |error| StoreError::Corrupt(format!("the curve of \"{resource}\": {error}"));
            let curve: Vec<BurstStep> = serde_json::from_value(curve).map_err(unreadable)?;
            Ok(BurstCapacity { resource, capacity, curve, effective_from })
        };
    found.into_iter().map(capacity).collect()
}

/// Declares a capacity from its time on. Of a resource's first the level of no use at all is published at once; of a later
/// one the next cycle computes it.
pub async fn capacity_declare(
    connection: &mut AsyncPgConnection,
    declared: &BurstCapacity,
) -> Result<(), StoreError> {
    let curve =
        serde_json::to_value(&declared.curve).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            let statement = Statement::new(
                "INSERT INTO burst_capacities (resource_code, capacity, curve, effective_from) VALUES (",
            )
            .text(declared.resource.clone())
            .sql(", ")
            .value::<Numeric, _>(declared.capacity)
            .sql(", ")
            .value::<Jsonb, _>(curve)
            .sql(", ")
            .instant(declared.effective_from)
            .sql(")");
            execute(conn, statement).await?;
            let first =
                Statement::new("INSERT INTO burst_levels (resource_code, cycle, level, used) SELECT ")
                    .text(declared.resource.clone())
                    .sql("::text, ")
                    .value::<Integer, _>(Cycle::of(declared.effective_from).number())
                    .sql("::integer, ")
                    .value::<Integer, _>(declared.level_at(Decimal::ZERO))
                    .sql("::integer, 0 WHERE NOT EXISTS (SELECT FROM burst_levels WHERE resource_code = ")
                    .text(declared.resource.clone())
                    .sql(") ON CONFLICT DO NOTHING");
            execute(conn, first).await?;
            slots_note(conn, &[slot_of(declared.effective_from)]).await
        })
        .await
}

// ── levels ──

/// What is charged for beyond subscriptions, and since when: resources whose capacity is declared, and licences, but for those of
/// which no more may be used than is subscribed.
const CHARGED_SINCE: &str = "(SELECT resource_code, min(since) AS since FROM (SELECT resource_code, effective_from AS since \
     FROM burst_capacities UNION ALL SELECT resource_code, created_at FROM licenses) s \
     WHERE NOT EXISTS (SELECT FROM licenses l WHERE l.resource_code = s.resource_code AND NOT l.burstable) GROUP BY resource_code)";

/// What is charged for in a cycle, with its levels: that of a licence whose number nobody declared is always the same.
pub async fn bursting(mut conn: Conn<'_>, cycle: Cycle) -> Result<Vec<Bursting>, StoreError> {
    let statement = Statement::<(Text, Timestamptz, Nullable<Integer>)>::new(
        "SELECT c.resource_code, c.since, coalesce((SELECT l.level FROM burst_levels l \
         WHERE l.resource_code = c.resource_code AND l.cycle <= ",
    )
    .value::<Integer, _>(cycle.number())
    .sql(" ORDER BY l.cycle DESC LIMIT 1), (SELECT ")
    .value::<Integer, _>(LICENSE_LEVEL)
    .sql("::integer FROM licenses l WHERE l.resource_code = c.resource_code)) FROM ")
    .sql(CHARGED_SINCE)
    .sql(" c WHERE c.since < ")
    .instant(cycle.end())
    .sql(" ORDER BY c.resource_code");
    let found: Vec<(String, DateTime<Utc>, Option<i32>)> = statement.load(&mut conn).await?;
    let bursting = |(resource, since, level): (String, _, Option<i32>)| {
        let none = || StoreError::Corrupt(format!("\"{resource}\" has no burst level"));
        Ok(Bursting { level: level.ok_or_else(none)?, resource, since })
    };
    found.into_iter().map(bursting).collect()
}

/// A level to be published: from a cycle on, because so much was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLevel {
    pub resource: String,
    pub level: i32,
    pub used: Decimal,
}

/// Publishes levels from a cycle on. What was published stays: of two servers that compute the same cycle the first counts.
pub async fn levels_publish(conn: Conn<'_>, from: Cycle, levels: &[NewLevel]) -> Result<(), StoreError> {
    if levels.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .column::<Text, _>("resource_code", levels.iter().map(|level| level.resource.clone()))
        .column::<Integer, _>("cycle", levels.iter().map(|_| from.number()))
        .column::<Integer, _>("level", levels.iter().map(|level| level.level))
        .column::<Numeric, _>("used", levels.iter().map(|level| level.used));
    execute(conn, columns.insert_into("burst_levels").sql(" ON CONFLICT DO NOTHING")).await.map(drop)
}

// ── what is used, and what is subscribed ──

/// How much of a resource an account uses or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub account: AccountId,
    pub resource: String,
    pub amount: Decimal,
}

/// An account that may be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chargeable {
    pub id: AccountId,
    pub currency: CurrencyCode,
    pub closed_at: Option<DateTime<Utc>>,
    /// The last cycle that it was charged for.
    pub charged: Option<Cycle>,
    /// Whether an earlier cycle of it is to be made up first.
    pub is_held: bool,
}

const CHARGEABLE: &str = "SELECT a.id, a.currency, a.closed_at, a.burst_cycle, h.account_id IS NOT NULL FROM accounts a \
     LEFT JOIN burst_held h ON h.account_id = a.id WHERE ";

type ChargeableSql = (BigInt, Text, Nullable<Timestamptz>, Nullable<Integer>, diesel::sql_types::Bool);

type ChargeableRow = (i64, String, Option<DateTime<Utc>>, Option<i32>, bool);

async fn chargeable(
    mut conn: Conn<'_>,
    statement: Statement<ChargeableSql>,
) -> Result<Vec<Chargeable>, StoreError> {
    let found: Vec<ChargeableRow> = statement.load(&mut conn).await?;
    let account = |(id, currency, closed_at, charged, is_held): ChargeableRow| {
        let unknown = || StoreError::Corrupt(format!("currency \"{currency}\""));
        Ok(Chargeable {
            id: AccountId(id),
            currency: CurrencyCode::parse(&currency).ok_or_else(unknown)?,
            closed_at,
            charged: charged.map(Cycle::numbered),
            is_held,
        })
    };
    found.into_iter().map(account).collect()
}

/// The accounts after a number, in the order of their numbers.
pub async fn accounts_after(
    conn: Conn<'_>,
    after: AccountId,
    limit: i64,
) -> Result<Vec<Chargeable>, StoreError> {
    let statement =
        Statement::new(CHARGEABLE).sql("a.id > ").bigint(after.0).sql(" ORDER BY a.id LIMIT ").bigint(limit);
    chargeable(conn, statement).await
}

/// What accounts use of resources in a slot: for each subject the last report of the slot or of the hour before.
pub async fn used_in_slot(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
    resources: Vec<String>,
    slot: DateTime<Utc>,
) -> Result<Vec<Held>, StoreError> {
    let statement = Statement::<(BigInt, Text, Numeric)>::new(
        "SELECT k.account_id, u.resource_code, sum(u.quantity) FROM UNNEST(",
    )
    .value::<Array<BigInt>, _>(accounts)
    .sql(
        ") k (account_id) CROSS JOIN LATERAL (SELECT DISTINCT ON (s.resource_code, s.subject) s.resource_code, s.quantity \
         FROM usage_samples s WHERE s.account_id = k.account_id AND s.slot >= ",
    )
    .instant(held_from(slot))
    .sql(" AND s.slot <= ")
    .instant(slot)
    .sql(" AND s.resource_code = ANY(")
    .value::<Array<Text>, _>(resources)
    .sql(
        ") ORDER BY s.resource_code, s.subject, s.slot DESC) u WHERE u.quantity > 0 \
         GROUP BY k.account_id, u.resource_code ORDER BY k.account_id, u.resource_code",
    );
    held(statement.load(&mut conn).await?)
}

/// What accounts have of resources up to an instant: what their plans include, and their subscriptions. An order counts for
/// its term, whether or not its bills are paid.
pub async fn subscribed_until(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
    resources: Vec<String>,
    at: DateTime<Utc>,
) -> Result<Vec<Held>, StoreError> {
    let statement = Statement::<(BigInt, Text, Numeric)>::new(
        "SELECT k.account_id, r.resource_code, sum(r.amount) FROM UNNEST(",
    )
    .value::<Array<BigInt>, _>(accounts)
    .sql(
        ") k (account_id) CROSS JOIN LATERAL (SELECT o.plan_id, o.quantity, o.resource_code, o.resource_amount FROM orders o \
         WHERE o.account_id = k.account_id AND o.delivered_at < ",
    )
    .instant(at)
    .sql(" AND coalesce(o.cancelled_at, o.expires_at, 'infinity') >= ")
    .instant(at)
    .sql(
        ") o CROSS JOIN LATERAL (SELECT p.resource_code, p.amount * o.quantity AS amount FROM plan_resources p \
         WHERE p.plan_id = o.plan_id UNION ALL \
         SELECT o.resource_code, o.resource_amount * o.quantity WHERE o.resource_code IS NOT NULL) r \
         WHERE r.resource_code = ANY(",
    )
    .value::<Array<Text>, _>(resources)
    .sql(") GROUP BY k.account_id, r.resource_code ORDER BY k.account_id, r.resource_code");
    held(statement.load(&mut conn).await?)
}

/// What subjects of an account use of a resource in a slot.
pub async fn used_by_subjects(
    mut conn: Conn<'_>,
    account: AccountId,
    resource: String,
    slot: DateTime<Utc>,
) -> Result<HashMap<String, Decimal>, StoreError> {
    let statement = Statement::<(Text, Numeric)>::new(
        "SELECT DISTINCT ON (subject) subject, quantity FROM usage_samples WHERE account_id = ",
    )
    .bigint(account.0)
    .sql(" AND slot >= ")
    .instant(held_from(slot))
    .sql(" AND slot <= ")
    .instant(slot)
    .sql(" AND resource_code = ")
    .text(resource)
    .sql(" ORDER BY subject, slot DESC");
    let found: Vec<(String, Exact)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(subject, Exact(quantity))| (subject, quantity)).collect())
}

/// The gauges that are charged for by the cycle, or counted by subscriptions alone, and so are not on a month's bill.
pub async fn charged_by_cycle(mut conn: Conn<'_>) -> Result<HashSet<String>, StoreError> {
    let statement = Statement::<Text>::new(
        "SELECT resource_code FROM burst_capacities UNION SELECT resource_code FROM licenses",
    );
    let found: Vec<String> = statement.load(&mut conn).await?;
    Ok(found.into_iter().collect())
}

fn held(found: Vec<(i64, String, Exact)>) -> Result<Vec<Held>, StoreError> {
    let held = |(account, resource, Exact(amount))| Held { account: AccountId(account), resource, amount };
    Ok(found.into_iter().map(held).collect())
}

// ── prices ──

/// The prices of resources at levels by which a cycle is charged: those that held when it began; where there was none, the
/// first that was set after.
pub async fn prices_of(
    conn: Conn<'_>,
    bursting: &[Bursting],
    currencies: &Currencies,
    at: DateTime<Utc>,
) -> Result<HashMap<Price, ResourcePrice>, StoreError> {
    let asked: Vec<(String, i32)> = bursting.iter().map(|one| (one.resource.clone(), one.level)).collect();
    let later = capacity::prices_at_levels(conn, &asked, currencies, capacity::When::FirstAfter(at)).await?;
    let held = capacity::prices_at_levels(conn, &asked, currencies, capacity::When::Held(at)).await?;
    let by_place = |price: ResourcePrice| ((price.resource.clone(), price.currency), price);
    Ok(later.into_iter().chain(held).map(by_place).collect())
}

// ── cycles ──

/// Notes that gauges were reported in these slots.
pub(super) async fn slots_note(conn: Conn<'_>, slots: &[DateTime<Utc>]) -> Result<(), StoreError> {
    if slots.is_empty() {
        return Ok(());
    }
    let columns = Columns::new().column::<Timestamptz, _>("slot", slots.iter().copied());
    execute(conn, columns.insert_into("gauge_slots").sql(" ON CONFLICT DO NOTHING")).await.map(drop)
}

/// The first cycle from `from` on that a gauge reaches into, or has reached into until just now.
pub async fn next_active(mut conn: Conn<'_>, from: Cycle) -> Result<Option<Cycle>, StoreError> {
    // With the cycle in which nothing is held any more the levels fall.
    let first = held_from(from.start()).checked_sub_signed(SLOT).unwrap_or_default();
    let statement =
        Statement::<Nullable<Timestamptz>>::new("SELECT min(slot) FROM gauge_slots WHERE slot >= ")
            .instant(first);
    let slot: Option<DateTime<Utc>> = statement.get_result(&mut conn).await?;
    Ok(slot.map(|slot| Cycle::of(slot).max(from)))
}

/// The first cycle that has not been run; the one in which the first capacity was declared, if none has. None: none was.
pub async fn next_cycle(mut conn: Conn<'_>) -> Result<Option<Cycle>, StoreError> {
    let statement =
        Statement::<(Integer, Nullable<Timestamptz>)>::new("SELECT next_cycle, (SELECT min(since) FROM ")
            .sql(CHARGED_SINCE)
            .sql(" c) FROM burst_progress");
    let (next, first): (i32, Option<DateTime<Utc>>) = statement.get_result(&mut conn).await?;
    Ok(first.map(|first| Cycle::of(first).max(Cycle::numbered(next))))
}

/// Says that every cycle before this one has been run; it never goes back.
pub async fn progress(conn: Conn<'_>, next: Cycle) -> Result<(), StoreError> {
    let statement = Statement::new("UPDATE burst_progress SET next_cycle = greatest(next_cycle, ")
        .value::<Integer, _>(next.number())
        .sql(")");
    execute(conn, statement).await.map(drop)
}

// ── what is made up ──

/// Keeps that an account could not be charged for a cycle; false if that, or an earlier one, is kept already.
pub async fn hold(
    conn: Conn<'_>,
    account: AccountId,
    cycle: Cycle,
    reason: &str,
) -> Result<bool, StoreError> {
    let statement = Statement::new("INSERT INTO burst_held (account_id, cycle, reason) VALUES (")
        .bigint(account.0)
        .sql(", ")
        .value::<Integer, _>(cycle.number())
        .sql(", ")
        .text(reason.to_owned())
        .sql(") ON CONFLICT DO NOTHING");
    Ok(execute(conn, statement).await? > 0)
}

/// Where a look at the accounts that are held has come to: a cycle, and an account within it.
pub type HeldPlace = (Cycle, AccountId);

/// Accounts that are held at one cycle, the earliest after a place, up to `last`.
pub async fn held_after(
    mut conn: Conn<'_>,
    after: HeldPlace,
    last: Cycle,
    limit: i64,
) -> Result<Option<(Cycle, Vec<Chargeable>)>, StoreError> {
    let statement = Statement::<(Integer, BigInt)>::new(
        "SELECT cycle, account_id FROM burst_held WHERE (cycle, account_id) > (",
    )
    .value::<Integer, _>(after.0.number())
    .sql(", ")
    .bigint(after.1.0)
    .sql(") AND cycle <= ")
    .value::<Integer, _>(last.number())
    .sql(" ORDER BY cycle, account_id LIMIT ")
    .bigint(limit);
    let mut found: Vec<(i32, i64)> = statement.load(&mut conn).await?;
    let Some((cycle, _)) = found.as_slice().first().copied() else { return Ok(None) };
    found.retain(|(other, _)| *other == cycle);
    let statement = Statement::new(CHARGEABLE)
        .sql("a.id = ANY(")
        .value::<Array<BigInt>, _>(found.into_iter().map(|(_, account)| account).collect::<Vec<_>>())
        .sql(") ORDER BY a.id");
    Ok(Some((Cycle::numbered(cycle), chargeable(conn, statement).await?)))
}

/// Says that accounts were charged for the cycle that they were held at: `next` is to be made up then; None: nothing is.
pub async fn held_move(conn: Conn<'_>, accounts: Vec<i64>, next: Option<Cycle>) -> Result<(), StoreError> {
    let statement = match next {
        Some(next) => Statement::new("UPDATE burst_held SET cycle = ")
            .value::<Integer, _>(next.number())
            .sql(" WHERE account_id = ANY("),
        None => Statement::new("DELETE FROM burst_held WHERE account_id = ANY("),
    };
    execute(conn, statement.value::<Array<BigInt>, _>(accounts).sql(")")).await.map(drop)
}
