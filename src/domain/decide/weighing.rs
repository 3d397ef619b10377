//! What is above an amount waits for another operator.

use std::sync::Arc;

use super::draft::Draft;
use crate::domain::approval::{
    Approval, ApprovalPolicy, ApprovalState, OperatorMove, PENDING_MAX, weighed_field,
};
use crate::domain::idempotency::KeyUse;
use crate::domain::ids::ApprovalId;
use crate::domain::money::{self, Money, OutOfRange};
use crate::domain::mutation::Mutation;
use crate::domain::notice::NoticeKind;
use crate::domain::outcome::{Decision, Done, Outcome};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;

/// Who asks, for what, and how.
pub(super) struct Asked<'a> {
    /// The operator, as its token names it.
    pub by: Option<&'a str>,
    pub mutation: Option<Mutation>,
    pub is_dry_run: bool,
}

/// What is too much for the operator who asks.
pub(super) struct Excess<'a> {
    mutation: Mutation,
    money: Money,
    by: &'a str,
    policy: &'a ApprovalPolicy,
    is_dry_run: bool,
}

/// Weighs what a command has come to: whether that is too much for the operator who asks. What is not is noted, as it counts for
/// a day.
pub(super) fn weigh<'a>(
    draft: &mut Draft<'a>,
    asked: Asked<'a>,
    weight: Option<Money>,
    made: &Outcome,
) -> Result<Option<Excess<'a>>, OutOfRange> {
    let policy = draft.catalogue.policies.approvals.as_deref();
    let (Some(by), Some(policy), Some(mutation)) = (asked.by, policy, asked.mutation) else {
        return Ok(None);
    };
    let is_dry_run = asked.is_dry_run;
    let excess = |money| Ok(Some(Excess { mutation: mutation.clone(), money, by, policy, is_dry_run }));
    let Some(money) = weight else { return Ok(None) };
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

/// What moves money weighs what it has moved.
pub(super) fn moved(made: &Outcome) -> Option<Money> {
    made.transaction.as_ref().map(|moved| Money::new(moved.amount, moved.currency))
}

/// Keeps what is too much for one operator, until another decides. `draft` is a new one: nothing else becomes of the command.
/// `input` is what was asked for, if it can be kept; `key` what its key is used for.
pub(super) fn ask(
    mut draft: Draft<'_>,
    excess: &Excess<'_>,
    input: Option<String>,
    key: Option<KeyUse>,
) -> Result<Decision, Refusal> {
    let &Excess { ref mutation, money, by, policy, is_dry_run } = excess;
    let alone = shown(&draft, Money::new(policy.alone_up_to(money.currency), money.currency));
    let refused = |code, message: String| Err(Refusal::new(code, weighed_field(mutation), message));
    let Some(input) = input else {
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
    let same = draft.book.pending_approvals().find(|held| key.is_none() && held.is_for(mutation, &input));
    if let Some(waiting) = same {
        return Ok(Decision { done: Done::Awaits(Arc::clone(waiting)), change: None });
    }
    if draft.book.pending_approvals().count() >= PENDING_MAX {
        let message = format!("{PENDING_MAX} approvals of the account are pending already");
        return refused(RefusalCode::LimitExceeded, message);
    }
    if is_dry_run {
        return refused(
            RefusalCode::ApprovalNeeded,
            format!("above {alone} another operator has to allow it"),
        );
    }
    let expires_at = draft.instant.checked_add_signed(policy.expires_after).ok_or(OutOfRange)?;
    let id = ApprovalId(draft.next_id()?);
    let approval = draft.put(Approval {
        id,
        mutation: mutation.clone(),
        input,
        money,
        key: key.as_ref().map(|key| key.key.clone()),
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
    Ok(draft.wait(key, approval))
}

pub(super) fn shown(draft: &Draft<'_>, Money { amount, currency }: Money) -> String {
    let places = draft.catalogue.currencies.get(currency).map_or(0, |known| known.display_scale);
    format!("{} {currency}", money::format_decimal(amount, places))
}
