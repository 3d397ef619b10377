//! What prepayments cost, and what was offered.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::{
    Array, BigInt, Integer, Jsonb, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid,
};

use super::error::StoreError;
use super::list;
use super::rows::{PrepayQuoteRow, ResourcePriceRow, select_list};
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows};
use crate::domain::capacity::{ResourcePrice, SUBSCRIPTION_LEVEL};
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::prepay::{PRICED_IN, PrepayQuote, QUOTE_HOLDS, QUOTES_MAX};

/// What resources cost at an instant, for prepayments on a cluster of a chart: what was set for both, or else for the cluster, or
/// else for the chart, or else for everything.
pub async fn prices_for_app(
    conn: Conn<'_>,
    resources: Vec<String>,
    cluster: String,
    chart: String,
    at: DateTime<Utc>,
) -> Result<Vec<ResourcePrice>, StoreError> {
    let statement = Statement::new("SELECT DISTINCT ON (resource_code) ")
        .sql(select_list::<ResourcePriceRow>(""))
        .sql(" FROM resource_prices WHERE resource_code = ANY(")
        .value::<Array<Text>, _>(resources)
        .sql(") AND currency = ")
        .text(PRICED_IN.to_owned())
        .sql(" AND level = ")
        .value::<Integer, _>(SUBSCRIPTION_LEVEL)
        .sql(" AND (cluster_id IS NULL OR cluster_id = ")
        .text(cluster)
        .sql(") AND (chart_name IS NULL OR chart_name = ")
        .text(chart)
        .sql(") AND effective_from <= ")
        .instant(at)
        .sql(" ORDER BY resource_code, cluster_id IS NULL, chart_name IS NULL, effective_from DESC, id DESC");
    rows::<ResourcePriceRow>(conn, statement).await
}

/// Offers, without their rates.
pub async fn quote_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<PrepayQuote>, StoreError> {
    rows::<PrepayQuoteRow>(conn, list::by_ids::<PrepayQuoteRow>("prepay_quotes", ids)).await
}

/// How many offers of each account hold at an instant, up to as many as may.
pub async fn quote_open_count(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    now: DateTime<Utc>,
) -> Result<Vec<(AccountId, usize)>, StoreError> {
    let since = OwnedId::first_at(now.checked_sub_signed(QUOTE_HOLDS).unwrap_or(now)).uuid();
    let counted = |statement: Statement<(BigInt, BigInt)>| {
        statement.sql("SELECT FROM prepay_quotes q WHERE q.account_id = a.id AND q.id >= ").uuid(since)
    };
    list::few_of_each(conn, accounts, counted, QUOTES_MAX).await
}

pub async fn quote_insert(conn: Conn<'_>, quotes: &[Arc<PrepayQuote>]) -> Result<(), StoreError> {
    let mut steps = Vec::with_capacity(quotes.len());
    for quote in quotes {
        let written = serde_json::to_value(&quote.steps);
        steps.push(written.map_err(|error| StoreError::Corrupt(error.to_string()))?);
    }
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", quotes.iter().map(|q| q.id.account().0))
        .column::<SqlUuid, _>("id", quotes.iter().map(|q| q.id.uuid()))
        .column::<Text, _>("currency", quotes.iter().map(|q| q.currency.to_string()))
        .column::<Numeric, _>("amount", quotes.iter().map(|q| q.amount))
        .column::<Numeric, _>("usd", quotes.iter().map(|q| q.usd))
        .column::<Integer, _>("months", quotes.iter().map(|q| q.months))
        .column::<Text, _>("cluster_id", quotes.iter().map(|q| q.cluster.clone()))
        .column::<Text, _>("chart_name", quotes.iter().map(|q| q.chart.clone()))
        .column::<Integer, _>("cpu_limit", quotes.iter().map(|q| q.limits.cpu))
        .column::<Integer, _>("mem_limit", quotes.iter().map(|q| q.limits.mem))
        .column::<Integer, _>("storage_limit", quotes.iter().map(|q| q.limits.storage))
        .column::<Nullable<BigInt>, _>("rate_id", quotes.iter().map(|q| q.rate.as_ref().map(|rate| rate.id)))
        .column::<Jsonb, _>("steps", steps.into_iter())
        .column::<Timestamptz, _>("expires_at", quotes.iter().map(|q| q.expires_at));
    execute(conn, columns.insert_into("prepay_quotes")).await.map(drop)
}
