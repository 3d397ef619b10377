//! A prepayment that renews itself is followed by another one, for the same term, app and card, at the price of that day.

use std::sync::Arc;

use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::super::draft::Draft;
use super::purchase;
use super::quote::{Offer, make_quote};
use crate::domain::ids::PrepaymentId;
use crate::domain::money::OutOfRange;
use crate::domain::notice::NoticeKind;
use crate::domain::payment_method::PaymentMethod;
use crate::domain::prepay::{Means, Prepayment, PrepaymentStatus, Quoted, RENEWAL_GRACE};
use crate::domain::refusal::{Refusal, RefusalCode};

/// A renewal that failed is tried again after this time.
const RETRY: TimeDelta = TimeDelta::days(1);

/// Makes the prepayment that follows, and has the card charged for it. Where it cannot be, says why.
pub(super) fn renew(
    draft: &mut Draft<'_>,
    ending: &Prepayment,
    quoted: Option<&Quoted>,
) -> Result<(), Refusal> {
    draft.require_active()?;
    let none = || Refusal::general(RefusalCode::NotFound, "there is no price for it now");
    let quoted = quoted.filter(|quoted| quoted.usd > Decimal::ZERO).ok_or_else(none)?;
    let method = kept_card(draft, ending)?;
    let offer = Offer {
        currency: ending.currency,
        quoted: quoted.clone(),
        months: ending.months,
        cluster: ending.cluster.clone(),
        chart: ending.chart.clone(),
        limits: ending.limits,
        rate: None,
    };
    let quote = make_quote(draft, &offer)?;
    let id = PrepaymentId(draft.next_id()?);
    let next =
        Prepayment { previous: Some(ending.id), ..Prepayment::of(id, &quote, Means::Card(method.id), true) };
    purchase::charge(draft, next, &method, false)?;
    draft.put(Prepayment { next_step_at: None, ..ending.clone() });
    Ok(())
}

fn kept_card(draft: &Draft<'_>, ending: &Prepayment) -> Result<Arc<PaymentMethod>, Refusal> {
    let none = || Refusal::general(RefusalCode::NotFound, "its card was removed");
    let id = ending.method().ok_or_else(none)?;
    super::super::card::kept(draft, id).cloned().map_err(|_| none())
}

/// A prepayment was paid or was not. The one that it renews is over, or is tried again.
pub(in crate::domain::decide) fn settle_prepayment(
    draft: &mut Draft<'_>,
    settled: Prepayment,
    failure: Option<&str>,
) -> Result<Arc<Prepayment>, Refusal> {
    let previous = settled.previous.and_then(|id| draft.prepayment(id)).cloned();
    let Some((previous, binding)) = previous.and_then(|p| p.binding.clone().map(|binding| (p, binding)))
    else {
        return Ok(draft.put(settled));
    };
    let runs = previous.status == PrepaymentStatus::Bound;
    if let Some(reason) = failure {
        if runs {
            try_again(draft, &previous, reason)?;
        }
        return Ok(draft.put(settled));
    }
    if runs {
        let over = PrepaymentStatus::Expired;
        draft.put(Prepayment { status: over, next_step_at: None, ..Prepayment::clone(&previous) });
    }
    // What was said of automatic renewal meanwhile was said of the one before.
    let renewal = Prepayment { auto_renewal: previous.auto_renewal, ..settled };
    Ok(draft.put(renewal.bound(binding.app, binding.term.end)?))
}

/// Tells that a renewal failed, and when it is tried again; the last time it ends the prepayment.
pub(super) fn try_again(draft: &mut Draft<'_>, ending: &Prepayment, reason: &str) -> Result<(), Refusal> {
    let Some(binding) = &ending.binding else { return Ok(()) };
    let again = draft.instant.checked_add_signed(RETRY).ok_or(OutOfRange)?;
    let last = binding.term.end.checked_add_signed(RENEWAL_GRACE).ok_or(OutOfRange)?;
    let is_over = again >= last || !ending.auto_renewal;
    let message = format!(
        "The prepayment of the app {} could not be renewed: {reason}. {}",
        binding.app.id,
        if is_over { "It is over." } else { "It is tried again tomorrow." }
    );
    draft.notify(NoticeKind::PaymentFailed, message, ending.id.to_string())?;
    let (status, next_step_at) =
        if is_over { (PrepaymentStatus::Expired, None) } else { (ending.status, Some(again)) };
    draft.put(Prepayment { status, next_step_at, ..ending.clone() });
    Ok(())
}
