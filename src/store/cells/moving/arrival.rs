//! The rows of accounts are written in the cell that they move to: all, and the same, or none.

use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::rows::{NAMESPACES, OwnedTable, digests, numbers, owned_tables};
use super::{NotMoved, hindrances};
use crate::domain::cell::CellNumber;
use crate::domain::ids::AccountId;
use crate::store::cells::departures::{Departure, departures_say};
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;
use crate::store::{Conn, execute};

/// Rows that are read and written together: an invoice may be long.
const ROWS: usize = 200;

/// Copies all that is theirs, of one moment of the cell that they leave.
pub(super) async fn arrive(
    leaving: &mut AsyncPgConnection,
    arriving: &mut AsyncPgConnection,
    family: &[AccountId],
    came_from: CellNumber,
) -> Result<(), NotMoved> {
    arriving
        .transaction(async |arriving| {
            let mut snapshot = leaving.build_transaction().repeatable_read().read_only();
            snapshot.run(async |leaving| copy_all(leaving, arriving, family, came_from).await).await
        })
        .await
}

async fn copy_all(
    leaving: &mut AsyncPgConnection,
    arriving: &mut AsyncPgConnection,
    family: &[AccountId],
    came_from: CellNumber,
) -> Result<(), NotMoved> {
    // No month is begun to be closed until they are there.
    arriving.batch_execute("LOCK TABLE billing_runs IN SHARE MODE").await?;
    hindrances::months(leaving, arriving, family).await?;
    usage_months(leaving, arriving, family).await?;
    definitions(leaving, arriving, family).await?;
    for owned in owned_tables() {
        copy_table(leaving, arriving, owned, family).await?;
    }
    if let Some(table) = digests(leaving, family).await?.differs_in(&digests(arriving, family).await?) {
        return Err(NotMoved::NotTheSame(table));
    }
    go_on(leaving, arriving, family).await?;
    Ok(departures_say(arriving, family, Departure::Here(came_from)).await?)
}

async fn copy_table(
    leaving: Conn<'_>,
    arriving: Conn<'_>,
    OwnedTable { table, column }: OwnedTable,
    family: &[AccountId],
) -> Result<(), StoreError> {
    let (mut from, columns) = (leaving, columns_of(leaving, table).await?);
    let accounts = family.iter().map(|account| account.0.to_string()).collect::<Vec<_>>().join(", ");
    from.batch_execute(&format!(
        "DECLARE moving NO SCROLL CURSOR FOR SELECT to_jsonb(t)::text FROM {table} t WHERE {column} IN ({accounts})"
    ))
    .await?;
    // The home cell has the namespaces of all.
    let is_there = if table == NAMESPACES { " ON CONFLICT DO NOTHING" } else { "" };
    loop {
        let fetching = Statement::<Text>::new(format!("FETCH {ROWS} FROM moving"));
        let rows: Vec<String> = fetching.load(&mut from).await?;
        let is_last = rows.len() < ROWS;
        let writing = Statement::new(format!(
            "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM \
             (SELECT (jsonb_populate_record(NULL::{table}, j.row::jsonb)).* FROM UNNEST("
        ));
        execute(arriving, writing.keys::<Text, _>(rows).sql(format!(") j (row)) r{is_there}"))).await?;
        if is_last {
            break;
        }
    }
    Ok(from.batch_execute("CLOSE moving").await?)
}

/// The columns that are written; others follow from them.
async fn columns_of(mut conn: Conn<'_>, table: &str) -> Result<String, StoreError> {
    let statement = Statement::<Text>::new(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped \
         AND attgenerated = '' AND attrelid = ",
    );
    Ok(statement.text(table.to_owned()).sql("::regclass").get_result(&mut conn).await?)
}

/// Their events lie in partitions of months, which there may not be yet.
async fn usage_months(leaving: Conn<'_>, arriving: Conn<'_>, family: &[AccountId]) -> Result<(), StoreError> {
    let (mut from, mut to) = (leaving, arriving);
    let statement = Statement::<Text>::new(
        "SELECT DISTINCT date_trunc('month', time AT TIME ZONE 'UTC')::date::text FROM usage_events WHERE account_id = ANY(",
    );
    let months: Vec<String> =
        statement.value::<Array<BigInt>, _>(numbers(family)).sql(") ORDER BY 1").load(&mut from).await?;
    if let [first, ..] = months.as_slice() {
        // Both keep them for as long; who has removed them a moment earlier does so once more.
        let keeping =
            Statement::new("UPDATE usage_events_kept SET since = least(since, ").text(first.clone());
        execute(arriving, keeping.sql("::date)")).await?;
    }
    for month in months {
        let making = Statement::<BigInt>::new("SELECT count(*) FROM (SELECT make_usage_month(").text(month);
        let _made: i64 = making.sql("::date)) made").get_result(&mut to).await?;
    }
    Ok(())
}

