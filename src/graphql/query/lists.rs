//! Lists, under the root and under accounts. The beginning of an account's own list is fetched together with those of
//! others; any other page is a statement of its own.

use std::sync::Arc;

use async_graphql::Context;
use futures_util::FutureExt;

use crate::domain::approval::ApprovalState;
use crate::domain::ids::AccountId;
use crate::domain::ledger::Entry;
use crate::domain::prepay::Prepayment;
use crate::domain::record::Record;
use crate::domain::transaction::Transaction;
use crate::domain::{bill, order};
use crate::graphql::error::ApiResult;
use crate::graphql::listed::{self, Listed};
use crate::graphql::loaders::{NewestBillHeadersOf, NewestInvoicesOf, NewestOf, NewestOrderHeadersOf};
use crate::graphql::pagination::{PageArgs, Slice, TotalCount, is_newest};
use crate::graphql::session::{Session, session};
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
use crate::store::accounts::AccountFilter;
use crate::store::fetch::Newest;
use crate::store::list::{COUNTED_MAX, countable};
use crate::store::owned::Owned;
use crate::store::plans::PlanFilter;

pub async fn accounts(
    session: &Session,
    filter: AccountFilter,
    args: &PageArgs,
) -> ApiResult<AccountConnection> {
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

pub async fn plans(session: &Session, filter: PlanFilter, args: &PageArgs) -> ApiResult<PlanConnection> {
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

pub async fn licenses(session: &Session, args: &PageArgs) -> ApiResult<LicenseConnection> {
    let page = args.page()?;
    let rows = session.repository().license_list(&page).await?;
    let rows = rows.into_iter().map(Arc::new).collect();
    let total: TotalCount =
        Box::new(|repository| async move { Ok(repository.license_count().await?) }.boxed());
    Ok(LicenseConnection(Slice::new(&page, rows, total)))
}

pub async fn approvals(
    session: &Session,
    state: Option<ApprovalState>,
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
pub enum Of {
    /// Of an account that the viewer is looking at.
    Seen(AccountId),
    /// Of the account that an argument names, or of all that the viewer may see.
    Named(Option<AccountId>),
}

impl Of {
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
async fn newest_orders(ctx: &Context<'_>, newest: Newest<AccountId>) -> ApiResult<Vec<Listed<Order>>> {
    listed::load(ctx, NewestOrderHeadersOf(newest), NewestOf::<order::Order>::new(newest.0, newest.1)).await
}

/// An account's newest bills: their headers, if no more of them is shown.
async fn newest_bills(ctx: &Context<'_>, newest: Newest<AccountId>) -> ApiResult<Vec<Listed<Bill>>> {
    listed::load(ctx, NewestBillHeadersOf(newest), NewestOf::<bill::Bill>::new(newest.0, newest.1)).await
}

/// What an account's newest are in a list that always shows the whole of them.
async fn newest<T: Owned>(ctx: &Context<'_>, newest: Newest<AccountId>) -> ApiResult<Vec<Arc<T>>> {
    let (account, limit) = newest;
    Ok(session(ctx)?.load(NewestOf::<T>::new(account, limit)).await?.unwrap_or_default().to_vec())
}

/// Declares the list of something that accounts own.
macro_rules! owned_list {
    (
        $name:ident, $row:ty, $connection:ident, $newest:expr $(, $with:expr)?
    ) => {
        pub async fn $name(
            ctx: &Context<'_>,
            of: Of,
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
pub async fn invoices(session: &Session, of: Of, args: &PageArgs) -> ApiResult<InvoiceConnection> {
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
