//! Payment providers: who holds cards, and charges them.
//!
//! Card numbers never reach this server. A customer gives the card to the provider, which answers a token of its own.

mod sandbox;

use futures_util::future::BoxFuture;

use crate::domain::payment_method::Card;

pub use sandbox::Sandbox;

/// Why a provider does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It knows no card of that token.
    #[error("the payment provider knows no such card")]
    NoSuchCard,
    /// It could not be asked.
    #[error("the payment provider could not be reached: {0}")]
    Unavailable(String),
}

/// A payment provider.
pub trait PaymentProvider: Send + Sync {
    /// Its name, as payment methods keep it.
    fn name(&self) -> &'static str;

    /// The card that a token stands for.
    fn card<'p>(&'p self, token: &'p str) -> BoxFuture<'p, Result<Card, ProviderError>>;
}
