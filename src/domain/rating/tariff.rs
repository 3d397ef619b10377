//! What one tariff makes of one resource's quantity.

use rust_decimal::Decimal;

use super::charge::{ChargeBuilder, Label, Trace};
use super::number::{Number, PrecisionExceeded};
use crate::domain::ids::PriceRuleId;
use crate::domain::price_rule::{Tariff, Tier, TierMode};

/// Where a part's units lie on the month's cumulative scale, and for how much of the month its prices hold.
pub struct TierPosition<N> {
    /// The units of the parts before it.
    pub before: N,
    /// Those, and its own.
    pub until: N,
    /// All of the month.
    pub month: N,
    /// The units that packages include: the first ones of the month.
    pub included: N,
    /// Above which blocks are counted: below lie units that were free, or another rule's, in an earlier part.
    pub counted_from: N,
    /// The part's seconds and the month's, where the quantity is one for the whole month.
    pub weight: Option<(Decimal, Decimal)>,
}

impl<N: Number> TierPosition<N> {
    /// The part's own units above what is included: from and to.
    fn charged(&self) -> Result<(N, N), PrecisionExceeded> {
        let from = self.before.larger(&self.included)?.clone();
        let to = self.until.larger(&from)?.clone();
        Ok((from, to))
    }

    /// Whether any of the part's units are above what is included.
    pub fn uses_any(&self) -> Result<bool, PrecisionExceeded> {
        let (from, to) = self.charged()?;
        from.is_less(&to)
    }
}

/// A tier with its end.
struct Span<'t> {
    tier: &'t Tier,
    to: Option<Decimal>,
}

fn spans(tariff: &Tariff) -> impl Iterator<Item = Span<'_>> {
    let ends = tariff.tiers.iter().skip(1).map(|next| Some(next.from)).chain(std::iter::once(None));
    tariff.tiers.iter().zip(ends).map(|(tier, to)| Span { tier, to })
}

/// The tier that covers a quantity: the last that begins below it, or the first.
fn covering<'t, N: Number>(tariff: &'t Tariff, quantity: &N) -> Result<Option<Span<'t>>, PrecisionExceeded> {
    let mut covering = None;
    for span in spans(tariff) {
        if covering.is_none() || N::of(span.tier.from).is_less(quantity)? {
            covering = Some(span);
        }
    }
    Ok(covering)
}

/// What a part's units cost, without flat fees.
pub fn units<N: Number>(
    tariff: &Tariff,
    place: &TierPosition<N>,
    rule: Option<PriceRuleId>,
    follow: &mut impl Trace,
) -> Result<N, PrecisionExceeded> {
    let (from, to) = place.charged()?;
    match tariff.mode {
        TierMode::Graduated => {
            let mut amount = N::zero();
            for span in spans(tariff) {
                let start = N::of(span.tier.from);
                if !start.is_less(&to)? {
                    break;
                }
                let bottom = start.larger(&place.included)?.larger(&place.counted_from)?.clone();
                let low = from.larger(&start)?.clone();
                let high = match span.to {
                    Some(end) => N::of(end).smaller(&to)?.clone(),
                    None => to.clone(),
                };
                if low.is_less(&high)? {
                    let cost = priced(tariff, &span, [&bottom, &low, &high], place, rule, follow)?;
                    amount = amount.plus(&cost)?;
                }
            }
            Ok(amount)
        }
        TierMode::Volume => {
            let net = place.month.minus(place.month.smaller(&place.included)?)?;
            match covering(tariff, &net)? {
                Some(span) if from.is_less(&to)? => {
                    let bottom = place.included.larger(&place.counted_from)?.clone();
                    priced(tariff, &span, [&bottom, &from, &to], place, rule, follow)
                }
                _ => Ok(N::zero()),
            }
        }
    }
}

