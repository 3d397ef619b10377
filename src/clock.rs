//! What time it is. All code asks here, so that a test can say.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, DurationRound, TimeDelta, TimeZone, Utc};

/// The server's clock, to the microsecond.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// For tests and the sandbox: the clock stands there, until it is moved.
    standing: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `instant` until [`Clock::set`].
    pub fn standing_at(instant: DateTime<Utc>) -> Self {
        Self { standing: Some(Arc::new(AtomicI64::new(instant.timestamp_micros()))) }
    }

    /// Moves a standing clock; the machine's is not moved.
    pub fn set(&self, instant: DateTime<Utc>) {
        if let Some(standing) = &self.standing {
            standing.store(instant.timestamp_micros(), Ordering::SeqCst);
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        match &self.standing {
            Some(standing) => {
                Utc.timestamp_micros(standing.load(Ordering::SeqCst)).single().unwrap_or_default()
            }
            None => to_microseconds(wall()),
        }
    }
}

/// The machine's clock, for what the sandbox does not move: how long a token is valid.
#[allow(clippy::disallowed_methods)]
pub fn wall() -> DateTime<Utc> {
    Utc::now()
}

/// What the database can keep of an instant.
pub fn to_microseconds(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(instant)
}
