//! What falls due of a bill by itself: payment from the balance, reminders, and what follows when the grace is over.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::{payment, postpone, suspension};
use crate::domain::bill::{Bill, BillStatus};
use crate::domain::ids::{AccountId, BillId};
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::notice::NoticeKind;
use crate::domain::order::{Order, OrderState};
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;
use crate::domain::transaction::{Transaction, TransactionKind};

/// Does what is due of a bill; `due` as in [`OrderStep`](super::OrderStep).
#[derive(Debug, Clone, Serialize)]
pub struct BillStep {
    pub bill: BillId,
    pub due: DateTime<Utc>,
}

impl Decide for BillStep {
    const IS_FOLLOWED: bool = false;

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.bills.push(self.bill.0);
        reads.payers.push(account);
        reads.may_suspend(account, None);
    }

    /// Does what is due, if the bill still says what it said when it was read.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let still_due = |bill: &&Arc<Bill>| bill.next_step_at == Some(self.due) && self.due <= draft.instant;
        let Some(bill) = draft.bill(self.bill).filter(still_due).cloned() else {
            return Ok(Outcome::default());
        };
        let mut attempt = draft.clone();
        let (transaction, jobs) = match pay_or_remind(&mut attempt, &bill, self) {
            Ok(outcome) => {
                *draft = attempt;
                outcome
            }
            Err(refusal) => (None, vec![postpone(draft, &bill, &refusal)?]),
        };
        Ok(Outcome { bill: draft.bill(bill.id).cloned(), transaction, jobs, ..Outcome::default() })
    }
}

fn pay_or_remind(
    draft: &mut Draft<'_>,
    bill: &Bill,
    step: &BillStep,
) -> Result<(Option<Arc<Transaction>>, Vec<JobOutcome>), Refusal> {
    if payment::is_beyond_horizon(draft, bill) {
        payment::settle_if_possible(draft);
        if draft.goes_on {
            // What is older is paid first; the jobs come to this one.
            draft.put_bill(Bill { next_step_at: bill.next_step_after(draft.instant), ..bill.clone() });
            return Ok((None, Vec::new()));
        }
    }
    if !draft.has(bill.amount)? {
        return Ok((None, remain_unpaid(draft, bill)?));
    }
    let transaction = payment::pay(draft, bill.id, TransactionKind::BillPayment)?;
    // It was due before, and is payable now: money has come in, and may pay for more than this.
    if step.due != bill.due_at || draft.book.due_horizon.is_some() {
        payment::settle_if_possible(draft);
    }
    Ok((transaction, vec![JobOutcome { kind: JobKind::BillPayment, succeeded: true }]))
}

fn postpone(draft: &mut Draft<'_>, bill: &Bill, refusal: &Refusal) -> Result<JobOutcome, Refusal> {
    let name = format!("Bill {}", bill.number());
    let later = postpone::postpone(draft, &name, bill.id.to_string(), refusal)?;
    draft.put_bill(Bill { next_step_at: Some(later), ..bill.clone() });
    Ok(JobOutcome { kind: JobKind::BillPayment, succeeded: false })
}

fn remain_unpaid(draft: &mut Draft<'_>, bill: &Bill) -> Result<Vec<JobOutcome>, Refusal> {
    let next_step_at = bill.next_step_after(draft.instant);
    let overdue = draft.put_bill(Bill { status: BillStatus::Overdue, next_step_at, ..bill.clone() });
    let mut jobs = vec![JobOutcome { kind: JobKind::BillPayment, succeeded: false }];
    if overdue.has_lapsed(draft.instant) {
        if suspend(draft, &overdue)? {
            jobs.push(JobOutcome { kind: JobKind::BillSuspension, succeeded: true });
        }
        return Ok(jobs);
    }
    let message = format!(
        "Bill {} of {} {} is due and the balance does not cover it.",
        bill.number(),
        draft.currency.format(bill.amount),
        bill.currency
    );
    draft.notify(NoticeKind::BillOverdue, message, bill.id.to_string())?;
    Ok(jobs)
}

/// A late instalment suspends its order; any other bill, the account. Answers whether something was suspended that was not.
fn suspend(draft: &mut Draft<'_>, bill: &Bill) -> Result<bool, Refusal> {
    let Some(order) = bill.order.and_then(|order| draft.order(order)).cloned() else {
        let before = draft.account.status;
        suspension::suspend_for(draft, bill)?;
        return Ok(draft.account.status != before);
    };
    if !order.runs() || order.state == OrderState::Suspended {
        return Ok(false);
    }
    draft.put_order(Order { state: OrderState::Suspended, ..Order::clone(&order) });
    let message = format!(
        "Order {} ({}) is suspended: bill {} was not paid in time.",
        order.number(),
        order.product_name,
        bill.number()
    );
    draft.notify(NoticeKind::OrderSuspended, message, order.id.to_string())?;
    Ok(true)
}