/// What their price rules say; the home cell's definitions are in all cells.
async fn definitions(leaving: Conn<'_>, arriving: Conn<'_>, family: &[AccountId]) -> Result<(), StoreError> {
    let mut from = leaving;
    let statement = Statement::<Text>::new(
        "SELECT coalesce(jsonb_agg(to_jsonb(d)), '[]')::text FROM price_definitions d WHERE id IN \
         (SELECT definition_id FROM price_rules WHERE account_id = ANY(",
    );
    let held: String =
        statement.value::<Array<BigInt>, _>(numbers(family)).sql("))").get_result(&mut from).await?;
    let writing = Statement::new(
        "INSERT INTO price_definitions OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_recordset(NULL::price_definitions, ",
    );
    execute(arriving, writing.text(held).sql("::jsonb) ON CONFLICT (id) DO NOTHING")).await.map(drop)
}

/// What the cell does by itself goes on with them from where the other was.
async fn go_on(leaving: Conn<'_>, arriving: Conn<'_>, family: &[AccountId]) -> Result<(), StoreError> {
    let of_them = |sql: &'static str| {
        Statement::new(sql).value::<Array<BigInt>, _>(numbers(family)).sql(") ON CONFLICT DO NOTHING")
    };
    let zones =
        "INSERT INTO account_zones (time_zone) SELECT DISTINCT time_zone FROM accounts WHERE id = ANY(";
    execute(arriving, of_them(zones)).await?;
    let slots = "INSERT INTO gauge_slots (slot) SELECT DISTINCT slot FROM usage_samples \
         WHERE slot > abacus_now() - interval '1 day' AND account_id = ANY(";
    execute(arriving, of_them(slots)).await?;
    let more = i64::try_from(family.len()).unwrap_or(i64::MAX);
    execute(arriving, Statement::new("UPDATE cell SET accounts = accounts + ").bigint(more)).await?;
    for (chain, newest, tokens) in scanned(leaving).await? {
        scan_again(arriving, chain, newest, tokens).await?;
    }
    Ok(())
}

/// How far a cell has scanned the chains for deposits.
async fn scanned(mut conn: Conn<'_>) -> Result<Vec<(i64, i64, Vec<String>)>, StoreError> {
    let statement = Statement::<(BigInt, BigInt, Array<Text>)>::new(
        "SELECT c.chain_id, coalesce((SELECT max(b.number) FROM chain_blocks b WHERE b.chain_id = c.chain_id), c.begin_after), c.tokens \
         FROM chains c ORDER BY c.chain_id",
    );
    Ok(statement.load(&mut conn).await?)
}

/// Blocks that the cell has scanned and the other had not are scanned once more, as there may be deposits of theirs in them; those that
/// are known already are not kept twice.
async fn scan_again(conn: Conn<'_>, chain: i64, newest: i64, tokens: Vec<String>) -> Result<(), StoreError> {
    let beginning = Statement::new("INSERT INTO chains (chain_id, begin_after, tokens) VALUES (")
        .bigint(chain)
        .sql(", ")
        .bigint(newest)
        .sql(", ")
        .value::<Array<Text>, _>(tokens)
        .sql(") ON CONFLICT (chain_id) DO NOTHING");
    execute(conn, beginning).await?;
    // What is being scanned meanwhile is not written any more.
    let from_there = Statement::new("UPDATE chains SET scans = scans + 1, begin_after = least(begin_after, ")
        .bigint(newest)
        .sql(") WHERE chain_id = ")
        .bigint(chain);
    execute(conn, from_there).await?;
    let forgetting = Statement::new("DELETE FROM chain_blocks WHERE chain_id = ")
        .bigint(chain)
        .sql(" AND number > ")
        .bigint(newest);
    execute(conn, forgetting).await.map(drop)
}
