use std::sync::Arc;

use async_graphql::{Context, ID, Object, Union};

use super::account::Account;
use super::resource::{self, Resource};
use crate::domain;
use crate::domain::price_rule::Terms;
use crate::graphql::enums::{PackageType, TierMode};
use crate::graphql::error::ApiError;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::scalars::{Code, Exact, Instant};
use crate::graphql::session::session;

type Definition = Arc<domain::price_rule::PriceDefinition>;

/// What consumption costs, for whom, and when: in force over [effectiveFrom, effectiveUntil).
pub struct PriceRule(pub Arc<domain::price_rule::PriceRule>);

/// What consumption costs, for whom, and when: in force over [effectiveFrom, effectiveUntil).
#[Object]
impl PriceRule {
    /// Its id. Rules are numbered in the order in which they were set.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The account that it is for; none: every account that has no base price of its own.
    async fn account(&self, ctx: &Context<'_>) -> Nullable<Account> {
        nullable::load(ctx, self.0.account, Account).await
    }

    /// From when on it is in force.
    async fn effective_from(&self) -> Instant {
        Instant(self.0.effective_from)
    }

    /// When it is no longer in force; null: for ever.
    async fn effective_until(&self) -> Option<Instant> {
        self.0.effective_until.map(Instant)
    }

    /// What it says.
    async fn definition(&self) -> PriceDefinition {
        let definition = Arc::clone(&self.0.definition);
        match definition.terms {
            Terms::Base(_) => PriceDefinition::Base(BasePrice(definition)),
            Terms::Discount(_) => PriceDefinition::Discount(Discount(definition)),
            Terms::Package(_) => PriceDefinition::Package(Package(definition)),
        }
    }

    /// When it was set.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }

    /// Who set it: the token's subject.
    async fn created_by(&self) -> &str {
        &self.0.created_by
    }
}

/// What a price rule says. Definitions never change, and can be used by any number of rules.
#[derive(Union)]
pub enum PriceDefinition {
    Base(BasePrice),
    Discount(Discount),
    Package(Package),
}

/// What resources cost.
pub struct BasePrice(Definition);

/// What resources cost.
#[Object]
impl BasePrice {
    /// The definition's id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// A code of the provider's.
    #[graphql(name = "type")]
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// What it is, for people.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// The currency of its prices.
    async fn currency(&self) -> async_graphql::Result<Code> {
        let none = || ApiError::internal(format!("{} has no currency", self.0.id));
        Ok(Code(self.0.currency.ok_or_else(none)?))
    }

    /// What each resource costs.
    async fn tariffs(&self) -> Vec<Tariff> {
        let Terms::Base(tariffs) = &self.0.terms else { return Vec::new() };
        tariffs.iter().cloned().map(Tariff).collect()
    }
}

/// What a resource costs.
pub struct Tariff(domain::price_rule::Tariff);

/// What a resource costs.
#[Object]
impl Tariff {
    /// What it is the price of.
    async fn resource(&self, ctx: &Context<'_>) -> async_graphql::Result<Resource> {
        Ok(resource::load(session(ctx)?, &self.0.resource).await?)
    }

    /// How the tiers price a quantity.
    async fn mode(&self) -> TierMode {
        self.0.mode.into()
    }

    /// Units per price step: 1000 for a price per 1000 calls.
    async fn per(&self) -> Exact {
        Exact::number(self.0.per)
    }

    /// Whether a started step is charged whole; otherwise in proportion.
    async fn round_up(&self) -> bool {
        self.0.round_up
    }

    /// Its tiers, ascending.
    async fn tiers(&self) -> Vec<Tier> {
        self.0.tiers.iter().cloned().map(Tier).collect()
    }
}

/// Covers the quantities above `from` up to and including the next tier's `from`; the first begins at 0.
pub struct Tier(domain::price_rule::Tier);

/// Covers the quantities above `from` up to and including the next tier's `from`; the first begins at 0.
#[Object]
impl Tier {
    /// Where it begins, in the resource's unit.
    async fn from(&self) -> Exact {
        Exact::number(self.0.from)
    }

    /// For `per` units of the tariff.
    async fn unit_price(&self) -> Exact {
        Exact::number(self.0.unit_price)
    }

    /// Once a month, if the tier is used.
    async fn flat_fee(&self) -> Exact {
        Exact::number(self.0.flat_fee)
    }
}

/// Takes off the share that need not be paid, and then money, never below zero.
pub struct Discount(Definition);

impl Discount {
    fn terms(&self) -> Option<&domain::price_rule::Discount> {
        if let Terms::Discount(discount) = &self.0.terms { Some(discount) } else { None }
    }
}

/// `payablePercent` is the share still paid (90 is the Chinese 9折); then `money` is taken off, never below zero.
#[Object]
impl Discount {
    /// The definition's id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// A code of the provider's.
    #[graphql(name = "type")]
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// What it is, for people.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// The currency of `money`; null where there is none.
    async fn currency(&self) -> Option<Code> {
        self.0.currency.map(Code)
    }

    /// Taken off once a month.
    async fn money(&self) -> Option<Exact> {
        self.terms().and_then(|terms| terms.money).map(Exact::number)
    }

    /// The share still paid, in percent; null is 100.
    async fn payable_percent(&self) -> Option<Exact> {
        self.terms().and_then(|terms| terms.payable_percent).map(Exact::number)
    }
}

/// Units that are included, for money once a month.
pub struct Package(Definition);

impl Package {
    fn terms(&self) -> Option<&domain::price_rule::Package> {
        if let Terms::Package(package) = &self.0.terms { Some(package) } else { None }
    }
}

/// Units that are included, for money once a month.
#[Object]
impl Package {
    /// The definition's id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Whether it was bought or given.
    #[graphql(name = "type")]
    async fn package_type(&self) -> PackageType {
        self.terms().map_or(domain::price_rule::PackageType::Normal, |terms| terms.package_type).into()
    }

    /// What it is, for people.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// The currency of `money`; null where there is none.
    async fn currency(&self) -> Option<Code> {
        self.0.currency.map(Code)
    }

    /// Charged once a month.
    async fn money(&self) -> Exact {
        Exact::number(self.terms().map(|terms| terms.money).unwrap_or_default())
    }

    /// What it includes.
    async fn quotas(&self) -> Vec<Quota> {
        self.terms().map(|terms| terms.quotas.iter().cloned().map(Quota).collect()).unwrap_or_default()
    }
}

/// Units of a resource that cost nothing: the first ones of a month.
pub struct Quota(domain::price_rule::Quota);

/// Units of a resource that cost nothing: the first ones of a month.
#[Object]
impl Quota {
    /// The resource whose units are included.
    async fn resource(&self, ctx: &Context<'_>) -> async_graphql::Result<Resource> {
        Ok(resource::load(session(ctx)?, &self.0.resource).await?)
    }

    /// How many, in the resource's unit.
    async fn quantity(&self) -> Exact {
        Exact::number(self.0.quantity)
    }
}
