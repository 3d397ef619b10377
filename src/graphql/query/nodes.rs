//! Things by their ids, and who asks.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use futures_util::future::join_all;

use crate::domain::ids::NodeId;
use crate::domain::refusal::RefusalCode;
use crate::graphql::error::ApiError;
use crate::graphql::input::argument_id;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::session::{any_session, session};
use crate::graphql::types::node::{self, Node};
use crate::graphql::types::service_config::{FieldCosts, ServiceConfig};
use crate::graphql::types::viewer::Viewer;

/// The ids that `nodes` takes at once.
const NODES_MAX: usize = 100;

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// The thing of that id; null if there is none or it is not the caller's to see.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "An id that this server has given.")] id: ID,
    ) -> Nullable<Node> {
        nullable::of(async {
            let id = argument_id("id", &id, NodeId::parse)?;
            node::load(ctx, id).await
        })
        .await
    }

    /// The things of these ids, in their order; null for what is not there.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 100 ids that this server has given.")] ids: Vec<ID>,
    ) -> async_graphql::Result<Vec<Nullable<Node>>> {
        session(ctx)?;
        if ids.len() > NODES_MAX {
            let message = format!("at most {NODES_MAX} ids");
            return Err(ApiError::of_argument(RefusalCode::LimitExceeded, "ids", message).into());
        }
        let loading = ids
            .iter()
            .map(|id| nullable::of(async { node::load(ctx, argument_id("ids", id, NodeId::parse)?).await }));
        Ok(join_all(loading).await)
    }

    /// Who the token says is asking.
    async fn viewer(&self, ctx: &Context<'_>) -> async_graphql::Result<Viewer> {
        Ok(Viewer(Arc::new(any_session(ctx)?.viewer().clone())))
    }

    /// What this server allows: depth, complexity and what costs how much, page size, body size, currencies.
    async fn service_config(&self, ctx: &Context<'_>) -> async_graphql::Result<ServiceConfig> {
        Ok(ServiceConfig::of(&any_session(ctx)?.app, ctx.data::<FieldCosts>()?))
    }
}
