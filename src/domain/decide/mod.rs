//! Decides what a command does: a pure function of the account's book, the command and the instant.
//!
//! A decision is a [`Change`] that has not happened yet. A refusal is no change at all.

mod account_closing;
mod account_update;
mod action;
mod add_payment_method;
mod adjustment;
mod amounts;
mod bill_step;
mod burst;
mod cancellation;
mod card;
mod checkout;
mod close_month;
mod decide_approval;
mod decision;
mod draft;
mod end_hold;
mod erasure;
mod expire_approval;
mod forced;
mod given_back;
mod month_close;
mod on_demand;
mod order_step;
mod pay_bill;
mod pay_order;
mod pay_out;
mod payment;
mod periods;
mod prepay;
mod put_off;
mod raise_notice;
mod recharge;
mod refund;
mod remove_payment_method;
mod renew_order;
mod renewal;
mod rerate;
mod set_auto_renewal;
mod subscription;
mod suspension;
mod take_back_month;
mod void_bill;
mod weighing;

pub use account_closing::{BILLS_MADE_DUE_MAX, ORDERS_ENDED_MAX};
pub use account_update::{Closing, UpdateAccount};
pub use action::Action;
pub use add_payment_method::AddPaymentMethod;
pub use adjustment::AdjustBalance;
pub use amounts::{AMOUNT_MAX, require_display_places, require_ledger_places, require_not_above_largest};
pub use bill_step::BillStep;
pub use burst::ChargeBurst;
pub use cancellation::CancelOrder;
pub use card::{BookReversal, ClaimPayment, RechargeByCard, SettlePayment};
pub use checkout::Checkout;
pub use close_month::CloseMonth;
pub use decide_approval::DecideApproval;
pub use end_hold::EndHold;
pub use erasure::EraseAccount;
pub use expire_approval::ExpireApproval;
pub use order_step::OrderStep;
pub use pay_bill::PayBill;
pub use pay_order::PayOrder;
pub use pay_out::{PayOut, PayOutWay};
pub use prepay::{BindApp, CountDeposits, KeepQuote, Prepay, PrepaymentStep, SetPrepaymentRenewal};
pub use raise_notice::RaiseNotice;
pub use recharge::Recharge;
pub use refund::Refund;
pub use remove_payment_method::RemovePaymentMethod;
pub use renew_order::RenewOrder;
pub use rerate::Rerate;
pub use set_auto_renewal::SetAutoRenewal;
pub use subscription::Subscribe;
pub use take_back_month::TakeBackMonth;
pub use void_bill::VoidBill;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::approval::ApprovalState;
use super::book::{Book, Catalogue, Change};
use super::command::Command;
use super::idempotency::IdempotencyRecord;
use super::outcome::Done;
use super::refusal::Refusal;
use draft::Draft;

/// What was decided: the answer, and the change that makes it true (none if there is nothing to change).
#[derive(Debug)]
pub struct Decision {
    pub done: Done,
    pub change: Option<Change>,
}

/// Decides one command. The book is not touched; [`Book::apply`] makes the change true.
pub fn decide(
    book: &Book,
    catalogue: &Catalogue,
    command: &Command,
    now: DateTime<Utc>,
) -> Result<Decision, Refusal> {
    if let Some(answer) = command.key.as_ref().and_then(|key| book.answers.get(key)) {
        return repeat(book, answer, command, catalogue);
    }
    let begin = || Draft::begin(book, catalogue, command.dry_run, now);
    let mut draft = begin()?;
    erasure::require_not_erased(&draft, &command.action)?;
    let made = command.action.decide(&mut draft)?;
    match weighing::weigh(&mut draft, command, &made)? {
        Some(excess) => weighing::ask(begin()?, command, &excess),
        None => Ok(draft.finish(command, made)),
    }
}

fn repeat(
    book: &Book,
    answer: &IdempotencyRecord,
    command: &Command,
    catalogue: &Catalogue,
) -> Result<Decision, Refusal> {
    if let Some(mutation) = command.action.mutation() {
        let sold_in = match &command.action {
            Action::Checkout(checkout) => {
                catalogue.plans.get(&checkout.plan).and_then(|plan| plan.region.as_deref())
            }
            _ => None,
        };
        answer.require_same(mutation, &command.action.fingerprints(sold_in))?;
    }
    let waited = answer.made.approval.and_then(|id| book.approvals.get(&id));
    let done = match waited.filter(|waited| waited.mutation == answer.mutation) {
        Some(waiting) if waiting.state == ApprovalState::Pending => Done::Awaits(Arc::clone(waiting)),
        Some(given_up) if !given_up.is_done() => return Err(given_up.refusal()),
        _ => Done::Replayed(answer.clone()),
    };
    Ok(Decision { done, change: None })
}
