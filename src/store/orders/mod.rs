//! Orders.

pub mod order_filter;
pub(in crate::store) mod order_search;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::Uuid as SqlUuid;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::domain::book::Rows;
use crate::domain::closing::Month;
use crate::domain::ids::{AccountId, OrderId, OwnedId, PlanId, parse_printed_number};
use crate::domain::money::CurrencyCode;
use crate::domain::order::{Order, OrderHeader, OrderState, OrderType, Subscription, UNPAID_MAX};
use crate::domain::period::BillPeriod;
use crate::domain::viewer::Scope;
use crate::store::error::StoreError;
use crate::store::list::{self, DuePage, Found, Page};
use crate::store::orders::order_filter::OrderFilter;
use crate::store::owned::{Header, Owned};
use crate::store::schema::orders as table;
use crate::store::seals::Sealer;
use crate::store::sql::row::{WriteRow, row, select_list};
use crate::store::sql::statement::{Columns, Statement};
use crate::store::written::written;
use crate::store::{Conn, execute, rows, select_from};

impl Owned for Order {
    type Id = OrderId;
    type Filter = OrderFilter;

    fn id(&self) -> OrderId {
        self.id
    }

    fn page<'c>(
        conn: Conn<'c>,
        scope: Scope,
        filter: &'c OrderFilter,
        page: &'c Page,
    ) -> BoxFuture<'c, Result<Found<Self>, StoreError>> {
        match &filter.search {
            Some(word) => order_search::page(conn, scope, filter, word, page).boxed(),
            None => list::page::<Self, _>(conn, scope, page, filter).boxed(),
        }
    }

    fn count<'c>(
        conn: Conn<'c>,
        scope: Scope,
        filter: &'c OrderFilter,
    ) -> BoxFuture<'c, Result<i64, StoreError>> {
        async move {
            if let Some(word) = &filter.search
                && let Some(ids) = order_search::found(conn, scope, filter, word, &Page::first(1)).await?
            {
                return Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX));
            }
            list::count(conn, "orders", scope, filter).await
        }
        .boxed()
    }
}

row! {
    orders => Order as o {
        kept {
            id: OrderId = o.id,
            name: String = o.name,
            type_: OrderType = o.order_type,
            state: OrderState = o.state,
            previous_id: Option<OrderId> = o.previous,
            plan_id: Option<PlanId> = o.plan,
            exclusive: bool = o.exclusive,
            quantity: i32 = o.quantity,
            region: Option<String> = o.region,
            datacenter: Option<String> = o.datacenter,
            resource_type: String = o.resource_type,
            product_name: String = o.product_name,
            bill_period: BillPeriod = o.bill_period,
            currency: CurrencyCode = o.currency,
            price: Decimal = o.price,
            once_price: Option<Decimal> = o.once_price,
            seq: i32 = o.seq,
            seq_count: i32 = o.seq_count,
            auto_renewal: bool = o.auto_renewal,
            comment: Option<String> = o.comment,
            delivered_at: Option<DateTime<Utc>> = o.delivered_at,
            expires_at: Option<DateTime<Utc>> = o.expires_at,
            anchor_at: Option<DateTime<Utc>> = Some(o.anchor_at),
            anchor_months: i32 = o.anchor_months,
            renewed_by: Option<OrderId> = o.renewed_by,
            next_step_at: Option<DateTime<Utc>> = o.next_step_at,
        }
        written {
            account_id: AccountId = o.account(),
            number: String = o.number(),
            created_at: DateTime<Utc> = o.created_at,
        }
        read {
            resource_code: Option<String>,
            resource_amount: Option<Decimal>,
            term_months: Option<i32>,
            cancelled_at: Option<DateTime<Utc>>,
        }
    }
    {
        let created_at = id.0.instant();
        let subscription = match (resource_code, resource_amount, term_months) {
            (Some(resource), Some(amount), Some(months)) => Some(Subscription { resource, amount, months }),
            _ => None,
        };
        Self {
            id,
            name,
            order_type: type_,
            state,
            previous: previous_id,
            plan: plan_id,
            subscription,
            exclusive,
            quantity,
            region,
            datacenter,
            resource_type,
            product_name,
            bill_period,
            currency,
            price,
            once_price,
            seq,
            seq_count,
            auto_renewal,
            comment,
            created_at,
            delivered_at,
            expires_at,
            anchor_at: anchor_at.or(delivered_at).unwrap_or(created_at),
            anchor_months,
            renewed_by,
            cancelled_at,
            next_step_at,
        }
    }
}

row! {
    orders => OrderHeader { id: OrderId, name: String, type_: OrderType, state: OrderState, }
    Self { id, name, order_type: type_, state, created_at: id.0.instant() }
}

/// The order of that printed number, found through the account and the day in it.
pub async fn order_by_number(conn: Conn<'_>, number: &str) -> Result<Option<Order>, StoreError> {
    let Some((account, day)) = parse_printed_number('O', number) else { return Ok(None) };
    let statement = list::by_number(select_from::<Order>("orders"), account, day, number);
    Ok(rows::<Order>(conn, statement).await?.pop())
}

