//! One batch as one transaction: lock, load, decide, write, commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::try_join;

use super::approvals::Approvals;
use super::named::{Named, Standing};
use super::paid::Paid;
use super::stale::{Asked, Patience, Stale};
use super::trial::die_at;
use crate::clock::Clock;
use crate::domain::account::Account;
use crate::domain::bill::Bill;
use crate::domain::book::{Book, CapacityCatalogue, Catalogue, DueAt, Gain};
use crate::domain::capacity::{SUBSCRIPTION_LEVEL, by_currency};
use crate::domain::closing::{CORRECTED_AFTER, ClosedMonth, Month};
use crate::domain::command::{Action, Answer, Command, Done};
use crate::domain::decide::{BILLS_MADE_DUE_MAX, ORDERS_ENDED_MAX, decide};
use crate::domain::ids::{AccountId, OrderId, OwnedId, PlanId};
use crate::domain::ledger::Entry;
use crate::domain::money::Currencies;
use crate::domain::order::Order;
use crate::domain::plan::Plan;
use crate::domain::policies::Policies;
use crate::domain::refusal::Refusal;
use crate::domain::seal::SealKeys;
use crate::store::accounts;
use crate::store::capacity::When;
use crate::store::error::StoreError;
use crate::store::seals::{AltSeals, Sealer};
use crate::store::{
    Conn, accepted_futures, approvals, bills, capacity, closings, deposits, erasures, keys, late_usage,
    ledger, notices, open_invoices, operator_moves, orders, payment_methods, payments, plans, prepay_quotes,
    prepayments, reconciliations, records, reversals, suspensions, transactions,
};

/// What a batch did with one of its commands.
pub(super) enum Verdict {
    Done(Done),
    Refused(Refusal),
    /// Another transaction holds the account; to be tried again.
    HeldElsewhere,
    /// It is not carried out any more: its caller may have been told so meanwhile.
    TooLate,
    /// The account's last entry is dated so, by a machine whose clock was wrong: it is not followed there.
    AheadOfTime(DateTime<Utc>),
}

/// So far ahead an account's last entry may be dated: clocks are never quite the same.
const AHEAD_MAX: TimeDelta = TimeDelta::minutes(1);

/// What decisions stand on, beside what is read for them.
#[derive(Clone)]
pub(super) struct Ground {
    pub currencies: Arc<Currencies>,
    pub policies: Policies,
    /// What seals and hashes are made with.
    pub keys: Arc<SealKeys>,
}

pub(super) type Books = BTreeMap<AccountId, Book>;

/// Runs the commands in their order, but those that are stale by then. When it fails nothing has been done, unless `commit`
/// says that the commit was sent.
pub(super) async fn run(
    connection: &mut AsyncPgConnection,
    ground: &Ground,
    clock: &Clock,
    (batch, patience): (&[Asked<'_>], Patience),
    commit: &AtomicBool,
) -> Result<Vec<Verdict>, StoreError> {
    let commands: Vec<&Command> = batch.iter().map(|asked| asked.command).collect();
    let commands = commands.as_slice();
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            // A statement of its own: what is read before the lock is held may be stale.
            let numbers = account_numbers(commands);
            let (accounts, others, locked_at) = accounts::account_lock(conn, numbers, &ground.keys).await?;
            let now = clock.now();
            let stale = Stale::of(conn, batch, locked_at, patience).await?;
            let followed = followed(conn, &accounts, (clock, now)).await?;
            let (mut books, catalogue) = load(conn, accounts, ground, now, commands).await?;
            let mut refused = BTreeSet::new();
            let decided = |(index, command): (usize, &&Command)| {
                let Some(book) = books.get_mut(&command.account) else { return Verdict::HeldElsewhere };
                // What its key holds is answered all the same.
                if stale.holds(index) && !is_answered(book, command) {
                    return Verdict::TooLate;
                }
                let is_to_come = |last: DateTime<Utc>| {
                    is_to_come(last, clock, now)
                        && !(command.action.is_followed() && followed.contains(&(command.account, last)))
                };
                let verdict = decide_in(book, &catalogue, command, (is_to_come, now));
                if matches!(verdict, Verdict::Refused(_)) {
                    refused.extend(command.kept_key());
                }
                verdict
            };
            let verdicts: Vec<Verdict> = commands.iter().enumerate().map(decided).collect();
            try_join!(
                write(conn, books, now, (&ground.keys, others)),
                when(!refused.is_empty(), keys::refused_note(conn, refused)),
            )?;
            commands.iter().for_each(|command| die_before_the_commit(&command.action));
            commit.store(true, Ordering::Relaxed);
            Ok(verdicts)
        })
        .await
}

