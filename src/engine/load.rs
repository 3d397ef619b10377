//! What is read for commands before they are decided: what a [`Book`] must hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use futures_util::try_join;

use super::approvals::Approvals;
use super::books::{Books, Ground, enter, note, when};
use super::paid::PaymentReads;
use crate::domain::account::Account;
use crate::domain::bill::Bill;
use crate::domain::book::{Book, CapacityCatalogue, Catalogue, DueAt};
use crate::domain::capacity::{SUBSCRIPTION_LEVEL, by_currency};
use crate::domain::closing::{ClosedMonth, Month};
use crate::domain::command::Command;
use crate::domain::decide::{BILLS_MADE_DUE_MAX, ORDERS_ENDED_MAX};
use crate::domain::ids::{AccountId, OrderId, OwnedId, PlanId};
use crate::domain::money::Currencies;
use crate::domain::order::Order;
use crate::domain::plan::Plan;
use crate::domain::read_set::{ReadSet, Standing};
use crate::domain::transaction::Transaction;
use crate::store::capacity::{self, PriceAt};
use crate::store::error::StoreError;
use crate::store::prepay::prepay_quotes;
use crate::store::{Conn, accounts, bills, closings, erasures, keys, orders, owned, payment_methods, plans};

fn numbers(accounts: &[AccountId]) -> Vec<i64> {
    accounts.iter().map(|account| account.0).collect()
}

