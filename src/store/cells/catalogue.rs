//! What the provider sells and sets for everybody is written in the home cell, and copied from there to each other cell, whose commands
//! decide by their copy (docs/adr/0042).
//!
//! Whoever changes it counts that first, in the same transaction, and so holds the counter to its end: changes are one after the other,
//! and what is read together with a count has all changes up to it.

use std::time::Duration;

use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;
use futures_util::future::join_all;

use super::own_row::{catalogue_count_up, catalogue_hold, catalogue_note, catalogue_version};
use super::{Cell, Cells};
use crate::domain::cell::CellNumber;
use crate::store::database::{Database, OwnConnection, Writing};
use crate::store::error::StoreError;
use crate::store::rights;
use crate::store::sql::statement::Statement;
use crate::store::{Conn, execute};

/// Whoever has changed the catalogue waits so long at most until the other cells have it.
const WAITED_FOR_MAX: Duration = Duration::from_secs(3);
const COPY_TIME_MAX: Duration = Duration::from_secs(60);
/// Rows that are copied by one statement.
const ROWS_MAX: usize = 5_000;

/// How a table is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// All of it each time, as it is small: what is there is brought up to date.
    Whole,
    /// What is numbered beyond what is there: it never changes.
    Appended,
    /// All of it in the place of what is there.
    Replaced,
}

/// A table of the catalogue.
struct Copied {
    table: &'static str,
    /// What tells its rows apart.
    key: &'static str,
    how: How,
    /// Which of its rows are the provider's, where accounts have some of their own.
    only: Option<&'static str>,
}

const fn copied(table: &'static str, key: &'static str, how: How) -> Copied {
    Copied { table, key, how, only: None }
}

/// In the order in which they refer to each other.
const CATALOGUE: [Copied; 13] = [
    copied("resources", "code", How::Whole),
    copied("product_names", "name", How::Whole),
    copied("licenses", "id", How::Whole),
    copied("plans", "id", How::Whole),
    copied("plan_resources", "plan_id, resource_code", How::Whole),
    copied("code_labels", "list, code", How::Whole),
    copied("term_discounts", "months", How::Replaced),
    copied("resource_prices", "id", How::Appended),
    copied("exchange_rates", "id", How::Appended),
    copied("burst_capacities", "id", How::Appended),
    copied("burst_levels", "resource_code, cycle", How::Whole),
    Copied { only: Some(OF_HOME), ..copied("price_definitions", "id", How::Appended) },
    Copied { only: Some("account_id IS NULL"), ..copied("price_rules", "id", How::Whole) },
];
/// Other cells have numbers beyond.
const OF_HOME: &str = "id < 281474976710656";

/// Has the catalogue of several cells changed: in the home cell, and from there in all others. It runs to its end even if the caller
/// leaves.
pub async fn write_everywhere<T, W>(cells: &Cells, writing: W) -> Result<T, StoreError>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c mut OwnConnection) -> Writing<'c, T> + Send + 'static,
{
    let written = cells.home().database.write(|conn| counted(conn, writing)).await;
    copy_changes(cells).await;
    written.map_err(|error| cells.told(0, error))
}

/// Copies all of it as if it had changed, with what does not count as a change: the definitions of prices of accounts.
pub(super) async fn copy_anew(cells: &Cells) -> Result<(), StoreError> {
    if !cells.are_several() {
        return Ok(());
    }
    write_everywhere(cells, |_| async { Ok(()) }.boxed()).await
}

/// Counts a change, and makes it.
fn counted<'c, T, W>(conn: &'c mut OwnConnection, writing: W) -> Writing<'c, T>
where
    T: Send + 'static,
    W: for<'w> FnOnce(&'w mut OwnConnection) -> Writing<'w, T> + Send + 'static,
{
    async move {
        conn.transaction(async |conn| {
            catalogue_count_up(conn).await?;
            writing(conn).await
        })
        .await
    }
    .boxed()
}

/// Copies what has changed to all other cells, or says which one could not be copied to.
pub async fn copy_to_all(cells: &Cells) -> Result<(), StoreError> {
    let copying = cells.others().iter().map(|cell| copy(cells, cell));
    join_all(copying).await.into_iter().collect()
}

/// The same after a change: a cell that is away gets it later.
async fn copy_changes(cells: &Cells) {
    let copying = cells.others().iter().map(|cell| async {
        match tokio::time::timeout(WAITED_FOR_MAX, copy(cells, cell)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(cell = %cell.name, %error, "the catalogue is copied later"),
            Err(_) => {
                tracing::warn!(cell = %cell.name, "the catalogue is copied later: the cell takes its time")
            }
        }
    });
    join_all(copying).await;
}

