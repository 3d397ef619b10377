//! What the accounts of a cell used in a cycle of burst, for the home cell: levels are those of all cells together.

use diesel::sql_types::{Integer, Numeric, Text};
use rust_decimal::Decimal;

use crate::domain::burst::Cycle;
use crate::store::error::StoreError;
use crate::store::sql::numeric::Exact;
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{Conn, execute};

/// Cycles of which it is kept what a cell's accounts used: more than any is behind.
const USED_KEPT: i32 = 288;

/// Says what the accounts of a cell used in a cycle; what was said first stays.
pub async fn used_tell(conn: Conn<'_>, cycle: Cycle, used: &[(String, Decimal)]) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<Text, _>("resource_code", used.iter().map(|(resource, _)| resource.clone()))
        .column::<Integer, _>("cycle", used.iter().map(|_| cycle.number()))
        .column::<Numeric, _>("used", used.iter().map(|(_, used)| *used));
    execute(conn, columns.insert_into("burst_used").sql(" ON CONFLICT DO NOTHING")).await?;
    let forgotten = Statement::new("DELETE FROM burst_used WHERE cycle < ")
        .value::<Integer, _>(cycle.number().saturating_sub(USED_KEPT));
    execute(conn, forgotten).await.map(drop)
}

/// What the accounts of a cell used in a cycle, or in the last one before that it has run.
pub async fn used_last(mut conn: Conn<'_>, cycle: Cycle) -> Result<Vec<(String, Decimal)>, StoreError> {
    let statement = Statement::<(Text, Numeric)>::new(
        "SELECT DISTINCT ON (resource_code) resource_code, used FROM burst_used WHERE cycle <= ",
    )
    .value::<Integer, _>(cycle.number())
    .sql(" ORDER BY resource_code, cycle DESC");
    let found: Vec<(String, Exact)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(resource, Exact(used))| (resource, used)).collect())
}
