//! Months that were billed are rated again.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{Datelike, NaiveDate};

use crate::domain::closing::RatedMonth;
use crate::domain::decide::{Action, Rerate};
use crate::domain::ids::AccountId;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text::idempotency_key;
use crate::graphql::error::{ApiError, MutationError, MutationResult};
use crate::graphql::input::input_account;
use crate::graphql::payload::{MutationOutcome, answer, submit};
use crate::graphql::scalars::Day;
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::account;
use crate::graphql::types::bill::Bill;
use crate::graphql::types::user_error::UserError;
use crate::jobs::billing::{Unrated, rate_months, to_rate_again};

/// Where usage comes late at the same time, it is read and rated again so often.
const TRIES: u32 = 5;

/// Rates a month again that was billed.
#[derive(InputObject)]
pub struct RerateInput {
    /// The account.
    account_id: ID,
    /// A day of the month, as a rule its first.
    period: Day,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What was billed of the difference.
#[derive(SimpleObject, Default)]
pub struct ReratePayload {
    /// The corrections; none if the month costs what was billed. Null if it was not rated.
    bills: Option<Vec<Bill>>,
    /// Why nothing was rated.
    user_errors: Vec<UserError>,
}

/// The mutations of months that were billed.
#[derive(Default)]
pub struct BillingMutation;

/// The mutations of months that were billed.
#[Object]
impl BillingMutation {
    /// Operators: rates a month that was billed once more, by the price rules of now, and charges or credits the
    /// difference.
    async fn rerate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose month, and which.")] input: RerateInput,
    ) -> async_graphql::Result<ReratePayload> {
        answer(rerate(operator_session(ctx)?, input).await, |made, user_errors| ReratePayload {
            bills: made.map(|made| made.outcome.bill.map(Bill::from).into_iter().collect()),
            user_errors,
        })
    }
}

async fn rerate(session: &Session, input: RerateInput) -> MutationResult<MutationOutcome> {
    let key = idempotency_key(&input.idempotency_key)?;
    let account = input_account(session, Some(&input.account_id), None).await?;
    let period = input.period.0.with_day(1).unwrap_or(input.period.0);
    let is_answered = session.repository().answer(account, key.clone()).await?.is_some();
    let mut tries = TRIES;
    loop {
        // A key that holds an answer is answered by the engine, whatever the month is like by now.
        let rated = if is_answered { None } else { Some(rated_again(session, account, period).await?) };
        let action = Action::Rerate(Box::new(Rerate { period, rated }));
        let done = submit(session, account, &key, input.dry_run, action).await;
        let is_conflict = |refusal: &Refusal| refusal.code == RefusalCode::Conflict;
        match done {
            Err(MutationError::Refused(refusal)) if is_conflict(&refusal) && tries > 0 => {
                tries = tries.saturating_sub(1);
            }
            done => return done,
        }
    }
}

async fn rated_again(session: &Session, account: AccountId, period: NaiveDate) -> MutationResult<RatedMonth> {
    let account = account::load(session, account).await?.0;
    let jobs = session.app.cell_jobs.of(account.id);
    let not_billed = || {
        let message = "the account has no bill of what it used in that month";
        Refusal::new(RefusalCode::Invalid, "period", message)
    };
    let wanted = to_rate_again(jobs, account, period).await?.ok_or_else(not_billed)?;
    let rated = rate_months(jobs, vec![wanted]).await?.pop().ok_or_else(not_billed)?;
    rated.map_err(|why| match why {
        Unrated::OutOfRange => Refusal::new(RefusalCode::OutOfRange, "period", why.to_string()).into(),
        Unrated::Unreadable(error) => error.into(),
        why => ApiError::internal(why).into(),
    })
}
