use std::sync::Arc;

use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use futures_util::try_join;
use rust_decimal::Decimal;

use super::money::Money as ShownMoney;
use crate::domain::account::Account;
use crate::domain::closing::{Month, Standstill, rate_on_demand};
use crate::domain::money::{self, Currency, OutOfRange};
use crate::domain::order::Order;
use crate::domain::price_rule::PriceRule;
use crate::domain::rating::{self, price_periods};
use crate::domain::usage::{
    Granularity, Reports, at_this_pace, bucket_start, next_bucket, still_to_come, usage_in,
};
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::input::known_currency;
use crate::graphql::loaders::{DefaultRules, OwnRulesOf};
use crate::graphql::runtime::eager::Inline;
use crate::graphql::scalars::Instant;
use crate::graphql::session::Session;

/// What the running month costs, by the rules in force. It is a calendar month in the account's zone.
#[derive(SimpleObject)]
pub struct Forecast {
    /// What has been used so far. What does not add up, an average or a maximum, is priced for the time that has passed.
    so_far: Inline<ShownMoney>,
    /// What the whole month will cost if it goes on like this.
    at_month_end: Inline<ShownMoney>,
    /// Up to when usage counts.
    as_of: Instant,
}

pub async fn of_account(session: &Session, account: &Account) -> ApiResult<Forecast> {
    let _turn = session.app.forecasts.turn(session.viewer().account).await?;
    let now = session.app.clock.now();
    let currency = known_currency(session, "currency", account.currency)
        .map_err(|refusal| ApiError::internal(refusal.message))?;
    let start = bucket_start(now, Granularity::Month, account.time_zone);
    let end = next_bucket(start, Granularity::Month, account.time_zone)?;
    let reading =
        async { Ok(session.repository().usage_reports(account.id, Month { start, end: now }).await?) };
    let month = Month { start, end };
    let running = async { Ok(session.repository().orders_on_demand(account.id, month).await?) };
    let suspending = async { Ok(session.repository().suspensions(account.id, month).await?) };
    let loading = (session.load(OwnRulesOf(account.id)), session.load(DefaultRules(())));
    let (reports, on_demand, suspended, own, defaults) =
        try_join!(reading, running, suspending, loading.0, loading.1)?;
    let month = RunningMonth {
        reports,
        on_demand,
        standstill: Standstill::of(account, suspended),
        own: own.unwrap_or_default(),
        defaults: defaults.unwrap_or_default(),
        currency,
        limits: (start, now, end),
    };
    let rated = tokio::task::spawn_blocking(move || month.rate()).await.map_err(ApiError::internal)?;
    let (so_far, at_month_end) = rated?;
    let money = |amount| ShownMoney::inline(money::Money::new(amount, account.currency));
    Ok(Forecast { so_far: money(so_far), at_month_end: money(at_month_end), as_of: Instant(now) })
}

/// A month that is not over.
struct RunningMonth {
    reports: Vec<Reports>,
    on_demand: Vec<Order>,
    standstill: Standstill,
    own: Arc<[Arc<PriceRule>]>,
    defaults: Arc<[Arc<PriceRule>]>,
    currency: Currency,
    /// Its beginning, now, and its end.
    limits: (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>),
}

impl RunningMonth {
    /// What it costs so far, and at this pace.
    fn rate(&self) -> Result<(Decimal, Decimal), OutOfRange> {
        let (start, now, end) = self.limits;
        let places = self.currency.display_scale;
        let price_periods = |from, to| price_periods(&self.own, &self.defaults, self.currency.code, from, to);
        let (past, ahead) = (price_periods(start, now), price_periods(now, end));
        let cuts: Vec<DateTime<Utc>> = past
            .iter()
            .map(|price_period| price_period.from)
            .chain(past.last().map(|last| last.to))
            .collect();
        let so_far = usage_in(&self.reports, &cuts)?;
        let seconds = |from: DateTime<Utc>, to: DateTime<Utc>| to.signed_duration_since(from).num_seconds();
        let mut parts: Vec<_> = past.iter().map(|price_period| price_period.part()).collect();
        parts.push(still_to_come(seconds(now, end)));
        let cost_so_far = rating::total(&parts, &so_far, places)?;
        parts.pop();
        parts.extend(ahead.iter().map(|price_period| price_period.part()));
        let seconds_ahead: Vec<i64> =
            ahead.iter().map(|price_period| seconds(price_period.from, price_period.to)).collect();
        let month = at_this_pace(&so_far, seconds(start, now), &seconds_ahead)?;
        let cost_at_end = rating::total(&parts, &month, places)?;
        Ok((
            money::add(cost_so_far, self.on_demand_until(now)?)?,
            money::add(cost_at_end, self.on_demand_until(end)?)?,
        ))
    }

    /// What the orders on demand cost from the month's beginning on.
    fn on_demand_until(&self, end: DateTime<Utc>) -> Result<Decimal, OutOfRange> {
        let month = Month { start: self.limits.0, end };
        let mut cost = Decimal::ZERO;
        for order in &self.on_demand {
            if let Some(rated) = rate_on_demand(order, month, &self.standstill, &self.currency)? {
                cost = money::add(cost, rated.charge.total)?;
            }
        }
        Ok(self.currency.round_to_display(cost))
    }
}
