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
use crate::graphql::error::ApiResult;
use crate::graphql::listed::{self, Listed};
use crate::graphql::loaders::{
    NewestBillHeadersOf, NewestBillsOf, NewestEntriesOf, NewestInvoicesOf, NewestOrderHeadersOf,
    NewestOrdersOf, NewestPrepaymentsOf, NewestRecordsOf, NewestTransactionsOf,
};
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
use crate::store::bills::BillFilter;
use crate::store::fetch::Newest;
use crate::store::ledger::EntryFilter;
use crate::store::list::{COUNTED_MAX, countable};
use crate::store::orders::OrderFilter;
use crate::store::plans::PlanFilter;
use crate::store::prepayments::PrepaymentFilter;
use crate::store::records::RecordFilter;
use crate::store::transactions::TransactionFilter;

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
    listed::load(ctx, NewestOrderHeadersOf(newest), NewestOrdersOf(newest)).await
}

/// An account's newest bills: their headers, if no more of them is shown.
async fn newest_bills(ctx: &Context<'_>, newest: Newest<AccountId>) -> ApiResult<Vec<Listed<Bill>>> {
    listed::load(ctx, NewestBillHeadersOf(newest), NewestBillsOf(newest)).await
}

/// Declares how an account's newest are loaded, of which lists show the whole.
macro_rules! newest {
    ($name:ident, $key:ident, $row:ty) => {
        async fn $name(ctx: &Context<'_>, newest: Newest<AccountId>) -> ApiResult<Vec<Arc<$row>>> {
            Ok(session(ctx)?.load($key(newest)).await?.unwrap_or_default().to_vec())
        }
    };
}
newest!(newest_records, NewestRecordsOf, Record);
newest!(newest_transactions, NewestTransactionsOf, Transaction);
newest!(newest_prepayments, NewestPrepaymentsOf, Prepayment);
newest!(newest_entries, NewestEntriesOf, Entry);

/// Declares the list of something that accounts own.
macro_rules! owned_list {
    (
        $name:ident, $filter:ty, $connection:ident, $newest:ident, $list:ident, $count:ident, $counts:ident
        $(, $with:expr)?
    ) => {
        pub async fn $name(
            ctx: &Context<'_>,
            of: Of,
            filter: $filter,
            args: &PageArgs,
        ) -> ApiResult<$connection> {
            let page = args.page()?;
            let account = of.account();
            let together = of.seen().filter(|_| is_newest(&page) && filter == <$filter>::default());
            let (rows, stopped_at) = match together {
                Some(account) => ($newest(ctx, (account, page.limit)).await?, None),
                None => {
                    let found = session(ctx)?.repository().$list(account, &filter, &page).await?;
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
                            let count = repository.$counts(vec![account]).await?.remove(&account).unwrap_or(0);
                            countable(count, COUNTED_MAX)?;
                            Ok(count)
                        }
                        None => Ok(repository.$count(account, &filter).await?),
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

owned_list!(orders, OrderFilter, OrderConnection, newest_orders, order_list, order_count, order_counts);
owned_list!(
    bills,
    BillFilter,
    BillConnection,
    newest_bills,
    bill_list,
    bill_count,
    bill_counts,
    |account, filter| BillsOf { account, filter }
);
owned_list!(
    records,
    RecordFilter,
    ConsumptionRecordConnection,
    newest_records,
    record_list,
    record_count,
    record_counts
);
owned_list!(
    transactions,
    TransactionFilter,
    TransactionConnection,
    newest_transactions,
    transaction_list,
    transaction_count,
    transaction_counts
);
owned_list!(
    prepayments,
    PrepaymentFilter,
    PrepaymentConnection,
    newest_prepayments,
    prepayment_list,
    prepayment_count,
    prepayment_counts
);
owned_list!(
    entries,
    EntryFilter,
    LedgerEntryConnection,
    newest_entries,
    entry_list,
    entry_count,
    entry_counts
);

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
