//! What a card paid goes back to it.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::super::draft::Draft;
use super::{Wish, want};
use crate::domain::ids::TransactionId;
use crate::domain::ledger::Posting;
use crate::domain::money;
use crate::domain::payment::{Payment, PaymentPurpose};
use crate::domain::prepay::{Prepayment, PrepaymentStatus};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::transaction::{Transaction, TransactionKind, TransactionStatus};

/// What was decided to be given back: the movement, the transaction that it gives back from, and what is asked of the provider.
pub(in crate::domain::decide) struct GivenBack {
    pub refund: Arc<Transaction>,
    pub original: Arc<Transaction>,
    pub payment: Arc<Payment>,
}

/// Gives back a prepayment, whole (None) or in part. With the whole it ends, and is renewed no more; a part leaves it running.
pub(in crate::domain::decide) fn refund_prepayment(
    draft: &mut Draft<'_>,
    prepayment: &Prepayment,
    amount: Option<Decimal>,
    reason: &str,
) -> Result<GivenBack, Refusal> {
    let none = || Refusal::general(RefusalCode::NotFound, "there is no payment that could be given back");
    let charge = prepayment.payment.and_then(|id| draft.payment(id)).cloned().ok_or_else(none)?;
    let original = prepayment.transaction.and_then(|id| draft.transaction(id)).cloned().ok_or_else(none)?;
    let left = refundable(&original)?;
    let amount = amount.unwrap_or(left);
    if amount == left {
        require_no_renewal_under_way(draft, prepayment)?;
        draft.put(Prepayment {
            status: PrepaymentStatus::Refunded,
            auto_renewal: false,
            next_step_at: None,
            ..prepayment.clone()
        });
    }
    let refund = reversal(draft, &original, amount, reason, TransactionStatus::Pending)?;
    let refund = draft.record(refund);
    refund_charge(draft, &charge, &original, refund)
}

/// Refuses while another term is being charged for: what would become of that?
fn require_no_renewal_under_way(draft: &Draft<'_>, prepayment: &Prepayment) -> Result<(), Refusal> {
    let renews = |other: &&Arc<Prepayment>| {
        other.previous == Some(prepayment.id) && other.status == PrepaymentStatus::Processing
    };
    match draft.book.prepayments.values().find(renews) {
        None => Ok(()),
        Some(renewal) => {
            let message = format!("its renewal {} is being paid", renewal.id);
            Err(Refusal::new(RefusalCode::Conflict, "transactionId", message))
        }
    }
}

/// Gives back a recharge: the money leaves the balance at once, and must be there.
pub(in crate::domain::decide) fn refund_recharge(
    draft: &mut Draft<'_>,
    charge: &Payment,
    original: &Arc<Transaction>,
    amount: Decimal,
    reason: &str,
) -> Result<GivenBack, Refusal> {
    if draft.account.balance < amount {
        let message = format!("the balance is {}", draft.currency.format(draft.account.balance));
        return Err(Refusal::new(RefusalCode::InsufficientBalance, "amount", message));
    }
    let refund = reversal(draft, original, amount, reason, TransactionStatus::Finished)?;
    let refund = draft.post(refund, Posting::because(format!("Refund: {reason}")))?;
    refund_charge(draft, charge, original, refund)
}

/// What may still be given back of a movement.
pub(in crate::domain::decide) fn refundable(original: &Transaction) -> Result<Decimal, Refusal> {
    Ok(money::subtract(original.amount, original.refunded_amount)?)
}

/// A movement with so much more given back of it; with less, where that failed.
pub(in crate::domain::decide) fn with_refunded(
    original: &Transaction,
    amount: Decimal,
) -> Result<Transaction, Refusal> {
    let refunded_amount = money::add(original.refunded_amount, amount)?;
    let whole = refunded_amount == original.amount;
    let status = if whole { TransactionStatus::Refunded } else { TransactionStatus::Finished };
    Ok(Transaction { refunded_amount, status, ..original.clone() })
}

/// The movement that gives back so much of another.
pub(in crate::domain::decide) fn reversal(
    draft: &mut Draft<'_>,
    original: &Transaction,
    amount: Decimal,
    reason: &str,
    status: TransactionStatus,
) -> Result<Transaction, Refusal> {
    Ok(Transaction {
        id: TransactionId(draft.next_id()?),
        kind: TransactionKind::Refund,
        status,
        amount,
        debit: original.credit.clone(),
        credit: original.debit.clone(),
        description: reason.to_owned(),
        refund_of: Some(original.id),
        refunded_amount: Decimal::ZERO,
        balance_after: None,
        created_at: draft.instant,
        ..original.clone()
    })
}

fn refund_charge(
    draft: &mut Draft<'_>,
    charge: &Payment,
    original: &Arc<Transaction>,
    refund: Arc<Transaction>,
) -> Result<GivenBack, Refusal> {
    let original = draft.put_transaction(with_refunded(original, refund.amount)?);
    let wish = Wish {
        purpose: PaymentPurpose::Refund,
        currency: refund.currency,
        amount: refund.amount,
        description: refund.description.clone(),
        card: charge.card.clone(),
        on_session: false,
        prepayment: charge.prepayment,
        refund_of: Some(charge.id),
        transaction: Some(refund.id),
    };
    let payment = want(draft, wish)?;
    Ok(GivenBack { refund, original, payment })
}

/// Whether the offer of a prepayment that failed, or what it renews, is paid for by another.
pub(super) fn is_taken_by_another(draft: &Draft<'_>, failed: &Prepayment) -> bool {
    let same_offer = |other: &Arc<Prepayment>| other.quote == failed.quote && other.id != failed.id;
    let renews_the_same = |other: &Arc<Prepayment>| {
        failed.previous.is_some() && other.previous == failed.previous && other.id != failed.id
    };
    let mut others = draft.book.prepayments.values();
    others.any(|other| (same_offer(other) || renews_the_same(other)) && other.status.holds_offer())
}
