//! Rating: what usage costs under price rules, exactly, and how it comes about.
//!
//! The rules of a month are cut into [`Part`]s within which the same ones are in force. Within the month tiers and
//! quotas carry on across parts; flat fees, money of packages and money of discounts count once for each rule. The only
//! rounding is that of the total.

mod charge;
mod in_force;
pub(super) mod number;
mod tariff;

use rust_decimal::Decimal;

pub use charge::{Charge, Label, Line, Step, Title};
use charge::{ChargeBuilder, NoTrace, Trace, TraceLines};
pub use in_force::{PricePeriod, price_periods, that_apply};
use number::{Narrow, Number, PrecisionExceeded, Wide};
use tariff::{TierPosition, flat_fees, units};

use super::ids::PriceRuleId;
use super::money::OutOfRange;
use super::price_rule::{Discount, RuleOrder, Tariff, Terms};

/// A rule in force.
#[derive(Debug, Clone, Copy)]
pub struct RuleInForce<'r> {
    /// None for a rule that is tried and not stored.
    pub id: Option<PriceRuleId>,
    /// When it was set, among all: the same in every part.
    pub order: RuleOrder,
    pub terms: &'r Terms,
}

/// A part of a month within which the same rules are in force.
#[derive(Debug, Clone)]
pub struct Part<'r> {
    pub seconds: i64,
    /// In the order in which they were set. Of several base prices the last one counts.
    pub rules: Vec<RuleInForce<'r>>,
}

/// What was used of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    pub resource: String,
    pub quantity: Quantity,
}

/// How much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quantity {
    /// So much in each part: what adds up.
    Summed(Vec<Decimal>),
    /// One quantity for the whole month: an average, a maximum, a percentile. Each part's price counts for its share of
    /// the month's seconds.
    Whole(Decimal),
}

