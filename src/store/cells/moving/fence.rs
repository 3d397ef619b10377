//! Nothing of an account that leaves is written in the cell that it leaves: a trigger on each table that may have rows of it says so,
//! for as long as it takes.

use std::time::Duration;

use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};

use super::not_moved::NotMoved;
use super::rows::{NAMESPACES, OwnedTable, owned_tables};
use crate::domain::ids::AccountId;
use crate::store::Conn;
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;

/// Whoever writes is waited for so long at a time, and lets others in between: a trigger's lock holds up who comes after it. An autovacuum
/// is ended by PostgreSQL for whom it keeps waiting for a second.
const LOCK_TIME_MAX: &str = "SET lock_timeout = '1500ms'";
const PAUSE: Duration = Duration::from_millis(250);
const TRIES: u32 = 60;

/// What is written there is written or found in the other cell as well: it scans the same blocks for deposits, and checks the same ledger.
/// One refused row of them would hold up everybody's.
const UNFENCED: [&str; 4] = [NAMESPACES, "deposits", "ledger_checkpoints", "ledger_faults"];

fn trigger(account: AccountId) -> String {
    format!("moving_{}", account.0)
}

/// Lets nobody write of these accounts any more; whoever has begun to is waited for.
pub(super) async fn raise(
    connection: &AsyncPgConnection,
    main: AccountId,
    family: &[AccountId],
) -> Result<(), NotMoved> {
    let (trigger, family) = (trigger(main), list(family));
    for OwnedTable { table, column } in owned_tables().filter(|owned| !UNFENCED.contains(&owned.table)) {
        // A SUB account is one of its MAIN account's.
        let is_born =
            if table == "accounts" { format!(" OR NEW.parent_id = {}", main.0) } else { String::new() };
        let raising = format!(
            "CREATE OR REPLACE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW \
             WHEN (NEW.{column} IN ({family}){is_born}) EXECUTE FUNCTION refuse_leaving()"
        );
        patiently(connection, table, &raising).await?;
    }
    Ok(())
}

/// Takes it away; what is not there any more is no fault.
pub(super) async fn lower(connection: &AsyncPgConnection, main: AccountId) -> Result<(), NotMoved> {
    let trigger = trigger(main);
    let up = standing(connection, &trigger).await?;
    for OwnedTable { table, .. } in owned_tables().filter(|owned| up.iter().any(|table| table == owned.table))
    {
        patiently(connection, table, &format!("DROP TRIGGER IF EXISTS {trigger} ON {table}")).await?;
    }
    Ok(())
}

/// The tables that have such a trigger; partitions have those of their tables.
async fn standing(mut conn: Conn<'_>, trigger: &str) -> Result<Vec<String>, StoreError> {
    let statement = Statement::<Text>::new(
        "SELECT c.relname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
         WHERE c.relnamespace = current_schema()::regnamespace AND t.tgparentid = 0 AND t.tgname = ",
    );
    Ok(statement.text(trigger.to_owned()).load(&mut conn).await?)
}

fn list(family: &[AccountId]) -> String {
    family.iter().map(|account| account.0.to_string()).collect::<Vec<_>>().join(", ")
}

async fn patiently(
    mut connection: &AsyncPgConnection,
    table: &'static str,
    change: &str,
) -> Result<(), NotMoved> {
    connection.batch_execute(LOCK_TIME_MAX).await?;
    for _ in 0..TRIES {
        match connection.batch_execute(change).await.map_err(StoreError::from) {
            Ok(()) => return Ok(()),
            Err(StoreError::Contended(_)) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(NotMoved::Busy(table))
}
