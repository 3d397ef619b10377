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
/// What is overdue is tried again, and warned of, once a day.
const REMINDED_EVERY: TimeDelta = TimeDelta::days(1);

/// A bill; `amount` = `once_amount` + `cycle_amount` − `credit_amount`. One without an order is for a month's usage, and
/// its `cycle_amount` is the sum of its records, rounded; of a correction it may be negative.
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
    pub start_time: DateTime<Utc>,
    pub end_time: DateTime<Utc>,
    pub seq: i32,
    pub seq_count: i32,
    pub due_at: DateTime<Utc>,
    pub last_paid_at: Option<DateTime<Utc>>,
    pub paid_by: Option<TransactionId>,
    /// What was given back of its payment.
    pub refunded_amount: Decimal,
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

    /// Whether it is to be paid by now.
    pub fn is_due(&self, instant: DateTime<Utc>) -> bool {
        self.is_open() && self.due_at <= instant
    }

    /// Whether it is so late that what it is for is suspended.
    pub fn has_lapsed(&self, instant: DateTime<Utc>) -> bool {
        self.is_open() && self.due_at.checked_add_signed(GRACE).is_some_and(|lapse| lapse <= instant)
    }

    /// When the jobs have to look at it after `instant`: at its due date, and once a day until the grace period is over.
    pub fn next_step_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !self.is_open() {
            return None;
        }
        let last = self.due_at.checked_add_signed(GRACE)?;
        next_of_series(self.due_at, REMINDED_EVERY, last, instant)
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
