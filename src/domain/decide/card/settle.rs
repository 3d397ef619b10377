//! What a provider says of a payment becomes true here.

use rust_decimal::Decimal;

use super::super::decision::Decide;
use super::super::draft::Draft;
use super::super::{payment as bills, prepay};
use super::outside::{BookReversal, absorb, catch_up, restore_prepayment};
use super::refund::{is_taken_by_another, refund_prepayment, with_refunded};
use crate::domain::ids::{AccountId, PaymentId, TransactionId};
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::ledger::Posting;
use crate::domain::money::{self, Money, OutOfRange};
use crate::domain::notice::NoticeKind;
use crate::domain::outcome::Outcome;
use crate::domain::payment::{ChargeState, Payment, PaymentPurpose, PaymentState, Progress, WAITED_FOR_MAX};
use crate::domain::prepay::{Prepayment, PrepaymentStatus};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::reversal::{ReversalKind, ReversalReport};
use crate::domain::transaction::{Ledger, Movement, Transaction, TransactionKind, TransactionStatus};

/// What a provider says of a payment.
#[derive(Debug, Clone)]
pub struct SettlePayment {
    pub payment: PaymentId,
    pub progress: Progress,
}

impl Decide for SettlePayment {
    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.payment_outcome(account, self.payment);
    }

    /// Takes what a provider says; what was taken before, or is older than that, changes nothing.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let none = || Refusal::new(RefusalCode::NotFound, "paymentId", "there is no such payment");
        let held = draft.payment(self.payment).cloned().ok_or_else(none)?;
        let reference = self.progress.reference.clone().or_else(|| held.reference.clone());
        let told = Payment { reference, ..Payment::clone(&held) };
        let is_refund = held.purpose == PaymentPurpose::Refund;
        match (held.state, &self.progress.state) {
            // A card may turn out later to take nothing back.
            (PaymentState::Succeeded, ChargeState::Failed { reason }) if is_refund => {
                fail(draft, told, reason)?
            }
            (PaymentState::Failed, ChargeState::Succeeded) if is_refund => refunded_late(draft, told, true)?,
            (PaymentState::Failed, ChargeState::Failed { .. }) if is_refund => {
                refunded_late(draft, told, false)?
            }
            // Whoever was given up on may have paid all the same: money that came is never lost.
            (PaymentState::Failed, ChargeState::Succeeded) => succeed(draft, told)?,
            (PaymentState::Succeeded | PaymentState::Failed, _) => {
                return Ok(Outcome { payment: Some(held), ..Outcome::default() });
            }
            (_, ChargeState::Succeeded) => succeed(draft, told)?,
            (_, ChargeState::Failed { reason }) => fail(draft, told, reason)?,
            (_, ChargeState::Processing) => wait(draft, told, None),
            (_, ChargeState::ActionNeeded { url }) => wait(draft, told, url.clone()),
        }
        let payment = draft.payment(held.id).cloned();
        let settled = payment.as_ref().is_some_and(|payment| payment.state.is_settled());
        let succeeded = payment.as_ref().is_some_and(|payment| payment.state == PaymentState::Succeeded);
        let jobs = if settled { vec![JobOutcome { kind: JobKind::Payment, succeeded }] } else { Vec::new() };
        let transaction =
            payment.as_ref().and_then(|p| p.transaction).and_then(|id| draft.transaction(id)).cloned();
        let prepayment = held.prepayment.and_then(|id| draft.prepayment(id)).cloned();
        Ok(Outcome { payment, transaction, prepayment, jobs, ..Outcome::default() })
    }
}

fn wait(draft: &mut Draft<'_>, payment: Payment, action_url: Option<String>) {
    if let Some(prepayment) = payment.prepayment.and_then(|id| draft.prepayment(id)).cloned()
        && prepayment.status == PrepaymentStatus::Processing
        && prepayment.action_url != action_url
    {
        draft.put(Prepayment { action_url: action_url.clone(), ..Prepayment::clone(&prepayment) });
    }
    draft.put(Payment { action_url, ..payment });
}

