//! Recharge: money comes in, is on the balance at once, and pays what is due.

use super::draft::Draft;
use super::{Made, payment};
use crate::domain::command::Recharge;
use crate::domain::ledger::Posting;
use crate::domain::money::Money;
use crate::domain::refusal::Refusal;
use crate::domain::transaction::{Ledger, Movement, TransactionKind};

pub(super) fn decide(draft: &mut Draft<'_>, recharge: &Recharge) -> Result<Made, Refusal> {
    payment::require_taken(draft, recharge.amount)?;
    draft.require_payable("amount", recharge.amount)?;
    let description = recharge.reason.clone().unwrap_or_else(|| "Recharge".to_owned());
    let transaction = draft.transaction_of(Movement {
        kind: TransactionKind::Recharge,
        money: Money::new(recharge.amount, draft.currency.code),
        debit: Ledger::Cash(recharge.payment_method.clone()),
        credit: Ledger::Customer,
        description: description.clone(),
        payment_method: recharge.payment_method.clone(),
    })?;
    let transaction = draft.post(transaction, Posting::because(description))?;
    payment::settle(draft)?;
    Ok(Made { transaction: Some(transaction), ..Made::default() })
}
