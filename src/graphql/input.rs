//! Inputs: ids read, texts checked, accounts found.

use async_graphql::{ID, InputType, MaybeUndefined};

use super::error::{ApiError, ApiResult, MutationResult};
use super::loaders::Namespace;
use super::scalars::Instant;
use super::session::Session;
use crate::domain::account::Hash;
use crate::domain::fingerprint::fingerprint;
use crate::domain::ids::AccountId;
use crate::domain::money::{Currency, CurrencyCode};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::store::list::Window;

/// A digest of an input as it was given, without its key and without `whose`, the fields that name the key's owner. What is null is as
/// if it had been left out, so that a field that comes later, without a default, changes no digest where nobody names it.
pub(super) fn asked(input: &impl InputType, whose: &[&str]) -> Hash {
    let mut given = input.to_value().into_json().unwrap_or_default();
    if let Some(fields) = given.as_object_mut() {
        fields.retain(|name, _| name != "idempotencyKey" && !whose.contains(&name.as_str()));
    }
    leave_out_nulls(&mut given);
    given.sort_all_objects();
    fingerprint(&given)
}

fn leave_out_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(leave_out_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(leave_out_nulls),
        _ => {}
    }
}

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

/// A search word: whatever people type, within reason. An empty one narrows nothing.
pub(super) fn search(word: Option<String>) -> ApiResult<Option<String>> {
    exact("searchWord", word.filter(|word| !word.is_empty()))
}

/// What a filter's field must be equal to; an empty text is equal to nothing that there is.
pub(super) fn exact(field: &'static str, value: Option<String>) -> ApiResult<Option<String>> {
    let checked = value.map(|value| crate::domain::text::free_text(field, &value)).transpose();
    checked.map_err(|refusal| {
        ApiError::of_argument(refusal.code, "filter", format!("{field}: {}", refusal.message))
    })
}

/// The account that an input names by id or namespace, if the viewer may see it; neither: the caller's own.
pub(super) async fn input_account(
    session: &Session,
    id: Option<&ID>,
    namespace: Option<&str>,
) -> MutationResult<AccountId> {
    let found = match (id, namespace) {
        (Some(_), Some(_)) => {
            let message = "accountId and namespace cannot be used together";
            return Err(Refusal::new(RefusalCode::Invalid, "namespace", message).into());
        }
        (Some(id), None) => {
            let id = input_id("accountId", id, AccountId::parse)?;
            session.repository().sees(id).await.map_err(ApiError::from)?.then_some(id)
        }
        (None, Some(namespace)) => {
            crate::domain::text::code("namespace", namespace)?;
            session.load(Namespace(namespace.to_owned())).await?.map(|account| account.id)
        }
        (None, None) => {
            let message = "an operator has no account of its own: name one by accountId or namespace";
            let none = || Refusal::new(RefusalCode::Required, "accountId", message);
            return Ok(session.viewer().account.ok_or_else(none)?);
        }
    };
    let field = if id.is_some() { "accountId" } else { "namespace" };
    let not_found = || Refusal::new(RefusalCode::NotFound, field, "there is no such account");
    Ok(found.ok_or_else(not_found)?)
}

/// The account that owns what an input names by id, if the viewer may see it.
pub(super) async fn owner(
    session: &Session,
    field: &'static str,
    owner: AccountId,
    what: &str,
) -> MutationResult<AccountId> {
    let none = || Refusal::new(RefusalCode::NotFound, field, format!("there is no such {what}"));
    Ok(session.load(owner).await?.ok_or_else(none)?.id)
}

/// A text of an input, checked if it is there.
pub(super) fn optional<T>(
    value: Option<String>,
    check: impl Fn(&str) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    value.as_deref().map(check).transpose()
}

/// What is to become of something that cannot be taken away: it stays if it is absent.
pub(super) fn changed<T>(field: &'static str, value: MaybeUndefined<T>) -> Result<Option<T>, Refusal> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Err(Refusal::new(RefusalCode::Required, field, "cannot be taken away")),
        MaybeUndefined::Value(value) => Ok(Some(value)),
    }
}

/// What is to become of something that can be taken away: an inner None takes it, and it stays if it is absent.
pub(super) fn or_cleared<T, U>(
    value: MaybeUndefined<T>,
    check: impl FnOnce(T) -> Result<U, Refusal>,
) -> Result<Option<Option<U>>, Refusal> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Ok(Some(None)),
        MaybeUndefined::Value(value) => Ok(Some(Some(check(value)?))),
    }
}

/// The currency of that code, if the server knows it.
pub(super) fn known_currency(
    session: &Session,
    field: &'static str,
    code: CurrencyCode,
) -> Result<Currency, Refusal> {
    session.app.currencies.get(code).copied().ok_or_else(|| {
        Refusal::new(RefusalCode::Invalid, field, format!("this server does not know the currency {code}"))
    })
}
