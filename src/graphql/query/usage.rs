//! What was used.

use async_graphql::{Context, ID, Object};

use super::usage_points;
use crate::graphql::enums::Granularity;
use crate::graphql::scalars::Instant;
use crate::graphql::session::session;
use crate::graphql::types::usage_point::UsagePoint;

#[derive(Default)]
pub struct UsageQuery;

#[Object]
impl UsageQuery {
    /// What an account used of a resource, a point for each hour, day or month that reaches into the window. A point of
    /// what adds up is the sum, of others the greatest value, or the last, the average or the 95th percentile of the
    /// 5-minute values over all subjects. A gauge holds what was reported last for an hour at the most. Up to 1,500 points.
    async fn usage(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose; absent: the caller's own.")] account_id: Option<ID>,
        #[graphql(desc = "The resource's code.")] resource: String,
        #[graphql(desc = "From the hour, day or month that this lies in.")] start_time: Instant,
        #[graphql(desc = "Up to here.")] end_time: Instant,
        #[graphql(desc = "What a point stands for.")] granularity: Granularity,
    ) -> async_graphql::Result<Vec<UsagePoint>> {
        let window = (start_time.0, end_time.0);
        let granularity = granularity.into();
        let asked = usage_points::UsageQuestion { account_id, resource, window, granularity };
        let points = Box::pin(usage_points::usage(session(ctx)?, asked)).await?;
        Ok(points.into_iter().map(UsagePoint::from).collect())
    }
}
