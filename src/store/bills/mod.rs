//! Bills.

pub mod bill_filter;
pub mod bill_sums;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Numeric, Timestamptz, Uuid as SqlUuid};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::try_join;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::domain::bill::{Bill, BillHeader, BillStatus};
use crate::domain::book::{OpenBills, Rows};
use crate::domain::ids::{AccountId, BillId, OrderId, OwnedId, TransactionId, parse_printed_number};
use crate::domain::money::CurrencyCode;
use crate::domain::viewer::Scope;
use crate::store::bills::bill_filter::{BillFilter, Counted};
use crate::store::error::StoreError;
use crate::store::list::{self, DuePage, Found, Narrow, Page};
use crate::store::owned::{self, Header, Owned};
use crate::store::schema::bills as table;
use crate::store::seals::Sealer;
use crate::store::sql::numeric::Exact;
use crate::store::sql::row::{Row, WriteRow, row, select_list};
use crate::store::sql::statement::{Columns, Statement};
use crate::store::written::written;
use crate::store::{Conn, execute, rows, select_from};

impl Owned for Bill {
    type Id = BillId;
    type Filter = BillFilter;

    fn id(&self) -> BillId {
        self.id
    }

    fn page<'c>(
        conn: Conn<'c>,
        scope: Scope,
        filter: &'c BillFilter,
        page: &'c Page,
    ) -> BoxFuture<'c, Result<Found<Self>, StoreError>> {
        page_of(conn, scope, filter, page).boxed()
    }

    fn count<'c>(
        conn: Conn<'c>,
        scope: Scope,
        filter: &'c BillFilter,
    ) -> BoxFuture<'c, Result<i64, StoreError>> {
        async move { list::count(conn, "bills", scope, &Counted(filter)).await }.boxed()
    }
}

row! {
    bills => Bill as b {
        kept {
            id: BillId = b.id,
            order_id: Option<OrderId> = b.order,
            status: BillStatus = b.status,
            currency: CurrencyCode = b.currency,
            amount: Decimal = b.amount,
            once_amount: Decimal = b.once_amount,
            cycle_amount: Decimal = b.cycle_amount,
            credit_amount: Decimal = b.credit_amount,
            start_time: DateTime<Utc> = b.start_time,
            end_time: DateTime<Utc> = b.end_time,
            seq: i32 = b.seq,
            seq_count: i32 = b.seq_count,
            due_at: DateTime<Utc> = b.due_at,
            last_paid_at: Option<DateTime<Utc>> = b.last_paid_at,
            paid_by: Option<TransactionId> = b.paid_by,
            refunded_amount: Decimal = b.refunded_amount,
            next_step_at: Option<DateTime<Utc>> = b.next_step_at,
            datacenter: Option<String> = b.datacenter,
            correction_of: Option<BillId> = b.correction_of,
        }
        written {
            account_id: AccountId = b.account(),
            number: String = b.number(),
            created_at: DateTime<Utc> = b.created_at,
        }
        read {
            credited_amount: Option<Decimal>,
            replaced_amount: Option<Decimal>,
            withheld_amount: Option<Decimal>,
        }
    }
    Self {
        id,
        order: order_id,
        status,
        currency,
        amount,
        once_amount,
        cycle_amount,
        credit_amount,
        start_time,
        end_time,
        seq,
        seq_count,
        due_at,
        last_paid_at,
        paid_by,
        refunded_amount,
        credited_amount: credited_amount.unwrap_or_default(),
        replaced_amount: replaced_amount.unwrap_or_default(),
        withheld_amount: withheld_amount.unwrap_or_default(),
        next_step_at,
        datacenter,
        correction_of,
        created_at: id.0.instant(),
    }
}

row! {
    bills => BillHeader {
        id: BillId,
        order_id: Option<OrderId>,
        status: BillStatus,
        currency: CurrencyCode,
        amount: Decimal,
    }
    Self { id, order: order_id, status, currency, amount }
}

/// The bill of that printed number, found through the account and the day in it.
pub async fn bill_by_number(conn: Conn<'_>, number: &str) -> Result<Option<Bill>, StoreError> {
    let Some((account, day)) = parse_printed_number('B', number) else { return Ok(None) };
    let statement = list::by_number(select_from::<Bill>("bills"), account, day, number);
    Ok(rows::<Bill>(conn, statement).await?.pop())
}

