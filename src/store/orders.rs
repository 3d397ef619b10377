//! Orders.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Integer, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::error::StoreError;
use super::list::{self, DuePage, Found, Narrow, Owners, Page, Window};
use super::order_search;
use super::rows::{OrderHeaderRow, OrderRow, select_list};
use super::seals::Sealer;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::account::AccountKind;
use crate::domain::closing::Month;
use crate::domain::ids::{AccountId, OrderId, OwnedId, parse_printed_number};
use crate::domain::order::{Order, OrderHeader, OrderState, OrderType, UNPAID_MAX};

pub async fn order_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<Order>, StoreError> {
    rows::<OrderRow>(conn, list::by_ids::<OrderRow>("orders", ids)).await
}

/// The order of that printed number, found through the account and the day in it.
pub async fn order_by_number(conn: Conn<'_>, number: &str) -> Result<Option<Order>, StoreError> {
    let Some((account, day)) = parse_printed_number('O', number) else { return Ok(None) };
    let statement = list::by_number(select_from::<OrderRow>("orders"), account, day, number);
    Ok(rows::<OrderRow>(conn, statement).await?.pop())
}

/// The newest orders of each account.
pub async fn order_newest(conn: Conn<'_>, accounts: Vec<i64>, limit: i64) -> Result<Vec<Order>, StoreError> {
    rows::<OrderRow>(conn, list::newest_of_each::<OrderRow>("orders", accounts, limit)).await
}

/// The headers of the newest orders of each account.
pub async fn order_header_newest(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    limit: i64,
) -> Result<Vec<OrderHeader>, StoreError> {
    rows::<OrderHeaderRow>(conn, list::newest_of_each::<OrderHeaderRow>("orders", accounts, limit)).await
}

/// The live orders of exclusive plans: for each account and region one, and those that it continues.
pub async fn order_exclusive(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<Order>, StoreError> {
    let statement = select_from::<OrderRow>("orders")
        .sql(" WHERE exclusive AND state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED') AND account_id = ANY(")
        .value::<Array<BigInt>, _>(accounts)
        .sql(")");
    rows::<OrderRow>(conn, statement).await
}

/// Orders that jobs have to look at by `now`, those that have waited longest first.
pub async fn order_due(
    mut conn: Conn<'_>,
    due: &DuePage,
) -> Result<Vec<(OrderId, DateTime<Utc>)>, StoreError> {
    let found: Vec<(Uuid, DateTime<Utc>)> = list::due("orders", due).load(&mut conn).await?;
    Ok(found.into_iter().map(|(id, at)| (OrderId(OwnedId::from_uuid(id)), at)).collect())
}

/// So many orders on demand of an account are read; one that has as many has more, and cannot be billed.
pub const ON_DEMAND_MAX: i64 = 20_000;

/// The orders on demand of accounts that ran within a window.
pub async fn orders_on_demand(
    conn: Conn<'_>,
    windows: &[(AccountId, Month)],
) -> Result<Vec<Order>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<OrderRow>("t."));
    let statement = list::each_window(select, windows.iter().copied())
        .sql(
            "(SELECT * FROM orders t WHERE t.account_id = k.account_id AND t.bill_period = 'HOUR' \
             AND t.delivered_at < k.end_time AND coalesce(t.expires_at, 'infinity') > k.start_time LIMIT ",
        )
        .bigint(ON_DEMAND_MAX)
        .sql(") t ORDER BY t.account_id, t.id");
    rows::<OrderRow>(conn, statement).await
}

/// How many orders of each account wait for their first payment, up to as many as may.
pub async fn order_unpaid_count(
    conn: Conn<'_>,
    accounts: Vec<i64>,
) -> Result<Vec<(AccountId, usize)>, StoreError> {
    let counted = "SELECT FROM orders o WHERE o.account_id = a.id AND o.state = 'UNPAID'";
    list::few_of_each(conn, accounts, |statement| statement.sql(counted), UNPAID_MAX).await
}

/// Money that comes in renews so many orders at once; the others are tried when the jobs look at them, within a day.
const RENEWED_AT_ONCE: i64 = 50;

/// The ids of orders of each account whose renewal waits for money, those that end first.
pub async fn order_awaiting_renewal(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<OwnedId>, StoreError> {
    let waiting =
        "auto_renewal AND renewed_by IS NULL AND state IN ('EXPIRING', 'SUSPENDED') ORDER BY expires_at";
    ids_of_each(conn, accounts, (waiting, RENEWED_AT_ONCE)).await
}

/// The ids of live orders of each account, one more than `most` at most.
pub async fn order_live(conn: Conn<'_>, accounts: Vec<i64>, most: usize) -> Result<Vec<OwnedId>, StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    ids_of_each(conn, accounts, ("state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED')", limit)).await
}

