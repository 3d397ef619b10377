//! What a database says of itself as a cell: one row, or none where it is not one of several.

use diesel::sql_types::{BigInt, SmallInt, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::domain::cell::CellNumber;
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;
use crate::store::{Conn, execute};

/// Which cell a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    pub number: CellNumber,
    pub installation: Uuid,
}

/// Which cell a database is; None: it has not joined any installation of several.
pub async fn membership(mut conn: Conn<'_>) -> Result<Option<Membership>, StoreError> {
    let statement = Statement::<(SmallInt, SqlUuid)>::new("SELECT number, installation FROM cell");
    let found: Vec<(i16, Uuid)> = statement.load(&mut conn).await?;
    let Some((number, installation)) = found.into_iter().next() else { return Ok(None) };
    let unknown = || StoreError::Corrupt(format!("a cell {number}"));
    let number = CellNumber::new(i64::from(number)).ok_or_else(unknown)?;
    Ok(Some(Membership { number, installation }))
}

/// Notes that a database is a cell, with the accounts that it has.
pub(super) async fn membership_begin(conn: Conn<'_>, as_cell: Membership) -> Result<(), StoreError> {
    // Others than the home cell have nothing of the catalogue yet.
    let catalogue = if as_cell.number == CellNumber::HOME { 0 } else { -1 };
    let noted = Statement::new("INSERT INTO cell (number, installation, catalogue, accounts) SELECT ")
        .value::<SmallInt, _>(as_cell.number.number())
        .sql(", ")
        .uuid(as_cell.installation)
        .sql(", ")
        .bigint(catalogue)
        .sql(", count(*) FROM accounts");
    execute(conn, noted).await.map(drop)
}

/// Counts an account that is born.
pub(in crate::store) async fn account_count_up(conn: Conn<'_>) -> Result<(), StoreError> {
    accounts_count(conn, 1).await
}

/// Counts accounts that have come, or, where that is negative, have left.
pub(super) async fn accounts_count(conn: Conn<'_>, more: i64) -> Result<(), StoreError> {
    execute(conn, Statement::new("UPDATE cell SET accounts = accounts + ").bigint(more)).await.map(drop)
}

/// How often what is said of accounts that move has changed.
pub(super) async fn departures_version(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    Ok(Statement::<BigInt>::new("SELECT departures FROM cell").get_result(&mut conn).await?)
}

/// Counts a change of that, for servers to see.
pub(super) async fn departures_count_up(conn: Conn<'_>) -> Result<(), StoreError> {
    execute(conn, Statement::new("UPDATE cell SET departures = departures + 1")).await.map(drop)
}

/// How many accounts live there.
pub(super) async fn accounts(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    Ok(Statement::<BigInt>::new("SELECT accounts FROM cell").get_result(&mut conn).await?)
}

/// How often the catalogue was changed, or up to which change a cell has it.
pub(super) async fn catalogue_version(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    Ok(Statement::<BigInt>::new("SELECT catalogue FROM cell").get_result(&mut conn).await?)
}

/// The same, held to the end of the transaction.
pub(super) async fn catalogue_hold(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    Ok(Statement::<BigInt>::new("SELECT catalogue FROM cell FOR UPDATE").get_result(&mut conn).await?)
}

/// Counts a change that is to be made in the same transaction.
pub(super) async fn catalogue_count_up(conn: Conn<'_>) -> Result<(), StoreError> {
    execute(conn, Statement::new("UPDATE cell SET catalogue = catalogue + 1")).await.map(drop)
}

/// More changes than a restore of the home cell loses.
const LOST_MAX: i64 = 1_000_000;

/// Of the home cell, after a restore: others may have changes that were lost here, and what comes now counts as later.
pub(in crate::store) async fn catalogue_leap(conn: Conn<'_>) -> Result<(), StoreError> {
    execute(conn, Statement::new("UPDATE cell SET catalogue = catalogue + ").bigint(LOST_MAX)).await.map(drop)
}

/// Notes up to which change a cell has the catalogue.
pub(super) async fn catalogue_note(conn: Conn<'_>, version: i64) -> Result<(), StoreError> {
    execute(conn, Statement::new("UPDATE cell SET catalogue = ").bigint(version)).await.map(drop)
}
