//! The price rules of an account, or of everyone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::try_join;

use crate::domain::account::Account;
use crate::domain::ids::AccountId;
use crate::domain::price_rule::PriceRule as DomainRule;
use crate::domain::rating::that_apply;
use crate::domain::refusal::RefusalCode;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::loaders::{DefaultRules, OwnRulesOf};
use crate::graphql::session::Session;
use crate::graphql::types::price_rule::PriceRule;

/// Of an account that the viewer is looking at.
pub async fn of_account(
    session: &Session,
    account: &Account,
    at: Option<DateTime<Utc>>,
) -> ApiResult<Vec<PriceRule>> {
    let loading = (session.load(OwnRulesOf(account.id)), session.load(DefaultRules(())));
    let (own, defaults) = try_join!(loading.0, loading.1)?;
    let rules = that_apply(&own.unwrap_or_default(), &defaults.unwrap_or_default(), account.currency, at);
    Ok(rules.into_iter().map(PriceRule).collect())
}

/// Of the account that an argument names. None: those for everyone, which operators ask for.
pub async fn of(
    session: &Session,
    account: Option<AccountId>,
    at: Option<DateTime<Utc>>,
) -> ApiResult<Vec<PriceRule>> {
    if let Some(id) = account {
        let not_found =
            || ApiError::of_argument(RefusalCode::NotFound, "accountId", "there is no such account");
        let account = session.load(id).await?.ok_or_else(not_found)?;
        return of_account(session, &account, at).await;
    }
    let defaults = session.load(DefaultRules(())).await?.unwrap_or_default();
    let counts = |rule: &&Arc<DomainRule>| at.is_none_or(|at| rule.is_in_force(at));
    Ok(defaults.iter().filter(counts).cloned().map(PriceRule).collect())
}
