use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::capacity::LEVEL_MAX;
use crate::domain::rating::number::{Number, Wide};

/// The highest utilisation that a curve names: ten times what there is.
pub const UTILISATION_MAX: Decimal = Decimal::TEN;

/// From this share of the capacity on the level is that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BurstStep {
    /// A fraction: 0.8 is four fifths of the capacity.
    #[serde(with = "rust_decimal::serde::str")]
    pub from: Decimal,
    pub level: i32,
}

/// How much the cloud has of a resource, and which level what use of it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurstCapacity {
    pub resource: String,
    /// In the unit that the resource is reported in; greater than zero.
    pub capacity: Decimal,
    /// In ascending order of the utilisation.
    pub curve: Vec<BurstStep>,
    pub effective_from: DateTime<Utc>,
}

/// What is wrong with a curve: the step, its field, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurveFault {
    pub step: usize,
    pub field: &'static str,
    pub message: String,
}

impl BurstCapacity {
    /// The level while so much is used: that of the last step reached; 0, what subscriptions cost, below the first.
    pub fn level_at(&self, used: Decimal) -> i32 {
        let used = Wide::of(used);
        let is_reached = |step: &&BurstStep| {
            // Fractions of any length: nothing is rounded, and nothing overflows.
            let least = Wide::of(step.from).times(&Wide::of(self.capacity));
            least.and_then(|least| used.is_less(&least)).is_ok_and(|is_less| !is_less)
        };
        self.curve.iter().rev().find(is_reached).map_or(0, |step| step.level)
    }

    /// Finds what no curve can be: utilisations that do not ascend, levels that there are not.
    pub fn check_curve(curve: &[BurstStep]) -> Result<(), CurveFault> {
        let mut before: Option<Decimal> = None;
        for (step, BurstStep { from, level }) in curve.iter().enumerate() {
            let fault = |field, message: String| Err(CurveFault { step, field, message });
            if *from < Decimal::ZERO || *from > UTILISATION_MAX {
                let message = format!("must be a fraction from 0 to {UTILISATION_MAX}: 0.8 is four fifths");
                return fault("fromUtilisation", message);
            }
            if before.is_some_and(|before| *from <= before) {
                return fault("fromUtilisation", "must be greater than that of the step before".to_owned());
            }
            if !(0..=LEVEL_MAX).contains(level) {
                return fault("level", format!("must be from 0 to {LEVEL_MAX}"));
            }
            before = Some(*from);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from: &str, level: i32) -> BurstStep {
        BurstStep { from: from.parse().unwrap(), level }
    }

    #[test]
    fn a_level_begins_exactly_where_its_step_says() {
        let capacity = BurstCapacity {
            resource: "cpu".to_owned(),
            capacity: Decimal::from(3),
            curve: vec![step("0.1", 1), step("0.5", 4), step("1", 20)],
            effective_from: DateTime::UNIX_EPOCH,
        };
        for (used, level) in [
            ("0", 0),
            ("0.2999999999999999999999999999", 0),
            ("0.3", 1),
            ("1.4999999999", 1),
            ("1.5", 4),
            ("3", 20),
            ("79228162514264337593543950335", 20),
        ] {
            assert_eq!(capacity.level_at(used.parse().unwrap()), level, "{used}");
        }
    }

    #[test]
    fn curves_ascend_and_name_levels_that_there_are() {
        assert_eq!(BurstCapacity::check_curve(&[step("0", 0), step("0.5", 7), step("0.9", 3)]), Ok(()));
        for (curve, at, field) in [
            (vec![step("0", 1), step("0", 2)], 1, "fromUtilisation"),
            (vec![step("0.5", 1), step("0.4", 2)], 1, "fromUtilisation"),
            (vec![step("-0.1", 1)], 0, "fromUtilisation"),
            (vec![step("0", 1), step("80", 2)], 1, "fromUtilisation"),
            (vec![step("0", 21)], 0, "level"),
            (vec![step("0", -1)], 0, "level"),
        ] {
            let fault = BurstCapacity::check_curve(&curve).unwrap_err();
            assert_eq!((fault.step, fault.field), (at, field), "{curve:?}");
        }
    }
}
