//! A decision in the making: a copy of what changes, over the book as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::amounts::require_payable_in;
use crate::domain::account::{Account, AccountStatus, Hash, SuspendedSpan};
use crate::domain::approval::{Approval, OperatorMove};
use crate::domain::bill::Bill;
use crate::domain::book::{Book, Catalogue, Change, InTable, OpenBills, WriteSet};
use crate::domain::closing::ClosedMonth;
use crate::domain::erasure::Erasure;
use crate::domain::idempotency::KeyUse;
use crate::domain::ids::{
    BillId, IdMint, NoticeId, OrderId, OwnedId, PaymentId, PrepaymentId, TransactionId,
};
use crate::domain::ledger::{self, Posting};
use crate::domain::money::{self, Currency, OutOfRange};
use crate::domain::notice::{Notice, NoticeKind};
use crate::domain::order::Order;
use crate::domain::outcome::{Decision, Done, Executed, Outcome};
use crate::domain::payment::Payment;
use crate::domain::plan::Plan;
use crate::domain::prepay::{Deposit, PrepayQuote, Prepayment};
use crate::domain::record::Record;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::reversal::{ProviderReference, Reversal};
use crate::domain::transaction::{Direction, Movement, Transaction};

/// What a decision has come to so far. A copy of it can be given up.
#[derive(Clone)]
pub(super) struct Draft<'a> {
    pub book: &'a Book,
    pub catalogue: &'a Catalogue,
    pub account: Account,
    pub currency: Currency,
    pub instant: DateTime<Utc>,
    /// The time that it is, which the last entry may be ahead of: what is over is judged by it.
    pub now: DateTime<Utc>,
    mint: IdMint,
    /// Those that are new or have changed.
    orders: BTreeMap<OrderId, Arc<Order>>,
    bills: BTreeMap<BillId, Arc<Bill>>,
    writes: WriteSet,
    /// Whether the jobs go on with what money has begun to pay.
    pub goes_on: bool,
}

impl<'a> Draft<'a> {
    pub fn begin(
        book: &'a Book,
        catalogue: &'a Catalogue,
        dry_run: bool,
        now: DateTime<Utc>,
    ) -> Result<Self, Refusal> {
        let account = book.account.clone();
        let currency = catalogue.currencies.get(account.currency).copied().ok_or_else(|| {
            let message = format!("this server does not know the account's currency {}", account.currency);
            Refusal::general(RefusalCode::CurrencyMismatch, message)
        })?;
        let instant = account.decision_instant(now);
        let mint = IdMint::new(account.id, instant, account.last_number, dry_run);
        let (orders, bills, writes) = (BTreeMap::new(), BTreeMap::new(), WriteSet::default());
        Ok(Self {
            book,
            catalogue,
            account,
            currency,
            instant,
            now,
            mint,
            orders,
            bills,
            writes,
            goes_on: false,
        })
    }

    pub fn next_id(&mut self) -> Result<OwnedId, OutOfRange> {
        self.mint.next_id()
    }

    // ── what there is ──

    pub fn order(&self, id: OrderId) -> Option<&Arc<Order>> {
        self.orders.get(&id).or_else(|| self.book.orders.get(&id))
    }

    pub fn bill(&self, id: BillId) -> Option<&Arc<Bill>> {
        self.bills.get(&id).or_else(|| self.book.bills.get(&id))
    }

    pub fn transaction(&self, id: TransactionId) -> Option<&Arc<Transaction>> {
        let made = self.writes.transactions.changed.iter().rev().chain(&self.writes.transactions.new);
        made.into_iter().find(|made| made.id == id).or_else(|| self.book.transactions.get(&id))
    }

    pub fn payment(&self, id: PaymentId) -> Option<&Arc<Payment>> {
        self.writes.payments.get(&id).or_else(|| self.book.payments.get(&id))
    }

    pub fn reversal(&self, provider: &str, reference: &str) -> Option<&Arc<Reversal>> {
        let name = (provider.to_owned(), reference.to_owned());
        self.writes.reversals.get(&name).or_else(|| self.book.reversals.get(&name))
    }

