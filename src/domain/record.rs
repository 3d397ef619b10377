//! Consumption records: what one order consumed in one period, and how its price came about.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::ids::{AccountId, BillId, OrderId, RecordId, printed_number};
use super::money::{self, CurrencyCode};
use super::order::OrderType;
use super::rating::{Label, Step};

/// The record of a prepaid period: the payment of its bill, told as consumption (docs/adr/0008). What is metered will
/// have records of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: RecordId,
    pub bill: BillId,
    pub order: OrderId,
    pub order_number: String,
    pub order_type: OrderType,
    pub resource_type: String,
    pub product_name: String,
    pub quantity: i32,
    /// Of one, per period.
    pub unit_price: Decimal,
    /// Of one, once.
    pub once_price: Decimal,
    pub datacenter: Option<String>,
    pub start_time: DateTime<Utc>,
    pub end_time: DateTime<Utc>,
    pub currency: CurrencyCode,
    /// What the period was charged: the bill's amount.
    pub price: Decimal,
    pub once_amount: Decimal,
    pub cycle_amount: Decimal,
    pub credit_amount: Decimal,
    pub created_at: DateTime<Utc>,
}

/// A part of a record's price, with the steps that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    pub title: &'static str,
    pub quantity: Decimal,
    pub price: Decimal,
    pub steps: Vec<Step>,
}

impl Record {
    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    pub fn number(&self) -> String {
        printed_number('R', self.id.0)
    }

    /// What the price is made of; the details sum to it.
    pub fn details(&self) -> Vec<Detail> {
        let quantity = Decimal::from(self.quantity);
        let mut details = vec![priced("period", quantity, self.unit_price, self.cycle_amount)];
        if !self.once_amount.is_zero() {
            details.push(priced("once", quantity, self.once_price, self.once_amount));
        }
        if !self.credit_amount.is_zero() {
            let price = money::negate(self.credit_amount);
            let step = Step::of(Label::Credit, price);
            details.push(Detail {
                title: "credit for the replaced order",
                quantity: Decimal::ONE,
                price,
                steps: vec![step],
            });
        }
        details
    }
}

fn priced(title: &'static str, quantity: Decimal, unit_price: Decimal, price: Decimal) -> Detail {
    let step =
        Step { quantity: Some(quantity), unit_price: Some(unit_price), ..Step::of(Label::Price, price) };
    Detail { title, quantity, price, steps: vec![step] }
}
