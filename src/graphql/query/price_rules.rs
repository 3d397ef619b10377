//! The price rules of an account, or of everyone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::try_join;

use crate::domain::ids::AccountId;
use crate::domain::price_rule::{self, PriceRule as DomainRule};
use crate::domain::refusal::RefusalCode;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::loaders::{DefaultRules, OwnRulesOf};
use crate::graphql::session::Session;
use crate::graphql::types::price_rule::PriceRule;

/// None: those for everyone, which operators ask for.
pub async fn of(
    session: &Session,
    account: Option<AccountId>,
    at: Option<DateTime<Utc>>,
) -> ApiResult<Vec<PriceRule>> {
    let Some(id) = account else {
        let defaults = session.load(DefaultRules(())).await?.unwrap_or_default();
        let counts = |rule: &&Arc<DomainRule>| at.is_none_or(|at| rule.is_in_force(at));
        return Ok(defaults.iter().filter(counts).cloned().map(PriceRule).collect());
    };
    let not_found = || ApiError::of_argument(RefusalCode::NotFound, "accountId", "there is no such account");
    let loading = (session.load(id), session.load(OwnRulesOf(id)), session.load(DefaultRules(())));
    let (account, own, defaults) = try_join!(loading.0, loading.1, loading.2)?;
    let currency = account.ok_or_else(not_found)?.currency;
    let rules = price_rule::that_apply(&own.unwrap_or_default(), &defaults.unwrap_or_default(), currency, at);
    Ok(rules.into_iter().map(PriceRule).collect())
}
