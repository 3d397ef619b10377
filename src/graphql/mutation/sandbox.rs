//! The sandbox: time can be moved forward.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use crate::domain::command::JobKind;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::graphql::error::{ApiError, MutationError, MutationResult};
use crate::graphql::payload::answer;
use crate::graphql::scalars::Instant;
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::user_error::UserError;
use crate::jobs::{AdvanceError, Counts, Runs, advance};

/// Moves the server's clock.
#[derive(InputObject)]
pub struct AdvanceClockInput {
    /// Where to: not before now, and at most 400 days ahead.
    to: Instant,
}

/// How many jobs of a kind ran.
#[derive(SimpleObject)]
pub struct JobRun {
    /// The kind: ORDER_PERIOD, ORDER_EXPIRY, ORDER_RENEWAL, ORDER_SUSPENSION, ORDER_END, ORDER_CANCELLATION, BILL_PAYMENT,
    /// BILL_SUSPENSION, MONTH_CLOSING, MONTH_CORRECTION, BURST_CYCLE, PAYMENT, PREPAYMENT_EXPIRY, PREPAYMENT_RENEWAL,
    /// PREPAYMENT_REFUND or PREPAYMENT_END.
    kind: String,
    /// How many did what they are for.
    ran: i32,
    /// How many could not: a renewal or a bill without the money, or a step that is put off by a day. What follows from
    /// that has happened.
    failed: i32,
}

/// What happened on the way.
#[derive(SimpleObject, Default)]
pub struct AdvanceClockPayload {
    /// The time now.
    now: Option<Instant>,
    /// The jobs that ran, by kind.
    jobs: Option<Vec<JobRun>>,
    /// Why the clock was not moved.
    user_errors: Vec<UserError>,
}

/// The sandbox's mutations.
#[derive(Default)]
pub struct SandboxMutation;

/// The sandbox's mutations.
#[Object]
impl SandboxMutation {
    /// Operators, in the sandbox only: moves the server's clock forward and runs every job that falls due on the way, in
    /// order, before it answers.
    async fn advance_clock(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Where to.")] input: AdvanceClockInput,
    ) -> async_graphql::Result<AdvanceClockPayload> {
        let session = operator_session(ctx)?;
        answer(advance_clock(session, input).await, |runs, user_errors| AdvanceClockPayload {
            now: runs.as_ref().map(|_| Instant(session.app.clock.now())),
            jobs: runs.map(told),
            user_errors,
        })
    }
}

fn told(runs: Runs) -> Vec<JobRun> {
    let run = |(kind, counts): (JobKind, Counts)| JobRun {
        kind: kind.code().to_owned(),
        ran: counts.ran,
        failed: counts.failed,
    };
    runs.0.into_iter().map(run).collect()
}

async fn advance_clock(session: &Session, input: AdvanceClockInput) -> MutationResult<Runs> {
    if !session.app.sandbox {
        return Err(ApiError::forbidden("only a sandbox's clock can be moved").into());
    }
    let (jobs, to) = (session.app.jobs.clone(), input.to.0);
    // A caller that leaves does not stop the clock half-way.
    let advancing = tokio::spawn(async move { advance(&jobs, to).await });
    let advanced = advancing.await.map_err(ApiError::internal)?;
    advanced.map_err(|error| match error {
        AdvanceError::Store(error) => MutationError::from(error),
        AdvanceError::Fixed => ApiError::forbidden(error.to_string()).into(),
        AdvanceError::Past(_) => Refusal::new(RefusalCode::Invalid, "to", error.to_string()).into(),
        AdvanceError::TooFar => Refusal::new(RefusalCode::OutOfRange, "to", error.to_string()).into(),
        AdvanceError::Unfinished { .. } => ApiError::new("UNAVAILABLE", error.to_string()).into(),
        AdvanceError::UnderWay => Refusal::general(RefusalCode::Conflict, error.to_string()).into(),
    })
}
