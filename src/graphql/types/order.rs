use std::sync::Arc;

use async_graphql::{Context, ID, MergedObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::account::{self, Account};
use super::money::Money;
use super::order_lists::OrderLists;
use super::plan::{self, Plan};
use super::resource::{self, Resource};
use crate::domain;
use crate::domain::capacity::{SUBSCRIPTION_LEVEL, term_price};
use crate::domain::ids::OrderId;
use crate::domain::plan::PlanResource;
use crate::graphql::enums::{BillPeriod, OrderState, OrderType, PayCycle};
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::loaders::{LoadedById, NewestBillsOfOrder, ResourcesOf};
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::pagination::connection_of;
use crate::graphql::runtime::eager::{Inline, ResolveEagerly};
use crate::graphql::runtime::list_item::{HasHeader, ListItem};
use crate::graphql::scalars::Instant;
use crate::graphql::session::{Session, session};
use crate::store::bills::BILLS_OF_ORDER_MAX;

/// What an account has bought, at the prices at which it was bought.
#[derive(Clone, MergedObject)]
pub struct Order(OrderHeader, OrderDetails);

/// What lists show of it before anything else.
#[derive(Clone)]
pub struct OrderHeader(Arc<domain::order::OrderHeader>);

/// The rest of it.
#[derive(Clone)]
pub struct OrderDetails(Arc<domain::order::Order>);

impl From<Arc<domain::order::Order>> for Order {
    fn from(order: Arc<domain::order::Order>) -> Self {
        Self(OrderHeader(Arc::new(order.header())), OrderDetails(order))
    }
}

impl Order {
    pub(super) async fn id(&self, ctx: &Context<'_>) -> async_graphql::Result<ID> {
        self.0.id(ctx).await
    }
}

impl HasHeader for Order {
    type Header = OrderHeader;
    const HEADER_FIELDS: &'static [&'static str] = &[
        "__typename",
        "id",
        "number",
        "name",
        "type",
        "state",
        "account",
        "isSelf",
        "createdAt",
        "bills",
        "records",
    ];

    fn header(&self) -> &OrderHeader {
        &self.0
    }

    fn id_in_lists(header: &OrderHeader) -> Uuid {
        header.0.id.uuid()
    }

    fn whole<'a>(header: &'a OrderHeader, ctx: &'a Context<'_>) -> BoxFuture<'a, ApiResult<Self>> {
        async move {
            let order = session(ctx)?.load(header.0.id).await?;
            order.map(Self::from).ok_or_else(|| ApiError::internal("an order of a list is not there"))
        }
        .boxed()
    }
}

impl From<Arc<domain::order::OrderHeader>> for ListItem<Order> {
    fn from(header: Arc<domain::order::OrderHeader>) -> Self {
        Self::Header(OrderHeader(header))
    }
}

impl From<Arc<domain::order::Order>> for ListItem<Order> {
    fn from(order: Arc<domain::order::Order>) -> Self {
        Self::Full(Order::from(order))
    }
}

connection_of!(OrderConnection, OrderEdge, ListItem<Order>, "orders");

impl ResolveEagerly for Order {
    const DEFERRED_FIELDS: &'static [&'static str] = &[
        "account",
        "previous",
        "plan",
        "payInfo",
        "details",
        "configChanges",
        "bills",
        "records",
        "schedule",
    ];
}

/// A debit to come.
#[derive(SimpleObject)]
pub struct ScheduledDebit {
    /// When it is due.
    due_at: Instant,
    /// How much it will be; a renewal at today's price.
    amount: Inline<Money>,
    /// Which of the order's periods it is for, from 1.
    seq: i32,
}

impl From<domain::order::ScheduledDebit> for ScheduledDebit {
    fn from(debit: domain::order::ScheduledDebit) -> Self {
        Self { due_at: Instant(debit.due_at), amount: Money::inline(debit.amount), seq: debit.seq }
    }
}

