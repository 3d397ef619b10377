//! What waits for another operator is carried out with his decision, or rejected.

use std::sync::Arc;

use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::weighing::shown;
use crate::domain::account::Hash;
use crate::domain::approval::{Approval, ApprovalState};
use crate::domain::ids::{AccountId, ApprovalId};
use crate::domain::money::Money;
use crate::domain::mutation::Mutation;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};

/// Says whether what waits for another operator is carried out.
#[derive(Debug, Clone, Serialize)]
pub struct DecideApproval<A> {
    pub approval: ApprovalId,
    pub approve: bool,
    pub reason: Option<String>,
    /// The operator who decides; whoever repeats it with the key may be another.
    #[serde(skip)]
    pub by: String,
    /// What waits, as the approval says.
    #[serde(skip)]
    pub asked: A,
}

/// What keys hold as a digest.
pub trait Fingerprinted {
    fn digest(&self) -> Hash;
}

impl<A: Decide + Fingerprinted> Decide for DecideApproval<A> {
    const MUTATION: Option<Mutation> = Some(Mutation::named("decideApproval"));

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.approvals.push(self.approval.0);
        if self.approve {
            self.asked.needs(account, reads);
        }
    }

    /// Carries out what was asked for, or rejects it.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let held = pending(draft, self.approval)?;
        let ended = |state| Approval {
            decided_by: Some(self.by.clone()),
            reason: self.reason.clone(),
            ..held.ended(state, draft.instant)
        };
        if !self.approve {
            let rejected = ended(ApprovalState::Rejected);
            return Ok(Outcome { approval: Some(draft.put(rejected)), ..Outcome::default() });
        }
        if draft.book.altered_approvals.contains(&held.id) {
            let message =
                "it is not what a server has written, so it can only be rejected: have it asked for anew";
            return Err(Refusal::new(RefusalCode::Conflict, "approvalId", message));
        }
        let done = ended(ApprovalState::Done);
        let made = self.asked.decide(draft).map_err(|refusal| refusal.about("approvalId"))?;
        require_no_more(draft, &held, self.asked.weight(draft, &made))?;
        let made = Outcome { approval: Some(draft.put(done)), ..made };
        draft.answer_key_of(&held, self.asked.digest(), &made);
        Ok(made)
    }
}

/// Refuses what has come to more meanwhile than whoever allows it has seen: all that is left, where more has come in.
fn require_no_more(draft: &Draft<'_>, held: &Approval, now: Option<Money>) -> Result<(), Refusal> {
    match now.filter(|now| now.amount > held.money.amount) {
        Some(now) => {
            let (now, asked) = (shown(draft, now), shown(draft, held.money));
            let message = format!("it comes to {now} by now, and {asked} was asked for");
            Err(Refusal::new(RefusalCode::Conflict, "approvalId", message))
        }
        None => Ok(()),
    }
}

/// An approval that is still to be decided on.
fn pending(draft: &Draft<'_>, id: ApprovalId) -> Result<Arc<Approval>, Refusal> {
    let none = || Refusal::new(RefusalCode::NotFound, "approvalId", "there is no such approval");
    let held = draft.book.approvals.get(&id).ok_or_else(none)?;
    let over = match held.next_step_at {
        Some(expires_at) if expires_at > draft.instant => return Ok(Arc::clone(held)),
        Some(_) => ApprovalState::Expired,
        None => held.state,
    };
    Err(Refusal::new(RefusalCode::Conflict, "approvalId", format!("it is {over} already")))
}
