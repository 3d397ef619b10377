//! What a list of orders is narrowed by.

use async_graphql::InputObject;

use crate::graphql::enums::{AccountKind, OrderState, OrderType};
use crate::graphql::error::ApiResult;
use crate::graphql::input::{exact, search, window};
use crate::graphql::scalars::Instant;
use crate::store;

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
    /// Only orders in this state.
    order_state: Option<OrderState>,
}

impl OrderFilterInput {
    pub fn read(self) -> ApiResult<store::orders::order_filter::OrderFilter> {
        Ok(store::orders::order_filter::OrderFilter {
            window: window(self.start_time, self.end_time)?,
            order_type: self.order_type.map(Into::into),
            search: search(self.search_word)?,
            resource_type: exact("resourceType", self.resource_type)?,
            account_kind: self.account_kind.map(Into::into),
            state: self.order_state.map(Into::into),
        })
    }
}
