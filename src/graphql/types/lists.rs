//! Lists, under the root and under accounts. The beginning of an account's own list is fetched together with those of
//! others; any other page is a statement of its own.

use std::sync::Arc;

use async_graphql::{Context, ID};
use futures_util::FutureExt;

use super::account::AccountFilterInput;
use super::bill::BillFilterInput;
use super::ledger_entry::LedgerFilterInput;
use super::order_filter::OrderFilterInput;
use super::plan::PlanFilterInput;
use super::prepayment::PrepaymentFilterInput;
use super::record::RecordFilterInput;
use super::transaction::{TransactionFilterInput, recharges};
use crate::domain::ids::AccountId;
use crate::domain::ledger::Entry;
use crate::domain::prepay::Prepayment;
use crate::domain::record::Record;
use crate::domain::transaction::Transaction;
use crate::domain::{self, bill, order};
use crate::graphql::enums::ApprovalState;
use crate::graphql::error::ApiResult;
use crate::graphql::input::argument_account;
use crate::graphql::loaders::{NewestHeadersOf, NewestInvoicesOf, NewestOf};
use crate::graphql::pagination::{PageArgs, Slice, TotalCount, is_newest, page_fields};
use crate::graphql::runtime::list_item::{self, ListItem};
use crate::graphql::scalars::Instant;
use crate::graphql::session::{Session, provider_session, session};
use crate::graphql::types::account::AccountConnection;
use crate::graphql::types::approval::ApprovalConnection;
use crate::graphql::types::bill::{Bill, BillConnection, BillsOf};
use crate::graphql::types::invoice::{InvoiceConnection, InvoicesOf};
use crate::graphql::types::ledger_entry::LedgerEntryConnection;
use crate::graphql::types::license::LicenseConnection;
use crate::graphql::types::order::{Order, OrderConnection};
use crate::graphql::types::plan::PlanConnection;
use crate::graphql::types::prepayment::PrepaymentConnection;
use crate::graphql::types::record::ConsumptionRecordConnection;
use crate::graphql::types::transaction::TransactionConnection;
use crate::store::accounts::account_list::AccountFilter;
use crate::store::grouped::Newest;
use crate::store::list::{COUNTED_MAX, countable};
use crate::store::owned::Owned;
use crate::store::plans::PlanFilter;

/// The lists at the root.
#[derive(Default)]
pub struct RootLists;

