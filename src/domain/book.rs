//! The part of the world that decisions are made on: one account, and what its commands name.

use std::collections::HashMap;
use std::sync::Arc;

use super::account::Account;
use super::bill::Bill;
use super::command::Answer;
use super::ids::{PlanId, TransactionId};
use super::ledger::Entry;
use super::money::Currencies;
use super::order::Order;
use super::plan::Plan;
use super::transaction::Transaction;

/// What belongs to no account.
#[derive(Debug)]
pub struct Catalogue {
    pub currencies: Arc<Currencies>,
    pub plans: HashMap<PlanId, Plan>,
}

/// A live order of an exclusive plan, with its bills.
#[derive(Debug, Clone)]
pub struct ExclusiveOrder {
    pub order: Arc<Order>,
    pub bills: Vec<Arc<Bill>>,
}

/// One account under its lock, and what it has gained since it was read.
#[derive(Debug, Clone)]
pub struct Book {
    pub account: Account,
    pub answers: HashMap<String, Answer>,
    pub exclusive_orders: Vec<ExclusiveOrder>,
    /// Those that commands name.
    pub transactions: HashMap<TransactionId, Arc<Transaction>>,
    pub gained: Gain,
}

/// Rows that came to be, and rows that changed.
#[derive(Debug, Clone, Default)]
pub struct Gain {
    pub orders: Vec<Arc<Order>>,
    pub changed_orders: Vec<Arc<Order>>,
    pub bills: Vec<Arc<Bill>>,
    pub changed_bills: Vec<Arc<Bill>>,
    pub transactions: Vec<Arc<Transaction>>,
    pub changed_transactions: Vec<Arc<Transaction>>,
    pub entries: Vec<Entry>,
    pub answers: Vec<Answer>,
}

/// What a decision changes, all at once.
#[derive(Debug, Clone)]
pub struct Change {
    pub account: Account,
    pub gain: Gain,
}

impl Book {
    pub fn new(account: Account) -> Self {
        Self {
            account,
            answers: HashMap::new(),
            exclusive_orders: Vec::new(),
            transactions: HashMap::new(),
            gained: Gain::default(),
        }
    }

    /// Makes a decided change true in the book.
    pub fn apply(&mut self, change: Change) {
        let Change { account, gain } = change;
        self.account = account;
        for answer in &gain.answers {
            self.answers.insert(answer.key.clone(), answer.clone());
        }
        for transaction in gain.changed_transactions.iter().chain(&gain.transactions) {
            self.transactions.insert(transaction.id, Arc::clone(transaction));
        }
        self.take_exclusive_orders(&gain);
        self.gained.take(gain);
    }

    fn take_exclusive_orders(&mut self, gain: &Gain) {
        for changed in &gain.changed_orders {
            self.exclusive_orders.retain(|held| held.order.id != changed.id);
        }
        for order in gain.orders.iter().chain(&gain.changed_orders) {
            if order.exclusive && order.state.is_live() {
                let of_order = |bill: &&Arc<Bill>| bill.order == Some(order.id);
                let bills =
                    gain.bills.iter().chain(&gain.changed_bills).filter(of_order).map(Arc::clone).collect();
                self.exclusive_orders.push(ExclusiveOrder { order: Arc::clone(order), bills });
            }
        }
    }
}

impl Gain {
    /// Adds a later gain. What was made or changed before and has changed again is kept once, as it is now.
    fn take(&mut self, later: Gain) {
        for order in later.changed_orders {
            keep_latest(&mut self.orders, &mut self.changed_orders, order, |order| order.id);
        }
        for bill in later.changed_bills {
            keep_latest(&mut self.bills, &mut self.changed_bills, bill, |bill| bill.id);
        }
        for transaction in later.changed_transactions {
            keep_latest(&mut self.transactions, &mut self.changed_transactions, transaction, |t| t.id);
        }
        self.orders.extend(later.orders);
        self.bills.extend(later.bills);
        self.transactions.extend(later.transactions);
        self.entries.extend(later.entries);
        self.answers.extend(later.answers);
    }
}

fn keep_latest<T, K: PartialEq>(
    made: &mut [Arc<T>],
    changed: &mut Vec<Arc<T>>,
    row: Arc<T>,
    id: impl Fn(&T) -> K,
) {
    let held = made.iter_mut().chain(changed.iter_mut()).find(|held| id(held) == id(&row));
    match held {
        Some(held) => *held = row,
        None => changed.push(row),
    }
}
