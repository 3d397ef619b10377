//! Exact amounts, and the currencies they are in.
//!
//! A currency has two scales: its *display* scale is what people pay in (USD 2, JPY 0), its *ledger* scale is
//! what the ledger keeps (fiat 10 by default, tokens as their contracts). All arithmetic is checked: a result
//! that does not fit is an error, never rounded unasked.

use std::collections::BTreeMap;
use std::fmt;

use arrayvec::ArrayString;
use iso_currency::{Currency as Iso, IntoEnumIterator};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;

/// The largest ledger scale that a currency may have.
pub const LEDGER_SCALE_MAX: u32 = 20;

/// In units of the ledger's last place.
const CHARGE_UNITS_MAX: i128 = 10_i128.pow(28);

/// A result does not fit the 28 significant digits of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount does not fit 28 significant digits")]
pub struct OutOfRange;

/// An ISO 4217 code, or the code of a token that the server knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct CurrencyCode(ArrayString<16>);

impl CurrencyCode {
    /// Takes 1 to 16 of `A-Z`, `0-9` and `_`; whether the server knows the code is for [`Currencies`] to say.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if well_formed { ArrayString::from(text).ok().map(Self) } else { None }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An amount of a currency, in its main unit (12.50 USD is twelve dollars and a half).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Money {
    pub amount: Decimal,
    pub currency: CurrencyCode,
}

impl Money {
    pub fn new(amount: Decimal, currency: CurrencyCode) -> Self {
        Self { amount, currency }
    }
}

/// A currency with its scales, both in decimal places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency {
    pub code: CurrencyCode,
    pub display_scale: u32,
    pub ledger_scale: u32,
}

impl Currency {
    /// Whether `amount` has no more places than people pay in.
    pub fn is_display_amount(&self, amount: Decimal) -> bool {
        amount.normalize().scale() <= self.display_scale
    }

    /// Rounds to display scale, towards zero: what is given back is never more than its share.
    pub fn truncate_to_display(&self, amount: Decimal) -> Decimal {
        amount.round_dp_with_strategy(self.display_scale, RoundingStrategy::ToZero)
    }

    /// Rounds what is positive up to display scale: so much has to come in to cover it.
    pub fn round_up_to_display(&self, amount: Decimal) -> Result<Decimal, OutOfRange> {
        let truncated = self.truncate_to_display(amount);
        let unit = if truncated < amount { Decimal::new(1, self.display_scale) } else { Decimal::ZERO };
        add(truncated, unit)
    }

    /// Rounds to display scale, half away from zero: what bills ask for.
    pub fn round_to_display(&self, amount: Decimal) -> Decimal {
        amount.round_dp_with_strategy(self.display_scale, RoundingStrategy::MidpointAwayFromZero)
    }

    /// The most that is charged at once: 10^28 of the ledger's units, an eighth of what it can keep, so that what is added to it
    /// fits as well.
    pub fn charge_max(&self) -> Decimal {
        Decimal::try_from_i128_with_scale(CHARGE_UNITS_MAX, self.ledger_scale).unwrap_or(Decimal::ZERO)
    }

    /// `amount` as the API writes money: at least the display places, no further trailing zeros, no exponent.
    pub fn format(&self, amount: Decimal) -> String {
        format_decimal(amount, self.display_scale)
    }
}

/// Digits of a decimal that a client may write; more do not fit.
const DECIMAL_TEXT_MAX: usize = 64;

/// Reads a number as clients write it: plain digits, without exponent; never rounded.
pub fn parse_decimal(text: &str) -> Result<Decimal, &'static str> {
    const EXPECTED: &str = "a decimal number such as \"12.50\" is expected, as a string or an integer";
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(whole) || !are_digits(places) || text.len() > DECIMAL_TEXT_MAX {
        return Err(EXPECTED);
    }
    Decimal::from_str_exact(text).map_err(|_| "the number has more digits than the 28 that can be kept")
}

