//! Exchange rates.

use chrono::{DateTime, Utc};
use diesel::sql_types::BigInt;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rust_decimal::Decimal;

use super::error::StoreError;
use super::once::{KeyedWrite, Stop, created_ids, gone};
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::Statement;
use super::{Conn, rows};
use crate::domain::exchange_rate::ExchangeRate;
use crate::domain::idempotency::Attempt;
use crate::domain::ids::{ExchangeRateId, QuoteId};
use crate::domain::money::CurrencyCode;
use crate::domain::mutation::Mutation;

row! {
    exchange_rates => ExchangeRate as r {
        kept {
            base: CurrencyCode = r.base,
            quote: CurrencyCode = r.quote,
            rate: Decimal = r.rate,
            source: String = r.source,
            observed_at: DateTime<Utc> = r.observed_at,
        }
        read {
            id: i64,
        }
    }
    Self { id, base, quote, rate, source, observed_at }
}

/// Of each pair the rate that was observed last.
pub async fn rates_latest(conn: Conn<'_>) -> Result<Vec<ExchangeRate>, StoreError> {
    // One look-up for each pair, however many rates there were.
    let statement = Statement::new(
        "WITH RECURSIVE pairs AS ((SELECT base, quote FROM exchange_rates ORDER BY base, quote LIMIT 1) UNION ALL \
         SELECT n.base, n.quote FROM pairs p CROSS JOIN LATERAL (SELECT e.base, e.quote FROM exchange_rates e \
         WHERE (e.base, e.quote) > (p.base, p.quote) ORDER BY e.base, e.quote LIMIT 1) n) SELECT ",
    )
    .sql(select_list::<ExchangeRate>("t."))
    .sql(
        " FROM pairs p CROSS JOIN LATERAL (SELECT * FROM exchange_rates e WHERE e.base = p.base \
         AND e.quote = p.quote ORDER BY e.observed_at DESC, e.id DESC LIMIT 1) t ORDER BY t.base, t.quote",
    );
    rows::<ExchangeRate>(conn, statement).await
}

/// The rate of a pair that was observed last.
pub async fn rate_latest(
    conn: Conn<'_>,
    base: CurrencyCode,
    quote: CurrencyCode,
) -> Result<Option<ExchangeRate>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<ExchangeRate>(""))
        .sql(" FROM exchange_rates WHERE base = ")
        .text(base.to_string())
        .sql(" AND quote = ")
        .text(quote.to_string())
        .sql(" ORDER BY observed_at DESC, id DESC LIMIT 1");
    Ok(rows::<ExchangeRate>(conn, statement).await?.pop())
}

pub async fn rate_by_ids(conn: Conn<'_>, ids: Vec<i64>) -> Result<Vec<ExchangeRate>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<ExchangeRate>(""))
        .sql(" FROM exchange_rates WHERE id = ANY(")
        .keys::<BigInt, _>(ids)
        .sql(")");
    rows::<ExchangeRate>(conn, statement).await
}

/// The rate by which an offer was priced, if it was by one.
pub async fn rate_of_quote(conn: Conn<'_>, quote: QuoteId) -> Result<Option<ExchangeRate>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<ExchangeRate>("r."))
        .sql(" FROM prepay_quotes q JOIN exchange_rates r ON r.id = q.rate_id WHERE q.account_id = ")
        .bigint(quote.account().0)
        .sql(" AND q.id = ")
        .uuid(quote.uuid());
    Ok(rows::<ExchangeRate>(conn, statement).await?.pop())
}

/// A rate that is to be kept; the database numbers it.
pub struct NewExchangeRate(pub ExchangeRate);

impl KeyedWrite for NewExchangeRate {
    const MUTATION: Mutation = Mutation::named("setExchangeRate");
    type Made = ExchangeRate;

    fn write<'c>(&'c self, conn: Conn<'c>, _: &'c Attempt) -> BoxFuture<'c, Result<Vec<String>, Stop>> {
        async move {
            let statement = ExchangeRate::columns(std::iter::once(&self.0))
                .insert_into("exchange_rates")
                .sql(" RETURNING ")
                .sql(select_list::<ExchangeRate>(""))
                .returning();
            let kept = rows::<ExchangeRate>(conn, statement).await?;
            Ok(kept.iter().map(|rate| ExchangeRateId(rate.id).to_string()).collect())
        }
        .boxed()
    }

    fn made<'c>(
        &'c self,
        conn: Conn<'c>,
        _: &'c Attempt,
        created: Vec<String>,
    ) -> BoxFuture<'c, Result<ExchangeRate, StoreError>> {
        async move {
            let ids = created_ids(&created, ExchangeRateId::parse)?;
            rate_by_ids(conn, ids.iter().map(|id| id.0).collect()).await?.pop().ok_or_else(gone)
        }
        .boxed()
    }
}
