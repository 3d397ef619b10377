use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::resource::{self, Resource};
use crate::domain;
use crate::graphql::pagination::connection;
use crate::graphql::runtime::eager::ResolveEagerly;
use crate::graphql::scalars::{Code, Exact, Instant};
use crate::graphql::session::session;

/// What capacity costs at a burst level: a charge is price × amount × seconds ÷ multiplier.
pub struct ResourcePrice(pub Arc<domain::capacity::ResourcePrice>);

connection!(
    ResourcePriceConnection,
    ResourcePriceEdge,
    ResourcePrice,
    domain::capacity::ResourcePrice,
    |row: &Arc<domain::capacity::ResourcePrice>| row.id,
    "prices of capacity"
);

impl ResolveEagerly for ResourcePrice {
    const DEFERRED_FIELDS: &'static [&'static str] = &["resource"];
}

/// What capacity costs at a burst level: a charge is price × amount × seconds ÷ multiplier.
#[Object]
impl ResourcePrice {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The resource.
    async fn resource(&self, ctx: &Context<'_>) -> async_graphql::Result<Resource> {
        Ok(resource::load(session(ctx)?, &self.0.resource).await?)
    }

    /// The currency that it is in.
    async fn currency(&self) -> Code {
        Code(self.0.currency)
    }

    /// The burst level, 0 to 20; 0 is what subscriptions cost.
    async fn level(&self) -> i32 {
        self.0.level
    }

    /// How much, for `multiplier` unit-seconds.
    async fn price(&self) -> Exact {
        Exact::number(self.0.price)
    }

    /// What the price is for, for people: `GB/month`.
    async fn unit(&self) -> &str {
        &self.0.unit
    }

    /// The unit-seconds that the price is for: of bytes, 2,783,138,807,808,000 in a GB·month of 30 days.
    async fn multiplier(&self) -> Exact {
        Exact::number(self.0.multiplier)
    }

    /// The only cluster on which prepayments are priced by it; null: everything is.
    async fn cluster_id(&self) -> Option<&str> {
        self.0.cluster.as_deref()
    }

    /// The only chart of which prepayments are priced by it; null: everything is.
    async fn chart_name(&self) -> Option<&str> {
        self.0.chart.as_deref()
    }

    /// From when on it holds, until another is set.
    async fn effective_from(&self) -> Instant {
        Instant(self.0.effective_from)
    }
}
