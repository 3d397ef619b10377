//! What reads clients' texts, for those who try it from outside (fuzz/, tests/it/fuzz_corpus.rs). Each answers what was read as
//! it is printed, or None where the text is refused.

use async_graphql::{ScalarType, Value};
use uuid::Uuid;

use super::pagination::Cursor;
use super::scalars::{Code, Day, Exact, Instant};
use crate::domain::ids::{LicenseId, ResourcePriceId};
use crate::store::accounts::account_list::AccountCursor;

fn scalar<S: ScalarType>(text: &str) -> Option<String> {
    match S::parse(Value::from(text)).ok()?.to_value() {
        Value::String(printed) => Some(printed),
        _ => None,
    }
}

/// A Decimal.
#[must_use]
pub fn decimal(text: &str) -> Option<String> {
    scalar::<Exact>(text)
}

/// A DateTime.
#[must_use]
pub fn instant(text: &str) -> Option<String> {
    scalar::<Instant>(text)
}

/// A Date.
#[must_use]
pub fn day(text: &str) -> Option<String> {
    scalar::<Day>(text)
}

/// A CurrencyCode.
#[must_use]
pub fn currency(text: &str) -> Option<String> {
    scalar::<Code>(text)
}

/// A cursor, as each kind of list has it: of what accounts own, of accounts, of licences, of prices of capacity.
#[must_use]
pub fn cursors(text: &str) -> [Option<String>; 4] {
    [
        printed::<Uuid>(text),
        printed::<AccountCursor>(text),
        printed::<LicenseId>(text),
        printed::<ResourcePriceId>(text),
    ]
}

fn printed<C: Cursor>(text: &str) -> Option<String> {
    C::parse(text).map(C::print)
}
