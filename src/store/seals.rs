//! Rows that are sealed: how they are read with their seals, and how they are sealed. docs/adr/0026 has the reasons.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::{StreamExt, try_join};

use super::accounts::account_range::Range;
use super::error::StoreError;
use super::places::Topology;
use super::sql::row::{Fields, Read, Row, select_list};
use super::sql::statement::Statement;
use super::{Conn, each_row, execute, installation};
use crate::domain::account::Account;
use crate::domain::approval::Approval;
use crate::domain::bill::Bill;
use crate::domain::book::WriteSet;
use crate::domain::closing::ClosedMonth;
use crate::domain::idempotency::KeyRow;
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::order::Order;
use crate::domain::payment::Payment;
use crate::domain::prepay::Prepayment;
use crate::domain::record::Record;
use crate::domain::reversal::Reversal;
use crate::domain::seal::{BrokenSeal, KeyVersion, SealKeys, Sealed};
use crate::domain::transaction::Transaction;

/// Rows that are read at a time.
const PAGE: i64 = 2_000;

/// A table whose rows are sealed.
pub(super) struct Table {
    pub name: &'static str,
    /// Its rows `t` as they are read, with their seal as `t.seal`, and where they stand.
    source: &'static str,
    place: &'static str,
    owner: &'static str,
    /// What tells the rows of an account apart, its type, and what comes before all.
    key: &'static str,
    key_type: &'static str,
    pub least: &'static str,
    /// Whether the key is an id that the account has counted.
    pub is_counted: bool,
}

const NIL: &str = "00000000-0000-0000-0000-000000000000";

const fn owned(name: &'static str) -> Table {
    let (owner, key, key_type) = ("account_id", "id", "uuid");
    Table { name, source: name, place: "t.ctid", owner, key, key_type, least: NIL, is_counted: true }
}

const ACCOUNTS: Table =
    Table { owner: "id", key: "id", key_type: "bigint", least: "0", is_counted: false, ..owned("accounts") };
const ORDERS: Table = owned("orders");
const BILLS: Table = owned("bills");
const TRANSACTIONS: Table = owned("transactions");
const PAYMENTS: Table = owned("payments");
const PREPAYMENTS: Table = owned("prepayments");
const RECORDS: Table = Table {
    source: "(SELECT r.*, m.seal, m.ctid AS place FROM metered_consumption_records r JOIN metered_records m ON m.account_id = r.account_id AND m.id = r.id)",
    place: "t.place",
    ..owned("metered_records")
};
const KEYS: Table =
    Table { key: "key", key_type: "text", least: "", is_counted: false, ..owned("idempotency_keys") };
const APPROVALS: Table = owned("approvals");
const REVERSALS: Table = Table {
    key: "provider || ' ' || t.reference",
    key_type: "text",
    least: "",
    is_counted: false,
    ..owned("reversals")
};
const CLOSED_MONTHS: Table = Table {
    key: "start_time",
    key_type: "timestamptz",
    least: "-infinity",
    is_counted: false,
    ..owned("closed_months")
};

/// An account, and the key of a row of it.
pub(super) type Place = (i64, String);

/// A row, where it stands, whose it is, and its seal.
pub(super) struct SealedAt<T> {
    pub row: T,
    pub place: String,
    pub owner: AccountId,
    pub seal: Option<Vec<u8>>,
}

impl<T: Read> Read for SealedAt<T> {
    fn read(fields: &mut Fields<'_>) -> diesel::deserialize::Result<Self> {
        let row = T::read(fields)?;
        let (place, owner) = (fields.value::<Text, _>()?, fields.value::<BigInt, _>()?);
        Ok(Self { row, place, owner, seal: fields.value::<Nullable<Binary>, _>()? })
    }
}

/// A row of a table whose rows are sealed.
pub(super) trait SealedRow: Row + Sealed {
    const SEALED: Table;
}

macro_rules! sealed_rows {
    ($($row:ty = $table:expr;)*) => {$(
        impl SealedRow for $row {
            const SEALED: Table = $table;
        }
    )*};
}
sealed_rows! {
    Account = ACCOUNTS;
    Order = ORDERS;
    Bill = BILLS;
    Transaction = TRANSACTIONS;
    Payment = PAYMENTS;
    Prepayment = PREPAYMENTS;
    Record = RECORDS;
    KeyRow = KEYS;
    Approval = APPROVALS;
    Reversal = REVERSALS;
    ClosedMonth = CLOSED_MONTHS;
}

/// Reads rows that were selected with their seals; each may be one that cannot be read.
pub(super) async fn read_sealed<R: SealedRow>(
    conn: Conn<'_>,
    statement: Statement,
) -> Result<Vec<Result<SealedAt<R>, StoreError>>, StoreError> {
    Ok(each_row::<SealedAt<R>>(conn, statement).await?.collect().await)
}

