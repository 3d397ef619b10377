//! Refund: what was paid from the balance goes back to it, whole or in part.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::draft::Draft;
use super::{Made, payment};
use crate::domain::bill::Bill;
use crate::domain::command::Refund;
use crate::domain::ids::TransactionId;
use crate::domain::ledger::Posting;
use crate::domain::money;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::transaction::{Direction, Ledger, Transaction, TransactionKind, TransactionStatus};

pub(super) fn decide(draft: &mut Draft<'_>, refund: &Refund) -> Result<Made, Refusal> {
    draft.require_open()?;
    let original = refundable(draft, refund.transaction)?;
    let left = money::subtract(original.amount, original.refunded_amount)?;
    let amount = refund.amount.unwrap_or(left);
    if refund.amount.is_some() {
        draft.require_payable("amount", amount)?;
    }
    if amount > left || left.is_zero() {
        let message = format!("{} of it is left to give back", draft.currency.format(left));
        return Err(Refusal::new(RefusalCode::LimitExceeded, "amount", message));
    }
    let refunded = Arc::new(after_refund(&original, amount)?);
    draft.change_transaction(Arc::clone(&refunded));
    note_on_bill(draft, &original, amount)?;
    let transaction = give_back(draft, &original, amount, &refund.reason)?;
    payment::settle(draft)?;
    Ok(Made { transaction: Some(transaction), refunded: Some(refunded), ..Made::default() })
}

fn refundable(draft: &Draft<'_>, id: TransactionId) -> Result<Arc<Transaction>, Refusal> {
    let original = draft.book.transactions.get(&id).cloned().ok_or_else(|| {
        Refusal::new(RefusalCode::NotFound, "transactionId", "there is no such transaction")
    })?;
    let settled = matches!(original.status, TransactionStatus::Finished | TransactionStatus::Refunded);
    let from_balance = original.debit == Ledger::Customer;
    if !settled || !from_balance || original.kind == TransactionKind::Adjustment {
        let message = "only a finished payment from the balance can be given back";
        return Err(Refusal::new(RefusalCode::Invalid, "transactionId", message));
    }
    Ok(original)
}

fn after_refund(original: &Transaction, amount: Decimal) -> Result<Transaction, Refusal> {
    let refunded_amount = money::add(original.refunded_amount, amount)?;
    let whole = refunded_amount == original.amount;
    let status = if whole { TransactionStatus::Refunded } else { original.status };
    Ok(Transaction { refunded_amount, status, ..original.clone() })
}

/// What was given back of a bill's payment counts no longer as paid when its order is changed.
fn note_on_bill(draft: &mut Draft<'_>, original: &Transaction, amount: Decimal) -> Result<(), Refusal> {
    if let Some(bill) = original.bill.and_then(|bill| draft.bill(bill)).cloned() {
        let refunded_amount = money::add(bill.refunded_amount, amount)?;
        draft.put_bill(Bill { refunded_amount, ..Bill::clone(&bill) });
    }
    Ok(())
}

fn give_back(
    draft: &mut Draft<'_>,
    original: &Transaction,
    amount: Decimal,
    reason: &str,
) -> Result<Arc<Transaction>, Refusal> {
    debug_assert_eq!(original.direction(), Direction::Debit);
    let transaction = Transaction {
        id: TransactionId(draft.next_id()?),
        kind: TransactionKind::Refund,
        status: TransactionStatus::Finished,
        currency: original.currency,
        amount,
        debit: original.credit.clone(),
        credit: Ledger::Customer,
        description: reason.to_owned(),
        payment_method: original.payment_method.clone(),
        order: original.order,
        bill: original.bill,
        refund_of: Some(original.id),
        refunded_amount: Decimal::ZERO,
        balance_after: None,
        region: original.region.clone(),
        created_at: draft.instant,
    };
    draft.post(transaction, Posting::because(format!("Refund: {reason}")))
}
