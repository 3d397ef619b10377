//! The table that the suite prints.

use std::fmt;

use abacus::clock::wall;

use super::support::{Latencies, rounds, seconds};

/// Where it is kept, and between which lines.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/BENCHMARKS.md");
const BEGIN: &str = "<!-- suite -->";
const END: &str = "<!-- /suite -->";

/// What a ratio is held to.
pub enum Bar {
    AtLeast(f64),
    /// At least the one, hoped to be the other.
    Aim(f64, f64),
    AtMost(f64),
}

/// Processor's seconds of 1,000 operations.
pub struct Cost {
    pub server: f64,
    pub postgres: f64,
}

pub struct Row {
    pub scenario: String,
    pub per_second: Option<f64>,
    pub latencies: Option<Latencies>,
    pub ratio: Option<f64>,
    pub bar: String,
    pub is_met: bool,
    pub cost: Option<Cost>,
    pub memory: Option<u64>,
}

impl Row {
    pub fn new(scenario: &str) -> Self {
        Self {
            scenario: scenario.to_owned(),
            per_second: None,
            latencies: None,
            ratio: None,
            bar: String::new(),
            is_met: true,
            cost: None,
            memory: None,
        }
    }

    pub fn held_to(self, ratio: f64, bar: Bar) -> Self {
        let (text, is_met) = match bar {
            Bar::AtLeast(least) => (format!("{least:.2}"), ratio >= least),
            Bar::Aim(least, aim) => (format!("{least:.2}, aim {aim:.2}"), ratio >= least),
            Bar::AtMost(most) => (format!("at most {most:.2}"), ratio <= most),
        };
        Self { ratio: Some(ratio), ..self.held(&text, is_met) }
    }

    /// To something that is no ratio.
    pub fn held(self, bar: &str, is_met: bool) -> Self {
        Self { bar: bar.to_owned(), is_met, ..self }
    }
}

/// Whole numbers, by thousands.
fn by_thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.per_second.map(by_thousands).unwrap_or_default();
        write!(f, "| {} | {rate} |", self.scenario)?;
        for part in [0.5, 0.99, 0.999] {
            let milliseconds = |all: &Latencies| format!("{:.2}", all.quantile(part).as_secs_f64() * 1e3);
            write!(
                f,
                " {} |",
                self.latencies.as_ref().filter(|all| all.count() > 0).map(milliseconds).unwrap_or_default()
            )?;
        }
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let missed = if self.is_met { "" } else { " **missed**" };
        write!(f, " {ratio} | {}{missed} |", self.bar)?;
        let cost = |of: fn(&Cost) -> f64| self.cost.as_ref().map(|cost| format!("{:.3}", of(cost)));
        write!(f, " {} |", cost(|cost| cost.server).unwrap_or_default())?;
        write!(f, " {} |", cost(|cost| cost.postgres).unwrap_or_default())?;
        writeln!(f, " {} |", self.memory.map(|memory| format!("{memory} MB")).unwrap_or_default())
    }
}

pub struct Table {
    rows: Vec<Row>,
    postgres: String,
}

impl Table {
    pub fn new(rows: Vec<Row>, postgres: String) -> Self {
        Self { rows, postgres }
    }

    /// Puts it into the document if ABACUS_SUITE_WRITE says so.
    pub fn write_if_wanted(&self) {
        if std::env::var_os("ABACUS_SUITE_WRITE").is_none_or(|wanted| wanted != "1") {
            return;
        }
        assert!(!cfg!(debug_assertions), "only what was built for release is worth keeping");
        let text = std::fs::read_to_string(DOCUMENT).expect("docs/BENCHMARKS.md");
        let (before, rest) = text.split_once(BEGIN).expect("a line where it begins");
        let (_, after) = rest.split_once(END).expect("a line where it ends");
        std::fs::write(DOCUMENT, format!("{before}{BEGIN}\n{self}{END}{after}")).expect("it is written");
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (day, rounds, seconds) = (wall().format("%Y-%m-%d"), rounds(), seconds());
        let postgres = &self.postgres;
        writeln!(f, "{day}, {cores} cores, PostgreSQL {postgres}, {rounds} rounds of {seconds} s each.\n")?;
        writeln!(
            f,
            "| scenario | per second | p50, ms | p99, ms | p99.9, ms | ratio | at least | server, CPU s per 1,000 | PostgreSQL, CPU s per 1,000 | server's memory |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|")?;
        self.rows.iter().try_for_each(|row| write!(f, "{row}"))
    }
}