/// The places of the next rows of a range of accounts.
pub(super) async fn places(
    conn: Conn<'_>,
    table: &Table,
    range: Range,
    after: &Place,
) -> Result<Vec<Place>, StoreError> {
    places_up_to(conn, table, range, after, PAGE).await
}

/// The same, at most so many.
pub(super) async fn places_up_to(
    mut conn: Conn<'_>,
    table: &Table,
    range: Range,
    after: &Place,
    most: i64,
) -> Result<Vec<Place>, StoreError> {
    let Table { name, owner, key, .. } = table;
    let select = format!("SELECT t.{owner}, (t.{key})::text FROM {name} t WHERE t.{owner}");
    let statement = range.restrict(Statement::<(BigInt, Text)>::new(select)).sql(" AND ");
    let statement =
        beyond(statement, table, ">", after).sql(format!(" ORDER BY t.{owner}, t.{key} LIMIT ")).bigint(most);
    Ok(statement.load(&mut conn).await?)
}

fn beyond<ST>(statement: Statement<ST>, table: &Table, sign: &str, place: &Place) -> Statement<ST> {
    let Table { owner, key, key_type, .. } = table;
    statement
        .sql(format!("(t.{owner}, t.{key}) {sign} ("))
        .bigint(place.0)
        .sql(", ")
        .text(place.1.clone())
        .sql(format!("::{key_type})"))
}

fn selecting<R: SealedRow>() -> Statement {
    let Table { source, place, owner, .. } = R::SEALED;
    let columns = select_list::<R>("t.");
    Statement::new(format!("SELECT {columns}, {place}::text, t.{owner}, t.seal FROM {source} t WHERE "))
}

/// The rows after one place, up to another.
pub(super) fn rows_between<R: SealedRow>(after: &Place, upto: &Place) -> Statement {
    let statement = beyond(selecting::<R>(), &R::SEALED, ">", after).sql(" AND ");
    beyond(statement, &R::SEALED, "<=", upto).sql(format!(
        " ORDER BY t.{}, t.{}",
        R::SEALED.owner,
        R::SEALED.key
    ))
}

/// Of one kind, whose and what, and what its seal becomes.
type OfKind = HashMap<(AccountId, String), Option<Vec<u8>>>;

/// Seals what the engine writes. A seal goes on only from a whole seal: what is changed of a row that somebody else had altered
/// before stays marked as that, and what was not sealed is not.
pub struct Sealer<'k> {
    keys: &'k SealKeys,
    /// By kind and name: rows whose seals are not whole, and what those become.
    others: HashMap<&'static str, OfKind>,
}

impl<'k> Sealer<'k> {
    /// Of rows that are new.
    pub fn of_new(keys: &'k SealKeys) -> Self {
        Self { keys, others: HashMap::new() }
    }

    /// Of what a batch has gained, after a look at the seals of what it changes.
    pub async fn of(
        conn: Conn<'_>,
        keys: &'k SealKeys,
        accounts: AltSeals,
        set: &WriteSet,
    ) -> Result<Self, StoreError> {
        let ids = |ids: &mut dyn Iterator<Item = OwnedId>| -> Vec<Place> {
            ids.map(|id| (id.account().0, id.uuid().to_string())).collect()
        };
        let reversals = set.reversals.values().map(|held| (held.account().0, held.name()));
        let reversals = reversals.map(|(owner, (provider, name))| (owner, format!("{provider} {name}")));
        let months = set.closed_months.keys().map(|(owner, start)| (owner.0, start.to_rfc3339()));
        let changed_keys = set.changed_answers.iter().map(|(owner, answer)| (owner.0, answer.key.clone()));
        let looked = try_join!(
            look::<Order>(conn, keys, ids(&mut set.orders.changed.iter().map(|row| row.id.0))),
            look::<Bill>(conn, keys, ids(&mut set.bills.changed.iter().map(|row| row.id.0))),
            look::<Transaction>(conn, keys, ids(&mut set.transactions.changed.iter().map(|row| row.id.0))),
            look::<Payment>(conn, keys, ids(&mut set.payments.keys().map(|id| id.0))),
            look::<Prepayment>(conn, keys, ids(&mut set.prepayments.keys().map(|id| id.0))),
            look::<Reversal>(conn, keys, reversals.collect()),
            look::<ClosedMonth>(conn, keys, months.collect()),
            look::<KeyRow>(conn, keys, changed_keys.collect()),
            look::<Approval>(conn, keys, ids(&mut set.approvals.keys().map(|id| id.0))),
        )?;
        let (orders, bills, transactions, payments, prepayments, reversals, months, answers, approvals) =
            looked;
        let accounts =
            accounts.into_iter().map(|(account, seal)| ((Account::KIND, account, account.to_string()), seal));
        let all = accounts.chain(orders).chain(bills).chain(transactions).chain(payments);
        let mut sealer = Self::of_new(keys);
        for ((kind, owner, name), seal) in
            all.chain(prepayments).chain(reversals).chain(months).chain(answers).chain(approvals)
        {
            sealer.others.entry(kind).or_default().insert((owner, name), seal);
        }
        Ok(sealer)
    }

