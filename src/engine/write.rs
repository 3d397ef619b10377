//! What books gained is written.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::future::try_join_all;
use futures_util::try_join;

use super::books::Books;
use crate::domain::account::Account;
use crate::domain::book::WriteSet;
use crate::domain::closing::CORRECTED_AFTER;
use crate::domain::ids::AccountId;
use crate::domain::seal::SealKeys;
use crate::domain::tables::with_tables;
use crate::store::accounts::suspensions;
use crate::store::error::StoreError;
use crate::store::invoices::open_invoices;
use crate::store::seals::{AltSeals, Sealer};
use crate::store::usage::late_usage;
use crate::store::written::Written;
use crate::store::{
    Conn, accounts, erasures, keys, ledger, notices, operator_moves, reconciliations, records,
};

/// Writes what the books gained: one statement per table, down the wire together.
pub(super) async fn write(
    conn: Conn<'_>,
    books: Books,
    now: DateTime<Utc>,
    (keys, others): (&SealKeys, AltSeals),
) -> Result<(), StoreError> {
    let (accounts, set) = collect(books);
    if accounts.is_empty() {
        return Ok(());
    }
    let seals = &Sealer::of(conn, keys, others, &set).await?;
    try_join!(
        accounts::account_post(conn, &accounts, set.account_settings, seals),
        write_tables(conn, &set, seals),
        ledger::entry_insert(conn, &set.entries),
        notices::notice_insert(conn, &set.notices),
        keys::answer_insert(conn, &set.answers, seals),
        keys::answer_change(conn, &set.changed_answers, seals),
        operator_moves::move_insert(conn, &set.operator_moves),
        records::record_insert(conn, &set.records, seals),
        reconciliations::unmatched_told(conn, &set.told),
        suspensions::span_insert(conn, &set.suspended_spans),
        write_looks(conn, &accounts, &set, now),
    )?;
    // An account gives its namespace up once it says that it is erased.
    erasures::erasure_begin(conn, &set.erasures).await
}

macro_rules! write_tables {
    (held and written { $($(#[$doc:meta])* $table:ident: $row:ty as $written:ident,)* } $($others:tt)*) => {
        /// The statements of all tables that books hold, in their order.
        async fn write_tables(conn: Conn<'_>, set: &WriteSet, seals: &Sealer<'_>) -> Result<(), StoreError> {
            try_join_all([$(set.$table.write(conn, seals)),*]).await.map(drop)
        }
    };
}
with_tables!(write_tables);

/// Has months and invoices looked at again whose limits are others by now.
async fn write_looks(
    conn: Conn<'_>,
    accounts: &[Account],
    set: &WriteSet,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let days: BTreeSet<(AccountId, NaiveDate)> = set.late_days.iter().copied().collect();
    let due = now.checked_add_signed(CORRECTED_AFTER).unwrap_or(now);
    late_usage::record_late(conn, &days, due).await?;
    for moved in accounts.iter().filter(|account| set.moved.contains(&account.id)) {
        open_invoices::reopen_for_review(conn, moved.id, now).await?;
    }
    Ok(())
}

/// The accounts of which something must be kept, and what all of them gained.
fn collect(books: Books) -> (Vec<Account>, WriteSet) {
    let mut accounts = Vec::with_capacity(books.len());
    let mut all = WriteSet::default();
    for book in books.into_values().filter(|book| book.gained.changed) {
        accounts.push(book.account);
        all.append(book.gained);
    }
    (accounts, all)
}
