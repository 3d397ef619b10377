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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutcomeIds {
    pub transaction: Option<TransactionId>,
    pub order: Option<OrderId>,
    pub bill: Option<BillId>,
    pub payment: Option<PaymentId>,
    pub prepayment: Option<PrepaymentId>,
    /// What waits for another operator, or has waited; of a decision, what was decided on.
    pub approval: Option<ApprovalId>,
    /// What else was made, as the API writes its ids.
    pub created: Vec<String>,
}

impl OutcomeIds {
    /// The first of what else was made that is of that kind.
    pub fn first_created<T>(&self, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.created.iter().find_map(|id| parse(id))
    }
}

/// One try of a client's to have something written beside the engine.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Whose key it is: an account's, or the [provider's](AccountId::PROVIDER).
    pub owner: AccountId,
    /// None: every time that it is asked for it is done.
    pub key: Option<String>,
    /// What is asked for.
    pub asked: Fingerprints,
    /// Done, answered, and not kept.
    pub dry_run: bool,
    pub now: DateTime<Utc>,
}

impl Attempt {
    /// Of what has no key: it is done each time.
    pub fn by_itself(now: DateTime<Utc>) -> Self {
        let asked = Fingerprints { own: Hash::default(), others: Vec::new() };
        Self { owner: AccountId::PROVIDER, key: None, asked, dry_run: false, now }
    }
}

impl IdempotencyRecord {
    /// Refuses another use of the key than the one that it holds.
    pub fn require_same(&self, mutation: &Mutation, asked: &Fingerprints) -> Result<(), Refusal> {
        if self.mutation == *mutation && asked.include(self.fingerprint) {
            return Ok(());
        }
        let message = format!("the key was used for another {}", self.mutation);
        Err(Refusal::new(RefusalCode::IdempotencyKeyReused, "idempotencyKey", message))
    }
}
