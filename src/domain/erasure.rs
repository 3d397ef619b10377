//! An account is erased: what names a person is blank, and the figures are left (docs/RETENTION.md). What is blanked of a row is said
//! here; the database does the same to what the engine does not know (`erase_rest`).

use chrono::{DateTime, Utc};

use super::account::Account;
use super::approval::Approval;
use super::codes::coded_enum;
use super::ids::AccountId;
use super::ledger::Entry;
use super::order::Order;
use super::payment::Payment;
use super::prepay::Prepayment;
use super::seal::Sealed;
use super::transaction::Transaction;

/// What an account is called that was erased.
pub const ERASED: &str = "(erased)";

/// An account that is to be erased: its rows are blanked step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    pub account: AccountId,
    pub reason: String,
    /// The operator, as the token names it.
    pub by: String,
    pub at: DateTime<Utc>,
    /// Its namespace as a digest, under which nobody else gets it.
    pub namespace: Vec<u8>,
}

coded_enum! {
    /// Whose rows are blanked: one after the other.
    Stage {
        Orders = "ORDERS",
        /// With the entries that they made.
        Transactions = "TRANSACTIONS",
        Payments = "PAYMENTS",
        Prepayments = "PREPAYMENTS",
        Approvals = "APPROVALS",
        /// What is not sealed.
        Rest = "REST",
        Done = "DONE",
    }
}

impl Stage {
    /// What comes after it.
    pub fn next(self) -> Self {
        match self {
            Self::Orders => Self::Transactions,
            Self::Transactions => Self::Payments,
            Self::Payments => Self::Prepayments,
            Self::Prepayments => Self::Approvals,
            Self::Approvals => Self::Rest,
            Self::Rest | Self::Done => Self::Done,
        }
    }
}

impl Account {
    /// The account without what names a person. Its namespace is one that nobody can ask for.
    pub fn erased(&self, at: DateTime<Utc>) -> Self {
        Self {
            namespace: format!("(erased {})", self.id.0),
            external_id: None,
            name: ERASED.to_owned(),
            manager: None,
            erased_at: Some(at),
            ..self.clone()
        }
    }
}

/// A row that says what a person has said, or what names one.
pub trait Blanked: Sealed {
    /// The row without such words.
    fn blanked(&self) -> Self;
}

impl Blanked for Order {
    fn blanked(&self) -> Self {
        Self { comment: None, ..self.clone() }
    }
}

impl Blanked for Transaction {
    fn blanked(&self) -> Self {
        Self { description: String::new(), ..self.clone() }
    }
}

impl Blanked for Payment {
    fn blanked(&self) -> Self {
        let mut blanked = self.clone();
        blanked.description = String::new();
        blanked.card.token = String::new();
        blanked.card.customer = None;
        blanked.failure = None;
        blanked.action_url = None;
        blanked
    }
}

impl Blanked for Prepayment {
    fn blanked(&self) -> Self {
        let mut blanked = self.clone();
        blanked.failure = None;
        blanked.action_url = None;
        if let Some(binding) = &mut blanked.binding {
            binding.app.id = String::new();
            binding.app.icon_url = None;
            binding.app.project = String::new();
        }
        blanked
    }
}

impl Blanked for Approval {
    fn blanked(&self) -> Self {
        Self { input: "{}".to_owned(), key: None, reason: None, ..self.clone() }
    }
}

impl Entry {
    pub fn blanked(&self) -> Self {
        Self { reason: String::new(), ..self.clone() }
    }
}