impl Header for BillHeader {
    type Shared = Self;

    fn id(&self) -> OwnedId {
        self.id.0
    }
}

/// The newest bills of each order.
pub async fn bill_newest_of_orders(
    conn: Conn<'_>,
    orders: &[OwnedId],
    limit: i64,
) -> Result<Vec<Bill>, StoreError> {
    rows::<Bill>(conn, newest_of_orders::<Bill>(orders, limit)).await
}

/// The headers of the newest bills of each order.
pub async fn bill_header_newest_of_orders(
    conn: Conn<'_>,
    orders: &[OwnedId],
    limit: i64,
) -> Result<Vec<BillHeader>, StoreError> {
    rows::<BillHeader>(conn, newest_of_orders::<BillHeader>(orders, limit)).await
}

fn newest_of_orders<R: Row>(orders: &[OwnedId], limit: i64) -> Statement {
    list::each_key(Statement::new("SELECT ").sql(select_list::<R>("t.")), orders)
        .sql(
            "(SELECT * FROM bills t WHERE t.account_id = k.account_id AND t.order_id = k.id ORDER BY t.id DESC LIMIT ",
        )
        .bigint(limit)
        .sql(") t")
}

/// How many bills each of the orders has.
pub async fn bill_count_of_orders(
    mut conn: Conn<'_>,
    orders: &[OwnedId],
) -> Result<Vec<(OrderId, i64)>, StoreError> {
    let statement = list::each_key(Statement::<(SqlUuid, BigInt)>::new("SELECT k.id, t.count"), orders)
        .sql("(SELECT count(*) FROM bills t WHERE t.account_id = k.account_id AND t.order_id = k.id) t");
    let found: Vec<(Uuid, i64)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(id, count)| (OrderId(OwnedId::from_uuid(id)), count)).collect())
}

/// An order has no more bills than this.
pub const BILLS_OF_ORDER_MAX: i64 = 100;

/// The bills of accounts' live orders of exclusive plans.
pub async fn bill_of_exclusive_orders(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<Bill>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<Bill>("t."))
        .sql(
            " FROM orders o CROSS JOIN LATERAL (SELECT * FROM bills t WHERE t.account_id = o.account_id \
             AND t.order_id = o.id LIMIT ",
        )
        .bigint(BILLS_OF_ORDER_MAX)
        .sql(
            ") t WHERE o.exclusive AND o.state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED') \
             AND o.account_id = ANY(",
        )
        .accounts(accounts)
        .sql(")");
    rows::<Bill>(conn, statement).await
}

/// The bills of each of the orders.
pub async fn bill_of_orders(conn: Conn<'_>, orders: &[OwnedId]) -> Result<Vec<Bill>, StoreError> {
    bill_newest_of_orders(conn, orders, BILLS_OF_ORDER_MAX).await
}

/// Money pays so many bills at once; the jobs have it pay the others.
pub const PAID_AT_ONCE: i64 = 50;
/// The bills of an account that are counted as open, at most.
const OPEN_COUNTED: i64 = 1_000;

/// What asks for money. What waits for its order to be begun does not: it is not overdue, and no job looks at it.
const ASKED: &str =
    "t.status IN ('UNPAID', 'OVERDUE') AND (t.status = 'OVERDUE' OR t.next_step_at IS NOT NULL)";

/// The open bills of each account that are due by `now`, in the order in which they are paid: those that are paid at once, and
/// the next ones, of which there is at least one if there are any, and `spare` more.
pub async fn bill_open_due(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    now: DateTime<Utc>,
    spare: usize,
) -> Result<Vec<Bill>, StoreError> {
    let which = (Asking::All, next_after_those(spare));
    oldest_of_each(conn, accounts, now, which).await
}

/// The same of the bills of months alone.
pub async fn bill_open_due_of_months(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    now: DateTime<Utc>,
    spare: usize,
) -> Result<Vec<Bill>, StoreError> {
    let which = (Asking::OfMonths, next_after_those(spare));
    oldest_of_each(conn, accounts, now, which).await
}

/// The open bills of months of each account, whenever they are due, one more than `most` at most.
pub async fn bill_open_of_months(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    most: usize,
) -> Result<Vec<Bill>, StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    oldest_of_each(conn, accounts, WHENEVER, (Asking::OfMonths, limit)).await
}

