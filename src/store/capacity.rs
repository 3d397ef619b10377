//! The prices of capacity, and the discounts on terms.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Integer, Numeric, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rust_decimal::Decimal;

use super::error::StoreError;
use super::list::{Page, newest_first, numbered_page};
use super::once::{KeyedWrite, Stop, created_ids};
use super::sql::numeric::Exact;
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::capacity::{ResourcePrice, TermDiscount};
use crate::domain::idempotency::Attempt;
use crate::domain::ids::ResourcePriceId;
use crate::domain::money::{Currencies, CurrencyCode};
use crate::domain::mutation::Mutation;

row! {
    resource_prices => ResourcePrice as p {
        kept {
            resource_code: String = p.resource,
            currency: CurrencyCode = p.currency,
            level: i32 = p.level,
            price: Decimal = p.price,
            unit: String = p.unit,
            multiplier: Decimal = p.multiplier,
            cluster_id: Option<String> = p.cluster,
            chart_name: Option<String> = p.chart,
            effective_from: DateTime<Utc> = p.effective_from,
        }
        read {
            id: ResourcePriceId,
        }
    }
    Self {
        id,
        resource: resource_code,
        currency,
        level,
        price,
        unit,
        multiplier,
        cluster: cluster_id,
        chart: chart_name,
        effective_from,
    }
}

/// The price of a resource at a level that holds at an instant: of those whose time has come the last.
pub async fn resource_price_at(
    conn: Conn<'_>,
    resource: String,
    currency: CurrencyCode,
    level: i32,
    at: DateTime<Utc>,
) -> Result<Option<ResourcePrice>, StoreError> {
    let statement = select_from::<ResourcePrice>("resource_prices")
        .sql(" WHERE resource_code = ")
        .text(resource)
        .sql(" AND currency = ")
        .text(currency.to_string())
        .sql(" AND level = ")
        .value::<Integer, _>(level)
        .sql(" AND cluster_id IS NULL AND chart_name IS NULL AND effective_from <= ")
        .instant(at)
        .sql(" ORDER BY effective_from DESC, id DESC LIMIT 1");
    Ok(rows::<ResourcePrice>(conn, statement).await?.pop())
}

/// What a list of prices is narrowed by; conditions are joined by AND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePriceFilter {
    pub resource: Option<String>,
    pub currency: Option<CurrencyCode>,
    pub level: Option<i32>,
    /// Only those that hold at this instant.
    pub at: DateTime<Utc>,
}

impl ResourcePriceFilter {
    fn restrict<ST>(&self, statement: Statement<ST>) -> Statement<ST> {
        let mut statement = statement
            .sql(" WHERE t.effective_from <= ")
            .instant(self.at)
            .sql(
                " AND NOT EXISTS (SELECT 1 FROM resource_prices l WHERE l.resource_code = t.resource_code \
                 AND l.currency = t.currency AND l.level = t.level AND l.cluster_id IS NOT DISTINCT FROM t.cluster_id \
                 AND l.chart_name IS NOT DISTINCT FROM t.chart_name AND (l.effective_from, l.id) > (t.effective_from, t.id) \
                 AND l.effective_from <= ",
            )
            .instant(self.at)
            .sql(")");
        if let Some(resource) = &self.resource {
            statement = statement.sql(" AND t.resource_code = ").text(resource.clone());
        }
        if let Some(currency) = self.currency {
            statement = statement.sql(" AND t.currency = ").text(currency.to_string());
        }
        if let Some(level) = self.level {
            statement = statement.sql(" AND t.level = ").value::<Integer, _>(level);
        }
        statement
    }
}

pub async fn resource_price_list(
    conn: Conn<'_>,
    filter: &ResourcePriceFilter,
    page: &Page<ResourcePriceId>,
) -> Result<Vec<ResourcePrice>, StoreError> {
    let held = filter.restrict(select_from::<ResourcePrice>("resource_prices t"));
    let statement = numbered_page(held, page, |id| id.0);
    Ok(newest_first(rows::<ResourcePrice>(conn, statement).await?, page))
}

pub async fn resource_price_count(
    mut conn: Conn<'_>,
    filter: &ResourcePriceFilter,
) -> Result<i64, StoreError> {
    let statement = filter.restrict(Statement::<BigInt>::new("SELECT count(*) FROM resource_prices t"));
    Ok(statement.get_result(&mut conn).await?)
}

