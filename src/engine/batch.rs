//! One batch as one transaction: lock, load, decide, write, commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::try_join;
use uuid::Uuid;

use super::paid::{Paid, PaidNamed};
use super::trial::die_at;
use crate::clock::Clock;
use crate::domain::account::Account;
use crate::domain::bill::Bill;
use crate::domain::book::{Book, CapacityCatalogue, Catalogue, Gain};
use crate::domain::capacity::{SUBSCRIPTION_LEVEL, by_currency};
use crate::domain::closing::{Month, RatedMonth};
use crate::domain::command::{Action, Answer, BillStep, Command, Done};
use crate::domain::decide::decide;
use crate::domain::ids::{AccountId, OwnedId, PlanId};
use crate::domain::ledger::Entry;
use crate::domain::money::Currencies;
use crate::domain::order::Order;
use crate::domain::plan::Plan;
use crate::domain::policies::Policies;
use crate::domain::refusal::Refusal;
use crate::store::accounts;
use crate::store::capacity::When;
use crate::store::error::StoreError;
use crate::store::{
    Conn, bills, capacity, closings, deposits, keys, ledger, notices, orders, payment_methods, payments,
    plans, prepay_quotes, prepayments, reconciliations, records, reversals, transactions,
};

/// What a batch did with one of its commands.
pub(super) enum Verdict {
    Done(Done),
    Refused(Refusal),
    /// Another transaction holds the account; to be tried again.
    HeldElsewhere,
}

pub(super) type Books = BTreeMap<AccountId, Book>;

/// Runs the commands in their order. When it fails nothing has been done, unless the connection was lost at the
/// commit.
pub(super) async fn run(
    connection: &mut AsyncPgConnection,
    (currencies, policies): (&Arc<Currencies>, Policies),
    clock: &Clock,
    commands: &[&Command],
) -> Result<Vec<Verdict>, StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            // A statement of its own: what is read before the lock is held may be stale.
            let accounts = accounts::account_lock(conn, account_numbers(commands)).await?;
            let now = clock.now();
            let (mut books, catalogue) = load(conn, accounts, (currencies, policies), now, commands).await?;
            let decided = |command: &&Command| decide_in(&mut books, &catalogue, command, now);
            let verdicts: Vec<Verdict> = commands.iter().map(decided).collect();
            write(conn, books).await?;
            commands.iter().for_each(|command| die_before_the_commit(&command.action));
            Ok(verdicts)
        })
        .await
}

fn die_before_the_commit(action: &Action) {
    match action {
        Action::SettlePayment(_) => die_at("payment-before-the-commit"),
        Action::BookReversal(_) => die_at("reversal-before-the-commit"),
        Action::CountDeposits(_) => die_at("deposit-before-the-commit"),
        _ => {}
    }
}

