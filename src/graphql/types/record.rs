use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};
use rust_decimal::Decimal;

use super::account::{self, Account};
use super::bill::Bill;
use super::charge::ChargeStep;
use super::money::Money;
use super::order::Order;
use super::resource::Resource;
use crate::domain::ids::RecordId;
use crate::domain::record::Detail;
use crate::graphql::enums::{AccountKind, OrderType, PaymentType};
use crate::graphql::error::ApiResult;
use crate::graphql::input::{exact, search, window};
use crate::graphql::loaders::LoadedById;
use crate::graphql::loaders::ResourceCode;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::pagination::connection;
use crate::graphql::runtime::eager::{Inline, ResolveEagerly};
use crate::graphql::scalars::{Exact, Instant};
use crate::graphql::session::session;
use crate::{domain, store};

/// What one order consumed in one period, or an account in a month, and how its price came about.
pub struct ConsumptionRecord(pub Arc<domain::record::Record>);

connection!(
    ConsumptionRecordConnection,
    ConsumptionRecordEdge,
    ConsumptionRecord,
    domain::record::Record,
    |row: &Arc<domain::record::Record>| row.id.uuid(),
    "consumption records"
);

impl ResolveEagerly for ConsumptionRecord {
    const DEFERRED_FIELDS: &'static [&'static str] = &["account", "accountKind", "order", "bill", "details"];
}

/// What one order consumed in one period, or an account in a month, and how its price came about: made when the period is
/// paid, or when the month is billed.
#[Object]
impl ConsumptionRecord {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Its number, for people.
    async fn number(&self) -> String {
        self.0.number()
    }

    /// Who consumed it.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Account> {
        Ok(account::load(session(ctx)?, self.0.account()).await?)
    }

    /// The order that it is of; null for metered usage.
    async fn order(&self, ctx: &Context<'_>) -> Nullable<Order> {
        nullable::load(ctx, self.0.order.as_ref().map(|order| order.id), Order::from).await
    }

    /// The kind of product, a code.
    async fn resource_type(&self) -> &str {
        &self.0.resource_type
    }

    /// What kind of account consumed it.
    async fn account_kind(&self, ctx: &Context<'_>) -> async_graphql::Result<AccountKind> {
        Ok(account::load(session(ctx)?, self.0.account()).await?.0.kind.into())
    }

    /// Whether it was paid beforehand or afterwards.
    async fn pay_way(&self) -> PaymentType {
        self.0.pay_way().into()
    }

    /// The plan's name when it was bought; of metered usage, what it is of.
    async fn product_name(&self) -> &str {
        &self.0.product_name
    }

    /// What the period was charged: of what is billed afterwards, at the ledger's scale.
    async fn price(&self) -> Inline<Money> {
        money(&self.0, self.0.price)
    }

    /// When it was made.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }

    /// When the period begins.
    async fn start_time(&self) -> Instant {
        Instant(self.0.start_time)
    }

    /// When the period has ended.
    async fn end_time(&self) -> Instant {
        Instant(self.0.end_time)
    }

    /// What the price is made of; the details sum to it.
    async fn details(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<RecordDetail>> {
        let kind = account::load(session(ctx)?, self.0.account()).await?.0.kind;
        let detail = |(place, detail)| RecordDetail { record: Arc::clone(&self.0), kind, place, detail };
        Ok((1..).zip(self.0.details()).map(detail).collect())
    }

    /// The bill that it is on.
    async fn bill(&self, ctx: &Context<'_>) -> Nullable<Bill> {
        nullable::load(ctx, Some(self.0.bill), Bill::from).await
    }
}

fn money(record: &domain::record::Record, amount: Decimal) -> Inline<Money> {
    Money::inline(domain::money::Money::new(amount, record.currency))
}

/// A part of a record's price.
pub struct RecordDetail {
    record: Arc<domain::record::Record>,
    kind: domain::account::AccountKind,
    /// From 1.
    place: usize,
    detail: Detail,
}

/// A part of a record's price, and how it comes about.
#[Object]
impl RecordDetail {
    /// The record's id and the detail's place in it.
    async fn id(&self) -> ID {
        format!("{}-{}", self.record.id, self.place).into()
    }

    /// What it is for, for people.
    async fn title(&self) -> &str {
        &self.detail.title
    }

    /// The resource that was metered; null for what is bought by the period.
    async fn resource(&self, ctx: &Context<'_>) -> Nullable<Resource> {
        nullable::load(ctx, self.detail.resource.clone().map(ResourceCode), Resource).await
    }

    /// The kind of product, a code.
    async fn resource_type(&self, ctx: &Context<'_>) -> async_graphql::Result<String> {
        let of_record = || self.record.resource_type.clone();
        let Some(code) = &self.detail.resource else { return Ok(of_record()) };
        let resource = session(ctx)?.load(ResourceCode(code.clone())).await?;
        Ok(resource.map_or_else(of_record, |resource| resource.resource_type.clone()))
    }

    /// When the consumption begins.
    async fn consumed_at(&self) -> Instant {
        Instant(self.record.start_time)
    }

    /// What kind of account consumed it.
    async fn account_kind(&self) -> AccountKind {
        self.kind.into()
    }

    /// The number of the order that it is of.
    async fn order_number(&self) -> Option<&str> {
        self.record.order.as_ref().map(|order| order.number.as_str())
    }

    /// How that order came about.
    async fn order_type(&self) -> Option<OrderType> {
        self.record.order.as_ref().map(|order| order.order_type.into())
    }

    /// Whether it was paid beforehand or afterwards.
    async fn consume_way(&self) -> PaymentType {
        self.record.pay_way().into()
    }

    /// The datacenter that it is for, a code.
    async fn datacenter(&self) -> Option<&str> {
        self.record.datacenter.as_deref()
    }

    /// How many; of metered usage, how much, in the resource's unit.
    async fn quantity(&self) -> Exact {
        Exact::number(self.detail.quantity)
    }

    /// Its part of the record's price; negative for a credit.
    async fn price(&self) -> Inline<Money> {
        money(&self.record, self.detail.price)
    }

    /// How it comes about; the steps sum to the price.
    async fn explanation(&self) -> Vec<ChargeStep> {
        self.detail.steps.iter().cloned().map(ChargeStep).collect()
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

impl LoadedById for RecordId {
    type Row = crate::domain::record::Record;
}
