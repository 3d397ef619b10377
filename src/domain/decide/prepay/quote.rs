//! Offers of prepayments.

use std::sync::Arc;

use super::super::Made;
use super::super::draft::Draft;
use crate::domain::command::KeepQuote;
use crate::domain::ids::QuoteId;
use crate::domain::money::OutOfRange;
use crate::domain::prepay::{PrepayQuote, QUOTE_HOLDS, QUOTES_MAX};
use crate::domain::refusal::{Refusal, RefusalCode};

/// Keeps what was offered to somebody who asked: few offers of an account hold at once.
pub(in crate::domain::decide) fn keep_quote(
    draft: &mut Draft<'_>,
    offer: &KeepQuote,
) -> Result<Made, Refusal> {
    draft.require_open()?;
    if draft.book.open_quotes >= QUOTES_MAX {
        let message = format!("{QUOTES_MAX} offers hold already: wait until some of them end");
        return Err(Refusal::general(RefusalCode::LimitExceeded, message));
    }
    let prepay_quote = Some(make_quote(draft, offer)?);
    Ok(Made { prepay_quote, ..Made::default() })
}

/// Makes an offer: it holds from now on for a quarter of an hour.
pub(super) fn make_quote(draft: &mut Draft<'_>, offer: &KeepQuote) -> Result<Arc<PrepayQuote>, Refusal> {
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
