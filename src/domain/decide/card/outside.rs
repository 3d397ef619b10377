//! What is taken back of a charge outside this server is booked, and what of that is given back again: as much as the provider
//! says is withdrawn and not reinstated, less what is booked of it. So it is booked once, however often and in whichever order
//! it is told.
//!
//! What is taken back counts as given back of the charge, as far as something is left of that. What goes beyond (a charge that
//! was refunded is disputed as well) is taken off the balance all the same, as an adjustment.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::super::decision::Decide;
use super::super::draft::Draft;
use super::super::{forced, payment as bills};
use super::refund::{is_taken_by_another, refundable, reversal, with_refunded};
use crate::domain::ids::{AccountId, PaymentId};
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::ledger::Posting;
use crate::domain::money::{self, OutOfRange};
use crate::domain::notice::NoticeKind;
use crate::domain::outcome::Outcome;
use crate::domain::payment::{Payment, PaymentPurpose};
use crate::domain::prepay::{Prepayment, PrepaymentStatus};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::reversal::{Reversal, ReversalKind, ReversalReport};
use crate::domain::transaction::{Transaction, TransactionKind, TransactionStatus};

/// Books what a provider says was taken back of a charge outside this server.
#[derive(Debug, Clone)]
pub struct BookReversal(pub ReversalReport);

impl Decide for BookReversal {
    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.payment_outcome(account, self.0.payment);
    }

    /// Takes what a provider says of a reversal. That of a charge which is not known to have succeeded is kept, and booked when it
    /// is.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let Self(report) = self;
        let none = || Refusal::new(RefusalCode::NotFound, "paymentId", "there is no such charge");
        let is_charge = |payment: &&Arc<Payment>| payment.purpose != PaymentPurpose::Refund;
        let charge = draft.payment(report.payment).filter(is_charge).cloned().ok_or_else(none)?;
        let known = draft.reversal(&report.provider, &report.reference).cloned();
        let held = match &known {
            Some(held) => held.with(report),
            None => Reversal::new(report.clone()),
        };
        if known.is_none() {
            tell_of(draft, &charge, report)?;
        }
        if known.as_deref() != Some(&held) {
            draft.put(held.clone());
        }
        let before = draft.account.head.seq;
        let transaction = book_difference(draft, &charge, &held)?;
        if draft.account.head.seq != before {
            bills::settle(draft)?;
        }
        let jobs = transaction.as_ref().map(|_| JobOutcome { kind: JobKind::Reversal, succeeded: true });
        let prepayment = charge.prepayment.and_then(|id| draft.prepayment(id)).cloned();
        let jobs = jobs.into_iter().collect();
        Ok(Outcome {
            payment: draft.payment(charge.id).cloned(),
            transaction,
            prepayment,
            jobs,
            ..Outcome::default()
        })
    }
}

/// Books what was told of a charge before it was known to have succeeded.
pub(super) fn catch_up(draft: &mut Draft<'_>, charge: PaymentId) -> Result<(), Refusal> {
    let Some(charge) = draft.payment(charge).cloned() else { return Ok(()) };
    for held in draft.reversals_of(charge.id) {
        book_difference(draft, &charge, &held)?;
    }
    Ok(())
}

/// Something is left of a charge again: what was taken back beyond it counts as given back of it now.
pub(super) fn absorb(draft: &mut Draft<'_>, charge: PaymentId) -> Result<(), Refusal> {
    let moved = draft.payment(charge).and_then(|charge| charge.transaction);
    for held in draft.reversals_of(charge) {
        let Some(original) = moved.and_then(|id| draft.transaction(id)).cloned() else { continue };
        let within = held.beyond.min(refundable(&original)?);
        if within > Decimal::ZERO {
            draft.put_transaction(with_refunded(&original, within)?);
            let beyond = money::subtract(held.beyond, within)?;
            draft.put(Reversal { beyond, ..Reversal::clone(&held) });
        }
    }
    Ok(())
}

