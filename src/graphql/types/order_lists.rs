//! The lists of what belongs to an order.

use std::sync::Arc;

use async_graphql::Context;
use futures_util::FutureExt;
use uuid::Uuid;

use super::bill::{Bill, BillConnection, BillsOf};
use super::order::all_bills;
use super::record::ConsumptionRecordConnection;
use crate::domain;
use crate::domain::ids::{OrderId, OwnedId, RecordId};
use crate::graphql::error::ApiResult;
use crate::graphql::loaders::{NewestBillHeadersOfOrder, NewestBillsOfOrder};
use crate::graphql::pagination::{PageArgs, Slice, TotalCount, is_newest, page_fields, part_of};
use crate::graphql::runtime::list_item::{self, ListItem};
use crate::graphql::session::{Session, session};
use crate::store::bills::bill_filter::BillFilter;

/// The lists of what belongs to an order.
pub struct OrderLists(pub OrderId);

page_fields! {
    impl OrderLists(self) {
        /// Its bills, newest first.
        bills() -> BillConnection = |ctx, page| bills_of(ctx, self.0, &page).await;

        /// What it consumed, newest first: a record for each payment of a period. A period that cost nothing has none.
        records() -> ConsumptionRecordConnection = |ctx, page| records_of(session(ctx)?, self.0, &page).await;
    }
}

async fn bills_of(ctx: &Context<'_>, order: OrderId, args: &PageArgs) -> ApiResult<BillConnection> {
    let session = session(ctx)?;
    let page = args.page()?;
    let rows: Vec<ListItem<Bill>> = if is_newest(&page) {
        let newest = (order, page.limit);
        list_item::load(ctx, NewestBillHeadersOfOrder(newest), NewestBillsOfOrder(newest)).await?
    } else {
        let filter = BillFilter { order: Some(order), ..BillFilter::default() };
        let found =
            session.repository().list::<domain::bill::Bill>(Some(order.account()), &filter, &page).await?;
        found.rows.into_iter().map(Arc::new).map(ListItem::from).collect()
    };
    let total: TotalCount = Box::new(move |repository| {
        async move { Ok(repository.bill_counts_of_orders(vec![order]).await?.remove(&order).unwrap_or(0)) }
            .boxed()
    });
    let filter = Arc::new(BillFilter { order: Some(order), ..BillFilter::default() });
    let of = BillsOf { account: Some(order.account()), filter };
    Ok(BillConnection(Slice::new(&page, rows, total).with(of)))
}

/// The records of an order's paid bills: a payment's record has its id (docs/adr/0008).
async fn records_of(
    session: &Session,
    order: OrderId,
    args: &PageArgs,
) -> ApiResult<ConsumptionRecordConnection> {
    let page = args.page()?;
    let bills = all_bills(session, order).await?;
    let mut paid: Vec<Uuid> = bills.iter().filter_map(|bill| bill.paid_by).map(|id| id.uuid()).collect();
    paid.sort_unstable_by(|one, other| other.cmp(one));
    let shown = part_of(&page, &paid).into_iter().map(|id| RecordId(OwnedId::from_uuid(id)));
    let rows = session.load_many(shown.collect()).await?;
    let count = i64::try_from(paid.len()).unwrap_or(i64::MAX);
    let total: TotalCount = Box::new(move |_| async move { Ok(count) }.boxed());
    Ok(ConsumptionRecordConnection(Slice::new(&page, rows, total)))
}
