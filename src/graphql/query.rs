//! The root fields that read.

pub(in crate::graphql) mod filters;
pub(in crate::graphql) mod lists;
mod price;
pub(in crate::graphql) mod price_rules;
mod simulation;
mod usage;

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use chrono::Datelike;
use futures_util::future::join_all;

use super::enums::{ApprovalState, Granularity};
use super::error::{ApiError, ApiResult};
use super::input::{argument_account, argument_id, may_be_kept};
use super::loaders::Namespace;
use super::nullable::{self, Nullable};
use super::pagination::PageArgs;
use super::scalars::{Code, Day, Exact, Instant};
use super::session::{Session, any_session, provider_session, session};
use super::types::account::{Account, AccountConnection};
use super::types::approval::ApprovalConnection;
use super::types::bill::{Bill, BillConnection};
use super::types::billing_run::BillingRun;
use super::types::charge::Charge;
use super::types::code_label::CodeLabel;
use super::types::exchange_rate::ExchangeRate;
use super::types::idempotent_result::IdempotentResult;
use super::types::invoice::InvoiceConnection;
use super::types::ledger_entry::LedgerEntryConnection;
use super::types::ledger_health::LedgerHealth;
use super::types::license::LicenseConnection;
use super::types::node::{self, Node};
use super::types::order::{Order, OrderConnection};
use super::types::plan::{Plan, PlanConnection};
use super::types::prepayment::PrepaymentConnection;
use super::types::price_quote::{PriceQuote, TermDiscount};
use super::types::price_rule::PriceRule;
use super::types::pricing::Pricing;
use super::types::record::{ConsumptionRecord, ConsumptionRecordConnection};
use super::types::resource::Resource;
use super::types::service_config::ServiceConfig;
use super::types::transaction::{Transaction, TransactionConnection};
use super::types::unmatched_payment::UnmatchedPayment;
use super::types::usage_point::UsagePoint;
use super::types::viewer::Viewer;
use crate::domain::ids::{AccountId, BillId, NodeId, OrderId, PlanId, RecordId, TransactionId};
use crate::domain::label::{self, LabelList};
use crate::domain::refusal::RefusalCode;
use filters::{
    AccountFilterInput, BillFilterInput, LedgerFilterInput, OrderFilterInput, PlanFilterInput,
    PrepaymentFilterInput, RecordFilterInput, TransactionFilterInput, recharges,
};
use lists::Of;
use price::PriceInput;
use simulation::SimulateChargesInput;

/// The ids that `nodes` takes at once.
const NODES_MAX: usize = 100;

/// Exactly one of `id` and `number` names what is asked for.
enum Named<T> {
    Id(T),
    Number(String),
}

fn named<T>(
    id: Option<ID>,
    number: Option<String>,
    parse: impl Fn(&str) -> Option<T>,
) -> ApiResult<Named<T>> {
    match (id, number) {
        (Some(id), None) => argument_id("id", &id, parse).map(Named::Id),
        (None, Some(number)) => Ok(Named::Number(number)),
        (None, None) => Err(ApiError::of_argument(RefusalCode::Required, "id", "id or number is needed")),
        (Some(_), Some(_)) => Err(ApiError::of_argument(
            RefusalCode::Invalid,
            "number",
            "id and number cannot be used together",
        )),
    }
}

async fn labels_of(session: &Session, list: LabelList) -> ApiResult<Vec<CodeLabel>> {
    Ok(CodeLabel::all(&session.repository().labels(list).await?, session.language))
}

/// What can be read.
pub struct Query;

