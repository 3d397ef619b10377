//! Events that were taken back (docs/adr/0011): they are kept with the reason, and what they went into is as if they had never
//! been.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::sql_types::{Bool, Jsonb, Nullable, Numeric, Text, Timestamptz};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::try_join;
use rust_decimal::Decimal;

use crate::domain::closing::CORRECTED_AFTER;
use crate::domain::idempotency::Attempt;
use crate::domain::ids::AccountId;
use crate::domain::license::License;
use crate::domain::mutation::Mutation;
use crate::domain::plan::Aggregation;
use crate::domain::usage::{ToVoid, Voided};
use crate::store::error::StoreError;
use crate::store::once::{KeyedWrite, Stop};
use crate::store::sql::numeric::Exact;
use crate::store::sql::row::answered;
use crate::store::sql::statement::Statement;
use crate::store::usage::late_usage;
use crate::store::usage::{Place, Total, hours_add, places_columns, totals_columns};
use crate::store::{Conn, burst, execute, licenses, plans, rows};

/// Takes events back; what became of them is answered as it is now.
impl KeyedWrite for ToVoid {
    const MUTATION: Mutation = Mutation::named("voidUsage");
    type Made = Voided;

    fn write<'c>(&'c self, conn: Conn<'c>, attempt: &'c Attempt) -> BoxFuture<'c, Result<Vec<String>, Stop>> {
        async move {
            let gone = take(conn, self, attempt).await?;
            take_off(conn, self, &gone, attempt.now).await?;
            Ok(Vec::new())
        }
        .boxed()
    }

    fn made<'c>(
        &'c self,
        conn: Conn<'c>,
        attempt: &'c Attempt,
        _: Vec<String>,
    ) -> BoxFuture<'c, Result<Voided, StoreError>> {
        voided(conn, self, attempt).boxed()
    }
}

/// An event that counts no more.
struct Gone {
    resource: String,
    /// The hour or, of a gauge, the 5-minute slot that it counted in.
    bucket: DateTime<Utc>,
    /// '' for none.
    subject: String,
    quantity: Decimal,
}

/// Takes the events from those that count. Their marks say where they are; they stay, so that none comes again. Where a part of the
/// hour's events is kept no more the rest stays, too: what is greatest could not be told.
async fn take(mut conn: Conn<'_>, wanted: &ToVoid, attempt: &Attempt) -> Result<Vec<Gone>, StoreError> {
    let (mut events, mut from, mut until) = (Vec::new(), Vec::new(), Vec::new());
    for (event, bucket, end) in counted_in(conn, wanted).await? {
        events.push(event);
        from.push(bucket);
        until.push(end);
    }
    let statement = Statement::<(Text, Timestamptz, Text, Numeric)>::new(
        "WITH gone AS (DELETE FROM usage_events e USING UNNEST(",
    )
    .keys::<Text, _>(events)
    .sql(", ")
    .keys::<Timestamptz, _>(from)
    .sql(", ")
    .keys::<Timestamptz, _>(until)
    .sql(") k (event_id, bucket, until) WHERE e.account_id = ")
    .bigint(wanted.account.0)
    .sql(
        " AND e.event_id = k.event_id AND e.time >= k.bucket AND e.time < k.until \
         RETURNING e.*, k.bucket) INSERT INTO voided_events (account_id, event_id, resource_code, quantity, time, \
         subject, datacenter, attributes, received_at, bucket, idempotency_key, reason, voided_by, voided_at) \
         SELECT account_id, event_id, resource_code, quantity, time, subject, datacenter, attributes, received_at, \
         bucket, ",
    )
    .text(attempt.key.clone().unwrap_or_default())
    .sql(", ")
    .text(wanted.reason.clone())
    .sql(", ")
    .text(wanted.by.clone())
    .sql(", ")
    .instant(attempt.now)
    .sql(" FROM gone RETURNING resource_code, bucket, coalesce(subject, ''), quantity");
    let found: Vec<(String, DateTime<Utc>, String, Exact)> = statement.load(&mut conn).await?;
    let gone = |(resource, bucket, subject, Exact(quantity))| Gone { resource, bucket, subject, quantity };
    Ok(found.into_iter().map(gone).collect())
}

