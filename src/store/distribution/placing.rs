//! Tables are placed on a cluster: all that are missing, or none.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};

use super::placements::{ACCOUNTS, FUNCTIONS, GIVEN_UP, Placement};
use super::plan::Plan;
use crate::store::Conn;
use crate::store::database::OwnConnection;
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;

/// Places what a plan says is missing, in one transaction.
pub(super) async fn place(connection: &mut OwnConnection, plan: &Plan) -> Result<(), StoreError> {
    connection.transaction(async |connection| place_all(connection, plan).await).await
}

async fn place_all(connection: &mut OwnConnection, plan: &Plan) -> Result<(), StoreError> {
    // The guards of this schema only refuse, and look at what lies on the same node.
    let settings = format!(
        "SET LOCAL client_min_messages = warning; SET LOCAL citus.shard_count = {}; SET LOCAL citus.shard_replication_factor = 1; \
         SET LOCAL citus.multi_shard_modify_mode = 'sequential'; SET LOCAL citus.enable_unsafe_triggers = on",
        plan.shards
    );
    connection.batch_execute(&settings).await?;
    let tables: Vec<String> = plan.missing.iter().map(|(table, _)| (*table).to_owned()).collect();
    let (guards, numbers) = (guards(connection, tables.clone()).await?, numbers(connection, tables).await?);
    for guard in &guards {
        connection.batch_execute(&guard.drop).await?;
    }
    for (table, placement) in &plan.missing {
        tracing::info!(table, "placing a table on the cluster");
        for (_, change) in GIVEN_UP.iter().filter(|(of, _)| of == table) {
            connection.batch_execute(change).await?;
        }
        connection.batch_execute(&placing(table, *placement)).await?;
    }
    for function in FUNCTIONS {
        connection.batch_execute(&format!("SELECT create_distributed_function('{function}')")).await?;
    }
    for number in numbers {
        number.go_on(connection).await?;
    }
    // What is on the shards by now is on the coordinator as well.
    for (table, _) in plan.missing.iter().filter(|(_, placement)| *placement != Placement::Coordinator) {
        let rest = format!("SELECT truncate_local_data_after_distributing_table('{table}')");
        connection.batch_execute(&rest).await?;
    }
    for guard in guards {
        connection.batch_execute(&guard.create).await?;
    }
    Ok(())
}

/// What places one table.
fn placing(table: &str, placement: Placement) -> String {
    match placement {
        Placement::ByAccount(column) => {
            let beside = if table == ACCOUNTS { "none" } else { ACCOUNTS };
            format!("SELECT create_distributed_table('{table}', '{column}', colocate_with => '{beside}')")
        }
        Placement::ByKey(column) => {
            format!("SELECT create_distributed_table('{table}', '{column}', colocate_with => 'none')")
        }
        Placement::Reference => format!("SELECT create_reference_table('{table}')"),
        // Tables that refer to each other come together.
        Placement::Coordinator => format!(
            "SELECT citus_add_local_table_to_metadata('{table}', cascade_via_foreign_keys => true) WHERE NOT EXISTS \
             (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = '{table}'::regclass AND NOT autoconverted)"
        ),
        Placement::Local => String::new(),
    }
}

/// A guard against TRUNCATE, which is in the way of what is left on the coordinator.
struct Guard {
    drop: String,
    create: String,
}

async fn guards(mut conn: Conn<'_>, tables: Vec<String>) -> Result<Vec<Guard>, StoreError> {
    let statement = Statement::<(Text, Text)>::new(
        "SELECT format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass), pg_get_triggerdef(t.oid) FROM pg_trigger t \
         JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgtype & 32 <> 0 \
         AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(",
    )
    .keys::<Text, _>(tables)
    .sql(") ORDER BY c.relname, t.tgname");
    let found: Vec<(String, String)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(drop, create)| Guard { drop, create }).collect())
}

/// How far the rows of a table are numbered: a cluster begins again with 1.
struct Numbers {
    table: String,
    column: String,
    last: Option<i64>,
}

async fn numbers(mut conn: Conn<'_>, tables: Vec<String>) -> Result<Vec<Numbers>, StoreError> {
    let statement = Statement::<(Text, Text, Nullable<BigInt>)>::new(
        "SELECT c.relname::text, a.attname::text, \
         pg_sequence_last_value(pg_get_serial_sequence(quote_ident(c.relname), a.attname)::regclass) \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attidentity <> '' AND NOT a.attisdropped \
         AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(",
    )
    .keys::<Text, _>(tables)
    .sql(")");
    let found: Vec<(String, String, Option<i64>)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(table, column, last)| Numbers { table, column, last }).collect())
}

impl Numbers {
    async fn go_on(self, mut conn: Conn<'_>) -> Result<(), StoreError> {
        let Some(last) = self.last else { return Ok(()) };
        let statement = Statement::<BigInt>::new("SELECT setval(pg_get_serial_sequence(quote_ident(")
            .text(self.table)
            .sql("), ")
            .text(self.column)
            .sql(")::regclass, ")
            .bigint(last)
            .sql(")");
        statement.get_result::<i64>(&mut conn).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_placement_is_one_statement() {
        for (table, placement, expected) in [
            (
                "accounts",
                Placement::ByAccount("id"),
                "SELECT create_distributed_table('accounts', 'id', colocate_with => 'none')",
            ),
            (
                "orders",
                Placement::ByAccount("account_id"),
                "SELECT create_distributed_table('orders', 'account_id', colocate_with => 'accounts')",
            ),
            (
                "namespaces",
                Placement::ByKey("namespace"),
                "SELECT create_distributed_table('namespaces', 'namespace', colocate_with => 'none')",
            ),
            ("plans", Placement::Reference, "SELECT create_reference_table('plans')"),
            ("leases", Placement::Local, ""),
        ] {
            assert_eq!(placing(table, placement), expected);
        }
        let by_itself = placing("chains", Placement::Coordinator);
        assert!(by_itself.starts_with("SELECT citus_add_local_table_to_metadata('chains'"), "{by_itself}");
    }
}
