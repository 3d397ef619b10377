//! What accounts used in a month, gathered for rating: by the parts that it is cut into, of many accounts at once.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Numeric, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::TryStreamExt;
use rust_decimal::Decimal;

use crate::domain::closing::Month;
use crate::domain::ids::AccountId;
use crate::domain::money::OutOfRange;
use crate::domain::plan::Aggregation;
use crate::domain::usage::{Gauge, HOUR, SUM_MAX};
use crate::store::Conn;
use crate::store::error::StoreError;
use crate::store::list::each_window;
use crate::store::sql::numeric::Exact;
use crate::store::sql::statement::Statement;
use crate::store::usage::SUM;

/// A part of an account's month, within which the same price rules count.
#[derive(Debug, Clone, Copy)]
pub struct PartOfMonth {
    /// Which of the months that are asked for it is of.
    pub month: usize,
    pub account: AccountId,
    pub limits: Month,
}

/// What was reported in one part of a resource that adds up, or of which the greatest counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartUsage {
    /// Which of the parts that were asked for.
    pub part: usize,
    pub resource: String,
    pub aggregation: Aggregation,
    /// Its sum, or its greatest; more than fits is `SUM_MAX`.
    pub quantity: Decimal,
    /// How many events went into it.
    pub version: i64,
}

/// What was reported in each part, by its place.
pub async fn parts_usage(mut conn: Conn<'_>, parts: &[PartOfMonth]) -> Result<Vec<PartUsage>, StoreError> {
    let statement = Statement::<(BigInt, Text, Text, Numeric, BigInt)>::new(
        "SELECT k.place - 1, r.code, r.aggregation, CASE r.aggregation WHEN 'MAX' THEN u.greatest ELSE u.sum END, u.version",
    );
    let windows = parts.iter().map(|part| (part.account, part.limits));
    let statement = each_window(statement, windows).sql(format!(
        "(SELECT u.resource_code, {SUM} AS sum, max(u.quantity) AS greatest, sum(u.version)::bigint AS version \
         FROM usage_hours u WHERE u.account_id = k.account_id AND u.hour >= k.start_time AND u.hour < k.end_time \
         GROUP BY u.resource_code) u JOIN resources r ON r.code = u.resource_code ORDER BY k.place, r.code"
    ));
    let found: Vec<(i64, String, String, Exact, i64)> = statement.load(&mut conn).await?;
    let usage =
        |(place, resource, aggregation, Exact(quantity), version): (i64, String, String, Exact, i64)| {
            let aggregation = known_aggregation(&aggregation)?;
            Ok(PartUsage {
                part: usize::try_from(place).unwrap_or(0),
                resource,
                aggregation,
                quantity,
                version,
            })
        };
    found.into_iter().map(usage).collect()
}

/// How many reports the gauges of each account have in its window and in the hour before; none where there are none.
pub async fn gauge_versions(
    mut conn: Conn<'_>,
    months: &[(AccountId, Month)],
) -> Result<Vec<(usize, i64)>, StoreError> {
    let statement = Statement::<(BigInt, BigInt)>::new("SELECT k.place - 1, u.version");
    let statement = each_window(statement, with_hour_before(months)).sql(
        "(SELECT sum(u.version)::bigint AS version FROM usage_samples u WHERE u.account_id = k.account_id \
         AND u.slot >= k.start_time AND u.slot < k.end_time) u WHERE u.version IS NOT NULL",
    );
    placed(statement.load(&mut conn).await?)
}

/// Versions with the places of their months.
fn placed(found: Vec<(i64, i64)>) -> Result<Vec<(usize, i64)>, StoreError> {
    let placed = |(place, version)| (usize::try_from(place).unwrap_or(usize::MAX), version);
    Ok(found.into_iter().map(placed).collect())
}

/// What events that were taken back add to the versions of months, whatever rows they went into: one that comes raises a row's
/// version by one, one that is taken back lowers it, and a month's only rises. To be read before the rows.
pub async fn voided_versions(
    mut conn: Conn<'_>,
    months: &[(AccountId, Month)],
) -> Result<Vec<(usize, i64)>, StoreError> {
    let statement = Statement::<(BigInt, BigInt)>::new("SELECT k.place - 1, 2 * u.events");
    let statement = each_window(statement, with_hour_before(months)).sql(
        "(SELECT count(*) AS events FROM voided_events u WHERE u.account_id = k.account_id \
         AND u.bucket >= k.start_time AND u.bucket < k.end_time) u WHERE u.events > 0",
    );
    placed(statement.load(&mut conn).await?)
}

/// What a gauge came to in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaugeUsage {
    pub resource: String,
    /// More than fits is `SUM_MAX`.
    pub quantity: Decimal,
    /// 5-minute slots, after the first report, that nobody reported.
    pub silent: usize,
}

