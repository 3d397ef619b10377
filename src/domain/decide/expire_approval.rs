//! What nobody has decided on in time is given up.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use crate::domain::approval::{Approval, ApprovalState};
use crate::domain::ids::{AccountId, ApprovalId};
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::notice::NoticeKind;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;

/// Gives up what nobody has decided on; `due` as in [`OrderStep`](super::OrderStep).
#[derive(Debug, Clone, Serialize)]
pub struct ExpireApproval {
    pub approval: ApprovalId,
    pub due: DateTime<Utc>,
}

impl Decide for ExpireApproval {
    const IS_FOLLOWED: bool = false;

    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.approvals.push(self.approval.0);
    }

    /// Gives up what nobody has decided on in time, and tells operators.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let is_due = |held: &&Arc<Approval>| held.next_step_at == Some(self.due) && self.due <= draft.instant;
        let Some(held) = draft.book.approvals.get(&self.approval).filter(is_due).cloned() else {
            return Ok(Outcome::default());
        };
        draft.put(held.ended(ApprovalState::Expired, draft.instant));
        let message =
            format!("Nobody has decided in time on what {} has asked for: {}.", held.asked_by, held.mutation);
        draft.notify(NoticeKind::ApprovalExpired, message, held.id.to_string())?;
        Ok(Outcome {
            jobs: vec![JobOutcome { kind: JobKind::ApprovalExpiry, succeeded: true }],
            ..Outcome::default()
        })
    }
}
