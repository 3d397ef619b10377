//! Exchange rates.

use diesel::sql_types::{Array, BigInt, Numeric, Text, Timestamptz};

use super::error::StoreError;
use super::rows::{ExchangeRateRow, select_list};
use super::statement::{Columns, Statement};
use super::{Conn, rows};
use crate::domain::exchange_rate::ExchangeRate;
use crate::domain::money::CurrencyCode;

/// Of each pair the rate that was observed last.
pub async fn rates_latest(conn: Conn<'_>) -> Result<Vec<ExchangeRate>, StoreError> {
    // One look-up for each pair, however many rates there were.
    let statement = Statement::new(
        "WITH RECURSIVE pairs AS ((SELECT base, quote FROM exchange_rates ORDER BY base, quote LIMIT 1) UNION ALL \
         SELECT n.base, n.quote FROM pairs p CROSS JOIN LATERAL (SELECT e.base, e.quote FROM exchange_rates e \
         WHERE (e.base, e.quote) > (p.base, p.quote) ORDER BY e.base, e.quote LIMIT 1) n) SELECT ",
    )
    .sql(select_list::<ExchangeRateRow>("t."))
    .sql(
        " FROM pairs p CROSS JOIN LATERAL (SELECT * FROM exchange_rates e WHERE e.base = p.base \
         AND e.quote = p.quote ORDER BY e.observed_at DESC, e.id DESC LIMIT 1) t ORDER BY t.base, t.quote",
    );
    rows::<ExchangeRateRow>(conn, statement).await
}

/// The rate of a pair that was observed last.
pub async fn rate_latest(
    conn: Conn<'_>,
    base: CurrencyCode,
    quote: CurrencyCode,
) -> Result<Option<ExchangeRate>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<ExchangeRateRow>(""))
        .sql(" FROM exchange_rates WHERE base = ")
        .text(base.to_string())
        .sql(" AND quote = ")
        .text(quote.to_string())
        .sql(" ORDER BY observed_at DESC, id DESC LIMIT 1");
    Ok(rows::<ExchangeRateRow>(conn, statement).await?.pop())
}

pub async fn rate_by_ids(conn: Conn<'_>, ids: Vec<i64>) -> Result<Vec<ExchangeRate>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<ExchangeRateRow>(""))
        .sql(" FROM exchange_rates WHERE id = ANY(")
        .value::<Array<BigInt>, _>(ids)
        .sql(")");
    rows::<ExchangeRateRow>(conn, statement).await
}

/// Keeps a rate, and answers it with its number.
pub async fn rate_insert(conn: Conn<'_>, rate: &ExchangeRate) -> Result<Option<ExchangeRate>, StoreError> {
    let one = std::iter::once::<String>;
    let statement = Columns::new()
        .column::<Text, _>("base", one(rate.base.to_string()))
        .column::<Text, _>("quote", one(rate.quote.to_string()))
        .column::<Numeric, _>("rate", std::iter::once(rate.rate))
        .column::<Text, _>("source", one(rate.source.clone()))
        .column::<Timestamptz, _>("observed_at", std::iter::once(rate.observed_at))
        .insert_into("exchange_rates")
        .sql(" RETURNING ")
        .sql(select_list::<ExchangeRateRow>(""))
        .returning();
    Ok(rows::<ExchangeRateRow>(conn, statement).await?.pop())
}