    /// What is, or was, taken back of a charge outside.
    pub fn reversals_of(&self, charge: PaymentId) -> Vec<Arc<Reversal>> {
        let held = self.book.reversals.iter().filter(|(name, _)| !self.writes.reversals.contains_key(*name));
        let all = held.map(|(_, held)| held).chain(self.writes.reversals.values());
        all.filter(|held| held.told.payment == charge).cloned().collect()
    }

    pub fn prepayment(&self, id: PrepaymentId) -> Option<&Arc<Prepayment>> {
        self.writes.prepayments.get(&id).or_else(|| self.book.prepayments.get(&id))
    }

    /// The prepayment whose tokens go to an address.
    pub fn prepayment_at(&self, address: &str) -> Option<&Arc<Prepayment>> {
        let mut all = self.writes.prepayments.values().chain(self.book.prepayments.values());
        all.find(|held| held.deposit_address() == Some(address))
    }

    /// What reached an address, as far as it was read.
    pub fn deposits_to(&self, address: &str) -> Vec<Arc<Deposit>> {
        let to_it = self.book.deposits.iter().filter(|(_, deposit)| deposit.place.address == address);
        to_it.map(|(place, deposit)| Arc::clone(self.writes.deposits.get(place).unwrap_or(deposit))).collect()
    }

    /// All orders that the book holds and the draft has made, oldest first.
    pub fn all_orders(&self) -> Vec<Arc<Order>> {
        let held = self.book.orders.keys().filter(|id| !self.orders.contains_key(id));
        let mut all: Vec<OrderId> = held.chain(self.orders.keys()).copied().collect();
        all.sort_unstable();
        all.into_iter().filter_map(|id| self.order(id).cloned()).collect()
    }

    /// Those bills that are as they have to be, oldest first.
    pub fn bills_that(&self, are_so: impl Fn(&Bill) -> bool) -> Vec<Arc<Bill>> {
        let held = self.book.bills.iter().filter(|(id, _)| !self.bills.contains_key(id));
        let all = held.map(|(_, bill)| bill).chain(self.bills.values());
        let mut bills: Vec<Arc<Bill>> = all.filter(|bill| are_so(bill)).cloned().collect();
        bills.sort_unstable_by_key(|bill| bill.id);
        bills
    }

    /// An order's bills, by period.
    pub fn bills_of(&self, order: OrderId) -> Vec<Arc<Bill>> {
        let mut bills = self.bills_that(|bill| bill.order == Some(order));
        bills.sort_by_key(|bill| bill.seq);
        bills
    }

    /// What the account's open bills ask for in all.
    pub fn open_bills(&self) -> Result<OpenBills, OutOfRange> {
        let Some(mut open) = self.book.open_bills else {
            let all = self.bills_that(Bill::is_open);
            let amount = all.iter().try_fold(Decimal::ZERO, |sum, bill| money::add(sum, bill.asked_for()))?;
            return Ok(OpenBills { amount, is_all: true });
        };
        for (id, bill) in &self.bills {
            let before = self.book.bills.get(id).map_or(Decimal::ZERO, |before| before.asked_for());
            open.amount = money::add(open.amount, money::subtract(bill.asked_for(), before)?)?;
        }
        Ok(open)
    }

    /// The closed months that the book holds.
    pub fn closed_months(&self) -> impl Iterator<Item = &ClosedMonth> {
        self.book.closed_months.values().map(Arc::as_ref)
    }

    /// When the jobs have to look at an order next. Its bills say when its periods begin; one that has none yet is cut in the
    /// account's zone.
    pub fn next_step_of(&self, order: &Order) -> Result<Option<DateTime<Utc>>, OutOfRange> {
        let next_period = if order.seq < order.seq_count {
            let next = order.seq.checked_add(1).ok_or(OutOfRange)?;
            match self.bills_of(order.id).iter().find(|bill| bill.seq == next) {
                Some(bill) => Some(bill.start_time),
                None => order.boundary(order.seq, self.account.time_zone)?,
            }
        } else {
            None
        };
        order.next_step_after(self.instant, next_period)
    }

