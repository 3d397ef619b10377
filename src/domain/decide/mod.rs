//! Decides what a command does: a pure function of the account's book, the command and the instant.
//!
//! A decision is a [`Change`] that has not happened yet. A refusal is no change at all.

mod account_closing;
mod account_update;
mod adjustment;
mod bill_step;
mod burst;
mod cancellation;
mod card;
mod checkout;
mod draft;
mod failing_writes;
mod forced;
mod given_back;
mod held_invoice;
mod ledger_fault;
mod month_close;
mod on_demand;
mod order_step;
mod pay_out;
mod payment;
mod payment_method;
mod periods;
mod prepay;
mod put_off;
mod recharge;
mod refund;
mod refused_usage;
mod renewal;
mod subscription;
mod suspension;
mod unmatched;
mod void_bill;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::bill::Bill;
use super::book::{Book, Catalogue, Change};
use super::capacity::Quote;
use super::command::{Action, Answer, Command, Done, JobDone};
use super::money::{self, Currency};
use super::order::Order;
use super::payment::Payment;
use super::payment_method::PaymentMethod;
use super::prepay::{PrepayQuote, Prepayment};
use super::refusal::{Refusal, RefusalCode};
use super::transaction::Transaction;
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
        return repeat(answer, command, catalogue);
    }
    let mut draft = Draft::begin(book, catalogue, command.dry_run, now)?;
    let made = match &command.action {
        Action::Recharge(recharge) => recharge::decide(&mut draft, recharge)?,
        Action::Checkout(checkout) => checkout::decide(&mut draft, checkout)?,
        Action::Subscribe(subscribe) => subscription::decide(&mut draft, subscribe)?,
        Action::Refund(refund) => refund::decide(&mut draft, refund)?,
        Action::PayOrder(order) => payment::pay_order(&mut draft, *order)?,
        Action::PayBill(bill) => payment::pay_bill(&mut draft, *bill)?,
        Action::RenewOrder(renewal) => renewal::decide(&mut draft, renewal)?,
        Action::CancelOrder(cancellation) => cancellation::decide(&mut draft, cancellation)?,
        Action::SetAutoRenewal(setting) => renewal::set_auto_renewal(&mut draft, setting)?,
        Action::AdjustBalance(adjustment) => adjustment::decide(&mut draft, adjustment)?,
        Action::VoidBill(void) => void_bill::decide(&mut draft, void)?,
        Action::PayOut(pay_out) => pay_out::decide(&mut draft, pay_out)?,
        Action::UpdateAccount(update) => account_update::decide(&mut draft, update)?,
        Action::EndHold(due) => suspension::end_hold(&mut draft, *due)?,
        Action::OrderStep(step) => order_step::decide(&mut draft, step)?,
        Action::BillStep(step) => bill_step::decide(&mut draft, step)?,
        Action::CloseMonth(rated) => month_close::decide(&mut draft, rated)?,
        Action::TellMonthFailure(failure) => month_close::tell_failure(&mut draft, failure)?,
        Action::Rerate(rerate) => month_close::rerate(&mut draft, rerate)?,
        Action::AddPaymentMethod(adding) => payment_method::add(&mut draft, adding)?,
        Action::RemovePaymentMethod(id) => payment_method::remove(&mut draft, *id)?,
        Action::KeepQuote(offer) => prepay::keep_quote(&mut draft, offer)?,
        Action::RechargeByCard(recharge) => card::recharge(&mut draft, recharge)?,
        Action::ClaimPayment(claim) => card::claim(&mut draft, claim)?,
        Action::SettlePayment(report) => card::settle(&mut draft, report)?,
        Action::BookReversal(report) => card::book_reversal(&mut draft, report)?,
        Action::Prepay(wanted) => prepay::prepay(&mut draft, wanted)?,
        Action::BindApp(wanted) => prepay::bind(&mut draft, wanted)?,
        Action::SetPrepaymentRenewal(setting) => prepay::set_auto_renewal(&mut draft, setting)?,
        Action::PrepaymentStep(step) => prepay::step(&mut draft, step)?,
        Action::CountDeposits(address) => prepay::count_deposits(&mut draft, address)?,
        Action::ChargeBurst(charged) => burst::decide(&mut draft, charged)?,
        Action::TellBurstHeld(held) => burst::tell_held(&mut draft, held)?,
        Action::TellUsageRefused(refused) => refused_usage::tell(&mut draft, refused)?,
        Action::TellInvoiceHeldUp(held) => held_invoice::tell(&mut draft, held)?,
        Action::TellWritesFailing(failing) => failing_writes::tell(&mut draft, failing)?,
        Action::TellLedgerFault(found) => ledger_fault::tell(&mut draft, found)?,
        Action::TellUnmatched(unmatched) => unmatched::tell(&mut draft, unmatched)?,
    };
    Ok(draft.finish(command, made))
}

