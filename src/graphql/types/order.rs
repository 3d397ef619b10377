use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use futures_util::FutureExt;

use super::account::{self, Account};
use super::bill::BillConnection;
use super::money::Money;
use super::plan::Plan;
use crate::domain;
use crate::graphql::at_hand::{AtHand, Inline};
use crate::graphql::enums::{BillPeriod, OrderState, OrderType};
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::limits::page_cost;
use crate::graphql::loaders::NewestBillsOfOrder;
use crate::graphql::pagination::{PageArgs, Slice, TotalCount, connection, is_newest};
use crate::graphql::scalars::Instant;
use crate::graphql::session::{Session, session};
use crate::store::bills::BillFilter;

/// What an account has bought, at the prices at which it was bought.
pub struct Order(pub Arc<domain::order::Order>);

connection!(
    OrderConnection,
    OrderEdge,
    Order,
    domain::order::Order,
    |row: &Arc<domain::order::Order>| row.id.uuid(),
    "orders"
);

impl AtHand for Order {
    const LOADED: &'static [&'static str] = &["account", "previous", "plan", "bills"];
}

/// A debit to come.
#[derive(SimpleObject)]
pub struct ScheduledDebit {
    /// When it is due.
    due_at: Instant,
    /// How much it will be, at today's price.
    amount: Inline<Money>,
    /// Which of the order's periods it is for, from 1.
    seq: i32,
}

impl From<domain::order::ScheduledDebit> for ScheduledDebit {
    fn from(debit: domain::order::ScheduledDebit) -> Self {
        Self { due_at: Instant(debit.due_at), amount: Money::inline(debit.amount), seq: debit.seq }
    }
}

/// What an account has bought, at the prices at which it was bought.
#[Object]
impl Order {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
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

    /// Where it stands.
    async fn state(&self) -> OrderState {
        self.0.state.into()
    }

    /// Who has bought it.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Account> {
        Ok(account::load(session(ctx)?, self.0.account()).await?)
    }

    /// Whether the caller's own account placed it.
    async fn is_self(&self, ctx: &Context<'_>) -> async_graphql::Result<bool> {
        Ok(session(ctx)?.viewer().account == Some(self.0.account()))
    }

    /// The order that this one renews or changes.
    async fn previous(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Order>> {
        let Some(id) = self.0.previous else { return Ok(None) };
        Ok(session(ctx)?.load(id).await?.map(Order))
    }

    /// The plan, as it is now.
    async fn plan(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Plan>> {
        let Some(id) = self.0.plan else { return Ok(None) };
        Ok(session(ctx)?.load(id).await?.map(Plan))
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

    /// How often it is billed; HOUR is on demand.
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

    /// When it was placed.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }

    /// When it began to run.
    async fn delivered_at(&self) -> Option<Instant> {
        self.0.delivered_at.map(Instant)
    }

    /// When it ends; null for what is on demand.
    async fn expires_at(&self) -> Option<Instant> {
        self.0.expires_at.map(Instant)
    }

    /// Its bills, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments)]
    async fn bills(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
    ) -> async_graphql::Result<BillConnection> {
        let args = PageArgs { first, after, last, before, offset };
        Ok(Box::pin(bills_of(session(ctx)?, self.0.id, &args)).await?)
    }

    /// Every debit to come, with its date: the next renewal.
    #[graphql(complexity = "2 * child_complexity + 1")]
    async fn schedule(&self) -> async_graphql::Result<Vec<ScheduledDebit>> {
        Ok(self.0.schedule().map_err(ApiError::from)?.into_iter().map(ScheduledDebit::from).collect())
    }
}

async fn bills_of(
    session: &Session,
    order: domain::ids::OrderId,
    args: &PageArgs,
) -> ApiResult<BillConnection> {
    let page = args.page()?;
    let rows = if is_newest(&page) {
        let rows = session.load(NewestBillsOfOrder((order, page.limit))).await?;
        rows.unwrap_or_default().to_vec()
    } else {
        let filter = BillFilter { order: Some(order), ..BillFilter::default() };
        let rows = session.repository().bill_list(Some(order.account()), &filter, &page).await?;
        rows.into_iter().map(Arc::new).collect()
    };
    let total: TotalCount = Box::new(move |repository| {
        async move { Ok(repository.bill_counts_of_orders(vec![order]).await?.remove(&order).unwrap_or(0)) }
            .boxed()
    });
    Ok(BillConnection(Slice::new(&page, rows, total)))
}
