//! What is left of accounts in the cell that they have left.

use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncPgConnection};

use super::not_moved::NotMoved;
use super::rows::{NAMESPACES, OwnedTable, numbers, owned_tables};
use crate::domain::cell::CellNumber;
use crate::domain::ids::AccountId;
use crate::store::cells::own_row::accounts_count;
use crate::store::sql::statement::Statement;
use crate::store::{Conn, execute};

/// Removes all of their rows, or none. Guards let rows of those go whom `departures` says to be gone, and nobody else's.
pub(super) async fn remove(
    connection: &mut AsyncPgConnection,
    family: &[AccountId],
    cell: CellNumber,
) -> Result<(), NotMoved> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            for OwnedTable { table, column } in owned_tables().rev() {
                // The home cell's are the directory.
                if table == NAMESPACES && cell == CellNumber::HOME {
                    continue;
                }
                let removing = Statement::new(format!("DELETE FROM {table} WHERE {column} = ANY("));
                execute(conn, removing.keys::<BigInt, _>(numbers(family)).sql(")")).await?;
            }
            let fewer = i64::try_from(family.len()).unwrap_or(i64::MAX);
            Ok(accounts_count(conn, fewer.saturating_neg()).await?)
        })
        .await
}
