use async_graphql::{Context, Object};

use crate::domain;
use crate::graphql::runtime::eager::{Inline, ResolveEagerly};
use crate::graphql::scalars::{Code, Exact};
use crate::graphql::session::any_session;

/// An amount of a currency, in its main unit.
pub struct Money(domain::money::Money);

impl ResolveEagerly for Money {}

impl Money {
    pub fn inline(money: domain::money::Money) -> Inline<Self> {
        Inline(Self(money))
    }
}

/// An amount of a currency, in its main unit.
#[Object]
impl Money {
    /// With at least the currency's display places: "12.50".
    async fn amount(&self, ctx: &Context<'_>) -> async_graphql::Result<Exact> {
        Ok(Exact::money(self.0.amount, any_session(ctx)?.display_scale(&self.0)))
    }

    /// The currency of the amount, or the token.
    async fn currency(&self) -> Code {
        Code(self.0.currency)
    }
}
