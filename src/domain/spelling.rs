//! Amounts have one spelling where what is asked for is written down: `5` and `5.00` are the same.

use rust_decimal::Decimal;

pub(super) fn by_value<S: serde::Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&value.normalize())
}

pub(super) fn by_optional_value<S: serde::Serializer>(
    value: &Option<Decimal>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => by_value(value, serializer),
        None => serializer.serialize_none(),
    }
}