/// Decides what would become of a command, on what is read at one instant without any lock.
pub(super) async fn try_out(
    connection: &mut AsyncPgConnection,
    ground: &Ground,
    clock: &Clock,
    (asked, patience): (Asked<'_>, Patience),
) -> Result<Verdict, StoreError> {
    let command = asked.command;
    connection
        .build_transaction()
        .repeatable_read()
        .read_only()
        .run(async |connection: &mut AsyncPgConnection| {
            let conn: Conn<'_> = connection;
            let account = accounts::account_as_is(conn, command.account).await?;
            let now = clock.now();
            let accounts: Vec<Account> = account.into_iter().collect();
            let followed = followed(conn, &accounts, (clock, now)).await?;
            let (mut books, catalogue) = load(conn, accounts, ground, now, &[command]).await?;
            let Some(book) = books.get_mut(&command.account) else { return Ok(Verdict::HeldElsewhere) };
            if asked.arrived.elapsed() > patience.waiting_max && !is_answered(book, command) {
                return Ok(Verdict::TooLate);
            }
            let is_to_come = |last: DateTime<Utc>| {
                is_to_come(last, clock, now)
                    && !(command.action.is_followed() && followed.contains(&(command.account, last)))
            };
            Ok(decide_in(book, &catalogue, command, (is_to_come, now)))
        })
        .await
}

fn die_before_the_commit(action: &Action) {
    match action {
        Action::SettlePayment(_) => die_at("payment-before-the-commit"),
        Action::BookReversal(_) => die_at("reversal-before-the-commit"),
        Action::CountDeposits(_) => die_at("deposit-before-the-commit"),
        Action::DecideApproval(_) => die_at("approval-before-the-commit"),
        _ => {}
    }
}

fn account_numbers(commands: &[&Command]) -> Vec<i64> {
    let mut numbers: Vec<i64> = commands.iter().map(|command| command.account.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn decide_in(
    book: &mut Book,
    catalogue: &Catalogue,
    command: &Command,
    (is_to_come, now): (impl Fn(DateTime<Utc>) -> bool, DateTime<Utc>),
) -> Verdict {
    if let Some(last) = book.account.head.time.filter(|last| is_to_come(*last))
        && !is_answered(book, command)
    {
        return Verdict::AheadOfTime(last);
    }
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

/// Whether its key holds the answer of an earlier time.
fn is_answered(book: &Book, command: &Command) -> bool {
    command.key.as_ref().is_some_and(|key| book.answers.contains_key(key))
}

/// Whether that is still to come. A sandbox's clock may be moved by another server, and is followed.
fn is_to_come(last: DateTime<Utc>, clock: &Clock, now: DateTime<Utc>) -> bool {
    !clock.is_movable() && last.signed_duration_since(now) > AHEAD_MAX
}

/// The accounts that are followed to where their last entries are dated, as an operator has said so, with these dates.
async fn followed(
    conn: Conn<'_>,
    accounts: &[Account],
    (clock, now): (&Clock, DateTime<Utc>),
) -> Result<BTreeSet<(AccountId, DateTime<Utc>)>, StoreError> {
    let ahead = accounts.iter().filter_map(|account| Some((account.id, account.head.time?)));
    let ahead: Vec<(AccountId, DateTime<Utc>)> =
        ahead.filter(|(_, last)| is_to_come(*last, clock, now)).collect();
    if ahead.is_empty() {
        return Ok(BTreeSet::new());
    }
    let until =
        accepted_futures::accepted_until(conn, ahead.iter().map(|(account, _)| account.0).collect()).await?;
    let is_followed = |(account, last): &(AccountId, DateTime<Utc>)| {
        until.iter().any(|(followed, until)| followed == account && last <= until)
    };
    Ok(ahead.into_iter().filter(is_followed).collect())
}

/// Reads, under the locks, what the commands need (what a [`Book`] must hold). Statements that do not wait for each
/// other go down the wire together.
async fn load(
    conn: Conn<'_>,
    accounts: Vec<Account>,
    ground: &Ground,
    now: DateTime<Utc>,
    commands: &[&Command],
) -> Result<(Books, Catalogue), StoreError> {
    let named = Named::by(commands);
    let standing = Standing::of(&accounts, &named);
    let paid = Paid::load(conn, &named.paid, &named.transactions).await?;
    // What is named may be paid beside what money pays by itself.
    let spare = named.bills.len().saturating_add(named.orders.len());
    let (answers, mut plans, exclusive, exclusive_bills, transactions, named_bills, due_bills, closed) = try_join!(
        when(!named.keys.is_empty(), keys::answer_by_keys(conn, named.key_accounts, named.keys)),
        when(!named.plans.is_empty(), plans::plan_by_ids(conn, named.plans)),
        when(!named.buyers.is_empty(), orders::order_exclusive(conn, named.buyers.clone())),
        when(!named.buyers.is_empty(), bills::bill_of_exclusive_orders(conn, named.buyers)),
        when(!named.transactions.is_empty(), transactions::transaction_by_ids(conn, &named.transactions)),
        when(!named.bills.is_empty(), bills::bill_by_ids(conn, &named.bills)),
        when(!named.payers.is_empty(), bills::bill_open_due(conn, named.payers.clone(), now, spare)),
        when(!named.months.is_empty(), closings::closed_overlapping(conn, &named.months)),
    )?;
    let (unpaid, offers, unsettled) = try_join!(
        when(!named.owing.is_empty(), orders::order_unpaid_count(conn, named.owing)),
        when(!named.offered.is_empty(), prepay_quotes::quote_open_count(conn, named.offered, now)),
        when(!named.erasing.is_empty(), erasures::unsettled(conn, named.erasing)),
    )?;
    let of_keys = answers.iter().filter_map(|(_, answer)| answer.approval).map(|approval| approval.0);
    let waiting: Vec<OwnedId> = of_keys.chain(named.approvals).collect();
    let weighed = if ground.policies.approvals.is_some() { named.weighed } else { Vec::new() };
    let approvals = Approvals::load(conn, &waiting, weighed, (now, &ground.keys)).await?;
    let opened = standing.opening.iter().map(|(account, _)| account.0).collect();
    let due = Due::load(conn, &due_bills, now, spare);
    let (due, waiting, on_demand, closing, with_open_subs, open_sums, last_months, with_closed_parents) = try_join!(
        due,
        when(!named.payers.is_empty(), orders::order_awaiting_renewal(conn, named.payers)),
        when(!standing.on_demand.is_empty(), orders::order_on_demand_live(conn, standing.on_demand)),
        when(!named.closing.is_empty(), Closing::load(conn, &named.closing)),
        when(!named.closing.is_empty(), accounts::account_with_open_subs(conn, named.closing.clone())),
        when(!standing.settling.is_empty(), bills::bill_open_sums(conn, standing.settling)),
        when(!standing.opening.is_empty(), closings::closed_overlapping(conn, &standing.opening)),
        when(!standing.opening.is_empty(), accounts::account_of_closed_parents(conn, opened)),
    )?;
    let named_orders = named.orders.into_iter().chain(waiting).chain(closing.live);
    let mut wanted: BTreeSet<OwnedId> = named_orders.collect();
    wanted.extend(named_bills.iter().filter_map(|bill| bill.order).map(|order| order.0));
    // Whose renewal waits may be renewed.
    wanted.extend(due.orders.iter().filter(|order| order.awaits_renewal()).map(|order| order.id.0));
    let paid_bills: Vec<OwnedId> =
        transactions.iter().filter_map(|paid| paid.bill).map(|bill| bill.0).collect();
    let refunded_bills = when(!paid_bills.is_empty(), bills::bill_by_ids(conn, &paid_bills)).await?;
    let months = MonthsOfBills::load(conn, &refunded_bills, &named_bills).await?;
    let (orders, order_bills, order_plans) = load_orders(conn, wanted).await?;
    plans.extend(order_plans);
    let (kept, removed) = try_join!(
        when(!named.card_holders.is_empty(), payment_methods::methods_kept(conn, named.card_holders)),
        when(!named.methods.is_empty(), payment_methods::method_by_ids(conn, &named.methods)),
    )?;
    let capacity = load_capacity(conn, named.resources, &orders, &ground.currencies, now).await?;
    let mut books: Books = accounts.into_iter().map(|account| (account.id, Book::new(account))).collect();
    for (account, answer) in answers {
        if let Some(book) = books.get_mut(&account) {
            book.answers.insert(answer.key.clone(), answer);
        }
    }
    paid.enter(&mut books);
    approvals.enter(&mut books);
    for method in kept.into_iter().chain(removed) {
        if let Some(book) = books.get_mut(&method.account()) {
            book.payment_methods.insert(method.id, Arc::new(method));
        }
    }
    for (account, count) in unpaid {
        if let Some(book) = books.get_mut(&account) {
            book.unpaid_orders = count;
        }
    }
    for (account, count) in offers {
        if let Some(book) = books.get_mut(&account) {
            book.open_quotes = count;
        }
    }
    for account in with_open_subs {
        if let Some(book) = books.get_mut(&account) {
            book.has_open_subs = true;
        }
    }
    for (account, what) in unsettled {
        if let Some(book) = books.get_mut(&account) {
            book.unsettled = Some(what);
        }
    }
    for account in with_closed_parents {
        if let Some(book) = books.get_mut(&account) {
            book.has_closed_parent = true;
        }
    }
    for closed in closed.into_iter().chain(months.closed).chain(last_months) {
        if let Some(book) = books.get_mut(&closed.account) {
            book.closed_months.insert(closed.month.start, closed);
        }
    }
    for transaction in transactions {
        if let Some(book) = books.get_mut(&transaction.account()) {
            book.transactions.insert(transaction.id, Arc::new(transaction));
        }
    }
    for (account, open) in open_sums {
        if let Some(book) = books.get_mut(&account) {
            book.open_bills = Some(open);
        }
    }
    for (account, horizon) in due.horizons {
        if let Some(book) = books.get_mut(&account) {
            book.due_horizon = Some(horizon);
        }
    }
    for account in closing.too_large {
        if let Some(book) = books.get_mut(&account) {
            book.is_too_large_to_close = true;
        }
    }
    for order in exclusive.into_iter().chain(on_demand).chain(due.orders).chain(orders) {
        if let Some(book) = books.get_mut(&order.account()) {
            book.orders.insert(order.id, Arc::new(order));
        }
    }
    let bills = exclusive_bills.into_iter().chain(named_bills).chain(due_bills).chain(due.next);
    for bill in bills.chain(closing.bills).chain(refunded_bills).chain(months.bills).chain(order_bills) {
        if let Some(book) = books.get_mut(&bill.account()) {
            book.bills.insert(bill.id, Arc::new(bill));
        }
    }
    let plans: HashMap<PlanId, _> = plans.into_iter().map(|plan| (plan.id, plan)).collect();
    let Ground { currencies, policies, keys } = ground.clone();
    Ok((books, Catalogue { currencies, policies, keys, plans, capacity }))
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

/// What belongs to the bills that are due.
#[derive(Default)]
struct Due {
    /// Of the accounts that have more of them than are paid at once.
    horizons: Vec<(AccountId, DueAt)>,
    /// Without all of their bills: of those that may be paid, or are the next ones.
    orders: Vec<Order>,
    /// Beyond the horizon, the next of each of these orders, and of months: what is late keeps its order, or the account,
    /// suspended.
    next: Vec<Bill>,
}

impl Due {
    async fn load(
        conn: Conn<'_>,
        bills: &[Bill],
        now: DateTime<Utc>,
        spare: usize,
    ) -> Result<Self, StoreError> {
        if bills.is_empty() {
            return Ok(Self::default());
        }
        let mut of_each: BTreeMap<AccountId, Vec<&Bill>> = BTreeMap::new();
        bills.iter().for_each(|bill| of_each.entry(bill.account()).or_default().push(bill));
        let paid_at_once = usize::try_from(bills::PAID_AT_ONCE).unwrap_or(usize::MAX);
        let mut horizons = BTreeMap::new();
        for (account, due) in &mut of_each {
            due.sort_unstable_by_key(|bill| (bill.due_at, bill.id));
            horizons.extend(due.get(paid_at_once).map(|next| (*account, (next.due_at, next.id))));
        }
        let orders: BTreeSet<OrderId> = bills.iter().filter_map(|bill| bill.order).collect();
        let ids: Vec<OwnedId> = orders.iter().map(|order| order.0).collect();
        let beyond = |order: &OrderId| Some((*order, horizons.get(&order.0.account())?.0));
        let beyond: Vec<(OrderId, DateTime<Utc>)> = orders.iter().filter_map(beyond).collect();
        let read = || bills.iter().map(|bill| bill.id.uuid()).collect();
        let accounts: Vec<i64> = horizons.keys().map(|account| account.0).collect();
        let (orders, next, of_months) = try_join!(
            when(!ids.is_empty(), orders::order_by_ids(conn, &ids)),
            when(!beyond.is_empty(), bills::bill_open_due_from(conn, &beyond, read())),
            when(!accounts.is_empty(), bills::bill_open_due_of_months(conn, accounts, now, spare)),
        )?;
        let next = next.into_iter().chain(of_months).collect();
        Ok(Self { horizons: horizons.into_iter().collect(), orders, next })
    }
}

/// What ends with the accounts that are closed.
#[derive(Default)]
struct Closing {
    live: Vec<OwnedId>,
    /// The open bills of months.
    bills: Vec<Bill>,
    /// The accounts that have too much of either.
    too_large: BTreeSet<AccountId>,
}

impl Closing {
    async fn load(conn: Conn<'_>, accounts: &[i64]) -> Result<Self, StoreError> {
        let (mut live, mut bills) = try_join!(
            orders::order_live(conn, accounts.to_vec(), ORDERS_ENDED_MAX),
            bills::bill_open_of_months(conn, accounts.to_vec(), BILLS_MADE_DUE_MAX),
        )?;
        let mut too_large = BTreeSet::new();
        for account in accounts.iter().map(|id| AccountId(*id)) {
            let orders = live.iter().filter(|order| order.account() == account).count();
            let open = bills.iter().filter(|bill| bill.account() == account).count();
            if orders > ORDERS_ENDED_MAX || open > BILLS_MADE_DUE_MAX {
                too_large.insert(account);
            }
        }
        live.retain(|order| !too_large.contains(&order.account()));
        bills.retain(|bill| !too_large.contains(&bill.account()));
        Ok(Self { live, bills, too_large })
    }
}

/// The months of bills that are given back of or made void: all their bills, and what they were closed with.
#[derive(Default)]
struct MonthsOfBills {
    bills: Vec<Bill>,
    closed: Vec<ClosedMonth>,
}

impl MonthsOfBills {
    async fn load(conn: Conn<'_>, refunded: &[Bill], named: &[Bill]) -> Result<Self, StoreError> {
        let of_months = || refunded.iter().chain(named).filter(|bill| bill.order.is_none());
        let originals: BTreeSet<OwnedId> =
            of_months().filter_map(Bill::original).map(|original| original.0).collect();
        if originals.is_empty() {
            return Ok(Self::default());
        }
        let originals: Vec<OwnedId> = originals.into_iter().collect();
        let window = |bill: &Bill| (bill.account(), Month { start: bill.start_time, end: bill.end_time });
        let windows: Vec<(AccountId, Month)> = of_months().map(window).collect();
        let (bills, closed) = try_join!(
            bills::bill_of_months(conn, &originals),
            closings::closed_overlapping(conn, &windows),
        )?;
        Ok(Self { bills, closed })
    }
}

/// Orders with what decisions on them need: their bills, their plans, and the orders that they continue with their bills.
async fn load_orders(
    conn: Conn<'_>,
    wanted: BTreeSet<OwnedId>,
) -> Result<(Vec<Order>, Vec<Bill>, Vec<Plan>), StoreError> {
    if wanted.is_empty() {
        return Ok(Default::default());
    }
    let ids: Vec<OwnedId> = wanted.iter().copied().collect();
    let (mut orders, mut bills, plans) = try_join!(
        orders::order_by_ids(conn, &ids),
        bills::bill_of_orders(conn, &ids),
        plans::plan_of_orders(conn, &ids),
    )?;
    let previous = orders.iter().filter_map(|order| order.previous).map(|order| order.0);
    let previous: Vec<OwnedId> = previous.filter(|id| !wanted.contains(id)).collect();
    if !previous.is_empty() {
        let (before, of_before) =
            try_join!(orders::order_by_ids(conn, &previous), bills::bill_of_orders(conn, &previous))?;
        orders.extend(before);
        bills.extend(of_before);
    }
    Ok((orders, bills, plans))
}

/// Asks only if there is something to ask for.
pub(super) async fn when<T: Default>(
    wanted: bool,
    question: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    if wanted { question.await } else { Ok(T::default()) }
}

/// Writes what the books gained: one statement per table, down the wire together.
async fn write(
    conn: Conn<'_>,
    books: Books,
    now: DateTime<Utc>,
    (keys, others): (&SealKeys, AltSeals),
) -> Result<(), StoreError> {
    let (accounts, gain, answers) = collect(books);
    if accounts.is_empty() {
        return Ok(());
    }
    let seals = &Sealer::of(conn, keys, others, &gain, &answers.changed).await?;
    let methods: Vec<_> = gain.payment_methods.values().cloned().collect();
    let paid: Vec<_> = gain.payments.values().cloned().collect();
    let prepaid: Vec<_> = gain.prepayments.values().cloned().collect();
    let reversed: Vec<_> = gain.reversals.values().cloned().collect();
    let deposited: Vec<_> = gain.deposits.values().cloned().collect();
    let approved: Vec<_> = gain.approvals.values().cloned().collect();
    try_join!(
        accounts::account_post(conn, &accounts, gain.account_settings, seals),
        write_orders(conn, &gain, seals),
        when(!gain.bills.is_empty(), bills::bill_insert(conn, &gain.bills, seals)),
        when(
            !gain.transactions.is_empty(),
            transactions::transaction_insert(conn, &gain.transactions, seals)
        ),
        when(!gain.entries.is_empty(), ledger::entry_insert(conn, &gain.entries)),
        when(!gain.changed_bills.is_empty(), bills::bill_change(conn, &gain.changed_bills, seals)),
        when(
            !gain.changed_transactions.is_empty(),
            transactions::transaction_change(conn, &gain.changed_transactions, seals)
        ),
        when(!gain.notices.is_empty(), notices::notice_insert(conn, &gain.notices)),
        when(!answers.new.is_empty(), keys::answer_insert(conn, &answers.new, seals)),
        when(!answers.changed.is_empty(), keys::answer_change(conn, &answers.changed, seals)),
        when(!approved.is_empty(), approvals::approval_put(conn, &approved, seals)),
        when(!gain.operator_moves.is_empty(), operator_moves::move_insert(conn, &gain.operator_moves)),
        when(!gain.records.is_empty(), records::record_insert(conn, &gain.records, seals)),
        when(!gain.prepay_quotes.is_empty(), prepay_quotes::quote_insert(conn, &gain.prepay_quotes)),
        when(!gain.payment_methods.is_empty(), payment_methods::method_put(conn, &methods)),
        when(!paid.is_empty(), payments::payment_put(conn, &paid, seals)),
        when(!prepaid.is_empty(), prepayments::prepayment_put(conn, &prepaid, seals)),
        when(!reversed.is_empty(), reversals::reversal_put(conn, &reversed, seals)),
        when(!gain.told.is_empty(), reconciliations::unmatched_told(conn, &gain.told)),
        when(!deposited.is_empty(), deposits::deposit_decide(conn, &deposited)),
        when(!gain.closed_months.is_empty(), closings::closed_put(conn, &gain.closed_months, seals)),
        when(!gain.suspended_spans.is_empty(), suspensions::span_insert(conn, &gain.suspended_spans)),
        write_looks(conn, &accounts, &gain, now),
    )?;
    // An account gives its namespace up once it says that it is erased.
    when(!gain.erasures.is_empty(), erasures::erasure_begin(conn, &gain.erasures)).await
}

/// Has months and invoices looked at again whose limits are others by now.
async fn write_looks(
    conn: Conn<'_>,
    accounts: &[Account],
    gain: &Gain,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let days: BTreeSet<(AccountId, NaiveDate)> = gain.late_days.iter().copied().collect();
    let due = now.checked_add_signed(CORRECTED_AFTER).unwrap_or(now);
    late_usage::late_note(conn, &days, due).await?;
    for moved in accounts.iter().filter(|account| gain.moved.contains(&account.id)) {
        open_invoices::open_look_again(conn, moved.id, now).await?;
    }
    Ok(())
}

/// Orders give up their places (one of an exclusive plan in a region) before others take them.
async fn write_orders(conn: Conn<'_>, gain: &Gain, seals: &Sealer<'_>) -> Result<(), StoreError> {
    let gives_up = |order: &Arc<Order>| !order.state.is_live() || order.renewed_by.is_some();
    let (before, after): (Vec<_>, Vec<_>) = gain.changed_orders.iter().cloned().partition(gives_up);
    when(!before.is_empty(), orders::order_change(conn, &before, seals)).await?;
    when(!after.is_empty(), orders::order_change(conn, &after, seals)).await?;
    when(!gain.orders.is_empty(), orders::order_insert(conn, &gain.orders, seals)).await
}

/// What keys of accounts hold: those that held nothing, and those that held something else.
#[derive(Default)]
struct Answers {
    new: Vec<(AccountId, Answer)>,
    changed: Vec<(AccountId, Answer)>,
}

fn collect(books: Books) -> (Vec<Account>, Gain, Answers) {
    let mut accounts = Vec::with_capacity(books.len());
    let mut all = Gain::default();
    let mut answers = Answers::default();
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
        all.suspended_spans.extend(gained.suspended_spans);
        all.late_days.extend(gained.late_days);
        all.moved.extend(gained.moved);
        all.account_settings |= gained.account_settings;
        all.approvals.extend(gained.approvals);
        all.operator_moves.extend(gained.operator_moves);
        all.erasures.extend(gained.erasures);
        answers.new.extend(gained.answers.into_iter().map(|answer| (id, answer)));
        answers.changed.extend(gained.changed_answers.into_iter().map(|answer| (id, answer)));
    }
    (accounts, all, answers)
}
