//! The prices of capacity, and the discounts on terms.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Integer, Numeric, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use super::error::StoreError;
use super::numeric::Exact;
use super::rows::ResourcePriceRow;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::capacity::{ResourcePrice, TermDiscount};
use crate::domain::money::CurrencyCode;

/// The price of a resource at a level that holds at an instant: of those whose time has come the last.
pub async fn resource_price_at(
    conn: Conn<'_>,
    resource: String,
    currency: CurrencyCode,
    level: i32,
    at: DateTime<Utc>,
) -> Result<Option<ResourcePrice>, StoreError> {
    let statement = select_from::<ResourcePriceRow>("resource_prices")
        .sql(" WHERE resource_code = ")
        .text(resource)
        .sql(" AND currency = ")
        .text(currency.to_string())
        .sql(" AND level = ")
        .value::<Integer, _>(level)
        .sql(" AND effective_from <= ")
        .instant(at)
        .sql(" ORDER BY effective_from DESC, id DESC LIMIT 1");
    Ok(rows::<ResourcePriceRow>(conn, statement).await?.pop())
}

/// Adds prices; their ids are given here. A resource that there is not is a violation of
/// `resource_prices_resource_code_fkey`.
pub async fn resource_price_insert(conn: Conn<'_>, prices: &[ResourcePrice]) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<Text, _>("resource_code", prices.iter().map(|p| p.resource.clone()))
        .column::<Text, _>("currency", prices.iter().map(|p| p.currency.to_string()))
        .column::<Integer, _>("level", prices.iter().map(|p| p.level))
        .column::<Numeric, _>("price", prices.iter().map(|p| p.price))
        .column::<Text, _>("unit", prices.iter().map(|p| p.unit.clone()))
        .column::<Numeric, _>("multiplier", prices.iter().map(|p| p.multiplier))
        .column::<Timestamptz, _>("effective_from", prices.iter().map(|p| p.effective_from));
    execute(conn, columns.insert_into("resource_prices")).await.map(drop)
}

/// The discounts on terms, the shortest first.
pub async fn term_discounts(mut conn: Conn<'_>) -> Result<Vec<TermDiscount>, StoreError> {
    let statement = Statement::<(Text, Integer, Numeric)>::new(
        "SELECT period, months, value FROM term_discounts ORDER BY months",
    );
    let found: Vec<(String, i32, Exact)> = statement.load(&mut conn).await?;
    Ok(found
        .into_iter()
        .map(|(period, months, Exact(value))| TermDiscount { period, months, value })
        .collect())
}

/// Adds discounts on terms.
pub async fn term_discount_insert(conn: Conn<'_>, discounts: &[TermDiscount]) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<Text, _>("period", discounts.iter().map(|d| d.period.clone()))
        .column::<Integer, _>("months", discounts.iter().map(|d| d.months))
        .column::<Numeric, _>("value", discounts.iter().map(|d| d.value));
    execute(conn, columns.insert_into("term_discounts")).await.map(drop)
}
