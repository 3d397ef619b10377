//! A bill is to be paid no longer, because an operator says so.

use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::{cancellation, payment};
use crate::domain::bill::{Bill, BillStatus};
use crate::domain::closing::ClosedMonth;
use crate::domain::ids::{AccountId, BillId};
use crate::domain::money;
use crate::domain::mutation::Mutation;
use crate::domain::notice::NoticeKind;
use crate::domain::order::OrderState;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};

/// Asks for a bill no longer.
#[derive(Debug, Clone, Serialize)]
pub struct VoidBill {
    pub bill: BillId,
    pub reason: String,
}

impl Decide for VoidBill {
    const MUTATION: Option<Mutation> = Some(Mutation::named("voidBill"));

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.bills.push(self.bill.0);
        reads.payers.push(account);
    }

    /// Makes an open bill void. With the first bill of an order that is not paid yet the order is cancelled.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let none = || Refusal::new(RefusalCode::NotFound, "billId", "there is no such bill");
        let bill = draft.bill(self.bill).cloned().ok_or_else(none)?;
        require_open(&bill)?;
        let order = bill.order.and_then(|order| draft.order(order)).cloned();
        match &order {
            Some(order) if order.state == OrderState::Unpaid && bill.seq == 1 => {
                cancellation::cancel(draft, order.id)?;
            }
            _ => {
                draft.put_bill(bill.voided());
            }
        }
        forgive(draft, &bill)?;
        if let Some(order) = order.and_then(|order| draft.order(order.id)).cloned() {
            payment::restore_order(draft, &order);
        }
        tell(draft, &bill, &self.reason)?;
        // What was behind it may be payable now.
        payment::settle(draft)?;
        Ok(Outcome { bill: draft.bill(bill.id).cloned(), ..Outcome::default() })
    }
}

fn require_open(bill: &Bill) -> Result<(), Refusal> {
    let number = bill.number();
    match bill.status {
        BillStatus::Unpaid | BillStatus::Overdue => Ok(()),
        BillStatus::Paid => {
            let message = format!("bill {number} is paid: what was paid can be refunded");
            Err(Refusal::new(RefusalCode::AlreadyPaid, "billId", message))
        }
        BillStatus::Void => {
            Err(Refusal::new(RefusalCode::Invalid, "billId", format!("bill {number} is void")))
        }
    }
}

/// What is not asked for of a month counts as given back of it when it is corrected.
fn forgive(draft: &mut Draft<'_>, bill: &Bill) -> Result<(), Refusal> {
    let Some(original) = bill.original() else { return Ok(()) };
    let closed = draft.closed_months().find(|closed| closed.bill == Some(original)).cloned();
    if let Some(closed) = closed {
        let forgiven_amount = money::add(closed.forgiven_amount, bill.amount)?;
        draft.put(ClosedMonth { forgiven_amount, ..closed });
    }
    Ok(())
}

fn tell(draft: &mut Draft<'_>, bill: &Bill, reason: &str) -> Result<(), Refusal> {
    let amount = draft.currency.format(bill.amount);
    let message = format!(
        "Bill {} of {amount} {} is void, it need not be paid: {reason}.",
        bill.number(),
        bill.currency
    );
    Ok(draft.notify(NoticeKind::BillVoided, message, bill.id.to_string())?)
}