fn succeed(draft: &mut Draft<'_>, payment: Payment) -> Result<(), Refusal> {
    let paid = Payment {
        state: PaymentState::Succeeded,
        failure: None,
        action_url: None,
        next_step_at: None,
        ..payment
    };
    match paid.purpose {
        PaymentPurpose::Recharge => recharged(draft, paid),
        PaymentPurpose::Prepayment => prepaid(draft, paid),
        PaymentPurpose::Refund => given_back(draft, paid),
    }
}

fn recharged(draft: &mut Draft<'_>, paid: Payment) -> Result<(), Refusal> {
    let transaction = income(draft, &paid, TransactionKind::Recharge, Ledger::Customer)?;
    let reason = format!("Payment through card - {}", paid.id);
    let transaction = draft.post(transaction, Posting::because(reason))?;
    let paid = draft.put(Payment { transaction: Some(transaction.id), ..paid });
    catch_up(draft, paid.id)?;
    bills::settle(draft)
}

fn prepaid(draft: &mut Draft<'_>, paid: Payment) -> Result<(), Refusal> {
    let none = || Refusal::general(RefusalCode::NotFound, "there is no such prepayment");
    let held = paid.prepayment.and_then(|id| draft.prepayment(id)).cloned().ok_or_else(none)?;
    let revenue = Ledger::revenue(TransactionKind::Prepayment);
    let transaction = income(draft, &paid, TransactionKind::Prepayment, revenue)?;
    let transaction = draft.record(transaction);
    let paid = draft.put(Payment { transaction: Some(transaction.id), ..paid });
    let refund_at = draft.instant.checked_add_signed(draft.catalogue.policies.unbound_refund_after);
    let prepayment = Prepayment {
        status: PrepaymentStatus::Paid,
        failure: None,
        action_url: None,
        transaction: Some(transaction.id),
        paid_at: Some(draft.instant),
        next_step_at: Some(refund_at.ok_or(OutOfRange)?),
        ..Prepayment::clone(&held)
    };
    if held.status == PrepaymentStatus::Failed && is_taken_by_another(draft, &held) {
        // It had failed, and the offer was paid for once more: this one goes back.
        let reason = "It was paid for again after it had failed";
        refund_prepayment(draft, &prepayment, None, reason)?;
    } else {
        prepay::settle_prepayment(draft, prepayment, None)?;
    }
    catch_up(draft, paid.id)
}

/// What was given back has arrived.
fn given_back(draft: &mut Draft<'_>, paid: Payment) -> Result<(), Refusal> {
    if let Some(refund) = paid.transaction.and_then(|id| draft.transaction(id)).cloned()
        && refund.status == TransactionStatus::Pending
    {
        draft.put_transaction(Transaction {
            status: TransactionStatus::Finished,
            ..Transaction::clone(&refund)
        });
    }
    draft.put(paid);
    Ok(())
}

fn fail(draft: &mut Draft<'_>, payment: Payment, reason: &str) -> Result<(), Refusal> {
    let failed = Payment {
        state: PaymentState::Failed,
        failure: Some(reason.to_owned()),
        action_url: None,
        next_step_at: None,
        ..payment
    };
    match failed.purpose {
        PaymentPurpose::Recharge => tell_of_failure(draft, &failed, reason)?,
        PaymentPurpose::Prepayment => not_prepaid(draft, &failed, reason)?,
        PaymentPurpose::Refund => not_given_back(draft, &failed, reason)?,
    }
    draft.put(failed);
    Ok(())
}

fn not_prepaid(draft: &mut Draft<'_>, failed: &Payment, reason: &str) -> Result<(), Refusal> {
    let Some(held) = failed.prepayment.and_then(|id| draft.prepayment(id)).cloned() else { return Ok(()) };
    let is_renewal = held.previous.is_some();
    let unpaid = Prepayment {
        status: PrepaymentStatus::Failed,
        failure: Some(reason.to_owned()),
        action_url: None,
        next_step_at: None,
        ..Prepayment::clone(&held)
    };
    prepay::settle_prepayment(draft, unpaid, Some(reason))?;
    if is_renewal { Ok(()) } else { tell_of_failure(draft, failed, reason) }
}

