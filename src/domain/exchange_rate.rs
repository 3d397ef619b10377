//! Exchange rates: what one unit of a currency is worth in another, as it was observed.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::money::CurrencyCode;

/// A rate that was observed longer ago is not used.
pub const RATE_HOLDS: TimeDelta = TimeDelta::hours(1);

/// 1 `base` = `rate` `quote`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRate {
    /// The database's number; 0 until it is kept.
    pub id: i64,
    pub base: CurrencyCode,
    pub quote: CurrencyCode,
    pub rate: Decimal,
    /// The source of the rate, for people.
    pub source: String,
    pub observed_at: DateTime<Utc>,
}

impl ExchangeRate {
    /// Whether it was observed too long ago to be used.
    pub fn is_stale(&self, now: DateTime<Utc>) -> bool {
        now.signed_duration_since(self.observed_at) > RATE_HOLDS
    }
}
