//! What things that were paid are worth in US dollars.

use rust_decimal::Decimal;

use super::VALUED_IN;
use super::movement::{BurstPart, Movement};
use crate::domain::money::{self, CurrencyCode, OutOfRange};
use crate::domain::rating::number::{Number, TooNarrow, Wide};
use crate::domain::transaction::TransactionKind;

/// What is worked out is rounded to cents, half up.
const PLACES: u32 = 2;

/// Why a month has no invoice yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeldUp {
    #[error("it is not known what {0} was worth in {VALUED_IN}: set the exchange rate of that time")]
    NoRate(CurrencyCode),
    #[error("what it comes to is out of range")]
    OutOfRange,
    #[error("it has more payments than can be read")]
    TooMany,
    #[error("something that is given back is on its way")]
    UnderWay,
    /// What the database said of it.
    #[error("its payments could not be read: {0}")]
    Unreadable(String),
}

impl From<OutOfRange> for HeldUp {
    fn from(_: OutOfRange) -> Self {
        Self::OutOfRange
    }
}

impl From<TooNarrow> for HeldUp {
    fn from(_: TooNarrow) -> Self {
        Self::OutOfRange
    }
}

/// What a payment was worth: of a prepayment what it cost when it was offered, of a part of it that part.
pub(super) fn of_movement(movement: &Movement) -> Result<Decimal, HeldUp> {
    let paid = movement.paid();
    if movement.currency.as_str() == VALUED_IN {
        return Ok(paid);
    }
    match &movement.prepaid {
        Some(prepaid) if movement.kind == TransactionKind::Prepayment => Ok(prepaid.usd),
        Some(prepaid) if !prepaid.amount.is_zero() => {
            let whole = Wide::of(paid).times(&Wide::of(prepaid.usd))?;
            cents(&whole.over(&Wide::of(prepaid.amount))?)
        }
        _ => cents(&at_rate(paid, movement.currency, movement.rate)?),
    }
}

/// What a resource's burst was worth: rounded once.
pub(super) fn of_burst(parts: &[&BurstPart]) -> Result<Decimal, HeldUp> {
    let mut total = Wide::zero();
    let mut sum = Decimal::ZERO;
    for part in parts {
        if part.currency.as_str() == VALUED_IN {
            sum = money::add(sum, part.amount)?;
        } else {
            total = total.plus(&at_rate(part.amount, part.currency, part.rate)?)?;
        }
    }
    Ok(money::add(sum, cents(&total)?)?)
}

fn at_rate(amount: Decimal, currency: CurrencyCode, rate: Option<Decimal>) -> Result<Wide, HeldUp> {
    let rate = rate.ok_or(HeldUp::NoRate(currency))?;
    Ok(Wide::of(amount).times(&Wide::of(rate))?)
}

fn cents(exact: &Wide) -> Result<Decimal, HeldUp> {
    exact.rounded(PLACES)?.ok_or(HeldUp::OutOfRange)
}
