//! Fields that are null where they fail: the error stands at their place, and nothing else of the answer is lost with
//! them. (async-graphql hands what a field's function answers to the field above, whether or not it may be null.)

use async_graphql::Context;
use async_graphql::dataloader::Loader;

use super::error::ApiResult;
use super::runtime::key::{Key, Lookups, Value};
use super::session::session;
use crate::store::error::StoreError;

/// What a field that may be null answers.
pub(super) type Nullable<T> = Option<ApiResult<T>>;

/// What `key` leads to, if there is a key and something that the viewer may see.
pub(super) async fn load<K: Key, T>(
    ctx: &Context<'_>,
    key: Option<K>,
    shown: impl FnOnce(Value<K>) -> T,
) -> Nullable<T>
where
    Lookups: Loader<K, Error = StoreError>,
{
    let key = key?;
    let found = match session(ctx) {
        Ok(session) => session.load(key).await,
        Err(error) => Err(error),
    };
    Some(found.transpose()?.map(shown))
}

/// What is found, if anything is, and it can be.
pub(super) async fn of<T>(found: impl Future<Output = ApiResult<Option<T>>>) -> Nullable<T> {
    found.await.transpose()
}