/// Writes a decimal without exponent, with at least `places` places and no trailing zeros beyond them.
pub fn format_decimal(amount: Decimal, places: u32) -> String {
    let mut amount = amount.normalize();
    if amount.is_zero() {
        amount.set_sign_positive(true);
    }
    let scale = amount.scale();
    let mut text = amount.to_string();
    if places > scale {
        if scale == 0 {
            text.push('.');
        }
        text.extend(std::iter::repeat_n('0', places.abs_diff(scale) as usize));
    }
    text
}

/// The currencies that this server knows.
#[derive(Debug, Clone)]
pub struct Currencies(BTreeMap<CurrencyCode, Currency>);

/// A currency's setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CurrencyError {
    #[error(
        "\"{0}\" is not a currency setting: CODE:DISPLAY_SCALE:LEDGER_SCALE is expected, for example CNY:2:10"
    )]
    Malformed(String),
    #[error("{0}: the display scale must not exceed the ledger scale, and that not {LEDGER_SCALE_MAX}")]
    Scales(String),
}

impl Default for Currencies {
    /// The currencies of ISO 4217 that have decimal places, or none, at ledger scale 10, and the tokens of pay2.0 at their contracts'
    /// scales.
    fn default() -> Self {
        const TOKENS: [(&str, u32, u32); 2] = [("USDT_ERC20", 6, 6), ("ANKR_ERC20", 18, 18)];
        // Metals and what is kept for tests have no places.
        let fiat = Iso::iter().filter_map(|iso| Some((iso.code(), u32::from(iso.exponent()?), 10)));
        let known = fiat.chain(TOKENS).filter_map(|(code, display_scale, ledger_scale)| {
            CurrencyCode::parse(code).map(|code| (code, Currency { code, display_scale, ledger_scale }))
        });
        Self(known.collect())
    }
}

impl Currencies {
    /// The currency of that code, if the server knows it.
    pub fn get(&self, code: CurrencyCode) -> Option<&Currency> {
        self.0.get(&code)
    }

