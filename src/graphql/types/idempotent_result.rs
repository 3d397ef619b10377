use async_graphql::{Context, Object};

use super::bill::Bill;
use super::order::Order;
use super::payment::Payment;
use super::prepayment::Prepayment;
use super::transaction::Transaction;
use crate::domain::command::Answer;
use crate::graphql::scalars::Instant;
use crate::graphql::session::session;

/// The answer that an idempotency key holds.
pub struct IdempotentResult(pub Answer);

/// The answer that an idempotency key holds.
#[Object]
impl IdempotentResult {
    /// The key.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// The mutation that it was used for, by its name in this schema.
    async fn mutation(&self) -> &str {
        self.0.mutation.code()
    }

    /// When that was done.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }

    /// The transaction that was made, as it is now.
    async fn transaction(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Transaction>> {
        let Some(id) = self.0.transaction else { return Ok(None) };
        Ok(session(ctx)?.load(id).await?.map(Transaction))
    }

    /// The order that was made, as it is now.
    async fn order(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Order>> {
        let Some(id) = self.0.order else { return Ok(None) };
        Ok(session(ctx)?.load(id).await?.map(Order::from))
    }

    /// The bill that was made, as it is now.
    async fn bill(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Bill>> {
        let Some(id) = self.0.bill else { return Ok(None) };
        Ok(session(ctx)?.load(id).await?.map(Bill::from))
    }

    /// The prepayment that was made, as it is now.
    async fn prepayment(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Prepayment>> {
        let Some(id) = self.0.prepayment else { return Ok(None) };
        Ok(session(ctx)?.load(id).await?.map(Prepayment))
    }

    /// The payment by card that was made, as it is now.
    async fn payment(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Payment>> {
        let Some(id) = self.0.payment else { return Ok(None) };
        Ok(session(ctx)?.load(id).await?.map(Payment))
    }
}
