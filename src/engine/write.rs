//! What books gained is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::try_join;

use super::books::Books;
use crate::domain::account::Account;
use crate::domain::book::{Rows, WriteSet};
use crate::domain::closing::CORRECTED_AFTER;
use crate::domain::ids::AccountId;
use crate::domain::order::Order;
use crate::domain::seal::SealKeys;
use crate::store::error::StoreError;
use crate::store::seals::{AltSeals, Sealer};
use crate::store::{
    Conn, accounts, approvals, bills, closings, deposits, erasures, keys, late_usage, ledger, notices,
    open_invoices, operator_moves, orders, payment_methods, payments, prepay_quotes, prepayments,
    reconciliations, records, reversals, suspensions, transactions,
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
        write_orders(conn, &set.orders, seals),
        bills::bill_insert(conn, &set.bills.new, seals),
        transactions::transaction_insert(conn, &set.transactions.new, seals),
        ledger::entry_insert(conn, &set.entries),
        bills::bill_change(conn, &set.bills.changed, seals),
        transactions::transaction_change(conn, &set.transactions.changed, seals),
        notices::notice_insert(conn, &set.notices),
        keys::answer_insert(conn, &set.answers, seals),
        keys::answer_change(conn, &set.changed_answers, seals),
        approvals::approval_put(conn, &set.approvals, seals),
        operator_moves::move_insert(conn, &set.operator_moves),
        records::record_insert(conn, &set.records, seals),
        prepay_quotes::quote_insert(conn, &set.prepay_quotes),
        payment_methods::method_put(conn, &set.payment_methods),
        payments::payment_put(conn, &set.payments, seals),
        prepayments::prepayment_put(conn, &set.prepayments, seals),
        reversals::reversal_put(conn, &set.reversals, seals),
        reconciliations::unmatched_told(conn, &set.told),
        deposits::deposit_decide(conn, &set.deposits),
        closings::closed_put(conn, &set.closed_months, seals),
        suspensions::span_insert(conn, &set.suspended_spans),
        write_looks(conn, &accounts, &set, now),
    )?;
    // An account gives its namespace up once it says that it is erased.
    erasures::erasure_begin(conn, &set.erasures).await
}

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

/// Orders give up their places (one of an exclusive plan in a region) before others take them.
async fn write_orders(conn: Conn<'_>, set: &Rows<Order>, seals: &Sealer<'_>) -> Result<(), StoreError> {
    let gives_up = |order: &Arc<Order>| !order.state.is_live() || order.renewed_by.is_some();
    let (before, after): (Vec<_>, Vec<_>) = set.changed.iter().cloned().partition(gives_up);
    orders::order_change(conn, &before, seals).await?;
    orders::order_change(conn, &after, seals).await?;
    orders::order_insert(conn, &set.new, seals).await
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
