//! What usage would cost.

use std::sync::Arc;

use async_graphql::{ID, InputObject};
use chrono::TimeDelta;
use rust_decimal::Decimal;

use crate::domain::closing::Month;
use crate::domain::ids::AccountId;
use crate::domain::price_rule::{ENTRIES_MAX, RULES_AT_ONCE_MAX};
use crate::domain::rating::{self, Part, Quantity, RuleInForce, Usage};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::domain::usage::usage_in;
use crate::graphql::error::{ApiError, MutationError, MutationResult};
use crate::graphql::input::{input_id, known_currency};
use crate::graphql::price_input::{Definition, PriceDefinitionInput, unknown_resource};
use crate::graphql::scalars::{Code, Exact, Instant};
use crate::graphql::session::{Session, provider_session};
use crate::graphql::types::charge::Charge;

/// The longest period whose real usage is taken.
const PERIOD_MAX: TimeDelta = TimeDelta::days(366);
/// The most decimal places of a total.
const SCALE_MAX: i32 = 28;

/// How much of a resource was used.
#[derive(InputObject)]
pub struct UsageQuantityInput {
    /// The resource's code.
    resource: String,
    /// How much, in its unit; zero or more.
    quantity: Exact,
}

/// What is to be rated. Either usage, or an account and a past period whose real usage is taken (operators).
#[derive(InputObject)]
pub struct SimulateChargesInput {
    /// The currency of the total. Money in the rules is in it if they name none.
    currency: Code,
    /// The rules, in the order in which they count as set: at most 100.
    rules: Vec<PriceDefinitionInput>,
    /// What was used; each resource once.
    usage: Option<Vec<UsageQuantityInput>>,
    /// Operators: the account whose real usage is taken.
    account_id: Option<ID>,
    /// When the period of that usage begins.
    start_time: Option<Instant>,
    /// When it has ended; not after now, and at most 366 days later.
    end_time: Option<Instant>,
    /// Decimal places of the total, 0 to 28; absent: the currency's display scale.
    scale: Option<i32>,
}

pub async fn simulate(
    session: &Session,
    ctx: &async_graphql::Context<'_>,
    input: SimulateChargesInput,
) -> Result<Charge, ApiError> {
    let currency = input.currency.0;
    if input.account_id.is_some() {
        provider_session(ctx)?;
    }
    let (definitions, usage, places) = read(session, input).await.map_err(MutationError::of_query)?;
    // Up to some hundred milliseconds where it takes fractions: not on a thread that others wait for.
    let rating = tokio::task::spawn_blocking(move || {
        let terms = definitions.iter().map(|definition| &definition.terms);
        let rules = terms.zip(0..).map(|(terms, order)| RuleInForce { id: None, order, terms });
        rating::rate(&[Part { seconds: 1, rules: rules.collect() }], &usage, places)
    });
    let charge = rating.await.map_err(ApiError::internal)??;
    Ok(Charge { charge: Arc::new(charge), currency })
}

async fn read(
    session: &Session,
    input: SimulateChargesInput,
) -> MutationResult<(Vec<Definition>, Vec<Usage>, u32)> {
    let currency = known_currency(session, "currency", input.currency.0)?;
    if input.rules.len() > RULES_AT_ONCE_MAX {
        let message = format!("at most {RULES_AT_ONCE_MAX}");
        return Err(Refusal::new(RefusalCode::LimitExceeded, "rules", message).into());
    }
    let places = match input.scale {
        None => currency.display_scale,
        Some(scale @ 0..=SCALE_MAX) => scale.unsigned_abs(),
        Some(_) => {
            let message = format!("must be from 0 to {SCALE_MAX}");
            return Err(Refusal::new(RefusalCode::Invalid, "scale", message).into());
        }
    };
    let mut definitions = Vec::with_capacity(input.rules.len());
    for (index, rule) in input.rules.into_iter().enumerate() {
        let path = format!("rules.{index}");
        let resolved = rule.resolve(session, Some(currency.code)).await;
        let definition = resolved.map_err(|error| error.within(&path))?;
        if definition.currency.is_some_and(|own| own != currency.code) {
            let message = "must be that of the total";
            return Err(Refusal::new(RefusalCode::CurrencyMismatch, "currency", message)
                .within(&path)
                .into());
        }
        definitions.push(definition);
    }
    let usage = match (input.usage, input.account_id) {
        (Some(usage), None) => {
            require_no_period(input.start_time, input.end_time)?;
            stated_usage(session, usage).await?
        }
        (None, Some(account)) => real_usage(session, &account, input.start_time, input.end_time).await?,
        (Some(_), Some(_)) => {
            let message = "usage and accountId cannot be used together";
            return Err(Refusal::new(RefusalCode::Invalid, "accountId", message).into());
        }
        (None, None) => {
            let message = "usage, or an account and a period, is needed";
            return Err(Refusal::new(RefusalCode::Required, "usage", message).into());
        }
    };
    Ok((definitions, usage, places))
}