/// The hours, or slots, that the events counted in: each with where it begins, and by when it is over.
async fn counted_in(
    mut conn: Conn<'_>,
    wanted: &ToVoid,
) -> Result<Vec<(String, DateTime<Utc>, DateTime<Utc>)>, StoreError> {
    let statement = Statement::<(Text, Timestamptz, Timestamptz)>::new(
        "SELECT m.event_id, m.bucket, m.bucket + interval '1 hour' FROM usage_marks m WHERE m.account_id = ",
    )
    .bigint(wanted.account.0)
    .sql(" AND m.event_id = ANY(")
    .keys::<Text, _>(wanted.events.clone())
    .sql(") AND m.bucket >= (SELECT since::timestamp AT TIME ZONE 'UTC' FROM usage_events_kept)");
    Ok(statement.load(&mut conn).await?)
}

/// What was asked for, as it is now.
async fn voided(mut conn: Conn<'_>, wanted: &ToVoid, attempt: &Attempt) -> Result<Voided, StoreError> {
    let statement = Statement::<(Text, Bool)>::new("SELECT event_id, idempotency_key = ")
        .text(attempt.key.clone().unwrap_or_default())
        .sql(" FROM voided_events WHERE account_id = ")
        .bigint(wanted.account.0)
        .sql(" AND event_id = ANY(")
        .keys::<Text, _>(wanted.events.clone())
        .sql(")");
    let found: Vec<(String, bool)> = statement.load(&mut conn).await?;
    let known: HashSet<&String> = found.iter().map(|(event, _)| event).collect();
    let unknown = wanted.events.iter().filter(|event| !known.contains(event)).cloned().collect();
    Ok(Voided { count: found.iter().filter(|(_, by_this)| *by_this).count(), unknown })
}

/// Where events counted, and what they came to there, to be taken off.
#[derive(Default)]
struct TakenOff<'g> {
    sums: BTreeMap<Place<'g>, Total>,
    maxima: BTreeMap<Place<'g>, Total>,
    samples: BTreeMap<Place<'g>, Total>,
}

impl<'g> TakenOff<'g> {
    fn of(
        account: AccountId,
        gone: &'g [Gone],
        kinds: &HashMap<String, Aggregation>,
    ) -> Result<Self, StoreError> {
        let mut off = Self::default();
        for event in gone {
            let unknown = || StoreError::Corrupt(format!("an event of \"{}\"", event.resource));
            let totals = match kinds.get(&event.resource).ok_or_else(unknown)? {
                Aggregation::Sum => &mut off.sums,
                Aggregation::Max => &mut off.maxima,
                Aggregation::Last | Aggregation::Average | Aggregation::P95 => &mut off.samples,
            };
            let place = (account.0, event.resource.as_str(), event.bucket, event.subject.as_str());
            let nothing = Total { quantity: Decimal::ZERO, at: event.bucket, events: 0 };
            let total = totals.entry(place).or_insert(nothing);
            // QUANTITY_MAX leaves room for all that are taken back at once.
            total.quantity = total.quantity.saturating_sub(event.quantity);
            total.events = total.events.saturating_sub(1);
        }
        Ok(off)
    }
}

