//! Debits that cannot be avoided: what has happened is booked, whatever the balance holds, and of a closed account as well.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::draft::Draft;
use super::suspension;
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
        suspension::overdraw(draft, cause)?;
    }
    Ok(posted)
}
