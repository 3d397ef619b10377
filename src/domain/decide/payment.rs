//! Bills are paid: because somebody asks, because money came in, or because they are due.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::draft::Draft;
use super::{periods, renewal, suspension};
use crate::domain::account::AccountStatus;
use crate::domain::bill::{Bill, BillStatus};
use crate::domain::ids::BillId;
use crate::domain::ledger::Posting;
use crate::domain::money::{self, Money};
use crate::domain::order::{Order, OrderState};
use crate::domain::outcome::Outcome;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::transaction::{Ledger, Movement, Transaction, TransactionKind};

/// Pays a bill because somebody asks, who named it by this field.
pub(super) fn pay_asked(draft: &mut Draft<'_>, id: BillId, field: &'static str) -> Result<Outcome, Refusal> {
    let none = || Refusal::new(RefusalCode::NotFound, field, "there is no such bill");
    let bill = draft.bill(id).cloned().ok_or_else(none)?;
    match bill.status {
        BillStatus::Unpaid | BillStatus::Overdue => {}
        BillStatus::Paid => {
            let message = format!("bill {} is paid", bill.number());
            return Err(Refusal::new(RefusalCode::AlreadyPaid, field, message));
        }
        BillStatus::Void => {
            let message = format!("bill {} is void", bill.number());
            return Err(Refusal::new(RefusalCode::Invalid, field, message));
        }
    }
    let unpaid_order = order_of(draft, &bill).is_some_and(|order| order.state == OrderState::Unpaid);
    if unpaid_order {
        // It is not the old that is paid, but something new that begins.
        draft.require_active()?;
        if bill.seq != 1 {
            let message = "the order's first bill is to be paid before the others";
            return Err(Refusal::new(RefusalCode::Conflict, field, message));
        }
    }
    draft.require_available(bill.amount)?;
    let transaction = pay(draft, id, TransactionKind::BillPayment)?;
    go_on_after(draft, &bill);
    let bill = draft.bill(id).cloned();
    let order = bill.as_ref().and_then(|bill| order_of(draft, bill)).cloned();
    Ok(Outcome { order, bill, transaction, ..Outcome::default() })
}

fn order_of<'d>(draft: &'d Draft<'_>, bill: &Bill) -> Option<&'d Arc<Order>> {
    draft.order(bill.order?)
}

/// Refuses money that would be good for nothing: a closed account takes what is open.
pub(super) fn require_taken(draft: &Draft<'_>, amount: Decimal) -> Result<(), Refusal> {
    if draft.account.status != AccountStatus::Closed {
        return Ok(());
    }
    let asked = draft.open_bills()?;
    let open = money::subtract(asked.amount, draft.account.balance)?;
    if open <= Decimal::ZERO {
        return draft.require_open();
    }
    let open = draft.currency.round_up_to_display(open)?;
    if amount > open {
        // Where they are very many, the rest can be paid when these are.
        let at_once = if asked.is_all { "" } else { " at once" };
        let open = draft.currency.format(open);
        let message = format!("the account is closed, and {open} is open{at_once}");
        return Err(Refusal::new(RefusalCode::LimitExceeded, "amount", message));
    }
    Ok(())
}

/// The open bills that are due, oldest first, but for those that wait for their order to be begun.
pub(super) fn due_bills(draft: &Draft<'_>) -> Vec<Arc<Bill>> {
    let mut due = draft.bills_that(|bill| bill.is_due(draft.instant));
    due.retain(|bill| order_of(draft, bill).is_none_or(|order| order.state != OrderState::Unpaid));
    due.sort_by_key(|bill| (bill.due_at, bill.id));
    due
}

/// Does all that money can do by itself: pays, oldest first, the open bills that are due, and stops at the first that it does
/// not cover; then tries the renewals that wait. The first bill of an order that is not paid yet waits for its owner. Where more
/// are due than are paid at once, the jobs go on with the next one, and whatever else is to be done is done after the last.
pub(super) fn settle(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let horizon = draft.book.due_horizon;
    for bill in due_bills(draft) {
        if !draft.has(bill.amount)? {
            suspension::restore(draft);
            return Ok(());
        }
        if horizon.is_some_and(|horizon| (bill.due_at, bill.id) >= horizon) {
            // An account may be followed to an instant that is still to come; the jobs are not.
            draft.put_bill(bill.next_to_pay(draft.now.min(draft.instant)));
            draft.goes_on = true;
            break;
        }
        pay(draft, bill.id, TransactionKind::BillPayment)?;
    }
    suspension::restore(draft);
    if horizon.is_none() {
        renewal::renew_waiting(draft);
    }
    Ok(())
}

