use std::sync::Arc;

use async_graphql::{Context, Object};

use super::account::Account;
use crate::domain;
use crate::graphql::enums::Role;
use crate::graphql::nullable::{self, Nullable};

/// Who the token says is asking.
pub struct Viewer(pub Arc<domain::viewer::Viewer>);

/// Who the token says is asking.
#[Object]
impl Viewer {
    /// The token's subject.
    async fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What the token allows.
    async fn role(&self) -> Role {
        self.0.role.into()
    }

    /// The account that the token is for; null for operators and metering agents.
    async fn account(&self, ctx: &Context<'_>) -> Nullable<Account> {
        nullable::load(ctx, self.0.account, Account).await
    }
}