/// Refuses a period where usage is stated: it has none.
fn require_no_period(start: Option<Instant>, end: Option<Instant>) -> Result<(), Refusal> {
    let given = [("startTime", start), ("endTime", end)].into_iter().find(|(_, time)| time.is_some());
    let message = "is for an account's real usage; usage that is stated has no period";
    given.map_or(Ok(()), |(field, _)| Err(Refusal::new(RefusalCode::Invalid, field, message)))
}

async fn stated_usage(session: &Session, inputs: Vec<UsageQuantityInput>) -> MutationResult<Vec<Usage>> {
    if inputs.len() > ENTRIES_MAX {
        return Err(
            Refusal::new(RefusalCode::LimitExceeded, "usage", format!("at most {ENTRIES_MAX}")).into()
        );
    }
    let codes: Vec<String> = inputs.iter().map(|input| input.resource.clone()).collect();
    for (index, code) in codes.iter().enumerate() {
        let path = format!("usage.{index}");
        text::code("resource", code).map_err(|refusal| refusal.within(&path))?;
        if codes.iter().take(index).any(|before| before == code) {
            let message = "the resource is named twice";
            return Err(Refusal::new(RefusalCode::Invalid, "resource", message).within(&path).into());
        }
    }
    let known = session.repository().resources(codes).await?;
    let mut usage = Vec::with_capacity(inputs.len());
    for (index, UsageQuantityInput { resource, quantity }) in inputs.into_iter().enumerate() {
        if !known.contains_key(&resource) {
            return Err(unknown_resource(format!("usage.{index}.resource")).into());
        }
        if quantity.value < Decimal::ZERO {
            let field = format!("usage.{index}.quantity");
            return Err(Refusal::new(RefusalCode::Invalid, field, "must not be negative").into());
        }
        usage.push(Usage { resource, quantity: Quantity::Summed(vec![quantity.value]) });
    }
    Ok(usage)
}

/// What the account really used, as one part.
async fn real_usage(
    session: &Session,
    account: &ID,
    start: Option<Instant>,
    end: Option<Instant>,
) -> MutationResult<Vec<Usage>> {
    let id = input_id("accountId", account, AccountId::parse)?;
    let required =
        |field| Refusal::new(RefusalCode::Required, field, "the period of the account's usage is needed");
    let start = start.ok_or_else(|| required("startTime"))?.0;
    let end = end.ok_or_else(|| required("endTime"))?.0;
    if end <= start {
        return Err(Refusal::new(RefusalCode::Invalid, "endTime", "must be after startTime").into());
    }
    if end > session.app.clock.now() {
        return Err(Refusal::new(RefusalCode::Invalid, "endTime", "must not be after now").into());
    }
    if end.signed_duration_since(start) > PERIOD_MAX {
        let message = format!("must be at most {} days after startTime", PERIOD_MAX.num_days());
        return Err(Refusal::new(RefusalCode::OutOfRange, "endTime", message).into());
    }
    let not_found = || Refusal::new(RefusalCode::NotFound, "accountId", "there is no such account");
    let account = session.load(id).await?.ok_or_else(not_found)?;
    let _turn = session.app.forecasts.turn(session.viewer().account).await.map_err(ApiError::from)?;
    let reports = session.repository().usage_reports(account.id, Month { start, end }).await?;
    Ok(usage_in(&reports, &[start, end])?)
}