/// How an order is paid.
#[derive(SimpleObject)]
pub struct OrderPayInfo {
    /// The sum of its bills.
    total: Inline<Money>,
    /// Whether it is paid in one or in several parts.
    pay_cycle: PayCycle,
    /// How often it is billed; HOUR is on demand.
    pay_way: BillPeriod,
    /// How it was paid: balance, a card's brand, a token; null before the first payment.
    payment_method: Option<String>,
    /// When it was last paid.
    paid_at: Option<Instant>,
    /// What the customer noted.
    comment: Option<String>,
    /// The amount of its first bill.
    first_payment: Option<Inline<Money>>,
    /// What of that is charged once.
    once_payment: Option<Inline<Money>>,
    /// How many bills are still to be paid.
    remaining_payments: Option<i32>,
}

/// What an order is for.
#[derive(SimpleObject)]
pub struct OrderDetail {
    /// The product's name.
    name: String,
    /// The kind of product, a code.
    #[graphql(name = "type")]
    product_type: String,
    /// The region that it is in, a code.
    zone: Option<String>,
    /// How many.
    count: i32,
    /// How often it is billed.
    pay_way: Option<BillPeriod>,
    /// How many periods it runs; null for what is on demand.
    duration: Option<i32>,
    /// Per period, for the whole quantity.
    price: Inline<Money>,
    /// What is in it.
    products: Vec<ProductDetail>,
}

/// What is in a product.
#[derive(SimpleObject)]
pub struct ProductDetail {
    /// What and how much, for people.
    name: String,
    /// The resource's code.
    #[graphql(name = "type")]
    product_type: String,
}

/// What an order changed of the one that it replaced.
#[derive(SimpleObject)]
pub struct ConfigChange {
    /// When the change took effect: when the new order was placed.
    at: Instant,
    /// What was changed: `plan` or `quantity`.
    field: String,
    /// The name of the plan before the change, or the quantity.
    before: String,
    /// The name of the plan after the change, or the quantity.
    after: String,
    /// What the change cost: with the first of an order's changes the new period less the credit.
    charge: Inline<Money>,
}

/// What lists show of an order before anything else.
#[Object]
impl OrderHeader {
    /// Its id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Its number, for people.
    async fn number(&self) -> String {
        self.0.number()
    }

    /// Its name: that of the plan when it was bought.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// How it came about.
    #[graphql(name = "type")]
    async fn order_type(&self) -> OrderType {
        self.0.order_type.into()
    }

    /// Its state; it changes by payment, with time, and when it is renewed, changed or cancelled.
    async fn state(&self) -> OrderState {
        self.0.state.into()
    }

    /// Who has bought it.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Account> {
        Ok(account::load(session(ctx)?, self.0.id.account()).await?)
    }

    /// Whether the caller's own account placed it.
    async fn is_self(&self, ctx: &Context<'_>) -> async_graphql::Result<bool> {
        Ok(session(ctx)?.viewer().account == Some(self.0.id.account()))
    }

    /// When it was placed.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }

    #[graphql(flatten)]
    async fn lists(&self) -> OrderLists {
        OrderLists(self.0.id)
    }
}

/// What else there is of an order.
#[Object]
impl OrderDetails {
    /// The order that this one renews or changes.
    async fn previous(&self, ctx: &Context<'_>) -> Nullable<Order> {
        nullable::load(ctx, self.0.previous, Order::from).await
    }

    /// What a subscription is for; null for the order of a plan.
    async fn subscribed(&self) -> Option<plan::PlanResource> {
        included_itself(&self.0).map(plan::PlanResource)
    }

    /// How many calendar months one period of a subscription is; null for the order of a plan.
    async fn term_months(&self) -> Option<i32> {
        Some(self.0.subscription.as_ref()?.months)
    }

    /// When it was cancelled or replaced.
    async fn cancelled_at(&self) -> Option<Instant> {
        self.0.cancelled_at.map(Instant)
    }

    /// The plan, as it is now.
    async fn plan(&self, ctx: &Context<'_>) -> Nullable<Plan> {
        nullable::load(ctx, self.0.plan, Plan).await
    }

    /// How many of the plan.
    async fn quantity(&self) -> i32 {
        self.0.quantity
    }

    /// The region that it is in, a code.
    async fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// The kind of product, a code.
    async fn resource_type(&self) -> &str {
        &self.0.resource_type
    }

