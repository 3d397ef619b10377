//! Accounts that are erased (docs/adr/0027): noted with the command, and blanked in small steps, each a transaction of its own under
//! the account's lock. What was sealed is sealed anew; a seal that was not whole stays what it was.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::accounts::account_hold;
use super::accounts::account_range::Range;
use super::error::StoreError;
use super::seals::{self, Place, SealedAt, SealedRow, rows_between};
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute, owned};
use crate::domain::account::Hash;
use crate::domain::approval::Approval;
use crate::domain::cell::CellNumber;
use crate::domain::erasure::{Blanked, Erasure, Stage};
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::ledger::{Entry, ErasedEntry};
use crate::domain::order::Order;
use crate::domain::payment::Payment;
use crate::domain::prepay::Prepayment;
use crate::domain::seal::SealKeys;
use crate::domain::transaction::Transaction;

/// Rows that are blanked at a time.
const STEP: i64 = 500;

/// Notes accounts that are erased from now on, and takes their namespaces.
pub async fn erasure_begin(conn: Conn<'_>, erasures: &[Erasure]) -> Result<(), StoreError> {
    if erasures.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", erasures.iter().map(|e| e.account.0))
        .column::<Text, _>("reason", erasures.iter().map(|e| e.reason.clone()))
        .column::<Text, _>("erased_by", erasures.iter().map(|e| e.by.clone()))
        .column::<Timestamptz, _>("erased_at", erasures.iter().map(|e| e.at))
        .column::<Text, _>("stage", erasures.iter().map(|_| Stage::Orders.code()))
        .column::<Timestamptz, _>("next_step_at", erasures.iter().map(|e| e.at));
    execute(conn, columns.insert_into("erasures")).await?;
    for erasure in erasures {
        let statement = Statement::new("SELECT give_up_namespace(")
            .bigint(erasure.account.0)
            .sql(", ")
            .value::<Binary, _>(erasure.namespace.clone())
            .sql(")");
        execute(conn, statement).await?;
    }
    Ok(())
}

/// Takes the namespace of an account of another cell out of the directory in the home cell; nobody else gets it.
pub async fn directory_give_up(
    mut conn: Conn<'_>,
    account: AccountId,
    keys: &SealKeys,
) -> Result<(), StoreError> {
    // There is an index for those that were born elsewhere alone; few of the others have left.
    let by =
        if CellNumber::of_birth(account) == CellNumber::HOME { "" } else { "account_id > 2147483647 AND " };
    let held = format!(
        "SELECT namespace FROM namespaces WHERE {by}namespace NOT LIKE '(erased %' AND account_id = "
    );
    let held: Vec<String> = Statement::<Text>::new(held).bigint(account.0).load(&mut conn).await?;
    for namespace in held {
        let statement = Statement::new("SELECT give_up_namespace_elsewhere(")
            .bigint(account.0)
            .sql(", ")
            .value::<Binary, _>(keys.digest(&namespace))
            .sql(")");
        execute(conn, statement).await?;
    }
    Ok(())
}

/// What is still open of accounts, or waits for something, for people; those that have nothing are left out.
pub async fn unsettled(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
) -> Result<Vec<(AccountId, String)>, StoreError> {
    let statement = Statement::<(BigInt, Text)>::new(
        "SELECT a.id, u.what FROM UNNEST(",
    )
    .accounts(accounts)
    .sql(
        ") a (id) CROSS JOIN LATERAL (\
         SELECT 'open bills' WHERE EXISTS (SELECT 1 FROM bills b WHERE b.account_id = a.id AND b.status IN ('UNPAID', 'OVERDUE') \
         AND (b.status = 'OVERDUE' OR b.next_step_at IS NOT NULL)) \
         UNION ALL SELECT 'orders that are not paid' WHERE EXISTS (SELECT 1 FROM orders o WHERE o.account_id = a.id \
         AND o.state = 'UNPAID') \
         UNION ALL SELECT 'what waits for another operator' WHERE EXISTS (SELECT 1 FROM approvals p WHERE p.account_id = a.id \
         AND p.state = 'PENDING') \
         UNION ALL SELECT 'a month that is to be rated again' WHERE EXISTS (SELECT 1 FROM late_usage l WHERE l.account_id = a.id) \
         UNION ALL SELECT 'payments under way' WHERE EXISTS (SELECT 1 FROM payments p WHERE p.account_id = a.id \
         AND p.next_step_at IS NOT NULL) \
         UNION ALL SELECT 'prepayments under way' WHERE EXISTS (SELECT 1 FROM prepayments p WHERE p.account_id = a.id \
         AND p.next_step_at IS NOT NULL) \
         UNION ALL SELECT 'a dispute that is open' WHERE EXISTS (SELECT 1 FROM reversals r WHERE r.account_id = a.id AND r.is_open) \
         UNION ALL SELECT 'a deposit that is to be counted' WHERE EXISTS (SELECT 1 FROM deposits d WHERE d.account_id = a.id \
         AND d.state = 'SEEN' AND NOT d.is_gone) \
         UNION ALL SELECT 'burst that is to be charged' WHERE EXISTS (SELECT 1 FROM burst_owed o WHERE o.account_id = a.id) \
         LIMIT 1) u (what)",
    );
    let found: Vec<(i64, String)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(account, what)| (AccountId(account), what)).collect())
}

