//! Price rules: what consumption costs an account, and when.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::codes::coded_enum;
use super::ids::{AccountId, PriceDefinitionId, PriceRuleId};
use super::money::CurrencyCode;

coded_enum! {
    /// How the tiers of a tariff price a quantity.
    TierMode {
        /// Each unit costs what the tier that covers it says.
        Graduated = "GRADUATED",
        /// The tier that covers the whole quantity prices all of it.
        Volume = "VOLUME",
    }
}

coded_enum! {
    /// Where a package comes from.
    PackageType {
        /// Bought.
        Normal = "NORMAL",
        /// Given. Its money is zero as a rule, and charged like any other's where it is not.
        Reward = "REWARD",
    }
}

/// Covers the quantities above `from` up to and including the next tier's `from`; the first begins at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    pub from: Decimal,
    /// For `per` units of the tariff.
    pub unit_price: Decimal,
    /// Once a month, if the tier is used.
    pub flat_fee: Decimal,
}

/// What a resource costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    pub resource: String,
    pub mode: TierMode,
    /// The units that a tier's price is for: 1000 for a price per 1000 calls.
    pub per: Decimal,
    /// Whether a started `per` is charged whole; otherwise in proportion.
    pub round_up: bool,
    /// Ascending, at least one, the first from 0.
    pub tiers: Vec<Tier>,
}

/// Takes off the share that need not be paid, and then money, never below zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discount {
    /// Once a month.
    pub money: Option<Decimal>,
    /// The share still paid, 0 to 100: 90 is the Chinese 9折.
    pub payable_percent: Option<Decimal>,
}

/// So many units of a resource that cost nothing: the first ones of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    pub resource: String,
    pub quantity: Decimal,
}

/// Units that are included, for money once a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub package_type: PackageType,
    pub money: Decimal,
    pub quotas: Vec<Quota>,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terms {
    Base(Vec<Tariff>),
    Discount(Discount),
    Package(Package),
}

/// Terms that any number of rules can refer to; they never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceDefinition {
    pub id: PriceDefinitionId,
    /// A code of the provider's; the price service keeps it for later use.
    pub kind: String,
    pub description: String,
    /// Of the money in the terms; none where there is none.
    pub currency: Option<CurrencyCode>,
    pub terms: Terms,
    pub created_at: DateTime<Utc>,
}

/// A definition, for whom, and when. The order in which rules were set is that of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRule {
    pub id: PriceRuleId,
    /// None: every account that has no base price of its own in force.
    pub account: Option<AccountId>,
    pub effective_from: DateTime<Utc>,
    /// None: for ever.
    pub effective_until: Option<DateTime<Utc>>,
    pub definition: Arc<PriceDefinition>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

impl PriceRule {
    /// Whether it is in force at `instant`: [from, until).
    pub fn is_in_force(&self, instant: DateTime<Utc>) -> bool {
        self.effective_from <= instant && self.effective_until.is_none_or(|until| instant < until)
    }
}