/// Tells operators: a dispute wants evidence within days, and what is in another currency cannot be booked by itself.
fn tell_of(draft: &mut Draft<'_>, charge: &Payment, report: &ReversalReport) -> Result<(), OutOfRange> {
    let ReversalReport { reference, amount, currency, status, .. } = report;
    if report.currency != charge.currency {
        let message = format!(
            "{} of {amount} {currency} cannot be booked by itself: its charge {} is of {} {}.",
            title_of(report),
            charge.id,
            charge.amount,
            charge.currency
        );
        return draft.notify(NoticeKind::PaymentUnmatched, message, charge.id.to_string());
    }
    if report.kind != ReversalKind::Dispute {
        return Ok(());
    }
    let message = format!(
        "The charge {} of {} {} is disputed at its provider: {reference}, {amount} {currency}, {status}.",
        charge.id, charge.amount, charge.currency
    );
    draft.notify(NoticeKind::PaymentDisputed, message, charge.id.to_string())
}

fn title_of(report: &ReversalReport) -> String {
    match report.kind {
        ReversalKind::Dispute => format!("The dispute {}", report.reference),
        ReversalKind::Refund => format!("The refund {}", report.reference),
    }
}

/// Books the difference to what the provider holds; answers the last movement.
fn book_difference(
    draft: &mut Draft<'_>,
    charge: &Payment,
    held: &Reversal,
) -> Result<Option<Arc<Transaction>>, Refusal> {
    if held.told.currency != charge.currency {
        return Ok(None);
    }
    let Some(original) = charge.transaction.and_then(|id| draft.transaction(id)).cloned() else {
        return Ok(None);
    };
    let outstanding = held.outstanding()?;
    if outstanding > held.booked {
        take(draft, charge, &original, held, money::subtract(outstanding, held.booked)?)
    } else if outstanding < held.booked {
        put_back(draft, charge, &original, held, money::subtract(held.booked, outstanding)?)
    } else {
        Ok(None)
    }
}

fn take(
    draft: &mut Draft<'_>,
    charge: &Payment,
    original: &Transaction,
    held: &Reversal,
    amount: Decimal,
) -> Result<Option<Arc<Transaction>>, Refusal> {
    let within = amount.min(refundable(original)?);
    let beyond = money::subtract(amount, within)?;
    let description = match held.told.kind {
        ReversalKind::Dispute => format!("Dispute {}", held.told.reference),
        ReversalKind::Refund => format!("Refund {} by the payment provider", held.told.reference),
    };
    let mut taken = None;
    if within > Decimal::ZERO {
        draft.put_transaction(with_refunded(original, within)?);
        let refund = reversal(draft, original, within, &description, TransactionStatus::Finished)?;
        taken = Some(move_out(draft, charge, held, refund)?);
    }
    if beyond > Decimal::ZERO {
        let more = reversal(draft, original, beyond, &description, TransactionStatus::Finished)?;
        let more = Transaction { kind: TransactionKind::Adjustment, refund_of: None, ..more };
        taken = Some(move_out(draft, charge, held, more)?);
    }
    draft.put(Reversal {
        booked: money::add(held.booked, amount)?,
        beyond: money::add(held.beyond, beyond)?,
        taken_by: taken.as_ref().map(|taken| taken.id),
        ..held.clone()
    });
    end_prepayment(draft, charge);
    Ok(taken)
}

fn move_out(
    draft: &mut Draft<'_>,
    charge: &Payment,
    held: &Reversal,
    transaction: Transaction,
) -> Result<Arc<Transaction>, Refusal> {
    if !transaction.touches_balance() {
        return Ok(draft.record(transaction));
    }
    let posting =
        Posting::because(format!("{} of the payment through card - {}", title_of(&held.told), charge.id));
    let cause = match held.told.kind {
        ReversalKind::Dispute => "a dispute of a card's charge",
        ReversalKind::Refund => "what was given back to a card",
    };
    forced::debit(draft, transaction, posting, cause)
}