page_fields! {
    impl RootLists(self) {
        /// The accounts that the caller may see.
        accounts(filter: Option<AccountFilterInput> = "Narrows the list.") -> AccountConnection
            = |ctx, page| accounts(session(ctx)?, filter.unwrap_or_default().read()?, &page).await;

        /// The market: what can be bought.
        plans(filter: Option<PlanFilterInput> = "Narrows the list.") -> PlanConnection
            = |ctx, page| plans(session(ctx)?, filter.unwrap_or_default().read()?, &page).await;

        /// The licences that can be used, newest first.
        licenses() -> LicenseConnection = |ctx, page| licenses(session(ctx)?, &page).await;

        /// Operators: what one of them has asked for and another has to allow, or had to, newest first.
        approvals(state: Option<ApprovalState> = "Only approvals in this state; absent: in any.") -> ApprovalConnection
            = |ctx, page| approvals(provider_session(ctx)?, state.map(Into::into), &page).await;

        /// The orders of the account named, else of the caller's account and its sub-accounts; operators: of all.
        orders(
            account_id: Option<ID> = "Only of this account.",
            filter: Option<OrderFilterInput> = "Narrows the list.",
        ) -> OrderConnection
            = |ctx, page| orders(ctx, ListOwner::named(account_id)?, filter.unwrap_or_default().read()?, &page).await;

        /// The bills of the account named, else of the caller's account and its sub-accounts; operators: of all.
        bills(
            account_id: Option<ID> = "Only of this account.",
            filter: Option<BillFilterInput> = "Narrows the list.",
        ) -> BillConnection
            = |ctx, page| bills(ctx, ListOwner::named(account_id)?, filter.unwrap_or_default().read()?, &page).await;

        /// What was consumed by the account named, else by the caller's account and its sub-accounts; operators: by all.
        records(
            account_id: Option<ID> = "Only of this account.",
            filter: Option<RecordFilterInput> = "Narrows the list.",
        ) -> ConsumptionRecordConnection
            = |ctx, page| records(ctx, ListOwner::named(account_id)?, filter.unwrap_or_default().read()?, &page).await;

        /// What came in over a window of time: the recharges of the account named, else of the caller's account and its
        /// sub-accounts; operators: of all.
        recharge_records(
            account_id: Option<ID> = "Only of this account.",
            start_time: Instant = "Only those made then or later.",
            end_time: Instant = "Only those made before.",
        ) -> TransactionConnection
            = |ctx, page| transactions(ctx, ListOwner::named(account_id)?, recharges(start_time, end_time)?, &page).await;

        /// The movements of money of the account named, else of the caller's account and its sub-accounts; operators: of
        /// all.
        transactions(
            account_id: Option<ID> = "Only of this account.",
            filter: Option<TransactionFilterInput> = "Narrows the list.",
        ) -> TransactionConnection
            = |ctx, page| transactions(ctx, ListOwner::named(account_id)?, filter.unwrap_or_default().read()?, &page).await;

        /// The changes of the balance of the account named, else of the caller's account and its sub-accounts; operators:
        /// of all.
        ledger(
            account_id: Option<ID> = "Only of this account.",
            filter: Option<LedgerFilterInput> = "Narrows the list.",
        ) -> LedgerEntryConnection
            = |ctx, page| entries(ctx, ListOwner::named(account_id)?, filter.unwrap_or_default().read()?, &page).await;

        /// What was paid, or is to be paid, for apps beforehand: by the account named, else by the caller's account and its
        /// sub-accounts; operators: by all.
        prepayments(
            account_id: Option<ID> = "Only of this account.",
            filter: Option<PrepaymentFilterInput> = "Narrows the list.",
        ) -> PrepaymentConnection
            = |ctx, page| prepayments(ctx, ListOwner::named(account_id)?, filter.unwrap_or_default().into(), &page).await;

        /// What was paid by the month: the invoices of the account named, with its drafts, else those issued to the caller's
        /// account and its sub-accounts, with the drafts of the caller's own; operators: those issued to all.
        invoices(account_id: Option<ID> = "Only of this account.") -> InvoiceConnection
            = |ctx, page| invoices(session(ctx)?, ListOwner::named(account_id)?, &page).await;
    }
}

/// The lists of what an account owns, as it shows them itself.
pub struct AccountLists(pub AccountId);

page_fields! {
    impl AccountLists(self) {
        /// The accounts that belong to it, newest first.
        sub_accounts() -> AccountConnection = |ctx, page| {
            let filter = AccountFilter { parent: Some(self.0), ..AccountFilter::default() };
            accounts(session(ctx)?, filter, &page).await
        };

        /// What it has bought, newest first.
        orders(filter: Option<OrderFilterInput> = "Narrows the list.") -> OrderConnection
            = |ctx, page| orders(ctx, ListOwner::Seen(self.0), filter.unwrap_or_default().read()?, &page).await;

        /// What it is to pay and has paid, newest first.
        bills(filter: Option<BillFilterInput> = "Narrows the list.") -> BillConnection
            = |ctx, page| bills(ctx, ListOwner::Seen(self.0), filter.unwrap_or_default().read()?, &page).await;

        /// What it consumed, newest first.
        records(filter: Option<RecordFilterInput> = "Narrows the list.") -> ConsumptionRecordConnection
            = |ctx, page| records(ctx, ListOwner::Seen(self.0), filter.unwrap_or_default().read()?, &page).await;

        /// What came in over a window of time, newest first.
        recharge_records(
            start_time: Instant = "Only those made then or later.",
            end_time: Instant = "Only those made before.",
        ) -> TransactionConnection
            = |ctx, page| transactions(ctx, ListOwner::Seen(self.0), recharges(start_time, end_time)?, &page).await;

        /// Its movements of money, newest first.
        transactions(filter: Option<TransactionFilterInput> = "Narrows the list.") -> TransactionConnection
            = |ctx, page| transactions(ctx, ListOwner::Seen(self.0), filter.unwrap_or_default().read()?, &page).await;

        /// The changes of its balance, newest first.
        ledger(filter: Option<LedgerFilterInput> = "Narrows the list.") -> LedgerEntryConnection
            = |ctx, page| entries(ctx, ListOwner::Seen(self.0), filter.unwrap_or_default().read()?, &page).await;

        /// What it has paid, or is to pay, for apps beforehand, newest first.
        prepayments(filter: Option<PrepaymentFilterInput> = "Narrows the list.") -> PrepaymentConnection
            = |ctx, page| prepayments(ctx, ListOwner::Seen(self.0), filter.unwrap_or_default().into(), &page).await;

        /// What it paid by the month, newest first, drafts among them.
        invoices() -> InvoiceConnection = |ctx, page| invoices(session(ctx)?, ListOwner::Seen(self.0), &page).await;
    }
}

