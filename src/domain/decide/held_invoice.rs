//! Operators are told of an invoice that cannot be issued.

use super::Made;
use super::draft::Draft;
use crate::domain::command::InvoiceHeldUp;
use crate::domain::notice::NoticeKind;
use crate::domain::refusal::Refusal;

pub(super) fn tell(draft: &mut Draft<'_>, held: &InvoiceHeldUp) -> Result<Made, Refusal> {
    let period = held.period.format("%Y-%m");
    let message = format!("The invoice of {period} is not issued: {}. It is tried again.", held.message);
    draft.notify(NoticeKind::InvoiceHeldUp, message, draft.account.id.to_string())?;
    Ok(Made::default())
}
