//! The fetchers: one for each kind of key that requests look up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use rust_decimal::Decimal;

use super::cells::Cells;
use super::database::Connection;
use super::deposits::{self, AddressOf};
use super::grouped::{
    Fetching, Newest, Rows, by_key, by_owner, grouped_values, most, numbers, share_out, shared,
};
use super::invoices::invoice_drafts::{self, InvoiceDraft};
use super::owned_fetchers::OwnedFetchers;
use super::shared_loader::SharedLoader;
use super::{accounts, bills, ledger, notices, payments, plans, price_rules, records, transactions};
use crate::domain::account::Account;
use crate::domain::bill::{Bill, BillHeader};
use crate::domain::ids::{AccountId, OrderId, OwnedId, PlanId, PriceRuleId};
use crate::domain::notice::Notice;
use crate::domain::payment::Payment;
use crate::domain::plan::{Plan, PlanResource, Resource};
use crate::domain::prepay::Deposit;
use crate::domain::price_rule::PriceRule;
use crate::domain::record::Record;
use crate::domain::transaction::Transaction;

/// How many open notices an account shows.
pub const NOTICES_MAX: i64 = 100;

/// All fetchers of a server.
pub struct Fetchers {
    pub owned: OwnedFetchers,
    pub accounts: SharedLoader<AccountId, Arc<Account>>,
    pub namespaces: SharedLoader<String, AccountId>,
    pub balances_at: SharedLoader<(AccountId, DateTime<Utc>), Decimal>,
    pub notices: SharedLoader<AccountId, Rows<Notice>>,
    /// With those that are for operators.
    pub all_notices: SharedLoader<AccountId, Rows<Notice>>,
    pub plans: SharedLoader<PlanId, Arc<Plan>>,
    pub plan_resources: SharedLoader<PlanId, Arc<[PlanResource]>>,
    pub plans_in_use: SharedLoader<AccountId, Arc<[PlanId]>>,
    pub resources: SharedLoader<String, Arc<Resource>>,
    pub price_rules: SharedLoader<PriceRuleId, Arc<PriceRule>>,
    pub own_price_rules: SharedLoader<AccountId, Rows<PriceRule>>,
    pub default_price_rules: SharedLoader<(), Rows<PriceRule>>,
    pub newest_bills_of_orders: SharedLoader<Newest<OrderId>, Rows<Bill>>,
    pub newest_bill_headers_of_orders: SharedLoader<Newest<OrderId>, Arc<[BillHeader]>>,
    pub bill_counts_of_orders: SharedLoader<OrderId, i64>,
    pub records_of_bills: SharedLoader<OwnedId, Rows<Record>>,
    pub refunds: SharedLoader<OwnedId, Rows<Transaction>>,
    pub payments: SharedLoader<OwnedId, Arc<Payment>>,
    pub deposits_to: SharedLoader<AddressOf, Rows<Deposit>>,
    /// The months of accounts that have no invoice, newest first.
    pub drafts: SharedLoader<AccountId, Rows<InvoiceDraft>>,
}

impl Fetchers {
    pub fn start(cells: &Cells) -> Self {
        Self {
            owned: OwnedFetchers::new(cells),
            accounts: SharedLoader::start(cells, accounts_by_id),
            namespaces: SharedLoader::start(cells, accounts_by_namespace),
            balances_at: SharedLoader::start(cells, balances_at),
            notices: SharedLoader::start(cells, |conn, keys| open_notices(conn, keys, false)),
            all_notices: SharedLoader::start(cells, |conn, keys| open_notices(conn, keys, true)),
            plans: SharedLoader::start(cells, plans_by_id),
            plan_resources: SharedLoader::start(cells, resources_of_plans),
            plans_in_use: SharedLoader::start(cells, plans_in_use),
            resources: SharedLoader::start(cells, resources_by_code),
            price_rules: SharedLoader::start(cells, price_rules_by_id),
            own_price_rules: SharedLoader::start(cells, own_price_rules),
            default_price_rules: SharedLoader::start(cells, default_price_rules),
            newest_bills_of_orders: SharedLoader::start(cells, newest_bills_of_orders),
            newest_bill_headers_of_orders: SharedLoader::start(cells, newest_bill_headers_of_orders),
            bill_counts_of_orders: SharedLoader::start(cells, bill_counts_of_orders),
            records_of_bills: SharedLoader::start(cells, records_of_bills),
            refunds: SharedLoader::start(cells, refunds),
            payments: SharedLoader::start(cells, payments_by_id),
            deposits_to: SharedLoader::start(cells, deposits_to),
            drafts: SharedLoader::start(cells, drafts_of_accounts),
        }
    }
}

