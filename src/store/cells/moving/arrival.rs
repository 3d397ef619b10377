//! The rows of accounts are written in the cell that they move to: all, and the same, or none.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::hindrances;
use super::not_moved::{Hindrance, NotMoved};
use super::quiet::next_cycle;
use super::rows::{NAMESPACES, OwnedTable, digests, numbers, owned_tables};
use crate::domain::cell::CellNumber;
use crate::domain::departure::Departure;
use crate::domain::ids::{AccountId, PriceDefinitionId};
use crate::store::accounts::account_zones::{zone_named, zones_note};
use crate::store::burst::slots_note;
use crate::store::cells::departures::{departures, departures_say};
use crate::store::cells::own_row::accounts_count;
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;
use crate::store::{Conn, deposits, execute, price_rules};

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
        // The home cell has the namespaces of all.
        let may_be_there = owned.table == NAMESPACES;
        copy_table(leaving, arriving, owned, &numbers(family), may_be_there).await?;
    }
    if let Some(table) = digests(leaving, family).await?.differs_in(&digests(arriving, family).await?) {
        return Err(NotMoved::NotTheSame(table));
    }
    go_on(leaving, arriving, family).await?;
    // What is done by and by has come no further here than there, and does not until they are there.
    arriving.batch_execute("LOCK TABLE billing_runs IN SHARE MODE").await?;
    hindrances::months(leaving, arriving, family).await?;
    arriving.batch_execute("SELECT 1 FROM burst_progress FOR UPDATE").await?;
    if next_cycle(leaving).await? < next_cycle(arriving).await? {
        return Err(Hindrance::BurstBehind.into());
    }
    Ok(departures_say(arriving, family, Departure::Here(between.from)).await?)
}

/// One at a time comes to a cell, or is taken back from its way there; held to the end of the transaction.
pub(super) async fn hold_arrivals(connection: &mut AsyncPgConnection) -> Result<(), StoreError> {
    Ok(connection.batch_execute("SELECT pg_advisory_xact_lock(4702394921427289937)").await?)
}

/// Copies the rows of a table whose column is one of these numbers.
async fn copy_table(
    leaving: Conn<'_>,
    arriving: Conn<'_>,
    OwnedTable { table, column }: OwnedTable,
    numbers: &[i64],
    may_be_there: bool,
) -> Result<(), StoreError> {
    if numbers.is_empty() {
        return Ok(());
    }
    let (mut from, columns) = (leaving, columns_of(leaving, table).await?);
    let numbers = numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    from.batch_execute(&format!(
        "DECLARE moving NO SCROLL CURSOR FOR SELECT to_jsonb(t)::text FROM {table} t WHERE {column} IN ({numbers})"
    ))
    .await?;
    let is_there = if may_be_there { " ON CONFLICT DO NOTHING" } else { "" };
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
        statement.keys::<BigInt, _>(numbers(family)).sql(") ORDER BY 1").load(&mut from).await?;
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
    let mut from = leaving;
    let used =
        Statement::<BigInt>::new("SELECT DISTINCT definition_id FROM price_rules WHERE account_id = ANY(");
    let used: Vec<i64> = used.keys::<BigInt, _>(numbers(family)).sql(") ORDER BY 1").load(&mut from).await?;
    let of_home = CellNumber::HOME.rows();
    let (home, others): (Vec<i64>, Vec<i64>) = used.into_iter().partition(|id| of_home.contains(id));
    let there = price_rules::definitions(arriving, definition_ids(home.clone())).await?;
    if there.len() != home.len() {
        return Err(Hindrance::CatalogueBehind.into());
    }
    let definitions = OwnedTable { table: "price_definitions", column: "id" };
    Ok(copy_table(leaving, arriving, definitions, &others, true).await?)
}

fn definition_ids(ids: Vec<i64>) -> Vec<PriceDefinitionId> {
    ids.into_iter().map(PriceDefinitionId).collect()
}

/// What the cell does by itself goes on with them from where the other was.
async fn go_on(leaving: Conn<'_>, arriving: Conn<'_>, family: &[AccountId]) -> Result<(), StoreError> {
    let mut conn = arriving;
    let zones = Statement::<Text>::new("SELECT DISTINCT time_zone FROM accounts WHERE id = ANY(");
    let zones: Vec<String> =
        zones.keys::<BigInt, _>(numbers(family)).sql(") ORDER BY 1").load(&mut conn).await?;
    let zones = zones.into_iter().map(zone_named).collect::<Result<Vec<_>, _>>()?;
    zones_note(arriving, zones.into_iter()).await?;
    let slots = Statement::<Timestamptz>::new(
        "SELECT DISTINCT slot FROM usage_samples WHERE slot > abacus_now() - interval '1 day' AND account_id = ANY(",
    );
    let slots: Vec<DateTime<Utc>> =
        slots.keys::<BigInt, _>(numbers(family)).sql(") ORDER BY 1").load(&mut conn).await?;
    slots_note(arriving, &slots).await?;
    accounts_count(arriving, i64::try_from(family.len()).unwrap_or(i64::MAX)).await?;
    deposits::scan_as_there(leaving, arriving).await
}