/// Reads, under the locks, what the commands need (what a [`Book`] must hold). Statements that do not wait for each
/// other go down the wire together.
pub(super) async fn load(
    conn: Conn<'_>,
    accounts: Vec<Account>,
    ground: &Ground,
    now: DateTime<Utc>,
    commands: &[&Command],
) -> Result<(Books, Catalogue), StoreError> {
    let reads = ReadSet::of(commands);
    let standing = Standing::of(&accounts, &reads);
    let paid = PaymentReads::load(conn, &reads).await?;
    // What is named may be paid beside what money pays by itself.
    let spare = reads.bills.len().saturating_add(reads.orders.len());
    let (answers, mut plans, exclusive, exclusive_bills, transactions, named_bills, due_bills, closed) = try_join!(
        when(!reads.keys.is_empty(), keys::answer_by_keys(conn, numbers(&reads.key_accounts), reads.keys)),
        when(
            !reads.plans.is_empty(),
            plans::plan_by_ids(conn, reads.plans.iter().map(|plan| plan.0).collect())
        ),
        when(!reads.buyers.is_empty(), orders::order_exclusive(conn, numbers(&reads.buyers))),
        when(!reads.buyers.is_empty(), bills::bill_of_exclusive_orders(conn, numbers(&reads.buyers))),
        when(!reads.transactions.is_empty(), owned::by_ids::<Transaction>(conn, &reads.transactions)),
        when(!reads.bills.is_empty(), owned::by_ids::<Bill>(conn, &reads.bills)),
        when(!reads.payers.is_empty(), bills::bill_open_due(conn, numbers(&reads.payers), now, spare)),
        when(!reads.months.is_empty(), closings::closed_overlapping(conn, &reads.months)),
    )?;
    let (unpaid, offers, unsettled) = try_join!(
        when(!reads.owing.is_empty(), orders::order_unpaid_count(conn, numbers(&reads.owing))),
        when(!reads.offered.is_empty(), prepay_quotes::quote_open_count(conn, numbers(&reads.offered), now)),
        when(!reads.erasing.is_empty(), erasures::unsettled(conn, numbers(&reads.erasing))),
    )?;
    let of_keys = answers.iter().filter_map(|(_, answer)| answer.made.approval).map(|approval| approval.0);
    let waiting: Vec<OwnedId> = of_keys.chain(reads.approvals).collect();
    let weighed = if ground.policies.approvals.is_some() { numbers(&reads.weighed) } else { Vec::new() };
    let approvals = Approvals::load(conn, &waiting, weighed, (now, &ground.keys)).await?;
    let opened = standing.opening.iter().map(|(account, _)| account.0).collect();
    let due = Due::load(conn, &due_bills, now, spare);
    let (due, waiting, on_demand, closing, with_open_subs, open_sums, last_months, with_closed_parents) = try_join!(
        due,
        when(!reads.payers.is_empty(), orders::order_awaiting_renewal(conn, numbers(&reads.payers))),
        when(
            !standing.on_demand.is_empty(),
            orders::order_on_demand_live(conn, numbers(&standing.on_demand))
        ),
        when(!reads.closing.is_empty(), Closing::load(conn, numbers(&reads.closing))),
        when(!reads.closing.is_empty(), accounts::account_with_open_subs(conn, numbers(&reads.closing))),
        when(!standing.settling.is_empty(), bills::bill_open_sums(conn, numbers(&standing.settling))),
        when(!standing.opening.is_empty(), closings::closed_overlapping(conn, &standing.opening)),
        when(!standing.opening.is_empty(), accounts::account_of_closed_parents(conn, opened)),
    )?;
    let named_orders = reads.orders.into_iter().chain(waiting).chain(closing.live);
    let mut wanted: BTreeSet<OwnedId> = named_orders.collect();
    wanted.extend(named_bills.iter().filter_map(|bill| bill.order).map(|order| order.0));
    // Whose renewal waits may be renewed.
    wanted.extend(due.orders.iter().filter(|order| order.awaits_renewal()).map(|order| order.id.0));
    let paid_bills: Vec<OwnedId> =
        transactions.iter().filter_map(|paid| paid.bill).map(|bill| bill.0).collect();
    let refunded_bills = when(!paid_bills.is_empty(), owned::by_ids::<Bill>(conn, &paid_bills)).await?;
    let months = MonthsOfBills::load(conn, &refunded_bills, &named_bills).await?;
    let (orders, order_bills, order_plans) = load_orders(conn, wanted).await?;
    plans.extend(order_plans);
    let (kept, removed) = try_join!(
        when(
            !reads.card_holders.is_empty(),
            payment_methods::methods_kept(conn, numbers(&reads.card_holders))
        ),
        when(!reads.methods.is_empty(), payment_methods::method_by_ids(conn, &reads.methods)),
    )?;
    let capacity = load_capacity(conn, reads.resources, &orders, &ground.currencies, now).await?;
    let mut books: Books = accounts.into_iter().map(|account| (account.id, Book::new(account))).collect();
    note(&mut books, answers, |book, answer| _ = book.answers.insert(answer.key.clone(), answer));
    paid.enter(&mut books);
    approvals.enter(&mut books);
    enter(&mut books, kept.into_iter().chain(removed), |book| &mut book.payment_methods);
    note(&mut books, unpaid, |book, count| book.unpaid_orders = count);
    note(&mut books, offers, |book, count| book.open_quotes = count);
    note(&mut books, unsettled, |book, what| book.unsettled = Some(what));
    note(&mut books, open_sums, |book, open| book.open_bills = Some(open));
    note(&mut books, due.horizons, |book, horizon| book.due_horizon = Some(horizon));
    let facts = |accounts: Vec<AccountId>| accounts.into_iter().map(|account| (account, true));
    note(&mut books, facts(with_open_subs), |book, holds| book.has_open_subs = holds);
    note(&mut books, facts(with_closed_parents), |book, holds| book.has_closed_parent = holds);
    let too_large = closing.too_large.into_iter().collect();
    note(&mut books, facts(too_large), |book, holds| book.is_too_large_to_close = holds);
    let closed = closed.into_iter().chain(months.closed).chain(last_months);
    enter(&mut books, closed, |book| &mut book.closed_months);
    enter(&mut books, transactions, |book| &mut book.transactions);
    let orders = exclusive.into_iter().chain(on_demand).chain(due.orders).chain(orders);
    enter(&mut books, orders, |book| &mut book.orders);
    let bills = exclusive_bills.into_iter().chain(named_bills).chain(due_bills).chain(due.next);
    let bills = bills.chain(closing.bills).chain(refunded_bills).chain(months.bills).chain(order_bills);
    enter(&mut books, bills, |book| &mut book.bills);
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
        capacity::prices_at_levels(conn, &asked, currencies, PriceAt::InForce(now)),
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
            when(!ids.is_empty(), owned::by_ids::<Order>(conn, &ids)),
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
    async fn load(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Self, StoreError> {
        let (mut live, mut bills) = try_join!(
            orders::order_live(conn, accounts.clone(), ORDERS_ENDED_MAX),
            bills::bill_open_of_months(conn, accounts.clone(), BILLS_MADE_DUE_MAX),
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
        owned::by_ids::<Order>(conn, &ids),
        bills::bill_of_orders(conn, &ids),
        plans::plan_of_orders(conn, &ids),
    )?;
    let previous = orders.iter().filter_map(|order| order.previous).map(|order| order.0);
    let previous: Vec<OwnedId> = previous.filter(|id| !wanted.contains(id)).collect();
    if !previous.is_empty() {
        let (before, of_before) =
            try_join!(owned::by_ids::<Order>(conn, &previous), bills::bill_of_orders(conn, &previous))?;
        orders.extend(before);
        bills.extend(of_before);
    }
    Ok((orders, bills, plans))
}
