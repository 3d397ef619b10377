//! Prepayments: offered, taken, bound to apps, renewed, given back.

mod binding;
mod deposit;
mod purchase;
mod quote;
mod renewal;
mod step;

pub(super) use binding::bind;
pub(super) use deposit::count_deposits;
pub(super) use purchase::prepay;
pub(super) use quote::keep_quote;
pub(super) use renewal::{set_auto_renewal, settle_prepayment};
pub(super) use step::step;

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
