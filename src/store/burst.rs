//! Burst: what is declared of capacity, levels as they were published, what accounts use and have, and which cycles have run.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Numeric, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;

use super::clock_check::require_past;
use super::error::StoreError;
use super::sql::numeric::Exact;
use super::sql::row::answered;
use super::sql::statement::{Columns, Statement};
use super::{Conn, capacity, execute, rows};
use crate::clock::HeldBy;
use crate::domain::burst::{BurstCapacity, BurstStep, Bursting, Cycle};
use crate::domain::capacity::{Prices, by_currency};
use crate::domain::ids::AccountId;
use crate::domain::license::LICENSE_LEVEL;
use crate::domain::money::{Currencies, CurrencyCode};
use crate::domain::usage::{SLOT, carried_from, carried_to, slot_of};

// ── capacity ──

/// The capacity of each resource that holds at an instant.
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
                    .sql("::integer, 0 WHERE NOT EXISTS (SELECT 1 FROM burst_levels WHERE resource_code = ")
                    .text(declared.resource.clone())
                    .sql(") ON CONFLICT DO NOTHING");
            execute(conn, first).await?;
            slots_note(conn, &[slot_of(declared.effective_from)]).await
        })
        .await
}

// ── levels ──

/// What is charged for beyond subscriptions, from when on and until when: resources whose capacity is declared, and licences for
/// as long as more of them may be used than is subscribed.
const CHARGED: &str = "(SELECT c.resource_code, min(c.effective_from) AS since, NULL::timestamptz AS until FROM burst_capacities c \
     WHERE NOT EXISTS (SELECT 1 FROM licenses l WHERE l.resource_code = c.resource_code) GROUP BY c.resource_code \
     UNION ALL SELECT resource_code, burst_since, burst_until FROM licenses WHERE burst_since IS NOT NULL)";

answered! {
    Bursting {
        resource: String as Text,
        since: DateTime<Utc> as Timestamptz,
        until: Option<DateTime<Utc>> as Nullable<Timestamptz>,
        level: Option<i32> as Nullable<Integer>,
    }
    Self { level: level.ok_or_else(|| format!("\"{resource}\" has no burst level"))?, resource, since, until }
}

/// What is charged for in a cycle, with its levels: that of a licence whose number nobody declared is always the same.
pub async fn bursting(conn: Conn<'_>, cycle: Cycle) -> Result<Vec<Bursting>, StoreError> {
    let statement = Statement::new(
        "SELECT c.resource_code, c.since, c.until, coalesce((SELECT l.level FROM burst_levels l \
         WHERE l.resource_code = c.resource_code AND l.cycle <= ",
    )
    .value::<Integer, _>(cycle.number())
    .sql(" ORDER BY l.cycle DESC LIMIT 1), (SELECT ")
    .value::<Integer, _>(LICENSE_LEVEL)
    .sql("::integer FROM licenses l WHERE l.resource_code = c.resource_code)) FROM ")
    .sql(CHARGED)
    .sql(" c WHERE c.since < ")
    .instant(cycle.end())
    .sql(" AND coalesce(c.until, 'infinity') > ")
    .instant(cycle.start())
    .sql(" ORDER BY c.resource_code");
    rows::<Bursting>(conn, statement).await
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
pub struct ResourceAmount {
    pub account: AccountId,
    pub resource: String,
    pub amount: Decimal,
}

/// Whom a charge is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payer {
    pub id: AccountId,
    pub currency: CurrencyCode,
    pub closed_at: Option<DateTime<Utc>>,
}

/// An account that may be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chargeable {
    pub payer: Payer,
    /// The last cycle that it was charged for.
    pub charged: Option<Cycle>,
    /// Whether an earlier cycle of it is to be made up first.
    pub has_backlog: bool,
}

const CHARGEABLE: &str = "SELECT a.id, a.currency, a.closed_at, a.burst_cycle, \
     EXISTS (SELECT 1 FROM burst_owed o WHERE o.account_id = a.id) FROM accounts a WHERE ";

answered! {
    Chargeable {
        id: AccountId as BigInt,
        currency: CurrencyCode as Text,
        closed_at: Option<DateTime<Utc>> as Nullable<Timestamptz>,
        charged: Option<Cycle> as Nullable<Integer>,
        has_backlog: bool as Bool,
    }
    Self { payer: Payer { id, currency, closed_at }, charged, has_backlog }
}

