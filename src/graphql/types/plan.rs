use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};

use super::money::Money;
use super::resource::{self, Resource};
use crate::domain::ids::PlanId;
use crate::graphql::enums::BillPeriod;
use crate::graphql::error::ApiResult;
use crate::graphql::input::exact;
use crate::graphql::loaders::ResourcesOf;
use crate::graphql::pagination::connection;
use crate::graphql::runtime::eager::{Inline, ResolveEagerly};
use crate::graphql::scalars::{Exact, Instant};
use crate::graphql::session::{Session, session};
use crate::{domain, store};

/// An offer of the market.
pub struct Plan(pub Arc<domain::plan::Plan>);

connection!(
    PlanConnection,
    PlanEdge,
    Plan,
    domain::plan::Plan,
    |row: &Arc<domain::plan::Plan>| row.id.0,
    "plans"
);

impl ResolveEagerly for Plan {
    const DEFERRED_FIELDS: &'static [&'static str] = &["resources"];
}

/// An offer of the market.
#[Object]
impl Plan {
    /// Its id, with which it is bought.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Its name; what is bought under it is described by this name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// A code of the provider's. Of the type "resources" an account has at most one live order in a region.
    #[graphql(name = "type")]
    async fn plan_type(&self) -> &str {
        &self.0.plan_type
    }

    /// The only region in which it is sold; null: any.
    async fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// The kind of product, a code.
    async fn resource_type(&self) -> &str {
        &self.0.resource_type
    }

    /// Per period; by the hour (HOUR) at the currency's ledger places, else at its display places.
    async fn price(&self) -> Inline<Money> {
        Money::inline(domain::money::Money::new(self.0.price, self.0.currency))
    }

    /// Once, in the first bill.
    async fn once_price(&self) -> Option<Inline<Money>> {
        self.0.once_price.map(|price| Money::inline(domain::money::Money::new(price, self.0.currency)))
    }

    /// How often it is billed.
    async fn bill_period(&self) -> BillPeriod {
        self.0.bill_period.into()
    }

    /// What it is, for people.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// What it includes, for example 1 cpu and 512 MB mem.
    async fn resources(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<PlanResource>> {
        let included = session(ctx)?.load(ResourcesOf(self.0.id)).await?;
        Ok(included.unwrap_or_default().iter().cloned().map(PlanResource).collect())
    }

    /// When it came on the market.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }

    /// When it was taken off the market.
    async fn retired_at(&self) -> Option<Instant> {
        self.0.retired_at.map(Instant)
    }
}

/// What a plan includes of a resource.
pub struct PlanResource(pub domain::plan::PlanResource);

/// What a plan includes of a resource.
#[Object]
impl PlanResource {
    /// What is included.
    async fn resource(&self, ctx: &Context<'_>) -> async_graphql::Result<Resource> {
        Ok(resource::load(session(ctx)?, &self.0.resource_code).await?)
    }

    /// How much, in the resource's unit.
    async fn amount(&self) -> Exact {
        Exact::number(self.0.amount)
    }
}

/// The plans of these ids, in their order.
pub(in crate::graphql) async fn load_all(session: &Session, ids: &[PlanId]) -> ApiResult<Vec<Plan>> {
    Ok(session.load_many(ids.to_vec()).await?.into_iter().map(Plan).collect())
}

/// Narrows the market; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "PlanFilter")]
pub struct PlanFilterInput {
    /// Only of this type, a code of the provider's.
    #[graphql(name = "type")]
    plan_type: Option<String>,
    /// Only those sold in this region alone.
    region: Option<String>,
    /// Only of this kind of product.
    resource_type: Option<String>,
    /// Also those that are no longer sold.
    include_retired: Option<bool>,
}

impl PlanFilterInput {
    pub fn read(self) -> ApiResult<store::plans::PlanFilter> {
        Ok(store::plans::PlanFilter {
            plan_type: exact("type", self.plan_type)?,
            region: exact("region", self.region)?,
            resource_type: exact("resourceType", self.resource_type)?,
            include_retired: self.include_retired.unwrap_or(false),
        })
    }
}