async fn ids_of_each(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    (which, limit): (&'static str, i64),
) -> Result<Vec<OwnedId>, StoreError> {
    let statement = Statement::<SqlUuid>::new("SELECT t.id FROM (SELECT DISTINCT UNNEST(")
        .value::<Array<BigInt>, _>(accounts)
        .sql(format!(
            ") AS id) a CROSS JOIN LATERAL (SELECT id FROM orders WHERE account_id = a.id AND {which} LIMIT "
        ))
        .bigint(limit)
        .sql(") t");
    ids(conn, statement).await
}

async fn ids(mut conn: Conn<'_>, statement: Statement<SqlUuid>) -> Result<Vec<OwnedId>, StoreError> {
    let found: Vec<Uuid> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(OwnedId::from_uuid).collect())
}

/// The live orders on demand of accounts.
pub async fn order_on_demand_live(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<Order>, StoreError> {
    let statement = select_from::<OrderRow>("orders")
        .sql(
            " WHERE bill_period = 'HOUR' AND coalesce(expires_at, 'infinity') = 'infinity' \
             AND state IN ('ACTIVE', 'EXPIRING', 'SUSPENDED') AND account_id = ANY(",
        )
        .value::<Array<BigInt>, _>(accounts)
        .sql(")");
    rows::<OrderRow>(conn, statement).await
}

/// What a list of orders is narrowed by; conditions are joined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Of creation.
    pub window: Window,
    pub order_type: Option<OrderType>,
    /// In the number or the name, anywhere, without regard to case.
    pub search: Option<String>,
    pub resource_type: Option<String>,
    pub account_kind: Option<AccountKind>,
    pub state: Option<OrderState>,
}

impl OrderFilter {
    /// All conditions but those of the window and the word.
    pub(super) fn restrict_others<ST>(&self, mut statement: Statement<ST>) -> Statement<ST> {
        if let Some(order_type) = self.order_type {
            statement = statement.sql(" AND t.type = ").value::<Text, _>(order_type.code());
        }
        if let Some(state) = self.state {
            statement = statement.sql(" AND t.state = ").value::<Text, _>(state.code());
        }
        if let Some(resource_type) = &self.resource_type {
            statement = statement.sql(" AND t.resource_type = ").text(resource_type.clone());
        }
        if let Some(kind) = self.account_kind {
            statement = list::of_kind(statement, kind);
        }
        statement
    }
}

impl Narrow for OrderFilter {
    fn along<ST>(&self, _: Owners, statement: Statement<ST>) -> Statement<ST> {
        self.window.restrict(statement)
    }

    fn kept<ST>(&self, _: Owners, statement: Statement<ST>) -> Statement<ST> {
        let statement = self.restrict_others(statement);
        match &self.search {
            Some(word) => order_search::matching(statement, word),
            None => statement,
        }
    }

    fn is_walked(&self, _: Owners) -> bool {
        let Self { window: _, order_type, search, resource_type, account_kind, state } = self;
        order_type.is_some()
            || search.is_some()
            || resource_type.is_some()
            || account_kind.is_some()
            || state.is_some()
    }
}

pub async fn order_list(
    conn: Conn<'_>,
    owners: Owners,
    filter: &OrderFilter,
    page: &Page,
) -> Result<Found<Order>, StoreError> {
    match &filter.search {
        Some(word) => order_search::page(conn, owners, filter, word, page).await,
        None => list::page::<OrderRow, _>(conn, "orders", owners, page, filter).await,
    }
}

pub async fn order_count(conn: Conn<'_>, owners: Owners, filter: &OrderFilter) -> Result<i64, StoreError> {
    if let Some(word) = &filter.search
        && let Some(ids) = order_search::found(conn, owners, filter, word, &Page::first(1)).await?
    {
        return Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX));
    }
    list::count(conn, "orders", owners, filter).await
}

