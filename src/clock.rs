//! What time it is. All code asks here, so that a test can say.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};

/// The server's clock, to the microsecond.
#[derive(Debug, Clone, Default)]
pub struct Clock(Kind);

#[derive(Debug, Clone, Default)]
enum Kind {
    #[default]
    System,
    /// The machine's, so many microseconds ahead: the sandbox's.
    Ahead(Arc<AtomicI64>),
    /// Stands at this instant until it is moved: for tests.
    Standing(Arc<AtomicI64>),
}

/// By whose time what only goes forward is held: how far months were closed, burst was charged, movements were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBy {
    /// The database's clock, as far ahead as a sandbox's was moved.
    Database,
    /// A clock that stands is all the time that there is.
    Itself,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// The machine's clock, which can be moved ahead.
    pub fn sandbox() -> Self {
        Self(Kind::Ahead(Arc::default()))
    }

    /// A clock that stands at `instant` until it is moved.
    pub fn standing_at(instant: DateTime<Utc>) -> Self {
        Self(Kind::Standing(Arc::new(AtomicI64::new(instant.timestamp_micros()))))
    }

    /// Moves a clock that can be moved to `instant`, unless it is there or beyond already: never back. A sandbox's runs
    /// on from there.
    pub fn move_to(&self, instant: DateTime<Utc>) {
        match &self.0 {
            Kind::System => {}
            Kind::Ahead(offset) => {
                let ahead = instant.signed_duration_since(wall()).num_microseconds().unwrap_or(0);
                offset.fetch_max(ahead, Ordering::SeqCst);
            }
            Kind::Standing(at) => {
                at.fetch_max(instant.timestamp_micros(), Ordering::SeqCst);
            }
        }
    }

    /// Puts a clock that stands to `instant`, back too; another it leaves alone.
    pub fn set(&self, instant: DateTime<Utc>) {
        if let Kind::Standing(at) = &self.0 {
            at.store(instant.timestamp_micros(), Ordering::SeqCst);
        }
    }

    /// Whether it can be moved at all.
    pub fn is_movable(&self) -> bool {
        !matches!(self.0, Kind::System)
    }

    /// By whose time marks are held that jobs set by this clock.
    pub fn held_by(&self) -> HeldBy {
        match self.0 {
            Kind::Standing(_) => HeldBy::Itself,
            Kind::System | Kind::Ahead(_) => HeldBy::Database,
        }
    }

    /// How far a sandbox's clock is ahead of the machine's, in microseconds; None for any other.
    pub fn offset_micros(&self) -> Option<i64> {
        match &self.0 {
            Kind::Ahead(offset) => Some(offset.load(Ordering::SeqCst)),
            Kind::System | Kind::Standing(_) => None,
        }
    }

    /// How far a sandbox's clock would be ahead if it were moved to `instant` now; None for any other.
    pub fn offset_at(&self, instant: DateTime<Utc>) -> Option<i64> {
        let ahead = instant.signed_duration_since(wall()).num_microseconds().unwrap_or(0);
        self.offset_micros().map(|offset| offset.max(ahead))
    }

    /// Moves a sandbox's clock at least so far ahead, as another server has.
    pub fn keep_up_with(&self, offset_micros: i64) {
        if let Kind::Ahead(offset) = &self.0 {
            offset.fetch_max(offset_micros, Ordering::SeqCst);
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Kind::System => to_microseconds(wall()),
            Kind::Ahead(offset) => {
                let offset = TimeDelta::microseconds(offset.load(Ordering::SeqCst));
                to_microseconds(wall().checked_add_signed(offset).unwrap_or_else(wall))
            }
            Kind::Standing(at) => {
                Utc.timestamp_micros(at.load(Ordering::SeqCst)).single().unwrap_or_default()
            }
        }
    }
}

/// The machine's clock, for what the sandbox does not move: how long a token is valid.
#[allow(clippy::disallowed_methods)]
pub fn wall() -> DateTime<Utc> {
    // In a build for tests: a machine whose clock is wrong, by so many seconds.
    fail::fail_point!("clock-ahead", |seconds| {
        let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(0);
        Utc::now().checked_add_signed(TimeDelta::seconds(seconds)).unwrap_or_default()
    });
    Utc::now()
}

/// What the database can keep of an instant.
pub fn to_microseconds(instant: DateTime<Utc>) -> DateTime<Utc> {
    // chrono's own rounding knows the years 1677 to 2262 only.
    let beyond = instant.timestamp_subsec_nanos() % 1_000;
    instant.checked_sub_signed(TimeDelta::nanoseconds(beyond.into())).unwrap_or(instant)
}
