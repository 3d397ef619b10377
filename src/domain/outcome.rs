//! What became of a command.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::account::Account;
use super::approval::Approval;
use super::bill::Bill;
use super::capacity::Quote;
use super::idempotency::Answer;
use super::job::JobDone;
use super::order::Order;
use super::payment::Payment;
use super::payment_method::PaymentMethod;
use super::prepay::{PrepayQuote, Prepayment};
use super::transaction::Transaction;

/// What a command led to, as committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub account: Arc<Account>,
    pub order: Option<Arc<Order>>,
    pub bill: Option<Arc<Bill>>,
    pub transaction: Option<Arc<Transaction>>,
    /// The transaction that a refund gave back from.
    pub refunded: Option<Arc<Transaction>>,
    /// The open bills of the order.
    pub open_bills: Vec<Arc<Bill>>,
    /// What the order would cost to renew, of one, if it can be renewed.
    pub renewal_price: Option<Decimal>,
    /// How the price of a subscription comes about.
    pub quote: Option<Quote>,
    /// What was offered.
    pub prepay_quote: Option<Arc<PrepayQuote>>,
    pub payment_method: Option<Arc<PaymentMethod>>,
    /// What a card is, or was, charged or given back.
    pub payment: Option<Arc<Payment>>,
    pub prepayment: Option<Arc<Prepayment>>,
    /// What was decided on.
    pub approval: Option<Arc<Approval>>,
    /// What a job's step did.
    pub jobs: Vec<JobDone>,
    /// Whether money has paid as many bills as it pays at once, and the jobs go on with the next.
    pub goes_on: bool,
}

/// A command that was not refused.
#[derive(Debug, Clone)]
pub enum Done {
    /// It was done now (or, a dry run, would have been).
    Now(Box<Outcome>),
    /// Its key holds the answer of an earlier time.
    Before(Answer),
    /// Another operator has to allow it; until then nothing of it is done.
    Awaits(Arc<Approval>),
}
