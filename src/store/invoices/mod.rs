//! Invoices that are issued, and issuing them.

pub mod invoice_drafts;
pub(in crate::store) mod invoice_json;
pub mod invoice_movements;
pub mod open_invoices;

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::clock::HeldBy;
use crate::domain::cell::CellNumber;
use crate::domain::closing::Month;
use crate::domain::ids::{AccountId, InvoiceId};
use crate::domain::invoice::{Contents, Invoice, Issue, number};
use crate::store::clock_check::require_past;
use crate::store::error::StoreError;
use crate::store::invoices::open_invoices::OpenInvoice;
use crate::store::owned::owned;
use crate::store::schema::invoices as table;
use crate::store::sql::row::{WriteRow, row};
use crate::store::sql::statement::Statement;
use crate::store::{Conn, execute};

owned!(Invoice = InvoiceId, ());

row! {
    invoices => Invoice as i {
        kept {
            id: InvoiceId = i.id,
            period: NaiveDate = i.period,
            start_time: DateTime<Utc> = i.month.start,
            end_time: DateTime<Utc> = i.month.end,
            customer: String = i.customer,
            total_usd: Option<Decimal> = i.contents.total_usd,
        }
        written {
            account_id: AccountId = i.id.account(),
        }
        read {
            number: String,
            issued_at: DateTime<Utc>,
            groups: Value,
        }
    }
    Self {
        id,
        month: Month { start: start_time, end: end_time },
        period,
        contents: Contents { groups: invoice_json::read(groups).ok_or("its groups cannot be read")?, total_usd },
        issue: Some(Issue { number, at: issued_at }),
        customer,
    }
}

/// What becomes of a month that is over.
#[derive(Debug, Clone)]
pub enum Settled {
    /// Its invoice is issued; nothing was paid if there is none.
    Issued(Option<Invoice>),
    /// It stays without, and is looked at again then.
    HeldUp { until: DateTime<Utc>, told: bool },
    /// It is not over: it ends then.
    Runs { until: DateTime<Utc> },
}

/// A month with what becomes of it, and when it and the next one end.
#[derive(Debug, Clone)]
pub struct ToSettle {
    pub open: OpenInvoice,
    pub settled: Settled,
    pub end: DateTime<Utc>,
    pub next_end: DateTime<Utc>,
}

/// What settling months came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settling {
    /// Those that were settled, as they were read.
    pub months: Vec<OpenInvoice>,
    pub issued: usize,
}

/// Settles months, all or none of them; those that another has settled meanwhile are passed over. None that is not over is taken
/// for it.
///
/// The counters of their years are locked until the end, and nothing that others write to.
pub async fn settle(
    connection: &mut AsyncPgConnection,
    cell: CellNumber,
    months: Vec<ToSettle>,
    held_by: HeldBy,
    now: DateTime<Utc>,
) -> Result<Settling, StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            if let Some(newest) = newest_over(&months, now) {
                require_past(conn, held_by, newest, "invoices").await?;
            }
            let read: Vec<OpenInvoice> = months.iter().map(|month| month.open).collect();
            let still_open = open_invoices::open_lock(conn, &read).await?;
            let mut months: Vec<ToSettle> =
                months.into_iter().filter(|month| still_open.contains(&month.open)).collect();
            months.sort_by_key(|month| (month.open.account, month.open.start));
            go_on(conn, &months).await?;
            let settled = months.iter().map(|month| month.open).collect();
            Ok(Settling { months: settled, issued: issue(conn, cell, months, now).await? })
        })
        .await
}

/// When the last of the months ended that are taken for over, or now where they are issued later.
fn newest_over(months: &[ToSettle], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let over = months.iter().filter(|month| !matches!(month.settled, Settled::Runs { .. }));
    over.map(|month| month.end.max(now)).max()
}

/// Writes what the list of open months says from now on.
async fn go_on(conn: Conn<'_>, months: &[ToSettle]) -> Result<(), StoreError> {
    let mut done = Vec::new();
    let mut waiting = Vec::new();
    let mut next = Vec::new();
    for month in months {
        let over = OpenInvoice { end: Some(month.end), ..month.open };
        match month.settled {
            Settled::Issued(_) => done.push(month.open),
            Settled::HeldUp { until, told } => waiting.push((OpenInvoice { told, ..over }, until)),
            Settled::Runs { until } => {
                waiting.push((month.open, until));
                continue;
            }
        }
        // One that was held up before has its next one already.
        if month.open.end.is_none() {
            let begins = OpenInvoice { start: month.end, end: None, told: false, ..month.open };
            next.push((begins, month.next_end));
        }
    }
    open_invoices::open_done(conn, &done).await?;
    open_invoices::open_keep(conn, &waiting).await?;
    open_invoices::open_add(conn, &next).await
}

async fn issue(
    conn: Conn<'_>,
    cell: CellNumber,
    months: Vec<ToSettle>,
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let mut of_years: BTreeMap<i32, Vec<Invoice>> = BTreeMap::new();
    for month in months {
        if let Settled::Issued(Some(invoice)) = month.settled {
            of_years.entry(invoice.period.year()).or_default().push(invoice);
        }
    }
    let mut issued = Vec::new();
    for (year, mut invoices) in of_years {
        let count = i64::try_from(invoices.len()).unwrap_or(i64::MAX);
        let last = count_up(conn, year, count).await?;
        for (invoice, place) in invoices.iter_mut().zip((1..=count).rev()) {
            let own = last.saturating_sub(place).saturating_add(1);
            invoice.issue = Some(Issue { number: number(cell, year, own), at: now });
        }
        issued.append(&mut invoices);
    }
    insert(conn, &issued).await?;
    Ok(issued.len())
}

/// Takes so many numbers of a year; answers the last of them.
async fn count_up(mut conn: Conn<'_>, year: i32, count: i64) -> Result<i64, StoreError> {
    let statement = Statement::<BigInt>::new("INSERT INTO invoice_counters AS c (year, last) VALUES (")
        .value::<diesel::sql_types::Integer, _>(year)
        .sql(", ")
        .bigint(count)
        .sql(") ON CONFLICT (year) DO UPDATE SET last = c.last + excluded.last RETURNING last");
    Ok(statement.get_result(&mut conn).await?)
}

async fn insert(conn: Conn<'_>, invoices: &[Invoice]) -> Result<(), StoreError> {
    if invoices.is_empty() {
        return Ok(());
    }
    let groups = invoices.iter().map(|invoice| invoice_json::write(&invoice.contents.groups));
    let groups: Vec<serde_json::Value> = groups.collect::<Result<_, _>>()?;
    let number = |invoice: &Invoice| invoice.issue.as_ref().map(|issue| issue.number.clone());
    let columns = Invoice::columns(invoices.iter())
        .put::<table::number, _>(invoices.iter().map(|i| number(i).unwrap_or_default()))
        .put::<table::issued_at, _>(invoices.iter().filter_map(|i| i.issue.as_ref()).map(|issue| issue.at))
        .put::<table::groups, _>(groups.into_iter());
    execute(conn, columns.insert_into("invoices")).await.map(drop)
}
