use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::domain::usage::SLOT;

/// A cycle is as long as the slots that gauges are kept by.
pub const CYCLE: TimeDelta = SLOT;

/// A cycle, by its number: how many began before it since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Cycle(i32);

impl Cycle {
    /// The one that an instant lies in.
    pub fn of(instant: DateTime<Utc>) -> Self {
        let number = instant.timestamp().div_euclid(CYCLE.num_seconds().max(1));
        Self(i32::try_from(number).unwrap_or(i32::MAX))
    }

    pub fn numbered(number: i32) -> Self {
        Self(number)
    }

    pub fn number(self) -> i32 {
        self.0
    }

    pub fn start(self) -> DateTime<Utc> {
        let seconds = i64::from(self.0).saturating_mul(CYCLE.num_seconds());
        DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Its end: when the gauges of it are read.
    pub fn end(self) -> DateTime<Utc> {
        self.plus(1).start()
    }

    /// The one so many after it.
    pub fn plus(self, cycles: i32) -> Self {
        Self(self.0.saturating_add(cycles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_follow_each_other_from_1970_on() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let cycle = Cycle::of(at("2014-06-05T05:21:06.511910Z"));
        assert_eq!(cycle.number(), 4_673_152);
        assert_eq!((cycle.start(), cycle.end()), (at("2014-06-05T05:20:00Z"), at("2014-06-05T05:25:00Z")));
        assert_eq!(Cycle::of(cycle.end()), cycle.plus(1));
        assert_eq!(Cycle::of(cycle.end() - TimeDelta::microseconds(1)), cycle);
    }
}
