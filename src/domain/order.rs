//! Orders: what an account has bought, and for how long.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::codes::coded_enum;
use super::ids::{AccountId, OrderId, PlanId, printed_number};
use super::money::{self, CurrencyCode, Money, OutOfRange};
use super::period::BillPeriod;

/// The most of one plan that one order can hold.
pub const QUANTITY_MAX: i32 = 10_000;

coded_enum! {
    /// How an order came about.
    OrderType {
        New = "NEW",
        /// Continues the order that it names as previous.
        Renew = "RENEW",
        /// Replaces the order that it names as previous.
        Change = "CHANGE",
    }
}

coded_enum! {
    /// Where an order stands.
    OrderState {
        /// Placed, and not paid yet.
        Unpaid = "UNPAID",
        Active = "ACTIVE",
        /// Within 7 days of its end.
        Expiring = "EXPIRING",
        /// Its end has passed without renewal.
        Suspended = "SUSPENDED",
        /// Seven days after its end.
        Ended = "ENDED",
        /// Ended before its time, or replaced.
        Cancelled = "CANCELLED",
    }
}

impl OrderState {
    /// The states in which an order counts as the account's.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Unpaid | Self::Active | Self::Expiring | Self::Suspended)
    }
}

/// An order, with the prices at which it was bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub name: String,
    pub order_type: OrderType,
    pub state: OrderState,
    pub previous: Option<OrderId>,
    pub plan: Option<PlanId>,
    /// Whether its plan is one of which there is at most one live order per region.
    pub exclusive: bool,
    pub quantity: i32,
    pub region: Option<String>,
    pub datacenter: Option<String>,
    pub resource_type: String,
    pub product_name: String,
    pub bill_period: BillPeriod,
    pub currency: CurrencyCode,
    /// Of one, per period.
    pub price: Decimal,
    /// Of one, once.
    pub once_price: Option<Decimal>,
    /// The current period, from 1.
    pub seq: i32,
    /// How many periods it runs.
    pub seq_count: i32,
    pub auto_renewal: bool,
    pub comment: Option<String>,
    pub created_at: DateTime<Utc>,
    pub delivered_at: Option<DateTime<Utc>>,
    /// None: on demand, until it is cancelled.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Order {
    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    pub fn number(&self) -> String {
        printed_number('O', self.id.0)
    }

    /// What a period costs, for the whole quantity.
    pub fn cycle_price(&self) -> Result<Money, OutOfRange> {
        Ok(Money::new(money::multiply(self.price, Decimal::from(self.quantity))?, self.currency))
    }

    /// The debits to come: the renewal at the end, if it renews itself.
    pub fn schedule(&self) -> Result<Vec<ScheduledDebit>, OutOfRange> {
        match self.expires_at {
            Some(due_at) if self.auto_renewal && self.state.is_live() => {
                let seq = self.seq_count.saturating_add(1);
                Ok(vec![ScheduledDebit { due_at, amount: self.cycle_price()?, seq }])
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// A debit to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduledDebit {
    pub due_at: DateTime<Utc>,
    pub amount: Money,
    /// Which of the order's periods it is for, from 1.
    pub seq: i32,
}
