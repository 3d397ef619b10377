//! Scalars: exact decimals, instants, currency codes; and what values of every scalar are checked by.

use async_graphql::{ID, InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use rust_decimal::Decimal;

use crate::clock::to_microseconds;
use crate::domain::money::{CurrencyCode, format_decimal, parse_decimal};

/// Tells what is wrong with a value that is not read as the scalar.
pub(super) type Check = fn(&Value) -> Result<(), String>;

/// What values of a scalar are checked by before anything of their request is executed: what it lets through, is read.
/// None of a scalar that no input has (a test holds it).
pub(super) fn check_of(scalar: &str) -> Option<Check> {
    Some(match scalar {
        "Int" => |value| match value {
            Value::Number(number) => match number.as_i64().map(i32::try_from) {
                Some(Ok(_)) => Ok(()),
                Some(Err(_)) => Err(format!("must be from {} to {}", i32::MIN, i32::MAX)),
                None => Err("must be a whole number that fits into 32 bits".to_owned()),
            },
            _ => Err(expected("Int", kind_of(value))),
        },
        "Boolean" => require_valid::<bool>,
        "String" => require_valid::<String>,
        "ID" => require_valid::<ID>,
        "Decimal" => |value| Exact::read(value).map(drop),
        "DateTime" => |value| Instant::read(value).map(drop),
        "Date" => |value| Day::read(value).map(drop),
        "CurrencyCode" => |value| Code::read(value).map(drop),
        _ => return None,
    })
}

fn require_valid<T: ScalarType + async_graphql::InputType>(value: &Value) -> Result<(), String> {
    if T::is_valid(value) { Ok(()) } else { Err(expected(&T::type_name(), kind_of(value))) }
}

/// That a value of another type was expected.
pub(super) fn expected(type_name: &str, found: &str) -> String {
    format!("expected type \"{type_name}\", found {found}")
}

/// What a value is, for people; it may be too long to be repeated.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Number(_) => "a number",
        Value::String(_) | Value::Binary(_) => "a text",
        Value::Boolean(_) => "a boolean",
        Value::Enum(_) => "a name",
        Value::List(_) => "a list",
        Value::Object(_) => "an object",
    }
}

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

    fn read(value: &Value) -> Result<Self, String> {
        let parsed = match value {
            Value::String(text) => parse_decimal(text),
            Value::Number(number) if !number.is_f64() => parse_decimal(&number.to_string()),
            Value::Number(_) => Err("floats are not exact: write the number as a string"),
            _ => return Err(expected("Decimal", kind_of(value))),
        };
        parsed.map(Self::number).map_err(str::to_owned)
    }
}

/// An exact decimal number of up to 28 significant digits. Written as a string without exponent ("0.0075"); read from
/// a string or an integer, never from a float.
#[Scalar(name = "Decimal")]
impl ScalarType for Exact {
    fn parse(value: Value) -> InputValueResult<Self> {
        Self::read(&value).map_err(InputValueError::custom)
    }

    fn is_valid(value: &Value) -> bool {
        Self::read(value).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(format_decimal(self.value, self.places))
    }
}

/// An instant, RFC 3339 with an offset ("2026-11-21T04:48:01.5+08:00"); kept to the microsecond, answered in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub DateTime<Utc>);

impl Instant {
    fn read(value: &Value) -> Result<Self, String> {
        let Value::String(text) = value else { return Err(expected("DateTime", kind_of(value))) };
        let instant = DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.with_timezone(&Utc));
        // An offset may lead out of the years that have a spelling.
        let instant = instant.filter(|instant| (0..=9999).contains(&instant.year()));
        let instant = instant.map(|instant| Self(to_microseconds(instant)));
        instant.ok_or_else(|| "an instant such as \"2026-11-21T04:48:01Z\" is expected".to_owned())
    }
}

/// An instant, RFC 3339 with an offset ("2026-11-21T04:48:01.5+08:00"); kept to the microsecond, answered in UTC.
#[Scalar(name = "DateTime")]
impl ScalarType for Instant {
    fn parse(value: Value) -> InputValueResult<Self> {
        Self::read(&value).map_err(InputValueError::custom)
    }

    fn is_valid(value: &Value) -> bool {
        Self::read(value).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// A calendar day, YYYY-MM-DD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub NaiveDate);

impl Day {
    fn read(value: &Value) -> Result<Self, String> {
        let Value::String(text) = value else { return Err(expected("Date", kind_of(value))) };
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        let day = day.filter(|day| (1..=9999).contains(&day.year()) && day.to_string() == *text);
        day.map(Self).ok_or_else(|| "a day such as \"2026-11-21\" is expected".to_owned())
    }
}

/// A calendar day, YYYY-MM-DD.
#[Scalar(name = "Date")]
impl ScalarType for Day {
    fn parse(value: Value) -> InputValueResult<Self> {
        Self::read(&value).map_err(InputValueError::custom)
    }

    fn is_valid(value: &Value) -> bool {
        Self::read(value).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An ISO 4217 code (USD, CNY), or the code of a token that the server knows (USDT_ERC20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub CurrencyCode);

impl Code {
    fn read(value: &Value) -> Result<Self, String> {
        let Value::String(text) = value else { return Err(expected("CurrencyCode", kind_of(value))) };
        let code = CurrencyCode::parse(text).map(Self);
        code.ok_or_else(|| "a currency code such as \"USD\" is expected".to_owned())
    }
}

/// An ISO 4217 code (USD, CNY), or the code of a token that the server knows (USDT_ERC20).
#[Scalar(name = "CurrencyCode")]
impl ScalarType for Code {
    fn parse(value: Value) -> InputValueResult<Self> {
        Self::read(&value).map_err(InputValueError::custom)
    }

    fn is_valid(value: &Value) -> bool {
        Self::read(value).is_ok()
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
        let far = Instant::parse(Value::from("9999-12-31T23:59:59.999999999Z")).unwrap();
        assert_eq!(far.to_value(), Value::from("9999-12-31T23:59:59.999999Z"));
        assert!(Instant::parse(Value::from("2016-09-26T17:27:04")).is_err());
    }

    #[test]
    fn instants_that_could_not_be_answered_are_refused() {
        for wrong in ["0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-00:01"] {
            assert!(Instant::parse(Value::from(wrong)).is_err(), "{wrong:?}");
        }
        for right in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"] {
            let instant = Instant::parse(Value::from(right)).unwrap();
            assert_eq!(instant.to_value(), Value::from(right));
        }
    }
}
