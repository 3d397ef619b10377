//! What reports come to over time: by the hour what adds up and what is greatest, by 5-minute slots what is held.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::buckets::SLOT;
use super::event::SUM_MAX;
use crate::domain::money::{self, OutOfRange};
use crate::domain::plan::Aggregation;

/// A gauge holds its value until the next report, for so many slots at the most: an hour.
const HELD_SLOTS: i32 = 12;
/// Of the slots of a period so many in a hundred are left out from the top.
const LEFT_OUT_PERCENT: usize = 5;

/// What a subject's reports of one hour came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    pub start: DateTime<Utc>,
    pub quantity: Decimal,
}

/// What a gauge's subjects reported in a 5-minute slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotReports {
    pub slot: DateTime<Utc>,
    /// The sum over all of them.
    pub quantity: Decimal,
    /// Whether just these subjects report in the next slot, too: what they hold ends there.
    pub again: bool,
    /// Who reported what, unless just these subjects did in the slot before and will in the next: then their sum is enough.
    pub each: Option<Vec<(String, Decimal)>>,
}

/// A quantity for a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub start: DateTime<Utc>,
    pub quantity: Decimal,
}

/// Points of what adds up, or of what is greatest; `starts` are the beginnings of the buckets, in order, and the end of
/// the last one. A bucket without a report is zero.
pub fn of_hours(
    aggregation: Aggregation,
    hours: &[Hour],
    starts: &[DateTime<Utc>],
) -> Result<Vec<Point>, OutOfRange> {
    let mut found: BTreeMap<usize, Decimal> = BTreeMap::new();
    for hour in hours {
        let Some(bucket) = bucket_of(hour.start, starts) else { continue };
        if hour.quantity.abs() >= SUM_MAX {
            return Err(OutOfRange);
        }
        match found.get_mut(&bucket) {
            None => {
                found.insert(bucket, hour.quantity);
            }
            Some(quantity) if aggregation == Aggregation::Max => *quantity = (*quantity).max(hour.quantity),
            Some(quantity) => *quantity = money::add(*quantity, hour.quantity)?,
        }
    }
    let point = |(bucket, limits): (usize, &[DateTime<Utc>])| {
        let start = limits.first().copied()?;
        Some(Point { start, quantity: found.get(&bucket).copied().unwrap_or_default() })
    };
    Ok(starts.windows(2).enumerate().filter_map(point).collect())
}

fn bucket_of(instant: DateTime<Utc>, starts: &[DateTime<Utc>]) -> Option<usize> {
    let after = starts.partition_point(|start| *start <= instant);
    after.checked_sub(1).filter(|bucket| bucket.checked_add(1).is_some_and(|next| next < starts.len()))
}

fn slots_between(from: DateTime<Utc>, until: DateTime<Utc>) -> usize {
    let seconds = until.signed_duration_since(from).num_seconds().max(0);
    let slot = SLOT.num_seconds().max(1);
    let slots = seconds.saturating_add(slot).saturating_sub(1).checked_div(slot).unwrap_or(0);
    usize::try_from(slots).unwrap_or(0)
}

/// A gauge over a period, from its samples in the order of their slots: it keeps a value for each slot, and the last sample
/// of each subject that is still held.
#[derive(Debug, Clone)]
pub struct Gauge {
    from: DateTime<Utc>,
    levels: Vec<Decimal>,
    reported: Vec<bool>,
    last: HashMap<String, (DateTime<Utc>, Decimal)>,
    /// When those are looked for next that are held no more.
    next_lapse: DateTime<Utc>,
}

impl Gauge {
    pub fn new(from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let slots = slots_between(from, until);
        let (levels, reported) = (vec![Decimal::ZERO; slots], vec![false; slots]);
        Self { from, levels, reported, last: HashMap::new(), next_lapse: DateTime::<Utc>::MIN_UTC }
    }

    /// Takes a sample; those before the period count for as long as they hold.
    pub fn add(&mut self, subject: &str, slot: DateTime<Utc>, quantity: Decimal) -> Result<(), OutOfRange> {
        if slot >= self.next_lapse {
            self.drop_lapsed(slot)?;
        }
        let before = match self.last.get_mut(subject) {
            Some(last) => Some(std::mem::replace(last, (slot, quantity))),
            None => self.last.insert(subject.to_owned(), (slot, quantity)),
        };
        before.map_or(Ok(()), |held| self.hold(held, Some(slot)))
    }

