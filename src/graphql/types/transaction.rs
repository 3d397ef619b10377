use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::account::{self, Account};
use super::bill::Bill;
use super::money::Money;
use super::order::Order;
use crate::domain;
use crate::graphql::at_hand::{AtHand, Inline};
use crate::graphql::enums::{EntryDirection, TransactionKind, TransactionStatus};
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::pagination::connection;
use crate::graphql::scalars::{Exact, Instant};
use crate::graphql::session::{Session, session};

/// A movement of money of an account.
pub struct Transaction(pub Arc<domain::transaction::Transaction>);

connection!(
    TransactionConnection,
    TransactionEdge,
    Transaction,
    domain::transaction::Transaction,
    |row: &Arc<domain::transaction::Transaction>| row.id.uuid(),
    "transactions"
);

impl AtHand for Transaction {
    const LOADED: &'static [&'static str] = &["account", "order", "bill", "refundOf"];
}

impl Transaction {
    fn exact(&self, session: &Session, amount: rust_decimal::Decimal) -> Exact {
        let money = domain::money::Money::new(amount, self.0.currency);
        Exact::money(amount, session.display_scale(&money))
    }
}

/// A movement of money of an account.
#[Object]
impl Transaction {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Whose money moved.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Account> {
        Ok(account::load(session(ctx)?, self.0.account()).await?)
    }

    /// What it was for.
    async fn kind(&self) -> TransactionKind {
        self.0.kind.into()
    }

    /// Where it stands.
    async fn status(&self) -> TransactionStatus {
        self.0.status.into()
    }

    /// Positive: the kind and the direction say which way it went. An adjustment may be negative.
    async fn amount(&self) -> Inline<Money> {
        Money::inline(domain::money::Money::new(self.0.signed_amount(), self.0.currency))
    }

    /// What it was for, for people: the plan's name, the reason given.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// How it was paid: "balance", "offline", "sandbox", a card's brand, a token.
    async fn payment_method(&self) -> &str {
        &self.0.payment_method
    }

    /// When it was made.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }

    /// The order that it paid.
    async fn order(&self, ctx: &Context<'_>) -> Nullable<Order> {
        nullable::load(ctx, self.0.order, Order::from).await
    }

    /// The bill that it paid.
    async fn bill(&self, ctx: &Context<'_>) -> Nullable<Bill> {
        nullable::load(ctx, self.0.bill, Bill::from).await
    }

    /// Whether money left the account or came to it.
    async fn direction(&self) -> EntryDirection {
        self.0.direction().into()
    }

    /// Of what it paid, how much was given back.
    async fn refunded_amount(&self, ctx: &Context<'_>) -> async_graphql::Result<Exact> {
        Ok(self.exact(session(ctx)?, self.0.refunded_amount))
    }

    /// The transaction that it gives back from.
    async fn refund_of(&self, ctx: &Context<'_>) -> Nullable<Transaction> {
        nullable::load(ctx, self.0.refund_of, Transaction).await
    }

    /// The balance after it; null where no balance was touched.
    async fn balance_after(&self, ctx: &Context<'_>) -> Nullable<Exact> {
        self.0.balance_after.map(|balance| Ok(self.exact(session(ctx)?, balance)))
    }
}
