//! The numbers that rating computes with: exact, in two widths.
//!
//! Almost every charge fits [`Narrow`], 38 digits without allocation. Where an operation does not fit it says so, and
//! the charge is computed again with [`Wide`], fractions of any length. Nothing is rounded on the way.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};
use rust_decimal::Decimal;

/// An exact result does not fit the number's width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrecisionExceeded;

/// Significant digits of an answer.
const DIGITS_MAX: u32 = 28;
/// Places of an amount in an explanation, where the exact amount has no end.
const SHOWN_PLACES_MAX: u32 = 20;

/// An exact number, or [`PrecisionExceeded`].
pub trait Number: Clone {
    fn of(value: Decimal) -> Self;
    fn zero() -> Self;
    fn is_zero(&self) -> bool;
    fn plus(&self, other: &Self) -> Result<Self, PrecisionExceeded>;
    fn minus(&self, other: &Self) -> Result<Self, PrecisionExceeded>;
    fn times(&self, other: &Self) -> Result<Self, PrecisionExceeded>;
    /// `self ÷ divisor`; the divisor is positive.
    fn over(&self, divisor: &Self) -> Result<Self, PrecisionExceeded>;
    fn is_less(&self, other: &Self) -> Result<bool, PrecisionExceeded>;
    /// How many blocks of `per` it makes, the started one whole; both are positive.
    fn blocks(&self, per: &Self) -> Result<Self, PrecisionExceeded>;
    /// Rounded to so many places, half away from zero; None if that has more than 28 digits.
    fn rounded(&self, places: u32) -> Result<Option<Decimal>, PrecisionExceeded>;
    /// For people: exact if it can be written with 28 digits, else as near as 20 places or the digits allow.
    fn shown(&self) -> Decimal;

    fn smaller<'n>(&'n self, other: &'n Self) -> Result<&'n Self, PrecisionExceeded> {
        Ok(if other.is_less(self)? { other } else { self })
    }

    fn larger<'n>(&'n self, other: &'n Self) -> Result<&'n Self, PrecisionExceeded> {
        Ok(if self.is_less(other)? { other } else { self })
    }
}

// At compile time, where an overflow or a wrong index would be an error.
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

fn power(exponent: u32) -> Result<i128, PrecisionExceeded> {
    POWERS.get(exponent as usize).copied().ok_or(PrecisionExceeded)
}

/// `coefficient ÷ 10^places`.
#[derive(Debug, Clone, Copy)]
pub struct Narrow {
    coefficient: i128,
    places: u32,
}

impl Narrow {
    /// The coefficients of two numbers at the places of the finer one.
    fn aligned(self, other: Self) -> Result<(i128, i128, u32), PrecisionExceeded> {
        if self.places == other.places {
            return Ok((self.coefficient, other.coefficient, self.places));
        }
        let places = self.places.max(other.places);
        Ok((self.coefficient_at(places)?, other.coefficient_at(places)?, places))
    }

    fn coefficient_at(self, places: u32) -> Result<i128, PrecisionExceeded> {
        let factor = power(places.checked_sub(self.places).ok_or(PrecisionExceeded)?)?;
        self.coefficient.checked_mul(factor).ok_or(PrecisionExceeded)
    }
}

impl Number for Narrow {
    fn of(value: Decimal) -> Self {
        Self { coefficient: value.mantissa(), places: value.scale() }
    }

    fn zero() -> Self {
        Self { coefficient: 0, places: 0 }
    }

    fn is_zero(&self) -> bool {
        self.coefficient == 0
    }

    fn plus(&self, other: &Self) -> Result<Self, PrecisionExceeded> {
        let (a, b, places) = self.aligned(*other)?;
        Ok(Self { coefficient: a.checked_add(b).ok_or(PrecisionExceeded)?, places })
    }

    fn minus(&self, other: &Self) -> Result<Self, PrecisionExceeded> {
        let (a, b, places) = self.aligned(*other)?;
        Ok(Self { coefficient: a.checked_sub(b).ok_or(PrecisionExceeded)?, places })
    }

    fn times(&self, other: &Self) -> Result<Self, PrecisionExceeded> {
        let coefficient = self.coefficient.checked_mul(other.coefficient).ok_or(PrecisionExceeded)?;
        Ok(Self { coefficient, places: self.places.checked_add(other.places).ok_or(PrecisionExceeded)? })
    }