pub async fn order_count_of_each(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<(i64, i64)>, StoreError> {
    list::count_of_each(conn, "orders", accounts).await
}

/// Goes on with what most batches have none of: subscriptions, and orders that were cancelled with what made them.
fn of_few_orders(mut columns: Columns, orders: &[Arc<Order>]) -> Columns {
    if orders.iter().any(|o| o.subscription.is_some()) {
        let subscriptions = || orders.iter().map(|o| o.subscription.as_ref());
        columns = columns
            .column::<Nullable<Text>, _>("resource_code", subscriptions().map(|s| Some(s?.resource.clone())))
            .column::<Nullable<Numeric>, _>("resource_amount", subscriptions().map(|s| Some(s?.amount)))
            .column::<Nullable<Integer>, _>("term_months", subscriptions().map(|s| Some(s?.months)));
    }
    if orders.iter().any(|o| o.cancelled_at.is_some()) {
        columns =
            columns.column::<Nullable<Timestamptz>, _>("cancelled_at", orders.iter().map(|o| o.cancelled_at));
    }
    columns
}

pub async fn order_insert(
    conn: Conn<'_>,
    orders: &[Arc<Order>],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", orders.iter().map(|o| o.account().0))
        .column::<SqlUuid, _>("id", orders.iter().map(|o| o.id.uuid()))
        .column::<Text, _>("number", orders.iter().map(|o| o.number()))
        .column::<Text, _>("name", orders.iter().map(|o| o.name.clone()))
        .column::<Text, _>("type", orders.iter().map(|o| o.order_type.code()))
        .column::<Text, _>("state", orders.iter().map(|o| o.state.code()))
        .column::<Nullable<SqlUuid>, _>("previous_id", orders.iter().map(|o| o.previous.map(OrderId::uuid)))
        .column::<Nullable<SqlUuid>, _>("plan_id", orders.iter().map(|o| o.plan.map(|id| id.0)))
        .column::<Bool, _>("exclusive", orders.iter().map(|o| o.exclusive))
        .column::<Integer, _>("quantity", orders.iter().map(|o| o.quantity))
        .column::<Nullable<Text>, _>("region", orders.iter().map(|o| o.region.clone()))
        .column::<Nullable<Text>, _>("datacenter", orders.iter().map(|o| o.datacenter.clone()))
        .column::<Text, _>("resource_type", orders.iter().map(|o| o.resource_type.clone()))
        .column::<Text, _>("product_name", orders.iter().map(|o| o.product_name.clone()))
        .column::<Text, _>("bill_period", orders.iter().map(|o| o.bill_period.code()))
        .column::<Text, _>("currency", orders.iter().map(|o| o.currency.to_string()))
        .column::<Numeric, _>("price", orders.iter().map(|o| o.price))
        .column::<Nullable<Numeric>, _>("once_price", orders.iter().map(|o| o.once_price))
        .column::<Integer, _>("seq", orders.iter().map(|o| o.seq))
        .column::<Integer, _>("seq_count", orders.iter().map(|o| o.seq_count))
        .column::<Bool, _>("auto_renewal", orders.iter().map(|o| o.auto_renewal))
        .column::<Nullable<Text>, _>("comment", orders.iter().map(|o| o.comment.clone()))
        .column::<Timestamptz, _>("created_at", orders.iter().map(|o| o.created_at))
        .column::<Nullable<Timestamptz>, _>("delivered_at", orders.iter().map(|o| o.delivered_at))
        .column::<Nullable<Timestamptz>, _>("expires_at", orders.iter().map(|o| o.expires_at))
        .column::<Timestamptz, _>("anchor_at", orders.iter().map(|o| o.anchor_at))
        .column::<Integer, _>("anchor_months", orders.iter().map(|o| o.anchor_months))
        .column::<Nullable<SqlUuid>, _>("renewed_by", orders.iter().map(|o| o.renewed_by.map(OrderId::uuid)))
        .column::<Nullable<Timestamptz>, _>("next_step_at", orders.iter().map(|o| o.next_step_at))
        .column::<Nullable<Binary>, _>("seal", orders.iter().map(|o| seals.seal(&**o)));
    execute(conn, of_few_orders(columns, orders).insert_into("orders")).await.map(drop)
}

/// Writes what can change of an order.
pub async fn order_change(
    conn: Conn<'_>,
    orders: &[Arc<Order>],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", orders.iter().map(|o| o.account().0))
        .column::<SqlUuid, _>("id", orders.iter().map(|o| o.id.uuid()))
        .column::<Text, _>("state", orders.iter().map(|o| o.state.code()))
        .column::<Integer, _>("seq", orders.iter().map(|o| o.seq))
        .column::<Bool, _>("auto_renewal", orders.iter().map(|o| o.auto_renewal))
        .column::<Nullable<Timestamptz>, _>("delivered_at", orders.iter().map(|o| o.delivered_at))
        .column::<Nullable<Timestamptz>, _>("expires_at", orders.iter().map(|o| o.expires_at))
        .column::<Timestamptz, _>("anchor_at", orders.iter().map(|o| o.anchor_at))
        .column::<Nullable<SqlUuid>, _>("renewed_by", orders.iter().map(|o| o.renewed_by.map(OrderId::uuid)))
        .column::<Nullable<Timestamptz>, _>("next_step_at", orders.iter().map(|o| o.next_step_at))
        .column::<Nullable<Timestamptz>, _>("cancelled_at", orders.iter().map(|o| o.cancelled_at))
        .column::<Nullable<Binary>, _>("seal", orders.iter().map(|o| seals.seal(&**o)));
    execute(conn, columns.update("orders", 2)).await.map(drop)
}
