//! Which amounts can be paid, kept and asked for.

use rust_decimal::Decimal;

use crate::domain::money::{self, Currency};
use crate::domain::refusal::{Refusal, RefusalCode};

/// The largest amount that can be paid at once, and the highest price: 99,999,999.99.
pub const AMOUNT_MAX: Decimal = Decimal::from_parts(1_410_065_407, 2, 0, false, 2);

/// Refuses amounts that people cannot pay in a currency: zero, negative, of more places than it has, or too large.
pub(super) fn require_payable_in(
    currency: &Currency,
    field: &'static str,
    amount: Decimal,
) -> Result<(), Refusal> {
    if amount <= Decimal::ZERO {
        return Err(Refusal::new(RefusalCode::Invalid, field, "must be greater than zero"));
    }
    require_display_places(currency, field, amount)?;
    require_not_above_largest(field, amount)
}

/// Refuses an amount of more places than people pay in.
pub fn require_display_places(
    currency: &Currency,
    field: &'static str,
    amount: Decimal,
) -> Result<(), Refusal> {
    if currency.is_display_amount(amount) {
        return Ok(());
    }
    let message = format!("{} has {} decimal places", currency.code, currency.display_scale);
    Err(Refusal::new(RefusalCode::Invalid, field, message))
}

/// Refuses an amount of more places than the ledger keeps.
pub fn require_ledger_places(
    currency: &Currency,
    field: &'static str,
    amount: Decimal,
) -> Result<(), Refusal> {
    if amount.normalize().scale() <= currency.ledger_scale {
        return Ok(());
    }
    let message = format!("the ledger of {} keeps {} decimal places", currency.code, currency.ledger_scale);
    Err(Refusal::new(RefusalCode::Invalid, field, message))
}

/// Refuses an amount above [`AMOUNT_MAX`].
pub fn require_not_above_largest(field: &'static str, amount: Decimal) -> Result<(), Refusal> {
    if amount <= AMOUNT_MAX {
        return Ok(());
    }
    let message = format!("must not exceed {}", money::format_decimal(AMOUNT_MAX, 2));
    Err(Refusal::new(RefusalCode::OutOfRange, field, message))
}
