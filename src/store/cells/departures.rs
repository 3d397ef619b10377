//! What a cell says of accounts that have left it, or are about to, and of those that have come.

use diesel::sql_types::{BigInt, SmallInt, Text};
use diesel_async::RunQueryDsl;

use super::own_row::departures_count_up;
use crate::domain::cell::CellNumber;
use crate::domain::departure::{Departure, Departures};
use crate::domain::ids::AccountId;
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;
use crate::store::{Conn, execute};

const fn written(departure: Departure) -> (&'static str, CellNumber) {
    match departure {
        Departure::Leaving(cell) => ("LEAVING", cell),
        Departure::Gone(cell) => ("GONE", cell),
        Departure::Here(cell) => ("HERE", cell),
    }
}

fn departure_read(state: &str, cell: i16) -> Result<Departure, StoreError> {
    let unknown = || StoreError::Corrupt(format!("a departure {state} of cell {cell}"));
    let cell = CellNumber::new(i64::from(cell)).ok_or_else(unknown)?;
    match state {
        "LEAVING" => Ok(Departure::Leaving(cell)),
        "GONE" => Ok(Departure::Gone(cell)),
        "HERE" => Ok(Departure::Here(cell)),
        _ => Err(unknown()),
    }
}

pub(super) async fn departures(mut conn: Conn<'_>) -> Result<Departures, StoreError> {
    let statement =
        Statement::<(BigInt, SmallInt, Text)>::new("SELECT account_id, cell, state FROM departures");
    let found: Vec<(i64, i16, String)> = statement.load(&mut conn).await?;
    let departure =
        |(account, cell, state): (i64, i16, String)| Ok((AccountId(account), departure_read(&state, cell)?));
    found.into_iter().map(departure).collect()
}

/// Whether any account has left this database for another cell.
pub(in crate::store) async fn any_has_gone(mut conn: Conn<'_>) -> Result<bool, StoreError> {
    let statement = Statement::<BigInt>::new(
        "SELECT count(*) FROM (SELECT 1 FROM departures WHERE state = 'GONE' LIMIT 1) d",
    );
    Ok(statement.get_result::<i64>(&mut conn).await? > 0)
}

/// Whether any account has come to this database from another cell, or has not left it after all.
pub(in crate::store) async fn some_have_come(mut conn: Conn<'_>) -> Result<bool, StoreError> {
    let statement = Statement::<BigInt>::new(
        "SELECT count(*) FROM (SELECT 1 FROM departures WHERE state <> 'GONE' LIMIT 1) d",
    );
    Ok(statement.get_result::<i64>(&mut conn).await? > 0)
}

/// Says that accounts that were leaving for a cell have gone there; false, and nothing is said, if not all of them were.
pub(super) async fn departures_end(
    conn: Conn<'_>,
    accounts: &[AccountId],
    to: CellNumber,
) -> Result<bool, StoreError> {
    let statement = Statement::new(
        "UPDATE departures SET state = 'GONE', since = clock_timestamp() WHERE state = 'LEAVING' AND cell = ",
    )
    .value::<SmallInt, _>(to.number())
    .sql(" AND account_id = ANY(")
    .accounts(accounts.iter().map(|account| account.0).collect())
    .sql(")");
    if execute(conn, statement).await? != accounts.len() {
        return Ok(false);
    }
    departures_count_up(conn).await.map(|()| true)
}

/// Says something of accounts, for servers to see. Only the owner of the schema may.
pub(super) async fn departures_say(
    conn: Conn<'_>,
    accounts: &[AccountId],
    departure: Departure,
) -> Result<(), StoreError> {
    let (state, cell) = written(departure);
    let statement = Statement::new("INSERT INTO departures (account_id, cell, state) SELECT UNNEST(")
        .accounts(accounts.iter().map(|account| account.0).collect())
        .sql("), ")
        .value::<SmallInt, _>(cell.number())
        .sql(", ")
        .value::<Text, _>(state)
        .sql("::text ON CONFLICT (account_id) DO UPDATE SET cell = excluded.cell, state = excluded.state, since = excluded.since");
    execute(conn, statement).await?;
    departures_count_up(conn).await
}
