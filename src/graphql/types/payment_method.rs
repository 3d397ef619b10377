use std::sync::Arc;

use async_graphql::{ID, Object};

use crate::domain;
use crate::graphql::scalars::{Day, Instant};

/// A card that an account can pay with. Its number is the payment provider's alone.
pub struct PaymentMethod(pub Arc<domain::payment_method::PaymentMethod>);

/// A card that an account can pay with. Its number is the payment provider's alone.
#[Object]
impl PaymentMethod {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The card's brand: visa, mastercard.
    async fn brand(&self) -> &str {
        &self.0.card.brand
    }

    /// The last four digits of its number.
    async fn last4(&self) -> &str {
        &self.0.card.last4
    }

    /// The last day on which it can be charged.
    async fn expires_on(&self) -> Day {
        Day(self.0.card.expires_on)
    }

    /// When it was added.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at())
    }
}
