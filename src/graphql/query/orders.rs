//! One order, bill, record or transaction.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use crate::domain::ids::{BillId, OrderId, RecordId, TransactionId};
use crate::domain::refusal::RefusalCode;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::input::argument_id;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::session::session;
use crate::graphql::types::bill::Bill;
use crate::graphql::types::order::Order;
use crate::graphql::types::record::ConsumptionRecord;
use crate::graphql::types::transaction::Transaction;

/// Exactly one of `id` and `number` names what is asked for.
enum Reference<T> {
    Id(T),
    Number(String),
}

fn reference<T>(
    id: Option<ID>,
    number: Option<String>,
    parse: impl Fn(&str) -> Option<T>,
) -> ApiResult<Reference<T>> {
    match (id, number) {
        (Some(id), None) => argument_id("id", &id, parse).map(Reference::Id),
        (None, Some(number)) => Ok(Reference::Number(number)),
        (None, None) => Err(ApiError::of_argument(RefusalCode::Required, "id", "id or number is needed")),
        (Some(_), Some(_)) => Err(ApiError::of_argument(
            RefusalCode::Invalid,
            "number",
            "id and number cannot be used together",
        )),
    }
}

#[derive(Default)]
pub struct OrderQuery;

#[Object]
impl OrderQuery {
    /// An order by id or number.
    async fn order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: Option<ID>,
        #[graphql(desc = "The order's number.")] number: Option<String>,
    ) -> Nullable<Order> {
        nullable::of(async {
            let session = session(ctx)?;
            let found = match reference(id, number, OrderId::parse)? {
                Reference::Id(id) => session.load(id).await?,
                Reference::Number(number) => {
                    session.repository().order_by_number(&number).await?.map(Arc::new)
                }
            };
            Ok(found.map(Order::from))
        })
        .await
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
            let found = match reference(id, number, BillId::parse)? {
                Reference::Id(id) => session.load(id).await?,
                Reference::Number(number) => {
                    session.repository().bill_by_number(&number).await?.map(Arc::new)
                }
            };
            Ok(found.map(Bill::from))
        })
        .await
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
            let found = match reference(id, number, RecordId::parse)? {
                Reference::Id(id) => session.load(id).await?,
                Reference::Number(number) => {
                    session.repository().record_by_number(&number).await?.map(Arc::new)
                }
            };
            Ok(found.map(ConsumptionRecord))
        })
        .await
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
}
