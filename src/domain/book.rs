//! The part of the world that decisions are made on: one account, and what its commands name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use super::account::{Account, SuspendedSpan};
use super::approval::{Approval, ApprovalState, OperatorMove};
use super::bill::Bill;
use super::capacity::{Prices, TermDiscount};
use super::closing::ClosedMonth;
use super::erasure::Erasure;
use super::idempotency::IdempotencyRecord;
use super::ids::{
    AccountId, ApprovalId, BillId, OrderId, PaymentId, PaymentMethodId, PlanId, PrepaymentId, QuoteId,
    TransactionId,
};
use super::ledger::Entry;
use super::money::{Currencies, CurrencyCode};
use super::notice::Notice;
use super::order::{Order, OrderState};
use super::payment::Payment;
use super::payment_method::PaymentMethod;
use super::plan::{Plan, Resource};
use super::policies::Policies;
use super::prepay::{Deposit, DepositPlace, PrepayQuote, Prepayment};
use super::record::Record;
use super::reversal::{ProviderReference, Reversal};
use super::seal::SealKeys;
use super::transaction::Transaction;

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

/// One account under its lock, with what its commands need, and what it has gained since it was read.
///
/// It holds at least: the answers of the commands' keys; the orders, bills and transactions that they name, and those
/// orders' bills and predecessors with theirs; before a purchase, all live orders of exclusive plans with their bills; before
/// money comes in or a bill is paid, the open bills that are due up to `due_horizon`, with their orders, beyond that the next
/// ones of those orders and of months, and some of the orders whose renewal waits for money, those that end first; before the
/// account may be suspended or not any more, all live orders on demand; before it is closed, all live orders and open bills, if
/// they are not too many; before it is opened again, its last month; before it is erased, whether anything of it is open; of a
/// month's bill that is named, all bills of that month; before a
/// month is closed or corrected, the closed ones that overlap it; of payments and prepayments that are named, each other,
/// what they renew or give back, their transactions, their reversals, and whatever has taken the same offer; the
/// prepayments of the addresses that are named; of what waits for another operator, what is named, or held by a key that is, and
/// before an operator's command is weighed all of it, with what operators have moved within a day.
#[derive(Debug, Clone)]
pub struct Book {
    pub account: Account,
    pub answers: HashMap<String, IdempotencyRecord>,
    pub orders: BTreeMap<OrderId, Arc<Order>>,
    pub bills: BTreeMap<BillId, Arc<Bill>>,
    pub transactions: HashMap<TransactionId, Arc<Transaction>>,
    /// By their beginnings.
    pub closed_months: BTreeMap<DateTime<Utc>, ClosedMonth>,
    /// Before one is added all that are kept; else those that are named.
    pub payment_methods: BTreeMap<PaymentMethodId, Arc<PaymentMethod>>,
    pub prepay_quotes: HashMap<QuoteId, Arc<PrepayQuote>>,
    pub prepayments: BTreeMap<PrepaymentId, Arc<Prepayment>>,
    pub payments: BTreeMap<PaymentId, Arc<Payment>>,
    /// All of the charges that are named.
    pub reversals: BTreeMap<ProviderReference, Arc<Reversal>>,
    /// What is named of what does not match, and operators were not told of.
    pub untold: BTreeSet<ProviderReference>,
    /// All to the addresses that are named, and of the prepayments that wait for some.
    pub deposits: BTreeMap<DepositPlace, Arc<Deposit>>,
    pub approvals: BTreeMap<ApprovalId, Arc<Approval>>,
    /// Those of them that are not what a server has sealed.
    pub altered_approvals: BTreeSet<ApprovalId>,
    /// What operators have moved without another within a day.
    pub moved_alone: HashMap<(String, CurrencyCode), Decimal>,
    /// How many of its orders wait for their first payment; read before one is placed that will.
    pub unpaid_orders: usize,
    /// How many offers hold; read before one is made.
    pub open_quotes: usize,
    /// Whether it has SUB accounts that are not closed; read before it is closed.
    pub has_open_subs: bool,
    /// Whether its MAIN account is closed; read before it is opened again.
    pub has_closed_parent: bool,
    /// Where more bills are due than are paid at once, the first that is not paid now; None: the book holds all that are due.
    pub due_horizon: Option<DueAt>,
    /// What its open bills ask for in all, where that counts and the book does not hold them; None: it does.
    pub open_bills: Option<OpenBills>,
    /// Whether more runs and is open than can be ended at once; read before it is closed.
    pub is_too_large_to_close: bool,
    /// What of it is still open or waits for something, for people; read before it is erased.
    pub unsettled: Option<String>,
    pub gained: Gain,
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
    pub notices: Vec<Arc<Notice>>,
    pub answers: Vec<IdempotencyRecord>,
    /// Those that hold something else by now.
    pub changed_answers: Vec<IdempotencyRecord>,
    /// New or changed.
    pub approvals: BTreeMap<ApprovalId, Arc<Approval>>,
    pub operator_moves: Vec<OperatorMove>,
    pub records: Vec<Record>,
    pub prepay_quotes: Vec<Arc<PrepayQuote>>,
    /// New or changed.
    pub payment_methods: BTreeMap<PaymentMethodId, Arc<PaymentMethod>>,
    /// New or changed.
    pub prepayments: BTreeMap<PrepaymentId, Arc<Prepayment>>,
    /// New or changed.
    pub payments: BTreeMap<PaymentId, Arc<Payment>>,
    /// New or changed.
    pub reversals: BTreeMap<ProviderReference, Arc<Reversal>>,
    /// What does not match, and operators are told of.
    pub told: BTreeSet<ProviderReference>,
    /// Those of which it was decided anew what they are good for.
    pub deposits: BTreeMap<DepositPlace, Arc<Deposit>>,
    /// New or changed, by their accounts and beginnings.
    pub closed_months: BTreeMap<(AccountId, DateTime<Utc>), ClosedMonth>,
    pub suspended_spans: Vec<SuspendedSpan>,
    /// Days (UTC) of accounts whose months are to be looked at again.
    pub late_days: Vec<(AccountId, NaiveDate)>,
    /// Accounts whose time zone has changed.
    pub moved: Vec<AccountId>,
    /// Whether what few commands change of accounts has changed.
    pub account_settings: bool,
    /// Accounts that are erased from now on.
    pub erasures: Vec<Erasure>,
    /// Whether anything was decided that must be kept.
    pub changed: bool,
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
            orders: BTreeMap::new(),
            bills: BTreeMap::new(),
            transactions: HashMap::new(),
            closed_months: BTreeMap::new(),
            payment_methods: BTreeMap::new(),
            prepay_quotes: HashMap::new(),
            prepayments: BTreeMap::new(),
            payments: BTreeMap::new(),
            reversals: BTreeMap::new(),
            untold: BTreeSet::new(),
            deposits: BTreeMap::new(),
            approvals: BTreeMap::new(),
            altered_approvals: BTreeSet::new(),
            moved_alone: HashMap::new(),
            unpaid_orders: 0,
            open_quotes: 0,
            has_open_subs: false,
            has_closed_parent: false,
            due_horizon: None,
            open_bills: None,
            is_too_large_to_close: false,
            unsettled: None,
            gained: Gain::default(),
        }
    }

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
        let Change { account, gain } = change;
        self.account = account;
        for answer in gain.answers.iter().chain(&gain.changed_answers) {
            self.answers.insert(answer.key.clone(), answer.clone());
        }
        for transaction in gain.changed_transactions.iter().chain(&gain.transactions) {
            self.transactions.insert(transaction.id, Arc::clone(transaction));
        }
        for order in gain.changed_orders.iter().chain(&gain.orders) {
            self.orders.insert(order.id, Arc::clone(order));
        }
        let unpaid = gain.orders.iter().filter(|order| order.state == OrderState::Unpaid).count();
        self.unpaid_orders = self.unpaid_orders.saturating_add(unpaid);
        self.open_quotes = self.open_quotes.saturating_add(gain.prepay_quotes.len());
        for bill in gain.changed_bills.iter().chain(&gain.bills) {
            let before = self.bills.insert(bill.id, Arc::clone(bill));
            if let Some(open) = &mut self.open_bills {
                let change =
                    bill.asked_for().checked_sub(before.map_or(Decimal::ZERO, |bill| bill.asked_for()));
                let amount = change.and_then(|change| open.amount.checked_add(change));
                open.amount = amount.unwrap_or(Decimal::MAX);
            }
        }
        let closed = gain.closed_months.values();
        self.closed_months.extend(closed.map(|closed| (closed.month.start, closed.clone())));
        let methods = gain.payment_methods.values();
        self.payment_methods.extend(methods.map(|method| (method.id, Arc::clone(method))));
        let quotes = gain.prepay_quotes.iter();
        self.prepay_quotes.extend(quotes.map(|quote| (quote.id, Arc::clone(quote))));
        self.prepayments.extend(gain.prepayments.iter().map(|(id, held)| (*id, Arc::clone(held))));
        self.payments.extend(gain.payments.iter().map(|(id, held)| (*id, Arc::clone(held))));
        self.approvals.extend(gain.approvals.iter().map(|(id, held)| (*id, Arc::clone(held))));
        for OperatorMove { by, money, .. } in &gain.operator_moves {
            let moved = self.moved_alone.entry((by.clone(), money.currency)).or_default();
            *moved = moved.checked_add(money.amount).unwrap_or(Decimal::MAX);
        }
        self.untold.retain(|name| !gain.told.contains(name));
        self.reversals.extend(gain.reversals.iter().map(|(name, held)| (name.clone(), Arc::clone(held))));
        let deposits = gain.deposits.iter();
        self.deposits.extend(deposits.map(|(place, held)| (place.clone(), Arc::clone(held))));
        self.gained.take(gain);
    }
}