/// What can be read. Lists are newest first, windows of time half-open, unknown ids null.
#[Object]
impl Query {
    /// The thing of that id; null if there is none or it is not the caller's to see.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "An id that this server has given.")] id: ID,
    ) -> Nullable<Node> {
        nullable::of(async {
            let id = argument_id("id", &id, NodeId::parse)?;
            node::load(ctx, id).await
        })
        .await
    }

    /// The things of these ids, in their order; null for what is not there.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 100 ids that this server has given.")] ids: Vec<ID>,
    ) -> async_graphql::Result<Vec<Nullable<Node>>> {
        session(ctx)?;
        if ids.len() > NODES_MAX {
            let message = format!("at most {NODES_MAX} ids");
            return Err(ApiError::of_argument(RefusalCode::LimitExceeded, "ids", message).into());
        }
        let loading = ids
            .iter()
            .map(|id| nullable::of(async { node::load(ctx, argument_id("ids", id, NodeId::parse)?).await }));
        Ok(join_all(loading).await)
    }

    /// Who the token says is asking.
    async fn viewer(&self, ctx: &Context<'_>) -> async_graphql::Result<Viewer> {
        Ok(Viewer(Arc::new(any_session(ctx)?.viewer().clone())))
    }

    /// What this server allows: depth, complexity and what costs how much, page size, body size, currencies.
    async fn service_config(&self, ctx: &Context<'_>) -> async_graphql::Result<ServiceConfig> {
        Ok(ServiceConfig::from(&*any_session(ctx)?.app))
    }

    /// An account by id or namespace; with neither, the caller's own. A MAIN account sees its sub-accounts, an operator
    /// all.
    async fn account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account's id.")] id: Option<ID>,
        #[graphql(desc = "The account's namespace.")] namespace: Option<String>,
    ) -> Nullable<Account> {
        nullable::of(async {
            let session = session(ctx)?;
            let found = match (id, namespace) {
                (Some(_), Some(_)) => {
                    let message = "id and namespace cannot be used together";
                    return Err(ApiError::of_argument(RefusalCode::Invalid, "namespace", message));
                }
                (Some(id), None) => session.load(argument_id("id", &id, AccountId::parse)?).await,
                (None, Some(namespace)) if may_be_kept(&namespace) => {
                    session.load(Namespace(namespace)).await
                }
                (None, Some(_)) => Ok(None),
                (None, None) => match session.viewer().account {
                    Some(own) => session.load(own).await,
                    None => Ok(None),
                },
            };
            Ok(found?.map(Account))
        })
        .await
    }

    /// The accounts that the caller may see.
    #[allow(clippy::too_many_arguments)]
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Narrows the list.")] filter: Option<AccountFilterInput>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<AccountConnection> {
        let args = PageArgs { first, after, last, before, offset };
        Ok(Box::pin(lists::accounts(session(ctx)?, filter.unwrap_or_default().read()?, &args)).await?)
    }

    /// The market: what can be bought.
    #[allow(clippy::too_many_arguments)]
    async fn plans(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Narrows the list.")] filter: Option<PlanFilterInput>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<PlanConnection> {
        let args = PageArgs { first, after, last, before, offset };
        Ok(Box::pin(lists::plans(session(ctx)?, filter.unwrap_or_default().read()?, &args)).await?)
    }

    /// The plan of that id, also after it was retired.
    async fn plan(&self, ctx: &Context<'_>, #[graphql(desc = "The plan's id.")] id: ID) -> Nullable<Plan> {
        nullable::of(async {
            let id = argument_id("id", &id, PlanId::parse)?;
            Ok(session(ctx)?.load(id).await?.map(Plan))
        })
        .await
    }

    /// What is metered or sold, by code.
    async fn resources(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Resource>> {
        let resources = any_session(ctx)?.repository().resource_list().await.map_err(ApiError::from)?;
        Ok(resources.into_iter().map(Arc::new).map(Resource).collect())
    }

    /// The price rules of the account named, else of the caller's own account: its own, and the defaults that apply to
    /// it. For an operator without an account: those for everyone. In the order in which they were set.
    async fn price_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] account_id: Option<ID>,
        #[graphql(desc = "Only those in force then; absent: all.")] at: Option<Instant>,
    ) -> async_graphql::Result<Vec<PriceRule>> {
        let session = session(ctx)?;
        let account = argument_account(account_id)?.or(session.viewer().account);
        Ok(price_rules::of(session, account, at.map(|at| at.0)).await?)
    }

    /// Rates usage under rules that need not be stored: try a price before it is set.
    async fn simulate_charges(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rules, and what was used.")] input: SimulateChargesInput,
    ) -> Nullable<Charge> {
        nullable::of(async { Ok(Some(simulation::simulate(session(ctx)?, ctx, input).await?)) }).await
    }

    /// The orders of the account named, else of the caller's account and its sub-accounts; operators: of all.
    #[allow(clippy::too_many_arguments)]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only of this account.")] account_id: Option<ID>,
        #[graphql(desc = "Narrows the list.")] filter: Option<OrderFilterInput>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<OrderConnection> {
        let args = PageArgs { first, after, last, before, offset };
        let (account, filter) = (argument_account(account_id)?, filter.unwrap_or_default().read()?);
        Ok(Box::pin(lists::orders(ctx, Of::Named(account), filter, &args)).await?)
    }

    /// An order by id or number.
    async fn order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: Option<ID>,
        #[graphql(desc = "The order's number.")] number: Option<String>,
    ) -> Nullable<Order> {
        nullable::of(async {
            let session = session(ctx)?;
            let found = match named(id, number, OrderId::parse)? {
                Named::Id(id) => session.load(id).await?,
                Named::Number(number) => session.repository().order_by_number(&number).await?.map(Arc::new),
            };
            Ok(found.map(Order::from))
        })
        .await
    }

    /// The bills of the account named, else of the caller's account and its sub-accounts; operators: of all.
    #[allow(clippy::too_many_arguments)]
    async fn bills(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only of this account.")] account_id: Option<ID>,
        #[graphql(desc = "Narrows the list.")] filter: Option<BillFilterInput>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<BillConnection> {
        let args = PageArgs { first, after, last, before, offset };
        let (account, filter) = (argument_account(account_id)?, filter.unwrap_or_default().read()?);
        Ok(Box::pin(lists::bills(ctx, Of::Named(account), filter, &args)).await?)
    }

    /// A bill by id or number.
    async fn bill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The bill's id.")] id: Option<ID>,
        #[graphql(desc = "The bill's number.")] number: Option<String>,
    ) -> Nullable<Bill> {
        nullable::of(async {
            let session = session(ctx)?;
            let found = match named(id, number, BillId::parse)? {
                Named::Id(id) => session.load(id).await?,
                Named::Number(number) => session.repository().bill_by_number(&number).await?.map(Arc::new),
            };
            Ok(found.map(Bill::from))
        })
        .await
    }

    /// What was consumed by the account named, else by the caller's account and its sub-accounts; operators: by all.
    #[allow(clippy::too_many_arguments)]
    async fn records(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only of this account.")] account_id: Option<ID>,
        #[graphql(desc = "Narrows the list.")] filter: Option<RecordFilterInput>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<ConsumptionRecordConnection> {
        let args = PageArgs { first, after, last, before, offset };
        let (account, filter) = (argument_account(account_id)?, filter.unwrap_or_default().read()?);
        Ok(Box::pin(lists::records(ctx, Of::Named(account), filter, &args)).await?)
    }

    /// A consumption record by id or number.
    async fn record(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The record's id.")] id: Option<ID>,
        #[graphql(desc = "The record's number.")] number: Option<String>,
    ) -> Nullable<ConsumptionRecord> {
        nullable::of(async {
            let session = session(ctx)?;
            let found = match named(id, number, RecordId::parse)? {
                Named::Id(id) => session.load(id).await?,
                Named::Number(number) => session.repository().record_by_number(&number).await?.map(Arc::new),
            };
            Ok(found.map(ConsumptionRecord))
        })
        .await
    }

    /// What came in over a window of time: the recharges of the account named, else of the caller's account and its
    /// sub-accounts; operators: of all.
    #[allow(clippy::too_many_arguments)]
    async fn recharge_records(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only of this account.")] account_id: Option<ID>,
        #[graphql(desc = "Only those made then or later.")] start_time: Instant,
        #[graphql(desc = "Only those made before.")] end_time: Instant,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<TransactionConnection> {
        let args = PageArgs { first, after, last, before, offset };
        let (account, filter) = (argument_account(account_id)?, recharges(start_time, end_time)?);
        Ok(Box::pin(lists::transactions(ctx, Of::Named(account), filter, &args)).await?)
    }

    /// What was paid, or is to be paid, for apps beforehand: by the account named, else by the caller's account and its
    /// sub-accounts; operators: by all.
    #[allow(clippy::too_many_arguments)]
    async fn prepayments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only of this account.")] account_id: Option<ID>,
        #[graphql(desc = "Narrows the list.")] filter: Option<PrepaymentFilterInput>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<PrepaymentConnection> {
        let args = PageArgs { first, after, last, before, offset };
        let (account, filter) = (argument_account(account_id)?, filter.unwrap_or_default().into());
        Ok(Box::pin(lists::prepayments(ctx, Of::Named(account), filter, &args)).await?)
    }

    /// What was paid by the month: the invoices of the account named, with its drafts, else those issued to the caller's
    /// account and its sub-accounts, with the drafts of the caller's own; operators: those issued to all.
    #[allow(clippy::too_many_arguments)]
    async fn invoices(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only of this account.")] account_id: Option<ID>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<InvoiceConnection> {
        let args = PageArgs { first, after, last, before, offset };
        let account = argument_account(account_id)?;
        Ok(Box::pin(lists::invoices(session(ctx)?, Of::Named(account), &args)).await?)
    }

    /// The kinds of product.
    async fn resource_types(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<CodeLabel>> {
        Ok(labels_of(session(ctx)?, LabelList::ResourceType).await?)
    }

    /// How orders come about.
    async fn order_types(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<CodeLabel>> {
        Ok(CodeLabel::all(&label::order_types(), session(ctx)?.language))
    }

    /// Where orders stand.
    async fn order_states(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<CodeLabel>> {
        Ok(CodeLabel::all(&label::order_states(), session(ctx)?.language))
    }

    /// Where the provider runs.
    async fn datacenters(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<CodeLabel>> {
        Ok(labels_of(session(ctx)?, LabelList::Datacenter).await?)
    }

    /// What capacity costs, and the burst levels now and next.
    async fn pricing(&self, ctx: &Context<'_>) -> async_graphql::Result<Pricing> {
        Ok(Pricing::now(session(ctx)?))
    }

    /// Of each pair of currencies the rate that was observed last.
    async fn exchange_rates(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<ExchangeRate>> {
        let rates = session(ctx)?.repository().exchange_rates().await.map_err(ApiError::from)?;
        Ok(rates.iter().map(ExchangeRate::from).collect())
    }

    /// The licences that can be used, newest first.
    async fn licenses(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<LicenseConnection> {
        let args = PageArgs { first, after, last, before, offset };
        Ok(Box::pin(lists::licenses(session(ctx)?, &args)).await?)
    }

    /// The discounts on subscriptions, the shortest term first.
    async fn discounts(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<TermDiscount>> {
        let discounts = session(ctx)?.repository().term_discounts().await.map_err(ApiError::from)?;
        Ok(discounts.into_iter().map(TermDiscount::from).collect())
    }

    /// The price of capacity: `amount` things of `size`, for an hour on demand, or for months less the term discount.
    async fn price(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What, how much of it, and for how long.")] input: PriceInput,
    ) -> Nullable<PriceQuote> {
        nullable::of(async { Ok(Some(price::quote(session(ctx)?, input).await?)) }).await
    }

    /// The movements of money of the account named, else of the caller's account and its sub-accounts; operators: of
    /// all.
    #[allow(clippy::too_many_arguments)]
    async fn transactions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only of this account.")] account_id: Option<ID>,
        #[graphql(desc = "Narrows the list.")] filter: Option<TransactionFilterInput>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<TransactionConnection> {
        let args = PageArgs { first, after, last, before, offset };
        let (account, filter) = (argument_account(account_id)?, filter.unwrap_or_default().read()?);
        Ok(Box::pin(lists::transactions(ctx, Of::Named(account), filter, &args)).await?)
    }

    /// A transaction by id.
    async fn transaction(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The transaction's id.")] id: ID,
    ) -> Nullable<Transaction> {
        nullable::of(async {
            let id = argument_id("id", &id, TransactionId::parse)?;
            Ok(session(ctx)?.load(id).await?.map(Transaction))
        })
        .await
    }

    /// The changes of the balance of the account named, else of the caller's account and its sub-accounts; operators:
    /// of all.
    #[allow(clippy::too_many_arguments)]
    async fn ledger(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only of this account.")] account_id: Option<ID>,
        #[graphql(desc = "Narrows the list.")] filter: Option<LedgerFilterInput>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<LedgerEntryConnection> {
        let args = PageArgs { first, after, last, before, offset };
        let (account, filter) = (argument_account(account_id)?, filter.unwrap_or_default().read()?);
        Ok(Box::pin(lists::entries(ctx, Of::Named(account), filter, &args)).await?)
    }

    /// What became of a mutation that moves money: the answer that its key holds, if any.
    async fn idempotent_result(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account whose money was to move; default: the caller's own.")]
        account_id: Option<ID>,
        #[graphql(desc = "The key.")] key: String,
    ) -> Nullable<IdempotentResult> {
        nullable::of(async {
            let session = session(ctx)?;
            let Some(account) = argument_account(account_id)?.or(session.viewer().account) else {
                let message = "an operator has no account of its own";
                return Err(ApiError::of_argument(RefusalCode::Required, "accountId", message));
            };
            // A key that cannot be kept holds nothing; the account is looked up all the same.
            let key = if may_be_kept(&key) { key } else { String::new() };
            let answer = session.repository().answer(account, key).await.map_err(ApiError::from)?;
            Ok(answer.map(IdempotentResult))
        })
        .await
    }

    /// What an account used of a resource, a point for each hour, day or month that reaches into the window. A point of
    /// what adds up is the sum, of others the greatest value, or the last, the average or the 95th percentile of the
    /// 5-minute values over all subjects. A gauge holds what was reported last for an hour at the most. Up to 1,500 points.
    async fn usage(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose; absent: the caller's own.")] account_id: Option<ID>,
        #[graphql(desc = "The resource's code.")] resource: String,
        #[graphql(desc = "From the hour, day or month that this lies in.")] start_time: Instant,
        #[graphql(desc = "Up to here.")] end_time: Instant,
        #[graphql(desc = "What a point stands for.")] granularity: Granularity,
    ) -> async_graphql::Result<Vec<UsagePoint>> {
        let window = (start_time.0, end_time.0);
        let granularity = granularity.into();
        let asked = usage::UsageQuestion { account_id, resource, window, granularity };
        let points = Box::pin(usage::usage(session(ctx)?, asked)).await?;
        Ok(points.into_iter().map(UsagePoint::from).collect())
    }

    /// What capacity costs for a time: price × amount × seconds ÷ multiplier, half up at 20 decimal places. Null if there is no
    /// price for it in that currency at that level.
    async fn capacity_charge(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The resource's code.")] resource: String,
        #[graphql(desc = "How much, in the unit that its price counts in: MHz, bytes, addresses.")]
        amount: Exact,
        #[graphql(desc = "For how long.")] seconds: i32,
        #[graphql(desc = "In which currency.")] currency: Code,
        #[graphql(
            desc = "The burst level, 0 to 20; absent: the current one, or 0 where no capacity is declared."
        )]
        level: Option<i32>,
    ) -> Nullable<PriceQuote> {
        nullable::of(async {
            let (amount, currency) = (amount.value, currency.0);
            let asked = price::Capacity { resource, amount, seconds, currency, level };
            price::charge(session(ctx)?, asked).await
        })
        .await
    }

    /// Operators: the runs that close a month for the accounts of a time zone, newest month first; at most 1,000.
    async fn billing_runs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A day of the month, as a rule its first; absent: the latest runs.")] period: Option<
            Day,
        >,
    ) -> async_graphql::Result<Vec<BillingRun>> {
        let first = period.map(|Day(day)| day.with_day(1).unwrap_or(day));
        let runs = provider_session(ctx)?.repository().billing_runs(first).await.map_err(ApiError::from)?;
        Ok(runs.into_iter().map(BillingRun::from).collect())
    }

    /// Operators: what one of them has asked for and another has to allow, or had to, newest first.
    #[allow(clippy::too_many_arguments)]
    async fn approvals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that stand so; absent: all.")] state: Option<ApprovalState>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<ApprovalConnection> {
        let args = PageArgs { first, after, last, before, offset };
        Ok(Box::pin(lists::approvals(provider_session(ctx)?, state.map(Into::into), &args)).await?)
    }

    /// Operators: what payment providers have that bears an id of this server's and is not known here, or otherwise there and
    /// here, newest first; at most 1,000. Each was told once by a notice on its account, if that is known.
    async fn unmatched_payments(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<UnmatchedPayment>> {
        let found = provider_session(ctx)?.repository().unmatched_payments().await.map_err(ApiError::from)?;
        Ok(found.into_iter().map(UnmatchedPayment).collect())
    }

    /// Checks the ledger of one account. Without accountId, operators only: those of the next 1,000 accounts, continued
    /// from where the last call stopped.
    async fn ledger_health(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account whose ledger is checked.")] account_id: Option<ID>,
    ) -> Nullable<LedgerHealth> {
        nullable::of(async {
            let account = argument_account(account_id)?;
            let session = session(ctx)?;
            let now = session.app.clock.now();
            let report = session.repository().ledger_health(account, now).await.map_err(ApiError::from)?;
            Ok(Some(LedgerHealth(report)))
        })
        .await
    }
}
