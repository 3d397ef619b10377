use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::account::Account;
use super::money::Money;
use crate::domain;
use crate::graphql::enums::ApprovalState;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::pagination::connection;
use crate::graphql::runtime::eager::{Inline, ResolveEagerly};
use crate::graphql::scalars::Instant;

/// What one operator has asked for and another has to allow.
pub struct Approval(pub Arc<domain::approval::Approval>);

connection!(
    ApprovalConnection,
    ApprovalEdge,
    Approval,
    domain::approval::Approval,
    |row: &Arc<domain::approval::Approval>| row.id.uuid(),
    "approvals"
);

impl ResolveEagerly for Approval {
    const DEFERRED_FIELDS: &'static [&'static str] = &["account"];
}

/// What one operator has asked for and another has to allow.
#[Object]
impl Approval {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The mutation that was asked for, by its name in this schema.
    async fn mutation(&self) -> &str {
        self.0.mutation.name()
    }

    /// What it was asked with, as JSON in the words of its input; the account stands beside it, and the key is its own.
    async fn input(&self) -> &str {
        &self.0.input
    }

    /// What it came to when it was asked for: the money that would move, or the new credit limit. It is carried out for no more.
    async fn amount(&self) -> Inline<Money> {
        Money::inline(self.0.money)
    }

    /// The operator who has asked: the subject of the token.
    async fn asked_by(&self) -> &str {
        &self.0.asked_by
    }

    /// When it was asked for.
    async fn asked_at(&self) -> Instant {
        Instant(self.0.asked_at)
    }

    /// Its state: open, decided or expired.
    async fn state(&self) -> ApprovalState {
        self.0.state.into()
    }

    /// When it expires; null once it is over.
    async fn expires_at(&self) -> Option<Instant> {
        self.0.next_step_at.map(Instant)
    }

    /// The operator who has decided; null also of what has expired.
    async fn decided_by(&self) -> Option<&str> {
        self.0.decided_by.as_deref()
    }

    /// When it was decided on, or has expired.
    async fn decided_at(&self) -> Option<Instant> {
        self.0.decided_at.map(Instant)
    }

    /// What was said with the decision.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The account that it is about.
    async fn account(&self, ctx: &Context<'_>) -> Nullable<Account> {
        nullable::load(ctx, Some(self.0.account()), Account).await
    }
}
