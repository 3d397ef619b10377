//! A prepayment is bound to the app that it is for, once: its term begins.

use super::super::Made;
use super::super::draft::Draft;
use super::named;
use crate::domain::command::BindApp;
use crate::domain::prepay::{Prepayment, PrepaymentStatus};
use crate::domain::refusal::{Refusal, RefusalCode};

/// Binds; the same app again changes nothing more.
pub(in crate::domain::decide) fn bind(draft: &mut Draft<'_>, wanted: &BindApp) -> Result<Made, Refusal> {
    draft.require_open()?;
    let paid = named(draft, wanted.prepayment)?;
    paid.require_same(&wanted.wanted())?;
    if let Some(binding) = &paid.binding {
        if binding.app.id != wanted.app.id {
            let message = format!("it is bound to the app {}", binding.app.id);
            return Err(Refusal::new(RefusalCode::AlreadyBound, "appId", message));
        }
        return Ok(Made { prepayment: Some(paid), ..Made::default() });
    }
    require_paid(&paid)?;
    let bound = draft.put_prepayment(paid.bound(wanted.app.clone(), draft.instant)?);
    Ok(Made { prepayment: Some(bound), ..Made::default() })
}

fn require_paid(prepayment: &Prepayment) -> Result<(), Refusal> {
    let message = match prepayment.status {
        PrepaymentStatus::Paid => return Ok(()),
        PrepaymentStatus::Processing | PrepaymentStatus::AwaitingDeposit => "it is not paid yet",
        PrepaymentStatus::Failed => "its payment failed",
        PrepaymentStatus::Refunded => "it was given back",
        PrepaymentStatus::Expired | PrepaymentStatus::Bound => "it is over",
    };
    Err(Refusal::new(RefusalCode::Conflict, "prepaymentId", message))
}
