use std::sync::Arc;

use async_graphql::Object;

use super::money::Money;
use crate::domain::{self, prepay};
use crate::graphql::enums::DepositState;
use crate::graphql::runtime::eager::Inline;
use crate::graphql::scalars::Instant;

/// Tokens that reached the address of a prepayment, in a block with its confirmations.
pub struct Deposit(pub Arc<prepay::Deposit>);

/// Tokens that reached the address of a prepayment, in a block with its confirmations.
#[Object]
impl Deposit {
    /// How much, of which token.
    async fn amount(&self) -> Inline<Money> {
        Money::inline(domain::money::Money::new(self.0.amount, self.0.place.asset))
    }

    /// The address that sent it.
    async fn sender(&self) -> &str {
        &self.0.sender
    }

    /// The hash of the transaction that it is in.
    async fn transaction_hash(&self) -> &str {
        &self.0.place.transaction
    }

    /// The number of the block that it is in, in decimal digits.
    async fn block_number(&self) -> String {
        self.0.place.block_number.to_string()
    }

    /// The hash of the block that it is in.
    async fn block_hash(&self) -> &str {
        &self.0.place.block_hash
    }

    /// When the block was made, which decides whether it came in time.
    async fn block_time(&self) -> Instant {
        Instant(self.0.block_time)
    }

    /// Whether it counts for its prepayment, or why not.
    async fn state(&self) -> DepositState {
        self.0.state.into()
    }
}
