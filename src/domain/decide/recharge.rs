//! Recharge: money comes in, is on the balance at once, and pays what is due.

use rust_decimal::Decimal;

use super::draft::Draft;
use super::{Made, payment};
use crate::domain::command::Recharge;
use crate::domain::ids::TransactionId;
use crate::domain::ledger::Posting;
use crate::domain::refusal::Refusal;
use crate::domain::transaction::{Ledger, Transaction, TransactionKind, TransactionStatus};

pub(super) fn decide(draft: &mut Draft<'_>, recharge: &Recharge) -> Result<Made, Refusal> {
    draft.require_open()?;
    draft.require_payable("amount", recharge.amount)?;
    let description = recharge.reason.clone().unwrap_or_else(|| "Recharge".to_owned());
    let transaction = Transaction {
        id: TransactionId(draft.next_id()?),
        kind: TransactionKind::Recharge,
        status: TransactionStatus::Finished,
        currency: draft.currency.code,
        amount: recharge.amount,
        debit: Ledger::Cash(recharge.payment_method.clone()),
        credit: Ledger::Customer,
        description: description.clone(),
        payment_method: recharge.payment_method.clone(),
        order: None,
        bill: None,
        refund_of: None,
        refunded_amount: Decimal::ZERO,
        balance_after: None,
        region: None,
        created_at: draft.instant,
    };
    let transaction = draft.post(transaction, Posting::because(description))?;
    payment::settle(draft)?;
    Ok(Made { transaction: Some(transaction), ..Made::default() })
}
