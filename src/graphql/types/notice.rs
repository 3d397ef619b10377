use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::node::{self, Node};
use crate::domain;
use crate::domain::ids::NodeId;
use crate::graphql::enums::NoticeKind;
use crate::graphql::nullable::Nullable;
use crate::graphql::scalars::Instant;

/// Something that an account's owner should look at, until it is acknowledged.
pub struct Notice(pub Arc<domain::notice::Notice>);

/// Something that an account's owner should look at, until it is acknowledged.
#[Object]
impl Notice {
    /// Its id, for acknowledging it.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What it is about.
    async fn kind(&self) -> NoticeKind {
        self.0.kind.into()
    }

    /// What has happened, for people.
    async fn message(&self) -> &str {
        &self.0.message
    }

    /// When it happened.
    async fn at(&self) -> Instant {
        Instant(self.0.at)
    }

    /// The thing that it is about, if there is one.
    async fn subject(&self, ctx: &Context<'_>) -> Nullable<Node> {
        let id = self.0.subject.as_deref().and_then(NodeId::parse)?;
        node::load(ctx, id).await.transpose()
    }
}
