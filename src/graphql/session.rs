//! One request: who asks, and the loaders that look things up for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader, NoCache};
use async_graphql::runtime::{Timer, TokioSpawner};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::app::App;
use super::error::{ApiError, ApiResult};
use crate::domain::money::Money;
use crate::domain::viewer::{Role, Viewer};
use crate::store::error::StoreError;
use crate::store::repository::Repository;

/// Waits a few turns of the scheduler instead of a time: long enough for a request's own siblings.
struct Turns;

impl Timer for Turns {
    fn delay(&self, _: Duration) -> BoxFuture<'static, ()> {
        async {
            for _ in 0..2 {
                tokio::task::yield_now().await;
            }
        }
        .boxed()
    }
}

/// A request's own view of the server. Its loaders hold no cache, so that what a mutation has changed is read anew;
/// they ask as the viewer, so that what they answer may be shown.
pub struct Session {
    pub app: Arc<App>,
    loader: DataLoader<Repository, NoCache>,
}

impl Session {
    pub fn new(app: Arc<App>, viewer: Arc<Viewer>) -> Self {
        let repository = Repository::new(Arc::clone(&app.store), viewer);
        Self { app, loader: DataLoader::new(repository, TokioSpawner::current(), Turns) }
    }

    pub fn repository(&self) -> &Repository {
        self.loader.loader()
    }

    pub fn viewer(&self) -> &Viewer {
        self.repository().viewer()
    }

    /// Looks something up. Boxed, because a type's fields share one future that is as large as the largest of them, and
    /// every field is made one.
    pub fn load<K>(&self, key: K) -> BoxFuture<'_, ApiResult<Option<<Repository as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Repository: Loader<K, Error = StoreError>,
    {
        async move { Ok(self.loader.load_one(key).await?) }.boxed()
    }

    /// Looks several things up.
    pub fn load_many<K>(
        &self,
        keys: Vec<K>,
    ) -> BoxFuture<'_, ApiResult<HashMap<K, <Repository as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Repository: Loader<K, Error = StoreError>,
    {
        async move { Ok(self.loader.load_many(keys).await?) }.boxed()
    }

    /// Money as the API writes it.
    pub fn display_scale(&self, money: &Money) -> u32 {
        self.app.currencies.get(money.currency).map_or(0, |currency| currency.display_scale)
    }
}

/// The request's session, whoever asks.
pub(super) fn any_session<'c>(ctx: &Context<'c>) -> ApiResult<&'c Session> {
    ctx.data::<Session>().map_err(|_| ApiError::internal("a request without a session"))
}

/// The request's session, for those who may read: everyone but metering agents.
pub(super) fn session<'c>(ctx: &Context<'c>) -> ApiResult<&'c Session> {
    let session = any_session(ctx)?;
    if session.viewer().role == Role::Service {
        return Err(ApiError::forbidden("the role SERVICE records usage and nothing else"));
    }
    Ok(session)
}

/// The request's session, for operators.
pub(super) fn operator_session<'c>(ctx: &Context<'c>) -> ApiResult<&'c Session> {
    let session = session(ctx)?;
    if session.viewer().role != Role::Operator {
        return Err(ApiError::forbidden("this takes the role OPERATOR"));
    }
    Ok(session)
}
