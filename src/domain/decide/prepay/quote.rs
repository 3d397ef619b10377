//! Offers of prepayments.

use std::sync::Arc;

use super::super::decision::Decide;
use super::super::draft::Draft;
use crate::domain::account::Hash;
use crate::domain::exchange_rate::ExchangeRate;
use crate::domain::ids::{AccountId, QuoteId};
use crate::domain::money::{CurrencyCode, OutOfRange};
use crate::domain::mutation::{Mutation, QUOTE_PREPAY};
use crate::domain::outcome::Outcome;
use crate::domain::prepay::{Limits, PrepayQuote, QUOTE_HOLDS, QUOTES_MAX, Quoted};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;

/// Keeps what was offered to somebody who asked.
#[derive(Debug, Clone)]
pub struct KeepQuote {
    /// What was asked for, whatever it costs.
    pub asked: Hash,
    pub offer: Offer,
}

/// What an app costs for a term, as it was priced.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The asset that is paid with.
    pub currency: CurrencyCode,
    pub quoted: Quoted,
    pub months: i32,
    pub cluster: String,
    pub chart: String,
    pub limits: Limits,
    pub rate: Option<Arc<ExchangeRate>>,
}

impl Decide for KeepQuote {
    const MUTATION: Option<Mutation> = Some(Mutation::named(QUOTE_PREPAY));
    const STAKE: Option<Stake> = Some(Stake::Setting);

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.offered.push(account);
    }

    /// Few offers of an account hold at once.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        draft.require_open()?;
        if draft.book.open_quotes >= QUOTES_MAX {
            let message = format!("{QUOTES_MAX} offers hold already: wait until some of them end");
            return Err(Refusal::general(RefusalCode::LimitExceeded, message));
        }
        let prepay_quote = Some(make_quote(draft, &self.offer)?);
        Ok(Outcome { prepay_quote, ..Outcome::default() })
    }
}

/// Makes an offer: it holds from now on for a quarter of an hour.
pub(super) fn make_quote(draft: &mut Draft<'_>, offer: &Offer) -> Result<Arc<PrepayQuote>, Refusal> {
    draft.require_open()?;
    let quote = PrepayQuote {
        id: QuoteId(draft.next_id()?),
        currency: offer.currency,
        amount: offer.quoted.amount,
        usd: offer.quoted.usd,
        months: offer.months,
        cluster: offer.cluster.clone(),
        chart: offer.chart.clone(),
        limits: offer.limits,
        rate: offer.rate.clone(),
        steps: offer.quoted.steps.clone(),
        expires_at: draft.instant.checked_add_signed(QUOTE_HOLDS).ok_or(OutOfRange)?,
    };
    Ok(draft.put_prepay_quote(Arc::new(quote)))
}