fn repeat(answer: &Answer, command: &Command, catalogue: &Catalogue) -> Result<Decision, Refusal> {
    if let Some(mutation) = command.action.mutation() {
        let sold_in = match &command.action {
            Action::Checkout(checkout) => {
                catalogue.plans.get(&checkout.plan).and_then(|plan| plan.region.as_deref())
            }
            _ => None,
        };
        answer.require_same(mutation, &command.action.fingerprints(sold_in))?;
    }
    Ok(Decision { done: Done::Before(answer.clone()), change: None })
}

/// What a command made, for its answer.
#[derive(Debug, Default)]
struct Made {
    order: Option<Arc<Order>>,
    bill: Option<Arc<Bill>>,
    transaction: Option<Arc<Transaction>>,
    refunded: Option<Arc<Transaction>>,
    jobs: Vec<JobDone>,
    quote: Option<Quote>,
    prepay_quote: Option<Arc<PrepayQuote>>,
    payment_method: Option<Arc<PaymentMethod>>,
    payment: Option<Arc<Payment>>,
    prepayment: Option<Arc<Prepayment>>,
}

/// The largest amount that can be paid at once, and the highest price: 99,999,999.99.
pub const AMOUNT_MAX: Decimal = Decimal::from_parts(1_410_065_407, 2, 0, false, 2);

/// Refuses amounts that people cannot pay in a currency: zero, negative, of more places than it has, or too large.
fn require_payable_in(currency: &Currency, field: &'static str, amount: Decimal) -> Result<(), Refusal> {
    if amount <= Decimal::ZERO {
        return Err(Refusal::new(RefusalCode::Invalid, field, "must be greater than zero"));
    }
    require_display_places(currency, field, amount)?;
    require_not_above_largest(field, amount)
}

/// Refuses an amount of more places than people pay in.
pub fn require_display_places(
    currency: &Currency,
    field: &'static str,
    amount: Decimal,
) -> Result<(), Refusal> {
    if currency.is_display_amount(amount) {
        return Ok(());
    }
    let message = format!("{} has {} decimal places", currency.code, currency.display_scale);
    Err(Refusal::new(RefusalCode::Invalid, field, message))
}

/// Refuses an amount of more places than the ledger keeps.
pub fn require_ledger_places(
    currency: &Currency,
    field: &'static str,
    amount: Decimal,
) -> Result<(), Refusal> {
    if amount.normalize().scale() <= currency.ledger_scale {
        return Ok(());
    }
    let message = format!("the ledger of {} keeps {} decimal places", currency.code, currency.ledger_scale);
    Err(Refusal::new(RefusalCode::Invalid, field, message))
}

/// Refuses an amount above [`AMOUNT_MAX`].
pub fn require_not_above_largest(field: &'static str, amount: Decimal) -> Result<(), Refusal> {
    if amount <= AMOUNT_MAX {
        return Ok(());
    }
    let message = format!("must not exceed {}", money::format_decimal(AMOUNT_MAX, 2));
    Err(Refusal::new(RefusalCode::OutOfRange, field, message))
}