async fn accounts(session: &Session, filter: AccountFilter, args: &PageArgs) -> ApiResult<AccountConnection> {
    let page = args.page()?;
    let found = session.repository().account_list(&filter, &page).await?;
    let rows = found.rows.into_iter().map(Arc::new).collect();
    let filter = Arc::new(filter);
    let total: TotalCount = Box::new(move |repository| {
        let filter = Arc::clone(&filter);
        async move { Ok(repository.account_count(&filter).await?) }.boxed()
    });
    Ok(AccountConnection(Slice::new(&page, rows, total).stopped_at(&page, found.stopped_at)))
}

async fn plans(session: &Session, filter: PlanFilter, args: &PageArgs) -> ApiResult<PlanConnection> {
    let page = args.page()?;
    let found = session.repository().plan_list(&filter, &page).await?;
    let rows = found.rows.into_iter().map(Arc::new).collect();
    let filter = Arc::new(filter);
    let total: TotalCount = Box::new(move |repository| {
        let filter = Arc::clone(&filter);
        async move { Ok(repository.plan_count(&filter).await?) }.boxed()
    });
    Ok(PlanConnection(Slice::new(&page, rows, total).stopped_at(&page, found.stopped_at)))
}

async fn licenses(session: &Session, args: &PageArgs) -> ApiResult<LicenseConnection> {
    let page = args.page()?;
    let rows = session.repository().license_list(&page).await?;
    let rows = rows.into_iter().map(Arc::new).collect();
    let total: TotalCount =
        Box::new(|repository| async move { Ok(repository.license_count().await?) }.boxed());
    Ok(LicenseConnection(Slice::new(&page, rows, total)))
}

async fn approvals(
    session: &Session,
    state: Option<domain::approval::ApprovalState>,
    args: &PageArgs,
) -> ApiResult<ApprovalConnection> {
    let page = args.page()?;
    let found = session.repository().approval_list(state, &page).await?;
    let rows = found.rows.into_iter().map(Arc::new).collect();
    let total: TotalCount =
        Box::new(move |repository| async move { Ok(repository.approval_count(state).await?) }.boxed());
    Ok(ApprovalConnection(Slice::new(&page, rows, total).stopped_at(&page, found.stopped_at)))
}

/// Whose things a list is of.
#[derive(Debug, Clone, Copy)]
enum ListOwner {
    /// Of an account that the viewer is looking at.
    Seen(AccountId),
    /// Of the account that an argument names, or of all that the viewer may see.
    Named(Option<AccountId>),
}

impl ListOwner {
    fn named(account: Option<ID>) -> ApiResult<Self> {
        argument_account(account).map(Self::Named)
    }

    fn account(self) -> Option<AccountId> {
        match self {
            Self::Seen(account) => Some(account),
            Self::Named(account) => account,
        }
    }

    fn seen(self) -> Option<AccountId> {
        match self {
            Self::Seen(account) => Some(account),
            Self::Named(_) => None,
        }
    }
}

