//! What one tariff makes of one resource's quantity.

use rust_decimal::Decimal;

use super::charge::{Draft, Follow, Label};
use super::number::{Number, TooNarrow};
use crate::domain::ids::PriceRuleId;
use crate::domain::price_rule::{Tariff, Tier, TierMode};

/// Where a part's units lie on the month's cumulative scale, and for how much of the month its prices hold.
pub struct Place<N> {
    /// The units of the parts before it.
    pub before: N,
    /// Those, and its own.
    pub until: N,
    /// All of the month.
    pub month: N,
    /// The units that packages include: the first ones of the month.
    pub included: N,
    /// The part's seconds and the month's, where the quantity is one for the whole month.
    pub weight: Option<(Decimal, Decimal)>,
}

impl<N: Number> Place<N> {
    /// The part's own units above what is included: from and to.
    fn charged(&self) -> Result<(N, N), TooNarrow> {
        let from = self.before.larger(&self.included)?.clone();
        let to = self.until.larger(&from)?.clone();
        Ok((from, to))
    }

    /// Whether any of the part's units are above what is included.
    pub fn uses_any(&self) -> Result<bool, TooNarrow> {
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
fn covering<'t, N: Number>(tariff: &'t Tariff, quantity: &N) -> Result<Option<Span<'t>>, TooNarrow> {
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
    place: &Place<N>,
    rule: Option<PriceRuleId>,
    follow: &mut impl Follow,
) -> Result<N, TooNarrow> {
    let (from, to) = place.charged()?;
    match tariff.mode {
        TierMode::Graduated => {
            let mut amount = N::zero();
            for span in spans(tariff) {
                let start = N::of(span.tier.from);
                if !start.is_less(&to)? {
                    break;
                }
                let bottom = start.larger(&place.included)?.clone();
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
                    let bottom = place.included.clone();
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
    place: &Place<N>,
    rule: Option<PriceRuleId>,
    follow: &mut impl Follow,
) -> Result<N, TooNarrow> {
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
    let step = || Draft {
        quantity: Some(quantity.shown()),
        unit_price: Some(span.tier.unit_price),
        factor: place.weight.map(|(seconds, _)| seconds),
        divisor,
        ..Draft::new(label, rule)
    };
    follow.step(step, &amount);
    Ok(amount)
}

/// Whether a part uses a tier, so that it owes the tier's flat fee if no earlier part does.
pub fn uses_tier<N: Number>(tariff: &Tariff, tier: usize, place: &Place<N>) -> Result<bool, TooNarrow> {
    let Some(span) = spans(tariff).nth(tier) else { return Ok(false) };
    match tariff.mode {
        TierMode::Graduated => {
            let (from, to) = place.charged()?;
            let start = N::of(span.tier.from);
            let low = from.larger(&start)?;
            let high = match span.to {
                Some(end) => N::of(end).smaller(&to)?.clone(),
                None => to,
            };
            low.is_less(&high)
        }
        TierMode::Volume => {
            let net = place.month.minus(place.month.smaller(&place.included)?)?;
            Ok(covering(tariff, &net)?.is_some_and(|covering| covering.tier.from == span.tier.from))
        }
    }
}
