use std::sync::Arc;

use async_graphql::{Context, Object};
use rust_decimal::Decimal;

use super::money::Money;
use super::price_rule::PriceRule;
use super::resource::{self, Resource};
use crate::domain::money::CurrencyCode;
use crate::domain::{self, rating};
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::runtime::eager::Inline;
use crate::graphql::scalars::Exact;

/// What usage costs, and how that comes about.
pub struct Charge {
    pub charge: Arc<rating::Charge>,
    pub currency: CurrencyCode,
}

fn money(amount: Decimal, currency: CurrencyCode) -> Inline<Money> {
    Money::inline(domain::money::Money::new(amount, currency))
}

/// What usage costs, and how that comes about: the lines sum to the total.
#[Object]
impl Charge {
    /// What it comes to.
    async fn total(&self) -> Inline<Money> {
        money(self.charge.total, self.currency)
    }

    /// What it is made of: each priced resource, discounts, packages, the rounding.
    async fn lines(&self) -> Vec<ChargeLine> {
        let line = |at| ChargeLine { charge: Arc::clone(&self.charge), currency: self.currency, at };
        (0..self.charge.lines.len()).map(line).collect()
    }
}

/// A part of a charge.
pub struct ChargeLine {
    charge: Arc<rating::Charge>,
    currency: CurrencyCode,
    at: usize,
}

impl ChargeLine {
    fn line(&self) -> Option<&rating::Line> {
        self.charge.lines.get(self.at)
    }
}

/// A part of a charge: what one resource costs, or the discounts, packages or rounding of all. Its steps sum to it.
#[Object]
impl ChargeLine {
    /// What it is for, for people.
    async fn title(&self) -> String {
        self.line().map(|line| line.title.to_string()).unwrap_or_default()
    }

    /// The resource that it is the price of, if it is one's.
    async fn resource(&self, ctx: &Context<'_>) -> Nullable<Resource> {
        let code = self.line().and_then(|line| line.title.resource())?;
        Some(resource::load_for(ctx, code).await)
    }

    /// How much of the resource was used, in its unit.
    async fn quantity(&self) -> Option<Exact> {
        self.line().and_then(|line| line.quantity).map(Exact::number)
    }

    /// What it costs; negative for what is taken off.
    async fn amount(&self) -> Inline<Money> {
        money(self.line().map(|line| line.amount).unwrap_or_default(), self.currency)
    }

    /// How it comes about.
    async fn steps(&self) -> Vec<ChargeStep> {
        self.line().map(|line| line.steps.iter().cloned().map(ChargeStep).collect()).unwrap_or_default()
    }
}

/// One step of a calculation.
pub struct ChargeStep(pub(super) rating::Step);

/// One step of a calculation: recomputing the steps gives the price, to the last digit. Where a step's exact amount has
/// no end, as a third has none, it is written with at most 20 places, and the rounding makes the sum right.
#[Object]
impl ChargeStep {
    /// What it does, for people.
    async fn label(&self) -> String {
        self.0.label.to_string()
    }

    /// The quantity that the step prices, in the unit of its resource; null where it prices none.
    async fn quantity(&self) -> Option<Exact> {
        self.0.quantity.map(Exact::number)
    }

    /// The price of one, or of `divisor`.
    async fn unit_price(&self) -> Option<Exact> {
        self.0.unit_price.map(Exact::number)
    }

    /// amount = quantity × unitPrice × factor ÷ divisor, where they are given: seconds, percent.
    async fn factor(&self) -> Option<Exact> {
        self.0.factor.map(Exact::number)
    }

    /// amount = quantity × unitPrice × factor ÷ divisor, where they are given: the units that a price is for.
    async fn divisor(&self) -> Option<Exact> {
        self.0.divisor.map(Exact::number)
    }

    /// What it adds; negative for what is taken off.
    async fn amount(&self) -> Exact {
        Exact::number(self.0.amount)
    }

    /// The rule that it follows; null for rules that are tried and not stored.
    async fn rule(&self, ctx: &Context<'_>) -> Nullable<PriceRule> {
        nullable::load(ctx, self.0.rule, PriceRule).await
    }
}