    fn over(&self, divisor: &Self) -> Result<Self, PrecisionExceeded> {
        let mut places = self.places;
        let mut numerator =
            self.coefficient_at(self.places.checked_add(divisor.places).ok_or(PrecisionExceeded)?)?;
        // A divisor that is a power of ten moves the point.
        if let Some(zeros) = POWERS.iter().position(|power| *power == divisor.coefficient) {
            places = places
                .checked_add(u32::try_from(zeros).map_err(|_| PrecisionExceeded)?)
                .ok_or(PrecisionExceeded)?;
            return Ok(Self { coefficient: numerator, places });
        }
        while numerator.checked_rem(divisor.coefficient).ok_or(PrecisionExceeded)? != 0 {
            numerator = numerator.checked_mul(10).ok_or(PrecisionExceeded)?;
            places = places.checked_add(1).ok_or(PrecisionExceeded)?;
        }
        Ok(Self { coefficient: numerator.checked_div(divisor.coefficient).ok_or(PrecisionExceeded)?, places })
    }

    fn is_less(&self, other: &Self) -> Result<bool, PrecisionExceeded> {
        let (a, b, _) = self.aligned(*other)?;
        Ok(a < b)
    }

    fn blocks(&self, per: &Self) -> Result<Self, PrecisionExceeded> {
        let (quantity, per, _) = self.aligned(*per)?;
        let whole = quantity.checked_div_euclid(per).ok_or(PrecisionExceeded)?;
        let started = i128::from(quantity.checked_rem_euclid(per).ok_or(PrecisionExceeded)? != 0);
        Ok(Self { coefficient: whole.checked_add(started).ok_or(PrecisionExceeded)?, places: 0 })
    }

    fn rounded(&self, places: u32) -> Result<Option<Decimal>, PrecisionExceeded> {
        let coefficient = match self.places.checked_sub(places) {
            None | Some(0) => self.coefficient_at(places)?,
            Some(dropped) => {
                let unit = power(dropped)?;
                let half = (unit / 2).checked_mul(self.coefficient.signum()).ok_or(PrecisionExceeded)?;
                self.coefficient
                    .checked_add(half)
                    .ok_or(PrecisionExceeded)?
                    .checked_div(unit)
                    .ok_or(PrecisionExceeded)?
            }
        };
        Ok(answer(coefficient, places))
    }

    fn shown(&self) -> Decimal {
        let Self { mut coefficient, mut places } = *self;
        loop {
            if let Some(number) = answer(coefficient, places) {
                return number;
            }
            if coefficient % 10 != 0 {
                return Wide::narrow(*self).shown();
            }
            let Some(fewer) = places.checked_sub(1) else { return Wide::narrow(*self).shown() };
            (coefficient, places) = (coefficient / 10, fewer);
        }
    }
}

/// The decimal, if it has no more than 28 digits.
fn answer(coefficient: i128, places: u32) -> Option<Decimal> {
    let fits = coefficient.unsigned_abs() < POWERS.get(DIGITS_MAX as usize)?.unsigned_abs();
    Decimal::try_from_i128_with_scale(coefficient, places).ok().filter(|_| fits)
}

/// A fraction of any length.
#[derive(Debug, Clone)]
pub struct Wide(BigRational);

#[allow(clippy::arithmetic_side_effects)]
impl Wide {
    fn narrow(number: Narrow) -> Self {
        Self(BigRational::new(number.coefficient.into(), BigInt::from(10).pow(number.places)))
    }

    fn round_to(&self, places: u32) -> BigInt {
        // BigRational rounds half away from zero.
        (&self.0 * BigInt::from(10).pow(places)).round().to_integer()
    }
}

// Fractions of any length neither overflow nor round, and the one division is by a divisor that is not zero.
#[allow(clippy::arithmetic_side_effects)]
impl Number for Wide {
    fn of(value: Decimal) -> Self {
        Self::narrow(Narrow::of(value))
    }

    fn zero() -> Self {
        Self(BigRational::zero())
    }

    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    fn plus(&self, other: &Self) -> Result<Self, PrecisionExceeded> {
        Ok(Self(&self.0 + &other.0))
    }

    fn minus(&self, other: &Self) -> Result<Self, PrecisionExceeded> {
        Ok(Self(&self.0 - &other.0))
    }

    fn times(&self, other: &Self) -> Result<Self, PrecisionExceeded> {
        Ok(Self(&self.0 * &other.0))
    }

