//! NUMERIC, read exactly: a number that a [`Decimal`] cannot hold is an error. (rust_decimal's own reader rounds it,
//! and takes three allocations for each number.)

use diesel::deserialize::{FromSql, FromSqlRow, Result};
use diesel::pg::{Pg, PgValue};
use diesel::sql_types::Numeric;
use rust_decimal::Decimal;

/// A NUMERIC column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromSqlRow)]
pub struct Exact(pub Decimal);

impl FromSql<Numeric, Pg> for Exact {
    fn from_sql(value: PgValue<'_>) -> Result<Self> {
        let number = read(value.as_bytes()).ok_or("a NUMERIC that is no decimal of at most 28 digits")?;
        Ok(Self(number))
    }
}

const NEGATIVE: u16 = 0x4000;
const POSITIVE: u16 = 0;

/// The wire form: the count of digits to base 10,000, the exponent of the first, the sign, the decimal places, the
/// digits; two bytes each.
fn read(bytes: &[u8]) -> Option<Decimal> {
    let mut words = bytes.chunks_exact(2).map(|pair| pair.try_into().map(u16::from_be_bytes).ok());
    let mut word = || words.next().flatten();
    let (count, weight, sign, places) = (word()?, word()?.cast_signed(), word()?, word()?);
    let mut coefficient: i128 = 0;
    for index in 0..count {
        // What the digit counts, in units of the last decimal place.
        let exponent = 4 * (i32::from(weight) - i32::from(index)) + i32::from(places);
        coefficient = coefficient.checked_add(scaled(i128::from(word()?), exponent)?)?;
    }
    let coefficient = match sign {
        POSITIVE => coefficient,
        NEGATIVE => coefficient.checked_neg()?,
        _ => return None,
    };
    Decimal::try_from_i128_with_scale(coefficient, u32::from(places)).ok()
}

/// `digit × 10^exponent`, if that is whole.
fn scaled(digit: i128, exponent: i32) -> Option<i128> {
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 {
        return digit.checked_mul(power);
    }
    (digit.checked_rem(power)? == 0).then_some(digit / power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wire(weight: i16, sign: u16, places: u16, digits: &[u16]) -> Vec<u8> {
        let head = [u16::try_from(digits.len()).unwrap(), weight.cast_unsigned(), sign, places];
        head.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
    }

    /// The wire form of a decimal, from its text.
    fn written(number: Decimal) -> Vec<u8> {
        let text = number.abs().to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let whole = format!("{}{whole}", "0".repeat(whole.len().wrapping_neg() % 4));
        let padded = format!("{fraction}{}", "0".repeat(fraction.len().wrapping_neg() % 4));
        let digits: Vec<u16> = [whole.as_bytes(), padded.as_bytes()]
            .concat()
            .chunks(4)
            .map(|group| std::str::from_utf8(group).unwrap().parse().unwrap())
            .collect();
        let sign = if number.is_sign_negative() { NEGATIVE } else { POSITIVE };
        let weight = i16::try_from(whole.len() / 4).unwrap() - 1;
        wire(weight, sign, u16::try_from(fraction.len()).unwrap(), &digits)
    }

    proptest! {
        #[test]
        fn every_decimal_is_read_as_it_was_written(low: u32, mid: u32, high: u32, negative: bool, scale in 0u32..=28) {
            let number = Decimal::from_parts(low, mid, high, negative, scale);
            let read = read(&written(number)).unwrap();
            prop_assert_eq!((read, read.scale()), (number, number.scale()));
        }
    }

    #[test]
    fn numbers_as_postgresql_sends_them() {
        assert_eq!(read(&wire(0, POSITIVE, 2, &[12, 2300])).unwrap().to_string(), "12.23");
        assert_eq!(read(&wire(0, POSITIVE, 0, &[])).unwrap().to_string(), "0");
        assert_eq!(read(&wire(0, POSITIVE, 2, &[])).unwrap().to_string(), "0.00");
        assert_eq!(read(&wire(1, NEGATIVE, 0, &[3])).unwrap().to_string(), "-30000");
        assert_eq!(read(&wire(-2, POSITIVE, 6, &[1200])).unwrap().to_string(), "0.000012");
    }

    #[test]
    fn what_is_no_exact_decimal_is_refused_and_never_rounded() {
        for (what, bytes) in [
            ("NaN", wire(0, 0xC000, 0, &[])),
            ("infinity", wire(0, 0xD000, 0, &[])),
            ("more than the largest", wire(7, POSITIVE, 0, &[8, 0, 0, 0, 0, 0, 0, 0])),
            ("29 places", wire(-8, POSITIVE, 29, &[1000])),
            ("more places than it says", wire(0, POSITIVE, 2, &[1, 2345])),
            ("cut off", wire(0, POSITIVE, 0, &[12])[..8].to_vec()),
            ("nothing", Vec::new()),
        ] {
            assert_eq!(read(&bytes), None, "{what}");
        }
    }
}