/// An account's newest orders: their headers, if no more of them is shown.
async fn newest_orders(ctx: &Context<'_>, newest: Newest<AccountId>) -> ApiResult<Vec<ListItem<Order>>> {
    list_item::load(
        ctx,
        NewestHeadersOf::<order::OrderHeader>::new(newest),
        NewestOf::<order::Order>::new(newest),
    )
    .await
}

/// An account's newest bills: their headers, if no more of them is shown.
async fn newest_bills(ctx: &Context<'_>, newest: Newest<AccountId>) -> ApiResult<Vec<ListItem<Bill>>> {
    list_item::load(
        ctx,
        NewestHeadersOf::<bill::BillHeader>::new(newest),
        NewestOf::<bill::Bill>::new(newest),
    )
    .await
}

/// What an account's newest are in a list that always shows the whole of them.
async fn newest<T: Owned>(ctx: &Context<'_>, newest: Newest<AccountId>) -> ApiResult<Vec<Arc<T>>> {
    Ok(session(ctx)?.load(NewestOf::<T>::new(newest)).await?.unwrap_or_default().to_vec())
}

/// Declares the list of something that accounts own.
macro_rules! owned_list {
    (
        $name:ident, $row:ty, $connection:ident, $newest:expr $(, $with:expr)?
    ) => {
        async fn $name(
            ctx: &Context<'_>,
            of: ListOwner,
            filter: <$row as Owned>::Filter,
            args: &PageArgs,
        ) -> ApiResult<$connection> {
            let page = args.page()?;
            let account = of.account();
            let together = of.seen().filter(|_| is_newest(&page) && filter == <$row as Owned>::Filter::default());
            let (rows, stopped_at) = match together {
                Some(account) => ($newest(ctx, (account, page.limit)).await?, None),
                None => {
                    let found = session(ctx)?.repository().list::<$row>(account, &filter, &page).await?;
                    (found.rows.into_iter().map(|row| Arc::new(row).into()).collect(), found.stopped_at)
                }
            };
            let filter = Arc::new(filter);
            let counted = Arc::clone(&filter);
            let total: TotalCount = Box::new(move |repository| {
                let filter = Arc::clone(&counted);
                async move {
                    match together {
                        Some(account) => {
                            let count = repository.counts::<$row>(vec![account]).await?.remove(&account).unwrap_or(0);
                            countable(count, COUNTED_MAX)?;
                            Ok(count)
                        }
                        None => Ok(repository.count::<$row>(account, &filter).await?),
                    }
                }
                .boxed()
            });
            let slice = Slice::new(&page, rows, total).stopped_at(&page, stopped_at);
            $(let slice = slice.with($with(account, filter));)?
            Ok($connection(slice))
        }
    };
}

owned_list!(orders, order::Order, OrderConnection, newest_orders);
owned_list!(bills, bill::Bill, BillConnection, newest_bills, |account, filter| BillsOf { account, filter });
owned_list!(records, Record, ConsumptionRecordConnection, newest::<Record>);
owned_list!(transactions, Transaction, TransactionConnection, newest::<Transaction>);
owned_list!(prepayments, Prepayment, PrepaymentConnection, newest::<Prepayment>);
owned_list!(entries, Entry, LedgerEntryConnection, newest::<Entry>);

/// Invoices with the drafts among them.
async fn invoices(session: &Session, of: ListOwner, args: &PageArgs) -> ApiResult<InvoiceConnection> {
    let page = args.page()?;
    let account = of.account();
    let together = of.seen().filter(|_| is_newest(&page));
    let rows = match together {
        Some(account) => {
            let rows = session.load(NewestInvoicesOf((account, page.limit))).await?;
            rows.unwrap_or_default().to_vec()
        }
        None => session.repository().invoice_list(account, &page).await?,
    };
    let total: TotalCount = Box::new(move |repository| {
        async move {
            match together {
                Some(account) => {
                    Ok(repository.invoice_counts(vec![account]).await?.remove(&account).unwrap_or(0))
                }
                None => Ok(repository.invoice_count(account).await?),
            }
        }
        .boxed()
    });
    Ok(InvoiceConnection(Slice::new(&page, rows, total).with(InvoicesOf { account })))
}