/// Takes events off what they went into. Sums are less by them; what is greatest or last is found anew among those that are left.
/// Rows are locked in the order in which recorders do it, and read only then, so that none that comes meanwhile is overlooked.
async fn take_off(
    conn: Conn<'_>,
    wanted: &ToVoid,
    gone: &[Gone],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if gone.is_empty() {
        return Ok(());
    }
    let codes: BTreeSet<&String> = gone.iter().map(|event| &event.resource).collect();
    let codes: Vec<String> = codes.into_iter().cloned().collect();
    let (resources, licenses) =
        try_join!(plans::resource_by_codes(conn, codes.clone()), licenses::license_by_names(conn, codes))?;
    let kinds = resources.into_iter().map(|resource| (resource.code, resource.aggregation)).collect();
    let off = TakenOff::of(wanted.account, gone, &kinds)?;
    let days = gone.iter().map(|event| (wanted.account, event.bucket.date_naive())).collect();
    let due = now.checked_add_signed(CORRECTED_AFTER).unwrap_or(now);
    late_usage::record_late(conn, &days, due).await?;
    hours_add(conn, &off.sums, "h.quantity + excluded.quantity").await?;
    hours_add(conn, &off.maxima, "h.quantity").await?;
    samples_count_down(conn, &off.samples).await?;
    maxima_find(conn, &off.maxima).await?;
    samples_find(conn, &off.samples, &licenses).await?;
    let of_hours = ("DELETE FROM usage_hours t USING ", "hour");
    let of_samples = ("DELETE FROM usage_samples t USING ", "slot");
    for (totals, empty) in [(&off.sums, of_hours), (&off.maxima, of_hours), (&off.samples, of_samples)] {
        remove_empty(conn, totals, empty).await?;
    }
    recount_backlog(conn, wanted.account, &off.samples).await
}

async fn samples_count_down(conn: Conn<'_>, totals: &BTreeMap<Place<'_>, Total>) -> Result<(), StoreError> {
    if totals.is_empty() {
        return Ok(());
    }
    let columns = totals_columns(totals, "slot")
        .column::<Timestamptz, _>("reported_at", totals.values().map(|total| total.at));
    let statement = columns.insert_into("usage_samples AS s").sql(
        " ON CONFLICT (account_id, resource_code, slot, subject) DO UPDATE SET version = s.version + excluded.version",
    );
    execute(conn, statement).await.map(drop)
}

/// The greatest of what is left in each hour. One that began otherwise, as the account was in another zone, has marks of its own.
async fn maxima_find(conn: Conn<'_>, totals: &BTreeMap<Place<'_>, Total>) -> Result<(), StoreError> {
    if totals.is_empty() {
        return Ok(());
    }
    let statement = places_columns(totals.keys(), "hour")
        .after(Statement::new("UPDATE usage_hours h SET quantity = e.quantity FROM "), "k")
        .sql(
            " CROSS JOIN LATERAL (SELECT max(e.quantity) AS quantity FROM usage_events e \
             WHERE e.account_id = k.account_id AND e.time >= k.hour AND e.time < k.hour + interval '1 hour' \
             AND e.resource_code = k.resource_code AND coalesce(e.subject, '') = k.subject AND (SELECT m.bucket \
             FROM usage_marks m WHERE m.account_id = e.account_id AND m.event_id = e.event_id LIMIT 1) = k.hour) e \
             WHERE h.account_id = k.account_id AND h.hour = k.hour AND h.resource_code = k.resource_code \
             AND h.subject = k.subject AND e.quantity IS NOT NULL",
        );
    execute(conn, statement).await.map(drop)
}

