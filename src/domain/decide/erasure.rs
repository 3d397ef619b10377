//! An account that is closed for longer than its books must be kept is erased: from then on it is called nothing, and its rows are
//! blanked step by step.

use rust_decimal::Decimal;
use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use crate::domain::account::AccountStatus;
use crate::domain::erasure::Erasure;
use crate::domain::ids::AccountId;
use crate::domain::mutation::Mutation;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};

/// Blanks what names a person.
#[derive(Debug, Clone, Serialize)]
pub struct EraseAccount {
    pub reason: String,
    /// The operator who asks; whoever repeats it with the key may be another.
    #[serde(skip)]
    pub by: String,
}

impl Decide for EraseAccount {
    const MUTATION: Option<Mutation> = Some(Mutation::named("eraseAccount"));

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.erasing.push(account);
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        require_over(draft)?;
        let namespace = draft.catalogue.keys.digest(&draft.account.namespace);
        draft.erase(Erasure {
            account: draft.account.id,
            reason: self.reason.clone(),
            by: self.by.clone(),
            at: draft.instant,
            namespace,
        });
        Ok(Outcome::default())
    }
}

/// Refuses to erase what may still be needed.
fn require_over(draft: &Draft<'_>) -> Result<(), Refusal> {
    let conflict = |message: String| Err(Refusal::new(RefusalCode::Conflict, "accountId", message));
    let closed_at = draft.account.closed_at.filter(|_| draft.account.status == AccountStatus::Closed);
    let Some(closed_at) = closed_at else { return conflict("the account is not closed".to_owned()) };
    let kept_until = closed_at.checked_add_signed(draft.catalogue.policies.books_kept);
    if kept_until.is_none_or(|until| until > draft.instant) {
        let until =
            kept_until.map_or_else(|| "for ever".to_owned(), |until| format!("until {}", until.to_rfc3339()));
        return conflict(format!("its books are kept {until}"));
    }
    // What is less than can be paid out stays.
    let left = draft.currency.truncate_to_display(draft.account.balance);
    if left > Decimal::ZERO {
        let left = draft.currency.format(left);
        return conflict(format!(
            "{left} {} is left on its balance: it is paid out first",
            draft.currency.code
        ));
    }
    match &draft.book.unsettled {
        Some(what) => conflict(format!("it has {what}: it is settled, decided or made void first")),
        None => Ok(()),
    }
}
