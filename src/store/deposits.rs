//! Deposits of tokens, the addresses that they are sent to, and how far chains were scanned.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Integer, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;

use super::cells::some_have_come;
use super::clock_check::require_right_clock;
use super::error::StoreError;
use super::schema::deposits as table;
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::{Columns, Statement};
use super::written::written;
use super::{Conn, execute, rows};
use crate::domain::book::Table;
use crate::domain::ids::AccountId;
use crate::domain::money::CurrencyCode;
use crate::domain::prepay::{Deposit, DepositPlace, DepositState};

row! {
    deposits => Deposit as d {
        kept {
            account_id: AccountId = d.account,
            block_hash: String = d.place.block_hash,
            log_index: i64 = d.place.log_index,
            block_number: i64 = d.place.block_number,
            block_time: DateTime<Utc> = d.block_time,
            transaction_hash: String = d.place.transaction,
            asset: CurrencyCode = d.place.asset,
            amount: Decimal = d.amount,
            sender: String = d.sender,
            address: String = d.place.address,
            is_gone: bool = d.is_gone,
            state: DepositState = d.state,
            nth: i32 = d.place.nth,
        }
    }
    {
        let place = DepositPlace {
            block_number,
            log_index,
            block_hash,
            transaction: transaction_hash,
            address,
            asset,
            nth,
        };
        Self { account: account_id, place, block_time, amount, sender, is_gone, state }
    }
}

/// An address of an account.
pub type AddressOf = (AccountId, String);

// ── addresses ──

/// The next child of the key, which nobody else gets.
pub async fn address_place(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    let next = Statement::<BigInt>::new("SELECT nextval('deposit_address_places')");
    Ok(next.get_result(&mut conn).await?)
}

pub async fn address_insert(
    conn: Conn<'_>,
    place: i64,
    address: &str,
    account: AccountId,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("place", std::iter::once(place))
        .column::<Text, _>("address", std::iter::once(address.to_owned()))
        .column::<BigInt, _>("account_id", std::iter::once(account.0));
    execute(conn, columns.insert_row_into("deposit_addresses")).await.map(drop)
}

/// Addresses from a place on, in the order of their places; not those of accounts that have come from another cell, whose places are
/// anywhere.
pub async fn addresses_from(
    mut conn: Conn<'_>,
    place: i64,
    limit: i64,
) -> Result<Vec<(i64, String)>, StoreError> {
    let statement =
        Statement::<(BigInt, Text)>::new("SELECT place, address FROM deposit_addresses a WHERE place >= ")
            .bigint(place);
    let statement = match some_have_come(conn).await? {
        true => statement.sql(
            " AND NOT EXISTS (SELECT 1 FROM departures d WHERE d.account_id = a.account_id AND d.state <> 'GONE')",
        ),
        false => statement,
    };
    Ok(statement.sql(" ORDER BY place LIMIT ").bigint(limit).load(&mut conn).await?)
}

/// All addresses of accounts that have come from another cell.
pub async fn addresses_that_have_come(mut conn: Conn<'_>) -> Result<Vec<String>, StoreError> {
    if !some_have_come(conn).await? {
        return Ok(Vec::new());
    }
    let statement = Statement::<Text>::new(
        "SELECT a.address FROM departures d JOIN deposit_addresses a ON a.account_id = d.account_id WHERE d.state <> 'GONE'",
    );
    Ok(statement.load(&mut conn).await?)
}

/// Whose these addresses are; those that were never given out are left out.
pub async fn address_owners(
    mut conn: Conn<'_>,
    addresses: Vec<String>,
) -> Result<Vec<AddressOf>, StoreError> {
    let statement = Statement::<(BigInt, Text)>::new(
        "SELECT account_id, address FROM deposit_addresses WHERE address = ANY(",
    )
    .keys::<Text, _>(addresses)
    .sql(")");
    let found: Vec<(i64, String)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(account, address)| (AccountId(account), address)).collect())
}

// ── scans ──

/// How far a chain was scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainProgress {
    /// The block after which scanning began.
    pub begin_after: i64,
    /// How many scans were written.
    pub scans: i64,
    /// The contracts whose events were scanned for.
    pub tokens: Vec<String>,
}

/// What one scan found, as it is written down.
#[derive(Debug, Clone, Default)]
pub struct ScanRows {
    /// Everything after this block is gone.
    pub rolled_back_to: Option<i64>,
    pub deposits: Vec<Deposit>,
    /// The blocks to remember: their numbers and hashes.
    pub blocks: Vec<(i64, String)>,
}

/// Begins to scan a chain after a block, unless somebody has.
pub async fn chain_begin(conn: Conn<'_>, chain: i64, begin_after: i64) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("chain_id", std::iter::once(chain))
        .column::<BigInt, _>("begin_after", std::iter::once(begin_after));
    execute(conn, columns.insert_into("chains").sql(" ON CONFLICT DO NOTHING")).await.map(drop)
}

