//! What the engine is asked to do, and what became of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::account::Account;
use super::bill::Bill;
use super::codes::coded_enum;
use super::ids::{AccountId, BillId, OrderId, PlanId, TransactionId};
use super::ledger::Hash;
use super::order::Order;
use super::refusal::{Refusal, RefusalCode};
use super::transaction::Transaction;

/// One thing to do to one account, once.
#[derive(Debug, Clone)]
pub struct Command {
    pub account: AccountId,
    /// The same key with the same action is done once; a job derives its key from what it does.
    pub key: String,
    /// Decided like any other, and not kept.
    pub dry_run: bool,
    pub action: Action,
}

coded_enum! {
    /// The mutation that an idempotency key belongs to, by its name in the schema.
    Mutation {
        Recharge = "recharge",
        Checkout = "checkout",
        Refund = "refund",
        SetPrices = "setPrices",
        EndPriceRule = "endPriceRule",
    }
}

/// What is to be done.
#[derive(Debug, Clone, Serialize)]
pub enum Action {
    Recharge(Recharge),
    Checkout(Checkout),
    Refund(Refund),
}

/// Puts money on the balance.
#[derive(Debug, Clone, Serialize)]
pub struct Recharge {
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    /// Whom the money came in through: `sandbox`, `offline`, a card's brand. It follows from who asks, and is no part of
    /// what is asked: a key's repeat may come from another.
    #[serde(skip)]
    pub payment_method: String,
    pub reason: Option<String>,
}

/// Buys a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Checkout {
    pub plan: PlanId,
    pub region: Option<String>,
    pub datacenter: Option<String>,
    pub quantity: i32,
    pub comment: Option<String>,
    pub auto_renewal: bool,
    #[serde(serialize_with = "by_optional_value")]
    pub expected_price: Option<Decimal>,
}

/// Gives back what was paid, whole or in part.
#[derive(Debug, Clone, Serialize)]
pub struct Refund {
    pub transaction: TransactionId,
    /// None: all that is left.
    #[serde(serialize_with = "by_optional_value")]
    pub amount: Option<Decimal>,
    pub reason: String,
}

fn by_value<S: serde::Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&value.normalize())
}

fn by_optional_value<S: serde::Serializer>(
    value: &Option<Decimal>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => by_value(value, serializer),
        None => serializer.serialize_none(),
    }
}

impl Action {
    pub fn mutation(&self) -> Mutation {
        match self {
            Self::Recharge(_) => Mutation::Recharge,
            Self::Checkout(_) => Mutation::Checkout,
            Self::Refund(_) => Mutation::Refund,
        }
    }

    /// A digest of the action as values: `5` and `5.00` are the same amount.
    pub fn fingerprint(&self) -> Hash {
        fingerprint(self)
    }
}

/// A digest of what a key is used for, as values.
pub fn fingerprint(asked: &impl Serialize) -> Hash {
    // What is asked is plain data: writing it as JSON cannot fail.
    Sha256::digest(serde_json::to_vec(asked).unwrap_or_default()).into()
}

/// What a key holds: which mutation was done with it, and what that made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub key: String,
    pub mutation: Mutation,
    pub fingerprint: Hash,
    pub transaction: Option<TransactionId>,
    pub order: Option<OrderId>,
    pub bill: Option<BillId>,
    pub created_at: DateTime<Utc>,
}

impl Answer {
    /// Refuses another use of the key than the one whose answer it holds.
    pub fn require_same(&self, mutation: Mutation, fingerprint: Hash) -> Result<(), Refusal> {
        if self.mutation == mutation && self.fingerprint == fingerprint {
            return Ok(());
        }
        let message = format!("the key was used for another {}", self.mutation);
        Err(Refusal::new(RefusalCode::IdempotencyKeyReused, "idempotencyKey", message))
    }
}

/// What a command led to, as committed.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub account: Arc<Account>,
    pub order: Option<Arc<Order>>,
    pub bill: Option<Arc<Bill>>,
    pub transaction: Option<Arc<Transaction>>,
    /// The transaction that a refund gave back from.
    pub refunded: Option<Arc<Transaction>>,
}

/// A command that was not refused.
#[derive(Debug, Clone)]
pub enum Done {
    /// It was done now (or, a dry run, would have been).
    Now(Box<Outcome>),
    /// Its key holds the answer of an earlier time.
    Before(Answer),
}