    /// What a row is written with.
    pub fn seal<T: Sealed>(&self, row: &T) -> Option<Vec<u8>> {
        // Names are made only where there is something to look for.
        let other = self.others.get(T::KIND).and_then(|others| others.get(&(row.owner(), row.name())));
        other.cloned().unwrap_or_else(|| Some(self.keys.seal(row)))
    }
}

/// Looks at the seals of rows that are to be changed; answers those that are not whole.
async fn look<R: SealedRow>(
    conn: Conn<'_>,
    keys: &SealKeys,
    places: Vec<Place>,
) -> Result<Vec<(Name, Option<Vec<u8>>)>, StoreError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut others = Vec::new();
    for found in read_sealed::<R>(conn, rows_at::<R>(places)).await? {
        let SealedAt { row, seal, .. } = found?;
        let other = other_seal(conn, keys, &row, seal.as_deref()).await?;
        others.extend(other.map(|other| (name_of(&row), other)));
    }
    Ok(others)
}

/// Those of the rows with these ids that do not bear a whole seal.
pub(super) async fn not_whole<R: SealedRow>(
    conn: Conn<'_>,
    keys: &SealKeys,
    ids: &[OwnedId],
) -> Result<Vec<R>, StoreError> {
    let places = ids.iter().map(|id| (id.account().0, id.uuid().to_string())).collect();
    let mut broken = Vec::new();
    for found in read_sealed::<R>(conn, rows_at::<R>(places)).await? {
        let SealedAt { row, seal, .. } = found?;
        if other_seal(conn, keys, &row, seal.as_deref()).await?.is_some() {
            broken.push(row);
        }
    }
    Ok(broken)
}

