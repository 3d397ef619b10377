//! How long what is no part of the books is kept (docs/RETENTION.md).

use chrono::TimeDelta;

/// A key counts for at least so long: the check of the ledger asks for those of transactions that are younger, and the database
/// removes none (`forget_keys_of_pages`).
pub const KEYS_KEPT_LEAST: TimeDelta = TimeDelta::days(90);
/// Months of events that ended within this time are never removed, as the database sees to (`drop_usage_month`).
pub const EVENTS_KEPT_LEAST: TimeDelta = TimeDelta::days(92);
/// So much longer than usage may come late its events are kept: what came last is corrected, and perhaps taken back, until then.
pub const EVENTS_KEPT_AFTER_LATE: TimeDelta = TimeDelta::days(62);
/// Reports of gauges are looked at by cycles of five minutes; a database whose jobs stood still for long makes cycles up.
pub const GAUGE_SLOTS_KEPT_LEAST: TimeDelta = TimeDelta::days(7);
/// What was offered may be asked about.
pub const QUOTES_KEPT_LEAST: TimeDelta = TimeDelta::days(1);
pub const NOTICES_KEPT_LEAST: TimeDelta = TimeDelta::days(30);
/// Nobody's books are done with sooner; the database erases no account before (`accounts_are_erased_late`).
pub const BOOKS_KEPT_LEAST: TimeDelta = TimeDelta::days(365);

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Idempotency keys, from when they were used first.
    pub keys: TimeDelta,
    /// Offers of prepayments, from when they have expired.
    pub quotes: TimeDelta,
    /// The 5-minute slots in which gauges were reported.
    pub gauge_slots: TimeDelta,
    /// Raw usage events, from the end of their month (UTC).
    pub usage_events: TimeDelta,
    /// Notices, from when they were acknowledged; or raised, where only customers are told.
    pub notices: TimeDelta,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            keys: TimeDelta::days(100),
            quotes: TimeDelta::days(400),
            gauge_slots: TimeDelta::days(90),
            usage_events: TimeDelta::days(400),
            notices: TimeDelta::days(400),
        }
    }
}

/// How long books are kept, unless something else is said: ten years.
pub const BOOKS_KEPT_DEFAULT: TimeDelta = TimeDelta::days(3_653);
