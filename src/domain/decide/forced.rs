//! Debits that cannot be avoided: what has happened is booked, whatever the balance holds, and of a closed account as well.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::draft::Draft;
use crate::domain::account::{AccountStatus, Suspension};
use crate::domain::ledger::Posting;
use crate::domain::notice::NoticeKind;
use crate::domain::refusal::Refusal;
use crate::domain::transaction::Transaction;

/// Posts a debit that cannot be avoided. `cause` says in a notice what took the balance below its limit.
pub(super) fn debit(
    draft: &mut Draft<'_>,
    transaction: Transaction,
    posting: Posting,
    cause: &str,
) -> Result<Arc<Transaction>, Refusal> {
    let posted = draft.post(transaction, posting)?;
    mark_overdrawn(draft, cause)?;
    Ok(posted)
}

/// Marks an account whose balance is below its limit, and suspends it, unless it is suspended or closed already.
pub(super) fn mark_overdrawn(draft: &mut Draft<'_>, cause: &str) -> Result<(), Refusal> {
    if draft.account.available()? >= Decimal::ZERO {
        return Ok(());
    }
    draft.account.overdrawn = true;
    if draft.account.status != AccountStatus::Active {
        return Ok(());
    }
    draft.account.status = AccountStatus::Suspended;
    draft.account.suspension = Some(Suspension::Overdrawn);
    let message = format!(
        "The account is suspended: {cause} has taken the balance to {} {}, below its limit.",
        draft.currency.format(draft.account.balance),
        draft.currency.code
    );
    draft.notify(NoticeKind::AccountSuspended, message, draft.account.id.to_string())?;
    Ok(())
}
