//! Usage that was recorded and has to count no more.

use std::collections::HashSet;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::fingerprint::fingerprint;
use crate::domain::idempotency::Attempt;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::domain::usage::{ToVoid, VOIDED_AT_ONCE_MAX, Voided, check_id};
use crate::graphql::error::MutationResult;
use crate::graphql::input::input_account;
use crate::graphql::payload::{answer, attempt};
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::user_error::UserError;

/// Takes back events that were recorded.
#[derive(InputObject)]
pub struct VoidUsageInput {
    /// Whose usage it is.
    account_id: Option<ID>,
    /// Whose usage it is, instead of accountId.
    namespace: Option<String>,
    /// The events' ids, as their sender named them, up to 1,000, each once; of a CloudEvent its source and id together.
    event_ids: Vec<String>,
    /// Why, for people: kept with each event.
    reason: String,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What became of the events.
#[derive(SimpleObject, Default)]
pub struct VoidUsagePayload {
    /// How many count no more because of this. Those that had been taken back before are not among them.
    voided: Option<i32>,
    /// The ids under which the account has no event, in the order of the input.
    unknown: Option<Vec<String>>,
    /// Why nothing was taken back.
    user_errors: Vec<UserError>,
}

/// The mutation of usage that counts no more.
#[derive(Default)]
pub struct VoidUsageMutation;

/// The mutation of usage that counts no more.
#[Object]
impl VoidUsageMutation {
    /// Operators: takes back usage that was recorded, as if it had never come. Each event's mark stays, so that it cannot come
    /// again; what was billed for its month is corrected an hour later. Burst that was charged for stays charged.
    async fn void_usage(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which events, and why.")] input: VoidUsageInput,
    ) -> async_graphql::Result<VoidUsagePayload> {
        answer(void_usage(operator_session(ctx)?, input).await, |voided, user_errors| VoidUsagePayload {
            voided: voided.as_ref().and_then(|voided| i32::try_from(voided.count).ok()),
            unknown: voided.map(|voided| voided.unknown),
            user_errors,
        })
    }
}

async fn void_usage(session: &Session, input: VoidUsageInput) -> MutationResult<Voided> {
    let reason = text::name("reason", &input.reason)?;
    require_events(&input.event_ids)?;
    let account = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    let asked = fingerprint(&(account, &input.event_ids, &reason));
    let dry_run = input.dry_run;
    let attempt = Attempt { dry_run, ..attempt(session, account, Some(&input.idempotency_key), asked)? };
    let wanted = ToVoid { account, events: input.event_ids, reason, by: session.viewer().subject.clone() };
    let reason = wanted.reason.clone();
    let voided = session.repository().usage_void(wanted, attempt).await?;
    if !input.dry_run {
        let operator = &session.viewer().subject;
        tracing::info!(%account, %operator, %reason, events = voided.count, "usage is taken back");
    }
    Ok(voided)
}

fn require_events(ids: &[String]) -> Result<(), Refusal> {
    if ids.is_empty() {
        return Err(Refusal::new(RefusalCode::Required, "eventIds", "must not be empty"));
    }
    if ids.len() > VOIDED_AT_ONCE_MAX {
        let message = format!("at most {VOIDED_AT_ONCE_MAX}");
        return Err(Refusal::new(RefusalCode::LimitExceeded, "eventIds", message));
    }
    let mut seen = HashSet::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let wrong = |message| Refusal::new(RefusalCode::Invalid, format!("eventIds.{index}"), message);
        check_id(id).map_err(|fault| wrong(fault.message))?;
        if !seen.insert(id) {
            return Err(wrong("the event is named twice".to_owned()));
        }
    }
    Ok(())
}
