//! The rows of accounts are written in the cell that they move to: all, and the same, or none.

use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::quiet::next_cycle;
use super::rows::{NAMESPACES, OwnedTable, digests, numbers, owned_tables};
use super::{NotMoved, hindrances};
use crate::domain::cell::CellNumber;
use crate::domain::ids::AccountId;
use crate::store::cells::departures::{Departure, departures, departures_say};
use crate::store::error::StoreError;
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{Conn, deposits, execute};

/// Rows that are read and written together: an invoice may be long.
const ROWS: usize = 200;

/// Between which cells accounts move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Between {
    pub from: CellNumber,
    pub to: CellNumber,
}

/// Copies all that is theirs, of one moment of the cell that they leave.
pub(super) async fn arrive(
    leaving: &mut AsyncPgConnection,
    arriving: &mut AsyncPgConnection,
    family: &[AccountId],
    between: Between,
) -> Result<(), NotMoved> {
    // By themselves: who makes a month holds up whoever asks for one.
    usage_months(leaving, arriving, family).await?;
    arriving
        .transaction(async |arriving| {
            let mut snapshot = leaving.build_transaction().repeatable_read().read_only();
            snapshot.run(async |leaving| copy_all(leaving, arriving, family, between).await).await
        })
        .await
}

async fn copy_all(
    leaving: &mut AsyncPgConnection,
    arriving: &mut AsyncPgConnection,
    family: &[AccountId],
    between: Between,
) -> Result<(), NotMoved> {
    hold_arrivals(arriving).await?;
    let said = departures(leaving).await?;
    if family.iter().any(|account| said.get(account) != Some(&Departure::Leaving(between.to))) {
        return Err(NotMoved::AnotherMoves);
    }
    definitions(leaving, arriving, family).await?;
    for owned in owned_tables() {
        copy_table(leaving, arriving, owned, family).await?;
    }
    if let Some(table) = digests(leaving, family).await?.differs_in(&digests(arriving, family).await?) {
        return Err(NotMoved::NotTheSame(table));
    }
    go_on(leaving, arriving, family).await?;
    // What is done by and by has come no further here than there, and does not until they are there.
    arriving.batch_execute("LOCK TABLE billing_runs IN SHARE MODE").await?;
    hindrances::months(leaving, arriving, family).await?;
    arriving.batch_execute("SELECT FROM burst_progress FOR UPDATE").await?;
    if next_cycle(leaving).await? < next_cycle(arriving).await? {
        return Err(hindrances::Hindrance::BurstBehind.into());
    }
    Ok(departures_say(arriving, family, Departure::Here(between.from)).await?)
}

/// One at a time comes to a cell, or is taken back from its way there; held to the end of the transaction.
pub(super) async fn hold_arrivals(connection: &mut AsyncPgConnection) -> Result<(), StoreError> {
    Ok(connection.batch_execute("SELECT pg_advisory_xact_lock(4702394921427289937)").await?)
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

/// What their price rules say; the home cell's definitions are in all cells, and come with the catalogue alone.
async fn definitions(leaving: Conn<'_>, arriving: Conn<'_>, family: &[AccountId]) -> Result<(), NotMoved> {
    let (mut from, mut to) = (leaving, arriving);
    let used =
        Statement::<BigInt>::new("SELECT DISTINCT definition_id FROM price_rules WHERE account_id = ANY(");
    let used: Vec<i64> =
        used.value::<Array<BigInt>, _>(numbers(family)).sql(") ORDER BY 1").load(&mut from).await?;
    let of_home = CellNumber::HOME.rows();
    let (home, others): (Vec<i64>, Vec<i64>) = used.into_iter().partition(|id| of_home.contains(id));
    let there = Statement::<BigInt>::new("SELECT count(*) FROM price_definitions WHERE id = ANY(");
    let there: i64 = there.value::<Array<BigInt>, _>(home.clone()).sql(")").get_result(&mut to).await?;
    if usize::try_from(there).ok() != Some(home.len()) {
        return Err(hindrances::Hindrance::CatalogueBehind.into());
    }
    let statement = Statement::<Text>::new(
        "SELECT coalesce(jsonb_agg(to_jsonb(d)), '[]')::text FROM price_definitions d WHERE id = ANY(",
    );
    let held: String = statement.value::<Array<BigInt>, _>(others).sql(")").get_result(&mut from).await?;
    let writing = Statement::new(
        "INSERT INTO price_definitions OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_recordset(NULL::price_definitions, ",
    );
    execute(arriving, writing.text(held).sql("::jsonb) ON CONFLICT (id) DO NOTHING")).await?;
    Ok(())
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
    for chain in scanned(leaving).await? {
        scan_again(leaving, arriving, chain).await?;
    }
    Ok(())
}

/// How far a cell has scanned a chain for deposits.
struct Scanned {
    chain: i64,
    begin_after: i64,
    tokens: Vec<String>,
}

async fn scanned(mut conn: Conn<'_>) -> Result<Vec<Scanned>, StoreError> {
    let statement = Statement::<(BigInt, BigInt, Array<Text>)>::new(
        "SELECT chain_id, begin_after, tokens FROM chains ORDER BY chain_id",
    );
    let found: Vec<(i64, i64, Vec<String>)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(chain, begin_after, tokens)| Scanned { chain, begin_after, tokens }).collect())
}