    /// Takes what all subjects reported in a slot.
    pub fn add_slot(&mut self, reports: &SlotReports) -> Result<(), OutOfRange> {
        if reports.quantity.abs() >= SUM_MAX {
            return Err(OutOfRange);
        }
        let next = reports.slot.checked_add_signed(SLOT).ok_or(OutOfRange)?;
        let Some(each) = &reports.each else {
            return self.hold((reports.slot, reports.quantity), Some(next));
        };
        for (subject, quantity) in each {
            self.add(subject, reports.slot, *quantity)?;
        }
        if reports.again {
            for (subject, _) in each {
                if let Some(held) = self.last.remove(subject) {
                    self.hold(held, Some(next))?;
                }
            }
        }
        Ok(())
    }

    /// Counts, once an hour, those that are not held by `slot` any more, and forgets them: subjects come and go.
    fn drop_lapsed(&mut self, slot: DateTime<Utc>) -> Result<(), OutOfRange> {
        let since = slot.checked_sub_signed(held_time()).ok_or(OutOfRange)?;
        self.next_lapse = slot.checked_add_signed(held_time()).ok_or(OutOfRange)?;
        let (held, lapsed) = std::mem::take(&mut self.last).into_iter().partition(|(_, (at, _))| *at > since);
        self.last = held;
        let lapsed: HashMap<String, (DateTime<Utc>, Decimal)> = lapsed;
        lapsed.into_values().try_for_each(|last| self.hold(last, None))
    }

    /// Counts what a subject reported, until it reported again or an hour has passed. What was reported before the first
    /// slot counts from there on.
    fn hold(
        &mut self,
        (slot, quantity): (DateTime<Utc>, Decimal),
        next: Option<DateTime<Utc>>,
    ) -> Result<(), OutOfRange> {
        let lapses = slot.checked_add_signed(held_time()).ok_or(OutOfRange)?;
        let until = next.map_or(lapses, |next| next.min(lapses));
        let slots = slots_between(self.from, slot)..slots_between(self.from, until);
        let held = self.levels.iter_mut().zip(&mut self.reported).take(slots.end).skip(slots.start);
        for (level, reported) in held {
            *level = money::add(*level, quantity)?;
            *reported = true;
        }
        Ok(())
    }

    fn hold_last(&mut self) -> Result<(), OutOfRange> {
        for (_, last) in std::mem::take(&mut self.last) {
            self.hold(last, None)?;
        }
        Ok(())
    }

    /// What stretches of the period come to: the last, the average or the 95th percentile of their slots. `starts` are their
    /// beginnings, in order, and the end of the last; what lies before or after the period counts for nothing.
    pub fn points(
        mut self,
        aggregation: Aggregation,
        starts: &[DateTime<Utc>],
    ) -> Result<Vec<Point>, OutOfRange> {
        self.hold_last()?;
        let mut points = Vec::with_capacity(starts.len());
        for limits in starts.windows(2) {
            let [start, end] = limits else { continue };
            let slots = slots_between(self.from, *start)..slots_between(self.from, *end);
            let count = self.levels.len();
            let of_stretch = self.levels.get(slots.start.min(count)..slots.end.min(count)).unwrap_or(&[]);
            points.push(Point { start: *start, quantity: summary(aggregation, of_stretch)? });
        }
        Ok(points)
    }

    /// What the period comes to, and how many of its slots, after the first report, nobody reported: they count as zero.
    pub fn finish(mut self, aggregation: Aggregation) -> Result<(Decimal, usize), OutOfRange> {
        self.hold_last()?;
        let begun = self.reported.iter().skip_while(|reported| !**reported);
        let silent = begun.filter(|reported| !**reported).count();
        Ok((summary(aggregation, &self.levels)?, silent))
    }
}

fn held_time() -> TimeDelta {
    SLOT.checked_mul(HELD_SLOTS).unwrap_or(SLOT)
}

/// The last slot in which the reports of a slot are held.
pub fn carried_to(slot: DateTime<Utc>) -> DateTime<Utc> {
    let after = held_time().checked_sub(&SLOT).unwrap_or_default();
    slot.checked_add_signed(after).unwrap_or(slot)
}

/// The first slot whose reports are still held in a slot.
pub fn carried_from(slot: DateTime<Utc>) -> DateTime<Utc> {
    let before = held_time().checked_sub(&SLOT).unwrap_or_default();
    slot.checked_sub_signed(before).unwrap_or(slot)
}

