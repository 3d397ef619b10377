//! Operators are told, once, of what a payment provider and this server do not say alike.

use super::Made;
use super::draft::Draft;
use crate::domain::command::UnmatchedTold;
use crate::domain::notice::NoticeKind;
use crate::domain::refusal::Refusal;

pub(super) fn tell(draft: &mut Draft<'_>, unmatched: &UnmatchedTold) -> Result<Made, Refusal> {
    let name = (unmatched.provider.clone(), unmatched.reference.clone());
    if draft.tell_once(name) {
        draft.notify(NoticeKind::PaymentUnmatched, unmatched.message.clone(), unmatched.reference.clone())?;
    }
    Ok(Made::default())
}
