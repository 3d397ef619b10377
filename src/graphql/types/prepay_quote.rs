use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::charge::ChargeStep;
use super::exchange_rate::ExchangeRate;
use crate::domain::money::Money;
use crate::domain::prepay;
use crate::graphql::scalars::{Code, Exact, Instant};
use crate::graphql::session::session;

/// An offer: what an app costs for a term. It holds until it expires.
pub struct PrepayQuote(pub Arc<prepay::PrepayQuote>);

/// An offer: what an app costs for a term. It holds until it expires.
#[Object]
impl PrepayQuote {
    /// Its id, which `prepay` names.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What to pay, in the asset asked for; for USD and USDT_ERC20 it equals `usd`.
    async fn amount(&self, ctx: &Context<'_>) -> async_graphql::Result<Exact> {
        let money = Money::new(self.0.amount, self.0.currency);
        Ok(Exact::money(self.0.amount, session(ctx)?.display_scale(&money)))
    }

    /// The asset that is paid with.
    async fn currency(&self) -> Code {
        Code(self.0.currency)
    }

    /// What it costs in US dollars.
    async fn usd(&self) -> Exact {
        Exact::money(self.0.usd, 2)
    }

    /// For how many months of 30 days.
    async fn months(&self) -> i32 {
        self.0.months
    }

    /// The rate by which `usd` became `amount`; null where they are the same.
    async fn rate(&self) -> Option<ExchangeRate> {
        self.0.rate.as_deref().map(ExchangeRate::from)
    }

    /// How `usd` comes about; the steps sum to it.
    async fn steps(&self) -> Vec<ChargeStep> {
        self.0.steps.iter().cloned().map(ChargeStep).collect()
    }

    /// Until when it holds: 15 minutes after it was made.
    async fn expires_at(&self) -> Instant {
        Instant(self.0.expires_at)
    }
}
