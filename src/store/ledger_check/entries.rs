//! Whether entries are numbered, chained and hashed as they were posted, and end where their account says.

use std::collections::BTreeMap;

use diesel::sql_types::{BigInt, Binary, Uuid as SqlUuid};
use futures_util::StreamExt;
use tokio::time::Instant;
use uuid::Uuid;

use super::standing::{Checkpoint, SealedCheckpoint};
use super::{Look, Report, Told};
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::ledger::{Entry, Verifier};
use crate::domain::transaction::Transaction;
use crate::store::accounts::account_range::Range;
use crate::store::error::StoreError;
use crate::store::sql::row::{Row, select_list};
use crate::store::sql::statement::Statement;
use crate::store::{Conn, each_row};

/// Entries that are read at a time.
const PAGE: i64 = 2_000;

/// Transactions that have an entry.
const POSTED: &str =
    "(SELECT t.* FROM transactions t JOIN ledger_entries e ON e.account_id = t.account_id AND e.id = t.id) t";

type Place = (i64, Uuid);

/// Checks all entries of a range of accounts, account by account, oldest first.
pub(super) async fn check(
    look: Look<'_>,
    range: Range,
    noted: Vec<SealedCheckpoint>,
    report: &mut Report,
) -> Result<(), StoreError> {
    let readable = report.accounts.keys().filter(|account| !report.is_unreadable(**account));
    let mut verifiers: BTreeMap<AccountId, Verifier> =
        readable.map(|account| (*account, Verifier::default())).collect();
    let checkpoints = checkpoints(look, noted, report);
    let mut after: Place = (range.first.0, Uuid::nil());
    loop {
        let began = Instant::now();
        let Some(upto) = end_of_page(look.conn, range, after).await? else { break };
        let (found, posted) = read(look.conn, after, upto).await?;
        for entry in found {
            match entry {
                Ok(entry) => take(look, &entry, &posted, (&mut verifiers, &checkpoints), report),
                Err(error) => report.fault(
                    AccountId(after.0),
                    "UNREADABLE",
                    format!("an entry between {} and {} cannot be read: {error}", named(after), named(upto)),
                ),
            }
        }
        after = upto;
        look.pace.rest(began).await;
    }
    finish(look, range, verifiers, report).await
}

fn named((account, id): Place) -> String {
    format!("{} {}", AccountId(account), id.as_simple())
}

fn take(
    look: Look<'_>,
    entry: &Entry,
    posted: &Posted,
    (verifiers, checkpoints): (&mut BTreeMap<AccountId, Verifier>, &BTreeMap<AccountId, Checkpoint>),
    report: &mut Report,
) {
    let owner = entry.id.account();
    let (Some(account), Some(verifier)) = (report.accounts.get(&owner), verifiers.get_mut(&owner)) else {
        return;
    };
    // Entries that came after the account was read belong to the next check.
    if entry.seq > account.head.seq {
        return;
    }
    report.entries_checked = report.entries_checked.saturating_add(1);
    let erased = posted.erased.get(&entry.id.0).map(Vec::as_slice);
    verifier.check(entry, posted.transactions.get(&entry.id.0), erased, look.keys);
    let noted = checkpoints.get(&owner).filter(|noted| noted.seq == entry.seq);
    if noted.is_some_and(|noted| noted.hash != entry.hash) {
        report.fault(
            owner,
            "CHECKPOINT",
            format!("entry {} is not the one that was there before", entry.seq),
        );
    }
}

/// The last entry of the next page.
async fn end_of_page(mut conn: Conn<'_>, range: Range, after: Place) -> Result<Option<Place>, StoreError> {
    let statement = Statement::<(BigInt, SqlUuid)>::new(
        "SELECT account_id, id FROM (SELECT account_id, id FROM ledger_entries WHERE account_id",
    );
    let statement = range
        .restrict(statement)
        .sql(" AND (account_id, id) > (")
        .bigint(after.0)
        .sql(", ")
        .uuid(after.1)
        .sql(") ORDER BY account_id, id LIMIT ")
        .bigint(PAGE)
        .sql(") p ORDER BY account_id DESC, id DESC LIMIT 1");
    let last: Vec<Place> = statement.load(&mut conn).await?;
    Ok(last.into_iter().next())
}

fn between<ST>(statement: Statement<ST>, after: Place, upto: Place) -> Statement<ST> {
    statement
        .sql(" WHERE (account_id, id) > (")
        .bigint(after.0)
        .sql(", ")
        .uuid(after.1)
        .sql(") AND (account_id, id) <= (")
        .bigint(upto.0)
        .sql(", ")
        .uuid(upto.1)
        .sql(") ORDER BY account_id, id")
}