/// The accounts after a number, in the order of their numbers.
pub async fn accounts_after(
    conn: Conn<'_>,
    after: AccountId,
    limit: i64,
) -> Result<Vec<Chargeable>, StoreError> {
    let statement =
        Statement::new(CHARGEABLE).sql("a.id > ").bigint(after.0).sql(" ORDER BY a.id LIMIT ").bigint(limit);
    rows::<Chargeable>(conn, statement).await
}

/// What accounts use of resources in a slot: for each subject the last report of the slot or of the hour before. More than fits
/// is 10^19.
pub async fn used_in_slot(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
    resources: Vec<String>,
    slot: DateTime<Utc>,
) -> Result<Vec<ResourceAmount>, StoreError> {
    let statement = Statement::<(BigInt, Text, Numeric)>::new(
        "SELECT k.account_id, u.resource_code, least(sum(u.quantity), 1e19) FROM UNNEST(",
    )
    .accounts(accounts)
    .sql(
        ") k (account_id) CROSS JOIN LATERAL (SELECT DISTINCT ON (s.resource_code, s.subject) s.resource_code, s.quantity \
         FROM usage_samples s WHERE s.account_id = k.account_id AND s.slot >= ",
    )
    .instant(carried_from(slot))
    .sql(" AND s.slot <= ")
    .instant(slot)
    .sql(" AND s.resource_code = ANY(")
    .keys::<Text, _>(resources)
    .sql(
        ") ORDER BY s.resource_code, s.subject, s.slot DESC) u WHERE u.quantity > 0 \
         GROUP BY k.account_id, u.resource_code ORDER BY k.account_id, u.resource_code",
    );
    held(statement.load(&mut conn).await?)
}

/// What accounts have of resources up to an instant: what their plans include, and their subscriptions. An order counts for
/// its term, whether or not its bills are paid, and not before it was placed: a renewal that comes late does not change what was.
/// More than fits is 10^19.
pub async fn subscribed_until(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
    resources: Vec<String>,
    at: DateTime<Utc>,
) -> Result<Vec<ResourceAmount>, StoreError> {
    let statement = Statement::<(BigInt, Text, Numeric)>::new(
        "SELECT k.account_id, r.resource_code, least(round(sum(r.amount), 9), 1e19) FROM UNNEST(",
    )
    .accounts(accounts)
    .sql(
        ") k (account_id) CROSS JOIN LATERAL (SELECT o.plan_id, o.quantity, o.resource_code, o.resource_amount FROM orders o \
         WHERE o.account_id = k.account_id AND greatest(o.delivered_at, o.created_at) < ",
    )
    .instant(at)
    .sql(" AND o.delivered_at IS NOT NULL AND coalesce(least(o.cancelled_at, o.expires_at), 'infinity') >= ")
    .instant(at)
    .sql(
        ") o CROSS JOIN LATERAL (SELECT p.resource_code, p.amount * o.quantity AS amount FROM plan_resources p \
         WHERE p.plan_id = o.plan_id UNION ALL \
         SELECT o.resource_code, o.resource_amount * o.quantity WHERE o.resource_code IS NOT NULL) r \
         WHERE r.resource_code = ANY(",
    )
    .keys::<Text, _>(resources)
    .sql(") GROUP BY k.account_id, r.resource_code ORDER BY k.account_id, r.resource_code");
    held(statement.load(&mut conn).await?)
}

/// What subjects of an account reported of a resource from a slot to another, both included: slot, subject, quantity.
pub async fn reported_by_subjects(
    mut conn: Conn<'_>,
    account: AccountId,
    resource: String,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<(DateTime<Utc>, String, Decimal)>, StoreError> {
    let statement = Statement::<(Timestamptz, Text, Numeric)>::new(
        "SELECT slot, subject, quantity FROM usage_samples WHERE account_id = ",
    )
    .bigint(account.0)
    .sql(" AND slot >= ")
    .instant(from)
    .sql(" AND slot <= ")
    .instant(to)
    .sql(" AND resource_code = ")
    .text(resource);
    let found: Vec<(DateTime<Utc>, String, Exact)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(slot, subject, Exact(quantity))| (slot, subject, quantity)).collect())
}

/// The gauges that are charged for by the cycle, or counted by subscriptions alone, and so are not on a month's bill.
pub async fn charged_by_cycle(mut conn: Conn<'_>) -> Result<HashSet<String>, StoreError> {
    let statement = Statement::<Text>::new(
        "SELECT resource_code FROM burst_capacities UNION SELECT resource_code FROM licenses",
    );
    let found: Vec<String> = statement.load(&mut conn).await?;
    Ok(found.into_iter().collect())
}

