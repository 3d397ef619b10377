//! Burst: capacity used beyond what is subscribed, charged by the 5-minute cycle at the level that the cloud's use has led
//! to. Source: CloudSigma's billing documentation and its published ledgers; docs/CAPACITY.md.

mod charge;
mod cycle;
mod level;

pub use charge::{Bursting, CycleCharge, ResourceCharge, Uncharged, charge_account};
pub use cycle::{CYCLE, Cycle};
pub use level::{BurstCapacity, BurstStep, CurveFault, UTILISATION_MAX};

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// A rate tells how long money lasts for so many cycles after the one that it was seen in.
pub const RATE_HOLDS: i32 = 2;
/// No instant after this year is told.
const YEAR_MAX: i32 = 9999;

/// What an account's burst has come to by now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BurstState {
    /// The last cycle that it was charged for.
    pub cycle: Option<Cycle>,
    /// What a whole cycle comes to at that one's rate.
    pub rate: Option<Decimal>,
    /// Whether its owner was told that the money will not last.
    pub warned: bool,
}

impl BurstState {
    /// When `available` runs out at the rate of the last cycle; None where nothing is charged at present, or not before the
    /// year 10000. `now` is not before the cycle.
    pub fn lasts_until(&self, available: Decimal, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (cycle, rate) = (self.cycle?, self.rate.filter(|rate| *rate > Decimal::ZERO)?);
        if Cycle::of(now).number().saturating_sub(cycle.number()) > RATE_HOLDS {
            return None;
        }
        if available <= Decimal::ZERO {
            return Some(now);
        }
        let cycles = available.checked_div(rate)?;
        let seconds = cycles.checked_mul(Decimal::from(CYCLE.num_seconds()))?.trunc().to_i64()?;
        now.checked_add_signed(TimeDelta::try_seconds(seconds)?).filter(|until| until.year() <= YEAR_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn money_lasts_as_long_as_the_last_cycles_rate_says_and_no_rate_says_nothing() {
        let now = at("2026-03-01T10:06:00Z");
        let state = BurstState {
            cycle: Some(Cycle::of(at("2026-03-01T10:00:00Z"))),
            rate: Some(Decimal::new(25, 2)),
            warned: false,
        };
        let lasts = |available: i64| state.lasts_until(Decimal::from(available), now);
        assert_eq!(lasts(3), Some(at("2026-03-01T11:06:00Z")), "12 cycles");
        assert_eq!((lasts(0), lasts(-5)), (Some(now), Some(now)));
        assert_eq!(lasts(i64::MAX), None, "beyond all dates");
        assert_eq!(lasts(10_000_000_000), None, "beyond all years that are written with four digits");
        assert_eq!(state.lasts_until(Decimal::ONE, at("2026-03-01T10:15:00Z")), None, "nothing since");
        assert_eq!(BurstState::default().lasts_until(Decimal::ONE, now), None);
    }
}
