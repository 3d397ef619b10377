//! What several subjects have of something at the same time, as their reports hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::buckets::SLOT;
use super::series::{carried_from, carried_to};

/// What subjects reported, by slot.
#[derive(Debug, Default)]
pub struct Together(HashMap<String, BTreeMap<DateTime<Utc>, Decimal>>);

impl Together {
    /// Takes a report; a later one of the same slot takes its place.
    pub fn report(&mut self, slot: DateTime<Utc>, subject: &str, quantity: Decimal) {
        self.0.entry(subject.to_owned()).or_default().insert(slot, quantity);
    }

    /// The most that all have at once while a subject's report of a slot would hold: until its next one, or for an hour.
    pub fn most_with(&self, slot: DateTime<Utc>, subject: &str, quantity: Decimal) -> Decimal {
        let next = self.0.get(subject).and_then(|own| own.range(slot..).find(|(at, _)| **at > slot));
        let over = carried_to(slot).checked_add_signed(SLOT).unwrap_or(slot);
        let until = next.map_or(over, |(at, _)| over.min(*at));
        let others = || self.0.iter().filter(|(other, _)| other.as_str() != subject);
        // What others have rises only where they report.
        let reports = others().flat_map(|(_, reports)| reports.range(slot..until).map(|(at, _)| *at));
        let rises: BTreeSet<DateTime<Utc>> = reports.chain([slot]).collect();
        let held_at = |at: DateTime<Utc>| {
            let last = |reports: &BTreeMap<DateTime<Utc>, Decimal>| {
                reports.range(carried_from(at)..=at).next_back().map(|(_, quantity)| *quantity)
            };
            others().filter_map(|(_, reports)| last(reports)).fold(quantity, Decimal::saturating_add)
        };
        rises.into_iter().map(held_at).max().unwrap_or(quantity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_stands_beside_all_that_holds_until_the_next_of_its_subject() {
        let at = |minute: u32| format!("2026-03-01T10:{minute:02}:00Z").parse::<DateTime<Utc>>().unwrap();
        let mut together = Together::default();
        together.report(at(20), "one", Decimal::from(6));
        together.report(at(40), "one", Decimal::from(1));
        let most = |minute, subject| together.most_with(at(minute), subject, Decimal::from(2));
        assert_eq!(most(30, "two"), Decimal::from(8), "beside what holds");
        assert_eq!(most(5, "two"), Decimal::from(8), "held into what comes");
        assert_eq!(most(40, "two"), Decimal::from(3), "the later report");
        assert_eq!(most(30, "one"), Decimal::from(2), "in its own place");
        together.report(at(15), "two", Decimal::ZERO);
        assert_eq!(together.most_with(at(5), "two", Decimal::from(2)), Decimal::from(2), "until its next");
    }
}
