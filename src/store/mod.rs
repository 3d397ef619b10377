//! The only place with SQL: rows, statements, repositories that answer domain values, and batched fetches.

pub mod accepted_futures;
pub mod access;
pub mod accounts;
pub mod anchors;
pub mod approvals;
pub mod batch_connection;
pub mod billing_runs;
pub mod bills;
pub mod burst;
pub mod capacity;
pub mod cells;
pub mod clock_check;
pub mod closings;
pub mod database;
pub mod deposits;
pub mod distribution;
pub mod erasures;
pub mod error;
pub mod exchange_rates;
pub mod fetchers;
pub mod grouped;
pub mod installation;
pub mod invoices;
pub mod keys;
pub mod labels;
pub mod leases;
pub mod ledger;
pub mod ledger_check;
pub mod licenses;
pub mod list;
pub mod marks;
pub mod migrations;
pub mod notices;
mod once;
pub mod operator_moves;
pub mod orders;
pub mod owned;
pub mod owned_fetchers;
pub mod payment_methods;
pub mod payments;
pub mod places;
pub mod plans;
pub mod prepay;
pub mod price_rules;
pub mod reconciliations;
pub mod records;
pub mod shared_loader;
pub mod usage;

pub mod restorations;
pub mod retention;
pub mod reversals;
pub mod rights;
/// The tables, as `diesel print-schema` prints them.
mod schema {
    use super::sql::table as diesel;
    include!("schema.rs");
    include!("views.rs");
}
pub mod seals;
mod sql;
pub mod taking_back;
pub mod transactions;
pub mod turns;
pub mod written;

use diesel::sql_types::Untyped;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use error::StoreError;
use futures_util::future::Either;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use sql::row::{Loaded, Read, Row, select_list};
use sql::statement::Statement;

/// A connection, shared: statements that are awaited together go down the wire together.
pub type Conn<'c> = &'c AsyncPgConnection;

/// Runs a statement and answers its rows, or what comes first of those that cannot be read.
async fn rows<T: Read>(conn: Conn<'_>, statement: Statement) -> Result<Vec<T>, StoreError> {
    each_row(conn, statement).await?.try_collect().await
}

/// Runs a statement and answers its rows; each may be one that cannot be read.
async fn each_row<T: Read>(
    mut conn: Conn<'_>,
    statement: Statement,
) -> Result<impl Stream<Item = Result<T, StoreError>>, StoreError> {
    if statement.is_of_nothing() {
        return Ok(Either::Left(stream::empty()));
    }
    let rows = statement.returning::<Untyped>().load_stream::<Loaded<T>>(&mut conn).await?;
    Ok(Either::Right(rows.map(|row| row.map(|Loaded(row)| row).map_err(StoreError::from))))
}

/// Runs a statement and answers how many rows it touched.
async fn execute(mut conn: Conn<'_>, statement: Statement) -> Result<usize, StoreError> {
    if statement.is_of_nothing() {
        return Ok(0);
    }
    Ok(statement.execute(&mut conn).await?)
}

/// `SELECT` with the row's columns, up to and including `FROM table`.
fn select_from<R: Row>(table: &'static str) -> Statement {
    Statement::new("SELECT ").sql(select_list::<R>("")).sql(" FROM ").sql(table)
}
