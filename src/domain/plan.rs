//! The catalogue: plans, and the resources that they include.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::codes::coded_enum;
use super::ids::PlanId;
use super::money::CurrencyCode;
use super::period::BillPeriod;

/// Of this plan type an account has at most one live order in a region; another plan of it there is a change.
pub const EXCLUSIVE_TYPE: &str = "resources";

coded_enum! {
    /// How the reports on a resource become one quantity.
    Aggregation {
        /// The sum of what was used.
        Sum = "SUM",
        /// The greatest value reported.
        Max = "MAX",
        /// The value reported last.
        Last = "LAST",
        /// The average over time.
        Average = "AVERAGE",
        /// The 95th percentile of the 5-minute values.
        P95 = "P95",
    }
}

/// A thing that is metered or sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub code: String,
    pub name: String,
    pub unit: String,
    pub resource_type: String,
    pub aggregation: Aggregation,
    /// Whether reports may be negative: what was reported too much is taken back.
    pub allows_corrections: bool,
}

/// What a plan includes of a resource, in the resource's unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanResource {
    pub resource_code: String,
    pub amount: Decimal,
}

/// An offer of the market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub id: PlanId,
    pub name: String,
    pub plan_type: String,
    pub region: Option<String>,
    pub resource_type: String,
    pub currency: CurrencyCode,
    /// Per period.
    pub price: Decimal,
    /// Once, in the first bill.
    pub once_price: Option<Decimal>,
    pub bill_period: BillPeriod,
    pub description: String,
    pub created_at: DateTime<Utc>,
    pub retired_at: Option<DateTime<Utc>>,
}

impl Plan {
    /// Whether it can be bought, and its orders renewed.
    pub fn is_on_sale(&self, instant: DateTime<Utc>) -> bool {
        self.retired_at.is_none_or(|retired| retired > instant)
    }

    pub fn is_exclusive(&self) -> bool {
        self.plan_type == EXCLUSIVE_TYPE
    }
}
