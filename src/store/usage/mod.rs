//! Usage: events, each counted once, and what they come to.

pub mod account_usage;
pub mod late_usage;
pub mod month_usage;
pub mod voided_usage;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{BigInt, Date, Jsonb, Nullable, Numeric, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::try_join;
use rust_decimal::Decimal;

use crate::domain::closing::{CORRECTED_AFTER, Month};
use crate::domain::ids::AccountId;
use crate::domain::money::CurrencyCode;
use crate::domain::plan::Aggregation;
use crate::domain::usage::UsageEvent;
use crate::store::clock_check::require_right_clock;
use crate::store::error::StoreError;
use crate::store::sql::row::answered;
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{Conn, burst, execute, rows};

/// An event with where it is counted.
#[derive(Debug, Clone)]
pub struct Metered {
    pub event: UsageEvent,
    /// How much it counts: of a licence, what its attributes make of the quantity.
    pub counted: Decimal,
    /// Whether no more may be used than is subscribed.
    pub is_limited: bool,
    /// The event's digest.
    pub payload: i64,
    pub aggregation: Aggregation,
    /// The hour or, of a gauge, the 5-minute slot that it counts in.
    pub bucket: DateTime<Utc>,
    /// Whether that lies in a month of its account that is over, or its account is closed.
    pub is_late: bool,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It counts from now on.
    New,
    /// An event of that id counts already, with this digest.
    Held(i64),
}

/// What events of a month whose events were removed would be a violation of.
pub const EVENTS_ARE_KEPT: &str = "usage_events_are_kept_no_more";

/// Makes the partition of the events of a month (UTC).
pub async fn usage_month_make(conn: Conn<'_>, month: NaiveDate) -> Result<(), StoreError> {
    let statement = Statement::new("SELECT make_usage_month(").value::<Date, _>(month).sql(")");
    execute(conn, statement).await.map(drop)
}

/// Counts the events that do not count yet, in one transaction; answers what became of each. No two of them have the
/// same account and id. Their months' partitions must be there.
pub async fn usage_write(
    connection: &mut AsyncPgConnection,
    events: &[Metered],
    now: DateTime<Utc>,
) -> Result<Vec<Mark>, StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            late_usage::enter(conn).await?;
            let (closed_before, marks, ()) =
                try_join!(late_usage::horizon(conn), mark(conn, events), require_right_clock(conn))?;
            let new =
                || events.iter().zip(&marks).filter(|(_, mark)| **mark == Mark::New).map(|(event, _)| event);
            if new().next().is_some() {
                let totals = Totals::of(new());
                let slots = totals.slots();
                let late = new().filter(|metered| metered.is_late || metered.bucket < closed_before);
                let due = now.checked_add_signed(CORRECTED_AFTER).unwrap_or(now);
                let late: BTreeSet<_> =
                    late.map(|metered| (metered.event.account, metered.bucket.date_naive())).collect();
                try_join!(
                    late_usage::record_late(conn, &late, due),
                    event_insert(conn, new(), now),
                    hours_add(conn, &totals.sums, "h.quantity + excluded.quantity"),
                    hours_add(conn, &totals.maxima, "greatest(h.quantity, excluded.quantity)"),
                    samples_put(conn, &totals.samples),
                    burst::slots_note(conn, &slots),
                )?;
            }
            Ok(marks)
        })
        .await
}

/// The columns of what refused values: of a constraint, or of an index, or the one that PostgreSQL names.
pub async fn refused_columns(mut conn: Conn<'_>, error: &StoreError) -> Result<Vec<String>, StoreError> {
    let StoreError::Rejected { constraint, message } = error else { return Ok(Vec::new()) };
    // PostgreSQL has names between quotes.
    let mut names: Vec<String> = message.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    names.extend(constraint.clone());
    let statement = Statement::<Text>::new("WITH named AS (SELECT UNNEST(").keys::<Text, _>(names).sql(
        ") AS name), keys AS (SELECT conrelid AS relation, UNNEST(conkey) AS number FROM pg_constraint \
             WHERE conname IN (SELECT name FROM named) UNION SELECT indrelid, UNNEST(indkey) FROM pg_index \
             JOIN pg_class ON oid = indexrelid WHERE relname IN (SELECT name FROM named)) \
             SELECT attname::text FROM keys JOIN pg_attribute ON attrelid = relation AND attnum = number \
             UNION SELECT name FROM named",
    );
    Ok(statement.load(&mut conn).await?)
}