/// Settles unless something is in the way of a bill: that is told when the bill is looked at.
pub(super) fn settle_if_possible(draft: &mut Draft<'_>) {
    let mut attempt = draft.clone();
    if settle(&mut attempt).is_ok() {
        *draft = attempt;
    }
}

/// Goes on with what is due where a bill is done with that the jobs were to go on with.
pub(super) fn go_on_after(draft: &mut Draft<'_>, done: &Bill) {
    if done.next_step_at.is_some_and(|at| at != done.due_at && at <= draft.instant) {
        settle_if_possible(draft);
    }
}

/// Whether a bill is due behind those that are paid at once.
pub(super) fn is_beyond_horizon(draft: &Draft<'_>, bill: &Bill) -> bool {
    draft.book.due_horizon.is_some_and(|horizon| (bill.due_at, bill.id) > horizon)
}

/// Debits what a bill asks for, or credits what one of less than zero gives back; a bill of zero is paid without a
/// transaction. Whether the money is there is for the caller to have seen.
pub(super) fn pay(
    draft: &mut Draft<'_>,
    id: BillId,
    kind: TransactionKind,
) -> Result<Option<Arc<Transaction>>, Refusal> {
    let waiting = draft.bill(id).and_then(|bill| order_of(draft, bill)).cloned();
    if let Some(order) = waiting.filter(|order| order.state == OrderState::Unpaid) {
        periods::deliver(draft, &order)?;
    }
    let none = || Refusal::general(RefusalCode::NotFound, "there is no such bill");
    let bill = draft.bill(id).cloned().ok_or_else(none)?;
    let order = order_of(draft, &bill).cloned();
    let transaction = if bill.amount.is_zero() {
        None
    } else {
        let transaction = payment_of(draft, &bill, order.as_deref(), kind)?;
        let reason = reason_of(&bill, order.as_deref(), kind);
        Some(draft.post(transaction, Posting::because(reason))?)
    };
    draft.put_bill(Bill {
        status: BillStatus::Paid,
        last_paid_at: Some(draft.instant),
        paid_by: transaction.as_ref().map(|transaction| transaction.id),
        next_step_at: None,
        ..Bill::clone(&bill)
    });
    draft.account.purchased |= order.is_some();
    match order {
        Some(order) => restore_order(draft, &order),
        None => suspension::restore(draft),
    }
    Ok(transaction)
}

fn payment_of(
    draft: &mut Draft<'_>,
    bill: &Bill,
    order: Option<&Order>,
    kind: TransactionKind,
) -> Result<Transaction, Refusal> {
    let description = order.map_or_else(|| title_of(bill), |order| order.product_name.clone());
    let revenue = Ledger::revenue(kind);
    let (debit, credit) = match bill.amount < Decimal::ZERO {
        true => (revenue, Ledger::Customer),
        false => (Ledger::Customer, revenue),
    };
    let transaction = draft.transaction_of(Movement {
        kind,
        money: Money::new(bill.amount.abs(), bill.currency),
        debit,
        credit,
        description,
        payment_method: "balance".to_owned(),
    })?;
    let region = order.and_then(|order| order.region.clone());
    Ok(Transaction { order: bill.order, bill: Some(bill.id), region, ..transaction })
}

fn reason_of(bill: &Bill, order: Option<&Order>, kind: TransactionKind) -> String {
    match (order, kind) {
        (Some(order), TransactionKind::Checkout) => {
            format!("{}, order {}", order.product_name, order.number())
        }
        (Some(order), TransactionKind::Renewal) => {
            format!("Renewal of {}, order {}", order.product_name, order.number())
        }
        (Some(order), _) => {
            format!("{}, order {}, bill {}", order.product_name, order.number(), bill.number())
        }
        (None, _) => title_of(bill),
    }
}

fn title_of(bill: &Bill) -> String {
    let title = if bill.amount < Decimal::ZERO { "Credit of bill" } else { "Bill" };
    format!("{title} {}", bill.number())
}

/// Lifts an order's suspension, if what is unpaid was the reason.
pub(super) fn restore_order(draft: &mut Draft<'_>, order: &Order) {
    if order.state != OrderState::Suspended {
        return;
    }
    let lapsed = draft.bills_of(order.id).iter().any(|bill| bill.has_lapsed(draft.instant));
    let state = order.state_at(draft.instant, lapsed);
    if state != order.state && state != OrderState::Ended {
        draft.put_order(Order { state, ..order.clone() });
    }
}
