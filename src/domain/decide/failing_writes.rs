//! Operators are told of a lane that could not write.

use super::Made;
use super::draft::Draft;
use crate::domain::command::WritesFailing;
use crate::domain::notice::NoticeKind;
use crate::domain::refusal::Refusal;

pub(super) fn tell(draft: &mut Draft<'_>, failing: &WritesFailing) -> Result<Made, Refusal> {
    draft.notify(NoticeKind::WritesFailing, failing.message.clone(), draft.account.id.to_string())?;
    Ok(Made::default())
}
