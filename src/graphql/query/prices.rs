//! What things cost.

use async_graphql::{Context, ID, Object};

use super::price::{self, PriceInput};
use super::simulation::{self, SimulateChargesInput};
use crate::graphql::error::ApiError;
use crate::graphql::input::argument_account;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::scalars::{Code, Exact, Instant};
use crate::graphql::session::session;
use crate::graphql::types::applicable_rules;
use crate::graphql::types::charge::Charge;
use crate::graphql::types::exchange_rate::ExchangeRate;
use crate::graphql::types::price_quote::PriceQuote;
use crate::graphql::types::price_rule::PriceRule;
use crate::graphql::types::pricing::Pricing;

#[derive(Default)]
pub struct PriceQuery;

#[Object]
impl PriceQuery {
    /// The price rules of the account named, else of the caller's own account: its own, and the defaults that apply to
    /// it. For an operator without an account: those for everyone. In the order in which they were set.
    async fn price_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] account_id: Option<ID>,
        #[graphql(desc = "Only those in force then; absent: all.")] at: Option<Instant>,
    ) -> async_graphql::Result<Vec<PriceRule>> {
        let session = session(ctx)?;
        let account = argument_account(account_id)?.or(session.viewer().account);
        Ok(applicable_rules::of(session, account, at.map(|at| at.0)).await?)
    }

    /// Rates usage under rules that need not be stored: try a price before it is set.
    async fn simulate_charges(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rules, and what was used.")] input: SimulateChargesInput,
    ) -> Nullable<Charge> {
        nullable::of(async { Ok(Some(simulation::simulate(session(ctx)?, ctx, input).await?)) }).await
    }

    /// What capacity costs, and the burst levels now and next.
    async fn pricing(&self, ctx: &Context<'_>) -> async_graphql::Result<Pricing> {
        Ok(Pricing::now(session(ctx)?))
    }

    /// Of each pair of currencies the rate that was observed last.
    async fn exchange_rates(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<ExchangeRate>> {
        let rates = session(ctx)?.repository().exchange_rates().await.map_err(ApiError::from)?;
        Ok(rates.iter().map(ExchangeRate::from).collect())
    }

    /// The price of capacity: `amount` things of `size`, for an hour on demand, or for months less the term discount.
    async fn price(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What, how much of it, and for how long.")] input: PriceInput,
    ) -> Nullable<PriceQuote> {
        nullable::of(async { Ok(Some(price::quote(session(ctx)?, input).await?)) }).await
    }

    /// What capacity costs for a time: price × amount × seconds ÷ multiplier, half up at 20 decimal places. Null if there is no
    /// price for it in that currency at that level.
    async fn capacity_charge(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The resource's code.")] resource: String,
        #[graphql(desc = "How much, in the unit that its price counts in: MHz, bytes, addresses.")]
        amount: Exact,
        #[graphql(desc = "For how long.")] seconds: i32,
        #[graphql(desc = "In which currency.")] currency: Code,
        #[graphql(
            desc = "The burst level, 0 to 20; absent: the current one, or 0 where no capacity is declared."
        )]
        level: Option<i32>,
    ) -> Nullable<PriceQuote> {
        nullable::of(async {
            let (amount, currency) = (amount.value, currency.0);
            let asked = price::Capacity { resource, amount, seconds, currency, level };
            price::charge(session(ctx)?, asked).await
        })
        .await
    }
}
