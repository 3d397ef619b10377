//! Scalars: exact decimals, instants, currency codes.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use rust_decimal::Decimal;

use crate::clock::to_microseconds;
use crate::domain::money::{CurrencyCode, format_decimal, parse_decimal};

/// An exact decimal number of up to 28 significant digits. Written as a string without exponent ("0.0075"); read from
/// a string or an integer, never from a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact {
    pub value: Decimal,
    /// At least so many places are written.
    places: u32,
}

impl Exact {
    /// A number that is no money: written without trailing zeros.
    pub fn number(value: Decimal) -> Self {
        Self { value, places: 0 }
    }

    /// An amount of money: written with at least its currency's display places.
    pub fn money(value: Decimal, places: u32) -> Self {
        Self { value, places }
    }
}

/// An exact decimal number of up to 28 significant digits. Written as a string without exponent ("0.0075"); read from
/// a string or an integer, never from a float.
#[Scalar(name = "Decimal")]
impl ScalarType for Exact {
    fn parse(value: Value) -> InputValueResult<Self> {
        let parsed = match &value {
            Value::String(text) => parse_decimal(text),
            Value::Number(number) if !number.is_f64() => parse_decimal(&number.to_string()),
            Value::Number(_) => Err("floats are not exact: write the number as a string"),
            _ => return Err(InputValueError::expected_type(value)),
        };
        parsed.map(Self::number).map_err(InputValueError::custom)
    }

    fn to_value(&self) -> Value {
        Value::String(format_decimal(self.value, self.places))
    }
}

/// An instant, RFC 3339 with an offset ("2026-11-21T04:48:01.5+08:00"); kept to the microsecond, answered in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub DateTime<Utc>);

/// An instant, RFC 3339 with an offset ("2026-11-21T04:48:01.5+08:00"); kept to the microsecond, answered in UTC.
#[Scalar(name = "DateTime")]
impl ScalarType for Instant {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        DateTime::parse_from_rfc3339(text)
            .map(|instant| Self(to_microseconds(instant.with_timezone(&Utc))))
            .map_err(|_| InputValueError::custom("an instant such as \"2026-11-21T04:48:01Z\" is expected"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// A calendar day, YYYY-MM-DD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub NaiveDate);

/// A calendar day, YYYY-MM-DD.
#[Scalar(name = "Date")]
impl ScalarType for Day {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        let day = day.filter(|day| (1..=9999).contains(&day.year()) && day.to_string() == *text);
        day.map(Self).ok_or_else(|| InputValueError::custom("a day such as \"2026-11-21\" is expected"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An ISO 4217 code (USD, CNY), or the code of a token that the server knows (USDT_ERC20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub CurrencyCode);

/// An ISO 4217 code (USD, CNY), or the code of a token that the server knows (USDT_ERC20).
#[Scalar(name = "CurrencyCode")]
impl ScalarType for Code {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        CurrencyCode::parse(text)
            .map(Self)
            .ok_or_else(|| InputValueError::custom("a currency code such as \"USD\" is expected"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::Number;

    fn read(value: Value) -> Option<String> {
        Exact::parse(value).ok().map(|exact| exact.value.to_string())
    }

    #[test]
    fn decimals_are_read_from_strings_and_integers_only() {
        assert_eq!(read(Value::from("12.50")).as_deref(), Some("12.50"));
        assert_eq!(
            read(Value::from("-0.0000000000000000000000000001")).as_deref(),
            Some("-0.0000000000000000000000000001")
        );
        assert_eq!(read(Value::from(7)).as_deref(), Some("7"));
        assert_eq!(read(Value::Number(Number::from_f64(0.5).unwrap())), None);
        for wrong in
            ["", " 1", "1 ", "+1", "1e3", "NaN", "Infinity", "0x10", "1_000", "1,5", ".5", "5.", "-", "１"]
        {
            assert_eq!(read(Value::from(wrong)), None, "{wrong:?}");
        }
        assert_eq!(read(Value::Boolean(true)), None);
    }

    #[test]
    fn decimals_that_do_not_fit_are_refused_and_never_rounded() {
        assert_eq!(read(Value::from("0.00000000000000000000000000001")), None);
        assert_eq!(read(Value::from("79228162514264337593543950336")), None);
        assert_eq!(read(Value::from("1".repeat(65))), None);
    }

    #[test]
    fn days_have_one_spelling() {
        let day = Day::parse(Value::from("2028-02-29")).unwrap();
        assert_eq!(day.to_value(), Value::from("2028-02-29"));
        for wrong in
            ["2027-02-29", "2026-1-1", "2026-01-01T00:00:00Z", "+2026-01-01", "0000-01-01", "today", ""]
        {
            assert!(Day::parse(Value::from(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn instants_are_kept_to_the_microsecond_and_answered_in_utc() {
        let instant = Instant::parse(Value::from("2016-09-26T17:27:04.1234567+08:00")).unwrap();
        assert_eq!(instant.to_value(), Value::from("2016-09-26T09:27:04.123456Z"));
        assert!(Instant::parse(Value::from("2016-09-26T17:27:04")).is_err());
    }
}
