//! Decides what a command does: a pure function of the account's book, the command and the instant.
//!
//! A decision is a [`Change`](crate::domain::book::Change) that has not happened yet. A refusal is no change at all.

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
mod fingerprint;
mod forced;
mod month_close;
mod on_demand;
mod order_step;
mod pay_bill;
mod pay_order;
mod pay_out;
mod payment;
mod periods;
mod postpone;
mod prepay;
mod raise_notice;
mod recharge;
mod refund;
mod refunds;
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

pub use account_closing::{BILLS_MADE_DUE_MAX, Closing, ORDERS_ENDED_MAX};
pub use account_update::UpdateAccount;
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
pub use prepay::{BindApp, CountDeposits, KeepQuote, Offer, Prepay, PrepaymentStep, SetPrepaymentRenewal};
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
use draft::Draft;
use weighing::Asked;

use super::approval::{ApprovalState, input_of};
use super::book::{Book, Catalogue};
use super::command::Command;
use super::idempotency::{IdempotencyRecord, KeyUse};
use super::outcome::{Decision, Done, Outcome};
use super::refusal::{Refusal, RefusalCode};
use super::stake::Stake;

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
    require_not_erased(&draft, &command.action)?;
    let made = command.action.decide(&mut draft)?;
    let asked = Asked {
        by: command.asked_by.as_deref(),
        mutation: command.action.mutation(),
        is_dry_run: command.dry_run,
    };
    let weight = command.action.weight(&draft, &made);
    match weighing::weigh(&mut draft, asked, weight, &made)? {
        Some(excess) => weighing::ask(begin()?, &excess, input_of(&command.action), key_use(command)),
        None => Ok(finish(draft, command, made)),
    }
}

/// What the command's key is used for.
fn key_use(command: &Command) -> Option<KeyUse> {
    let (key, mutation) = (command.key.clone()?, command.action.mutation()?);
    Some(KeyUse { key, mutation, fingerprint: command.action.fingerprint() })
}

fn finish(draft: Draft<'_>, command: &Command, made: Outcome) -> Decision {
    let renewal_price = made.order.as_ref().and_then(|order| renewal::price(&draft, order));
    draft.finish(key_use(command), made, renewal_price)
}

/// For an account that is erased nothing is done that anybody asks for, and no month is closed.
fn require_not_erased(draft: &Draft<'_>, action: &Action) -> Result<(), Refusal> {
    let is_asked_for = action.mutation().is_some() || action.stake() == Some(Stake::Setting);
    // What its months were rated from is gone.
    let is_rated = matches!(action, Action::CloseMonth(_));
    if draft.account.erased_at.is_some() && (is_asked_for || is_rated) {
        return Err(Refusal::general(
            RefusalCode::AccountSuspended,
            "the account is erased: nothing is done for it any more",
        ));
    }
    Ok(())
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
        answer.require_same(&mutation, &command.action.fingerprints(sold_in))?;
    }
    let waited = answer.made.approval.and_then(|id| book.approvals.get(&id));
    let done = match waited.filter(|waited| waited.mutation == answer.mutation) {
        Some(waiting) if waiting.state == ApprovalState::Pending => Done::Awaits(Arc::clone(waiting)),
        Some(given_up) if !given_up.is_done() => return Err(given_up.refusal()),
        _ => Done::Replayed(Box::new(answer.clone())),
    };
    Ok(Decision { done, change: None })
}