/// What the gauges of accounts came to in a month, each with the place of its month among those asked for. The samples are
/// not kept, however many there are; a value for each slot is.
pub async fn gauges_usage(
    mut conn: Conn<'_>,
    months: &[(AccountId, Month)],
    kinds: &HashMap<String, Aggregation>,
) -> Result<Vec<(usize, Vec<GaugeUsage>)>, StoreError> {
    let statement = Statement::<(BigInt, Text, Text, Timestamptz, Numeric)>::new("SELECT k.place - 1, u.*");
    let statement = each_window(statement, with_hour_before(months)).sql(
        "(SELECT u.resource_code, u.subject, u.slot, u.quantity FROM usage_samples u WHERE u.account_id = k.account_id \
         AND u.slot >= k.start_time AND u.slot < k.end_time ORDER BY u.slot, u.resource_code, u.subject OFFSET 0) u",
    );
    if statement.is_of_nothing() {
        return Ok(Vec::new());
    }
    let mut finished = Vec::new();
    let mut gauges = AccountGauges::default();
    let mut samples = statement.load_stream::<(i64, String, String, DateTime<Utc>, Exact)>(&mut conn).await?;
    while let Some((place, resource, subject, slot, Exact(quantity))) = samples.try_next().await? {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if gauges.place != place {
            finished.push(std::mem::replace(&mut gauges, AccountGauges::of(place)).finish());
        }
        let Some((_, month)) = months.get(place) else { continue };
        gauges.add(month, kinds, resource, &subject, slot, quantity)?;
    }
    finished.push(gauges.finish());
    Ok(finished)
}

/// The gauges of one account, as its samples come in.
#[derive(Default)]
struct AccountGauges {
    place: usize,
    gauges: BTreeMap<String, (Aggregation, Result<Gauge, OutOfRange>)>,
    last: DateTime<Utc>,
}

impl AccountGauges {
    fn of(place: usize) -> Self {
        Self { place, ..Self::default() }
    }

    fn add(
        &mut self,
        month: &Month,
        kinds: &HashMap<String, Aggregation>,
        resource: String,
        subject: &str,
        slot: DateTime<Utc>,
        quantity: Decimal,
    ) -> Result<(), StoreError> {
        if slot < std::mem::replace(&mut self.last, slot) {
            return Err(StoreError::Internal("samples did not come in order".to_owned()));
        }
        let gauge = match self.gauges.get_mut(&resource) {
            Some((_, gauge)) => gauge,
            None => {
                let unknown = || StoreError::Corrupt(format!("a gauge of \"{resource}\""));
                let kind = kinds.get(&resource).copied().ok_or_else(unknown)?;
                let new = (kind, Ok(Gauge::new(month.start, month.end)));
                &mut self.gauges.entry(resource).or_insert(new).1
            }
        };
        if let Err(out_of_range) = gauge.as_mut().map_or(Ok(()), |gauge| gauge.add(subject, slot, quantity)) {
            *gauge = Err(out_of_range);
        }
        Ok(())
    }

    fn finish(self) -> (usize, Vec<GaugeUsage>) {
        let finished = self.gauges.into_iter().map(|(resource, (aggregation, gauge))| {
            let finished = gauge.and_then(|gauge| gauge.finish(aggregation));
            let (quantity, silent) = finished.unwrap_or((SUM_MAX, 0));
            GaugeUsage { resource, quantity, silent }
        });
        (self.place, finished.collect())
    }
}

/// Which resources are gauges, and of which kind.
pub async fn gauge_kinds(mut conn: Conn<'_>) -> Result<HashMap<String, Aggregation>, StoreError> {
    let statement = Statement::<(Text, Text)>::new(
        "SELECT code, aggregation FROM resources WHERE aggregation IN ('LAST', 'AVERAGE', 'P95')",
    );
    let found: Vec<(String, String)> = statement.load(&mut conn).await?;
    found.into_iter().map(|(code, kind)| Ok((code, known_aggregation(&kind)?))).collect()
}

/// How many reports went into what accounts used in a month, so far: the sum of all versions.
pub async fn usage_versions(
    mut conn: Conn<'_>,
    months: &[(AccountId, Month)],
) -> Result<Vec<i64>, StoreError> {
    let statement = Statement::<(BigInt, BigInt)>::new("SELECT k.place - 1, u.version");
    let statement = each_window(statement, months.iter().copied()).sql(
        "(SELECT coalesce(sum(u.version), 0)::bigint AS version FROM usage_hours u WHERE u.account_id = k.account_id \
         AND u.hour >= k.start_time AND u.hour < k.end_time) u",
    );
    let mut versions = vec![0_i64; months.len()];
    let of_voided = voided_versions(conn, months).await?;
    let of_hours: Vec<(i64, i64)> = statement.load(&mut conn).await?;
    let of_hours =
        of_hours.into_iter().map(|(place, version)| (usize::try_from(place).unwrap_or(usize::MAX), version));
    for (place, version) in of_hours.chain(of_voided).chain(gauge_versions(conn, months).await?) {
        if let Some(sum) = versions.get_mut(place) {
            *sum = sum.saturating_add(version);
        }
    }
    Ok(versions)
}

/// What was reported in the hour before is held.
fn with_hour_before(months: &[(AccountId, Month)]) -> impl Iterator<Item = (AccountId, Month)> + Clone {
    months.iter().map(|(account, month)| {
        let start = month.start.checked_sub_signed(HOUR).unwrap_or(month.start);
        (*account, Month { start, ..*month })
    })
}

fn known_aggregation(code: &str) -> Result<Aggregation, StoreError> {
    Aggregation::from_code(code).ok_or_else(|| StoreError::Corrupt(format!("aggregation \"{code}\"")))
}