fn next_after_those(spare: usize) -> i64 {
    PAID_AT_ONCE.saturating_add(1).saturating_add(i64::try_from(spare).unwrap_or_default())
}

/// Bills that are due by then are all that are open.
const WHENEVER: DateTime<Utc> =
    DateTime::from_timestamp(253_402_300_799, 0).expect("the last second of the year 9999");

/// Which bills, as the index of each has them: of those that are due at the same instant, any may come first.
#[derive(Clone, Copy)]
enum Asking {
    All,
    OfMonths,
}

async fn oldest_of_each(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    due_by: DateTime<Utc>,
    (which, limit): (Asking, i64),
) -> Result<Vec<Bill>, StoreError> {
    let (restriction, order) = match which {
        Asking::All => ("", "t.due_at"),
        Asking::OfMonths => (" AND t.order_id IS NULL", "t.due_at, t.id"),
    };
    let statement = Statement::new("SELECT ")
        .sql(select_list::<Bill>("t."))
        .sql(format!(
            " FROM accounts a CROSS JOIN LATERAL (SELECT * FROM bills t WHERE t.account_id = a.id \
             AND {ASKED}{restriction} AND t.due_at <= "
        ))
        .instant(due_by)
        .sql(format!(" ORDER BY {order} LIMIT "))
        .bigint(limit)
        .sql(") t WHERE a.id = ANY(")
        .accounts(accounts)
        .sql(")");
    rows::<Bill>(conn, statement).await
}

/// Of each order the next open bill that is due from an instant on, beside those that were read. An order has few bills, and an account
/// may have very many that are open: so the order's are looked through (OFFSET 0 keeps PostgreSQL from the others).
pub async fn bill_open_due_from(
    conn: Conn<'_>,
    orders: &[(OrderId, DateTime<Utc>)],
    read: Vec<Uuid>,
) -> Result<Vec<Bill>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<Bill>("t."))
        .sql(" FROM UNNEST(")
        .accounts(orders.iter().map(|(order, _)| order.0.account().0).collect::<Vec<_>>())
        .sql(", ")
        .keys::<SqlUuid, _>(orders.iter().map(|(order, _)| order.uuid()).collect::<Vec<_>>())
        .sql(", ")
        .keys::<Timestamptz, _>(orders.iter().map(|(_, due)| *due).collect::<Vec<_>>())
        .sql(format!(
            ") k (account_id, order_id, due_at) CROSS JOIN LATERAL (SELECT * FROM \
             (SELECT * FROM bills t WHERE t.account_id = k.account_id AND t.order_id = k.order_id OFFSET 0) t \
             WHERE {ASKED} AND t.due_at >= k.due_at AND t.id <> ALL("
        ))
        .value::<Array<SqlUuid>, _>(read)
        .sql(") ORDER BY t.due_at, t.id LIMIT 1) t");
    rows::<Bill>(conn, statement).await
}

/// What the open bills of each account ask for in all; of very many, the oldest.
pub async fn bill_open_sums(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
) -> Result<Vec<(AccountId, OpenBills)>, StoreError> {
    let statement = Statement::<(BigInt, BigInt, Numeric)>::new(
        "SELECT a.id, s.count, s.amount FROM (SELECT DISTINCT UNNEST(",
    )
    .accounts(accounts)
    .sql(format!(
        ") AS id) a CROSS JOIN LATERAL (SELECT count(*) AS count, coalesce(sum(t.amount), 0) AS amount FROM \
             (SELECT t.amount FROM bills t WHERE t.account_id = a.id AND {ASKED} ORDER BY t.due_at LIMIT "
    ))
    .bigint(OPEN_COUNTED.saturating_add(1))
    .sql(") t) s");
    let found: Vec<(i64, i64, Exact)> = statement.load(&mut conn).await?;
    let open =
        |(id, count, Exact(amount))| (AccountId(id), OpenBills { amount, is_all: count <= OPEN_COUNTED });
    Ok(found.into_iter().map(open).collect())
}

/// The bills of months: those that are named, and all that correct them.
pub async fn bill_of_months(conn: Conn<'_>, originals: &[OwnedId]) -> Result<Vec<Bill>, StoreError> {
    let statement = list::each_key(Statement::new("SELECT ").sql(select_list::<Bill>("t.")), originals).sql(
        "(SELECT * FROM bills t WHERE t.account_id = k.account_id AND t.id = k.id UNION ALL \
         SELECT * FROM bills t WHERE t.account_id = k.account_id AND t.correction_of = k.id) t",
    );
    rows::<Bill>(conn, statement).await
}