/// What made the entries of a page, and what says of those whose words were blanked that their hashes were right.
struct Posted {
    transactions: BTreeMap<OwnedId, Transaction>,
    erased: BTreeMap<OwnedId, Vec<u8>>,
}

async fn erased(
    mut conn: Conn<'_>,
    after: Place,
    upto: Place,
) -> Result<BTreeMap<OwnedId, Vec<u8>>, StoreError> {
    let statement = Statement::<(SqlUuid, Binary)>::new("SELECT id, seal FROM erased_entries");
    let found: Vec<(Uuid, Vec<u8>)> = between(statement, after, upto).load(&mut conn).await?;
    Ok(found.into_iter().map(|(id, seal)| (OwnedId::from_uuid(id), seal)).collect())
}

/// The entries of a page as far as they can be read, with the transactions of the same ids.
async fn read(
    conn: Conn<'_>,
    after: Place,
    upto: Place,
) -> Result<(Vec<Result<Entry, StoreError>>, Posted), StoreError> {
    let entries = rows_of::<Entry>(conn, "ledger_entries", after, upto).await?;
    // Those that cannot be read are found by their seals.
    let transactions = rows_of::<Transaction>(conn, POSTED, after, upto).await?;
    let transactions =
        transactions.into_iter().flatten().map(|transaction| (transaction.id.0, transaction)).collect();
    Ok((entries, Posted { transactions, erased: erased(conn, after, upto).await? }))
}

async fn rows_of<R: Row>(
    conn: Conn<'_>,
    table: &'static str,
    after: Place,
    upto: Place,
) -> Result<Vec<Result<R, StoreError>>, StoreError> {
    let select = format!("SELECT {} FROM {table}", select_list::<R>(""));
    let statement = between(Statement::new(select), after, upto);
    Ok(each_row::<R>(conn, statement).await?.collect().await)
}

/// Compares where ledgers ended when they were looked at last with where they end now.
fn checkpoints(
    look: Look<'_>,
    noted: Vec<SealedCheckpoint>,
    report: &mut Report,
) -> BTreeMap<AccountId, Checkpoint> {
    let mut sound = BTreeMap::new();
    for SealedCheckpoint { checkpoint, seal } in noted {
        let owner = checkpoint.account;
        if let Err(broken) = look.keys.check(&checkpoint, Some(&seal)) {
            report.fault(owner, "SEAL", format!("the checkpoint of {owner} {broken}"));
        } else if report.accounts.get(&owner).is_none_or(|account| account.head.seq < checkpoint.seq) {
            let message = format!("the ledger had {} entries before, and has fewer now", checkpoint.seq);
            report.fault(owner, "CHECKPOINT", message);
        }
        sound.insert(owner, checkpoint);
    }
    sound
}

/// Compares each ledger's end with its account, and looks for what has no entry, or no place.
async fn finish(
    look: Look<'_>,
    range: Range,
    verifiers: BTreeMap<AccountId, Verifier>,
    report: &mut Report,
) -> Result<(), StoreError> {
    let began = Instant::now();
    for (owner, verifier) in verifiers {
        let Some(account) = report.accounts.get(&owner) else { continue };
        for fault in verifier.finish(account) {
            report.fault(owner, fault.kind, fault.message);
        }
    }
    for (kind, statement) in [("TRANSACTION", unposted(range)), ("SEQUENCE", past_the_head(range))] {
        let found: Vec<(i64, String)> = statement.load(&mut &*look.conn).await?;
        for (owner, message) in found {
            report.fault(AccountId(owner), kind, message);
        }
    }
    look.pace.rest(began).await;
    Ok(())
}

/// Finished transactions that touch a balance, and have no entry.
fn unposted(range: Range) -> Statement<Told> {
    let statement = Statement::new(
        "SELECT t.account_id, 'the finished transaction ' || t.id || ' has no entry' FROM transactions t \
         LEFT JOIN ledger_entries e ON e.account_id = t.account_id AND e.id = t.id \
         WHERE t.status IN ('FINISHED', 'REFUNDED') AND 'customer' IN (t.debit_ledger, t.credit_ledger) \
         AND e.id IS NULL AND t.account_id",
    );
    range.restrict(statement).sql(" LIMIT 100")
}

/// Entries behind the one that their account names as its last.
fn past_the_head(range: Range) -> Statement<Told> {
    let statement = Statement::new(
        "SELECT a.id, 'entry ' || e.seq || ' stands behind the last, ' || a.last_entry_seq FROM accounts a \
         CROSS JOIN LATERAL (SELECT seq FROM ledger_entries WHERE account_id = a.id AND seq > a.last_entry_seq \
         ORDER BY seq LIMIT 1) e WHERE a.id",
    );
    range.restrict(statement).sql(" LIMIT 100")
}
