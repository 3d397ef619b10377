//! What books gained is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::try_join;

use super::batch::Books;
use super::load::when;
use crate::domain::account::Account;
use crate::domain::book::Gain;
use crate::domain::closing::CORRECTED_AFTER;
use crate::domain::idempotency::IdempotencyRecord;
use crate::domain::ids::AccountId;
use crate::domain::ledger::Entry;
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
    let (accounts, gain, answers) = collect(books);
    if accounts.is_empty() {
        return Ok(());
    }
    let seals = &Sealer::of(conn, keys, others, &gain, &answers.changed).await?;
    let methods: Vec<_> = gain.payment_methods.values().cloned().collect();
    let paid: Vec<_> = gain.payments.values().cloned().collect();
    let prepaid: Vec<_> = gain.prepayments.values().cloned().collect();
    let reversed: Vec<_> = gain.reversals.values().cloned().collect();
    let deposited: Vec<_> = gain.deposits.values().cloned().collect();
    let approved: Vec<_> = gain.approvals.values().cloned().collect();
    try_join!(
        accounts::account_post(conn, &accounts, gain.account_settings, seals),
        write_orders(conn, &gain, seals),
        when(!gain.bills.is_empty(), bills::bill_insert(conn, &gain.bills, seals)),
        when(
            !gain.transactions.is_empty(),
            transactions::transaction_insert(conn, &gain.transactions, seals)
        ),
        when(!gain.entries.is_empty(), ledger::entry_insert(conn, &gain.entries)),
        when(!gain.changed_bills.is_empty(), bills::bill_change(conn, &gain.changed_bills, seals)),
        when(
            !gain.changed_transactions.is_empty(),
            transactions::transaction_change(conn, &gain.changed_transactions, seals)
        ),
        when(!gain.notices.is_empty(), notices::notice_insert(conn, &gain.notices)),
        when(!answers.new.is_empty(), keys::answer_insert(conn, &answers.new, seals)),
        when(!answers.changed.is_empty(), keys::answer_change(conn, &answers.changed, seals)),
        when(!approved.is_empty(), approvals::approval_put(conn, &approved, seals)),
        when(!gain.operator_moves.is_empty(), operator_moves::move_insert(conn, &gain.operator_moves)),
        when(!gain.records.is_empty(), records::record_insert(conn, &gain.records, seals)),
        when(!gain.prepay_quotes.is_empty(), prepay_quotes::quote_insert(conn, &gain.prepay_quotes)),
        when(!gain.payment_methods.is_empty(), payment_methods::method_put(conn, &methods)),
        when(!paid.is_empty(), payments::payment_put(conn, &paid, seals)),
        when(!prepaid.is_empty(), prepayments::prepayment_put(conn, &prepaid, seals)),
        when(!reversed.is_empty(), reversals::reversal_put(conn, &reversed, seals)),
        when(!gain.told.is_empty(), reconciliations::unmatched_told(conn, &gain.told)),
        when(!deposited.is_empty(), deposits::deposit_decide(conn, &deposited)),
        when(!gain.closed_months.is_empty(), closings::closed_put(conn, &gain.closed_months, seals)),
        when(!gain.suspended_spans.is_empty(), suspensions::span_insert(conn, &gain.suspended_spans)),
        write_looks(conn, &accounts, &gain, now),
    )?;
    // An account gives its namespace up once it says that it is erased.
    when(!gain.erasures.is_empty(), erasures::erasure_begin(conn, &gain.erasures)).await
}

/// Has months and invoices looked at again whose limits are others by now.
async fn write_looks(
    conn: Conn<'_>,
    accounts: &[Account],
    gain: &Gain,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let days: BTreeSet<(AccountId, NaiveDate)> = gain.late_days.iter().copied().collect();
    let due = now.checked_add_signed(CORRECTED_AFTER).unwrap_or(now);
    late_usage::late_note(conn, &days, due).await?;
    for moved in accounts.iter().filter(|account| gain.moved.contains(&account.id)) {
        open_invoices::open_look_again(conn, moved.id, now).await?;
    }
    Ok(())
}

/// Orders give up their places (one of an exclusive plan in a region) before others take them.
async fn write_orders(conn: Conn<'_>, gain: &Gain, seals: &Sealer<'_>) -> Result<(), StoreError> {
    let gives_up = |order: &Arc<Order>| !order.state.is_live() || order.renewed_by.is_some();
    let (before, after): (Vec<_>, Vec<_>) = gain.changed_orders.iter().cloned().partition(gives_up);
    when(!before.is_empty(), orders::order_change(conn, &before, seals)).await?;
    when(!after.is_empty(), orders::order_change(conn, &after, seals)).await?;
    when(!gain.orders.is_empty(), orders::order_insert(conn, &gain.orders, seals)).await
}

/// What keys of accounts hold: those that held nothing, and those that held something else.
#[derive(Default)]
struct Answers {
    new: Vec<(AccountId, IdempotencyRecord)>,
    changed: Vec<(AccountId, IdempotencyRecord)>,
}

fn collect(books: Books) -> (Vec<Account>, Gain, Answers) {
    let mut accounts = Vec::with_capacity(books.len());
    let mut all = Gain::default();
    let mut answers = Answers::default();
    for (id, book) in books {
        let gained = book.gained;
        if !gained.changed {
            continue;
        }
        accounts.push(book.account);
        all.orders.extend(gained.orders);
        all.changed_orders.extend(gained.changed_orders);
        all.bills.extend(gained.bills);
        all.changed_bills.extend(gained.changed_bills);
        all.transactions.extend(gained.transactions);
        all.changed_transactions.extend(gained.changed_transactions);
        all.entries.extend::<Vec<Entry>>(gained.entries);
        all.notices.extend(gained.notices);
        all.records.extend(gained.records);
        all.prepay_quotes.extend(gained.prepay_quotes);
        all.prepayments.extend(gained.prepayments);
        all.payments.extend(gained.payments);
        all.reversals.extend(gained.reversals);
        all.told.extend(gained.told);
        all.deposits.extend(gained.deposits);
        all.payment_methods.extend(gained.payment_methods);
        all.closed_months.extend(gained.closed_months);
        all.suspended_spans.extend(gained.suspended_spans);
        all.late_days.extend(gained.late_days);
        all.moved.extend(gained.moved);
        all.account_settings |= gained.account_settings;
        all.approvals.extend(gained.approvals);
        all.operator_moves.extend(gained.operator_moves);
        all.erasures.extend(gained.erasures);
        answers.new.extend(gained.answers.into_iter().map(|answer| (id, answer)));
        answers.changed.extend(gained.changed_answers.into_iter().map(|answer| (id, answer)));
    }
    (accounts, all, answers)
}
