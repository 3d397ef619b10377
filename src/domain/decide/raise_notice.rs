//! Somebody is told of what happened in the background: an account's owner, or operators.

use super::decision::Decide;
use super::draft::Draft;
use crate::domain::ids::AccountId;
use crate::domain::notice::NoticeKind;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;
use crate::domain::reversal::ProviderReference;

/// Raises a notice.
#[derive(Debug, Clone)]
pub struct RaiseNotice {
    pub kind: NoticeKind,
    pub message: String,
    /// What it is about; None: the account.
    pub subject: Option<String>,
    /// What is told of once only: nothing is raised where it was told of before.
    pub once: Option<ProviderReference>,
}

impl RaiseNotice {
    pub fn about_account(kind: NoticeKind, message: String) -> Self {
        Self { kind, message, subject: None, once: None }
    }
}

impl Decide for RaiseNotice {
    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.unmatched.extend(self.once.iter().map(|name| (account, name.clone())));
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        if self.once.as_ref().is_none_or(|name| draft.tell_once(name.clone())) {
            let subject = self.subject.clone().unwrap_or_else(|| draft.account.id.to_string());
            draft.notify(self.kind, self.message.clone(), subject)?;
        }
        Ok(Outcome::default())
    }
}
