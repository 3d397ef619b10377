//! Operators: exchange rates.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use rust_decimal::Decimal;

use crate::domain::exchange_rate::ExchangeRate as DomainRate;
use crate::domain::ids::AccountId;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::error::MutationResult;
use crate::graphql::input::{asked, known_currency};
use crate::graphql::payload::{answer, attempt};
use crate::graphql::scalars::{Code, Exact, Instant};
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::exchange_rate::ExchangeRate;
use crate::graphql::types::user_error::UserError;
use crate::store::exchange_rates::NewExchangeRate;

/// The highest rate: 10^12.
const RATE_MAX: Decimal = Decimal::from_parts(3_567_587_328, 232, 0, false, 0);
/// The most decimal places of a rate.
const PLACES_MAX: u32 = 18;

/// What one unit of a currency is worth in another: 1 `base` = `rate` `quote`.
#[derive(InputObject)]
pub struct SetExchangeRateInput {
    /// The currency of which one unit is valued.
    base: Code,
    /// The currency in which that unit is valued; another than `base`.
    quote: Code,
    /// How many of `quote` one of `base` is worth: greater than zero, at most 10^12, up to 18 decimal places.
    rate: Exact,
    /// The source of the rate, for people; kept with it.
    source: String,
    /// When it was so; absent: now. Of a pair the rate that was observed last holds.
    observed_at: Option<Instant>,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as keys
    /// count (`serviceConfig.idempotencyKeyDays`). The key is the provider's. Absent: it is done as often as it is asked for.
    idempotency_key: Option<String>,
}

/// The rate that was set.
#[derive(SimpleObject, Default)]
pub struct SetExchangeRatePayload {
    /// The rate.
    exchange_rate: Option<ExchangeRate>,
    /// Why it was not set.
    user_errors: Vec<UserError>,
}

/// The mutations of exchange rates.
#[derive(Default)]
pub struct ExchangeRateMutation;

/// The mutations of exchange rates.
#[Object]
impl ExchangeRateMutation {
    /// Operators: sets what one unit of a currency is worth in another. Earlier rates stay, so that every amount can be checked
    /// again; one that was observed more than an hour ago is not used.
    async fn set_exchange_rate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rate.")] input: SetExchangeRateInput,
    ) -> async_graphql::Result<SetExchangeRatePayload> {
        answer(set(operator_session(ctx)?, input).await, |rate, user_errors| SetExchangeRatePayload {
            exchange_rate: rate.as_ref().map(ExchangeRate::from),
            user_errors,
        })
    }
}

async fn set(session: &Session, input: SetExchangeRateInput) -> MutationResult<DomainRate> {
    let asked = asked(&input, &[]);
    let now = session.app.clock.now();
    let base = known_currency(session, "base", input.base.0)?.code;
    let quote = known_currency(session, "quote", input.quote.0)?.code;
    if base == quote {
        return Err(Refusal::new(RefusalCode::Invalid, "quote", "must be another currency").into());
    }
    let rate = input.rate.value;
    if rate <= Decimal::ZERO {
        return Err(Refusal::new(RefusalCode::Invalid, "rate", "must be greater than zero").into());
    }
    if rate > RATE_MAX {
        return Err(Refusal::new(RefusalCode::OutOfRange, "rate", "must be at most 10^12").into());
    }
    if rate.normalize().scale() > PLACES_MAX {
        let message = format!("has more than {PLACES_MAX} decimal places");
        return Err(Refusal::new(RefusalCode::Invalid, "rate", message).into());
    }
    let observed_at = input.observed_at.map_or(now, |instant| instant.0);
    if observed_at > now {
        return Err(
            Refusal::new(RefusalCode::Invalid, "observedAt", format!("lies ahead: it is {now}")).into()
        );
    }
    let source = text::name("source", &input.source)?;
    let rate = DomainRate { id: 0, base, quote, rate, source, observed_at };
    let attempt = attempt(session, AccountId::PROVIDER, input.idempotency_key.as_deref(), asked)?;
    Ok(session.repository().exchange_rate_set(NewExchangeRate(rate), attempt).await?)
}
