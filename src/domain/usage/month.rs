//! What an account used in a period, as it is rated: in parts where it adds up, as one quantity where it does not.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::series::{Gauge, Hour, SlotReports, of_hours};
use crate::domain::money::{self, OutOfRange};
use crate::domain::plan::Aggregation;
use crate::domain::rating::{Part, Quantity, Usage};

/// What was reported of one resource in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    pub resource: String,
    pub aggregation: Aggregation,
    /// Of what adds up, or of which the greatest counts: by the hour, over all subjects.
    pub hours: Vec<Hour>,
    /// What a gauge came to in the whole period.
    pub held: Result<Decimal, OutOfRange>,
}

/// The reports of a period, as they are read part by part.
#[derive(Debug)]
pub struct Gathering {
    period: (DateTime<Utc>, DateTime<Utc>),
    resources: BTreeMap<String, Gathered>,
}

#[derive(Debug)]
struct Gathered {
    aggregation: Aggregation,
    hours: Vec<Hour>,
    gauge: Result<Gauge, OutOfRange>,
}

impl Gathering {
    pub fn new(start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        Self { period: (start, end), resources: BTreeMap::new() }
    }

    fn resource(&mut self, code: String, aggregation: Aggregation) -> &mut Gathered {
        let (start, end) = self.period;
        self.resources.entry(code).or_insert_with(|| {
            let end = if aggregation.is_gauge() { end } else { start };
            Gathered { aggregation, hours: Vec::new(), gauge: Ok(Gauge::new(start, end)) }
        })
    }

    /// Takes an hour of what adds up, or of which the greatest counts.
    pub fn hour(&mut self, resource: String, aggregation: Aggregation, hour: Hour) {
        self.resource(resource, aggregation).hours.push(hour);
    }

    /// Takes a slot of a gauge; slots come in their order.
    pub fn slot(&mut self, resource: String, aggregation: Aggregation, reports: &SlotReports) {
        let gathered = self.resource(resource, aggregation);
        if let Err(error) = gathered.gauge.as_mut().map_or(Ok(()), |gauge| gauge.add_slot(reports)) {
            gathered.gauge = Err(error);
        }
    }

    /// What was reported of each resource.
    pub fn finish(self) -> Vec<Reports> {
        let finished = self.resources.into_iter().map(|(resource, gathered)| {
            let Gathered { aggregation, hours, gauge } = gathered;
            let held = gauge.and_then(|gauge| gauge.finish(aggregation)).map(|(quantity, _)| quantity);
            Reports { resource, aggregation, hours, held }
        });
        finished.collect()
    }
}

/// The usage of a period whose parts begin and end at `cuts`. An hour belongs to the part that it begins in.
pub fn usage_in(reports: &[Reports], cuts: &[DateTime<Utc>]) -> Result<Vec<Usage>, OutOfRange> {
    let whole: Vec<DateTime<Utc>> = [cuts.first(), cuts.last()].into_iter().flatten().copied().collect();
    let mut usage = Vec::with_capacity(reports.len());
    for report in reports {
        let only = |points: Vec<super::Point>| points.first().map_or(Decimal::ZERO, |point| point.quantity);
        let quantity = match report.aggregation {
            Aggregation::Sum => {
                let parts = of_hours(report.aggregation, &report.hours, cuts)?;
                Quantity::Summed(parts.into_iter().map(|point| point.quantity).collect())
            }
            Aggregation::Max => Quantity::Whole(only(of_hours(report.aggregation, &report.hours, &whole)?)),
            Aggregation::Last | Aggregation::Average | Aggregation::P95 => Quantity::Whole(report.held?),
        };
        usage.push(Usage { resource: report.resource.clone(), quantity });
    }
    Ok(usage)
}

/// The usage of a whole period if it goes on as it did until `now`: `so_far` is that of its parts up to now, `seconds` are
/// those of the parts that lie ahead. What does not add up stays as it is.
pub fn at_this_pace(so_far: &[Usage], elapsed: i64, seconds_ahead: &[i64]) -> Result<Vec<Usage>, OutOfRange> {
    let mut usage = Vec::with_capacity(so_far.len());
    for used in so_far {
        let quantity = match &used.quantity {
            Quantity::Whole(quantity) => Quantity::Whole(*quantity),
            Quantity::Summed(parts) => {
                let mut sum = Decimal::ZERO;
                for part in parts {
                    sum = money::add(sum, *part)?;
                }
                let mut parts = parts.clone();
                for seconds in seconds_ahead {
                    parts.push(share(sum, *seconds, elapsed)?);
                }
                Quantity::Summed(parts)
            }
        };
        usage.push(Usage { resource: used.resource.clone(), quantity });
    }
    Ok(usage)
}

/// `quantity × seconds ÷ of`, to as many places as quantities have.
fn share(quantity: Decimal, seconds: i64, of: i64) -> Result<Decimal, OutOfRange> {
    let share = quantity.checked_div(Decimal::from(of.max(1))).ok_or(OutOfRange)?;
    money::multiply(share.round_dp(super::QUANTITY_PLACES), Decimal::from(seconds))
}

/// The time that lies ahead, as a part in which nothing has a price yet: what does not add up is priced for the time that
/// has passed only.
pub fn still_to_come<'r>(seconds: i64) -> Part<'r> {
    Part { seconds, rules: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn summed(parts: &[&str]) -> Quantity {
        Quantity::Summed(parts.iter().map(|part| part.parse().unwrap()).collect())
    }

    #[test]
    fn what_adds_up_falls_into_the_part_that_its_hour_begins_in() {
        let start = at("2026-03-01T00:00:00Z");
        let hour = |hours: i64, quantity: i64| Hour {
            start: start + TimeDelta::hours(hours),
            quantity: Decimal::from(quantity),
        };
        let of = |resource: &str, aggregation, hours: &[Hour]| Reports {
            resource: resource.to_owned(),
            aggregation,
            hours: hours.to_vec(),
            held: Ok(Decimal::ZERO),
        };
        let hours = [hour(0, 1), hour(9, 2), hour(10, 4), hour(11, 8)];
        let reports = [of("a", Aggregation::Sum, &hours), of("b", Aggregation::Max, &hours)];
        let cuts = [start, start + TimeDelta::minutes(570), start + TimeDelta::hours(11)];
        let usage = usage_in(&reports, &cuts).unwrap();
        assert_eq!(usage[0].quantity, summed(&["3", "4"]));
        assert_eq!(usage[1].quantity, Quantity::Whole(Decimal::from(4)));
    }

    #[test]
    fn a_pace_goes_on_for_the_seconds_that_lie_ahead() {
        let so_far = [
            Usage { resource: "a".to_owned(), quantity: summed(&["3", "4"]) },
            Usage { resource: "b".to_owned(), quantity: Quantity::Whole(Decimal::from(4)) },
        ];
        let month = at_this_pace(&so_far, 700, &[100, 200]).unwrap();
        assert_eq!(month[0].quantity, summed(&["3", "4", "1.00", "2.00"]));
        assert_eq!(month[1], so_far[1]);
        assert_eq!(at_this_pace(&so_far, 0, &[1]).unwrap()[0].quantity, summed(&["3", "4", "7"]));
    }
}
