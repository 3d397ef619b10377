//! Usage is reported.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::usage::{EVENTS_MAX, Fault, Outcome};
use crate::graphql::enums::UsageOutcome;
use crate::graphql::error::MutationResult;
use crate::graphql::payload::answer;
use crate::graphql::scalars::{Exact, Instant};
use crate::graphql::session::{Session, metering_session};
use crate::graphql::types::user_error::UserError;
use crate::metering::{Report, Reported};

/// A name with a value.
#[derive(InputObject)]
pub struct AttributeInput {
    /// The name, a code.
    name: String,
    /// The value.
    value: String,
}

/// What a subject of an account used of a resource, or has of it, at an instant.
#[derive(InputObject)]
pub struct UsageEventInput {
    /// The sender's own id of the event, up to 200 characters: the same id for the same account counts once, for ever.
    id: String,
    /// Whose usage it is.
    account_id: Option<ID>,
    /// Whose usage it is, instead of accountId.
    namespace: Option<String>,
    /// A resource's code.
    resource: String,
    /// How much, in the resource's unit; up to 9 decimal places, within 10^14, and no more than its account can be charged for at
    /// once. Negative only where the resource allows corrections.
    quantity: Exact,
    /// When: from 35 days ago, unless the provider says otherwise, to 15 minutes ahead.
    time: Instant,
    /// The thing that used it: a server, a bucket.
    subject: Option<String>,
    /// The datacenter, a code.
    datacenter: Option<String>,
    /// What else is known of it, for example {name: "smp", value: "4"}; up to 20, each name once.
    attributes: Option<Vec<AttributeInput>>,
}

/// Events to be counted.
#[derive(InputObject)]
pub struct RecordUsageInput {
    /// The events, up to 10,000.
    events: Vec<UsageEventInput>,
}

/// What became of an event.
#[derive(SimpleObject)]
pub struct UsageResult {
    /// The event's id.
    id: String,
    /// What became of it.
    outcome: UsageOutcome,
    /// Why it was rejected: the field, and what is wrong with it.
    message: Option<String>,
}

/// What became of the events.
#[derive(SimpleObject, Default)]
pub struct RecordUsagePayload {
    /// What became of each, in the order of the input.
    results: Option<Vec<UsageResult>>,
    /// How many count from now on.
    accepted: Option<i32>,
    /// How many had counted before.
    duplicates: Option<i32>,
    /// How many do not count.
    rejected: Option<i32>,
    /// Why none was looked at.
    user_errors: Vec<UserError>,
}

/// The mutations of usage.
#[derive(Default)]
pub struct UsageMutation;

/// The mutations of usage.
#[Object]
impl UsageMutation {
    /// Metering agents and operators: counts events, each once however often it is sent. An event that is rejected costs
    /// the others nothing. After an error all can be sent again.
    async fn record_usage(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The events.")] input: RecordUsageInput,
    ) -> async_graphql::Result<RecordUsagePayload> {
        let recorded = Box::pin(record_usage(metering_session(ctx)?, input)).await;
        answer(recorded, |results: Option<Vec<UsageResult>>, user_errors| {
            let count = |outcome| {
                let of_outcome = |results: &Vec<UsageResult>| {
                    results.iter().filter(|result| result.outcome == outcome).count()
                };
                results.as_ref().and_then(|results| i32::try_from(of_outcome(results)).ok())
            };
            RecordUsagePayload {
                accepted: count(UsageOutcome::Accepted),
                duplicates: count(UsageOutcome::Duplicate),
                rejected: count(UsageOutcome::Rejected),
                results,
                user_errors,
            }
        })
    }
}

async fn record_usage(session: &Session, input: RecordUsageInput) -> MutationResult<Vec<UsageResult>> {
    if input.events.len() > EVENTS_MAX {
        let message = format!("at most {EVENTS_MAX} events at once");
        return Err(Refusal::new(RefusalCode::LimitExceeded, "events", message).into());
    }
    let ids: Vec<String> = input.events.iter().map(|event| event.id.clone()).collect();
    let reports = input.events.into_iter().map(report).collect();
    let outcomes = session.app.meter.record(reports).await?;
    let result = |(id, outcome): (String, Outcome)| match outcome {
        Outcome::Accepted => UsageResult { id, outcome: UsageOutcome::Accepted, message: None },
        Outcome::Duplicate => UsageResult { id, outcome: UsageOutcome::Duplicate, message: None },
        Outcome::Rejected(why) => UsageResult { id, outcome: UsageOutcome::Rejected, message: Some(why) },
    };
    Ok(ids.into_iter().zip(outcomes).map(result).collect())
}

fn report(event: UsageEventInput) -> Result<Report, Fault> {
    let of = Reported::named(event.account_id.as_deref().map(String::as_str), event.namespace)?;
    let attributes = event.attributes.unwrap_or_default().into_iter();
    Ok(Report {
        id: event.id,
        of,
        resource: event.resource,
        quantity: event.quantity.value,
        time: event.time.0,
        subject: event.subject,
        datacenter: event.datacenter,
        attributes: attributes.map(|attribute| (attribute.name, attribute.value)).collect(),
    })
}
