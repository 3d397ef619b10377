//! Amounts of tokens: an event counts the smallest part of one, in 256 bits.

use num_bigint::BigUint;
use num_traits::{ToPrimitive, Zero};
use rust_decimal::Decimal;

/// A number of a token's smallest parts, as the chain counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseUnits(BigUint);

/// A number of tokens that has no exact [`Decimal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{parts} parts of a token of {places} places are more digits than an amount can have")]
pub struct TooManyDigits {
    /// The number of parts, in decimal digits.
    pub parts: String,
    pub places: u32,
}

impl BaseUnits {
    /// The number in a word of an event.
    pub fn of_word(word: &[u8; 32]) -> Self {
        Self(BigUint::from_bytes_be(word))
    }

    /// Whether it is none.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// So many tokens, of which one has `places` decimal places; never rounded.
    pub fn tokens(&self, places: u32) -> Result<Decimal, TooManyDigits> {
        let (number, scale) = without_trailing_zeros(&self.0, places);
        let number =
            number.to_i128().and_then(|number| Decimal::try_from_i128_with_scale(number, scale).ok());
        number.ok_or_else(|| TooManyDigits { parts: self.0.to_string(), places })
    }
}

/// Zeros at the end take digits without saying anything.
fn without_trailing_zeros(number: &BigUint, mut scale: u32) -> (BigUint, u32) {
    let mut number = number.clone();
    while scale > 0 && (&number % 10_u32).is_zero() {
        number /= 10_u32;
        scale = scale.saturating_sub(1);
    }
    (number, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(parts: &str, places: u32) -> Result<String, TooManyDigits> {
        BaseUnits(parts.parse().unwrap()).tokens(places).map(|amount| amount.to_string())
    }

    #[test]
    fn amounts_are_exact() {
        for (parts, places, amount) in [
            ("0", 18, "0"),
            ("1", 6, "0.000001"),
            ("1234567", 6, "1.234567"),
            ("1000000", 6, "1"),
            ("1", 18, "0.000000000000000001"),
            ("7", 0, "7"),
            ("1000000000000000000000000000000", 30, "1"),
            // The most that a decimal holds.
            ("79228162514264337593543950335", 18, "79228162514.264337593543950335"),
            ("792281625142643375935439503350", 18, "792281625142.64337593543950335"),
        ] {
            assert_eq!(tokens(parts, places).as_deref(), Ok(amount), "{parts}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let most = BigUint::from_bytes_be(&[0xff; 32]).to_string();
        for (parts, places) in
            [(most.as_str(), 18), (&most, 0), ("79228162514264337593543950336", 18), ("1", 29)]
        {
            let error = tokens(parts, places).unwrap_err();
            assert_eq!(error, TooManyDigits { parts: parts.to_owned(), places });
        }
    }

    #[test]
    fn a_word_is_read_to_its_last_bit() {
        let number = BaseUnits::of_word(&[0xff; 32]);
        assert_eq!(number.0, (BigUint::from(1_u32) << 256_u32) - 1_u32);
        assert!(BaseUnits::of_word(&[0; 32]).is_zero());
    }
}