impl Gain {
    /// Whether there is a row to write.
    pub fn holds_anything(&self) -> bool {
        let orders = self.orders.len().saturating_add(self.changed_orders.len());
        let bills = self.bills.len().saturating_add(self.changed_bills.len());
        let transactions = self.transactions.len().saturating_add(self.changed_transactions.len());
        let others = self.entries.len().saturating_add(self.notices.len()).saturating_add(self.answers.len());
        let months = self.records.len().saturating_add(self.closed_months.len());
        let prepaid = self.prepay_quotes.len().saturating_add(self.payment_methods.len());
        let paid = self.payments.len().saturating_add(self.prepayments.len());
        let deposits = self.deposits.len().saturating_add(self.reversals.len());
        let told = self.told.len().saturating_add(self.approvals.len());
        let spans = self.suspended_spans.len().saturating_add(self.late_days.len());
        [orders, bills, transactions, others, months, prepaid, paid, deposits, told, spans]
            .iter()
            .any(|count| *count > 0)
    }

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
        self.notices.extend(later.notices);
        self.answers.extend(later.answers);
        self.changed_answers.extend(later.changed_answers);
        self.approvals.extend(later.approvals);
        self.operator_moves.extend(later.operator_moves);
        self.records.extend(later.records);
        self.prepay_quotes.extend(later.prepay_quotes);
        self.payment_methods.extend(later.payment_methods);
        self.prepayments.extend(later.prepayments);
        self.payments.extend(later.payments);
        self.reversals.extend(later.reversals);
        self.told.extend(later.told);
        self.deposits.extend(later.deposits);
        self.closed_months.extend(later.closed_months);
        self.suspended_spans.extend(later.suspended_spans);
        self.late_days.extend(later.late_days);
        self.moved.extend(later.moved);
        self.erasures.extend(later.erasures);
        self.account_settings |= later.account_settings;
        self.changed |= later.changed;
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