/// Marks the events in the order of their keys, so that two servers with the same ones do not wait for each other in a
/// ring. As a rule all are new, and nothing has to be read. What is answered tells which are: how many were sent is not what
/// became of them (docs/adr/0035).
async fn mark(mut conn: Conn<'_>, events: &[Metered]) -> Result<Vec<Mark>, StoreError> {
    let mut sorted: Vec<&Metered> = events.iter().collect();
    sorted.sort_unstable_by_key(|metered| (metered.event.account, &metered.event.id));
    let statement = Columns::new()
        .column::<BigInt, _>("account_id", sorted.iter().map(|m| m.event.account.0))
        .column::<Text, _>("event_id", sorted.iter().map(|m| m.event.id.clone()))
        .column::<BigInt, _>("payload", sorted.iter().map(|m| m.payload))
        .column::<Timestamptz, _>("bucket", sorted.iter().map(|m| m.bucket))
        .insert_into("usage_marks")
        .sql(" ON CONFLICT DO NOTHING RETURNING account_id, event_id")
        .returning::<(BigInt, Text)>();
    let new: Vec<(i64, String)> = statement.load(&mut conn).await?;
    if new.len() == events.len() {
        return Ok(vec![Mark::New; events.len()]);
    }
    let new: HashSet<(i64, String)> = new.into_iter().collect();
    let key = |metered: &Metered| (metered.event.account.0, metered.event.id.clone());
    let before: Vec<&Metered> = events.iter().filter(|metered| !new.contains(&key(metered))).collect();
    let held = held_payloads(conn, &before).await?;
    let mark = |metered| {
        let key = key(metered);
        if new.contains(&key) {
            return Ok(Mark::New);
        }
        let gone = || StoreError::Internal("the marks of usage events are not what was written".to_owned());
        held.get(&key).copied().map(Mark::Held).ok_or_else(gone)
    };
    events.iter().map(mark).collect()
}

/// The ids of those events that count already, of one account.
pub async fn marked<'e>(
    mut conn: Conn<'_>,
    events: impl Iterator<Item = &'e Metered>,
) -> Result<HashSet<String>, StoreError> {
    let (accounts, ids): (Vec<i64>, Vec<String>) =
        events.map(|metered| (metered.event.account.0, metered.event.id.clone())).unzip();
    let statement = Statement::<Text>::new("SELECT m.event_id FROM UNNEST(")
        .accounts(accounts)
        .sql(", ")
        .keys::<Text, _>(ids)
        .sql(
            ") k (account_id, event_id) CROSS JOIN LATERAL (SELECT event_id FROM usage_marks m \
             WHERE m.account_id = k.account_id AND m.event_id = k.event_id LIMIT 1) m",
        );
    let found: Vec<String> = statement.load(&mut conn).await?;
    Ok(found.into_iter().collect())
}

/// The digests of events that are marked.
async fn held_payloads(
    mut conn: Conn<'_>,
    events: &[&Metered],
) -> Result<HashMap<(i64, String), i64>, StoreError> {
    let statement = Statement::<(BigInt, Text, BigInt)>::new("SELECT m.account_id, m.event_id, m.payload FROM UNNEST(")
        .accounts(events.iter().map(|metered| metered.event.account.0).collect())
        .sql(", ")
        .keys::<Text, _>(events.iter().map(|metered| metered.event.id.clone()).collect())
        .sql(
            ") k (account_id, event_id) CROSS JOIN LATERAL (SELECT account_id, event_id, payload FROM usage_marks m \
             WHERE m.account_id = k.account_id AND m.event_id = k.event_id LIMIT 1) m",
        );
    let found: Vec<(i64, String, i64)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(account, id, payload)| ((account, id), payload)).collect())
}

