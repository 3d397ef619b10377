//! A charge with its explanation: lines, and the steps of each, which sum to it to the last digit.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::number::Number;
use crate::domain::ids::PriceRuleId;
use crate::domain::money::{self, OutOfRange, format_decimal};

/// What usage costs under rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub total: Decimal,
    pub lines: Vec<Line>,
}

/// What one thing costs; the lines' amounts sum to the total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub title: Title,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Decimal>,
    pub amount: Decimal,
    pub steps: Vec<Step>,
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Title {
    /// A resource, by its code.
    Resource(String),
    /// Used, and without a price in force.
    Unpriced(String),
    /// Used, and out of range at its price.
    Unrated(String),
    Discounts,
    Packages,
    /// An order on demand, by the second.
    OnDemand,
    /// What an order on demand costs once.
    Once,
    /// What was charged for the same month before.
    ChargedBefore,
    Rounding,
}

impl Title {
    /// The code of the resource that it is about.
    pub fn resource(&self) -> Option<&str> {
        match self {
            Self::Resource(code) | Self::Unpriced(code) | Self::Unrated(code) => Some(code),
            Self::Discounts
            | Self::Packages
            | Self::OnDemand
            | Self::Once
            | Self::ChargedBefore
            | Self::Rounding => None,
        }
    }
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(code) => f.write_str(code),
            Self::Unpriced(code) => write!(f, "{code} (UNPRICED)"),
            Self::Unrated(code) => write!(f, "{code} (UNRATED)"),
            Self::Discounts => f.write_str("discounts"),
            Self::Packages => f.write_str("packages"),
            Self::OnDemand => f.write_str("on demand"),
            Self::Once => f.write_str("once"),
            Self::ChargedBefore => f.write_str("charged before"),
            Self::Rounding => f.write_str("rounding"),
        }
    }
}

/// One step: `amount` = `quantity` × `unit_price` × `factor` ÷ `divisor`, where they are given. Where that has no end, as
/// a third has none, the amount is what 20 places show, and the last step, the rounding, makes the sum right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub label: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divisor: Option<Decimal>,
    pub amount: Decimal,
    /// The rule that it follows; none for rules that are tried and not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<PriceRuleId>,
}

impl Step {
    /// A step of that amount, and nothing else.
    pub fn of(label: Label, amount: Decimal) -> Self {
        Self { label, quantity: None, unit_price: None, factor: None, divisor: None, amount, rule: None }
    }
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Label {
    /// Units that packages include.
    Included,
    /// Units of the tier from here to there.
    Tier {
        from: Decimal,
        to: Option<Decimal>,
    },
    /// Blocks of `per` units, the started ones whole, of the tier from here to there.
    Blocks {
        from: Decimal,
        to: Option<Decimal>,
        per: Decimal,
    },
    /// The fee of the tier from here on.
    FlatFee {
        from: Decimal,
    },
    /// The share that need not be paid, in percent.
    Percent {
        payable: Decimal,
    },
    /// Money that a discount takes off.
    Money,
    /// What a package costs.
    Package,
    /// There is no price for it.
    Unpriced,
    /// What it comes to is out of range.
    Unrated,
    /// So many of a plan, at its price.
    Price,
    /// What was paid for the days left of an order that is replaced.
    Credit,
    /// Capacity for a time.
    Capacity,
    /// The processors of an app.
    AppCpu,
    /// The memory of an app.
    AppMem,
    /// The storage of an app.
    AppStorage,
    /// Seconds at a price by the hour.
    Seconds,
    /// So many of a plan, at what it costs once.
    Once,
    /// What was charged before, taken off.
    ChargedBefore,
    /// The share that need not be paid for a long term, as a fraction.
    TermDiscount {
        value: Decimal,
    },
    Rounding,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |number: &Decimal| format_decimal(*number, 0);
        let to =
            |to: &Option<Decimal>| to.as_ref().map(|to| format!(" to {}", short(to))).unwrap_or_default();
        match self {
            Self::Included => f.write_str("included in packages"),
            Self::Tier { from, to: end } => write!(f, "above {}{}", short(from), to(end)),
            Self::Blocks { from, to: end, per } => {
                write!(f, "above {}{}, started blocks of {}", short(from), to(end), short(per))
            }
            Self::FlatFee { from } => write!(f, "flat fee of the tier above {}", short(from)),
            Self::Percent { payable } => write!(f, "{} % are paid", short(payable)),
            Self::Money => f.write_str("discount"),
            Self::Package => f.write_str("package"),
            Self::Unpriced => f.write_str("no price in force"),
            Self::Unrated => f.write_str("out of range: not charged until it can be rated"),
            Self::Price => f.write_str("price"),
            Self::Credit => f.write_str("credit for days already paid"),
            Self::Capacity => f.write_str("capacity"),
            Self::AppCpu => f.write_str("processors"),
            Self::AppMem => f.write_str("memory"),
            Self::AppStorage => f.write_str("storage"),
            Self::Seconds => f.write_str("seconds at a price by the hour"),
            Self::Once => f.write_str("once"),
            Self::ChargedBefore => f.write_str("charged before"),
            Self::TermDiscount { value } => write!(f, "term discount of {}", short(value)),
            Self::Rounding => f.write_str("rounding"),
        }
    }
}

