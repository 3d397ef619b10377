use async_graphql::SimpleObject;

use crate::domain;
use crate::graphql::scalars::{Code, Exact, Instant};

/// What one unit of a currency is worth in another: 1 `base` = `rate` `quote`.
#[derive(SimpleObject)]
pub struct ExchangeRate {
    /// The currency of which one unit is valued.
    base: Code,
    /// The currency in which that unit is valued.
    quote: Code,
    /// How many of `quote` one of `base` is worth.
    rate: Exact,
    /// The source of the rate, for people: what was said when it was set.
    source: String,
    /// When it was so; after an hour it is not used any more.
    observed_at: Instant,
}

impl From<&domain::exchange_rate::ExchangeRate> for ExchangeRate {
    fn from(rate: &domain::exchange_rate::ExchangeRate) -> Self {
        Self {
            base: Code(rate.base),
            quote: Code(rate.quote),
            rate: Exact::number(rate.rate),
            source: rate.source.clone(),
            observed_at: Instant(rate.observed_at),
        }
    }
}