/// The accounts whose rows are to be blanked by `now`, those that have waited longest first.
pub async fn erasure_due(
    mut conn: Conn<'_>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<AccountId>, StoreError> {
    let statement = Statement::<BigInt>::new("SELECT account_id FROM erasures WHERE next_step_at <= ")
        .instant(now)
        .sql(" ORDER BY next_step_at, account_id LIMIT ")
        .bigint(limit);
    let found: Vec<i64> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(AccountId).collect())
}

/// Goes on with an account no sooner than `until`.
pub async fn erasure_put_off(
    conn: Conn<'_>,
    account: AccountId,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    let statement = Statement::new("UPDATE erasures SET next_step_at = ")
        .instant(until)
        .sql(" WHERE next_step_at IS NOT NULL AND account_id = ")
        .bigint(account.0);
    execute(conn, statement).await.map(drop)
}

/// Blanks some more of an account; whether all is blank.
pub async fn erasure_step(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    keys: &SealKeys,
) -> Result<bool, StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            account_hold(conn, account).await?;
            let Some((stage, after)) = progress(conn, account).await? else { return Ok(true) };
            let after = (account.0, after.unwrap_or_default().to_string());
            let upto = match stage {
                Stage::Orders => blank::<Order>(conn, &after, keys).await?,
                Stage::Transactions => blank_posted(conn, &after, keys).await?,
                Stage::Payments => blank::<Payment>(conn, &after, keys).await?,
                Stage::Prepayments => blank::<Prepayment>(conn, &after, keys).await?,
                Stage::Approvals => blank::<Approval>(conn, &after, keys).await?,
                Stage::Rest => rest(conn, account).await?,
                Stage::Done => None,
            };
            let stage = if upto.is_none() { stage.next() } else { stage };
            note_progress(conn, account, stage, upto).await?;
            Ok(stage == Stage::Done)
        })
        .await
}

async fn progress(
    mut conn: Conn<'_>,
    account: AccountId,
) -> Result<Option<(Stage, Option<Uuid>)>, StoreError> {
    let statement = Statement::<(Text, Nullable<SqlUuid>)>::new(
        "SELECT stage, after_id FROM erasures WHERE next_step_at IS NOT NULL AND account_id = ",
    )
    .bigint(account.0);
    let found: Vec<(String, Option<Uuid>)> = statement.load(&mut conn).await?;
    let Some((stage, after)) = found.into_iter().next() else { return Ok(None) };
    let stage = Stage::from_code(&stage).ok_or_else(|| StoreError::Corrupt(format!("stage \"{stage}\"")))?;
    Ok(Some((stage, after)))
}

async fn note_progress(
    conn: Conn<'_>,
    account: AccountId,
    stage: Stage,
    upto: Option<Uuid>,
) -> Result<(), StoreError> {
    let statement = Statement::new("UPDATE erasures SET stage = ")
        .value::<Text, _>(stage.code())
        .sql(", after_id = ")
        .value::<Nullable<SqlUuid>, _>(upto)
        .sql(", next_step_at = CASE ")
        .value::<Text, _>(stage.code())
        .sql(" WHEN 'DONE' THEN NULL ELSE next_step_at END WHERE account_id = ")
        .bigint(account.0);
    execute(conn, statement).await.map(drop)
}

/// The rows of the next step, with their seals, and the last of them; None: there are no more.
type Page<T> = Option<(Vec<(T, Option<Vec<u8>>)>, Uuid)>;

async fn page<R: SealedRow>(conn: Conn<'_>, after: &Place) -> Result<Page<R>, StoreError> {
    let only = Range::one(AccountId(after.0));
    let places = seals::places_up_to(conn, &R::SEALED, only, after, STEP).await?;
    let Some(upto) = places.last() else { return Ok(None) };
    let last = Uuid::try_parse(&upto.1).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let found = seals::read_sealed::<R>(conn, rows_between::<R>(after, upto)).await?;
    // One that cannot be read is a fault of the ledger, and holds this up until it is mended.
    let rows = found.into_iter().map(|row| row.map(|SealedAt { row, seal, .. }| (row, seal)));
    Ok(Some((rows.collect::<Result<_, _>>()?, last)))
}

/// What a row bears from when it is blank.
async fn seal_of<T: Blanked>(
    conn: Conn<'_>,
    keys: &SealKeys,
    row: &T,
    seal: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let other = seals::other_seal(conn, keys, row, seal).await?;
    Ok(other.unwrap_or_else(|| Some(keys.seal(&row.blanked()))))
}

