use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::account::{self, Account};
use super::money::Money;
use super::prepayment::Prepayment;
use super::transaction::Transaction;
use crate::domain;
use crate::graphql::enums::{PaymentPurpose, PaymentState};
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::runtime::eager::Inline;
use crate::graphql::scalars::Instant;
use crate::graphql::session::session;

/// A charge of a card, or what is given back to one, on its way.
pub struct Payment(pub Arc<domain::payment::Payment>);

/// A charge of a card, or what is given back to one, on its way.
#[Object]
impl Payment {
    /// Its id, by which the payment provider knows it, too.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Whose card it is.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Account> {
        Ok(account::load(session(ctx)?, self.0.account()).await?)
    }

    /// What it is for.
    async fn purpose(&self) -> PaymentPurpose {
        self.0.purpose.into()
    }

    /// Its state: whether the provider has charged, has yet to, or has not.
    async fn state(&self) -> PaymentState {
        self.0.state.into()
    }

    /// How much: positive, whichever way it goes.
    async fn amount(&self) -> Inline<Money> {
        Money::inline(domain::money::Money::new(self.0.amount, self.0.currency))
    }

    /// Why it failed, in the payment provider's words.
    async fn failure(&self) -> Option<&str> {
        self.0.failure.as_deref()
    }

    /// Where the customer must go to authenticate (3-D Secure).
    async fn action_url(&self) -> Option<&str> {
        self.0.action_url.as_deref()
    }

    /// The movement of money: of a charge, once it has succeeded.
    async fn transaction(&self, ctx: &Context<'_>) -> Nullable<Transaction> {
        nullable::load(ctx, self.0.transaction, Transaction).await
    }

    /// The prepayment that it pays or gives back.
    async fn prepayment(&self, ctx: &Context<'_>) -> Nullable<Prepayment> {
        nullable::load(ctx, self.0.prepayment, Prepayment).await
    }

    /// When it was wanted.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at())
    }
}