/// How far a chain was scanned; None: nobody has looked at it yet.
pub async fn chain_progress(mut conn: Conn<'_>, chain: i64) -> Result<Option<ChainProgress>, StoreError> {
    let statement = Statement::<(BigInt, BigInt, Array<Text>)>::new(
        "SELECT begin_after, scans, tokens FROM chains WHERE chain_id = ",
    )
    .bigint(chain);
    let found: Vec<(i64, i64, Vec<String>)> = statement.load(&mut conn).await?;
    let progress = |(begin_after, scans, tokens)| ChainProgress { begin_after, scans, tokens };
    Ok(found.into_iter().next().map(progress))
}

/// Scans for the events of these contracts, too, from now on: what is being scanned without them is not written any more.
pub async fn chain_tokens(conn: Conn<'_>, chain: i64, contracts: Vec<String>) -> Result<(), StoreError> {
    let statement = Statement::new(
        "UPDATE chains SET scans = scans + 1, tokens = ARRAY(SELECT DISTINCT UNNEST(tokens || ",
    )
    .value::<Array<Text>, _>(contracts)
    .sql(")) WHERE chain_id = ")
    .bigint(chain);
    execute(conn, statement).await.map(drop)
}

/// The blocks of a chain that are remembered, newest first.
pub async fn chain_blocks(mut conn: Conn<'_>, chain: i64) -> Result<Vec<(i64, String)>, StoreError> {
    let statement =
        Statement::<(BigInt, Text)>::new("SELECT number, hash FROM chain_blocks WHERE chain_id = ")
            .bigint(chain)
            .sql(" ORDER BY number DESC");
    Ok(statement.load(&mut conn).await?)
}

/// Writes down what a scan found that began where `progress` says, and remembers so many blocks; false, and nothing is written,
/// where another scan was written meanwhile. Where the machine's clock is wrong it is an error.
pub async fn scan_write(
    conn: &mut AsyncPgConnection,
    chain: i64,
    progress: &ChainProgress,
    found: &ScanRows,
    blocks_kept: i64,
) -> Result<bool, StoreError> {
    conn.transaction(async |conn| {
        let conn: Conn<'_> = conn;
        require_right_clock(conn).await?;
        let next = Statement::new("UPDATE chains SET scans = scans + 1 WHERE chain_id = ")
            .bigint(chain)
            .sql(" AND scans = ")
            .bigint(progress.scans);
        if execute(conn, next).await? == 0 {
            return Ok(false);
        }
        if let Some(number) = found.rolled_back_to {
            roll_back(conn, chain, number).await?;
        }
        if !found.blocks.is_empty() {
            leave_forks(conn, chain, &found.blocks).await?;
        }
        if !found.deposits.is_empty() {
            deposit_insert(conn, chain, &found.deposits).await?;
        }
        if !found.blocks.is_empty() {
            remember(conn, chain, &found.blocks, blocks_kept).await?;
        }
        Ok(true)
    })
    .await
}

async fn roll_back(conn: Conn<'_>, chain: i64, number: i64) -> Result<(), StoreError> {
    let after = |statement: Statement| {
        statement.sql("chain_id = ").bigint(chain).sql(" AND block_number > ").bigint(number)
    };
    let gone = after(Statement::new("UPDATE deposits SET is_gone = true WHERE NOT is_gone AND "));
    execute(conn, gone).await?;
    let forgotten = Statement::new("DELETE FROM chain_blocks WHERE chain_id = ")
        .bigint(chain)
        .sql(" AND number > ")
        .bigint(number);
    execute(conn, forgotten).await.map(drop)
}

/// What was found in other blocks than the chain has now is gone.
async fn leave_forks(conn: Conn<'_>, chain: i64, blocks: &[(i64, String)]) -> Result<(), StoreError> {
    let statement = Statement::new("UPDATE deposits t SET is_gone = true FROM UNNEST(")
        .keys::<BigInt, _>(blocks.iter().map(|(number, _)| *number).collect::<Vec<_>>())
        .sql(", ")
        .keys::<Text, _>(blocks.iter().map(|(_, hash)| hash.clone()).collect::<Vec<_>>())
        .sql(
            ") b (number, hash) WHERE t.block_number = b.number AND t.block_hash <> b.hash AND NOT t.is_gone \
             AND t.chain_id = ",
        )
        .bigint(chain);
    execute(conn, statement).await.map(drop)
}

/// Keeps deposits; one that is there already is not gone any more.
pub async fn deposit_insert(conn: Conn<'_>, chain: i64, deposits: &[Deposit]) -> Result<(), StoreError> {
    let columns = Deposit::columns(deposits.iter()).put::<table::chain_id, _>(deposits.iter().map(|_| chain));
    let statement = columns.insert_into("deposits").sql(
        " ON CONFLICT (account_id, block_hash, transaction_hash, address, asset, nth) DO UPDATE SET is_gone = false \
         WHERE deposits.is_gone",
    );
    execute(conn, statement).await.map(drop)
}

