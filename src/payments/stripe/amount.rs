//! Amounts as Stripe writes them: whole numbers of a currency's smallest unit.

use rust_decimal::Decimal;

use crate::payments::ProviderError;

/// Currencies without a smaller unit. Source: Stripe's documentation, "Supported currencies".
const WITHOUT_DECIMALS: [&str; 15] =
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];
/// Currencies of which a thousand units make one. Same source.
const OF_THREE_DECIMALS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// An amount in Stripe's smallest units of its currency (in lower case), which has to be exact.
///
/// The places are Stripe's, not `display_scale`: where a server shows fewer places of a currency than Stripe counts,
/// counting by what it shows would charge a hundredth.
pub fn minor_units(amount: Decimal, currency: &str, display_scale: u32) -> Result<i64, ProviderError> {
    let refused =
        || ProviderError::Refused(format!("{amount} {currency} is no amount that Stripe can charge"));
    let exact = amount.normalize();
    if exact.is_sign_negative() || exact.is_zero() || exact.scale() > display_scale {
        return Err(refused());
    }
    let missing_places = decimals(currency).checked_sub(exact.scale()).ok_or_else(refused)?;
    let factor = 10_i128.checked_pow(missing_places).ok_or_else(refused)?;
    let units = exact.mantissa().checked_mul(factor).ok_or_else(refused)?;
    i64::try_from(units).map_err(|_| refused())
}

/// What so many of Stripe's smallest units of a currency (in either case) are.
pub fn of_minor_units(units: i64, currency: &str) -> Decimal {
    Decimal::new(units, decimals(&currency.to_ascii_lowercase()))
}

/// The places that Stripe counts of a currency.
fn decimals(currency: &str) -> u32 {
    if WITHOUT_DECIMALS.contains(&currency) {
        0
    } else if OF_THREE_DECIMALS.contains(&currency) {
        3
    } else {
        2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(amount: &str, currency: &str, display_scale: u32) -> Option<i64> {
        minor_units(amount.parse().unwrap(), currency, display_scale).ok()
    }

    #[test]
    fn amounts_are_whole_numbers_of_the_smallest_unit() {
        assert_eq!(units("12.34", "usd", 2), Some(1_234));
        assert_eq!(units("12.3000000", "usd", 2), Some(1_230));
        assert_eq!(units("500", "jpy", 0), Some(500));
        assert_eq!(units("5.120", "kwd", 3), Some(5_120));
    }

    #[test]
    fn units_are_read_as_they_are_written() {
        assert_eq!(of_minor_units(1_234, "USD").to_string(), "12.34");
        assert_eq!(of_minor_units(500, "jpy").to_string(), "500");
        assert_eq!(of_minor_units(5_120, "kwd").to_string(), "5.120");
    }

    #[test]
    fn a_currency_shown_with_fewer_places_is_charged_whole() {
        assert_eq!(units("500", "huf", 0), Some(50_000));
    }

    #[test]
    fn amounts_that_are_not_exact_are_refused() {
        assert_eq!(units("0.001", "usd", 2), None);
        assert_eq!(units("0.001", "usd", 6), None);
        assert_eq!(units("500.5", "jpy", 2), None);
    }

    #[test]
    fn nothing_and_less_than_nothing_and_too_much_are_refused() {
        assert_eq!(units("0", "usd", 2), None);
        assert_eq!(units("-1", "usd", 2), None);
        assert_eq!(units("79228162514264337593543950335", "usd", 2), None);
    }
}