async fn blank<R: SealedRow + Blanked + IsOwned>(
    conn: Conn<'_>,
    after: &Place,
    keys: &SealKeys,
) -> Result<Option<Uuid>, StoreError> {
    let Some((rows, last)) = page::<R>(conn, after).await? else { return Ok(None) };
    blank_rows(conn, R::SEALED.name, AccountId(after.0), &rows, keys).await?;
    Ok(Some(last))
}

async fn blank_rows<T: Blanked + IsOwned>(
    conn: Conn<'_>,
    table: &'static str,
    account: AccountId,
    rows: &[(T, Option<Vec<u8>>)],
    keys: &SealKeys,
) -> Result<(), StoreError> {
    let (mut ids, mut seals) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for (row, seal) in rows {
        ids.push(row.owned().uuid());
        seals.push(seal_of(conn, keys, row, seal.as_deref()).await?);
    }
    let statement = Statement::new("SELECT blank_rows(")
        .value::<Text, _>(table)
        .sql(", ")
        .bigint(account.0)
        .sql(", ")
        .keys::<SqlUuid, _>(ids)
        .sql(", ")
        .keys::<Nullable<Binary>, _>(seals)
        .sql(")");
    execute(conn, statement).await.map(drop)
}

/// What has an id of its account.
trait IsOwned {
    fn owned(&self) -> OwnedId;
}

macro_rules! owned {
    ($($row:ty),*) => {$(
        impl IsOwned for $row {
            fn owned(&self) -> OwnedId {
                self.id.0
            }
        }
    )*};
}
owned!(
    crate::domain::approval::Approval,
    crate::domain::order::Order,
    Transaction,
    crate::domain::payment::Payment,
    crate::domain::prepay::Prepayment
);

/// Blanks transactions with the entries that they made. An entry whose hash is right by now is said to have been; what was altered
/// before stays a fault.
async fn blank_posted(conn: Conn<'_>, after: &Place, keys: &SealKeys) -> Result<Option<Uuid>, StoreError> {
    let account = AccountId(after.0);
    let Some((rows, last)) = page::<Transaction>(conn, after).await? else { return Ok(None) };
    let ids: Vec<OwnedId> = rows.iter().map(|(row, _)| row.id.0).collect();
    let entries = owned::by_ids::<Entry>(conn, &ids).await?;
    let before = hashes_before(conn, account, &entries).await?;
    let transactions: HashMap<OwnedId, &Transaction> = rows.iter().map(|(row, _)| (row.id.0, row)).collect();
    let (mut blank, mut seals) = (Vec::new(), Vec::new());
    for entry in &entries {
        let Some(transaction) = transactions.get(&entry.id.0) else { continue };
        let previous = before.get(&entry.seq).copied().unwrap_or_default();
        blank.push(entry.id.0.uuid());
        // What this server cannot look at is not marked as broken for good.
        let hash =
            entry.hash_after(&previous, transaction, keys).ok_or_else(|| seals::lacks_key(entry.key))?;
        let was_right = hash == entry.hash;
        let (entry, transaction) = (&entry.blanked(), &transaction.blanked());
        let erased = ErasedEntry { previous, entry, transaction };
        seals.push(if was_right { keys.seal(&erased) } else { SealKeys::broken() });
    }
    let statement = Statement::new("SELECT blank_entries(")
        .bigint(account.0)
        .sql(", ")
        .keys::<SqlUuid, _>(blank)
        .sql(", ")
        .keys::<Binary, _>(seals)
        .sql(")");
    execute(conn, statement).await?;
    blank_rows(conn, "transactions", account, &rows, keys).await?;
    Ok(Some(last))
}

/// Of each entry, by its number, the hash of the one before; the first has none.
async fn hashes_before(
    mut conn: Conn<'_>,
    account: AccountId,
    entries: &[Entry],
) -> Result<HashMap<i64, Hash>, StoreError> {
    let statement =
        Statement::<(BigInt, Binary)>::new("SELECT seq + 1, hash FROM ledger_entries WHERE account_id = ")
            .bigint(account.0)
            .sql(" AND seq = ANY(")
            .keys::<BigInt, _>(entries.iter().map(|e| e.seq.saturating_sub(1)).collect::<Vec<_>>())
            .sql(")");
    let found: Vec<(i64, Vec<u8>)> = statement.load(&mut conn).await?;
    // A hash of another length is a fault, which the entry after it shares.
    Ok(found.into_iter().filter_map(|(seq, hash)| Some((seq, Hash::try_from(hash).ok()?))).collect())
}

/// Blanks or removes what is not sealed; Some: there may be more.
async fn rest(mut conn: Conn<'_>, account: AccountId) -> Result<Option<Uuid>, StoreError> {
    let statement = Statement::<BigInt>::new("SELECT erase_rest(")
        .bigint(account.0)
        .sql(", ")
        .bigint(STEP)
        .sql("::integer)");
    let erased: i64 = statement.get_result(&mut conn).await?;
    Ok((erased > 0).then(Uuid::nil))
}