    /// The plan's name when it was bought.
    async fn product_name(&self) -> &str {
        &self.0.product_name
    }

    /// How often it is billed; HOUR is on demand. Of a subscription that runs for another number of months, MONTH: see
    /// termMonths.
    async fn pay_way(&self) -> BillPeriod {
        self.0.bill_period.into()
    }

    /// Per period, for the whole quantity.
    async fn price(&self) -> async_graphql::Result<Inline<Money>> {
        Ok(Money::inline(self.0.cycle_price().map_err(ApiError::from)?))
    }

    /// The current period, from 1.
    async fn seq(&self) -> i32 {
        self.0.seq
    }

    /// How many periods it runs.
    async fn seq_count(&self) -> i32 {
        self.0.seq_count
    }

    /// Whether it is renewed when it ends.
    async fn auto_renewal(&self) -> bool {
        self.0.auto_renewal
    }

    /// When its first period begins; null for what is not paid yet. A renewal's may lie ahead.
    async fn delivered_at(&self) -> Option<Instant> {
        self.0.delivered_at.map(Instant)
    }

    /// When it ends, or has ended before its time; null for what is on demand and runs, and for what is not paid yet.
    async fn expires_at(&self) -> Option<Instant> {
        self.0.expires_at.map(Instant)
    }

    /// How it is paid.
    async fn pay_info(&self, ctx: &Context<'_>) -> async_graphql::Result<OrderPayInfo> {
        let session = session(ctx)?;
        let bills = all_bills(session, self.0.id).await?;
        let paid = bills.iter().filter_map(|bill| bill.paid_by).max();
        let payment = match paid {
            Some(id) => session.load(id).await?,
            None => None,
        };
        Ok(pay_info(&self.0, &bills, payment.map(|payment| payment.payment_method.clone()))?)
    }

