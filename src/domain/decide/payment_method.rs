//! Payment methods are added and removed.

use std::sync::Arc;

use super::Made;
use super::draft::Draft;
use crate::domain::command::AddPaymentMethod;
use crate::domain::ids::PaymentMethodId;
use crate::domain::payment_method::{METHODS_MAX, PaymentMethod};
use crate::domain::refusal::{Refusal, RefusalCode};

/// Keeps a card. One that is kept already stays as it is.
pub(super) fn add(draft: &mut Draft<'_>, adding: &AddPaymentMethod) -> Result<Made, Refusal> {
    draft.require_open()?;
    let is_same = |kept: &&Arc<PaymentMethod>| {
        (&kept.provider, &kept.token) == (&adding.provider, &adding.token) && kept.removed_at.is_none()
    };
    if let Some(kept) = draft.book.payment_methods.values().find(is_same) {
        return Ok(Made { payment_method: Some(Arc::clone(kept)), ..Made::default() });
    }
    let kept = draft.book.payment_methods.values().filter(|method| method.removed_at.is_none()).count();
    if kept >= METHODS_MAX {
        let message = format!("an account keeps at most {METHODS_MAX} payment methods");
        return Err(Refusal::general(RefusalCode::LimitExceeded, message));
    }
    let method = PaymentMethod {
        id: PaymentMethodId(draft.next_id()?),
        provider: adding.provider.clone(),
        token: adding.token.clone(),
        customer: adding.customer.clone(),
        card: adding.card.clone(),
        removed_at: None,
    };
    let payment_method = Some(draft.put_payment_method(method));
    Ok(Made { payment_method, ..Made::default() })
}

/// Forgets a card. Asking again changes nothing more.
pub(super) fn remove(draft: &mut Draft<'_>, id: PaymentMethodId) -> Result<Made, Refusal> {
    let none = || Refusal::new(RefusalCode::NotFound, "paymentMethodId", "there is no such payment method");
    let kept = draft.book.payment_methods.get(&id).cloned().ok_or_else(none)?;
    if kept.removed_at.is_some() {
        return Ok(Made { payment_method: Some(kept), ..Made::default() });
    }
    let removed = PaymentMethod { removed_at: Some(draft.instant), ..PaymentMethod::clone(&kept) };
    let payment_method = Some(draft.put_payment_method(removed));
    Ok(Made { payment_method, ..Made::default() })
}