/// What the usage of a month costs, with its explanation; the total has `places` decimal places.
pub fn rate(parts: &[Part<'_>], usage: &[Usage], places: u32) -> Result<Charge, OutOfRange> {
    let (total, lines) = follow::<TraceLines>(parts, usage, places)?;
    lines.into_charge(total)
}

/// What the usage of a month costs, without a word why.
pub fn total(parts: &[Part<'_>], usage: &[Usage], places: u32) -> Result<Decimal, OutOfRange> {
    follow::<NoTrace>(parts, usage, places).map(|(total, _)| total)
}

/// Computes with narrow numbers, and with wide ones where those do not do.
fn follow<F: Trace + Default>(
    parts: &[Part<'_>],
    usage: &[Usage],
    places: u32,
) -> Result<(Decimal, F), OutOfRange> {
    let mut followed = F::default();
    let narrow = Month::<Narrow>::new(parts, usage).and_then(|month| month.rate(places, &mut followed));
    let total = narrow.or_else(|PrecisionExceeded| {
        followed = F::default();
        Month::<Wide>::new(parts, usage)?.rate(places, &mut followed)
    });
    Ok((total.ok().flatten().ok_or(OutOfRange)?, followed))
}

/// The calculation of a month.
struct Month<'m, N> {
    parts: &'m [Part<'m>],
    usage: &'m [Usage],
    /// What the base prices of each part come to so far.
    amounts: Vec<N>,
    /// For each part, the units of each resource that its packages include.
    included: Vec<Vec<(&'m str, N)>>,
}

impl<'m, N: Number> Month<'m, N> {
    fn new(parts: &'m [Part<'m>], usage: &'m [Usage]) -> Result<Self, PrecisionExceeded> {
        let included = parts.iter().map(included).collect::<Result<_, _>>()?;
        Ok(Self { parts, usage, amounts: parts.iter().map(|_| N::zero()).collect(), included })
    }

    fn rate(mut self, places: u32, follow: &mut impl Trace) -> Result<Option<Decimal>, PrecisionExceeded> {
        for (at, part) in self.parts.iter().enumerate() {
            self.add_base_price(at, part, follow)?;
        }
        self.take_discounts(follow)?;
        let packages = self.packages(follow)?;
        let mut total = packages;
        for amount in &self.amounts {
            total = total.plus(amount)?;
        }
        total.rounded(places)
    }

    fn add(&mut self, part: usize, amount: &N) -> Result<(), PrecisionExceeded> {
        if let Some(sum) = self.amounts.get_mut(part) {
            *sum = sum.plus(amount)?;
        }
        Ok(())
    }

    fn add_base_price(
        &mut self,
        at: usize,
        part: &Part<'m>,
        follow: &mut impl Trace,
    ) -> Result<(), PrecisionExceeded> {
        let base = base_price(part);
        for tariff in base.map_or(&[][..], |(_, tariffs)| tariffs) {
            let Some((rule, _)) = base else { break };
            let place = self.place(at, part, &tariff.resource, rule)?;
            let used = place.until.minus(&place.before)?;
            follow.line(|| Title::Resource(tariff.resource.clone()), Some(used.shown()));
            explain_included(&place, follow)?;
            let amount = units(tariff, &place, rule.id, follow)?;
            self.add(at, &amount)?;
            self.add_flat_fees(at, rule, tariff, follow)?;
        }
        self.tell_unpriced(at, base.map_or(&[][..], |(_, tariffs)| tariffs), follow)
    }

    /// Usage that no tariff of the part prices.
    fn tell_unpriced(
        &self,
        at: usize,
        tariffs: &[Tariff],
        follow: &mut impl Trace,
    ) -> Result<(), PrecisionExceeded> {
        for used in self.usage {
            if tariffs.iter().any(|tariff| tariff.resource == used.resource) {
                continue;
            }
            let quantity = match &used.quantity {
                Quantity::Summed(quantities) => quantities.get(at).copied().unwrap_or_default(),
                Quantity::Whole(quantity) => *quantity,
            };
            if !quantity.is_zero() {
                follow.line(|| Title::Unpriced(used.resource.clone()), Some(quantity));
                let step = || ChargeBuilder {
                    quantity: Some(quantity),
                    unit_price: Some(Decimal::ZERO),
                    ..ChargeBuilder::new(Label::Unpriced, None)
                };
                follow.step(step, &N::zero());
            }
        }
        Ok(())
    }

    /// The units of a resource that a part's packages include.
    fn included(&self, part: usize, resource: &str) -> N {
        let all = self.included.get(part).map_or(&[][..], Vec::as_slice);
        all.iter().find(|(of, _)| *of == resource).map_or_else(N::zero, |(_, units)| units.clone())
    }

    /// Where a part's units of a resource lie.
    fn place(
        &self,
        at: usize,
        part: &Part<'m>,
        resource: &str,
        rule: RuleInForce<'m>,
    ) -> Result<TierPosition<N>, PrecisionExceeded> {
        let used = self.usage.iter().find(|used| used.resource == resource).map(|used| &used.quantity);
        let zero = N::zero;
        let mut place = TierPosition {
            before: zero(),
            until: zero(),
            month: zero(),
            included: self.included(at, resource),
            counted_from: zero(),
            weight: None,
        };
        match used {
            None => {}
            Some(Quantity::Whole(quantity)) => {
                place.until = N::of(*quantity);
                place.month = place.until.clone();
                let seconds = |part: &Part<'_>| Decimal::from(part.seconds);
                place.weight = (self.parts.len() > 1)
                    .then(|| (seconds(part), self.parts.iter().map(seconds).sum::<Decimal>()));
            }
            Some(Quantity::Summed(quantities)) => {
                for (index, quantity) in quantities.iter().enumerate() {
                    let before = place.month.clone();
                    place.month = before.plus(&N::of(*quantity))?;
                    if index < at {
                        let free = self.not_counted(index, resource, rule, &before, &place.month)?;
                        place.counted_from = place.counted_from.larger(&free)?.clone();
                        place.before = place.month.clone();
                    }
                    if index <= at {
                        place.until = place.month.clone();
                    }
                }
            }
        }
        Ok(place)
    }

    /// Up to where the units of an earlier part are no part of a rule's blocks: they were free, or another rule's.
    fn not_counted(
        &self,
        part: usize,
        resource: &str,
        rule: RuleInForce<'m>,
        before: &N,
        until: &N,
    ) -> Result<N, PrecisionExceeded> {
        let same_rule = |part: &Part<'m>| base_price(part).is_some_and(|(base, _)| base.order == rule.order);
        if !self.parts.get(part).is_some_and(same_rule) {
            return Ok(until.clone());
        }
        let included = self.included(part, resource);
        Ok(if before.is_less(&included)? { until.smaller(&included)?.clone() } else { N::zero() })
    }

    /// The flat fees of a rule, told and added where a part is the first of the rule's to owe them.
    fn add_flat_fees(
        &mut self,
        at: usize,
        rule: RuleInForce<'m>,
        tariff: &Tariff,
        follow: &mut impl Trace,
    ) -> Result<(), PrecisionExceeded> {
        if tariff.tiers.iter().all(|tier| tier.flat_fee.is_zero()) {
            return Ok(());
        }
        let of_rule = |part: &&Part<'m>| base_price(part).is_some_and(|(base, _)| base.order == rule.order);
        let parts: Vec<_> = self.parts.iter().enumerate().filter(|(_, part)| of_rule(part)).collect();
        let places = parts.iter().map(|(index, part)| self.place(*index, part, &tariff.resource, rule));
        let places: Vec<_> = places.collect::<Result<_, _>>()?;
        for (tier, owing) in flat_fees(tariff, &places)? {
            if parts.get(owing).is_none_or(|(index, _)| *index != at) {
                continue;
            }
            let fee = N::of(tier.flat_fee);
            let step = || ChargeBuilder {
                quantity: Some(Decimal::ONE),
                unit_price: Some(tier.flat_fee),
                ..ChargeBuilder::new(Label::FlatFee { from: tier.from }, rule.id)
            };
            follow.step(step, &fee);
            self.add(at, &fee)?;
        }
        Ok(())
    }

    fn take_discounts(&mut self, follow: &mut impl Trace) -> Result<(), PrecisionExceeded> {
        let discounts = self.each_once(|terms| match terms {
            Terms::Discount(discount) => Some(discount),
            Terms::Base(_) | Terms::Package(_) => None,
        });
        if !discounts.is_empty() {
            follow.line(|| Title::Discounts, None);
        }
        for (rule, discount) in discounts {
            self.take_discount(rule, discount, follow)?;
        }
        Ok(())
    }

    fn take_discount(
        &mut self,
        rule: RuleInForce<'m>,
        discount: &Discount,
        follow: &mut impl Trace,
    ) -> Result<(), PrecisionExceeded> {
        let mut money = discount.money.map(N::of);
        for (part, amount) in self.parts.iter().zip(&mut self.amounts) {
            if !part.rules.iter().any(|other| other.order == rule.order) {
                continue;
            }
            if let Some(payable) = discount.payable_percent.filter(|percent| *percent != Decimal::ONE_HUNDRED)
            {
                let unpaid = N::of(payable).minus(&N::of(Decimal::ONE_HUNDRED))?;
                let taken = amount.times(&unpaid)?.over(&N::of(Decimal::ONE_HUNDRED))?;
                let step = || ChargeBuilder {
                    quantity: Some(amount.shown()),
                    factor: Some(unpaid.shown()),
                    divisor: Some(Decimal::ONE_HUNDRED),
                    ..ChargeBuilder::new(Label::Percent { payable }, rule.id)
                };
                follow.step(step, &taken);
                *amount = amount.plus(&taken)?;
            }
            if let Some(left) = &mut money {
                let taken = N::zero().minus(left.smaller(amount)?)?;
                if !taken.is_zero() {
                    follow.step(|| ChargeBuilder::new(Label::Money, rule.id), &taken);
                    *amount = amount.plus(&taken)?;
                    *left = left.plus(&taken)?;
                }
            }
        }
        Ok(())
    }

    fn packages(&self, follow: &mut impl Trace) -> Result<N, PrecisionExceeded> {
        let packages = self.each_once(|terms| match terms {
            Terms::Package(package) => Some(package),
            Terms::Base(_) | Terms::Discount(_) => None,
        });
        let mut sum = N::zero();
        let mut packages = packages.into_iter().filter(|(_, package)| !package.money.is_zero()).peekable();
        if packages.peek().is_some() {
            follow.line(|| Title::Packages, None);
        }
        for (rule, package) in packages {
            let money = N::of(package.money);
            let step = || ChargeBuilder {
                quantity: Some(Decimal::ONE),
                unit_price: Some(package.money),
                ..ChargeBuilder::new(Label::Package, rule.id)
            };
            follow.step(step, &money);
            sum = sum.plus(&money)?;
        }
        Ok(sum)
    }

    /// The rules of a kind over all parts, each once, in the order in which they were set.
    fn each_once<T>(&self, kind: impl Fn(&'m Terms) -> Option<&'m T>) -> Vec<(RuleInForce<'m>, &'m T)> {
        let rules = self.parts.iter().flat_map(|part| &part.rules);
        let mut found: Vec<_> = rules.filter_map(|rule| Some((*rule, kind(rule.terms)?))).collect();
        if self.parts.len() > 1 {
            found.sort_by_key(|(rule, _)| rule.order);
            found.dedup_by_key(|(rule, _)| rule.order);
        }
        found
    }
}

/// The base price that counts, of those in force.
fn base_price<'r>(part: &Part<'r>) -> Option<(RuleInForce<'r>, &'r [Tariff])> {
    part.rules.iter().rev().find_map(|rule| match rule.terms {
        Terms::Base(tariffs) => Some((*rule, tariffs.as_slice())),
        Terms::Discount(_) | Terms::Package(_) => None,
    })
}

/// The units of each resource that the packages of a part include.
fn included<'r, N: Number>(part: &Part<'r>) -> Result<Vec<(&'r str, N)>, PrecisionExceeded> {
    let mut sums: Vec<(&'r str, N)> = Vec::new();
    for rule in &part.rules {
        let Terms::Package(package) = rule.terms else { continue };
        for quota in &package.quotas {
            let quantity = N::of(quota.quantity);
            match sums.iter_mut().find(|(resource, _)| *resource == quota.resource) {
                Some((_, sum)) => *sum = sum.plus(&quantity)?,
                None => sums.push((&quota.resource, quantity)),
            }
        }
    }
    Ok(sums)
}

fn explain_included<N: Number>(
    place: &TierPosition<N>,
    follow: &mut impl Trace,
) -> Result<(), PrecisionExceeded> {
    let until = place.until.smaller(&place.included)?;
    let before = place.before.smaller(&place.included)?;
    let included = until.minus(before)?;
    if !included.is_zero() {
        let step = || ChargeBuilder {
            quantity: Some(included.shown()),
            unit_price: Some(Decimal::ZERO),
            ..ChargeBuilder::new(Label::Included, None)
        };
        follow.step(step, &N::zero());
    }
    Ok(())
}
