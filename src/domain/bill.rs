//! Bills: what is to be paid for one period.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::codes::coded_enum;
use super::ids::{AccountId, BillId, OrderId, TransactionId, printed_number};
use super::money::{self, CurrencyCode};

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

/// A bill; `amount` = `once_amount` + `cycle_amount` − `credit_amount`.
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
    pub datacenter: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl Bill {
    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    pub fn number(&self) -> String {
        printed_number('B', self.id.0)
    }

    /// How the amount comes about: titles and amounts that sum to it.
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