/// Blocks that the cell has scanned and the other had not are scanned once more, as there may be deposits of theirs in them; those that
/// are known already are not kept twice. What it remembers of blocks is what the other remembers: by that it is noticed that a deposit's
/// block is gone.
async fn scan_again(leaving: Conn<'_>, arriving: Conn<'_>, scanned: Scanned) -> Result<(), StoreError> {
    let Scanned { chain, begin_after, tokens } = scanned;
    let remembered = deposits::chain_blocks(leaving, chain).await?;
    let beginning = Statement::new("INSERT INTO chains (chain_id, begin_after, tokens) VALUES (")
        .bigint(chain)
        .sql(", ")
        .bigint(begin_after)
        .sql(", ")
        .value::<Array<Text>, _>(tokens)
        .sql(") ON CONFLICT (chain_id) DO NOTHING");
    let is_new = execute(arriving, beginning).await? > 0;
    let own = deposits::chain_blocks(arriving, chain).await?;
    let newest = |blocks: &[(i64, String)]| blocks.iter().map(|(number, _)| *number).max();
    let common = match (newest(&remembered), newest(&own)) {
        (Some(there), Some(here)) => there.min(here),
        (Some(there), None) if is_new => there,
        // It has scanned nothing itself yet, from where it begins on.
        (Some(there), None) => return from_there(arriving, chain, there).await,
        (None, _) => return from_there(arriving, chain, begin_after).await,
    };
    from_there(arriving, chain, common).await?;
    let kept: Vec<&(i64, String)> = remembered.iter().filter(|(number, _)| *number <= common).collect();
    if kept.is_empty() {
        return Ok(());
    }
    let forgetting = Statement::new("DELETE FROM chain_blocks WHERE chain_id = ").bigint(chain);
    execute(arriving, forgetting).await?;
    let columns = Columns::new()
        .column::<BigInt, _>("chain_id", kept.iter().map(|_| chain))
        .column::<BigInt, _>("number", kept.iter().map(|(number, _)| *number))
        .column::<Text, _>("hash", kept.iter().map(|(_, hash)| hash.clone()));
    execute(arriving, columns.insert_into("chain_blocks")).await.map(drop)
}

/// Forgets what was scanned after a block; what is being scanned meanwhile is not written any more.
async fn from_there(conn: Conn<'_>, chain: i64, block: i64) -> Result<(), StoreError> {
    let again = Statement::new("UPDATE chains SET scans = scans + 1, begin_after = least(begin_after, ")
        .bigint(block)
        .sql(") WHERE chain_id = ")
        .bigint(chain);
    execute(conn, again).await?;
    let forgetting = Statement::new("DELETE FROM chain_blocks WHERE chain_id = ")
        .bigint(chain)
        .sql(" AND number > ")
        .bigint(block);
    execute(conn, forgetting).await.map(drop)
}