/// Tells an owner who was not there when it failed.
fn tell_of_failure(draft: &mut Draft<'_>, failed: &Payment, reason: &str) -> Result<(), Refusal> {
    let age = draft.instant.signed_duration_since(failed.created_at());
    if failed.on_session && age.to_std().unwrap_or_default() < WAITED_FOR_MAX {
        return Ok(());
    }
    let message = format!("{} {} could not be paid by card: {reason}.", failed.amount, failed.currency);
    draft.notify(NoticeKind::PaymentFailed, message, failed.id.to_string())?;
    Ok(())
}

/// What was given up on, and put back, was given back all the same, or was not in the end: that is booked like what happens
/// beside this server, and operators are told, once.
fn refunded_late(draft: &mut Draft<'_>, payment: Payment, arrived: bool) -> Result<(), Refusal> {
    const GIVEN_BACK: &str = "given back after that had been given up on";
    let (Some(charge), Some(reference)) = (payment.refund_of, payment.reference.clone()) else {
        return Ok(());
    };
    let provider = payment.card.provider.clone();
    let is_told = draft.reversal(&provider, &reference).is_some();
    if !is_told && !arrived {
        return Ok(());
    }
    if !is_told {
        let message = format!("{} {} were {GIVEN_BACK}.", payment.amount, payment.currency);
        draft.notify(NoticeKind::JobFailed, message, payment.id.to_string())?;
    }
    let report = ReversalReport {
        payment: charge,
        provider,
        reference,
        kind: ReversalKind::Refund,
        currency: payment.currency,
        amount: payment.amount,
        status: if arrived { "succeeded" } else { "failed" }.to_owned(),
        withdrawn: payment.amount,
        reinstated: if arrived { Decimal::ZERO } else { payment.amount },
        is_open: false,
    };
    let failure = Some(GIVEN_BACK.to_owned());
    draft.put(Payment { failure, ..payment });
    BookReversal(report).decide(draft).map(drop)
}

/// The provider does not give back: what was taken off for it is put back, and operators are told.
fn not_given_back(draft: &mut Draft<'_>, failed: &Payment, reason: &str) -> Result<(), Refusal> {
    let Some(refund) = failed.transaction.and_then(|id| draft.transaction(id)).cloned() else {
        return Ok(());
    };
    let original = refund.refund_of.and_then(|id| draft.transaction(id)).cloned();
    if let Some(original) = original {
        draft.put_transaction(with_refunded(&original, money::negate(refund.amount))?);
    }
    if refund.touches_balance() {
        restore_balance(draft, &refund, failed)?;
    } else {
        draft.put_transaction(Transaction {
            status: TransactionStatus::Failed,
            ..Transaction::clone(&refund)
        });
    }
    if let Some(charge) = failed.refund_of {
        absorb(draft, charge)?;
    }
    if let Some(charge) = failed.refund_of.and_then(|id| draft.payment(id)).cloned() {
        restore_prepayment(draft, &charge)?;
    }
    let message = format!("{} {} could not be given back: {reason}.", failed.amount, failed.currency);
    draft.notify(NoticeKind::JobFailed, message, failed.id.to_string())?;
    Ok(())
}

fn restore_balance(draft: &mut Draft<'_>, refund: &Transaction, failed: &Payment) -> Result<(), Refusal> {
    let reason = format!("The refund through card - {} failed", failed.id);
    let restored = Transaction {
        id: TransactionId(draft.next_id()?),
        kind: TransactionKind::Adjustment,
        debit: refund.credit.clone(),
        credit: refund.debit.clone(),
        description: reason.clone(),
        refund_of: None,
        balance_after: None,
        created_at: draft.instant,
        ..refund.clone()
    };
    draft.post(restored, Posting::because(reason))?;
    bills::settle(draft)
}

/// Money that came in through a card.
fn income(
    draft: &mut Draft<'_>,
    paid: &Payment,
    kind: TransactionKind,
    credit: Ledger,
) -> Result<Transaction, Refusal> {
    Ok(draft.transaction_of(Movement {
        kind,
        money: Money::new(paid.amount, paid.currency),
        debit: Ledger::Cash(paid.card.provider.clone()),
        credit,
        description: paid.description.clone(),
        payment_method: paid.card.brand.clone(),
    })?)
}
