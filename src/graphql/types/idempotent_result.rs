use async_graphql::{Context, Object};

use super::bill::Bill;
use super::order::Order;
use super::payment::Payment;
use super::prepayment::Prepayment;
use super::transaction::Transaction;
use crate::domain::idempotency::IdempotencyRecord;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::scalars::Instant;

/// The answer that an idempotency key holds.
pub struct IdempotentResult(pub IdempotencyRecord);

/// The answer that an idempotency key holds.
#[Object]
impl IdempotentResult {
    /// The key.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// The mutation that it was used for, by its name in this schema.
    async fn mutation(&self) -> &str {
        self.0.mutation.name()
    }

    /// When that was done.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }

    /// The transaction that was made, as it is now.
    async fn transaction(&self, ctx: &Context<'_>) -> Nullable<Transaction> {
        nullable::load(ctx, self.0.made.transaction, Transaction).await
    }

    /// The order that was made, as it is now.
    async fn order(&self, ctx: &Context<'_>) -> Nullable<Order> {
        nullable::load(ctx, self.0.made.order, Order::from).await
    }

    /// The bill that was made, as it is now.
    async fn bill(&self, ctx: &Context<'_>) -> Nullable<Bill> {
        nullable::load(ctx, self.0.made.bill, Bill::from).await
    }

    /// The prepayment that was made, as it is now.
    async fn prepayment(&self, ctx: &Context<'_>) -> Nullable<Prepayment> {
        nullable::load(ctx, self.0.made.prepayment, Prepayment).await
    }

    /// The payment by card that was made, as it is now.
    async fn payment(&self, ctx: &Context<'_>) -> Nullable<Payment> {
        nullable::load(ctx, self.0.made.payment, Payment).await
    }
}
