//! Payment methods: cards that a customer has given to the payment provider.

use chrono::{DateTime, NaiveDate, Utc};

use super::ids::{AccountId, PaymentMethodId};

/// The most that an account keeps.
pub const METHODS_MAX: usize = 20;

/// What people see of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// `visa`, `mastercard`.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// The last day on which it can be charged.
    pub expires_on: NaiveDate,
}

/// A card that an account can pay with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentMethod {
    pub id: PaymentMethodId,
    /// Who charges it.
    pub provider: String,
    /// The provider's name for it.
    pub token: String,
    /// The provider's name for its holder, where it needs one.
    pub customer: Option<String>,
    pub card: Card,
    pub removed_at: Option<DateTime<Utc>>,
}

impl PaymentMethod {
    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    pub fn created_at(&self) -> DateTime<Utc> {
        self.id.0.instant()
    }
}