fn accounts_by_id(conn: Connection, keys: Vec<AccountId>) -> Fetching<AccountId, Arc<Account>> {
    async move { Ok(by_key(accounts::account_by_ids(&conn, numbers(&keys)).await?, |row| row.id)) }.boxed()
}

fn accounts_by_namespace(conn: Connection, keys: Vec<String>) -> Fetching<String, AccountId> {
    async move { Ok(accounts::account_by_namespaces(&conn, keys).await?.into_iter().collect()) }.boxed()
}

fn balances_at(
    conn: Connection,
    keys: Vec<(AccountId, DateTime<Utc>)>,
) -> Fetching<(AccountId, DateTime<Utc>), Decimal> {
    async move {
        let mut by_instant: HashMap<DateTime<Utc>, Vec<AccountId>> = HashMap::new();
        for (account, at) in keys {
            by_instant.entry(at).or_default().push(account);
        }
        let mut found = HashMap::new();
        for (at, accounts) in by_instant {
            let balances = ledger::balances_at(&conn, numbers(&accounts), at).await?;
            found.extend(accounts.into_iter().map(|account| ((account, at), Decimal::ZERO)));
            found.extend(balances.into_iter().map(|(account, balance)| ((account, at), balance)));
        }
        Ok(found)
    }
    .boxed()
}

fn open_notices(
    conn: Connection,
    keys: Vec<AccountId>,
    for_operators: bool,
) -> Fetching<AccountId, Rows<Notice>> {
    async move {
        let rows = notices::notice_open(&conn, numbers(&keys), NOTICES_MAX, for_operators).await?;
        let grouped = by_owner(&shared(rows), |row| Some(row.id.account()), |row| row.id);
        let keys = keys.into_iter().map(|account| (account, NOTICES_MAX)).collect();
        Ok(share_out(keys, &grouped).into_iter().map(|((account, _), rows)| (account, rows)).collect())
    }
    .boxed()
}

fn plans_by_id(conn: Connection, keys: Vec<PlanId>) -> Fetching<PlanId, Arc<Plan>> {
    async move { Ok(by_key(plans::plan_by_ids(&conn, keys.iter().map(|id| id.0).collect()).await?, |row| row.id)) }.boxed()
}

fn resources_of_plans(conn: Connection, keys: Vec<PlanId>) -> Fetching<PlanId, Arc<[PlanResource]>> {
    async move {
        let rows = plans::plan_resources(&conn, keys.iter().map(|id| id.0).collect()).await?;
        Ok(grouped_values(keys, rows))
    }
    .boxed()
}

fn plans_in_use(conn: Connection, keys: Vec<AccountId>) -> Fetching<AccountId, Arc<[PlanId]>> {
    async move {
        let rows = plans::plans_in_use(&conn, numbers(&keys)).await?;
        Ok(grouped_values(keys, rows.into_iter().map(|(account, plan)| (AccountId(account), plan)).collect()))
    }
    .boxed()
}

fn resources_by_code(conn: Connection, keys: Vec<String>) -> Fetching<String, Arc<Resource>> {
    async move { Ok(by_key(plans::resource_by_codes(&conn, keys).await?, |row| row.code.clone())) }.boxed()
}

fn price_rules_by_id(conn: Connection, keys: Vec<PriceRuleId>) -> Fetching<PriceRuleId, Arc<PriceRule>> {
    async move {
        let ids = keys.iter().map(|id| id.0).collect();
        Ok(by_key(price_rules::rule_by_ids(&conn, ids).await?, |row| row.id))
    }
    .boxed()
}

fn own_price_rules(conn: Connection, keys: Vec<AccountId>) -> Fetching<AccountId, Rows<PriceRule>> {
    async move {
        let rules = price_rules::rules_of_accounts(&conn, numbers(&keys)).await?;
        let owned = rules.into_iter().filter_map(|rule| Some((rule.account?, Arc::new(rule)))).collect();
        Ok(grouped_values(keys, owned))
    }
    .boxed()
}

