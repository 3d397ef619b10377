//! Debits that cannot be avoided: what has happened is booked, whatever the balance holds, and of a closed account as well.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::draft::Draft;
use super::suspension;
use crate::domain::account::Suspension;
use crate::domain::ledger::Posting;
use crate::domain::refusal::Refusal;
use crate::domain::transaction::Transaction;

/// Posts a debit that cannot be avoided, and suspends the account if that takes the balance below its limit; `cause` says in
/// the notice what has done so.
pub(super) fn debit(
    draft: &mut Draft<'_>,
    transaction: Transaction,
    posting: Posting,
    cause: &str,
) -> Result<Arc<Transaction>, Refusal> {
    let posted = draft.post(transaction, posting)?;
    if draft.account.available()? < Decimal::ZERO {
        overdraw(draft, cause)?;
    }
    Ok(posted)
}

/// Marks an account whose balance is below its limit, and suspends it, unless an operator lets it be overdrawn.
pub(super) fn mark_overdrawn(draft: &mut Draft<'_>, cause: &str) -> Result<(), Refusal> {
    let was_overdrawn = draft.account.overdrawn;
    if draft.account.available()? >= Decimal::ZERO || (was_overdrawn && suspension::is_held_off(draft)) {
        return Ok(());
    }
    overdraw(draft, cause)
}

fn overdraw(draft: &mut Draft<'_>, cause: &str) -> Result<(), Refusal> {
    draft.account.overdrawn = true;
    let message = format!(
        "The account is suspended: {cause} has taken the balance to {} {}, below its limit.",
        draft.currency.format(draft.account.balance),
        draft.currency.code
    );
    suspension::suspend(draft, Suspension::Overdrawn, message, draft.account.id.to_string())
}
