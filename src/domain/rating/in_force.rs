//! Which rules count for an account, and when: defaults, own rules, windows.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Part, RuleInForce};
use crate::domain::money::CurrencyCode;
use crate::domain::price_rule::{PriceRule, Terms};

/// The rules that count for an account of that currency, in the order in which they were set: at an instant, those that
/// it is rated by; without one, all that are or were or will be for it, its own and the defaults.
pub fn that_apply(
    own: &[Arc<PriceRule>],
    defaults: &[Arc<PriceRule>],
    currency: CurrencyCode,
    at: Option<DateTime<Utc>>,
) -> Vec<Arc<PriceRule>> {
    let of_currency = |rule: &&Arc<PriceRule>| rule.definition.currency.is_none_or(|own| own == currency);
    let counts = |rule: &&Arc<PriceRule>| at.is_none_or(|at| rule.is_in_force(at));
    let is_base = |rule: &Arc<PriceRule>| matches!(rule.definition.terms, Terms::Base(_));
    let mut rules: Vec<_> = own.iter().filter(of_currency).filter(counts).cloned().collect();
    if at.is_none() || !rules.iter().any(is_base) {
        rules.extend(defaults.iter().filter(of_currency).filter(counts).cloned());
    }
    rules.sort_by_key(|rule| rule.order());
    rules
}

/// A stretch of time within which the same rules count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricePeriod {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// In the order in which they were set.
    pub rules: Vec<Arc<PriceRule>>,
}

impl PricePeriod {
    /// Whether any of its rules prices a resource.
    pub fn has_tariff(&self, resource: &str) -> bool {
        self.rules.iter().any(|rule| match &rule.definition.terms {
            Terms::Base(tariffs) => tariffs.iter().any(|tariff| tariff.resource == resource),
            _ => false,
        })
    }

    /// As a part of the month that is rated.
    pub fn part(&self) -> Part<'_> {
        let rules = self.rules.iter().map(|rule| RuleInForce {
            id: Some(rule.id),
            order: rule.order(),
            terms: &rule.definition.terms,
        });
        let seconds = self.to.signed_duration_since(self.from).num_seconds();
        Part { seconds, rules: rules.collect() }
    }
}

/// Cuts [from, to) wherever the rules that count for the account change.
pub fn price_periods(
    own: &[Arc<PriceRule>],
    defaults: &[Arc<PriceRule>],
    currency: CurrencyCode,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Vec<PricePeriod> {
    let edges = own.iter().chain(defaults).flat_map(|rule| [Some(rule.effective_from), rule.effective_until]);
    let cuts: BTreeSet<_> =
        edges.flatten().filter(|edge| from < *edge && *edge < to).chain([from, to]).collect();
    let mut price_periods: Vec<PricePeriod> = Vec::new();
    for (start, end) in cuts.iter().zip(cuts.iter().skip(1)) {
        let rules = that_apply(own, defaults, currency, Some(*start));
        match price_periods.last_mut() {
            Some(last) if last.rules == rules => last.to = *end,
            _ => price_periods.push(PricePeriod { from: *start, to: *end, rules }),
        }
    }
    price_periods
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{AccountId, PriceDefinitionId, PriceRuleId};
    use crate::domain::price_rule::{Discount, PriceDefinition};

    fn day(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::days(day)
    }

    fn rule(
        id: i64,
        account: Option<i64>,
        window: (i64, Option<i64>),
        currency: &str,
        is_base: bool,
    ) -> Arc<PriceRule> {
        let terms = if is_base {
            Terms::Base(Vec::new())
        } else {
            Terms::Discount(Discount { money: None, payable_percent: None })
        };
        let definition = PriceDefinition {
            id: PriceDefinitionId(id),
            kind: String::new(),
            description: String::new(),
            currency: CurrencyCode::parse(currency),
            terms,
            created_at: day(0),
        };
        Arc::new(PriceRule {
            id: PriceRuleId(id),
            account: account.map(AccountId),
            effective_from: day(window.0),
            effective_until: window.1.map(day),
            definition: Arc::new(definition),
            created_at: day(0),
            created_by: String::new(),
        })
    }

    fn ids(own: &[Arc<PriceRule>], defaults: &[Arc<PriceRule>]) -> Vec<(i64, Vec<i64>)> {
        let currency = CurrencyCode::parse("CNY").unwrap();
        let price_periods = price_periods(own, defaults, currency, day(0), day(30));
        assert_eq!((price_periods[0].from, price_periods.last().unwrap().to), (day(0), day(30)));
        assert!(price_periods.windows(2).all(|pair| pair[0].to == pair[1].from), "no gap and no overlap");
        let of = |price_period: &PricePeriod| {
            let days = price_period.part().seconds / 86_400;
            (days, price_period.rules.iter().map(|rule| rule.id.0).collect())
        };
        price_periods.iter().map(of).collect()
    }

    #[test]
    fn a_month_is_cut_where_rules_begin_and_end() {
        let own = [rule(1, Some(7), (-5, None), "CNY", true), rule(2, Some(7), (10, Some(20)), "CNY", false)];
        assert_eq!(ids(&own, &[]), [(10, vec![1]), (10, vec![1, 2]), (10, vec![1])]);
        assert_eq!(ids(&[], &[]), [(30, vec![])]);
    }

    #[test]
    fn a_base_price_of_its_own_takes_the_place_of_all_defaults() {
        let defaults = [rule(1, None, (-5, None), "CNY", true), rule(3, None, (-5, None), "CNY", false)];
        let own = [rule(2, Some(7), (-5, None), "CNY", false), rule(4, Some(7), (12, None), "CNY", true)];
        assert_eq!(ids(&own, &defaults), [(12, vec![1, 2, 3]), (18, vec![2, 4])]);
    }

    #[test]
    fn rules_count_in_the_order_in_which_they_were_set_whatever_their_numbers() {
        // Set in a cell whose numbers are higher, before its account came back.
        let set_at =
            |rule: Arc<PriceRule>, at: i64| PriceRule { created_at: day(at), ..PriceRule::clone(&rule) };
        let before = Arc::new(set_at(rule(9, Some(7), (-5, None), "CNY", true), 1));
        let after = Arc::new(set_at(rule(4, Some(7), (-5, None), "CNY", true), 2));
        assert_eq!(ids(&[Arc::clone(&after), Arc::clone(&before)], &[]), [(30, vec![9, 4])]);
        assert!(before.order() < after.order());
        let together = rule(5, Some(7), (-5, None), "CNY", true);
        assert!(rule(4, Some(7), (-5, None), "CNY", true).order() < together.order());
    }

    #[test]
    fn rules_of_other_currencies_do_not_cut() {
        let defaults = [rule(1, None, (-5, None), "CNY", true), rule(2, None, (9, Some(11)), "USD", true)];
        assert_eq!(ids(&[], &defaults), [(30, vec![1])]);
    }
}
