//! An offer is taken: its card is to be charged, or its tokens are waited for.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;

use super::super::card::{self, Wish};
use super::super::decision::Decide;
use super::super::draft::Draft;
use crate::domain::ids::{AccountId, PaymentMethodId, PrepaymentId, QuoteId};
use crate::domain::money::CurrencyCode;
use crate::domain::mutation::Mutation;
use crate::domain::outcome::Outcome;
use crate::domain::payment::PaymentPurpose;
use crate::domain::payment_method::PaymentMethod;
use crate::domain::prepay::{Asset, DepositTo, Means, PrepayQuote, Prepayment};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::spelling::by_value;
use crate::domain::stake::Stake;

/// Takes an offer.
#[derive(Debug, Clone, Serialize)]
pub struct Prepay {
    pub quote: QuoteId,
    /// What the caller takes it to be.
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    pub method: Option<PaymentMethodId>,
    pub auto_renewal: bool,
    /// Where tokens are to go: no part of what is asked.
    #[serde(skip)]
    pub deposit_to: DepositTo,
}

impl Decide for Prepay {
    const MUTATION: Option<Mutation> = Some(Mutation::named("prepay"));
    const STAKE: Option<Stake> = Some(Stake::Purchase);

    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.quotes.push(self.quote.0);
        reads.methods.extend(self.method.map(|method| method.0));
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        draft.require_active()?;
        let quote = offer(draft, self)?;
        require_free(draft, &quote)?;
        let id = PrepaymentId(draft.next_id()?);
        let taken = if Asset::of(quote.currency).is_some_and(Asset::is_paid_by_card) {
            let method = kept_method(draft, self)?;
            let prepayment = Prepayment::of(id, &quote, Means::Card(method.id), self.auto_renewal);
            return charge(draft, prepayment, &method, true);
        } else {
            let means = Means::Deposit { address: deposit_address(self, quote.currency)?, again_until: None };
            Prepayment::of(id, &quote, means, false)
        };
        let prepayment = draft.put(taken.awaiting_deposit()?);
        Ok(Outcome { prepayment: Some(prepayment), ..Outcome::default() })
    }
}

/// Has a prepayment's card charged.
pub(super) fn charge(
    draft: &mut Draft<'_>,
    prepayment: Prepayment,
    method: &PaymentMethod,
    on_session: bool,
) -> Result<Outcome, Refusal> {
    let wish = Wish {
        purpose: PaymentPurpose::Prepayment,
        currency: prepayment.currency,
        amount: prepayment.amount,
        description: prepayment.title(),
        card: method.into(),
        on_session,
        prepayment: Some(prepayment.id),
        refund_of: None,
        transaction: None,
    };
    let payment = card::want(draft, wish)?;
    let prepayment = draft.put(Prepayment { payment: Some(payment.id), ..prepayment });
    Ok(Outcome { prepayment: Some(prepayment), payment: Some(payment), ..Outcome::default() })
}

/// The offer, if it holds and is what the caller takes it for.
fn offer(draft: &Draft<'_>, wanted: &Prepay) -> Result<Arc<PrepayQuote>, Refusal> {
    let none = || Refusal::new(RefusalCode::NotFound, "quoteId", "there is no such quote");
    let quote = draft.book.prepay_quotes.get(&wanted.quote).ok_or_else(none)?;
    if quote.expires_at <= draft.instant {
        let message = format!("it held until {}", quote.expires_at.format("%Y-%m-%dT%H:%M:%SZ"));
        return Err(Refusal::new(RefusalCode::QuoteExpired, "quoteId", message));
    }
    if wanted.amount != quote.amount {
        let message = format!("{} {} was quoted", quote.amount, quote.currency);
        return Err(Refusal::new(RefusalCode::QuoteMismatch, "amount", message));
    }
    Ok(Arc::clone(quote))
}

/// Refuses an offer that was taken, unless its payment failed or was given back.
fn require_free(draft: &Draft<'_>, quote: &PrepayQuote) -> Result<(), Refusal> {
    let took = |taken: &&Arc<Prepayment>| taken.quote == quote.id && taken.status.holds_offer();
    match draft.book.prepayments.values().find(took) {
        None => Ok(()),
        Some(taken) => {
            let message = format!("prepayment {} has taken it", taken.id);
            Err(Refusal::new(RefusalCode::Conflict, "quoteId", message))
        }
    }
}

fn kept_method(draft: &Draft<'_>, wanted: &Prepay) -> Result<Arc<PaymentMethod>, Refusal> {
    let id = wanted.method.ok_or_else(|| {
        Refusal::new(RefusalCode::Required, "paymentMethodId", "a card is needed to pay in dollars")
    })?;
    card::kept(draft, id).cloned()
}

/// Where the tokens are to go; refuses what only cards can.
fn deposit_address(wanted: &Prepay, asset: CurrencyCode) -> Result<Option<String>, Refusal> {
    if wanted.method.is_some() {
        let message = format!("{asset} is paid to an address, not by a card");
        return Err(Refusal::new(RefusalCode::Invalid, "paymentMethodId", message));
    }
    if wanted.auto_renewal {
        let message = format!("there is no card that could be charged again: it is paid in {asset}");
        return Err(Refusal::new(RefusalCode::Invalid, "autoRenewal", message));
    }
    match &wanted.deposit_to {
        DepositTo::Address(address) => Ok(Some(address.clone())),
        DepositTo::Unreserved => Ok(None),
        DepositTo::Nowhere => {
            let message = format!("this server takes no deposits of {asset}");
            Err(Refusal::new(RefusalCode::Invalid, "quoteId", message))
        }
    }
}