    /// The currency that a client named.
    pub fn by_code(&self, code: &str) -> Option<&Currency> {
        CurrencyCode::parse(code).and_then(|code| self.get(code))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Currency> {
        self.0.values()
    }

    /// Adds a currency, or changes its scales, from `CODE:DISPLAY_SCALE:LEDGER_SCALE`.
    pub fn configure(&mut self, setting: &str) -> Result<(), CurrencyError> {
        let malformed = || CurrencyError::Malformed(setting.to_owned());
        let mut parts = setting.split(':');
        let (Some(code), Some(display), Some(ledger), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        let code = CurrencyCode::parse(code).ok_or_else(malformed)?;
        let display_scale: u32 = display.parse().map_err(|_| malformed())?;
        let ledger_scale: u32 = ledger.parse().map_err(|_| malformed())?;
        if display_scale > ledger_scale || ledger_scale > LEDGER_SCALE_MAX {
            return Err(CurrencyError::Scales(code.to_string()));
        }
        self.0.insert(code, Currency { code, display_scale, ledger_scale });
        Ok(())
    }
}

/// `a + b`, exactly.
pub fn add(a: Decimal, b: Decimal) -> Result<Decimal, OutOfRange> {
    let sum = a.checked_add(b).ok_or(OutOfRange)?;
    // rust_decimal rounds a sum whose digits do not fit: noticed by the places it lost.
    let places = a.normalize().scale().max(b.normalize().scale());
    if sum.scale() < places { Err(OutOfRange) } else { Ok(sum) }
}

/// `a - b`, exactly.
pub fn subtract(a: Decimal, b: Decimal) -> Result<Decimal, OutOfRange> {
    add(a, negate(b))
}

/// `-a`; never fails.
pub fn negate(mut a: Decimal) -> Decimal {
    a.set_sign_negative(a.is_sign_positive() && !a.is_zero());
    a
}

/// `a × b`, exactly.
pub fn multiply(a: Decimal, b: Decimal) -> Result<Decimal, OutOfRange> {
    let (a, b) = (a.normalize(), b.normalize());
    let product = a.checked_mul(b).ok_or(OutOfRange)?;
    let places = a.scale().saturating_add(b.scale());
    if product.is_zero() != (a.is_zero() || b.is_zero()) {
        return Err(OutOfRange);
    }
    if product.is_zero() || product.scale() == places { Ok(product) } else { Err(OutOfRange) }
}

/// Splits `amount` into `parts` amounts of at most `scale` places that differ by at most one unit and sum to it
/// exactly; the first ones take what is left over. None if `parts` is zero or the amount has more places.
pub fn split(amount: Decimal, parts: u32, scale: u32) -> Option<Vec<Decimal>> {
    if parts == 0 || amount.normalize().scale() > scale {
        return None;
    }
    let mut units = amount.normalize();
    units.rescale(scale);
    let mantissa = units.mantissa();
    let count = i128::from(parts);
    let share = mantissa.checked_div(count)?;
    let left_over = mantissa.checked_rem(count)?;
    let step = left_over.signum();
    (0..count)
        .map(|i| if i < left_over.abs() { share.checked_add(step) } else { Some(share) })
        .map(|units| units.and_then(|units| Decimal::try_from_i128_with_scale(units, scale).ok()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn money_is_written_with_display_places_and_no_further_zeros() {
        for (amount, places, expected) in [
            ("50", 2, "50.00"),
            ("0.00014580", 2, "0.0001458"),
            ("-0.5", 2, "-0.50"),
            ("-0.00", 2, "0.00"),
            ("100", 0, "100"),
            ("1e3", 2, "1000.00"),
            ("3000.01", 2, "3000.01"),
        ] {
            let amount = Decimal::from_scientific(amount).or_else(|_| amount.parse()).unwrap();
            assert_eq!(format_decimal(amount, places), expected);
        }
    }

    #[test]
    fn sums_and_products_that_lose_places_are_out_of_range() {
        let large = dec("79228162514264337593543950335");
        assert_eq!(add(large, dec("1")), Err(OutOfRange));
        assert_eq!(add(dec("7922816251426433759354395033"), dec("0.0000000001")), Err(OutOfRange));
        assert_eq!(multiply(dec("0.00000000000001"), dec("0.000000000000001")), Err(OutOfRange));
        assert_eq!(multiply(dec("1.5"), dec("2.50")), Ok(dec("3.75")));
    }

    #[test]
    fn scales_are_configurable_up_to_twenty_places() {
        let mut currencies = Currencies::default();
        currencies.configure("USD:2:20").unwrap();
        assert_eq!(currencies.by_code("USD").unwrap().ledger_scale, 20);
        assert!(matches!(currencies.configure("USD:2:21"), Err(CurrencyError::Scales(_))));
        assert!(matches!(currencies.configure("USD:11:10"), Err(CurrencyError::Scales(_))));
        assert!(matches!(currencies.configure("usd:2:10"), Err(CurrencyError::Malformed(_))));
        assert!(matches!(currencies.configure("USD:2"), Err(CurrencyError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn splitting_neither_loses_nor_makes_a_unit(mantissa in -1_000_000_000i64..1_000_000_000, parts in 1u32..100) {
            let amount = Decimal::new(mantissa, 2);
            let shares = split(amount, parts, 2).unwrap();
            prop_assert_eq!(shares.len(), parts as usize);
            prop_assert_eq!(shares.iter().copied().sum::<Decimal>(), amount);
            let spread = *shares.iter().max().unwrap() - *shares.iter().min().unwrap();
            prop_assert!(spread <= Decimal::new(1, 2));
        }

        #[test]
        fn addition_is_exact_or_refused(a in any::<i64>(), a_scale in 0u32..20, b in any::<i64>(), b_scale in 0u32..20) {
            let (a, b) = (Decimal::new(a, a_scale), Decimal::new(b, b_scale));
            if let Ok(sum) = add(a, b) {
                prop_assert_eq!(subtract(sum, b), Ok(a));
            }
        }
    }
}
