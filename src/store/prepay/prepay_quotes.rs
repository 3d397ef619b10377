//! What prepayments cost, and what was offered.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Integer, Text};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::domain::book::Table;
use crate::domain::capacity::{ResourcePrice, SUBSCRIPTION_LEVEL};
use crate::domain::ids::{AccountId, OwnedId, QuoteId};
use crate::domain::money::CurrencyCode;
use crate::domain::prepay::{Limits, PRICED_IN, PrepayQuote, QUOTE_HOLDS, QUOTES_MAX};
use crate::store::error::StoreError;
use crate::store::schema::prepay_quotes as table;
use crate::store::sql::row::{WriteRow, row, select_list};
use crate::store::sql::statement::Statement;
use crate::store::written::written;
use crate::store::{Conn, execute, list, rows};

row! {
    prepay_quotes => PrepayQuote as q {
        kept {
            id: QuoteId = q.id,
            currency: CurrencyCode = q.currency,
            amount: Decimal = q.amount,
            usd: Decimal = q.usd,
            months: i32 = q.months,
            cluster_id: String = q.cluster,
            chart_name: String = q.chart,
            cpu_limit: i32 = q.limits.cpu,
            mem_limit: i32 = q.limits.mem,
            storage_limit: i32 = q.limits.storage,
            expires_at: DateTime<Utc> = q.expires_at,
        }
        written {
            account_id: AccountId = q.id.account(),
            rate_id: Option<i64> = q.rate.as_ref().map(|rate| rate.id),
        }
        read {
            steps: Value,
        }
    }
    // Without the rate: whoever takes an offer needs what it comes to.
    Self {
        id,
        currency,
        amount,
        usd,
        months,
        cluster: cluster_id,
        chart: chart_name,
        limits: Limits { cpu: cpu_limit, mem: mem_limit, storage: storage_limit },
        rate: None,
        steps: serde_json::from_value(steps)?,
        expires_at,
    }
}

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
        .sql(select_list::<ResourcePrice>(""))
        .sql(" FROM resource_prices WHERE resource_code = ANY(")
        .keys::<Text, _>(resources)
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
    rows::<ResourcePrice>(conn, statement).await
}

/// Offers, without their rates.
pub async fn quote_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<PrepayQuote>, StoreError> {
    rows::<PrepayQuote>(conn, list::by_ids::<PrepayQuote>(ids)).await
}

/// How many offers of each account hold at an instant, up to as many as may.
pub async fn quote_open_count(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    now: DateTime<Utc>,
) -> Result<Vec<(AccountId, usize)>, StoreError> {
    let since = OwnedId::first_at(now.checked_sub_signed(QUOTE_HOLDS).unwrap_or(now)).uuid();
    let counted = |statement: Statement<(BigInt, BigInt)>| {
        statement.sql("SELECT 1 FROM prepay_quotes q WHERE q.account_id = a.id AND q.id >= ").uuid(since)
    };
    list::few_of_each(conn, accounts, counted, QUOTES_MAX).await
}

written!(Table<PrepayQuote>, |conn, rows, _seals| quote_insert(conn, rows));

async fn quote_insert(conn: Conn<'_>, quotes: &Table<PrepayQuote>) -> Result<(), StoreError> {
    if quotes.is_empty() {
        return Ok(());
    }
    let mut steps = Vec::with_capacity(quotes.len());
    for quote in quotes.values() {
        let written = serde_json::to_value(&quote.steps);
        steps.push(written.map_err(|error| StoreError::Corrupt(error.to_string()))?);
    }
    let columns =
        PrepayQuote::columns(quotes.values().map(Arc::as_ref)).put::<table::steps, _>(steps.into_iter());
    execute(conn, columns.insert_into("prepay_quotes")).await.map(drop)
}
