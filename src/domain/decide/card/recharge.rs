//! A card is to be charged for the balance.

use super::super::draft::Draft;
use super::super::{Made, payment};
use super::{Wish, kept, want};
use crate::domain::command::RechargeByCard;
use crate::domain::payment::PaymentPurpose;
use crate::domain::refusal::Refusal;

pub(in crate::domain::decide) fn recharge(
    draft: &mut Draft<'_>,
    recharge: &RechargeByCard,
) -> Result<Made, Refusal> {
    payment::require_taken(draft, recharge.amount)?;
    draft.require_payable("amount", recharge.amount)?;
    let card = kept(draft, recharge.method)?.as_ref().into();
    let wish = Wish {
        purpose: PaymentPurpose::Recharge,
        currency: draft.currency.code,
        amount: recharge.amount,
        description: recharge.reason.clone().unwrap_or_else(|| "Recharge".to_owned()),
        card,
        on_session: true,
        prepayment: None,
        refund_of: None,
        transaction: None,
    };
    let payment = Some(want(draft, wish)?);
    Ok(Made { payment, ..Made::default() })
}