/// What was taken beyond the charge comes back first.
fn put_back(
    draft: &mut Draft<'_>,
    charge: &Payment,
    original: &Transaction,
    held: &Reversal,
    amount: Decimal,
) -> Result<Option<Arc<Transaction>>, Refusal> {
    let mut within = amount;
    let mut holders = draft.reversals_of(charge.id);
    holders.sort_by_key(|holder| holder.told.reference != held.told.reference);
    for holder in holders {
        let from_beyond = holder.beyond.min(within);
        if from_beyond > Decimal::ZERO {
            let beyond = money::subtract(holder.beyond, from_beyond)?;
            draft.put(Reversal { beyond, ..Reversal::clone(&holder) });
            within = money::subtract(within, from_beyond)?;
        }
    }
    let beyond = money::subtract(amount, within)?;
    let mut returned = None;
    if beyond > Decimal::ZERO {
        returned = Some(move_in(draft, original, held, beyond, TransactionKind::Adjustment)?);
    }
    if within > Decimal::ZERO {
        draft.put_transaction(with_refunded(original, money::negate(within))?);
        // What is beside the balance is paid again.
        let beside = !original.touches_balance();
        let kind = if beside { TransactionKind::Prepayment } else { TransactionKind::Adjustment };
        returned = Some(move_in(draft, original, held, within, kind)?);
    }
    let now = draft.reversal(&held.told.provider, &held.told.reference).map_or(held, AsRef::as_ref).clone();
    draft.put(Reversal {
        booked: money::subtract(now.booked, amount)?,
        returned_by: returned.as_ref().map(|returned| returned.id),
        ..now
    });
    restore_prepayment(draft, charge)?;
    Ok(returned)
}

fn move_in(
    draft: &mut Draft<'_>,
    original: &Transaction,
    held: &Reversal,
    amount: Decimal,
    kind: TransactionKind,
) -> Result<Arc<Transaction>, Refusal> {
    let description = match held.told.kind {
        ReversalKind::Dispute => format!("Dispute {} reinstated", held.told.reference),
        ReversalKind::Refund => format!("Refund {} by the payment provider failed", held.told.reference),
    };
    let back = reversal(draft, original, amount, &description, TransactionStatus::Finished)?;
    let (debit, credit) = (back.credit.clone(), back.debit.clone());
    let back = Transaction { kind, debit, credit, refund_of: None, ..back };
    if !back.touches_balance() {
        return Ok(draft.record(back));
    }
    draft.post(back, Posting::because(description))
}

/// A prepayment of which all is taken back ends, as when it is given back.
fn end_prepayment(draft: &mut Draft<'_>, charge: &Payment) {
    let Some(held) = charge.prepayment.and_then(|id| draft.prepayment(id)).cloned() else { return };
    let runs =
        matches!(held.status, PrepaymentStatus::Paid | PrepaymentStatus::Bound | PrepaymentStatus::Expired);
    if runs && is_taken_whole(draft, charge) {
        let over = PrepaymentStatus::Refunded;
        draft.put(Prepayment {
            status: over,
            auto_renewal: false,
            next_step_at: None,
            ..Prepayment::clone(&held)
        });
    }
}

/// One of which not all is taken back any more runs on, unless its offer was taken once more meanwhile.
pub(super) fn restore_prepayment(draft: &mut Draft<'_>, charge: &Payment) -> Result<(), Refusal> {
    let Some(held) = charge.prepayment.and_then(|id| draft.prepayment(id)).cloned() else { return Ok(()) };
    let is_over = held.status == PrepaymentStatus::Refunded && !is_taken_whole(draft, charge);
    if !is_over || is_taken_by_another(draft, &held) {
        return Ok(());
    }
    let mut restored = held.restored(draft.instant)?;
    if restored.status == PrepaymentStatus::Paid {
        let refund_after = draft.catalogue.policies.unbound_refund_after;
        restored.next_step_at = Some(draft.instant.checked_add_signed(refund_after).ok_or(OutOfRange)?);
    }
    draft.put(restored);
    Ok(())
}

fn is_taken_whole(draft: &Draft<'_>, charge: &Payment) -> bool {
    let original = charge.transaction.and_then(|id| draft.transaction(id));
    original.is_some_and(|original| original.status == TransactionStatus::Refunded)
}
