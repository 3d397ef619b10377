//! Bills: what is to be paid for one period.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::codes::coded_enum;
use super::ids::{AccountId, BillId, OrderId, TransactionId, printed_number};
use super::money::{self, CurrencyCode};
use super::period::next_of_series;

coded_enum! {
    /// Where a bill stands. It is paid whole or not at all.
    BillStatus {
        Unpaid = "UNPAID",
        Paid = "PAID",
        /// Past its due date.
        Overdue = "OVERDUE",
        /// No longer to be paid.
        Void = "VOID",
    }
}

/// A bill that is not paid so long after it fell due suspends what it is for.
pub const GRACE: TimeDelta = TimeDelta::days(7);
/// What is overdue is tried again once a day.
const LOOKED_AT_EVERY: TimeDelta = TimeDelta::days(1);

/// A bill; `amount` = `once_amount` + `cycle_amount` − `credit_amount` + `replaced_amount` + `withheld_amount`. One without
/// an order is for a month's usage, and its `cycle_amount` is the sum of its records, rounded; of a correction it may be
/// negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    pub id: BillId,
    pub order: Option<OrderId>,
    pub status: BillStatus,
    pub currency: CurrencyCode,
    pub amount: Decimal,
    /// In an order's first bill only.
    pub once_amount: Decimal,
    pub cycle_amount: Decimal,
    /// What is left of the period of the order that this one's order replaces.
    pub credit_amount: Decimal,
    /// What open bills of the same month asked for that this correction takes the place of.
    pub replaced_amount: Decimal,
    /// What a correction does not credit, as it had been given back already; negative where such a part is asked for no more.
    pub withheld_amount: Decimal,
    pub start_time: DateTime<Utc>,
    pub end_time: DateTime<Utc>,
    pub seq: i32,
    pub seq_count: i32,
    pub due_at: DateTime<Utc>,
    pub last_paid_at: Option<DateTime<Utc>>,
    pub paid_by: Option<TransactionId>,
    /// What was given back of its payment.
    pub refunded_amount: Decimal,
    /// What was counted of it for an order that took the place of its own.
    pub credited_amount: Decimal,
    /// When the jobs have to look at it next.
    pub next_step_at: Option<DateTime<Utc>>,
    pub datacenter: Option<String>,
    /// The bill of the same month that this one corrects.
    pub correction_of: Option<BillId>,
    pub created_at: DateTime<Utc>,
}

/// What lists show of a bill before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillHeader {
    pub id: BillId,
    pub order: Option<OrderId>,
    pub status: BillStatus,
    pub currency: CurrencyCode,
    pub amount: Decimal,
}

impl BillHeader {
    pub fn number(&self) -> String {
        printed_number('B', self.id.0)
    }
}

/// A bill's place among those that are due.
pub type DueAt = (DateTime<Utc>, BillId);

/// What open bills ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenBills {
    pub amount: Decimal,
    /// Whether these are all; where they are too many, they are the oldest.
    pub is_all: bool,
}

impl Bill {
    pub fn header(&self) -> BillHeader {
        let Self { id, order, status, currency, amount, .. } = *self;
        BillHeader { id, order, status, currency, amount }
    }

    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    pub fn number(&self) -> String {
        printed_number('B', self.id.0)
    }

    /// Whether it is still to be paid.
    pub fn is_open(&self) -> bool {
        matches!(self.status, BillStatus::Unpaid | BillStatus::Overdue)
    }

    /// What it asks for; one that waits for its order to be begun asks for nothing yet.
    pub fn asked_for(&self) -> Decimal {
        let is_asked = self.status == BillStatus::Overdue || self.next_step_at.is_some();
        if self.is_open() && is_asked { self.amount } else { Decimal::ZERO }
    }

    /// Whether it is to be paid by now.
    pub fn is_due(&self, instant: DateTime<Utc>) -> bool {
        self.is_open() && self.due_at <= instant
    }

    /// Whether it is so late that what it is for is suspended.
    pub fn has_lapsed(&self, instant: DateTime<Utc>) -> bool {
        self.is_open() && self.due_at.checked_add_signed(GRACE).is_some_and(|lapse| lapse <= instant)
    }

    /// When the jobs have to look at it after `instant`: at its due date, and once a day as long as it is open.
    pub fn next_step_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !self.is_open() {
            return None;
        }
        next_of_series(self.due_at, LOOKED_AT_EVERY, DateTime::<Utc>::MAX_UTC, instant)
    }

    /// The same, for the jobs to pay at once, as the money is there and it is the next one.
    pub fn next_to_pay(&self, instant: DateTime<Utc>) -> Self {
        Self { next_step_at: Some(instant), ..self.clone() }
    }

    /// The bill that the others of its month correct; None of an order's.
    pub fn original(&self) -> Option<BillId> {
        self.order.is_none().then(|| self.correction_of.unwrap_or(self.id))
    }

    /// The same, to be paid no longer.
    pub fn voided(&self) -> Self {
        Self { status: BillStatus::Void, next_step_at: None, ..self.clone() }
    }

    /// What the amount of a correction is made of beside what the month costs more or less.
    pub fn taken_over(&self) -> Vec<(&'static str, Decimal)> {
        let parts =
            [("asked for before", self.replaced_amount), ("already given back", self.withheld_amount)];
        parts.into_iter().filter(|(_, amount)| !amount.is_zero()).collect()
    }

    /// How the amount of an order's bill comes about: titles and amounts that sum to it.
    pub fn lines(&self) -> Vec<(&'static str, Decimal)> {
        let parts = [
            ("once", self.once_amount),
            ("period", self.cycle_amount),
            ("credit for the replaced order", money::negate(self.credit_amount)),
        ];
        let needed = |(title, amount): &(&str, Decimal)| !amount.is_zero() || *title == "period";
        parts.into_iter().filter(needed).collect()
    }
}
