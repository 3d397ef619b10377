//! Decides what a command does: a pure function of the account's book, the command and the instant.
//!
//! A decision is a [`Change`] that has not happened yet. A refusal is no change at all.

mod account_closing;
mod account_update;
mod adjustment;
mod approval;
mod bill_step;
mod burst;
mod cancellation;
mod card;
mod checkout;
mod draft;
mod erasure;
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

use super::approval::{Approval, ApprovalState};
use super::bill::Bill;
use super::book::{Book, Catalogue, Change};
use super::capacity::Quote;
use super::command::{Action, Answer, Command, Done, JobDone, Mutation};
use super::money::{self, Currency};
use super::order::Order;
use super::payment::Payment;
use super::payment_method::PaymentMethod;
use super::prepay::{PrepayQuote, Prepayment};
use super::refusal::{Refusal, RefusalCode};
use super::transaction::Transaction;
pub use account_closing::{BILLS_MADE_DUE_MAX, ORDERS_ENDED_MAX};
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
    let made = carry_out(&mut draft, &command.action)?;
    match approval::weigh(&mut draft, command, &made)? {
        Some(excess) => approval::ask(begin()?, command, &excess),
        None => Ok(draft.finish(command, made)),
    }
}

fn carry_out(draft: &mut Draft<'_>, action: &Action) -> Result<Made, Refusal> {
    match action {
        Action::Recharge(recharge) => recharge::decide(draft, recharge),
        Action::Checkout(checkout) => checkout::decide(draft, checkout),
        Action::Subscribe(subscribe) => subscription::decide(draft, subscribe),
        Action::Refund(refund) => refund::decide(draft, refund),
        Action::PayOrder(order) => payment::pay_order(draft, *order),
        Action::PayBill(bill) => payment::pay_bill(draft, *bill),
        Action::RenewOrder(renewal) => renewal::decide(draft, renewal),
        Action::CancelOrder(cancellation) => cancellation::decide(draft, cancellation),
        Action::SetAutoRenewal(setting) => renewal::set_auto_renewal(draft, setting),
        Action::AdjustBalance(adjustment) => adjustment::decide(draft, adjustment),
        Action::VoidBill(void) => void_bill::decide(draft, void),
        Action::PayOut(pay_out) => pay_out::decide(draft, pay_out),
        Action::UpdateAccount(update) => account_update::decide(draft, update),
        Action::DecideApproval(decision) => approval::decide(draft, decision),
        Action::ExpireApproval(step) => approval::expire(draft, step),
        Action::EndHold(due) => suspension::end_hold(draft, *due),
        Action::OrderStep(step) => order_step::decide(draft, step),
        Action::BillStep(step) => bill_step::decide(draft, step),
        Action::CloseMonth(rated) => month_close::decide(draft, rated),
        Action::TakeBackMonth(rated) => month_close::take_back(draft, rated),
        Action::TellMonthFailure(failure) => month_close::tell_failure(draft, failure),
        Action::Rerate(rerate) => month_close::rerate(draft, rerate),
        Action::AddPaymentMethod(adding) => payment_method::add(draft, adding),
        Action::RemovePaymentMethod(id) => payment_method::remove(draft, *id),
        Action::KeepQuote(offer) => prepay::keep_quote(draft, offer),
        Action::RechargeByCard(recharge) => card::recharge(draft, recharge),
        Action::ClaimPayment(claim) => card::claim(draft, claim),
        Action::SettlePayment(report) => card::settle(draft, report),
        Action::BookReversal(report) => card::book_reversal(draft, report),
        Action::Prepay(wanted) => prepay::prepay(draft, wanted),
        Action::BindApp(wanted) => prepay::bind(draft, wanted),
        Action::SetPrepaymentRenewal(setting) => prepay::set_auto_renewal(draft, setting),
        Action::PrepaymentStep(step) => prepay::step(draft, step),
        Action::CountDeposits(address) => prepay::count_deposits(draft, address),
        Action::ChargeBurst(charged) => burst::decide(draft, charged),
        Action::TellBurstHeld(held) => burst::tell_held(draft, held),
        Action::TellUsageRefused(refused) => refused_usage::tell(draft, refused),
        Action::TellInvoiceHeldUp(held) => held_invoice::tell(draft, held),
        Action::TellWritesFailing(failing) => failing_writes::tell(draft, failing),
        Action::TellLedgerFault(found) => ledger_fault::tell(draft, found),
        Action::TellUnmatched(unmatched) => unmatched::tell(draft, unmatched),
        Action::EraseAccount(erase) => erasure::decide(draft, erase),
        Action::TellRetentionFailed(failed) => erasure::tell(draft, failed),
    }
}

fn repeat(
    book: &Book,
    answer: &Answer,
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
    let waited = answer.approval.and_then(|id| book.approvals.get(&id));
    let done = match waited.filter(|waited| waited.mutation == answer.mutation) {
        Some(waiting) if waiting.state == ApprovalState::Pending => Done::Awaits(Arc::clone(waiting)),
        Some(given_up) if !given_up.is_done() => return Err(given_up.refusal()),
        _ => Done::Before(answer.clone()),
    };
    Ok(Decision { done, change: None })
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
    approval: Option<Arc<Approval>>,
}

impl Made {
    /// What a key holds from then on.
    fn answer(&self, key: String, mutation: Mutation, action: &Action, created_at: DateTime<Utc>) -> Answer {
        Answer {
            key,
            mutation,
            fingerprint: action.fingerprint(),
            transaction: self.transaction.as_ref().map(|transaction| transaction.id),
            order: self.order.as_ref().map(|order| order.id),
            bill: self.bill.as_ref().map(|bill| bill.id),
            payment: self.payment.as_ref().map(|payment| payment.id),
            prepayment: self.prepayment.as_ref().map(|prepayment| prepayment.id),
            approval: self.approval.as_ref().map(|approval| approval.id),
            created_at,
        }
    }
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