/// Which of the prices that were set one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriceAt {
    /// The one that holds at an instant.
    InForce(DateTime<Utc>),
    /// The first that was set after it.
    FirstAfter(DateTime<Utc>),
}

/// What resources cost at levels, in each of these currencies.
pub async fn prices_at_levels(
    conn: Conn<'_>,
    asked: &[(String, i32)],
    currencies: &Currencies,
    when: PriceAt,
) -> Result<Vec<ResourcePrice>, StoreError> {
    let (condition, at, order) = match when {
        PriceAt::InForce(at) => (" AND p.effective_from <= ", at, "DESC"),
        PriceAt::FirstAfter(at) => (" AND p.effective_from > ", at, "ASC"),
    };
    let codes: Vec<String> = currencies.iter().map(|currency| currency.code.to_string()).collect();
    let statement = Statement::new("SELECT ")
        .sql(select_list::<ResourcePrice>("p."))
        .sql(" FROM UNNEST(")
        .keys::<Text, _>(asked.iter().map(|(resource, _)| resource.clone()).collect::<Vec<_>>())
        .sql(", ")
        .keys::<Integer, _>(asked.iter().map(|(_, level)| *level).collect::<Vec<_>>())
        .sql(") k (resource_code, level) CROSS JOIN UNNEST(")
        .keys::<Text, _>(codes)
        .sql(
            ") c (currency) CROSS JOIN LATERAL (SELECT * FROM resource_prices p WHERE p.resource_code = k.resource_code \
             AND p.currency = c.currency AND p.level = k.level AND p.cluster_id IS NULL AND p.chart_name IS NULL",
        )
        .sql(condition)
        .instant(at)
        .sql(format!(" ORDER BY p.effective_from {order}, p.id {order} LIMIT 1) p"));
    rows::<ResourcePrice>(conn, statement).await
}

pub async fn resource_price_by_ids(
    conn: Conn<'_>,
    ids: Vec<ResourcePriceId>,
) -> Result<Vec<ResourcePrice>, StoreError> {
    let statement = select_from::<ResourcePrice>("resource_prices")
        .sql(" WHERE id = ANY(")
        .keys::<BigInt, _>(ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .sql(")");
    rows::<ResourcePrice>(conn, statement).await
}

/// Prices that are to be added, all or none; the database numbers them. A resource that there is not is a violation of
/// `resource_prices_resource_code_fkey`.
pub struct NewResourcePrices(pub Vec<ResourcePrice>);

impl KeyedWrite for NewResourcePrices {
    const MUTATION: Mutation = Mutation::named("setResourcePrices");
    type Made = Vec<ResourcePrice>;

    fn write<'c>(&'c self, conn: Conn<'c>, _: &'c Attempt) -> BoxFuture<'c, Result<Vec<String>, Stop>> {
        async move {
            let statement = ResourcePrice::columns(self.0.iter())
                .insert_into("resource_prices")
                .sql(" RETURNING ")
                .sql(select_list::<ResourcePrice>(""))
                .returning();
            let kept = rows::<ResourcePrice>(conn, statement).await?;
            Ok(kept.iter().map(|price| price.id.to_string()).collect())
        }
        .boxed()
    }

    fn made<'c>(
        &'c self,
        conn: Conn<'c>,
        _: &'c Attempt,
        created: Vec<String>,
    ) -> BoxFuture<'c, Result<Vec<ResourcePrice>, StoreError>> {
        async move {
            let ids = created_ids(&created, ResourcePriceId::parse)?;
            let mut prices = resource_price_by_ids(conn, ids).await?;
            prices.sort_by_key(|price| price.id);
            Ok(prices)
        }
        .boxed()
    }
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

/// Puts discounts on terms in the place of those that there are.
pub async fn term_discount_replace(
    connection: &mut AsyncPgConnection,
    discounts: &[TermDiscount],
) -> Result<(), StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            // Of two that replace them at once, the later one's are what stays.
            execute(conn, Statement::new("LOCK TABLE term_discounts IN SHARE ROW EXCLUSIVE MODE")).await?;
            execute(conn, Statement::new("DELETE FROM term_discounts")).await?;
            let columns = Columns::new()
                .column::<Text, _>("period", discounts.iter().map(|d| d.period.clone()))
                .column::<Integer, _>("months", discounts.iter().map(|d| d.months))
                .column::<Numeric, _>("value", discounts.iter().map(|d| d.value));
            execute(conn, columns.insert_into("term_discounts")).await.map(drop)
        })
        .await
}
