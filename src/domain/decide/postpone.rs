//! A job's step that cannot be done now, for a reason that is not the customer's, is told and tried again.

use chrono::{DateTime, TimeDelta, Utc};

use super::draft::Draft;
use crate::domain::notice::NoticeKind;
use crate::domain::refusal::{Refusal, RefusalCode};

/// A step that cannot be done is tried again after this time.
const LATER: TimeDelta = TimeDelta::days(1);

/// Tells that `subject` (an id), called `name`, could not be looked after, and answers when it is tried again.
pub(super) fn postpone(
    draft: &mut Draft<'_>,
    name: &str,
    subject: String,
    refusal: &Refusal,
) -> Result<DateTime<Utc>, Refusal> {
    let message = format!("{name} could not be looked after: {}.", refusal.message);
    draft.notify(NoticeKind::JobFailed, message, subject)?;
    let later = draft.instant.checked_add_signed(LATER);
    later.ok_or_else(|| Refusal::general(RefusalCode::OutOfRange, "there is no such instant"))
}
