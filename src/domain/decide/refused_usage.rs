//! The account's owner is told of usage that was refused.

use super::Made;
use super::draft::Draft;
use crate::domain::command::UsageRefused;
use crate::domain::notice::NoticeKind;
use crate::domain::refusal::Refusal;

pub(super) fn tell(draft: &mut Draft<'_>, refused: &UsageRefused) -> Result<Made, Refusal> {
    let message = format!("Usage was refused: {}.", refused.message);
    draft.notify(NoticeKind::UsageRefused, message, format!("res_{}", refused.resource))?;
    Ok(Made::default())
}
