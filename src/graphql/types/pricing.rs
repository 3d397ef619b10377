use std::sync::Arc;

use async_graphql::{Context, Object};
use futures_util::FutureExt;

use super::resource::{self, Resource};
use super::resource_price::ResourcePriceConnection;
use crate::domain::burst::{Bursting, Cycle};
use crate::domain::refusal::RefusalCode;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::input::may_be_kept;
use crate::graphql::pagination::{PageArgs, Slice, TotalCount, page_fields};
use crate::graphql::scalars::{Code, Instant};
use crate::graphql::session::{Session, session};
use crate::store::capacity::ResourcePriceFilter;

/// What capacity costs, and at which levels it is used beyond subscriptions.
pub struct Pricing {
    cycle: Cycle,
}

impl Pricing {
    /// As it is now.
    pub fn now(session: &Session) -> Self {
        Self { cycle: Cycle::of(session.app.clock.now()) }
    }
}

/// What capacity costs, and at which levels it is used beyond subscriptions.
#[Object]
impl Pricing {
    /// The level of each resource now, for those that are charged beyond subscriptions: whose capacity is declared, and licences.
    async fn current(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<BurstLevel>> {
        Ok(levels(session(ctx)?, self.cycle).await?)
    }

    /// The level of each resource from `nextAt` on. They are computed every 5 minutes from the cloud's use of its capacity, and
    /// hold 5 minutes later.
    async fn next(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<BurstLevel>> {
        Ok(levels(session(ctx)?, self.cycle.plus(1)).await?)
    }

    /// When the next levels become the current ones.
    async fn next_at(&self) -> Instant {
        Instant(self.cycle.end())
    }

    #[graphql(flatten)]
    async fn lists(&self) -> PricingLists {
        PricingLists
    }
}

/// The lists of prices.
pub struct PricingLists;

page_fields! {
    impl PricingLists(self) {
        /// The prices that hold now, newest first; level 0 is what subscriptions cost.
        prices(
            resource: Option<String> = "Only those of this resource, a code.",
            currency: Option<Code> = "Only those in this currency.",
            level: Option<i32> = "Only those of this burst level, 0 to 20.",
        ) -> ResourcePriceConnection = |ctx, page| {
            if resource.as_ref().is_some_and(|code| !may_be_kept(code)) {
                let message = "there is no such resource";
                return Err(ApiError::of_argument(RefusalCode::Invalid, "resource", message));
            }
            let session = session(ctx)?;
            let (currency, at) = (currency.map(|code| code.0), session.app.clock.now());
            prices(session, ResourcePriceFilter { resource, currency, level, at }, &page).await
        };
    }
}

async fn levels(session: &Session, cycle: Cycle) -> ApiResult<Vec<BurstLevel>> {
    let bursting = session.repository().bursting(cycle).await?;
    Ok(bursting.into_iter().map(BurstLevel).collect())
}

async fn prices(
    session: &Session,
    filter: ResourcePriceFilter,
    args: &PageArgs,
) -> ApiResult<ResourcePriceConnection> {
    let page = args.page()?;
    let rows = session.repository().resource_price_list(&filter, &page).await?;
    let rows = rows.into_iter().map(Arc::new).collect();
    let filter = Arc::new(filter);
    let total: TotalCount = Box::new(move |repository| {
        let filter = Arc::clone(&filter);
        async move { Ok(repository.resource_price_count(&filter).await?) }.boxed()
    });
    Ok(ResourcePriceConnection(Slice::new(&page, rows, total)))
}

/// The level at which use of a resource beyond subscriptions is charged.
pub struct BurstLevel(pub Bursting);

/// The level at which use of a resource beyond subscriptions is charged.
#[Object]
impl BurstLevel {
    /// The resource.
    async fn resource(&self, ctx: &Context<'_>) -> async_graphql::Result<Resource> {
        Ok(resource::load(session(ctx)?, &self.0.resource).await?)
    }

    /// The level, 0 to 20.
    async fn level(&self) -> i32 {
        self.0.level
    }
}
