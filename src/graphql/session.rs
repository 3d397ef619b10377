//! One request: who asks, and the loaders that look things up for it.

use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::Loader;
use async_graphql::parser::types::OperationType;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use tokio::time::Instant;

use super::app::App;
use super::error::{ApiError, ApiResult};
use super::runtime::key::{Key, Lookups, Value};
use super::runtime::request_loader::RequestLoader;
use crate::domain::label::Language;
use crate::domain::money::Money;
use crate::domain::viewer::{Role, Viewer};
use crate::store::access::Repository;
use crate::store::error::StoreError;

/// A request's own view of the server.
pub struct Session {
    pub app: Arc<App>,
    /// The language that labels are answered in.
    pub language: Language,
    /// When the request arrived.
    pub arrived: Instant,
    lookups: Arc<RequestLoader>,
}

impl Session {
    pub fn new(app: Arc<App>, language: Language, arrived: Instant, lookups: Arc<RequestLoader>) -> Self {
        Self { app, language, arrived, lookups }
    }

    pub fn repository(&self) -> &Repository {
        self.lookups.repository()
    }

    pub fn viewer(&self) -> &Viewer {
        self.repository().viewer()
    }

    /// Looks something up. Boxed, because a type's fields share one future that is as large as the largest of them, and
    /// every field is made one.
    pub fn load<K: Key>(&self, key: K) -> BoxFuture<'_, ApiResult<Option<Value<K>>>>
    where
        Lookups: Loader<K, Error = StoreError>,
    {
        async move { Ok(self.lookups.load(key).await?) }.boxed()
    }

    /// Looks several things up; what is not there is left out.
    pub fn load_many<K: Key>(&self, keys: Vec<K>) -> BoxFuture<'_, ApiResult<Vec<Value<K>>>>
    where
        Lookups: Loader<K, Error = StoreError>,
    {
        async move {
            let found = try_join_all(keys.into_iter().map(|key| self.lookups.load(key))).await?;
            Ok(found.into_iter().flatten().collect())
        }
        .boxed()
    }

    /// Money as the API writes it.
    pub fn display_scale(&self, money: &Money) -> u32 {
        self.app.currencies.get(money.currency).map_or(0, |currency| currency.display_scale)
    }
}

/// The request's session, whoever asks; but who only reads has no mutation done.
pub(super) fn any_session<'c>(ctx: &Context<'c>) -> ApiResult<&'c Session> {
    let session = ctx.data::<Session>().map_err(|_| ApiError::internal("a request without a session"))?;
    let changes = ctx.query_env.operation.node.ty == OperationType::Mutation;
    if changes && session.viewer().role == Role::Auditor {
        return Err(ApiError::forbidden("the role AUDITOR reads and nothing else"));
    }
    Ok(session)
}

/// The request's session, for those who may read: everyone but metering agents.
pub(super) fn session<'c>(ctx: &Context<'c>) -> ApiResult<&'c Session> {
    let session = any_session(ctx)?;
    if session.viewer().role == Role::Service {
        return Err(ApiError::forbidden("the role SERVICE records usage and nothing else"));
    }
    Ok(session)
}

/// The request's session, for the provider's people: operators, and those who only read.
pub(super) fn provider_session<'c>(ctx: &Context<'c>) -> ApiResult<&'c Session> {
    let session = session(ctx)?;
    if !session.viewer().is_of_provider() {
        return Err(ApiError::forbidden("this takes the role OPERATOR or AUDITOR"));
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

/// The request's session, for those who report usage: metering agents and operators.
pub(super) fn metering_session<'c>(ctx: &Context<'c>) -> ApiResult<&'c Session> {
    let session = any_session(ctx)?;
    if !session.viewer().may_report_usage() {
        return Err(ApiError::forbidden("this takes the role SERVICE or OPERATOR"));
    }
    Ok(session)
}
