//! The only place with SQL: rows, statements, repositories that answer domain values, and batched fetches.

pub mod accepted_futures;
pub mod account_usage;
pub mod accounts;
pub mod approvals;
pub mod billing_runs;
pub mod bills;
pub mod burst;
pub mod capacity;
pub mod clock_check;
pub mod closings;
pub mod database;
pub mod deposits;
pub mod erasures;
pub mod error;
pub mod exchange_rates;
pub mod fetch;
pub mod group_fetch;
pub mod installation;
pub mod invoice_drafts;
mod invoice_json;
pub mod invoice_movements;
pub mod invoices;
mod keyed;
pub mod keys;
pub mod labels;
pub mod late_usage;
pub mod leases;
pub mod ledger;
pub mod ledger_check;
pub mod licenses;
pub mod list;
pub mod marks;
pub mod migrations;
pub mod month_usage;
pub mod notices;
mod numeric;
pub mod open_invoices;
pub mod operator_moves;
mod order_search;
pub mod orders;
pub mod payment_methods;
pub mod payments;
pub mod plans;
pub mod prepay_quotes;
pub mod prepayments;
pub mod price_rules;
pub mod reconciliations;
pub mod records;
pub mod repository;
pub mod restorations;
pub mod retention;
pub mod reversals;
pub mod rights;
mod rows;
mod schema;
pub mod seals;
mod statement;
pub mod suspensions;
pub mod taking_back;
pub mod transactions;
pub mod turns;
pub mod usage;
pub mod voided_usage;

use diesel::expression::QueryMetadata;
use diesel::pg::Pg;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::TryStreamExt;
use futures_util::future::ready;

use error::StoreError;
use rows::{Row, select_list};
use statement::Statement;

use crate::domain::money::CurrencyCode;

/// A connection, shared: statements that are awaited together go down the wire together.
pub type Conn<'c> = &'c AsyncPgConnection;

/// Runs a statement and answers its rows as domain values.
async fn rows<R>(mut conn: Conn<'_>, statement: Statement<R::Sql>) -> Result<Vec<R::Domain>, StoreError>
where
    R: Row,
    Pg: QueryMetadata<R::Sql>,
{
    let rows = statement.load_stream::<R>(&mut conn).await?;
    rows.map_err(StoreError::from).and_then(|row: R| ready(row.into_domain())).try_collect().await
}

/// Runs a statement and answers how many rows it touched.
async fn execute(mut conn: Conn<'_>, statement: Statement) -> Result<usize, StoreError> {
    Ok(statement.execute(&mut conn).await?)
}

fn known_currency(code: &str) -> Result<CurrencyCode, StoreError> {
    CurrencyCode::parse(code).ok_or_else(|| StoreError::Corrupt(format!("currency \"{code}\"")))
}

/// `SELECT` with the row's columns, up to and including `FROM table`.
fn select_from<R: Row>(table: &'static str) -> Statement<R::Sql> {
    Statement::new("SELECT ").sql(select_list::<R>("")).sql(" FROM ").sql(table)
}