async fn event_insert<'e>(
    conn: Conn<'_>,
    events: impl Iterator<Item = &'e Metered>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut events: Vec<&UsageEvent> = events.map(|metered| &metered.event).collect();
    // As usage_events_of_account has them: neighbours go into the same page of it.
    events.sort_unstable_by_key(|event| (event.account, event.time));
    let mut columns = Columns::new()
        .column::<BigInt, _>("account_id", events.iter().map(|e| e.account.0))
        .column::<Text, _>("event_id", events.iter().map(|e| e.id.clone()))
        .column::<Text, _>("resource_code", events.iter().map(|e| e.resource.clone()))
        .column::<Numeric, _>("quantity", events.iter().map(|e| e.quantity))
        .column::<Timestamptz, _>("time", events.iter().map(|e| e.time))
        .column::<Nullable<Text>, _>("subject", events.iter().map(|e| e.subject.clone()))
        .column::<Timestamptz, _>("received_at", events.iter().map(|_| now));
    // Most batches have none of these.
    if events.iter().any(|e| e.datacenter.is_some()) {
        columns =
            columns.column::<Nullable<Text>, _>("datacenter", events.iter().map(|e| e.datacenter.clone()));
    }
    if events.iter().any(|e| !e.attributes.is_empty()) {
        columns = columns.column::<Nullable<Jsonb>, _>("attributes", events.iter().map(|e| attributes(e)));
    }
    execute(conn, columns.insert_into("usage_events")).await.map(drop)
}

fn attributes(event: &UsageEvent) -> Option<serde_json::Value> {
    let attribute = |(name, value): &(String, String)| (name.clone(), value.clone().into());
    (!event.attributes.is_empty())
        .then(|| serde_json::Value::Object(event.attributes.iter().map(attribute).collect()))
}

/// Whose quantity it is: an account's, of a resource, in an hour or slot, of a subject.
pub(in crate::store) type Place<'e> = (i64, &'e str, DateTime<Utc>, &'e str);

/// What events of one batch come to, by where they count, in the order of the keys.
#[derive(Default)]
struct Totals<'e> {
    sums: BTreeMap<Place<'e>, Total>,
    maxima: BTreeMap<Place<'e>, Total>,
    samples: BTreeMap<Place<'e>, Total>,
}

#[derive(Clone, Copy)]
pub(in crate::store) struct Total {
    pub quantity: Decimal,
    /// The time of the last event.
    pub at: DateTime<Utc>,
    pub events: i64,
}

impl<'e> Totals<'e> {
    fn of(events: impl Iterator<Item = &'e Metered>) -> Self {
        let mut totals = Self::default();
        for metered in events {
            totals.add(metered);
        }
        totals
    }

    fn add(&mut self, metered: &'e Metered) {
        let event = &metered.event;
        let subject = event.subject.as_deref().unwrap_or_default();
        let place = (event.account.0, event.resource.as_str(), metered.bucket, subject);
        let one = Total { quantity: metered.counted, at: event.time, events: 1 };
        let (totals, merge): (_, fn(Total, Total) -> Decimal) = match metered.aggregation {
            Aggregation::Sum => (&mut self.sums, |total, one| {
                // QUANTITY_MAX leaves room for more events than a batch has.
                total.quantity.saturating_add(one.quantity)
            }),
            Aggregation::Max => (&mut self.maxima, |total, one| total.quantity.max(one.quantity)),
            Aggregation::Last | Aggregation::Average | Aggregation::P95 => {
                (&mut self.samples, |total, one| {
                    if (one.at, one.quantity) > (total.at, total.quantity) {
                        one.quantity
                    } else {
                        total.quantity
                    }
                })
            }
        };
        totals
            .entry(place)
            .and_modify(|total| {
                total.quantity = merge(*total, one);
                total.at = total.at.max(one.at);
                total.events = total.events.saturating_add(1);
            })
            .or_insert(one);
    }
}

impl Totals<'_> {
    /// The slots in which there are samples, in order.
    fn slots(&self) -> Vec<DateTime<Utc>> {
        let slots: BTreeSet<_> = self.samples.keys().map(|(_, _, slot, _)| *slot).collect();
        slots.into_iter().collect()
    }
}