/// Bills that jobs have to look at by `now`, those that have waited longest first.
pub async fn bill_due(mut conn: Conn<'_>, due: &DuePage) -> Result<Vec<(BillId, DateTime<Utc>)>, StoreError> {
    let found: Vec<(Uuid, DateTime<Utc>)> = list::due("bills", due).load(&mut conn).await?;
    Ok(found.into_iter().map(|(id, at)| (BillId(OwnedId::from_uuid(id)), at)).collect())
}

async fn page_of(
    conn: Conn<'_>,
    scope: Scope,
    filter: &BillFilter,
    page: &Page,
) -> Result<Found<Bill>, StoreError> {
    if filter.is_by_start(scope) {
        // By itself, so that it is planned for that index.
        let select = Statement::new("WITH found AS MATERIALIZED (SELECT t.id, (true");
        let kept = filter.kept(scope, list::restrict_to_page(select, page));
        let from = list::of_owners(kept.sql(") AS kept FROM bills t WHERE "), scope);
        let statement = filter.begun(from).sql(") SELECT id, kept FROM found");
        if let Some(ids) = list::found_by_index(conn, statement).await? {
            let ids = list::part_of_found(ids, page);
            return Ok(Found::whole(owned::of_everybody_by_ids::<Bill>(conn, &ids).await?));
        }
    }
    list::page::<Bill, _>(conn, scope, page, filter).await
}

written!(Rows<Bill>, |conn, rows, seals| async move {
    try_join!(bill_insert(conn, &rows.new, seals), bill_change(conn, &rows.changed, seals)).map(drop)
});

async fn bill_insert(conn: Conn<'_>, bills: &[Arc<Bill>], seals: &Sealer<'_>) -> Result<(), StoreError> {
    if bills.is_empty() {
        return Ok(());
    }
    let columns = Bill::columns(bills.iter().map(Arc::as_ref))
        .put::<table::seal, _>(bills.iter().map(|b| seals.seal(&**b)));
    execute(conn, of_few_bills(columns, bills).insert_into("bills")).await.map(drop)
}

/// Columns that most bills leave empty, and that are not written when all do.
fn of_few_bills(mut columns: Columns, bills: &[Arc<Bill>]) -> Columns {
    if bills.iter().any(|b| !b.replaced_amount.is_zero() || !b.withheld_amount.is_zero()) {
        columns = columns
            .put::<table::replaced_amount, _>(bills.iter().map(|b| Some(b.replaced_amount)))
            .put::<table::withheld_amount, _>(bills.iter().map(|b| Some(b.withheld_amount)));
    }
    // A purchase may be changed in the batch that makes it.
    if bills.iter().any(|b| !b.credited_amount.is_zero()) {
        columns = columns.put::<table::credited_amount, _>(bills.iter().map(|b| Some(b.credited_amount)));
    }
    columns
}

/// Writes what can change of a bill.
async fn bill_change(conn: Conn<'_>, bills: &[Arc<Bill>], seals: &Sealer<'_>) -> Result<(), StoreError> {
    if bills.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .put::<table::account_id, _>(bills.iter().map(|b| b.account()))
        .put::<table::id, _>(bills.iter().map(|b| b.id))
        .put::<table::status, _>(bills.iter().map(|b| b.status))
        .put::<table::start_time, _>(bills.iter().map(|b| b.start_time))
        .put::<table::end_time, _>(bills.iter().map(|b| b.end_time))
        .put::<table::due_at, _>(bills.iter().map(|b| b.due_at))
        .put::<table::last_paid_at, _>(bills.iter().map(|b| b.last_paid_at))
        .put::<table::paid_by, _>(bills.iter().map(|b| b.paid_by))
        .put::<table::refunded_amount, _>(bills.iter().map(|b| b.refunded_amount))
        .put::<table::credited_amount, _>(bills.iter().map(|b| Some(b.credited_amount)))
        .put::<table::next_step_at, _>(bills.iter().map(|b| b.next_step_at))
        .put::<table::seal, _>(bills.iter().map(|b| seals.seal(&**b)));
    execute(conn, columns.update("bills", 2)).await.map(drop)
}