fn default_price_rules(conn: Connection, _: Vec<()>) -> Fetching<(), Rows<PriceRule>> {
    async move {
        let rules = price_rules::rules_of_everyone(&conn).await?;
        Ok(HashMap::from([((), rules.into_iter().map(Arc::new).collect())]))
    }
    .boxed()
}

fn newest_bills_of_orders(
    conn: Connection,
    keys: Vec<Newest<OrderId>>,
) -> Fetching<Newest<OrderId>, Rows<Bill>> {
    async move {
        let rows = bills::bill_newest_of_orders(&conn, &each_order(&keys), most(&keys)).await?;
        Ok(share_out(keys, &by_owner(&shared(rows), |row| row.order, |row| row.id)))
    }
    .boxed()
}

fn newest_bill_headers_of_orders(
    conn: Connection,
    keys: Vec<Newest<OrderId>>,
) -> Fetching<Newest<OrderId>, Arc<[BillHeader]>> {
    async move {
        let rows = bills::bill_header_newest_of_orders(&conn, &each_order(&keys), most(&keys)).await?;
        Ok(share_out(keys, &by_owner(&rows, |row| row.order, |row| row.id)))
    }
    .boxed()
}

/// Each order once, for the same may be asked for with several limits.
fn each_order(keys: &[Newest<OrderId>]) -> Vec<OwnedId> {
    let ids: HashSet<OwnedId> = keys.iter().map(|(order, _)| order.0).collect();
    ids.into_iter().collect()
}

fn bill_counts_of_orders(conn: Connection, keys: Vec<OrderId>) -> Fetching<OrderId, i64> {
    async move {
        let ids: Vec<OwnedId> = keys.iter().map(|order| order.0).collect();
        let mut all: HashMap<OrderId, i64> = keys.into_iter().map(|order| (order, 0)).collect();
        all.extend(bills::bill_count_of_orders(&conn, &ids).await?);
        Ok(all)
    }
    .boxed()
}

fn records_of_bills(conn: Connection, keys: Vec<OwnedId>) -> Fetching<OwnedId, Rows<Record>> {
    async move {
        let rows = records::record_of_bills(&conn, &keys).await?;
        let mut of_bills: HashMap<OwnedId, Vec<Arc<Record>>> = HashMap::new();
        for row in rows {
            of_bills.entry(row.bill.0).or_default().push(Arc::new(row));
        }
        Ok(of_bills.into_iter().map(|(bill, records)| (bill, records.into())).collect())
    }
    .boxed()
}

fn refunds(conn: Connection, keys: Vec<OwnedId>) -> Fetching<OwnedId, Rows<Transaction>> {
    async move {
        let rows = transactions::transaction_refunds(&conn, &keys).await?;
        let grouped = by_owner(&shared(rows), |row| row.refund_of.map(|id| id.0), |row| row.id);
        let keys: Vec<Newest<OwnedId>> = keys.into_iter().map(|id| (id, i64::MAX)).collect();
        Ok(share_out(keys, &grouped).into_iter().map(|((id, _), rows)| (id, rows)).collect())
    }
    .boxed()
}

fn payments_by_id(conn: Connection, keys: Vec<OwnedId>) -> Fetching<OwnedId, Arc<Payment>> {
    async move { Ok(by_key(payments::payment_by_ids(&conn, &keys).await?, |row| row.id.0)) }.boxed()
}

fn deposits_to(conn: Connection, keys: Vec<AddressOf>) -> Fetching<AddressOf, Rows<Deposit>> {
    async move {
        let mut to: HashMap<AddressOf, Vec<Arc<Deposit>>> = HashMap::new();
        for deposit in deposits::deposits_to(&conn, &keys).await? {
            to.entry((deposit.account, deposit.place.address.clone())).or_default().push(Arc::new(deposit));
        }
        Ok(to.into_iter().map(|(address, deposits)| (address, deposits.into())).collect())
    }
    .boxed()
}

fn drafts_of_accounts(conn: Connection, keys: Vec<AccountId>) -> Fetching<AccountId, Rows<InvoiceDraft>> {
    async move {
        let rows = invoice_drafts::drafts_of(&conn, numbers(&keys)).await?;
        let grouped = by_owner(&shared(rows), |row| Some(row.open.account), |row| row.open.start);
        Ok(grouped.into_iter().map(|(account, drafts)| (account, drafts.into())).collect())
    }
    .boxed()
}