fn held(found: Vec<(i64, String, Exact)>) -> Result<Vec<ResourceAmount>, StoreError> {
    let held =
        |(account, resource, Exact(amount))| ResourceAmount { account: AccountId(account), resource, amount };
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
) -> Result<Prices, StoreError> {
    let asked: Vec<(String, i32)> = bursting.iter().map(|one| (one.resource.clone(), one.level)).collect();
    let later =
        capacity::prices_at_levels(conn, &asked, currencies, capacity::PriceAt::FirstAfter(at)).await?;
    let held = capacity::prices_at_levels(conn, &asked, currencies, capacity::PriceAt::InForce(at)).await?;
    Ok(by_currency(later.into_iter().chain(held)))
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
    let first = carried_from(from.start()).checked_sub_signed(SLOT).unwrap_or_default();
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
            .sql(CHARGED)
            .sql(" c) FROM burst_progress");
    let (next, first): (i32, Option<DateTime<Utc>>) = statement.get_result(&mut conn).await?;
    Ok(first.map(|first| Cycle::of(first).max(Cycle::numbered(next))))
}

/// Says that every cycle before this one has been run; it never goes back, nor beyond the present.
pub async fn progress(conn: Conn<'_>, held_by: HeldBy, next: Cycle) -> Result<(), StoreError> {
    require_past(conn, held_by, next.start(), "what was charged for burst").await?;
    let statement = Statement::new("UPDATE burst_progress SET next_cycle = greatest(next_cycle, ")
        .value::<Integer, _>(next.number())
        .sql(")");
    execute(conn, statement).await.map(drop)
}

// ── what is made up ──

/// What accounts used beyond what they had in a cycle, and could not be charged for.
#[derive(Debug, Clone)]
pub struct DeferredCycle {
    pub account: AccountId,
    pub cycle: Cycle,
    /// By resource.
    pub beyond: Vec<(String, Decimal)>,
}

/// Keeps what could not be charged. What is kept of an account and cycle stays as it is.
pub async fn backlog_add(conn: Conn<'_>, deferred: &[DeferredCycle]) -> Result<(), StoreError> {
    if deferred.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", deferred.iter().map(|deferred| deferred.account.0))
        .column::<Integer, _>("cycle", deferred.iter().map(|deferred| deferred.cycle.number()))
        .column::<Jsonb, _>("beyond", deferred.iter().map(|deferred| as_json(&deferred.beyond)));
    execute(conn, columns.insert_into("burst_owed").sql(" ON CONFLICT DO NOTHING")).await.map(drop)
}

fn as_json(beyond: &[(String, Decimal)]) -> serde_json::Value {
    let amount = |(resource, amount): &(String, Decimal)| (resource.clone(), amount.to_string().into());
    serde_json::Value::Object(beyond.iter().map(amount).collect())
}

/// Counts anew what an account owes of resources, as some of what it reported in these slots was taken back. That is never more
/// than before: what came late does not change it.
pub(super) async fn backlog_recount(
    mut conn: Conn<'_>,
    account: AccountId,
    resources: Vec<String>,
    slots: &BTreeSet<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let held_in = |slot: &DateTime<Utc>| Cycle::of(*slot).number()..=Cycle::of(carried_to(*slot)).number();
    let cycles: BTreeSet<i32> = slots.iter().flat_map(held_in).collect();
    let statement =
        Statement::<(Integer, Jsonb)>::new("SELECT cycle, beyond FROM burst_owed WHERE account_id = ")
            .bigint(account.0)
            .sql(" AND cycle = ANY(")
            .keys::<Integer, _>(cycles.into_iter().collect::<Vec<_>>())
            .sql(") ORDER BY cycle FOR UPDATE");
    let found: Vec<(i32, serde_json::Value)> = statement.load(&mut conn).await?;
    let (mut less, mut nothing) = (Vec::new(), Vec::new());
    for (cycle, beyond) in found {
        let cycle = Cycle::numbered(cycle);
        let now = beyond_now(conn, account, &resources, cycle).await?;
        let mut beyond = amounts_of(beyond)?;
        for (resource, amount) in beyond.iter_mut().filter(|(resource, _)| resources.contains(resource)) {
            *amount = now.get(resource).copied().unwrap_or_default().min(*amount);
        }
        beyond.retain(|(_, amount)| *amount > Decimal::ZERO);
        if beyond.is_empty() {
            nothing.push((account, cycle));
        } else {
            less.push(DeferredCycle { account, cycle, beyond });
        }
    }
    backlog_done(conn, &nothing).await?;
    if less.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", less.iter().map(|deferred| deferred.account.0))
        .column::<Integer, _>("cycle", less.iter().map(|deferred| deferred.cycle.number()))
        .column::<Jsonb, _>("beyond", less.iter().map(|deferred| as_json(&deferred.beyond)));
    execute(conn, columns.update("burst_owed", 2)).await.map(drop)
}

