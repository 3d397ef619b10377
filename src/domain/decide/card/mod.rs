//! Cards: charged, and given back to. What is decided here is what is wanted, and what a provider's answer means; the provider
//! itself is asked between the two, outside any transaction.

mod claim;
mod outside;
mod recharge;
mod refund;
mod settle;

pub use claim::ClaimPayment;
pub use outside::BookReversal;
pub use recharge::RechargeByCard;
pub(super) use refund::{GivenBack, refund_prepayment, refund_recharge, refundable, reversal, with_refunded};
pub use settle::SettlePayment;

use std::sync::Arc;

use rust_decimal::Decimal;

use super::draft::Draft;
use crate::domain::ids::{PaymentId, PaymentMethodId, PrepaymentId, TransactionId};
use crate::domain::money::CurrencyCode;
use crate::domain::payment::{ChargedCard, Payment, PaymentPurpose, PaymentState};
use crate::domain::payment_method::PaymentMethod;
use crate::domain::refusal::{Refusal, RefusalCode};

/// What a payment is to be.
pub(super) struct Wish {
    pub purpose: PaymentPurpose,
    pub currency: CurrencyCode,
    pub amount: Decimal,
    pub description: String,
    pub card: ChargedCard,
    pub on_session: bool,
    pub prepayment: Option<PrepaymentId>,
    pub refund_of: Option<PaymentId>,
    pub transaction: Option<TransactionId>,
}

/// Makes a payment that is to be carried on: by whoever asked for it, or else by the jobs.
pub(super) fn want(draft: &mut Draft<'_>, wish: Wish) -> Result<Arc<Payment>, Refusal> {
    let payment = Payment {
        id: PaymentId(draft.next_id()?),
        purpose: wish.purpose,
        state: PaymentState::Created,
        currency: wish.currency,
        amount: wish.amount,
        description: wish.description,
        card: wish.card,
        on_session: wish.on_session,
        prepayment: wish.prepayment,
        refund_of: wish.refund_of,
        transaction: wish.transaction,
        reference: None,
        failure: None,
        action_url: None,
        attempts: 0,
        next_step_at: None,
    };
    let next_step_at =
        if wish.on_session { payment.next_attempt(draft.instant) } else { Some(draft.instant) };
    Ok(draft.put(Payment { next_step_at, ..payment }))
}

/// A payment method that the account keeps.
pub(super) fn kept<'d>(draft: &'d Draft<'_>, id: PaymentMethodId) -> Result<&'d Arc<PaymentMethod>, Refusal> {
    let kept = draft.book.payment_methods.get(&id).filter(|method| method.removed_at.is_none());
    kept.ok_or_else(|| {
        Refusal::new(RefusalCode::NotFound, "paymentMethodId", "the account has no such payment method")
    })
}