    fn over(&self, divisor: &Self) -> Result<Self, PrecisionExceeded> {
        if divisor.is_zero() { Err(PrecisionExceeded) } else { Ok(Self(&self.0 / &divisor.0)) }
    }

    fn is_less(&self, other: &Self) -> Result<bool, PrecisionExceeded> {
        Ok(self.0 < other.0)
    }

    fn blocks(&self, per: &Self) -> Result<Self, PrecisionExceeded> {
        Ok(Self(self.over(per)?.0.ceil()))
    }

    fn rounded(&self, places: u32) -> Result<Option<Decimal>, PrecisionExceeded> {
        Ok(i128::try_from(self.round_to(places)).ok().and_then(|coefficient| answer(coefficient, places)))
    }

    fn shown(&self) -> Decimal {
        let exact =
            (0..=DIGITS_MAX).find(|places| (&self.0 * BigInt::from(10).pow(*places)).denom().is_one());
        let exact = exact.and_then(|places| self.rounded(places).ok().flatten());
        let near = || (0..=SHOWN_PLACES_MAX).rev().find_map(|places| self.rounded(places).ok().flatten());
        let largest = if self.0.is_negative() { Decimal::MIN } else { Decimal::MAX };
        exact.or_else(near).unwrap_or(largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn decimals() -> impl Strategy<Value = Decimal> {
        (-1_000_000_000_000_i64..1_000_000_000_000, 0u32..12)
            .prop_map(|(units, scale)| Decimal::new(units, scale))
    }

    proptest! {
        #[test]
        fn both_widths_compute_the_same(a in decimals(), b in decimals(), divisor in 1i64..5_000, places in 0u32..8) {
            let (a, b, divisor) = (a, b, Decimal::new(divisor, 1));
            let (narrow_a, narrow_b) = (Narrow::of(a), Narrow::of(b));
            let (wide_a, wide_b) = (Wide::of(a), Wide::of(b));
            prop_assert_eq!(narrow_a.plus(&narrow_b).unwrap().shown(), wide_a.plus(&wide_b).unwrap().shown());
            prop_assert_eq!(narrow_a.minus(&narrow_b).unwrap().shown(), wide_a.minus(&wide_b).unwrap().shown());
            let (narrow, wide) = (narrow_a.times(&narrow_b).unwrap(), wide_a.times(&wide_b).unwrap());
            prop_assert_eq!(narrow.rounded(places), wide.rounded(places));
            prop_assert_eq!(narrow_a.is_less(&narrow_b), wide_a.is_less(&wide_b));
            let blocks = narrow_a.blocks(&Narrow::of(divisor)).unwrap().shown();
            prop_assert_eq!(blocks, wide_a.blocks(&Wide::of(divisor)).unwrap().shown());
            if let Ok(narrow) = narrow_a.over(&Narrow::of(divisor)) {
                let wide = wide_a.over(&Wide::of(divisor)).unwrap();
                prop_assert_eq!(narrow.rounded(places), wide.rounded(places));
            }
        }
    }

    #[test]
    fn a_third_is_too_narrow_for_decimals_and_exact_as_a_fraction() {
        let (one, three) = (dec("1"), dec("3"));
        assert_eq!(Narrow::of(one).over(&Narrow::of(three)).map(|_| ()), Err(PrecisionExceeded));
        let third = Wide::of(one).over(&Wide::of(three)).unwrap();
        assert_eq!(third.times(&Wide::of(three)).unwrap().rounded(2), Ok(Some(dec("1.00"))));
        assert_eq!(third.shown(), dec("0.33333333333333333333"));
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        for (number, rounded) in
            [("3.225", "3.23"), ("-3.225", "-3.23"), ("3.2249", "3.22"), ("0.005", "0.01")]
        {
            assert_eq!(Narrow::of(dec(number)).rounded(2), Ok(Some(dec(rounded))), "{number}");
            assert_eq!(Wide::of(dec(number)).rounded(2), Ok(Some(dec(rounded))), "{number}");
        }
    }

    #[test]
    fn an_answer_of_more_than_28_digits_is_none() {
        let large = dec("9999999999999999999999999999");
        assert_eq!(Narrow::of(large).rounded(0), Ok(Some(large)));
        assert_eq!(Narrow::of(large).rounded(1), Ok(None));
        assert_eq!(Wide::of(large).rounded(1), Ok(None));
    }
}
