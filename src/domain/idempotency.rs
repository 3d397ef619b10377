//! What idempotency keys hold.

use chrono::{DateTime, Utc};

use super::account::Hash;
use super::fingerprint::Fingerprints;
use super::ids::{AccountId, ApprovalId, BillId, OrderId, PaymentId, PrepaymentId, TransactionId};
use super::mutation::Mutation;
use super::refusal::{Refusal, RefusalCode};

/// What a key holds: which mutation was done with it, and what that made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    pub key: String,
    pub mutation: Mutation,
    pub fingerprint: Hash,
    pub made: OutcomeIds,
    pub created_at: DateTime<Utc>,
}

/// A key with whose it is.
pub type KeyRow = (AccountId, IdempotencyRecord);

/// What a key is used for.
#[derive(Debug, Clone)]
pub struct KeyUse {
    pub key: String,
    pub mutation: Mutation,
    pub fingerprint: Hash,
}

impl KeyUse {
    /// What the key holds once that is done.
    pub fn record(self, made: OutcomeIds, created_at: DateTime<Utc>) -> IdempotencyRecord {
        let Self { key, mutation, fingerprint } = self;
        IdempotencyRecord { key, mutation, fingerprint, made, created_at }
    }
}

/// What a command made, by ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutcomeIds {
    pub transaction: Option<TransactionId>,
    pub order: Option<OrderId>,
    pub bill: Option<BillId>,
    pub payment: Option<PaymentId>,
    pub prepayment: Option<PrepaymentId>,
    /// What waits for another operator, or has waited; of a decision, what was decided on.
    pub approval: Option<ApprovalId>,
}

impl IdempotencyRecord {
    /// Refuses another use of the key than the one that it holds.
    pub fn require_same(&self, mutation: Mutation, asked: &Fingerprints) -> Result<(), Refusal> {
        if self.mutation == mutation && asked.include(self.fingerprint) {
            return Ok(());
        }
        let message = format!("the key was used for another {}", self.mutation);
        Err(Refusal::new(RefusalCode::IdempotencyKeyReused, "idempotencyKey", message))
    }
}
