//! What a command made.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::action::Action;
use crate::domain::approval::Approval;
use crate::domain::bill::Bill;
use crate::domain::capacity::Quote;
use crate::domain::idempotency::Answer;
use crate::domain::job::JobDone;
use crate::domain::mutation::Mutation;
use crate::domain::order::Order;
use crate::domain::payment::Payment;
use crate::domain::payment_method::PaymentMethod;
use crate::domain::prepay::{PrepayQuote, Prepayment};
use crate::domain::transaction::Transaction;

/// What a command made, for its answer.
#[derive(Debug, Default)]
pub struct Made {
    pub order: Option<Arc<Order>>,
    pub bill: Option<Arc<Bill>>,
    pub transaction: Option<Arc<Transaction>>,
    pub refunded: Option<Arc<Transaction>>,
    pub jobs: Vec<JobDone>,
    pub quote: Option<Quote>,
    pub prepay_quote: Option<Arc<PrepayQuote>>,
    pub payment_method: Option<Arc<PaymentMethod>>,
    pub payment: Option<Arc<Payment>>,
    pub prepayment: Option<Arc<Prepayment>>,
    pub approval: Option<Arc<Approval>>,
}

impl Made {
    /// What a key holds from then on.
    pub fn answer(
        &self,
        key: String,
        mutation: Mutation,
        action: &Action,
        created_at: DateTime<Utc>,
    ) -> Answer {
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