    /// What it is for.
    async fn details(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<OrderDetail>> {
        Ok(vec![detail(session(ctx)?, &self.0).await?])
    }

    /// What it changed of the order that it replaced; nothing if it replaced none.
    async fn config_changes(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<ConfigChange>> {
        let session = session(ctx)?;
        let (domain::order::OrderType::Change, Some(previous)) = (self.0.order_type, self.0.previous) else {
            return Ok(Vec::new());
        };
        let Some(previous) = session.load(previous).await? else { return Ok(Vec::new()) };
        let bills = all_bills(session, self.0.id).await?;
        Ok(config_changes(&self.0, &previous, bills.iter().min_by_key(|bill| bill.seq).map(Arc::as_ref)))
    }

    /// Every debit to come, with its date: unpaid bills, and the next renewal, which is tried from 7 days before the end.
    async fn schedule(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<ScheduledDebit>> {
        let debits = scheduled(session(ctx)?, &self.0).await?;
        Ok(debits.into_iter().map(ScheduledDebit::from).collect())
    }
}

/// An order's bills, all of them.
pub(super) async fn all_bills(session: &Session, order: OrderId) -> ApiResult<Vec<Arc<domain::bill::Bill>>> {
    let bills = session.load(NewestBillsOfOrder((order, BILLS_OF_ORDER_MAX))).await?;
    Ok(bills.unwrap_or_default().to_vec())
}

/// Every debit to come of an order.
pub(in crate::graphql) async fn scheduled(
    session: &Session,
    order: &domain::order::Order,
) -> ApiResult<Vec<domain::order::ScheduledDebit>> {
    let bills = all_bills(session, order.id).await?;
    let price = if order.auto_renewal { renewal_price(session, order).await? } else { None };
    Ok(order.schedule(bills.iter().map(Arc::as_ref), price)?)
}

/// What an order, of one, would cost to renew today; None where it cannot be renewed.
async fn renewal_price(session: &Session, order: &domain::order::Order) -> ApiResult<Option<Decimal>> {
    let now = session.app.clock.now();
    if let Some(subscription) = &order.subscription {
        return next_term_price(session, order, subscription, now).await;
    }
    let plan = match order.plan {
        Some(id) => session.load(id).await?,
        None => None,
    };
    Ok(plan.filter(|plan| plan.is_on_sale(now)).map(|plan| plan.price))
}

async fn next_term_price(
    session: &Session,
    order: &domain::order::Order,
    subscription: &domain::order::Subscription,
    now: DateTime<Utc>,
) -> ApiResult<Option<Decimal>> {
    let zone = account::load(session, order.account()).await?.0.time_zone;
    let term = order.continued(now)?.first_period(zone)?;
    let (repository, resource) = (session.repository(), subscription.resource.clone());
    let price = repository.resource_price(resource, order.currency, SUBSCRIPTION_LEVEL, now).await?;
    let (Some(term), Some(price)) = (term, price) else { return Ok(None) };
    let discounts = repository.term_discounts().await?;
    let scale = session.display_scale(&domain::money::Money::new(order.price, order.currency));
    Ok(Some(term_price(&price, &discounts, subscription, term, scale)?.price))
}

fn pay_info(
    order: &domain::order::Order,
    bills: &[Arc<domain::bill::Bill>],
    payment_method: Option<String>,
) -> ApiResult<OrderPayInfo> {
    let money = |amount| Money::inline(domain::money::Money::new(amount, order.currency));
    let mut total = Decimal::ZERO;
    for bill in bills {
        total = domain::money::add(total, bill.amount)?;
    }
    let first = bills.iter().min_by_key(|bill| bill.seq);
    let open = bills.iter().filter(|bill| bill.is_open()).count();
    Ok(OrderPayInfo {
        total: money(total),
        pay_cycle: order.pay_cycle().into(),
        pay_way: order.bill_period.into(),
        payment_method,
        paid_at: bills.iter().filter_map(|bill| bill.last_paid_at).max().map(Instant),
        comment: order.comment.clone(),
        first_payment: first.map(|bill| money(bill.amount)),
        once_payment: first.map(|bill| money(bill.once_amount)),
        remaining_payments: first.and_then(|_| i32::try_from(open).ok()),
    })
}

async fn detail(session: &Session, order: &domain::order::Order) -> ApiResult<OrderDetail> {
    let included = match (order.plan, included_itself(order)) {
        (Some(plan), _) => session.load(ResourcesOf(plan)).await?.unwrap_or_default(),
        (None, included) => included.into_iter().collect(),
    };
    let resources = included.iter().map(|part| resource::load(session, &part.resource_code));
    let resources = try_join_all(resources).await?;
    let product = |(part, resource): (&PlanResource, Resource)| ProductDetail {
        name: format!(
            "{}: {} {}",
            resource.0.name,
            domain::money::format_decimal(part.amount, 0),
            resource.0.unit
        ),
        product_type: part.resource_code.clone(),
    };
    let products = included.iter().zip(resources).map(product).collect();
    Ok(OrderDetail {
        name: order.product_name.clone(),
        product_type: order.resource_type.clone(),
        zone: order.region.clone(),
        count: order.quantity,
        pay_way: Some(order.bill_period.into()),
        duration: order.bill_period.months().map(|_| order.seq_count),
        price: Money::inline(order.cycle_price()?),
        products,
    })
}

/// What a subscription is for.
fn included_itself(order: &domain::order::Order) -> Option<PlanResource> {
    let subscription = order.subscription.as_ref()?;
    Some(PlanResource { resource_code: subscription.resource.clone(), amount: subscription.amount })
}

fn config_changes(
    order: &domain::order::Order,
    previous: &domain::order::Order,
    first_bill: Option<&domain::bill::Bill>,
) -> Vec<ConfigChange> {
    let money = |amount| Money::inline(domain::money::Money::new(amount, order.currency));
    let change = |field: &str, before: String, after: String, charge| ConfigChange {
        at: Instant(order.created_at),
        field: field.to_owned(),
        before,
        after,
        charge: money(charge),
    };
    let charge = first_bill.map_or(Decimal::ZERO, |bill| bill.amount);
    let mut changes = vec![change("plan", previous.product_name.clone(), order.product_name.clone(), charge)];
    if order.quantity != previous.quantity {
        let (before, after) = (previous.quantity.to_string(), order.quantity.to_string());
        changes.push(change("quantity", before, after, Decimal::ZERO));
    }
    changes
}

impl LoadedById for OrderId {
    type Row = crate::domain::order::Order;
}