/// A row's kind, whose it is, and what it is called.
type Name = (&'static str, AccountId, String);

fn name_of<T: Sealed>(row: &T) -> Name {
    (T::KIND, row.owner(), row.name())
}

/// Accounts whose seals are not whole, and what those become.
pub type AltSeals = Vec<(AccountId, Option<Vec<u8>>)>;

/// What becomes of the seal of a row that is changed; None: it is whole, and the row is sealed anew. A row that another server has
/// sealed with a key that this one lacks is not touched.
pub(super) async fn other_seal<T: Sealed>(
    conn: Conn<'_>,
    keys: &SealKeys,
    row: &T,
    seal: Option<&[u8]>,
) -> Result<Option<Option<Vec<u8>>>, StoreError> {
    match keys.check(row, seal) {
        Ok(()) => Ok(None),
        Err(BrokenSeal::None) => Ok(Some(None)),
        Err(BrokenSeal::OtherKey(version)) if installation::has_key(conn, version).await? => {
            Err(lacks_key(version))
        }
        Err(broken) => {
            metrics::counter!("abacus_broken_seals_total").increment(1);
            tracing::error!(kind = T::KIND, name = row.name(), %broken, "a row that is changed was altered before");
            Ok(Some(Some(SealKeys::broken())))
        }
    }
}

/// What a server says that was started without a key which others seal with by now.
pub(super) fn lacks_key(version: KeyVersion) -> StoreError {
    StoreError::Broken(format!(
        "rows are sealed with key {version}, which ABACUS_LEDGER_KEYS of this server does not have"
    ))
}

/// The rows at these places.
fn rows_at<R: SealedRow>(places: Vec<Place>) -> Statement {
    let Table { owner, key, key_type, .. } = R::SEALED;
    let (owners, keys): (Vec<i64>, Vec<String>) = places.into_iter().unzip();
    selecting::<R>()
        .sql(format!("(t.{owner}, t.{key}) IN (SELECT u.owner, u.key::{key_type} FROM UNNEST("))
        .keys::<BigInt, _>(owners)
        .sql(", ")
        .keys::<Text, _>(keys)
        .sql(") u (owner, key))")
}

/// Seals the rows of a range of accounts that were written before there were seals; says how many there were. Each table is a
/// transaction of its own, or several.
pub async fn seal_what_is_not(
    connection: &mut AsyncPgConnection,
    at: &Topology,
    range: Range,
    keys: &SealKeys,
) -> Result<i64, StoreError> {
    let mut sealed = seal_table::<Order>(connection, at, range, keys).await?;
    sealed = sealed.saturating_add(seal_table::<Bill>(connection, at, range, keys).await?);
    sealed = sealed.saturating_add(seal_table::<Transaction>(connection, at, range, keys).await?);
    sealed = sealed.saturating_add(seal_table::<Payment>(connection, at, range, keys).await?);
    sealed = sealed.saturating_add(seal_table::<Prepayment>(connection, at, range, keys).await?);
    sealed = sealed.saturating_add(seal_table::<Record>(connection, at, range, keys).await?);
    sealed = sealed.saturating_add(seal_table::<KeyRow>(connection, at, range, keys).await?);
    sealed = sealed.saturating_add(seal_table::<Approval>(connection, at, range, keys).await?);
    sealed = sealed.saturating_add(seal_table::<Reversal>(connection, at, range, keys).await?);
    sealed = sealed.saturating_add(seal_table::<ClosedMonth>(connection, at, range, keys).await?);
    sealed = sealed.saturating_add(seal_table::<Account>(connection, at, range, keys).await?);
    Ok(sealed)
}

async fn seal_table<R: SealedRow>(
    connection: &mut AsyncPgConnection,
    at: &Topology,
    range: Range,
    keys: &SealKeys,
) -> Result<i64, StoreError> {
    let (mut sealed, mut after): (i64, Place) = (0, (range.first.0, R::SEALED.least.to_owned()));
    loop {
        let page = connection
            .transaction(async |connection| {
                let conn: Conn<'_> = connection;
                hold(conn, at, range).await?;
                let page = places(conn, &R::SEALED, range, &after).await?;
                let Some(upto) = page.last().cloned() else { return Ok(None) };
                let sealed = seal_page::<R>(conn, (&after, &upto), keys).await?;
                Ok::<_, StoreError>(Some((upto, sealed)))
            })
            .await?;
        let Some((upto, count)) = page else { return Ok(sealed) };
        (sealed, after) = (sealed.saturating_add(count), upto);
    }
}

/// Holds the accounts of a range in the order of their numbers, as the engine does, so that nothing is written of them meanwhile;
/// where they live apart, those of each place.
async fn hold(mut conn: Conn<'_>, at: &Topology, range: Range) -> Result<(), StoreError> {
    if !at.are_shards() {
        let statement = Statement::new("SELECT 1 FROM accounts WHERE id");
        return execute(conn, range.restrict(statement).sql(" ORDER BY id FOR UPDATE")).await.map(drop);
    }
    let statement = range.restrict(Statement::<BigInt>::new("SELECT id FROM accounts WHERE id"));
    let all: Vec<i64> = statement.sql(" ORDER BY id").load(&mut conn).await?;
    for group in at.group(all.into_iter().map(AccountId).collect()) {
        let statement = Statement::new("SELECT 1 FROM accounts WHERE id = ANY(")
            .accounts(group.into_iter().map(|account| account.0).collect())
            .sql(") ORDER BY id FOR UPDATE");
        execute(conn, statement).await?;
    }
    Ok(())
}

async fn seal_page<R: SealedRow>(
    conn: Conn<'_>,
    (after, upto): (&Place, &Place),
    keys: &SealKeys,
) -> Result<i64, StoreError> {
    let statement = beyond(selecting::<R>(), &R::SEALED, ">", after).sql(" AND ");
    let statement = beyond(statement, &R::SEALED, "<=", upto).sql(" AND t.seal IS NULL");
    // What cannot be read is not sealed, and found by the check.
    let rows: Vec<SealedAt<R>> = read_sealed::<R>(conn, statement).await?.into_iter().flatten().collect();
    // On another shard another's row stands at the same place.
    let Table { name, owner, .. } = R::SEALED;
    let statement = Statement::new(format!("UPDATE {name} t SET seal = u.seal FROM UNNEST("))
        .keys::<BigInt, _>(rows.iter().map(|sealed| sealed.owner.0).collect::<Vec<_>>())
        .sql(", ")
        .keys::<Text, _>(rows.iter().map(|sealed| sealed.place.clone()).collect::<Vec<_>>())
        .sql(", ")
        .keys::<Binary, _>(rows.iter().map(|sealed| keys.seal(&sealed.row)).collect::<Vec<_>>())
        .sql(format!(") u (owner, place, seal) WHERE t.{owner} = u.owner AND t.ctid = u.place::tid"));
    Ok(i64::try_from(execute(conn, statement).await?).unwrap_or(i64::MAX))
}
