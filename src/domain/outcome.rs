//! What became of a command.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::account::Account;
use super::approval::Approval;
use super::bill::Bill;
use super::book::Change;
use super::capacity::Quote;
use super::idempotency::{IdempotencyRecord, OutcomeIds};
use super::job::JobOutcome;
use super::order::Order;
use super::payment::Payment;
use super::payment_method::PaymentMethod;
use super::prepay::{PrepayQuote, Prepayment};
use super::transaction::Transaction;

/// What a command made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    pub order: Option<Arc<Order>>,
    pub bill: Option<Arc<Bill>>,
    pub transaction: Option<Arc<Transaction>>,
    /// The transaction that a refund gave back from.
    pub refunded: Option<Arc<Transaction>>,
    /// How the price of a subscription comes about.
    pub quote: Option<Quote>,
    /// What was offered.
    pub prepay_quote: Option<Arc<PrepayQuote>>,
    pub payment_method: Option<Arc<PaymentMethod>>,
    /// What a card is, or was, charged or given back.
    pub payment: Option<Arc<Payment>>,
    pub prepayment: Option<Arc<Prepayment>>,
    /// What was decided on, or waits for that.
    pub approval: Option<Arc<Approval>>,
    /// What a job's step did.
    pub jobs: Vec<JobOutcome>,
}

impl Outcome {
    /// What a key keeps of it.
    pub fn ids(&self) -> OutcomeIds {
        OutcomeIds {
            transaction: self.transaction.as_ref().map(|transaction| transaction.id),
            order: self.order.as_ref().map(|order| order.id),
            bill: self.bill.as_ref().map(|bill| bill.id),
            payment: self.payment.as_ref().map(|payment| payment.id),
            prepayment: self.prepayment.as_ref().map(|prepayment| prepayment.id),
            approval: self.approval.as_ref().map(|approval| approval.id),
            created: self.created(),
        }
    }

    fn created(&self) -> Vec<String> {
        let method = self.payment_method.iter().map(|method| method.id.to_string());
        method.chain(self.prepay_quote.iter().map(|quote| quote.id.to_string())).collect()
    }
}

/// A command that was carried out, with what it led to, as committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed {
    pub account: Arc<Account>,
    pub made: Outcome,
    /// The open bills of the order.
    pub open_bills: Vec<Arc<Bill>>,
    /// What the order would cost to renew, of one, if it can be renewed.
    pub renewal_price: Option<Decimal>,
    /// Whether money has paid as many bills as it pays at once, and the jobs go on with the next.
    pub goes_on: bool,
}

/// A command that was not refused.
#[derive(Debug, Clone)]
pub enum Done {
    /// It was done now (or, a dry run, would have been).
    Executed(Box<Executed>),
    /// Its key holds what was done an earlier time.
    Replayed(Box<IdempotencyRecord>),
    /// Another operator has to allow it; until then nothing of it is done.
    Awaits(Arc<Approval>),
}

/// What was decided: the answer, and the change that makes it true (none if there is nothing to change).
#[derive(Debug)]
pub struct Decision {
    pub done: Done,
    pub change: Option<Change>,
}
