//! Price rules: what consumption costs an account, and when.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::codes::coded_enum;
use super::ids::{AccountId, PriceDefinitionId, PriceRuleId};
use super::money::CurrencyCode;
use super::refusal::{Refusal, RefusalCode};

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

coded_enum! {
    /// What kind of terms a definition has.
    DefinitionKind {
        Base = "BASE",
        Discount = "DISCOUNT",
        Package = "PACKAGE",
    }
}

/// Covers the quantities above `from` up to and including the next tier's `from`; the first begins at 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    #[serde(with = "rust_decimal::serde::str")]
    pub from: Decimal,
    /// For `per` units of the tariff.
    #[serde(with = "rust_decimal::serde::str")]
    pub unit_price: Decimal,
    /// Once a month, if the tier is used.
    #[serde(with = "rust_decimal::serde::str")]
    pub flat_fee: Decimal,
}

/// What a resource costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    pub resource: String,
    pub mode: TierMode,
    /// The units that a tier's price is for: 1000 for a price per 1000 calls.
    #[serde(with = "rust_decimal::serde::str")]
    pub per: Decimal,
    /// Whether a started `per` is charged whole; otherwise in proportion.
    pub round_up: bool,
    /// Ascending, at least one, the first from 0.
    pub tiers: Vec<Tier>,
}

/// Takes off the share that need not be paid, and then money, never below zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// Once a month.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub money: Option<Decimal>,
    /// The share still paid, 0 to 100: 90 is the Chinese 9折.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub payable_percent: Option<Decimal>,
}

/// So many units of a resource that cost nothing: the first ones of a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    pub resource: String,
    #[serde(with = "rust_decimal::serde::str")]
    pub quantity: Decimal,
}

/// Units that are included, for money once a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub package_type: PackageType,
    #[serde(with = "rust_decimal::serde::str")]
    pub money: Decimal,
    pub quotas: Vec<Quota>,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// When a rule was set, among all others: by the instant, and then by its number, as cells number by themselves.
pub type RuleOrder = i128;

/// A definition, for whom, and when.
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
    pub fn order(&self) -> RuleOrder {
        (RuleOrder::from(self.created_at.timestamp_micros()) << 64) | RuleOrder::from(self.id.0)
    }

    /// Whether it is in force at `instant`: [from, until).
    pub fn is_in_force(&self, instant: DateTime<Utc>) -> bool {
        self.effective_from <= instant && self.effective_until.is_none_or(|until| instant < until)
    }
}

/// Tariffs of a base price, quotas of a package, tiers of a tariff: the most.
pub const ENTRIES_MAX: usize = 100;
/// Tiers of all tariffs of a base price: the most.
pub const TIERS_MAX: usize = 1_000;

impl Terms {
    /// BASE, DISCOUNT or PACKAGE.
    pub fn kind(&self) -> DefinitionKind {
        match self {
            Self::Base(_) => DefinitionKind::Base,
            Self::Discount(_) => DefinitionKind::Discount,
            Self::Package(_) => DefinitionKind::Package,
        }
    }

    /// Whether there is money in them, which needs a currency.
    pub fn has_money(&self) -> bool {
        match self {
            Self::Base(_) => true,
            Self::Discount(discount) => discount.money.is_some_and(|money| !money.is_zero()),
            Self::Package(package) => !package.money.is_zero(),
        }
    }

    /// The codes of the resources that they name.
    pub fn resources(&self) -> Vec<&str> {
        match self {
            Self::Base(tariffs) => tariffs.iter().map(|tariff| tariff.resource.as_str()).collect(),
            Self::Discount(_) => Vec::new(),
            Self::Package(package) => package.quotas.iter().map(|quota| quota.resource.as_str()).collect(),
        }
    }

    /// Whether they can be rated by; the refusal names the field.
    pub fn check(&self) -> Result<(), Refusal> {
        match self {
            Self::Base(tariffs) => {
                require_entries("tariffs", tariffs.len(), 1)?;
                require_each_once("tariffs", tariffs.iter().map(|tariff| &tariff.resource))?;
                let tiers: usize = tariffs.iter().map(|tariff| tariff.tiers.len()).sum();
                if tiers > TIERS_MAX {
                    let message = format!("at most {TIERS_MAX} tiers in all");
                    return Err(Refusal::new(RefusalCode::LimitExceeded, "tariffs", message));
                }
                each("tariffs", tariffs, check_tariff)
            }
            Self::Discount(discount) => check_discount(discount),
            Self::Package(package) => {
                require_not_negative("money", package.money)?;
                require_entries("quotas", package.quotas.len(), 0)?;
                require_each_once("quotas", package.quotas.iter().map(|quota| &quota.resource))?;
                each("quotas", &package.quotas, |quota| require_not_negative("quantity", quota.quantity))
            }
        }
    }
}

fn each<T>(field: &str, items: &[T], check: impl Fn(&T) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let mut checked = items.iter().enumerate();
    checked.try_for_each(|(index, item)| {
        check(item).map_err(|refusal| refusal.within(&format!("{field}.{index}")))
    })
}

fn invalid(field: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::Invalid, field, message)
}

