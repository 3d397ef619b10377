use async_graphql::{Context, Object};

use super::account::Account;
use super::money::Money;
use crate::domain;
use crate::domain::money::Money as Amount;
use crate::graphql::enums::UnmatchedKind;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::runtime::eager::Inline;
use crate::graphql::scalars::Instant;

/// Something at a payment provider that bears an id of this server's and is not known here, or otherwise there and here: after a
/// database was restored, or where a provider is used by several servers.
pub struct UnmatchedPayment(pub domain::unmatched::Unmatched);

/// Something at a payment provider that bears an id of this server's and is not known here, or otherwise there and here: after a
/// database was restored, or where a provider is used by several servers.
#[Object]
impl UnmatchedPayment {
    /// The payment provider, a code.
    async fn provider(&self) -> &str {
        &self.0.provider
    }

    /// The provider's own id of it.
    async fn reference(&self) -> &str {
        &self.0.reference
    }

    /// What it is.
    async fn kind(&self) -> UnmatchedKind {
        self.0.kind.into()
    }

    /// The id of a payment that it, or the charge that it takes back from, bears; there may be no such payment.
    async fn payment_id(&self) -> String {
        self.0.payment.to_string()
    }

    /// Whose that is; null: the account is not known here either.
    async fn account(&self, ctx: &Context<'_>) -> Nullable<Account> {
        nullable::load(ctx, self.0.account, Account).await
    }

    /// How much it is.
    async fn amount(&self) -> Inline<Money> {
        Money::inline(Amount::new(self.0.amount, self.0.currency))
    }

    /// Its status at the provider, in the provider's own word.
    async fn status(&self) -> &str {
        &self.0.status
    }

    /// How it differs from what is booked here, for people.
    async fn why(&self) -> &str {
        &self.0.why
    }

    /// When it was seen first.
    async fn seen_at(&self) -> Instant {
        Instant(self.0.seen_at)
    }
}
