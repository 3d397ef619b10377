//! The part of the world that decisions are made on: one account, and what its commands name.

use std::collections::HashMap;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::account::Account;
use super::approval::{Approval, ApprovalState, OperatorMove};
use super::capacity::{Prices, TermDiscount};
use super::ids::PlanId;
use super::money::{Currencies, CurrencyCode};
use super::order::OrderState;
use super::plan::{Plan, Resource};
use super::policies::Policies;
use super::seal::SealKeys;

pub use super::bill::{DueAt, OpenBills};
pub use super::tables::{Book, InTable, Keyed, Rows, Table, WriteSet};

/// What belongs to no account.
#[derive(Debug)]
pub struct Catalogue {
    pub currencies: Arc<Currencies>,
    pub policies: Policies,
    /// What seals and hashes are made with.
    pub keys: Arc<SealKeys>,
    pub plans: HashMap<PlanId, Plan>,
    pub capacity: CapacityCatalogue,
}

/// What subscriptions cost, of the resources that commands are about.
#[derive(Debug, Default)]
pub struct CapacityCatalogue {
    /// By their codes.
    pub resources: HashMap<String, Resource>,
    /// The prices of subscriptions that hold now.
    pub prices: Prices,
    pub discounts: Vec<TermDiscount>,
}

/// What a decision changes, all at once.
#[derive(Debug, Clone)]
pub struct Change {
    pub account: Account,
    pub writes: WriteSet,
}

impl Book {
    /// What waits for another operator.
    pub fn pending_approvals(&self) -> impl Iterator<Item = &Arc<Approval>> {
        self.approvals.values().filter(|held| held.state == ApprovalState::Pending)
    }

    /// How much of a currency an operator has moved without another within a day.
    pub fn moved_alone(&self, by: &str, currency: CurrencyCode) -> Decimal {
        self.moved_alone.get(&(by.to_owned(), currency)).copied().unwrap_or_default()
    }

    /// Makes a decided change true in the book.
    pub fn apply(&mut self, change: Change) {
        let Change { account, writes } = change;
        self.account = account;
        for (_, answer) in writes.answers.iter().chain(&writes.changed_answers) {
            self.answers.insert(answer.key.clone(), answer.clone());
        }
        let unpaid = writes.orders.new.iter().filter(|order| order.state == OrderState::Unpaid).count();
        self.unpaid_orders = self.unpaid_orders.saturating_add(unpaid);
        self.open_quotes = self.open_quotes.saturating_add(writes.prepay_quotes.len());
        self.add_to_open_bills(&writes);
        for OperatorMove { by, money, .. } in &writes.operator_moves {
            let moved = self.moved_alone.entry((by.clone(), money.currency)).or_default();
            *moved = moved.checked_add(money.amount).unwrap_or(Decimal::MAX);
        }
        self.untold.retain(|name| !writes.told.contains(name));
        self.enter(&writes);
        self.gained.merge(writes);
    }

    /// Where not all open bills are held, what they ask for is counted on.
    fn add_to_open_bills(&mut self, writes: &WriteSet) {
        let Some(open) = &mut self.open_bills else { return };
        for bill in writes.bills.changed.iter().chain(&writes.bills.new) {
            let before = self.bills.get(&bill.id).map_or(Decimal::ZERO, |bill| bill.asked_for());
            let change = bill.asked_for().checked_sub(before);
            let amount = change.and_then(|change| open.amount.checked_add(change));
            open.amount = amount.unwrap_or(Decimal::MAX);
        }
    }
}