/// Copies what has changed to a cell; all of it, or nothing.
pub async fn copy(cells: &Cells, cell: &Cell) -> Result<(), StoreError> {
    let home = cells.home().database.clone();
    let changed = async {
        let newest = catalogue_version(&*home.connection().await?).await?;
        show(cell.number, newest, catalogue_version(&*cell.database.connection().await?).await?);
        Ok::<i64, StoreError>(newest)
    };
    let newest = changed.await.map_err(|error| cell.told(error))?;
    let copying = cell.database.write(move |conn| copy_into(conn, home, newest).boxed());
    let copied = tokio::time::timeout(COPY_TIME_MAX, copying).await;
    let copied = copied.unwrap_or_else(|_| Err(StoreError::no_answer())).map_err(|error| cell.told(error))?;
    show(cell.number, copied, copied);
    Ok(())
}

/// Says in the metrics how many changes a cell does not have yet.
fn show(cell: CellNumber, newest: i64, copied: i64) {
    let behind = u32::try_from(newest.saturating_sub(copied)).unwrap_or(0);
    metrics::gauge!("abacus_catalogue_behind", "cell" => cell.to_string()).set(f64::from(behind));
}

async fn copy_into(
    connection: &mut AsyncPgConnection,
    home: Database,
    newest: i64,
) -> Result<i64, StoreError> {
    let held = catalogue_version(connection).await?;
    if held >= newest {
        return Ok(held);
    }
    let mut reading = home.dedicated_connection().await?;
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            let held = catalogue_hold(conn).await?;
            // All of one moment.
            let mut snapshot = reading.build_transaction().repeatable_read().read_only();
            snapshot.run(async |home| copy_changed(conn, home, held).await).await
        })
        .await
}

async fn copy_changed(conn: Conn<'_>, home: Conn<'_>, held: i64) -> Result<i64, StoreError> {
    let newest = catalogue_version(home).await?;
    if newest <= held {
        return Ok(held);
    }
    for table in &CATALOGUE {
        copy_table(conn, home, table).await?;
    }
    catalogue_note(conn, newest).await?;
    Ok(newest)
}

async fn copy_table(conn: Conn<'_>, home: Conn<'_>, copied: &Copied) -> Result<(), StoreError> {
    if copied.how == How::Replaced {
        execute(conn, Statement::new(format!("DELETE FROM {}", copied.table))).await?;
    }
    let mut passed_over = 0;
    let mut last = match copied.how {
        How::Appended => last_number(conn, copied).await?,
        How::Whole | How::Replaced => 0,
    };
    loop {
        let (count, highest, rows) = read_rows(home, copied, last, passed_over).await?;
        if count == 0 {
            return Ok(());
        }
        execute(conn, write_rows(copied, rows)).await?;
        match copied.how {
            How::Appended => last = highest,
            How::Whole | How::Replaced => passed_over = passed_over.saturating_add(count),
        }
        if usize::try_from(count).is_ok_and(|count| count < ROWS_MAX) {
            return Ok(());
        }
    }
}

/// The last number that a cell has of what is only added to.
async fn last_number(mut conn: Conn<'_>, copied: &Copied) -> Result<i64, StoreError> {
    let statement =
        format!("SELECT coalesce(max(id), 0) FROM {} WHERE {}", copied.table, copied.only.unwrap_or("true"));
    Ok(Statement::<BigInt>::new(statement).get_result(&mut conn).await?)
}

/// Rows of a table as JSON: how many, and the highest number of what is numbered.
async fn read_rows(
    mut home: Conn<'_>,
    Copied { table, key, how, only }: &Copied,
    last: i64,
    passed_over: i64,
) -> Result<(i64, i64, String), StoreError> {
    let number = if *how == How::Appended { "id" } else { "0::bigint" };
    let only = only.unwrap_or("true");
    let statement = Statement::<(BigInt, BigInt, Text)>::new(format!(
        "SELECT count(*), coalesce(max(t.number), 0), coalesce(jsonb_agg(t.row), '[]')::text FROM \
         (SELECT {number} AS number, to_jsonb(s) AS row FROM {table} s WHERE {only} AND {number} >= "
    ));
    let first = if *how == How::Appended { last.saturating_add(1) } else { 0 };
    let statement = statement.bigint(first).sql(format!(" ORDER BY {key} LIMIT {ROWS_MAX} OFFSET "));
    Ok(statement.bigint(passed_over).sql(") t").get_result(&mut home).await?)
}

/// Writes rows as they are there; of those that are here already, what may change.
fn write_rows(Copied { table, key, .. }: &Copied, rows: String) -> Statement {
    let changing = rights::changed_columns(table);
    let statement = Statement::new(format!(
        "INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_recordset(NULL::{table}, "
    ));
    let statement = statement.text(rows).sql(format!("::jsonb) ON CONFLICT ({key}) DO "));
    if changing.is_empty() {
        return statement.sql("NOTHING");
    }
    let list =
        |of: &str| changing.iter().map(|column| format!("{of}.{column}")).collect::<Vec<_>>().join(", ");
    let set: Vec<String> = changing.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    statement.sql(format!(
        "UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})",
        set.join(", "),
        list(table),
        list("excluded")
    ))
}