/// Follows a calculation.
pub trait Trace {
    fn line(&mut self, title: impl FnOnce() -> Title, quantity: Option<Decimal>);
    fn step<N: Number>(&mut self, step: impl FnOnce() -> ChargeBuilder, amount: &N);
}

/// A step whose amount is still a number of the calculation.
pub struct ChargeBuilder {
    pub label: Label,
    pub quantity: Option<Decimal>,
    pub unit_price: Option<Decimal>,
    pub factor: Option<Decimal>,
    pub divisor: Option<Decimal>,
    pub rule: Option<PriceRuleId>,
}

impl ChargeBuilder {
    pub fn new(label: Label, rule: Option<PriceRuleId>) -> Self {
        Self { label, quantity: None, unit_price: None, factor: None, divisor: None, rule }
    }
}

/// Wants the total alone.
#[derive(Default)]
pub struct NoTrace;

impl Trace for NoTrace {
    fn line(&mut self, _: impl FnOnce() -> Title, _: Option<Decimal>) {}
    fn step<N: Number>(&mut self, _: impl FnOnce() -> ChargeBuilder, _: &N) {}
}

/// Keeps every line and step.
#[derive(Default)]
pub struct TraceLines(Vec<Line>);

/// Lines of most charges, and steps of most lines.
const USUAL: usize = 6;

impl Trace for TraceLines {
    fn line(&mut self, title: impl FnOnce() -> Title, quantity: Option<Decimal>) {
        if self.0.is_empty() {
            self.0.reserve(USUAL);
        }
        self.0.push(Line { title: title(), quantity, amount: Decimal::ZERO, steps: Vec::new() });
    }

    fn step<N: Number>(&mut self, step: impl FnOnce() -> ChargeBuilder, amount: &N) {
        let Some(line) = self.0.last_mut() else { return };
        let ChargeBuilder { label, quantity, unit_price, factor, divisor, rule } = step();
        if line.steps.is_empty() {
            line.steps.reserve(USUAL);
        }
        line.steps.push(Step { label, quantity, unit_price, factor, divisor, amount: amount.shown(), rule });
    }
}

impl TraceLines {
    /// The charge of that total: sums the steps into their lines, and adds what rounding makes. Where the sums would take
    /// more digits than can be kept, the steps are written with fewer places: the explanation gives way, not the charge.
    pub fn into_charge(self, total: Decimal) -> Result<Charge, OutOfRange> {
        let mut lines = self.0;
        let mut places = PLACES_MAX;
        let difference = loop {
            match sum_up(&mut lines).and_then(|sum| money::subtract(total, sum)) {
                Ok(difference) => break difference,
                Err(OutOfRange) => {
                    places = places.checked_sub(PLACES_LESS).ok_or(OutOfRange)?;
                    write_shorter(&mut lines, places);
                }
            }
        };
        // Lines of nothing say nothing, but for those of a resource.
        lines.retain(|line| !line.steps.is_empty() || line.title.resource().is_some());
        if !difference.is_zero() {
            lines.push(rounding(difference));
        }
        Ok(Charge { total, lines })
    }
}

/// Places of a step's amount, and how many fewer are tried where the sums do not fit.
const PLACES_MAX: u32 = 28;
const PLACES_LESS: u32 = 4;

/// Sums the steps into their lines, and answers the sum of all.
fn sum_up(lines: &mut [Line]) -> Result<Decimal, OutOfRange> {
    let mut sum = Decimal::ZERO;
    for line in lines {
        line.amount = Decimal::ZERO;
        for step in &line.steps {
            line.amount = money::add(line.amount, step.amount)?;
        }
        sum = money::add(sum, line.amount)?;
    }
    Ok(sum)
}

fn write_shorter(lines: &mut [Line], places: u32) {
    for step in lines.iter_mut().flat_map(|line| &mut line.steps) {
        step.amount = step.amount.round_dp(places);
    }
}

fn rounding(amount: Decimal) -> Line {
    let step = Step::of(Label::Rounding, amount);
    Line { title: Title::Rounding, quantity: None, amount, steps: vec![step] }
}