fn account_numbers(commands: &[&Command]) -> Vec<i64> {
    let mut numbers: Vec<i64> = commands.iter().map(|command| command.account.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn decide_in(books: &mut Books, catalogue: &Catalogue, command: &Command, now: DateTime<Utc>) -> Verdict {
    let Some(book) = books.get_mut(&command.account) else { return Verdict::HeldElsewhere };
    match decide(book, catalogue, command, now) {
        Ok(decision) => {
            if let Some(change) = decision.change.filter(|_| !command.dry_run) {
                book.apply(change);
            }
            Verdict::Done(decision.done)
        }
        Err(refusal) => Verdict::Refused(refusal),
    }
}

/// Reads, under the locks, what the commands need (what a [`Book`] must hold). Statements that do not wait for each
/// other go down the wire together.
async fn load(
    conn: Conn<'_>,
    accounts: Vec<Account>,
    (currencies, policies): (&Arc<Currencies>, Policies),
    now: DateTime<Utc>,
    commands: &[&Command],
) -> Result<(Books, Catalogue), StoreError> {
    let named = Named::by(commands);
    let paid = Paid::load(conn, &named.paid, &named.transactions).await?;
    let (answers, mut plans, exclusive, exclusive_bills, transactions, named_bills, due_bills, closed) = try_join!(
        when(!named.keys.is_empty(), keys::answer_by_keys(conn, named.key_accounts, named.keys)),
        when(!named.plans.is_empty(), plans::plan_by_ids(conn, named.plans)),
        when(!named.buyers.is_empty(), orders::order_exclusive(conn, named.buyers.clone())),
        when(!named.buyers.is_empty(), bills::bill_of_exclusive_orders(conn, named.buyers)),
        when(!named.transactions.is_empty(), transactions::transaction_by_ids(conn, &named.transactions)),
        when(!named.bills.is_empty(), bills::bill_by_ids(conn, &named.bills)),
        when(!named.payers.is_empty(), bills::bill_open_due(conn, named.payers, now)),
        when(!named.months.is_empty(), closings::closed_overlapping(conn, &named.months)),
    )?;
    let mut wanted: BTreeSet<OwnedId> = named.orders.into_iter().collect();
    let bills = named_bills.iter().chain(&due_bills);
    wanted.extend(bills.filter_map(|bill| bill.order).map(|order| order.0));
    let paid_bills: Vec<OwnedId> =
        transactions.iter().filter_map(|paid| paid.bill).map(|bill| bill.0).collect();
    let refunded_bills = when(!paid_bills.is_empty(), bills::bill_by_ids(conn, &paid_bills)).await?;
    let (orders, order_bills, order_plans) = load_orders(conn, wanted).await?;
    plans.extend(order_plans);
    let (kept, removed) = try_join!(
        when(!named.card_holders.is_empty(), payment_methods::methods_kept(conn, named.card_holders)),
        when(!named.methods.is_empty(), payment_methods::method_by_ids(conn, &named.methods)),
    )?;
    let capacity = load_capacity(conn, named.resources, &orders, currencies, now).await?;
    let mut books: Books = accounts.into_iter().map(|account| (account.id, Book::new(account))).collect();
    for (account, answer) in answers {
        if let Some(book) = books.get_mut(&account) {
            book.answers.insert(answer.key.clone(), answer);
        }
    }
    paid.enter(&mut books);
    for method in kept.into_iter().chain(removed) {
        if let Some(book) = books.get_mut(&method.account()) {
            book.payment_methods.insert(method.id, Arc::new(method));
        }
    }
    for closed in closed {
        if let Some(book) = books.get_mut(&closed.account) {
            book.closed_months.insert(closed.month.start, closed);
        }
    }
    for transaction in transactions {
        if let Some(book) = books.get_mut(&transaction.account()) {
            book.transactions.insert(transaction.id, Arc::new(transaction));
        }
    }
    for order in exclusive.into_iter().chain(orders) {
        if let Some(book) = books.get_mut(&order.account()) {
            book.orders.insert(order.id, Arc::new(order));
        }
    }
    let bills = exclusive_bills.into_iter().chain(named_bills).chain(due_bills);
    for bill in bills.chain(refunded_bills).chain(order_bills) {
        if let Some(book) = books.get_mut(&bill.account()) {
            book.bills.insert(bill.id, Arc::new(bill));
        }
    }
    let plans: HashMap<PlanId, _> = plans.into_iter().map(|plan| (plan.id, plan)).collect();
    Ok((books, Catalogue { currencies: Arc::clone(currencies), policies, plans, capacity }))
}

/// What subscriptions cost, where commands are about any.
async fn load_capacity(
    conn: Conn<'_>,
    mut codes: Vec<String>,
    orders: &[Order],
    currencies: &Currencies,
    now: DateTime<Utc>,
) -> Result<CapacityCatalogue, StoreError> {
    codes.extend(orders.iter().filter_map(|order| Some(order.subscription.as_ref()?.resource.clone())));
    if codes.is_empty() {
        return Ok(CapacityCatalogue::default());
    }
    codes.sort_unstable();
    codes.dedup();
    let asked: Vec<(String, i32)> = codes.iter().map(|code| (code.clone(), SUBSCRIPTION_LEVEL)).collect();
    let (resources, prices, discounts) = try_join!(
        plans::resource_by_codes(conn, codes),
        capacity::prices_at_levels(conn, &asked, currencies, When::Held(now)),
        capacity::term_discounts(conn),
    )?;
    let resources = resources.into_iter().map(|resource| (resource.code.clone(), resource)).collect();
    Ok(CapacityCatalogue { resources, prices: by_currency(prices), discounts })
}

/// Orders with what decisions on them need: their bills, their plans, and the orders that they continue.
async fn load_orders(
    conn: Conn<'_>,
    wanted: BTreeSet<OwnedId>,
) -> Result<(Vec<Order>, Vec<Bill>, Vec<Plan>), StoreError> {
    if wanted.is_empty() {
        return Ok(Default::default());
    }
    let ids: Vec<OwnedId> = wanted.iter().copied().collect();
    let (mut orders, bills, plans) = try_join!(
        orders::order_by_ids(conn, &ids),
        bills::bill_of_orders(conn, &ids),
        plans::plan_of_orders(conn, &ids),
    )?;
    let previous = orders.iter().filter_map(|order| order.previous).map(|order| order.0);
    let previous: Vec<OwnedId> = previous.filter(|id| !wanted.contains(id)).collect();
    orders.extend(when(!previous.is_empty(), orders::order_by_ids(conn, &previous)).await?);
    Ok((orders, bills, plans))
}

/// What the commands of a batch name.
#[derive(Default)]
struct Named {
    key_accounts: Vec<i64>,
    keys: Vec<String>,
    plans: Vec<Uuid>,
    /// What is subscribed to.
    resources: Vec<String>,
    /// The accounts that add payment methods.
    card_holders: Vec<i64>,
    /// The payment methods that are charged or removed.
    methods: Vec<OwnedId>,
    /// The accounts that buy something.
    buyers: Vec<i64>,
    /// The accounts that pay what is open, or whose money comes in.
    payers: Vec<i64>,
    transactions: Vec<OwnedId>,
    paid: PaidNamed,
    orders: Vec<OwnedId>,
    bills: Vec<OwnedId>,
    /// The months that are closed or corrected.
    months: Vec<(AccountId, Month)>,
}

impl Named {
    fn by(commands: &[&Command]) -> Self {
        let mut named = Self::default();
        for command in commands {
            if let Some(key) = &command.key {
                named.key_accounts.push(command.account.0);
                named.keys.push(key.clone());
            }
            named.take(command.account.0, &command.action);
        }
        named.plans.sort_unstable();
        named.plans.dedup();
        named.payers.sort_unstable();
        named.payers.dedup();
        named
    }

    fn take(&mut self, account: i64, action: &Action) {
        match action {
            Action::Recharge(_) | Action::AdjustBalance(_) => self.payers.push(account),
            Action::Checkout(checkout) => {
                self.plans.push(checkout.plan.0);
                self.buyers.push(account);
            }
            Action::RechargeByCard(recharge) => self.methods.push(recharge.method.0),
            Action::Prepay(prepay) => {
                self.paid.quotes.push(prepay.quote.0);
                self.methods.extend(prepay.method.map(|method| method.0));
            }
            Action::ClaimPayment(claim) => self.paid.payments.push(claim.payment.0),
            Action::SettlePayment(report) => {
                self.paid.payments.push(report.payment.0);
                self.payers.push(account);
            }
            Action::BookReversal(report) => {
                self.paid.payments.push(report.payment.0);
                self.payers.push(account);
            }
            Action::BindApp(binding) => self.paid.prepayments.push(binding.prepayment.0),
            Action::SetPrepaymentRenewal(setting) => self.paid.prepayments.push(setting.prepayment.0),
            Action::PrepaymentStep(step) => self.paid.prepayments.push(step.prepayment.0),
            Action::CountDeposits(address) => {
                self.paid.addresses.push((AccountId(account), address.clone()));
            }
            Action::AddPaymentMethod(_) => self.card_holders.push(account),
            Action::RemovePaymentMethod(method) => self.methods.push(method.0),
            Action::Subscribe(subscribe) => self.resources.push(subscribe.resource.clone()),
            Action::Refund(refund) => {
                self.transactions.push(refund.transaction.0);
                self.payers.push(account);
            }
            Action::PayOrder(order) => self.orders.push(order.0),
            Action::RenewOrder(renewal) => self.orders.push(renewal.order.0),
            Action::CancelOrder(cancellation) => self.orders.push(cancellation.order.0),
            Action::SetAutoRenewal(setting) => self.orders.push(setting.order.0),
            Action::OrderStep(step) => self.orders.push(step.order.0),
            Action::TellMonthFailure(_)
            | Action::ChargeBurst(_)
            | Action::KeepQuote(_)
            | Action::TellBurstHeld(_)
            | Action::TellUsageRefused(_)
            | Action::TellInvoiceHeldUp(_) => {}
            Action::TellUnmatched(told) => {
                self.paid.unmatched.push((AccountId(account), told.provider.clone(), told.reference.clone()));
            }
            Action::CloseMonth(rated) => self.take_month(account, rated),
            Action::Rerate(rerate) => rerate.rated.iter().for_each(|rated| self.take_month(account, rated)),
            Action::PayBill(bill) | Action::BillStep(BillStep { bill, .. }) => {
                self.bills.push(bill.0);
                self.payers.push(account);
            }
        }
    }

    fn take_month(&mut self, account: i64, rated: &RatedMonth) {
        self.months.push((AccountId(account), rated.month));
        self.bills.extend(rated.bill.map(|bill| bill.0));
        if rated.revision > 0 || rated.usage.is_some() || !rated.on_demand.is_empty() {
            self.payers.push(account);
        }
    }
}

/// Asks only if there is something to ask for.
pub(super) async fn when<T: Default>(
    wanted: bool,
    question: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    if wanted { question.await } else { Ok(T::default()) }
}

/// Writes what the books gained: one statement per table, down the wire together.
async fn write(conn: Conn<'_>, books: Books) -> Result<(), StoreError> {
    let (accounts, gain, answers) = collect(books);
    if accounts.is_empty() {
        return Ok(());
    }
    let methods: Vec<_> = gain.payment_methods.values().cloned().collect();
    let paid: Vec<_> = gain.payments.values().cloned().collect();
    let prepaid: Vec<_> = gain.prepayments.values().cloned().collect();
    let reversed: Vec<_> = gain.reversals.values().cloned().collect();
    let deposited: Vec<_> = gain.deposits.values().cloned().collect();
    try_join!(
        accounts::account_post(conn, &accounts),
        write_orders(conn, &gain),
        when(!gain.bills.is_empty(), bills::bill_insert(conn, &gain.bills)),
        when(!gain.transactions.is_empty(), transactions::transaction_insert(conn, &gain.transactions)),
        when(!gain.entries.is_empty(), ledger::entry_insert(conn, &gain.entries)),
        when(!gain.changed_bills.is_empty(), bills::bill_change(conn, &gain.changed_bills)),
        when(
            !gain.changed_transactions.is_empty(),
            transactions::transaction_change(conn, &gain.changed_transactions)
        ),
        when(!gain.notices.is_empty(), notices::notice_insert(conn, &gain.notices)),
        when(!answers.is_empty(), keys::answer_insert(conn, &answers)),
        when(!gain.records.is_empty(), records::record_insert(conn, &gain.records)),
        when(!gain.prepay_quotes.is_empty(), prepay_quotes::quote_insert(conn, &gain.prepay_quotes)),
        when(!gain.payment_methods.is_empty(), payment_methods::method_put(conn, &methods)),
        when(!paid.is_empty(), payments::payment_put(conn, &paid)),
        when(!prepaid.is_empty(), prepayments::prepayment_put(conn, &prepaid)),
        when(!reversed.is_empty(), reversals::reversal_put(conn, &reversed)),
        when(!gain.told.is_empty(), reconciliations::unmatched_told(conn, &gain.told)),
        when(!deposited.is_empty(), deposits::deposit_decide(conn, &deposited)),
        when(!gain.closed_months.is_empty(), closings::closed_put(conn, &gain.closed_months)),
    )?;
    Ok(())
}

/// Orders give up their places (one of an exclusive plan in a region) before others take them.
async fn write_orders(conn: Conn<'_>, gain: &Gain) -> Result<(), StoreError> {
    let gives_up = |order: &Arc<Order>| !order.state.is_live() || order.renewed_by.is_some();
    let (before, after): (Vec<_>, Vec<_>) = gain.changed_orders.iter().cloned().partition(gives_up);
    when(!before.is_empty(), orders::order_change(conn, &before)).await?;
    when(!after.is_empty(), orders::order_change(conn, &after)).await?;
    when(!gain.orders.is_empty(), orders::order_insert(conn, &gain.orders)).await
}

fn collect(books: Books) -> (Vec<Account>, Gain, Vec<(AccountId, Answer)>) {
    let mut accounts = Vec::with_capacity(books.len());
    let mut all = Gain::default();
    let mut answers = Vec::new();
    for (id, book) in books {
        let gained = book.gained;
        if !gained.changed {
            continue;
        }
        accounts.push(book.account);
        all.orders.extend(gained.orders);
        all.changed_orders.extend(gained.changed_orders);
        all.bills.extend(gained.bills);
        all.changed_bills.extend(gained.changed_bills);
        all.transactions.extend(gained.transactions);
        all.changed_transactions.extend(gained.changed_transactions);
        all.entries.extend::<Vec<Entry>>(gained.entries);
        all.notices.extend(gained.notices);
        all.records.extend(gained.records);
        all.prepay_quotes.extend(gained.prepay_quotes);
        all.prepayments.extend(gained.prepayments);
        all.payments.extend(gained.payments);
        all.reversals.extend(gained.reversals);
        all.told.extend(gained.told);
        all.deposits.extend(gained.deposits);
        all.payment_methods.extend(gained.payment_methods);
        all.closed_months.extend(gained.closed_months);
        answers.extend(gained.answers.into_iter().map(|answer| (id, answer)));
    }
    (accounts, all, answers)
}
