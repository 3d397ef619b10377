//! Inputs: ids read, texts checked, accounts found.

use std::sync::Arc;

use async_graphql::ID;

use super::error::{ApiError, ApiResult, MutationResult};
use super::loaders::Namespace;
use super::scalars::Instant;
use super::session::Session;
use crate::domain::account::Account;
use crate::domain::ids::AccountId;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::store::list::Window;

/// The id in a query's argument.
pub(super) fn argument_id<T>(name: &'static str, id: &ID, parse: impl Fn(&str) -> Option<T>) -> ApiResult<T> {
    let parsed = if may_be_kept(id) { parse(id) } else { None };
    parsed.ok_or_else(|| ApiError::of_argument(RefusalCode::Invalid, name, "is not an id of this kind"))
}

/// Whether the database can keep the text: what it cannot keep is not there, and is not asked for.
pub(super) fn may_be_kept(text: &str) -> bool {
    !text.contains('\0')
}

/// The account in a query's `accountId`.
pub(super) fn argument_account(id: Option<ID>) -> ApiResult<Option<AccountId>> {
    id.map(|id| argument_id("accountId", &id, AccountId::parse)).transpose()
}

/// The id in an input's field.
pub(super) fn input_id<T>(
    field: &'static str,
    id: &ID,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, Refusal> {
    parse(id).ok_or_else(|| Refusal::new(RefusalCode::Invalid, field, "is not an id of this kind"))
}

/// A window of time from the two ends that a filter names.
pub(super) fn window(from: Option<Instant>, to: Option<Instant>) -> ApiResult<Window> {
    let window = Window { from: from.map(|instant| instant.0), to: to.map(|instant| instant.0) };
    if let (Some(from), Some(to)) = (window.from, window.to)
        && to < from
    {
        return Err(ApiError::of_argument(RefusalCode::Invalid, "filter", "endTime is before startTime"));
    }
    Ok(window)
}

/// A search word: whatever people type, within reason.
pub(super) fn search(word: Option<String>) -> ApiResult<Option<String>> {
    let Some(word) = word.filter(|word| !word.is_empty()) else { return Ok(None) };
    crate::domain::text::free_text("filter", &word).map(Some).map_err(|refusal| {
        ApiError::of_argument(refusal.code, "filter", format!("searchWord: {}", refusal.message))
    })
}

/// The account that an input names by id or namespace; neither: the caller's own.
pub(super) async fn input_account(
    session: &Session,
    id: Option<&ID>,
    namespace: Option<&str>,
) -> MutationResult<Arc<Account>> {
    let not_found = |field| Refusal::new(RefusalCode::NotFound, field, "there is no such account");
    let found = match (id, namespace) {
        (Some(_), Some(_)) => {
            let message = "accountId and namespace cannot be used together";
            return Err(Refusal::new(RefusalCode::Invalid, "namespace", message).into());
        }
        (Some(id), None) => {
            let id = input_id("accountId", id, AccountId::parse)?;
            session.load(id).await?.ok_or_else(|| not_found("accountId"))
        }
        (None, Some(namespace)) => {
            crate::domain::text::code("namespace", namespace)?;
            let key = Namespace(namespace.to_owned());
            session.load(key).await?.ok_or_else(|| not_found("namespace"))
        }
        (None, None) => match session.viewer().account {
            Some(own) => session.load(own).await?.ok_or_else(|| not_found("accountId")),
            None => {
                let message = "an operator has no account of its own: name one by accountId or namespace";
                Err(Refusal::new(RefusalCode::Required, "accountId", message))
            }
        },
    };
    Ok(found?)
}