    pub fn plan_of(&self, order: &Order) -> Option<&'a Plan> {
        self.catalogue.plans.get(&order.plan?)
    }

    // ── what becomes of it ──

    pub fn put_order(&mut self, order: Order) -> Arc<Order> {
        let order = Arc::new(order);
        self.orders.insert(order.id, Arc::clone(&order));
        order
    }

    pub fn put_bill(&mut self, bill: Bill) -> Arc<Bill> {
        let bill = Arc::new(bill);
        self.bills.insert(bill.id, Arc::clone(&bill));
        bill
    }

    pub fn put_suspended_span(&mut self, span: SuspendedSpan) {
        self.writes.suspended_spans.push(span);
    }

    /// Has the month that an instant lies in looked at again, as usage of it may have come meanwhile.
    pub fn look_again_at(&mut self, instant: DateTime<Utc>) {
        self.writes.late_days.push((self.account.id, instant.date_naive()));
    }

    /// Moves the account to another zone: in it a month may be over whose run does not come by any more.
    pub fn move_to(&mut self, zone: Tz) {
        if self.account.time_zone != zone {
            self.account.time_zone = zone;
            self.writes.moved.push(self.account.id);
            self.look_again_at(self.instant);
        }
    }

    /// Keeps a row that is new, or what it is now.
    pub fn put<T: InTable>(&mut self, row: T) -> Arc<T> {
        let row = Arc::new(row);
        T::written(&mut self.writes).insert(row.key(), Arc::clone(&row));
        row
    }

    pub fn put_record(&mut self, record: Record) {
        self.writes.records.push(record);
    }

    pub fn put_prepay_quote(&mut self, quote: Arc<PrepayQuote>) -> Arc<PrepayQuote> {
        self.writes.prepay_quotes.insert(quote.id, Arc::clone(&quote));
        quote
    }

    /// Whether operators are to be told of what does not match: they are not told again.
    pub fn tell_once(&mut self, name: ProviderReference) -> bool {
        self.book.untold.contains(&name) && self.writes.told.insert(name)
    }

    /// Notes what an operator has moved without another.
    pub fn note_move(&mut self, moved: OperatorMove) {
        self.writes.operator_moves.push(moved);
    }

    /// Has the key of what waited hold what has come of it; `asked` is the digest of what was asked for.
    pub fn answer_key_of(&mut self, waited: &Approval, asked: Hash, made: &Outcome) {
        if let Some(key) = waited.key.clone() {
            let key_use = KeyUse { key, mutation: waited.mutation.clone(), fingerprint: asked };
            let answer = key_use.record(made.ids(), waited.asked_at);
            self.writes.changed_answers.push((self.account.id, answer));
        }
    }

    /// Keeps what has changed of a transaction.
    pub fn put_transaction(&mut self, transaction: Transaction) -> Arc<Transaction> {
        let transaction = Arc::new(transaction);
        let made = self.writes.transactions.new.iter_mut().find(|made| made.id == transaction.id);
        match made {
            Some(made) => *made = Arc::clone(&transaction),
            None => self.writes.transactions.changed.push(Arc::clone(&transaction)),
        }
        transaction
    }

    /// A new transaction of the account's, still to be posted or recorded.
    pub fn transaction_of(&mut self, movement: Movement) -> Result<Transaction, OutOfRange> {
        Ok(Transaction::finished(TransactionId(self.next_id()?), movement, self.instant))
    }

    /// Keeps a transaction that touches no balance.
    pub fn record(&mut self, transaction: Transaction) -> Arc<Transaction> {
        let transaction = Arc::new(transaction);
        self.writes.transactions.new.push(Arc::clone(&transaction));
        transaction
    }

    /// Tells the account's owner.
    pub fn notify(&mut self, kind: NoticeKind, message: String, subject: String) -> Result<(), OutOfRange> {
        let id = NoticeId(self.next_id()?);
        let notice = Notice { id, kind, message, subject: Some(subject), at: self.instant };
        self.writes.notices.push(Arc::new(notice));
        Ok(())
    }

    /// Posts a transaction to the account's ledger.
    pub fn post(
        &mut self,
        mut transaction: Transaction,
        posting: Posting,
    ) -> Result<Arc<Transaction>, Refusal> {
        let entry = ledger::post(&mut self.account, &mut transaction, posting, &self.catalogue.keys)?;
        if self.account.available()? >= Decimal::ZERO {
            self.account.overdrawn = false;
        }
        // Money that came in is reason to say anew how long it lasts.
        self.account.burst.warned &= transaction.direction() == Direction::Debit;
        let transaction = Arc::new(transaction);
        self.writes.entries.push(entry);
        self.writes.transactions.new.push(Arc::clone(&transaction));
        Ok(transaction)
    }

    /// Its name and all that it is called go at once, and the rest step by step.
    pub fn erase(&mut self, erasure: Erasure) {
        self.account = self.account.erased(erasure.at);
        self.writes.erasures.push(erasure);
    }

    // ── what must hold ──

    /// Refuses what would newly cost money while the account is not active.
    pub fn require_active(&self) -> Result<(), Refusal> {
        match self.account.status {
            AccountStatus::Active => Ok(()),
            status => {
                let message = format!("the account is {}", status.code().to_lowercase());
                Err(Refusal::general(RefusalCode::AccountSuspended, message))
            }
        }
    }

    pub fn require_open(&self) -> Result<(), Refusal> {
        if self.account.status == AccountStatus::Closed {
            return Err(Refusal::general(RefusalCode::AccountSuspended, "the account is closed"));
        }
        Ok(())
    }

    /// Whether the balance and the credit limit hold so much.
    pub fn has(&self, amount: Decimal) -> Result<bool, OutOfRange> {
        Ok(self.account.available()? >= amount)
    }

    /// Refuses to spend more than the balance and the credit limit hold.
    pub fn require_available(&self, amount: Decimal) -> Result<(), Refusal> {
        if self.has(amount)? {
            return Ok(());
        }
        let message = format!(
            "{} {} is needed, {} is available",
            self.currency.format(amount),
            self.currency.code,
            self.currency.format(self.account.available()?)
        );
        Err(Refusal::general(RefusalCode::InsufficientBalance, message))
    }

    /// Refuses amounts that people cannot pay: zero, negative, more places than the currency has, or too large.
    pub fn require_payable(&self, field: &'static str, amount: Decimal) -> Result<(), Refusal> {
        require_payable_in(&self.currency, field, amount)
    }

    /// The order that a command names.
    pub fn named_order(&self, id: OrderId) -> Result<Order, Refusal> {
        let none = || Refusal::new(RefusalCode::NotFound, "orderId", "there is no such order");
        Ok(Order::clone(self.order(id).ok_or_else(none)?))
    }

    // ── the end ──

    /// Another operator has to decide; until then the command's key holds that.
    pub fn wait(mut self, key: Option<KeyUse>, approval: Arc<Approval>) -> Decision {
        let made = Outcome { approval: Some(Arc::clone(&approval)), ..Outcome::default() };
        self.conclude(key, &made);
        Decision { done: Done::Awaits(approval), change: self.into_change() }
    }

    pub fn finish(mut self, key: Option<KeyUse>, made: Outcome, renewal_price: Option<Decimal>) -> Decision {
        self.conclude(key, &made);
        let open_bills = made.order.as_ref().map_or_else(Vec::new, |order| {
            let mut bills = self.bills_of(order.id);
            bills.retain(|bill| bill.is_open());
            bills
        });
        let executed = Executed {
            account: Arc::new(self.account.clone()),
            made,
            open_bills,
            renewal_price,
            goes_on: self.goes_on,
        };
        Decision { done: Done::Executed(Box::new(executed)), change: self.into_change() }
    }

    fn conclude(&mut self, key: Option<KeyUse>, made: &Outcome) {
        self.account.last_number = self.mint.last_number();
        let answer = key.map(|key| (self.account.id, key.record(made.ids(), self.instant)));
        self.writes.answers.extend(answer);
    }

    fn into_change(mut self) -> Option<Change> {
        for (id, order) in std::mem::take(&mut self.orders) {
            let held = self.book.orders.contains_key(&id);
            if held { self.writes.orders.changed.push(order) } else { self.writes.orders.new.push(order) }
        }
        for (id, bill) in std::mem::take(&mut self.bills) {
            let held = self.book.bills.contains_key(&id);
            if held { self.writes.bills.changed.push(bill) } else { self.writes.bills.new.push(bill) }
        }
        self.writes.changed = self.account != self.book.account || self.writes.holds_anything();
        self.writes.account_settings = self.account.differs_seldom(&self.book.account);
        self.writes.changed.then_some(Change { account: self.account, writes: self.writes })
    }
}
