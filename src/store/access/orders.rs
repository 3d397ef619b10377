//! Orders and bills by what else leads to them, with what belongs to each.

use std::collections::HashMap;
use std::sync::Arc;

use super::{AccessError, Repository};
use crate::domain::bill::{Bill, BillHeader};
use crate::domain::closing::Month;
use crate::domain::ids::{AccountId, BillId, OrderId, TransactionId, account_of_number};
use crate::domain::order::Order;
use crate::domain::record::Record;
use crate::domain::transaction::Transaction;
use crate::store::bills::bill_filter::BillFilter;
use crate::store::bills::bill_sums::{self, BillSums};
use crate::store::error::StoreError;
use crate::store::grouped::{Newest, Rows};
use crate::store::{bills, orders, records};

impl Repository {
    pub async fn order_by_number(&self, number: &str) -> Result<Option<Order>, StoreError> {
        let Some(account) = account_of_number('O', number) else { return Ok(None) };
        if !self.visible(std::iter::once(account)).await?.contains(&account) {
            return Ok(None);
        }
        orders::order_by_number(&*self.connection_of(account).await?, number).await
    }

    pub async fn bill_by_number(&self, number: &str) -> Result<Option<Bill>, StoreError> {
        let Some(account) = account_of_number('B', number) else { return Ok(None) };
        if !self.visible(std::iter::once(account)).await?.contains(&account) {
            return Ok(None);
        }
        bills::bill_by_number(&*self.connection_of(account).await?, number).await
    }

    pub async fn newest_bills_of_orders(
        &self,
        keys: Vec<Newest<OrderId>>,
    ) -> Result<HashMap<Newest<OrderId>, Rows<Bill>>, StoreError> {
        self.of_visible(&self.store.fetch.newest_bills_of_orders, keys, |(order, _)| order.account()).await
    }

    pub async fn newest_bill_headers_of_orders(
        &self,
        keys: Vec<Newest<OrderId>>,
    ) -> Result<HashMap<Newest<OrderId>, Arc<[BillHeader]>>, StoreError> {
        self.of_visible(&self.store.fetch.newest_bill_headers_of_orders, keys, |(order, _)| order.account())
            .await
    }

    pub async fn bill_counts_of_orders(
        &self,
        keys: Vec<OrderId>,
    ) -> Result<HashMap<OrderId, i64>, StoreError> {
        self.of_visible(&self.store.fetch.bill_counts_of_orders, keys, |order| order.account()).await
    }

    /// What the bills that a filter matches come to.
    pub async fn bill_sums(
        &self,
        account: Option<AccountId>,
        filter: &BillFilter,
    ) -> Result<BillSums, AccessError> {
        let Some(scope) = self.scope_of(account).await? else { return Ok(BillSums::default()) };
        let mut sums = BillSums::default();
        for (place, conn) in self.readings(scope, true).await? {
            let of_cell = bill_sums::bill_sums(&conn, scope, filter).await;
            sums.add(of_cell.map_err(|error| self.store.cells.told(place, error))?);
        }
        Ok(sums)
    }

    /// The records of what bills charge afterwards, in the order in which they were made.
    pub async fn records_of_bills(
        &self,
        ids: &[BillId],
    ) -> Result<HashMap<BillId, Rows<Record>>, StoreError> {
        self.of_visible_by_id(&self.store.fetch.records_of_bills, ids, |id| id.0).await
    }

    pub async fn record_by_number(&self, number: &str) -> Result<Option<Record>, StoreError> {
        let Some(account) = account_of_number('R', number) else { return Ok(None) };
        if !self.visible(std::iter::once(account)).await?.contains(&account) {
            return Ok(None);
        }
        records::record_by_number(&*self.connection_of(account).await?, number).await
    }

    /// What was given back of these transactions.
    pub async fn refunds(
        &self,
        ids: &[TransactionId],
    ) -> Result<HashMap<TransactionId, Rows<Transaction>>, StoreError> {
        self.of_visible_by_id(&self.store.fetch.refunds, ids, |id| id.0).await
    }

    /// The orders on demand of an account that ran within a window; none of an account that the viewer may not see.
    pub async fn orders_on_demand(
        &self,
        account: AccountId,
        window: Month,
    ) -> Result<Vec<Order>, StoreError> {
        if self.account(account).await?.is_none() {
            return Ok(Vec::new());
        }
        let conn = self.connection_of(account).await?;
        orders::orders_on_demand(&conn, &[(account, window)]).await
    }
}
