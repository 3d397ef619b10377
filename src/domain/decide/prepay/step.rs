//! What falls due of a prepayment by itself: tokens that did not arrive, money back for what was never bound, the notice of its
//! end, its renewal and its end.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::super::card;
use super::super::decision::Decide;
use super::super::draft::Draft;
use super::super::postpone::postpone;
use super::{deposit, renewal};
use crate::domain::account::AccountStatus;
use crate::domain::ids::{AccountId, PrepaymentId};
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::notice::NoticeKind;
use crate::domain::outcome::Outcome;
use crate::domain::prepay::{Binding, Prepayment, PrepaymentStatus, Quoted, RENEWAL_GRACE};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;

/// Does what is due of a prepayment; `due` as in [`OrderStep`](super::super::OrderStep).
#[derive(Debug, Clone)]
pub struct PrepaymentStep {
    pub prepayment: PrepaymentId,
    pub due: DateTime<Utc>,
    /// What another term would cost, at the prices of now; None if there is no price or no need of one.
    pub renewal: Option<Box<Quoted>>,
}

impl Decide for PrepaymentStep {
    const IS_FOLLOWED: bool = false;

    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.prepayments.push(self.prepayment.0);
    }

    /// Does what is due, if the prepayment still says what it said when it was read.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let still_due =
            |held: &&Arc<Prepayment>| held.next_step_at == Some(self.due) && self.due <= draft.instant;
        let Some(held) = draft.prepayment(self.prepayment).filter(still_due).cloned() else {
            return Ok(Outcome::default());
        };
        let mut attempt = draft.clone();
        let kind = due_of(draft, &held);
        let succeeded = match advance(&mut attempt, &held, kind, self.renewal.as_deref()) {
            Ok(succeeded) => {
                *draft = attempt;
                succeeded
            }
            Err(refusal) => {
                let later = postpone(draft, "A prepayment", held.id.to_string(), &refusal)?;
                draft.put(Prepayment { next_step_at: Some(later), ..Prepayment::clone(&held) });
                false
            }
        };
        let jobs = vec![JobOutcome { kind, succeeded }];
        Ok(Outcome { prepayment: draft.prepayment(held.id).cloned(), jobs, ..Outcome::default() })
    }
}

fn due_of(draft: &Draft<'_>, held: &Prepayment) -> JobKind {
    match (held.status, &held.binding) {
        (PrepaymentStatus::Paid, _) => JobKind::PrepaymentRefund,
        (PrepaymentStatus::Bound, Some(binding)) if draft.instant < binding.term.end => {
            JobKind::PrepaymentExpiry
        }
        (PrepaymentStatus::Bound, Some(binding)) if may_renew(draft, held, binding) => {
            JobKind::PrepaymentRenewal
        }
        _ => JobKind::PrepaymentEnd,
    }
}

/// What is over for longer is not charged for afterwards.
fn may_renew(draft: &Draft<'_>, held: &Prepayment, binding: &Binding) -> bool {
    let open = draft.account.status != AccountStatus::Closed;
    let last = binding.term.end.checked_add_signed(RENEWAL_GRACE);
    held.auto_renewal && open && last.is_none_or(|last| draft.instant < last)
}

fn advance(
    draft: &mut Draft<'_>,
    held: &Prepayment,
    due: JobKind,
    quoted: Option<&Quoted>,
) -> Result<bool, Refusal> {
    match (due, &held.binding) {
        (JobKind::PrepaymentRefund, _) => never_bound(draft, held),
        (JobKind::PrepaymentExpiry, Some(binding)) => tell_of_end(draft, held, binding, quoted),
        (JobKind::PrepaymentRenewal, _) => try_renewal(draft, held, quoted),
        _ if held.status == PrepaymentStatus::AwaitingDeposit => no_deposit(draft, held),
        _ => Ok(end(draft, held)),
    }
}

fn end(draft: &mut Draft<'_>, held: &Prepayment) -> bool {
    draft.put(Prepayment { status: PrepaymentStatus::Expired, next_step_at: None, ..held.clone() });
    true
}

/// The tokens did not arrive in time. What has come is too little, and what comes later is late: somebody has to look at it.
fn no_deposit(draft: &mut Draft<'_>, held: &Prepayment) -> Result<bool, Refusal> {
    let held = deposit::settle(draft, held)?;
    if held.status != PrepaymentStatus::AwaitingDeposit {
        return Ok(true);
    }
    end(draft, &held);
    let message = format!("{} {} did not arrive in time.", held.amount, held.currency);
    draft.notify(NoticeKind::PaymentFailed, message, held.id.to_string())?;
    if let Some(over) = draft.prepayment(held.id).cloned() {
        deposit::settle(draft, &over)?;
    }
    Ok(true)
}

/// Gives a card its money back. Tokens cannot be sent back: there is no private key.
fn never_bound(draft: &mut Draft<'_>, held: &Prepayment) -> Result<bool, Refusal> {
    if held.method().is_some() {
        card::refund_prepayment(draft, held, None, "The prepayment was never bound to an app")?;
        return Ok(true);
    }
    draft.put(Prepayment { next_step_at: None, ..held.clone() });
    let message = format!("{} {} were paid for an app that was never bound.", held.amount, held.currency);
    draft.notify(NoticeKind::DepositUnused, message, held.id.to_string())?;
    Ok(true)
}

/// Tells of the coming end: of one that renews itself only if the price has risen.
fn tell_of_end(
    draft: &mut Draft<'_>,
    held: &Prepayment,
    binding: &Binding,
    quoted: Option<&Quoted>,
) -> Result<bool, Refusal> {
    draft.put(Prepayment { next_step_at: Some(binding.term.end), ..held.clone() });
    // A closed account is told of nothing that it cannot do.
    if draft.account.status == AccountStatus::Closed {
        return Ok(true);
    }
    let end = binding.term.end.with_timezone(&draft.account.time_zone).format("%Y-%m-%d %H:%M %Z");
    let app = &binding.app.id;
    let message = match quoted.filter(|_| held.auto_renewal) {
        Some(quoted) if quoted.usd <= held.usd => return Ok(true),
        Some(quoted) => format!(
            "The prepayment of the app {app} is renewed at {end}; its price has risen from {} to {} USD.",
            held.usd, quoted.usd
        ),
        None if held.auto_renewal => {
            format!(
                "The prepayment of the app {app} ends at {end} and has no price by which it could be renewed."
            )
        }
        None => format!("The prepayment of the app {app} ends at {end} and is not renewed by itself."),
    };
    draft.notify(NoticeKind::PrepaymentExpiring, message, held.id.to_string())?;
    Ok(true)
}

fn try_renewal(draft: &mut Draft<'_>, held: &Prepayment, quoted: Option<&Quoted>) -> Result<bool, Refusal> {
    let mut attempt = draft.clone();
    match renewal::renew(&mut attempt, held, quoted) {
        Ok(()) => {
            *draft = attempt;
            Ok(true)
        }
        Err(refusal) => {
            renewal::try_again(draft, held, &refusal.message)?;
            Ok(false)
        }
    }
}