impl Header for OrderHeader {
    type Shared = Arc<Self>;

    fn id(&self) -> OwnedId {
        self.id.0
    }
}

/// The live orders of exclusive plans: for each account and region one, and those that it continues.
pub async fn order_exclusive(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<Order>, StoreError> {
    let statement = select_from::<Order>("orders")
        .sql(" WHERE exclusive AND state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED') AND account_id = ANY(")
        .accounts(accounts)
        .sql(")");
    rows::<Order>(conn, statement).await
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
    let select = Statement::new("SELECT ").sql(select_list::<Order>("t."));
    let statement = list::each_window(select, windows.iter().copied())
        .sql(
            "(SELECT * FROM orders t WHERE t.account_id = k.account_id AND t.bill_period = 'HOUR' \
             AND t.delivered_at < k.end_time AND coalesce(t.expires_at, 'infinity') > k.start_time LIMIT ",
        )
        .bigint(ON_DEMAND_MAX)
        .sql(") t ORDER BY t.account_id, t.id");
    rows::<Order>(conn, statement).await
}

/// How many orders of each account wait for their first payment, up to as many as may.
pub async fn order_unpaid_count(
    conn: Conn<'_>,
    accounts: Vec<i64>,
) -> Result<Vec<(AccountId, usize)>, StoreError> {
    let counted = "SELECT 1 FROM orders o WHERE o.account_id = a.id AND o.state = 'UNPAID'";
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
        .accounts(accounts)
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
    let statement = select_from::<Order>("orders")
        .sql(
            " WHERE bill_period = 'HOUR' AND coalesce(expires_at, 'infinity') = 'infinity' \
             AND state IN ('ACTIVE', 'EXPIRING', 'SUSPENDED') AND account_id = ANY(",
        )
        .accounts(accounts)
        .sql(")");
    rows::<Order>(conn, statement).await
}

/// Goes on with what most batches have none of: subscriptions, and orders that were cancelled with what made them.
fn of_few_orders(mut columns: Columns, orders: &[Arc<Order>]) -> Columns {
    if orders.iter().any(|o| o.subscription.is_some()) {
        let subscriptions = || orders.iter().map(|o| o.subscription.as_ref());
        columns = columns
            .put::<table::resource_code, _>(subscriptions().map(|s| Some(&s?.resource)))
            .put::<table::resource_amount, _>(subscriptions().map(|s| Some(s?.amount)))
            .put::<table::term_months, _>(subscriptions().map(|s| Some(s?.months)));
    }
    if orders.iter().any(|o| o.cancelled_at.is_some()) {
        columns = columns.put::<table::cancelled_at, _>(orders.iter().map(|o| o.cancelled_at));
    }
    columns
}

written!(Rows<Order>, |conn, rows, seals| write_orders(conn, rows, seals));

/// Orders give up their places (one of an exclusive plan in a region) before others take them.
async fn write_orders(conn: Conn<'_>, set: &Rows<Order>, seals: &Sealer<'_>) -> Result<(), StoreError> {
    let gives_up = |order: &Arc<Order>| !order.state.is_live() || order.renewed_by.is_some();
    let (before, after): (Vec<_>, Vec<_>) = set.changed.iter().cloned().partition(gives_up);
    order_change(conn, &before, seals).await?;
    order_change(conn, &after, seals).await?;
    order_insert(conn, &set.new, seals).await
}

async fn order_insert(conn: Conn<'_>, orders: &[Arc<Order>], seals: &Sealer<'_>) -> Result<(), StoreError> {
    if orders.is_empty() {
        return Ok(());
    }
    let columns = Order::columns(orders.iter().map(Arc::as_ref))
        .put::<table::seal, _>(orders.iter().map(|o| seals.seal(&**o)));
    execute(conn, of_few_orders(columns, orders).insert_into("orders")).await.map(drop)
}

/// Writes what can change of an order.
async fn order_change(conn: Conn<'_>, orders: &[Arc<Order>], seals: &Sealer<'_>) -> Result<(), StoreError> {
    if orders.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .put::<table::account_id, _>(orders.iter().map(|o| o.account()))
        .put::<table::id, _>(orders.iter().map(|o| o.id))
        .put::<table::state, _>(orders.iter().map(|o| o.state))
        .put::<table::seq, _>(orders.iter().map(|o| o.seq))
        .put::<table::auto_renewal, _>(orders.iter().map(|o| o.auto_renewal))
        .put::<table::delivered_at, _>(orders.iter().map(|o| o.delivered_at))
        .put::<table::expires_at, _>(orders.iter().map(|o| o.expires_at))
        .put::<table::anchor_at, _>(orders.iter().map(|o| Some(o.anchor_at)))
        .put::<table::renewed_by, _>(orders.iter().map(|o| o.renewed_by))
        .put::<table::next_step_at, _>(orders.iter().map(|o| o.next_step_at))
        .put::<table::cancelled_at, _>(orders.iter().map(|o| o.cancelled_at))
        .put::<table::seal, _>(orders.iter().map(|o| seals.seal(&**o)));
    execute(conn, columns.update("orders", 2)).await.map(drop)
}