/// What an account used of resources in a cycle beyond what it had, as its reports are now.
async fn beyond_now(
    conn: Conn<'_>,
    account: AccountId,
    resources: &[String],
    cycle: Cycle,
) -> Result<HashMap<String, Decimal>, StoreError> {
    let used = used_in_slot(conn, vec![account.0], resources.to_vec(), cycle.start()).await?;
    let subscribed = subscribed_until(conn, vec![account.0], resources.to_vec(), cycle.end()).await?;
    let mut beyond: HashMap<String, Decimal> =
        used.into_iter().map(|held| (held.resource, held.amount)).collect();
    for held in subscribed {
        beyond.entry(held.resource).and_modify(|used| *used = used.saturating_sub(held.amount));
    }
    Ok(beyond)
}

/// The earliest cycle that an account is still to be charged for.
#[derive(Debug)]
pub struct Backlog {
    pub payer: Payer,
    pub deferred: DeferredCycle,
}

answered! {
    Backlog {
        id: AccountId as BigInt,
        currency: CurrencyCode as Text,
        closed_at: Option<DateTime<Utc>> as Nullable<Timestamptz>,
        cycle: Cycle as Integer,
        beyond: serde_json::Value as Jsonb,
    }
    {
        let deferred = DeferredCycle { account: id, cycle, beyond: amounts_of(beyond)? };
        Self { payer: Payer { id, currency, closed_at }, deferred }
    }
}

/// The earliest cycle that is owed by each account after a number, and up to another, but for some; in the order of the accounts'
/// numbers.
pub async fn backlog_first(
    conn: Conn<'_>,
    (after, until): (AccountId, Option<AccountId>),
    but: Vec<i64>,
    limit: i64,
) -> Result<Vec<Backlog>, StoreError> {
    let statement = Statement::new(
        "SELECT a.id, a.currency, a.closed_at, o.cycle, o.beyond FROM accounts a CROSS JOIN LATERAL \
         (SELECT o.cycle, o.beyond FROM burst_owed o WHERE o.account_id = a.id ORDER BY o.cycle LIMIT 1) o WHERE a.id > ",
    )
    .bigint(after.0)
    .sql(" AND a.id <= ")
    .bigint(until.map_or(i64::MAX, |until| until.0))
    .sql(" AND EXISTS (SELECT 1 FROM burst_owed) AND a.id <> ALL(")
    .value::<Array<BigInt>, _>(but)
    .sql(") ORDER BY a.id LIMIT ")
    .bigint(limit);
    rows::<Backlog>(conn, statement).await
}

fn amounts_of(beyond: serde_json::Value) -> Result<Vec<(String, Decimal)>, StoreError> {
    let amounts: BTreeMap<String, String> =
        serde_json::from_value(beyond).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let amount = |(resource, amount): (String, String)| {
        let unreadable = |_| StoreError::Corrupt(format!("the amount \"{amount}\""));
        Ok((resource, amount.parse().map_err(unreadable)?))
    };
    amounts.into_iter().map(amount).collect()
}

/// Says that cycles of accounts were charged.
pub async fn backlog_done(conn: Conn<'_>, done: &[(AccountId, Cycle)]) -> Result<(), StoreError> {
    if done.is_empty() {
        return Ok(());
    }
    let statement = Statement::new("DELETE FROM burst_owed o USING UNNEST(")
        .accounts(done.iter().map(|(account, _)| account.0).collect::<Vec<_>>())
        .sql(", ")
        .keys::<Integer, _>(done.iter().map(|(_, cycle)| cycle.number()).collect::<Vec<_>>())
        .sql(") d (account_id, cycle) WHERE o.account_id = d.account_id AND o.cycle = d.cycle");
    execute(conn, statement).await.map(drop)
}
