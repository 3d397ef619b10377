//! What lists are narrowed by, as clients write it.

use async_graphql::InputObject;

use crate::domain::refusal::RefusalCode;
use crate::domain::transaction::TransactionKind as DomainKind;
use crate::graphql::enums::{
    AccountKind, AccountStatus, BillStatus, OrderState, OrderType, PrepaymentStatus, TransactionKind,
    TransactionStatus,
};
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::input::{exact, search, window};
use crate::graphql::scalars::Instant;
use crate::store;
use crate::store::list::Window;

/// Narrows a list of accounts; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "AccountFilter")]
pub struct AccountFilterInput {
    /// Only those that may do this.
    status: Option<AccountStatus>,
    /// Only of this kind.
    kind: Option<AccountKind>,
    /// Only those with this in the namespace or the name, anywhere, without regard to case.
    search_word: Option<String>,
}

impl AccountFilterInput {
    pub fn read(self) -> ApiResult<store::accounts::AccountFilter> {
        Ok(store::accounts::AccountFilter {
            status: self.status.map(Into::into),
            kind: self.kind.map(Into::into),
            search: search(self.search_word)?,
            parent: None,
        })
    }
}

/// Narrows the market; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "PlanFilter")]
pub struct PlanFilterInput {
    /// Only of this type, a code of the provider's.
    #[graphql(name = "type")]
    plan_type: Option<String>,
    /// Only those sold in this region alone.
    region: Option<String>,
    /// Only of this kind of product.
    resource_type: Option<String>,
    /// Also those that are no longer sold.
    include_retired: Option<bool>,
}

impl PlanFilterInput {
    pub fn read(self) -> ApiResult<store::plans::PlanFilter> {
        Ok(store::plans::PlanFilter {
            plan_type: exact("type", self.plan_type)?,
            region: exact("region", self.region)?,
            resource_type: exact("resourceType", self.resource_type)?,
            include_retired: self.include_retired.unwrap_or(false),
        })
    }
}

/// Narrows a list of orders; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "OrderFilter")]
pub struct OrderFilterInput {
    /// Only those placed then or later.
    start_time: Option<Instant>,
    /// Only those placed before.
    end_time: Option<Instant>,
    /// Only those that came about so.
    order_type: Option<OrderType>,
    /// Only those with this in the number or the name, anywhere, without regard to case.
    search_word: Option<String>,
    /// Only of this kind of product.
    resource_type: Option<String>,
    /// Only of accounts of this kind.
    account_kind: Option<AccountKind>,
    /// Only those that stand so.
    order_state: Option<OrderState>,
}

impl OrderFilterInput {
    pub fn read(self) -> ApiResult<store::orders::OrderFilter> {
        Ok(store::orders::OrderFilter {
            window: window(self.start_time, self.end_time)?,
            order_type: self.order_type.map(Into::into),
            search: search(self.search_word)?,
            resource_type: exact("resourceType", self.resource_type)?,
            account_kind: self.account_kind.map(Into::into),
            state: self.order_state.map(Into::into),
        })
    }
}

/// Narrows a list of bills; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "BillFilter")]
pub struct BillFilterInput {
    /// Only those whose period begins then or later.
    start_time: Option<Instant>,
    /// Only those whose period begins before.
    end_time: Option<Instant>,
    /// Only those that stand so.
    bill_status: Option<BillStatus>,
    /// Only those with this in the number of the bill or its order or in the order's name, anywhere, without regard to
    /// case.
    search_word: Option<String>,
}

impl BillFilterInput {
    pub fn read(self) -> ApiResult<store::bills::BillFilter> {
        Ok(store::bills::BillFilter {
            start: window(self.start_time, self.end_time)?,
            status: self.bill_status.map(Into::into),
            search: search(self.search_word)?,
            order: None,
        })
    }
}

/// Narrows a list of consumption records; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "RecordFilter")]
pub struct RecordFilterInput {
    /// Only those whose consumption begins then or later.
    start_time: Option<Instant>,
    /// Only those whose consumption begins before.
    end_time: Option<Instant>,
    /// Only of accounts of this kind.
    account_kind: Option<AccountKind>,
    /// Only those with this in the number of the record or its order or in the order's name, anywhere, without regard
    /// to case.
    search_word: Option<String>,
    /// Only of this kind of product.
    resource_type: Option<String>,
    /// Only for this datacenter.
    datacenter: Option<String>,
    /// Only of orders that came about so.
    order_type: Option<OrderType>,
}

impl RecordFilterInput {
    pub fn read(self) -> ApiResult<store::records::RecordFilter> {
        Ok(store::records::RecordFilter {
            consumed: window(self.start_time, self.end_time)?,
            account_kind: self.account_kind.map(Into::into),
            search: search(self.search_word)?,
            resource_type: exact("resourceType", self.resource_type)?,
            datacenter: exact("datacenter", self.datacenter)?,
            order_type: self.order_type.map(Into::into),
        })
    }
}

/// The filter of recharges in a window of time.
pub fn recharges(
    start_time: Instant,
    end_time: Instant,
) -> ApiResult<store::transactions::TransactionFilter> {
    if end_time.0 < start_time.0 {
        let message = "endTime is before startTime";
        return Err(ApiError::of_argument(RefusalCode::Invalid, "endTime", message));
    }
    Ok(store::transactions::TransactionFilter {
        window: Window { from: Some(start_time.0), to: Some(end_time.0) },
        kind: Some(DomainKind::Recharge),
        ..store::transactions::TransactionFilter::default()
    })
}

/// Narrows a list of transactions; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "TransactionFilter")]
pub struct TransactionFilterInput {
    /// Only those made then or later.
    start_time: Option<Instant>,
    /// Only those made before.
    end_time: Option<Instant>,
    /// Only of this kind.
    kind: Option<TransactionKind>,
    /// Only those that stand so.
    status: Option<TransactionStatus>,
    /// Only those for orders in this region.
    region: Option<String>,
}

impl TransactionFilterInput {
    pub fn read(self) -> ApiResult<store::transactions::TransactionFilter> {
        Ok(store::transactions::TransactionFilter {
            window: window(self.start_time, self.end_time)?,
            kind: self.kind.map(Into::into),
            status: self.status.map(Into::into),
            region: exact("region", self.region)?,
        })
    }
}

/// Narrows a list of prepayments.
#[derive(InputObject, Default)]
#[graphql(name = "PrepaymentFilter")]
pub struct PrepaymentFilterInput {
    /// Only those that stand so.
    status: Option<PrepaymentStatus>,
}

impl From<PrepaymentFilterInput> for store::prepayments::PrepaymentFilter {
    fn from(filter: PrepaymentFilterInput) -> Self {
        Self { status: filter.status.map(Into::into) }
    }
}

/// Narrows a list of ledger entries; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "LedgerFilter")]
pub struct LedgerFilterInput {
    /// Only those of then or later.
    start_time: Option<Instant>,
    /// Only those of before.
    end_time: Option<Instant>,
    /// Only of this burst cycle.
    billing_cycle: Option<i32>,
}

impl LedgerFilterInput {
    pub fn read(self) -> ApiResult<store::ledger::EntryFilter> {
        Ok(store::ledger::EntryFilter {
            window: window(self.start_time, self.end_time)?,
            billing_cycle: self.billing_cycle,
        })
    }
}
