//! Deposits are counted: whatever was decided before, what the chain has now decides. So it can be asked for as often as one
//! likes, and after a re-organisation of the chain as well.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;

use super::super::decision::Decide;
use super::super::draft::Draft;
use crate::domain::ids::AccountId;
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::money::{Money, OutOfRange};
use crate::domain::notice::NoticeKind;
use crate::domain::outcome::Outcome;
use crate::domain::prepay::{
    DEPOSIT_TIME_MAX, Deposit, DepositCount, DepositState, Prepayment, PrepaymentStatus, Unused,
};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;
use crate::domain::stake::Stake;
use crate::domain::transaction::{Ledger, Movement, Transaction, TransactionKind, TransactionStatus};

/// Where the money of tokens comes in.
const CASH: &str = "onchain";

/// Looks what the deposits to this address of the account come to.
#[derive(Debug, Clone, Serialize)]
pub struct CountDeposits(pub String);

impl Decide for CountDeposits {
    const STAKE: Option<Stake> = Some(Stake::Payment);

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.addresses.push((account, self.0.clone()));
    }

    /// Looks what the deposits to an address come to.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let Self(address) = self;
        let before = draft.deposits_to(address);
        let prepayment = match draft.prepayment_at(address).cloned() {
            Some(held) => Some(settle(draft, &held)?),
            None => {
                nothing_to_pay(draft, &before)?;
                None
            }
        };
        let has_changed = draft.deposits_to(address) != before;
        let jobs = has_changed.then_some(JobOutcome { kind: JobKind::Deposit, succeeded: true });
        Ok(Outcome { prepayment, jobs: jobs.into_iter().collect(), ..Outcome::default() })
    }
}

/// Counts what reached a prepayment's address: pays it, waits on, or takes back that it was paid.
pub(super) fn settle(draft: &mut Draft<'_>, held: &Prepayment) -> Result<Arc<Prepayment>, Refusal> {
    let Some(address) = held.deposit_address() else { return Ok(Arc::new(held.clone())) };
    let count = DepositCount::of(held, &draft.deposits_to(address))?;
    let settled = match (held.paid_at, count.is_enough) {
        (None, true) => pay(draft, held, &count)?,
        (Some(_), false) => return take_back(draft, held),
        (None, false) | (Some(_), true) => Arc::new(held.clone()),
    };
    let subject = held.id.to_string();
    let is_over = settled.status == PrepaymentStatus::Expired && settled.paid_at.is_none();
    for deposit in &count.counted {
        if is_over {
            leave(draft, deposit, Unused::TooLittle(held.amount), &subject)?;
        } else {
            use_it(draft, deposit, &subject)?;
        }
    }
    for (deposit, why) in &count.unused {
        leave(draft, deposit, *why, &subject)?;
    }
    for deposit in &count.gone {
        undo(draft, deposit, &subject)?;
    }
    Ok(settled)
}

fn nothing_to_pay(draft: &mut Draft<'_>, deposits: &[Arc<Deposit>]) -> Result<(), Refusal> {
    let subject = draft.account.id.to_string();
    for deposit in deposits {
        if deposit.is_gone {
            undo(draft, deposit, &subject)?;
        } else {
            leave(draft, deposit, Unused::NoPrepayment, &subject)?;
        }
    }
    Ok(())
}

fn mark(draft: &mut Draft<'_>, deposit: &Deposit, state: DepositState) {
    if deposit.state != state {
        draft.put(Deposit { state, ..deposit.clone() });
    }
}

/// Tells that a deposit is of no use, once.
fn leave(draft: &mut Draft<'_>, deposit: &Deposit, why: Unused, subject: &str) -> Result<(), OutOfRange> {
    if deposit.state == DepositState::Unused {
        return Ok(());
    }
    mark(draft, deposit, DepositState::Unused);
    let message = format!("A deposit of {deposit} is not used: {why}.");
    draft.notify(NoticeKind::DepositUnused, message, subject.to_owned())
}

/// It counts: who was told that it is of no use is told that it is.
fn use_it(draft: &mut Draft<'_>, deposit: &Deposit, subject: &str) -> Result<(), OutOfRange> {
    mark(draft, deposit, DepositState::Counted);
    if deposit.state != DepositState::Unused {
        return Ok(());
    }
    let message = format!("A deposit of {deposit} that was not used is used after all.");
    draft.notify(NoticeKind::DepositUnused, message, subject.to_owned())
}

/// The chain has it no more: who was told of it is told that it is gone.
fn undo(draft: &mut Draft<'_>, deposit: &Deposit, subject: &str) -> Result<(), OutOfRange> {
    mark(draft, deposit, DepositState::Undone);
    if deposit.state != DepositState::Unused {
        return Ok(());
    }
    let message = format!("A deposit of {deposit} that was not used is on the chain no more.");
    draft.notify(NoticeKind::DepositUnused, message, subject.to_owned())
}

fn pay(draft: &mut Draft<'_>, held: &Prepayment, count: &DepositCount) -> Result<Arc<Prepayment>, Refusal> {
    let transaction = income(draft, held)?;
    let transaction = draft.record(transaction);
    let next_step_at = match &held.binding {
        Some(binding) => binding.term.notice_at()?,
        None => {
            let refund_after = draft.catalogue.policies.unbound_refund_after;
            draft.instant.checked_add_signed(refund_after).ok_or(OutOfRange)?
        }
    };
    if let Some(last) = count.counted.last()
        && count.surplus > Decimal::ZERO
    {
        let surplus = count.surplus.normalize();
        let message = format!(
            "Of a deposit of {last}, {surplus} {} is not used: {} {} was to be paid.",
            held.currency,
            held.amount.normalize(),
            held.currency
        );
        draft.notify(NoticeKind::DepositUnused, message, held.id.to_string())?;
    }
    Ok(draft.put(Prepayment {
        status: held.paid_status(),
        transaction: Some(transaction.id),
        paid_at: Some(draft.instant),
        next_step_at: Some(next_step_at),
        ..held.clone()
    }))
}

/// What it was paid with is on the chain no more: it waits again, so long as for an offer that is new, unless what else there is
/// is in time by that and enough. Its term runs on.
fn take_back(draft: &mut Draft<'_>, held: &Prepayment) -> Result<Arc<Prepayment>, Refusal> {
    if let Some(paid) = held.transaction.and_then(|id| draft.transaction(id)).cloned() {
        draft.put_transaction(Transaction { status: TransactionStatus::Failed, ..Transaction::clone(&paid) });
    }
    let until = draft.instant.checked_add_signed(DEPOSIT_TIME_MAX).ok_or(OutOfRange)?;
    let waiting = draft.put(held.awaiting_deposit_again(until)?);
    let settled = settle(draft, &waiting)?;
    if settled.paid_at.is_none() {
        let message = format!(
            "The deposit of {} {} is on the chain no more, which was re-organised: it is waited for again.",
            held.amount.normalize(),
            held.currency
        );
        draft.notify(NoticeKind::PaymentFailed, message, held.id.to_string())?;
    }
    Ok(settled)
}

/// What was to be paid came in; what came beyond it is nobody's income.
fn income(draft: &mut Draft<'_>, held: &Prepayment) -> Result<Transaction, Refusal> {
    Ok(draft.transaction_of(Movement {
        kind: TransactionKind::Prepayment,
        money: Money::new(held.amount, held.currency),
        debit: Ledger::Cash(CASH.to_owned()),
        credit: Ledger::revenue(TransactionKind::Prepayment),
        description: held.title(),
        payment_method: held.currency.to_string(),
    })?)
}
