//! Operators are told of what the check of the ledger has found.

use super::Made;
use super::draft::Draft;
use crate::domain::command::LedgerFaultFound;
use crate::domain::notice::NoticeKind;
use crate::domain::refusal::Refusal;

pub(super) fn tell(draft: &mut Draft<'_>, found: &LedgerFaultFound) -> Result<Made, Refusal> {
    let LedgerFaultFound { kind, message, others } = found;
    let others = match others {
        0 => String::new(),
        count => format!(" There are {count} faults more."),
    };
    let message = format!("The ledger's check found {kind}: {message}.{others} See ledgerHealth.");
    draft.notify(NoticeKind::LedgerFault, message, draft.account.id.to_string())?;
    Ok(Made::default())
}
