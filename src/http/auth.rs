//! From a request's token to its viewer.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use chrono::{DateTime, Utc};

use super::state::HttpState;
use crate::domain::cell::CellNumber;
use crate::domain::ids::AccountId;
use crate::domain::viewer::{Role, Viewer};
use crate::graphql::error::ApiError;

/// Who asks; no token, a bad one, or one for an account that there is not: UNAUTHENTICATED.
pub(super) async fn viewer(state: &HttpState, headers: &HeaderMap) -> Result<Arc<Viewer>, ApiError> {
    let token = bearer_token(headers)?;
    let claims = state.tokens.verify(token).map_err(|error| ApiError::unauthenticated(error.to_string()))?;
    let role = Role::from_code(&claims.role)
        .ok_or_else(|| ApiError::unauthenticated("the token names a role that there is not"))?;
    let account = match (role, claims.namespace) {
        (Role::Customer, Some(namespace)) => {
            let account = state.app.store.account_of_namespace(namespace).await?;
            // Of an account that a restore has lost, another may have the namespace by now.
            let account = account.filter(|account| !is_outdated(state, *account, claims.iat));
            let account =
                account.ok_or_else(|| ApiError::unauthenticated("the token's account does not exist"))?;
            Some(account)
        }
        (Role::Customer, None) => return Err(ApiError::unauthenticated("the token names no account")),
        (Role::Operator | Role::Auditor | Role::Service, _) => None,
    };
    Ok(Arc::new(Viewer { subject: claims.sub, role, account }))
}

fn is_outdated(state: &HttpState, account: AccountId, made_at: i64) -> bool {
    let made_at = DateTime::from_timestamp(made_at, 0).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let born_in = CellNumber::of_birth(account);
    let mut restorations = state.app.restorations.iter().filter(|(cell, _)| *cell == born_in);
    restorations.any(|(_, restoration)| restoration.outdates(account, made_at))
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, ApiError> {
    let missing = || ApiError::unauthenticated("a token is needed: \"Authorization: Bearer <token>\"");
    let header = headers.get(AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    let (scheme, token) = header.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}
