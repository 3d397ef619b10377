//! Prepayments: offered, taken, bound to apps, renewed, given back.

mod binding;
mod deposit;
mod purchase;
mod quote;
mod renewal;
mod set_auto_renewal;
mod step;

pub use binding::BindApp;
pub use deposit::CountDeposits;
pub use purchase::Prepay;
pub use quote::{KeepQuote, Offer};
pub(super) use renewal::settle_prepayment;
pub use set_auto_renewal::SetPrepaymentRenewal;
pub use step::PrepaymentStep;

use std::sync::Arc;

use super::draft::Draft;
use crate::domain::ids::PrepaymentId;
use crate::domain::prepay::Prepayment;
use crate::domain::refusal::{Refusal, RefusalCode};

/// The prepayment that a command names.
fn named(draft: &Draft<'_>, id: PrepaymentId) -> Result<Arc<Prepayment>, Refusal> {
    let none = || Refusal::new(RefusalCode::NotFound, "prepaymentId", "there is no such prepayment");
    draft.prepayment(id).cloned().ok_or_else(none)
}