fn require_entries(field: &'static str, count: usize, least: usize) -> Result<(), Refusal> {
    if count < least {
        return Err(Refusal::new(RefusalCode::Required, field, "must not be empty"));
    }
    if count > ENTRIES_MAX {
        return Err(Refusal::new(RefusalCode::LimitExceeded, field, format!("at most {ENTRIES_MAX}")));
    }
    Ok(())
}

fn require_each_once<'c>(
    field: &'static str,
    resources: impl Iterator<Item = &'c String>,
) -> Result<(), Refusal> {
    let mut seen = std::collections::BTreeSet::new();
    for (index, resource) in resources.enumerate() {
        let at = format!("{field}.{index}");
        super::text::code("resource", resource).map_err(|refusal| refusal.within(&at))?;
        if !seen.insert(resource) {
            return Err(invalid("resource", "the resource is named twice").within(&at));
        }
    }
    Ok(())
}

fn require_not_negative(field: &'static str, amount: Decimal) -> Result<(), Refusal> {
    if amount < Decimal::ZERO { Err(invalid(field, "must not be negative")) } else { Ok(()) }
}

fn check_tariff(tariff: &Tariff) -> Result<(), Refusal> {
    if tariff.per <= Decimal::ZERO {
        return Err(invalid("per", "must be greater than zero"));
    }
    require_entries("tiers", tariff.tiers.len(), 1)?;
    let mut before = None;
    for (index, tier) in tariff.tiers.iter().enumerate() {
        check_tier(tier, before).map_err(|refusal| refusal.within(&format!("tiers.{index}")))?;
        before = Some(tier.from);
    }
    Ok(())
}

fn check_tier(tier: &Tier, before: Option<Decimal>) -> Result<(), Refusal> {
    match before {
        None if !tier.from.is_zero() => return Err(invalid("from", "the first tier begins at 0")),
        Some(before) if tier.from <= before => {
            return Err(invalid("from", "a tier begins above where the one before it begins"));
        }
        _ => {}
    }
    require_not_negative("unitPrice", tier.unit_price)?;
    require_not_negative("flatFee", tier.flat_fee)
}

fn check_discount(discount: &Discount) -> Result<(), Refusal> {
    if discount.money.is_none() && discount.payable_percent.is_none() {
        return Err(Refusal::new(
            RefusalCode::Required,
            "payablePercent",
            "payablePercent or money is needed",
        ));
    }
    if let Some(percent) = discount.payable_percent
        && !(Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(&percent)
    {
        return Err(invalid("payablePercent", "must be from 0 to 100"));
    }
    require_not_negative("money", discount.money.unwrap_or_default())
}

/// One account's rules, or everyone's: the most that are kept.
pub const RULES_MAX: i64 = 1_000;
/// The rules that one request sets.
pub const RULES_AT_ONCE_MAX: usize = 100;

/// A definition that is made with its rule.
#[derive(Debug, Clone, Serialize)]
pub struct NewDefinition {
    pub kind: String,
    pub description: String,
    pub currency: Option<CurrencyCode>,
    pub terms: Terms,
}

/// What a rule that is set is to say.
#[derive(Debug, Clone, Serialize)]
pub enum Stated {
    Existing(PriceDefinitionId),
    New(NewDefinition),
}

/// A rule to be set.
#[derive(Debug, Clone, Serialize)]
pub struct RuleToSet {
    /// None: at once.
    pub effective_from: Option<DateTime<Utc>>,
    pub effective_until: Option<DateTime<Utc>>,
    pub stated: Stated,
}

/// Rules to be set, all or none.
#[derive(Debug, Clone)]
pub struct RulesToSet {
    /// None: for everyone.
    pub account: Option<AccountId>,
    pub allow_past: bool,
    pub rules: Vec<RuleToSet>,
    pub set_by: String,
}

impl RulesToSet {
    /// Whether the windows can be set at `now`.
    pub fn check_windows(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        each("infos", &self.rules, |rule| {
            let from = rule.effective_from.unwrap_or(now);
            if from < now && !self.allow_past {
                return Err(invalid("effectiveFrom", "lies in the past; allowPast allows it"));
            }
            if rule.effective_until.is_some_and(|until| until <= from) {
                return Err(invalid("effectiveUntil", "must be after effectiveFrom"));
            }
            Ok(())
        })
    }
}

/// A rule to be ended.
#[derive(Debug, Clone)]
pub struct RuleToEnd {
    pub rule: PriceRuleId,
    /// None: now.
    pub until: Option<DateTime<Utc>>,
}

impl RuleToEnd {
    pub fn not_found() -> Refusal {
        Refusal::new(RefusalCode::NotFound, "ruleId", "there is no such rule")
    }
}

/// When a rule is to end that is told to at `until`.
pub fn end_of(rule: &PriceRule, until: DateTime<Utc>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    let started = |message: &str| Refusal::new(RefusalCode::RuleStarted, "effectiveUntil", message);
    if rule.effective_until.is_some_and(|end| end <= now) {
        return Err(started("the rule has ended; what it was is not changed"));
    }
    if rule.effective_until.is_some_and(|end| end < until) {
        return Err(invalid("effectiveUntil", "the rule ends before that already"));
    }
    if rule.effective_from < now && until < now {
        return Err(started("the rule has been in force until now; it cannot end before"));
    }
    // One that has not begun and ends before it would: it is never in force.
    Ok(until.max(rule.effective_from))
}