/// The last of what is left in each slot; of two at the same instant, the greater.
async fn samples_find(
    conn: Conn<'_>,
    totals: &BTreeMap<Place<'_>, Total>,
    licenses: &[License],
) -> Result<(), StoreError> {
    if totals.is_empty() {
        return Ok(());
    }
    let statement = places_columns(totals.keys(), "slot")
        .after(Statement::new("SELECT k.resource_code, k.slot, k.subject, e.time, e.quantity, e.attributes FROM "), "k")
        .sql(
            " CROSS JOIN LATERAL (SELECT e.time, e.quantity, e.attributes FROM usage_events e \
             WHERE e.account_id = k.account_id AND e.time >= k.slot AND e.time < k.slot + interval '5 minutes' \
             AND e.resource_code = k.resource_code AND coalesce(e.subject, '') = k.subject \
             ORDER BY e.time DESC FETCH FIRST 1 ROW WITH TIES) e",
        );
    let found = rows::<Left>(conn, statement).await?;
    let Some((account, ..)) = totals.keys().next() else { return Ok(()) };
    let mut left: BTreeMap<Place<'_>, Total> = BTreeMap::new();
    for last in &found {
        let license = licenses.iter().find(|license| license.name == last.resource);
        let quantity = counted(license, last.quantity, last.attributes.as_ref())?;
        let total = Total { quantity, at: last.at, events: 1 };
        left.entry((*account, last.resource.as_str(), last.slot, last.subject.as_str()))
            .and_modify(|last| last.quantity = last.quantity.max(quantity))
            .or_insert(total);
    }
    if left.is_empty() {
        return Ok(());
    }
    let columns = places_columns(left.keys(), "slot")
        .column::<Numeric, _>("quantity", left.values().map(|total| total.quantity))
        .column::<Timestamptz, _>("reported_at", left.values().map(|total| total.at));
    execute(conn, columns.update("usage_samples", 4)).await.map(drop)
}

/// The last event that is left of a slot.
struct Left {
    resource: String,
    slot: DateTime<Utc>,
    subject: String,
    at: DateTime<Utc>,
    quantity: Decimal,
    attributes: Option<serde_json::Value>,
}

answered! {
    Left {
        resource: String as Text,
        slot: DateTime<Utc> as Timestamptz,
        subject: String as Text,
        at: DateTime<Utc> as Timestamptz,
        quantity: Decimal as Numeric,
        attributes: Option<serde_json::Value> as Nullable<Jsonb>,
    }
    Self { resource, slot, subject, at, quantity, attributes }
}

/// How much an event counts that was checked when it came.
fn counted(
    license: Option<&License>,
    quantity: Decimal,
    attributes: Option<&serde_json::Value>,
) -> Result<Decimal, StoreError> {
    let Some(license) = license else { return Ok(quantity) };
    let object = attributes.and_then(serde_json::Value::as_object);
    let attribute = |(name, value): (&String, &serde_json::Value)| {
        (name.clone(), value.as_str().unwrap_or_default().to_owned())
    };
    let attributes: Vec<(String, String)> = object.into_iter().flatten().map(attribute).collect();
    license.counted(quantity, &attributes).map_err(|fault| StoreError::Corrupt(fault.to_string()))
}

/// What no event is left of is as if there had never been one.
async fn remove_empty(
    conn: Conn<'_>,
    totals: &BTreeMap<Place<'_>, Total>,
    (deleting, bucket): (&'static str, &'static str),
) -> Result<(), StoreError> {
    if totals.is_empty() {
        return Ok(());
    }
    let statement = places_columns(totals.keys(), bucket).after(Statement::new(deleting), "k").sql(format!(
        " WHERE t.account_id = k.account_id AND t.{bucket} = k.{bucket} AND t.resource_code = k.resource_code \
         AND t.subject = k.subject AND t.version <= 0"
    ));
    execute(conn, statement).await.map(drop)
}

/// What could not be charged by the cycle is less by what was taken back.
async fn recount_backlog(
    conn: Conn<'_>,
    account: AccountId,
    samples: &BTreeMap<Place<'_>, Total>,
) -> Result<(), StoreError> {
    let resources: BTreeSet<&str> = samples.keys().map(|(_, resource, ..)| *resource).collect();
    let slots: BTreeSet<DateTime<Utc>> = samples.keys().map(|(_, _, slot, _)| *slot).collect();
    if slots.is_empty() {
        return Ok(());
    }
    burst::backlog_recount(conn, account, resources.into_iter().map(str::to_owned).collect(), &slots).await
}
