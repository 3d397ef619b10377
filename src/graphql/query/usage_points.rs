//! What an account used of a resource, over time.

use async_graphql::ID;
use chrono::{DateTime, Utc};

use crate::domain::closing::Month;
use crate::domain::refusal::RefusalCode;
use crate::domain::usage::{Granularity, Point, buckets, of_hours};
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::input::{argument_account, may_be_kept};
use crate::graphql::loaders::ResourceCode;
use crate::graphql::session::Session;

/// The most points of one answer: more than the hours of two months.
const POINTS_MAX: usize = 1_500;

/// What is asked for.
pub struct UsageQuestion {
    pub account_id: Option<ID>,
    pub resource: String,
    pub window: (DateTime<Utc>, DateTime<Utc>),
    pub granularity: Granularity,
}

pub async fn usage(session: &Session, asked: UsageQuestion) -> ApiResult<Vec<Point>> {
    let wrong = |code, argument, message: String| ApiError::of_argument(code, argument, message);
    let not_found =
        |argument, what: &str| wrong(RefusalCode::NotFound, argument, format!("there is no such {what}"));
    let own = || {
        let message = "an operator has no account of its own: name one";
        session.viewer().account.ok_or_else(|| wrong(RefusalCode::Required, "accountId", message.to_owned()))
    };
    let account = argument_account(asked.account_id)?.map_or_else(own, Ok)?;
    let account = session.load(account).await?.ok_or_else(|| not_found("accountId", "account"))?;
    let code = Some(asked.resource).filter(|code| may_be_kept(code));
    let resource = match code {
        Some(code) => session.load(ResourceCode(code)).await?,
        None => None,
    };
    let resource = resource.ok_or_else(|| not_found("resource", "resource"))?;
    if asked.window.1 < asked.window.0 {
        return Err(wrong(RefusalCode::Invalid, "endTime", "is before startTime".to_owned()));
    }
    let starts = buckets(asked.window, asked.granularity, account.time_zone, POINTS_MAX)?;
    let message = format!("there are more than {POINTS_MAX} points until then");
    let starts = starts.ok_or_else(|| wrong(RefusalCode::LimitExceeded, "endTime", message))?;
    let (Some(from), Some(until)) = (starts.first().copied(), starts.last().copied()) else {
        return Ok(Vec::new());
    };
    let repository = session.repository();
    if !resource.aggregation.is_gauge() {
        let hours = repository.usage_hours(account.id, &resource, Month { start: from, end: until }).await?;
        return Ok(of_hours(resource.aggregation, &hours, &starts)?);
    }
    let _turn = session.app.forecasts.turn(session.viewer().account).await?;
    // Slots that lie ahead count for nothing.
    let until = until.min(session.app.clock.now());
    match repository.gauge(account.id, &resource.code, &starts, until).await? {
        Some(gauge) => Ok(gauge?.points(resource.aggregation, &starts)?),
        None => Ok(of_hours(resource.aggregation, &[], &starts)?),
    }
}
