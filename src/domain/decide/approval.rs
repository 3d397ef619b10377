//! What is above an amount waits for another operator, and is carried out with his decision: both are one change.

use std::sync::Arc;

use super::draft::Draft;
use super::{Decision, Made, carry_out};
use crate::domain::account::Account;
use crate::domain::approval::{
    Approval, ApprovalPolicy, ApprovalState, OperatorMove, PENDING_MAX, input_of, weighed_field,
};
use crate::domain::command::{
    Action, ApprovalStep, Command, DecideApproval, Done, JobDone, JobKind, Mutation,
};
use crate::domain::ids::ApprovalId;
use crate::domain::money::{self, Money, OutOfRange};
use crate::domain::notice::NoticeKind;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;

/// What is too much for the operator who asks.
pub(super) struct Excess<'a> {
    mutation: Mutation,
    money: Money,
    by: &'a str,
    policy: &'a ApprovalPolicy,
}

/// Weighs what a command has come to: whether that is too much for the operator who asks. What is not is noted, as it counts for
/// a day.
pub(super) fn weigh<'a>(
    draft: &mut Draft<'a>,
    command: &'a Command,
    made: &Made,
) -> Result<Option<Excess<'a>>, OutOfRange> {
    let policy = draft.catalogue.policies.approvals.as_deref();
    let (Some(by), Some(policy), Some(mutation)) =
        (command.asked_by.as_deref(), policy, command.action.mutation())
    else {
        return Ok(None);
    };
    let excess = |money| Ok(Some(Excess { mutation, money, by, policy }));
    let Some(money) = weight(draft, &command.action, made) else { return Ok(None) };
    let alone = policy.alone_up_to(money.currency);
    let Some(moved) = &made.transaction else {
        return if money.amount > alone { excess(money) } else { Ok(None) };
    };
    if money::add(draft.book.moved_alone(by, money.currency), money.amount)? > alone {
        return excess(money);
    }
    draft.note_move(OperatorMove { transaction: moved.id, by: by.to_owned(), money });
    Ok(None)
}

/// What an action that is weighed has come to: the money that it moves, or the credit limit that it raises.
fn weight(draft: &Draft<'_>, action: &Action, made: &Made) -> Option<Money> {
    match action {
        Action::Refund(_) | Action::AdjustBalance(_) | Action::PayOut(_) => {
            made.transaction.as_ref().map(|moved| Money::new(moved.amount, moved.currency))
        }
        Action::UpdateAccount(_) => raised_limit(&draft.book.account, &draft.account),
        _ => None,
    }
}

/// The new credit limit of an account, if it is higher than before.
fn raised_limit(before: &Account, after: &Account) -> Option<Money> {
    let limit = after.credit_limit.unwrap_or_default();
    (limit > before.credit_limit.unwrap_or_default()).then(|| Money::new(limit, after.currency))
}

/// Keeps what is too much for one operator, until another decides. `draft` is a new one: nothing else becomes of the command.
pub(super) fn ask(mut draft: Draft<'_>, command: &Command, excess: &Excess<'_>) -> Result<Decision, Refusal> {
    let Excess { mutation, money, by, policy } = *excess;
    let alone = shown(&draft, Money::new(policy.alone_up_to(money.currency), money.currency));
    let refused = |code, message: String| Err(Refusal::new(code, weighed_field(mutation), message));
    let Some(input) = input_of(&command.action) else {
        let message =
            format!("above {alone} another operator has to allow it: ask for it without other changes");
        return refused(RefusalCode::Invalid, message);
    };
    if text::name("subject", by).is_err() {
        let message = format!(
            "above {alone} another operator has to allow it, and your token does not say who you are"
        );
        return refused(RefusalCode::ApprovalNeeded, message);
    }
    // A key has been looked up before.
    let same =
        draft.book.pending_approvals().find(|held| command.key.is_none() && held.is_for(mutation, &input));
    if let Some(waiting) = same {
        return Ok(Decision { done: Done::Awaits(Arc::clone(waiting)), change: None });
    }
    if draft.book.pending_approvals().count() >= PENDING_MAX {
        let message = format!("{PENDING_MAX} approvals of the account are pending already");
        return refused(RefusalCode::LimitExceeded, message);
    }
    if command.dry_run {
        return refused(
            RefusalCode::ApprovalNeeded,
            format!("above {alone} another operator has to allow it"),
        );
    }
    let expires_at = draft.instant.checked_add_signed(policy.expires_after).ok_or(OutOfRange)?;
    let id = ApprovalId(draft.next_id()?);
    let approval = draft.put_approval(Approval {
        id,
        mutation,
        input,
        money,
        key: command.key.clone(),
        asked_by: by.to_owned(),
        asked_at: draft.instant,
        state: ApprovalState::Pending,
        decided_by: None,
        decided_at: None,
        reason: None,
        next_step_at: Some(expires_at),
    });
    let message =
        format!("{by} asks for {mutation} ({}): another operator has to allow it.", shown(&draft, money));
    draft.notify(NoticeKind::ApprovalNeeded, message, id.to_string())?;
    Ok(draft.wait(command, approval))
}

fn shown(draft: &Draft<'_>, Money { amount, currency }: Money) -> String {
    let places = draft.catalogue.currencies.get(currency).map_or(0, |known| known.display_scale);
    format!("{} {currency}", money::format_decimal(amount, places))
}

/// Carries out what was asked for, or rejects it.
pub(super) fn decide(draft: &mut Draft<'_>, decision: &DecideApproval) -> Result<Made, Refusal> {
    let held = pending(draft, decision.approval)?;
    let ended = |state| Approval {
        decided_by: Some(decision.by.clone()),
        reason: decision.reason.clone(),
        ..held.ended(state, draft.instant)
    };
    if !decision.approve {
        let rejected = ended(ApprovalState::Rejected);
        return Ok(Made { approval: Some(draft.put_approval(rejected)), ..Made::default() });
    }
    if draft.book.altered_approvals.contains(&held.id) {
        let message =
            "it is not what a server has written, so it can only be rejected: have it asked for anew";
        return Err(Refusal::new(RefusalCode::Conflict, "approvalId", message));
    }
    let done = ended(ApprovalState::Done);
    let made = carry_out(draft, &decision.asked).map_err(|refusal| refusal.about("approvalId"))?;
    require_no_more(draft, &held, weight(draft, &decision.asked, &made))?;
    let made = Made { approval: Some(draft.put_approval(done)), ..made };
    draft.answer_key_of(&held, &decision.asked, &made);
    Ok(made)
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

/// Gives up what nobody has decided on in time, and tells operators.
pub(super) fn expire(draft: &mut Draft<'_>, step: &ApprovalStep) -> Result<Made, Refusal> {
    let is_due = |held: &&Arc<Approval>| held.next_step_at == Some(step.due) && step.due <= draft.instant;
    let Some(held) = draft.book.approvals.get(&step.approval).filter(is_due).cloned() else {
        return Ok(Made::default());
    };
    draft.put_approval(held.ended(ApprovalState::Expired, draft.instant));
    let message =
        format!("Nobody has decided in time on what {} has asked for: {}.", held.asked_by, held.mutation);
    draft.notify(NoticeKind::ApprovalExpired, message, held.id.to_string())?;
    Ok(Made { jobs: vec![JobDone { kind: JobKind::ApprovalExpiry, succeeded: true }], ..Made::default() })
}
