use async_graphql::{Object, SimpleObject};
use rust_decimal::Decimal;

use super::charge::ChargeStep;
use super::money::Money;
use crate::domain::money::CurrencyCode;
use crate::domain::{self, capacity};
use crate::graphql::runtime::eager::Inline;
use crate::graphql::scalars::Exact;

/// What something would cost.
pub struct PriceQuote {
    pub quote: capacity::Quote,
    pub currency: CurrencyCode,
}

impl PriceQuote {
    fn money(&self, amount: Decimal) -> Inline<Money> {
        Money::inline(domain::money::Money::new(amount, self.currency))
    }
}

/// What something would cost, and how that comes about.
#[Object]
impl PriceQuote {
    /// What is to be paid.
    async fn price(&self) -> Inline<Money> {
        self.money(self.quote.price)
    }

    /// Without the discount.
    async fn list_price(&self) -> Inline<Money> {
        self.money(self.quote.list_price)
    }

    /// What is taken off for the term.
    async fn discount(&self) -> Inline<Money> {
        self.money(self.quote.discount)
    }

    /// How the price comes about; the steps sum to it.
    async fn steps(&self) -> Vec<ChargeStep> {
        self.quote.steps.iter().cloned().map(ChargeStep).collect()
    }
}

/// A discount on subscriptions of at least `months`.
#[derive(SimpleObject)]
pub struct TermDiscount {
    /// The term, for people.
    period: String,
    /// The term, in months: of the terms not longer than the subscription the longest applies.
    months: i32,
    /// The fraction taken off: 0.25 is a quarter.
    value: Exact,
}

impl From<capacity::TermDiscount> for TermDiscount {
    fn from(discount: capacity::TermDiscount) -> Self {
        let capacity::TermDiscount { period, months, value } = discount;
        Self { period, months, value: Exact::number(value) }
    }
}