fn summary(aggregation: Aggregation, levels: &[Decimal]) -> Result<Decimal, OutOfRange> {
    match aggregation {
        Aggregation::Last => Ok(levels.last().copied().unwrap_or_default()),
        Aggregation::P95 => Ok(percentile(levels)),
        _ => average(levels),
    }
}

/// The highest that is left when the highest 5 % are left out, rounded down to whole slots.
fn percentile(levels: &[Decimal]) -> Decimal {
    let mut levels = levels.to_vec();
    let left_out = levels.len().saturating_mul(LEFT_OUT_PERCENT).checked_div(100).unwrap_or(0);
    if left_out >= levels.len() {
        return Decimal::ZERO;
    }
    let (_, highest_left, _) = levels.select_nth_unstable_by(left_out, |one, other| other.cmp(one));
    *highest_left
}

/// Most slots hold what the slot before held: a level is counted as often as it stands in a row.
fn average(levels: &[Decimal]) -> Result<Decimal, OutOfRange> {
    let mut sum = Decimal::ZERO;
    for equal in levels.chunk_by(|one, other| one == other) {
        let level = equal.first().copied().unwrap_or_default();
        sum = money::add(sum, money::multiply(level, Decimal::from(equal.len()))?)?;
    }
    let count = Decimal::from(levels.len().max(1));
    sum.checked_div(count).ok_or(OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// A subject, a slot, and what it reported.
    type Sample = (String, DateTime<Utc>, Decimal);

    fn sample(subject: &str, slot: &str, quantity: i64) -> Sample {
        (subject.to_owned(), at(slot), Decimal::from(quantity))
    }

    /// As a gauge takes them one by one.
    fn of_samples(samples: &[Sample], starts: &[DateTime<Utc>], now: DateTime<Utc>) -> Gauge {
        let mut sorted = samples.to_vec();
        sorted.sort_by_key(|(_, slot, _)| *slot);
        let mut gauge = Gauge::new(starts[0], starts[starts.len() - 1].min(now));
        for (subject, slot, quantity) in &sorted {
            gauge.add(subject, *slot, *quantity).unwrap();
        }
        gauge
    }

    /// The same as they are read together: by slots, cut where `cut` says.
    fn by_slots(samples: &[Sample], cut: impl Fn(DateTime<Utc>) -> bool) -> Vec<SlotReports> {
        let mut slots: BTreeMap<DateTime<Utc>, BTreeMap<String, Decimal>> = BTreeMap::new();
        for (subject, slot, quantity) in samples {
            slots.entry(*slot).or_default().insert(subject.clone(), *quantity);
        }
        let subjects = |slot: DateTime<Utc>| slots.get(&slot).map(|each| each.keys().collect::<Vec<_>>());
        let reports = slots.iter().map(|(slot, each)| {
            let again = !cut(*slot + SLOT) && subjects(*slot + SLOT) == subjects(*slot);
            let as_before = !cut(*slot) && subjects(*slot - SLOT) == subjects(*slot);
            let told = (!again || !as_before).then(|| each.clone().into_iter().collect());
            SlotReports { slot: *slot, quantity: each.values().sum(), again, each: told }
        });
        reports.collect()
    }

    fn hours(from: &str, count: i64) -> Vec<DateTime<Utc>> {
        (0..=count).map(|hour| at(from) + TimeDelta::hours(hour)).collect()
    }

    fn quantities(points: &[Point]) -> Vec<String> {
        points.iter().map(|point| point.quantity.normalize().to_string()).collect()
    }

    #[test]
    fn a_gauge_holds_for_an_hour_and_is_summed_over_its_subjects() {
        let samples = [
            sample("a", "2026-03-01T09:30:00Z", 4),
            sample("a", "2026-03-01T11:00:00Z", 10),
            sample("b", "2026-03-01T10:30:00Z", 2),
        ];
        let starts = hours("2026-03-01T10:00:00Z", 3);
        let later = at("2026-03-02T00:00:00Z");
        let points = |aggregation, now| {
            quantities(&of_samples(&samples, &starts, now).points(aggregation, &starts).unwrap())
        };
        // 10:00 to 10:30 four (held since 9:30), to 11:30 two of b, from 11:00 to 12:00 ten of a.
        assert_eq!(points(Aggregation::Average, later), ["3", "11", "0"]);
        assert_eq!(points(Aggregation::Last, later), ["2", "10", "0"]);
        assert_eq!(points(Aggregation::P95, later), ["4", "12", "0"]);
        // What lies ahead counts for nothing, neither as zero nor as what is held.
        let now = at("2026-03-01T11:30:00Z");
        assert_eq!(points(Aggregation::Average, now), ["3", "12", "0"]);
        assert_eq!(points(Aggregation::Last, now), ["2", "12", "0"]);
    }

    #[test]
    fn the_percentile_leaves_out_whole_slots_from_the_top() {
        let levels = |count: usize| (1..=count).map(Decimal::from).collect::<Vec<_>>();
        for (count, expected) in [(1, 1), (19, 19), (20, 19), (39, 38), (40, 38), (8_640, 8_208)] {
            assert_eq!(percentile(&levels(count)), Decimal::from(expected), "{count} slots");
        }
        assert_eq!(percentile(&[]), Decimal::ZERO);
    }

    #[test]
    fn sums_and_maxima_fall_into_the_bucket_of_their_hour() {
        let hour = |start: &str, quantity: i64| Hour { start: at(start), quantity: Decimal::from(quantity) };
        let all = [
            hour("2026-03-01T09:00:00Z", 100),
            hour("2026-03-01T10:00:00Z", 1),
            hour("2026-03-01T10:00:00Z", 5),
            hour("2026-03-01T12:00:00Z", 3),
            hour("2026-03-01T13:00:00Z", 100),
        ];
        let starts = hours("2026-03-01T10:00:00Z", 3);
        assert_eq!(quantities(&of_hours(Aggregation::Sum, &all, &starts).unwrap()), ["6", "0", "3"]);
        assert_eq!(quantities(&of_hours(Aggregation::Max, &all, &starts).unwrap()), ["5", "0", "3"]);
        let beyond = Hour { quantity: -SUM_MAX, ..hour("2026-03-01T11:00:00Z", 0) };
        assert_eq!(of_hours(Aggregation::Sum, &[beyond], &starts), Err(OutOfRange));
    }

    proptest::proptest! {
        /// Whoever reports when: a gauge that is told sums comes to what one comes to that is told every sample.
        #[test]
        fn slots_that_are_read_together_come_to_what_their_samples_do(
            reported in proptest::collection::vec((0_usize..4, 0_i64..60, -9_i64..100), 0..160),
            cut in 1_i64..20,
            now in 20_i64..60,
        ) {
            let begin = at("2026-03-01T09:00:00Z");
            let slot = |number: i64| begin + SLOT * i32::try_from(number).unwrap();
            // Two that report nearly always, and two that come and go.
            let always = (0..60).flat_map(|number| [("a", number), ("b", number)]);
            let mut samples: BTreeMap<(DateTime<Utc>, String), Decimal> = always
                .filter(|(subject, number)| *subject == "a" || number % 17 != 0)
                .map(|(subject, number)| ((slot(number), subject.to_owned()), Decimal::from(number)))
                .collect();
            for (subject, number, quantity) in reported {
                let subject = ["a", "b", "c", "d"][subject].to_owned();
                samples.insert((slot(number), subject), Decimal::from(quantity));
            }
            let samples: Vec<Sample> =
                samples.into_iter().map(|((slot, subject), quantity)| (subject, slot, quantity)).collect();
            let starts: Vec<DateTime<Utc>> = (0..5).map(|hour| slot(12) + TimeDelta::hours(hour)).collect();
            let now = slot(now);
            let mut together = Gauge::new(starts[0], starts[4].min(now));
            for reports in by_slots(&samples, |at| (at - begin).num_minutes() % (5 * cut) == 0) {
                together.add_slot(&reports).unwrap();
            }
            let one_by_one = of_samples(&samples, &starts, now);
            for aggregation in [Aggregation::Last, Aggregation::Average, Aggregation::P95] {
                let (one, other) = (one_by_one.clone(), together.clone());
                proptest::prop_assert_eq!(
                    one.points(aggregation, &starts).unwrap(),
                    other.points(aggregation, &starts).unwrap()
                );
                let (one, other) = (one_by_one.clone(), together.clone());
                proptest::prop_assert_eq!(
                    one.finish(aggregation).unwrap(),
                    other.finish(aggregation).unwrap()
                );
            }
        }
    }
}
