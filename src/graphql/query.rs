//! The root fields that read.

mod accounts;
mod market;
mod nodes;
mod operators;
mod orders;
mod price;
mod prices;
mod simulation;
mod usage;
mod usage_points;

use async_graphql::MergedObject;

use super::types::lists::RootLists;

/// What can be read. Lists are newest first, windows of time half-open, unknown ids null.
#[derive(MergedObject, Default)]
pub struct Query(
    nodes::NodeQuery,
    accounts::AccountQuery,
    RootLists,
    market::MarketQuery,
    orders::OrderQuery,
    prices::PriceQuery,
    usage::UsageQuery,
    operators::OperatorQuery,
);
