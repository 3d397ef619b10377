//! Consumption records: what was consumed in one period, by one order or as metered usage, and how its price came about.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::ids::{AccountId, BillId, OrderId, RecordId, printed_number};
use super::money::{self, CurrencyCode};
use super::order::OrderType;
use super::period::PaymentType;
use super::rating::{Label, Line, Step};

/// A record of consumption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: RecordId,
    pub bill: BillId,
    /// None for metered usage.
    pub order: Option<RecordOrder>,
    pub resource_type: String,
    pub product_name: String,
    pub datacenter: Option<String>,
    pub start_time: DateTime<Utc>,
    pub end_time: DateTime<Utc>,
    pub currency: CurrencyCode,
    /// Of a prepaid period the bill's amount; of what is billed afterwards an amount at ledger scale.
    pub price: Decimal,
    pub content: Content,
    pub created_at: DateTime<Utc>,
}

/// The order that a record is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordOrder {
    pub id: OrderId,
    pub number: String,
    pub order_type: OrderType,
}

/// What a record's price is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A prepaid period: the payment of its bill, told as consumption (docs/adr/0008).
    Period {
        quantity: i32,
        /// Of one, per period.
        unit_price: Decimal,
        /// Of one, once.
        once_price: Decimal,
        once_amount: Decimal,
        cycle_amount: Decimal,
        credit_amount: Decimal,
    },
    /// What was rated afterwards.
    Rated(Vec<Line>),
}

/// A part of a record's price, with the steps that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    pub title: String,
    /// The code of the resource that was metered.
    pub resource: Option<String>,
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

    /// Whether it was paid beforehand or is paid afterwards.
    pub fn pay_way(&self) -> PaymentType {
        match self.content {
            Content::Period { .. } => PaymentType::Prepay,
            Content::Rated(_) => PaymentType::Postpay,
        }
    }

    /// What the price is made of; the details sum to it.
    pub fn details(&self) -> Vec<Detail> {
        match &self.content {
            Content::Rated(lines) => lines.iter().map(of_line).collect(),
            Content::Period {
                quantity,
                unit_price,
                once_price,
                once_amount,
                cycle_amount,
                credit_amount,
            } => {
                let quantity = Decimal::from(*quantity);
                let mut details = vec![priced("period", quantity, *unit_price, *cycle_amount)];
                if !once_amount.is_zero() {
                    details.push(priced("once", quantity, *once_price, *once_amount));
                }
                if !credit_amount.is_zero() {
                    details.push(credit(*credit_amount));
                }
                details
            }
        }
    }
}

fn of_line(line: &Line) -> Detail {
    Detail {
        title: line.title.to_string(),
        resource: line.title.resource().map(str::to_owned),
        quantity: line.quantity.unwrap_or(Decimal::ONE),
        price: line.amount,
        steps: line.steps.clone(),
    }
}

fn priced(title: &str, quantity: Decimal, unit_price: Decimal, price: Decimal) -> Detail {
    let step =
        Step { quantity: Some(quantity), unit_price: Some(unit_price), ..Step::of(Label::Price, price) };
    Detail { title: title.to_owned(), resource: None, quantity, price, steps: vec![step] }
}

fn credit(amount: Decimal) -> Detail {
    let price = money::negate(amount);
    Detail {
        title: "credit for the replaced order".to_owned(),
        resource: None,
        quantity: Decimal::ONE,
        price,
        steps: vec![Step::of(Label::Credit, price)],
    }
}