async fn remember(conn: Conn<'_>, chain: i64, blocks: &[(i64, String)], kept: i64) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("chain_id", blocks.iter().map(|_| chain))
        .column::<BigInt, _>("number", blocks.iter().map(|(number, _)| *number))
        .column::<Text, _>("hash", blocks.iter().map(|(_, hash)| hash.clone()));
    let statement = columns
        .insert_into("chain_blocks")
        .sql(" ON CONFLICT (chain_id, number) DO UPDATE SET hash = excluded.hash");
    execute(conn, statement).await?;
    let statement = Statement::new("DELETE FROM chain_blocks WHERE chain_id = ")
        .bigint(chain)
        .sql(" AND number <= (SELECT number FROM chain_blocks WHERE chain_id = ")
        .bigint(chain)
        .sql(" ORDER BY number DESC OFFSET ")
        .bigint(kept)
        .sql(" LIMIT 1)");
    execute(conn, statement).await.map(drop)
}

/// Has a cell scan on, for accounts that come from another, from where that was.
pub(super) async fn scan_as_there(leaving: Conn<'_>, arriving: Conn<'_>) -> Result<(), StoreError> {
    for scanned in chains_scanned(leaving).await? {
        scan_again(leaving, arriving, scanned).await?;
    }
    Ok(())
}

/// How far a cell has scanned a chain for deposits.
struct Scanned {
    chain: i64,
    begin_after: i64,
    tokens: Vec<String>,
}

async fn chains_scanned(mut conn: Conn<'_>) -> Result<Vec<Scanned>, StoreError> {
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
    let remembered = chain_blocks(leaving, chain).await?;
    let beginning = Statement::new("INSERT INTO chains (chain_id, begin_after, tokens) VALUES (")
        .bigint(chain)
        .sql(", ")
        .bigint(begin_after)
        .sql(", ")
        .value::<Array<Text>, _>(tokens)
        .sql(") ON CONFLICT (chain_id) DO NOTHING");
    let is_new = execute(arriving, beginning).await? > 0;
    let own = chain_blocks(arriving, chain).await?;
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

// ── deposits ──

/// The addresses whose deposits are to be decided on, from after one on: so many.
pub async fn addresses_undecided(
    mut conn: Conn<'_>,
    after: Option<&AddressOf>,
    limit: i64,
) -> Result<Vec<AddressOf>, StoreError> {
    let (account, address) =
        after.map_or((0, String::new()), |(account, address)| (account.0, address.clone()));
    let statement = Statement::<(BigInt, Text)>::new(
        "SELECT DISTINCT account_id, address FROM deposits WHERE (state = 'SEEN' OR is_gone <> (state = 'UNDONE')) \
         AND (account_id, address) > (",
    )
    .bigint(account)
    .sql(", ")
    .text(address)
    .sql(") ORDER BY account_id, address LIMIT ")
    .bigint(limit);
    let found: Vec<(i64, String)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(account, address)| (AccountId(account), address)).collect())
}

/// All deposits to these addresses, in the order of the chain.
pub async fn deposits_to(conn: Conn<'_>, addresses: &[AddressOf]) -> Result<Vec<Deposit>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<Deposit>("t."));
    let statement = each_address(select, addresses).sql(
        "(SELECT * FROM deposits t WHERE t.account_id = k.account_id AND t.address = k.address) t \
         ORDER BY t.block_number, t.log_index",
    );
    rows::<Deposit>(conn, statement).await
}

/// Addresses as the outer side of a look-up.
pub(super) fn each_address<ST>(select: Statement<ST>, addresses: &[AddressOf]) -> Statement<ST> {
    let accounts: Vec<i64> = addresses.iter().map(|(account, _)| account.0).collect();
    let addresses: Vec<String> = addresses.iter().map(|(_, address)| address.clone()).collect();
    select
        .sql(" FROM UNNEST(")
        .accounts(accounts)
        .sql(", ")
        .keys::<Text, _>(addresses)
        .sql(") k (account_id, address) CROSS JOIN LATERAL ")
}

written!(Table<Deposit>, |conn, rows, _seals| deposit_decide(conn, rows));

/// Keeps what deposits are good for. What the chain says of them is for scans to write.
async fn deposit_decide(conn: Conn<'_>, deposits: &Table<Deposit>) -> Result<(), StoreError> {
    if deposits.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", deposits.values().map(|d| d.account.0))
        .column::<Text, _>("block_hash", deposits.values().map(|d| d.place.block_hash.clone()))
        .column::<Text, _>("transaction_hash", deposits.values().map(|d| d.place.transaction.clone()))
        .column::<Text, _>("address", deposits.values().map(|d| d.place.address.clone()))
        .column::<Text, _>("asset", deposits.values().map(|d| d.place.asset.to_string()))
        .column::<Integer, _>("nth", deposits.values().map(|d| d.place.nth))
        .column::<Text, _>("state", deposits.values().map(|d| d.state.code()));
    execute(conn, columns.update("deposits", 6)).await.map(drop)
}
