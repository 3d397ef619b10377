//! Operators are told, once, of what a payment provider and this server do not say alike.

use super::Made;
use super::draft::Draft;
use crate::domain::command::UnmatchedTold;
use crate::domain::notice::NoticeKind;
use crate::domain::refusal::Refusal;

pub(super) fn tell(draft: &mut Draft<'_>, unmatched: &UnmatchedTold) -> Result<Made, Refusal> {
    if draft.tell_once(unmatched.name.clone()) {
        let (_, reference) = &unmatched.name;
        draft.notify(NoticeKind::PaymentUnmatched, unmatched.message.clone(), reference.clone())?;
    }
    Ok(Made::default())
}