/// What the units from `low` to `high` cost at a tier's price. Blocks are counted from `bottom`, so that units that are
/// rated in two parts come to as many blocks as in one.
fn priced<N: Number>(
    tariff: &Tariff,
    span: &Span<'_>,
    [bottom, low, high]: [&N; 3],
    place: &TierPosition<N>,
    rule: Option<PriceRuleId>,
    follow: &mut impl Trace,
) -> Result<N, PrecisionExceeded> {
    let (from, to, per) = (span.tier.from, span.to, N::of(tariff.per));
    let quantity = if tariff.round_up {
        let blocks = |end: &N| end.minus(bottom)?.blocks(&per);
        blocks(high)?.minus(&blocks(low)?)?
    } else {
        high.minus(low)?
    };
    let mut amount = quantity.times(&N::of(span.tier.unit_price))?;
    let mut divisor = (!tariff.round_up && tariff.per != Decimal::ONE).then_some(tariff.per);
    if let Some((seconds, of)) = place.weight {
        amount = amount.times(&N::of(seconds))?;
        let whole = divisor.map_or(Ok(N::of(of)), |per| N::of(per).times(&N::of(of)))?;
        amount = amount.over(&whole)?;
        divisor = Some(whole.shown());
    } else if divisor.is_some() {
        amount = amount.over(&per)?;
    }
    let label =
        if tariff.round_up { Label::Blocks { from, to, per: tariff.per } } else { Label::Tier { from, to } };
    let step = || ChargeBuilder {
        quantity: Some(quantity.shown()),
        unit_price: Some(span.tier.unit_price),
        factor: place.weight.map(|(seconds, _)| seconds),
        divisor,
        ..ChargeBuilder::new(label, rule)
    };
    follow.step(step, &amount);
    Ok(amount)
}

/// For each tier with a flat fee that is owed: which of a rule's parts, by its place in `places`, is the first to owe it.
/// GRADUATED owes the fee of every tier that is used, or the first tier's if none is; VOLUME that of one tier.
pub fn flat_fees<'t, N: Number>(
    tariff: &'t Tariff,
    places: &[TierPosition<N>],
) -> Result<Vec<(&'t Tier, usize)>, PrecisionExceeded> {
    let mut owed = Vec::new();
    if tariff.tiers.iter().all(|tier| tier.flat_fee.is_zero()) {
        return Ok(owed);
    }
    let first_in_use = first(places, TierPosition::uses_any)?;
    match tariff.mode {
        TierMode::Graduated if first_in_use.is_some() => {
            for span in spans(tariff).filter(|span| !span.tier.flat_fee.is_zero()) {
                if let Some(part) = first(places, |place| uses(&span, place))? {
                    owed.push((span.tier, part));
                }
            }
        }
        TierMode::Graduated => owed.extend(tariff.tiers.first().map(|tier| (tier, 0))),
        TierMode::Volume => {
            let part = first_in_use.unwrap_or(0);
            let Some(place) = places.get(part) else { return Ok(owed) };
            let net = place.month.minus(place.month.smaller(&place.included)?)?;
            owed.extend(covering(tariff, &net)?.map(|span| (span.tier, part)));
        }
    }
    owed.retain(|(tier, _)| !tier.flat_fee.is_zero());
    Ok(owed)
}

fn first<N>(
    places: &[TierPosition<N>],
    is_so: impl Fn(&TierPosition<N>) -> Result<bool, PrecisionExceeded>,
) -> Result<Option<usize>, PrecisionExceeded> {
    for (index, place) in places.iter().enumerate() {
        if is_so(place)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Whether any of the part's units above what is included lie in the tier.
fn uses<N: Number>(span: &Span<'_>, place: &TierPosition<N>) -> Result<bool, PrecisionExceeded> {
    let (from, to) = place.charged()?;
    let start = N::of(span.tier.from);
    let high = match span.to {
        Some(end) => N::of(end).smaller(&to)?.clone(),
        None => to,
    };
    from.larger(&start)?.is_less(&high)
}
