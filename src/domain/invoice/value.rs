//! What things that were paid are worth in US dollars, where that is known. An invoice does not wait for it.

use rust_decimal::Decimal;

use super::VALUED_IN;
use super::movement::{BurstPart, Movement};
use crate::domain::money::{self, CurrencyCode};
use crate::domain::rating::number::{Number, Wide};
use crate::domain::transaction::TransactionKind;

/// What is worked out is rounded to cents, half up.
const PLACES: u32 = 2;

/// What a payment was worth: of a prepayment what it cost when it was offered, of a part of it that part. None where there is
/// no rate, or the worth does not fit.
pub(super) fn of_movement(movement: &Movement) -> Option<Decimal> {
    let paid = movement.paid();
    if is_dollar(movement.currency) {
        return Some(paid);
    }
    match &movement.prepaid {
        Some(prepaid) if movement.kind == TransactionKind::Prepayment => Some(prepaid.usd),
        Some(prepaid) if !prepaid.amount.is_zero() => {
            let whole = Wide::of(paid).times(&Wide::of(prepaid.usd)).ok()?;
            cents(&whole.over(&Wide::of(prepaid.amount)).ok()?)
        }
        _ => cents(&at_rate(paid, movement.rate)?),
    }
}

/// What a resource's burst was worth: rounded once.
pub(super) fn of_burst(parts: &[&BurstPart]) -> Option<Decimal> {
    let mut total = Wide::zero();
    let mut sum = Decimal::ZERO;
    for part in parts {
        if is_dollar(part.currency) {
            sum = money::add(sum, part.amount).ok()?;
        } else {
            total = total.plus(&at_rate(part.amount, part.rate)?).ok()?;
        }
    }
    money::add(sum, cents(&total)?).ok()
}

/// What several things were worth together; None where that of one is not known.
pub(super) fn together(worths: impl IntoIterator<Item = Option<Decimal>>) -> Option<Decimal> {
    worths.into_iter().try_fold(Decimal::ZERO, |sum, worth| money::add(sum, worth?).ok())
}

fn is_dollar(currency: CurrencyCode) -> bool {
    currency.as_str() == VALUED_IN
}

fn at_rate(amount: Decimal, rate: Option<Decimal>) -> Option<Wide> {
    Wide::of(amount).times(&Wide::of(rate?)).ok()
}

fn cents(exact: &Wide) -> Option<Decimal> {
    exact.rounded(PLACES).ok().flatten()
}