pub(in crate::store) fn places_columns<'p>(
    places: impl Iterator<Item = &'p Place<'p>> + Clone,
    bucket: &'static str,
) -> Columns {
    Columns::new()
        .column::<BigInt, _>("account_id", places.clone().map(|(account, ..)| *account))
        .column::<Text, _>("resource_code", places.clone().map(|(_, resource, ..)| (*resource).to_owned()))
        .column::<Timestamptz, _>(bucket, places.clone().map(|(_, _, bucket, _)| *bucket))
        .column::<Text, _>("subject", places.map(|(.., subject)| (*subject).to_owned()))
}

pub(in crate::store) fn totals_columns(totals: &BTreeMap<Place<'_>, Total>, bucket: &'static str) -> Columns {
    places_columns(totals.keys(), bucket)
        .column::<Numeric, _>("quantity", totals.values().map(|total| total.quantity))
        .column::<BigInt, _>("version", totals.values().map(|total| total.events))
}

pub(in crate::store) async fn hours_add(
    conn: Conn<'_>,
    totals: &BTreeMap<Place<'_>, Total>,
    quantity: &'static str,
) -> Result<(), StoreError> {
    if totals.is_empty() {
        return Ok(());
    }
    let statement = totals_columns(totals, "hour").insert_into("usage_hours AS h").sql(format!(
        " ON CONFLICT (account_id, resource_code, hour, subject) DO UPDATE SET quantity = {quantity}, \
         version = h.version + excluded.version"
    ));
    execute(conn, statement).await.map(drop)
}

/// Of two reports in a slot the later one counts; of two at the same instant, the greater: in whatever order they come.
async fn samples_put(conn: Conn<'_>, totals: &BTreeMap<Place<'_>, Total>) -> Result<(), StoreError> {
    if totals.is_empty() {
        return Ok(());
    }
    let columns = totals_columns(totals, "slot")
        .column::<Timestamptz, _>("reported_at", totals.values().map(|total| total.at));
    let statement = columns.insert_into("usage_samples AS s").sql(
        " ON CONFLICT (account_id, resource_code, slot, subject) DO UPDATE SET \
         quantity = CASE WHEN (excluded.reported_at, excluded.quantity) > (s.reported_at, s.quantity) \
             THEN excluded.quantity ELSE s.quantity END, \
         reported_at = greatest(s.reported_at, excluded.reported_at), version = s.version + excluded.version",
    );
    execute(conn, statement).await.map(drop)
}

/// What recording has to know of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeteredAccount {
    pub id: AccountId,
    pub currency: CurrencyCode,
    pub time_zone: chrono_tz::Tz,
    /// When it was open, of an account that is closed: what was used then may still be reported.
    pub was_open: Option<Month>,
    /// Up to when its months are closed: in the middle of one, if it was closed and is open again.
    pub closed_until: Option<DateTime<Utc>>,
}

answered! {
    MeteredAccount {
        id: AccountId as BigInt,
        currency: CurrencyCode as Text,
        time_zone: chrono_tz::Tz as Text,
        start: DateTime<Utc> as Timestamptz,
        closed_at: Option<DateTime<Utc>> as Nullable<Timestamptz>,
        closed_until: Option<DateTime<Utc>> as Nullable<Timestamptz>,
    }
    Self { id, currency, time_zone, was_open: closed_at.map(|end| Month { start, end }), closed_until }
}

pub async fn metered_accounts(conn: Conn<'_>, ids: Vec<i64>) -> Result<Vec<MeteredAccount>, StoreError> {
    let statement = Statement::new(
        "SELECT id, currency, time_zone, created_at, \
         CASE status WHEN 'CLOSED' THEN coalesce(closed_at, created_at) END, closed_until \
         FROM accounts WHERE id = ANY(",
    )
    .keys::<BigInt, _>(ids)
    .sql(")");
    rows::<MeteredAccount>(conn, statement).await
}

/// What quantities come to. More than fits, either way, is 10^19 (`SUM_MAX`).
pub(in crate::store) const SUM: &str = "least(greatest(sum(quantity), -1e19), 1e19)";
