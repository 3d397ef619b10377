//! Adjustment: an operator corrects a balance.

use rust_decimal::Decimal;

use super::draft::Draft;
use super::{AMOUNT_MAX, Made, forced, payment};
use crate::domain::command::AdjustBalance;
use crate::domain::ledger::Posting;
use crate::domain::money::Money;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::transaction::{Ledger, Movement, TransactionKind};

pub(super) fn decide(draft: &mut Draft<'_>, adjustment: &AdjustBalance) -> Result<Made, Refusal> {
    require_ledger_amount(draft, adjustment.amount)?;
    let amount = adjustment.amount.abs();
    let gives = adjustment.amount > Decimal::ZERO;
    match (adjustment.force, gives) {
        (false, true) => draft.require_open()?,
        (false, false) => {
            draft.require_open()?;
            draft.require_available(amount)?;
        }
        (true, false) => {}
        (true, true) => {
            let message = "only what takes money away can be forced";
            return Err(Refusal::new(RefusalCode::Invalid, "force", message));
        }
    }
    let (debit, credit) =
        if gives { (Ledger::Promotions, Ledger::Customer) } else { (Ledger::Customer, Ledger::Promotions) };
    let transaction = draft.transaction_of(Movement {
        kind: TransactionKind::Adjustment,
        money: Money::new(amount, draft.currency.code),
        debit,
        credit,
        description: adjustment.reason.clone(),
        payment_method: "balance".to_owned(),
    })?;
    let posting = Posting::because(format!("Adjustment: {}", adjustment.reason));
    let transaction = if gives {
        let given = draft.post(transaction, posting)?;
        payment::settle(draft)?;
        given
    } else {
        forced::debit(draft, transaction, posting, "a correction")?
    };
    Ok(Made { transaction: Some(transaction), ..Made::default() })
}

/// Refuses zero, more places than the ledger keeps, and what is too large.
fn require_ledger_amount(draft: &Draft<'_>, amount: Decimal) -> Result<(), Refusal> {
    if amount.is_zero() {
        return Err(Refusal::new(RefusalCode::Invalid, "amount", "must not be zero"));
    }
    let places = draft.currency.ledger_scale;
    if amount.normalize().scale() > places {
        let message = format!("the ledger of {} keeps {places} decimal places", draft.currency.code);
        return Err(Refusal::new(RefusalCode::Invalid, "amount", message));
    }
    if amount.abs() > AMOUNT_MAX {
        let message = format!("must be within {} either way", draft.currency.format(AMOUNT_MAX));
        return Err(Refusal::new(RefusalCode::OutOfRange, "amount", message));
    }
    Ok(())
}
