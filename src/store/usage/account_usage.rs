//! What an account used, as it is looked at: added up by PostgreSQL, so that what is read grows with the time and not with how many
//! report.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Numeric, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use crate::domain::closing::Month;
use crate::domain::ids::AccountId;
use crate::domain::plan::Aggregation;
use crate::domain::usage::{Hour, SlotReports};
use crate::store::error::StoreError;
use crate::store::sql::numeric::Exact;
use crate::store::sql::row::answered;
use crate::store::sql::statement::Statement;
use crate::store::usage::SUM;
use crate::store::{Conn, rows};
use rust_decimal::Decimal;

/// The hours of a resource in a window, over all subjects, in order.
pub async fn usage_hours(
    mut conn: Conn<'_>,
    account: AccountId,
    resource: &str,
    aggregation: Aggregation,
    window: Month,
) -> Result<Vec<Hour>, StoreError> {
    let of_subjects = if aggregation == Aggregation::Max { "max(quantity)" } else { SUM };
    let statement = Statement::<(Timestamptz, Numeric)>::new(format!(
        "SELECT hour, {of_subjects} FROM usage_hours WHERE account_id = "
    ))
    .bigint(account.0)
    .sql(" AND resource_code = ")
    .text(resource.to_owned())
    .sql(" AND hour >= ")
    .instant(window.start)
    .sql(" AND hour < ")
    .instant(window.end)
    .sql(" GROUP BY hour ORDER BY hour");
    let found: Vec<(DateTime<Utc>, Exact)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(start, Exact(quantity))| Hour { start, quantity }).collect())
}

/// The hours of all resources of an account that add up, or of which the greatest counts, in a window, over all subjects.
pub async fn all_usage_hours(
    mut conn: Conn<'_>,
    account: AccountId,
    window: Month,
) -> Result<Vec<(String, Aggregation, Hour)>, StoreError> {
    // By each resource for itself: the index begins with it.
    let statement = Statement::<(Text, Text, Timestamptz, Numeric)>::new(format!(
        "SELECT r.code, r.aggregation, u.hour, CASE r.aggregation WHEN 'MAX' THEN u.greatest ELSE u.sum END \
         FROM resources r CROSS JOIN LATERAL (SELECT u.hour, {SUM} AS sum, max(u.quantity) AS greatest FROM usage_hours u \
         WHERE u.resource_code = r.code AND u.account_id = "
    ))
    .bigint(account.0)
    .sql(" AND u.hour >= ")
    .instant(window.start)
    .sql(" AND u.hour < ")
    .instant(window.end)
    .sql(" GROUP BY u.hour) u WHERE r.aggregation IN ('SUM', 'MAX') ORDER BY r.code, u.hour");
    let found: Vec<(String, String, DateTime<Utc>, Exact)> = statement.load(&mut conn).await?;
    let hour = |(resource, aggregation, start, Exact(quantity)): (String, String, DateTime<Utc>, Exact)| {
        Ok((resource, known_aggregation(&aggregation)?, Hour { start, quantity }))
    };
    found.into_iter().map(hour).collect()
}

fn known_aggregation(code: &str) -> Result<Aggregation, StoreError> {
    Aggregation::from_code(code).ok_or_else(|| StoreError::Corrupt(format!("aggregation \"{code}\"")))
}

/// Which gauges of an account are read.
#[derive(Debug, Clone, Copy)]
pub enum GaugesOf<'r> {
    All,
    /// Of this resource.
    One(&'r str),
}

/// What the subjects of a gauge reported in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaugeSlot {
    pub resource: String,
    pub aggregation: Aggregation,
    /// How many samples there are in it.
    pub samples: i64,
    pub reports: SlotReports,
}

answered! {
    GaugeSlot {
        resource: String as Text,
        aggregation: Aggregation as Text,
        samples: i64 as BigInt,
        slot: DateTime<Utc> as Timestamptz,
        quantity: Decimal as Numeric,
        again: bool as Bool,
        // Who has reported what, where that is told.
        subjects: Option<Vec<String>> as Nullable<Array<Text>>,
        quantities: Option<Vec<Exact>> as Nullable<Array<Numeric>>,
    }
    {
        let each = subjects.zip(quantities).map(|(subjects, quantities)| {
            subjects.into_iter().zip(quantities.into_iter().map(|Exact(one)| one)).collect()
        });
        Self { resource, aggregation, samples, reports: SlotReports { slot, quantity, again, each } }
    }
}

/// What the gauges of an account came to in a window, slot by slot, in the order of resources and slots. PostgreSQL adds the samples
/// up: who has reported what is told only where subjects come or go, and where the window begins and ends.
pub async fn gauge_slots(
    conn: Conn<'_>,
    account: AccountId,
    gauges: GaugesOf<'_>,
    window: Month,
) -> Result<Vec<GaugeSlot>, StoreError> {
    let statement = Statement::new(format!(
        "SELECT r.code, r.aggregation, u.samples, u.slot, u.sum, u.again, CASE WHEN u.is_told THEN u.subjects END, \
         CASE WHEN u.is_told THEN u.quantities END FROM resources r CROSS JOIN LATERAL (\
         SELECT w.*, NOT (w.again AND w.as_before) AS is_told FROM (SELECT s.*, \
         coalesce(lead(s.slot) OVER by_slot = s.slot + '5 minutes'::interval AND lead(s.subjects) OVER by_slot = s.subjects, false) \
         AS again, \
         coalesce(lag(s.slot) OVER by_slot = s.slot - '5 minutes'::interval AND lag(s.subjects) OVER by_slot = s.subjects, false) \
         AS as_before \
         FROM (SELECT u.slot, count(*) AS samples, {SUM} AS sum, array_agg(u.subject) AS subjects, \
         array_agg(u.quantity) AS quantities FROM usage_samples u WHERE u.resource_code = r.code AND u.account_id = "
    ))
    .bigint(account.0)
    .sql(" AND u.slot >= ")
    .instant(window.start)
    .sql(" AND u.slot < ")
    .instant(window.end)
    .sql(" GROUP BY u.slot) s WINDOW by_slot AS (ORDER BY s.slot)) w) u WHERE r.aggregation IN ('LAST', 'AVERAGE', 'P95')");
    let statement = match gauges {
        GaugesOf::All => statement,
        GaugesOf::One(resource) => statement.sql(" AND r.code = ").text(resource.to_owned()),
    };
    rows::<GaugeSlot>(conn, statement.sql(" ORDER BY r.code, u.slot")).await
}

/// The first slot of a window in which a gauge of an account was reported.
pub async fn first_slot(
    mut conn: Conn<'_>,
    account: AccountId,
    resource: &str,
    window: Month,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let statement =
        Statement::<Nullable<Timestamptz>>::new("SELECT min(slot) FROM usage_samples WHERE account_id = ")
            .bigint(account.0)
            .sql(" AND resource_code = ")
            .text(resource.to_owned())
            .sql(" AND slot >= ")
            .instant(window.start)
            .sql(" AND slot < ")
            .instant(window.end);
    Ok(statement.get_result(&mut conn).await?)
}
