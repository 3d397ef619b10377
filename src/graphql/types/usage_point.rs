use async_graphql::SimpleObject;

use crate::domain;
use crate::graphql::scalars::{Exact, Instant};

/// A quantity for an hour, a day or a month.
#[derive(SimpleObject)]
pub struct UsagePoint {
    /// When it begins.
    time: Instant,
    /// How much, in the resource's unit.
    quantity: Exact,
}

impl From<domain::usage::Point> for UsagePoint {
    fn from(point: domain::usage::Point) -> Self {
        Self { time: Instant(point.start), quantity: Exact::number(point.quantity) }
    }
}
