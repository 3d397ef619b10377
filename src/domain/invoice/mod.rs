//! Invoices: an account's calendar month of payment, grouped by what was paid with. Source: the pay2.0 document;
//! docs/INVOICES.md.

mod contents;
mod held_up;
mod movement;
mod value;

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::cell::CellNumber;
use super::closing::Month;
use super::codes::coded_enum;
use super::ids::{BillId, InvoiceId, PrepaymentId};
use super::money::CurrencyCode;

pub use contents::{Contents, contents_of};
pub use held_up::HeldUp;
pub use movement::{BurstPart, Movement, Original, Prepaid};

/// What invoices tell the worth of everything in, beside the currency that it was paid in.
pub const VALUED_IN: &str = "USD";

coded_enum! {
    /// Where an invoice stands.
    InvoiceStatus {
        /// Its month runs, or its invoice is held up.
        Draft = "DRAFT",
        /// It has a number, and never changes again.
        Issued = "ISSUED",
    }
}

/// What an invoice gets when it is issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    pub number: String,
    pub at: DateTime<Utc>,
}

/// An account's month of payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    pub id: InvoiceId,
    pub month: Month,
    /// The first day of the calendar month that it is.
    pub period: NaiveDate,
    /// None: a draft.
    pub issue: Option<Issue>,
    /// What the account was called.
    pub customer: String,
    pub contents: Contents,
}

impl Invoice {
    pub fn status(&self) -> InvoiceStatus {
        if self.issue.is_some() { InvoiceStatus::Issued } else { InvoiceStatus::Draft }
    }
}

/// What was paid in one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub currency: CurrencyCode,
    pub total_amount: Decimal,
    /// What its items were worth in US dollars; None where that is not known of one.
    pub total_usd: Option<Decimal>,
    pub items: Vec<Arc<Item>>,
}

/// Something that was paid, or given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub title: String,
    /// In the group's asset; negative where money was given back.
    pub amount: Decimal,
    /// What the amount was worth in US dollars, where that is known.
    pub usd: Option<Decimal>,
    /// The app's picture.
    pub icon_url: Option<String>,
    pub prepayment: Option<PrepaymentId>,
    pub bill: Option<BillId>,
}

/// The pictures of items, each once, in the order in which they come.
pub fn icon_urls<'i>(items: impl Iterator<Item = &'i Arc<Item>>) -> Vec<&'i str> {
    let mut seen: HashSet<&str> = HashSet::new();
    items.filter_map(|item| item.icon_url.as_deref()).filter(|url| seen.insert(url)).collect()
}

/// The first day of the calendar month that an invoice's month is: that of its middle, so that it stays the same where the
/// account goes to another time zone before it is issued.
pub fn period_of(month: Month, zone: Tz) -> NaiveDate {
    let half = month.end.signed_duration_since(month.start).checked_div(2);
    let middle = half.and_then(|half| month.start.checked_add_signed(half)).unwrap_or(month.start);
    let day = middle.with_timezone(&zone).date_naive();
    day.with_day(1).unwrap_or(day)
}

/// The number of a year's so many-th invoice of a cell: `INV-2026-000001` in the home cell, `INV-2026-C1-000001` in the first other
/// one. Each cell counts by itself.
pub fn number(cell: CellNumber, year: i32, count: i64) -> String {
    if cell == CellNumber::HOME {
        return format!("INV-{year}-{count:06}");
    }
    format!("INV-{year}-C{cell}-{count:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_stays_what_it_is_in_other_zones() {
        let august = Month {
            start: "2026-08-01T00:00:00Z".parse().unwrap(),
            end: "2026-09-01T00:00:00Z".parse().unwrap(),
        };
        for zone in [Tz::UTC, Tz::Asia__Shanghai, Tz::Pacific__Honolulu, Tz::Pacific__Kiritimati] {
            assert_eq!(period_of(august, zone).to_string(), "2026-08-01", "{zone}");
        }
    }

    #[test]
    fn numbers_have_six_digits_or_more() {
        assert_eq!(number(CellNumber::HOME, 2026, 7), "INV-2026-000007");
        assert_eq!(number(CellNumber::HOME, 2026, 1_234_567), "INV-2026-1234567");
        assert_eq!(number(CellNumber::new(12).unwrap(), 2026, 7), "INV-2026-C12-000007");
    }
}
