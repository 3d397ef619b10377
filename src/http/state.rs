//! What the handlers share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::bodies::Bodies;
use super::heavy::HeavyWork;
use super::persisted::PersistedQueries;
use super::printer::Printer;
use super::token::TokenKey;
use crate::graphql::app::App;
use crate::graphql::{DocumentCache, Executor};
use crate::payments::stripe::webhook::Webhook;

/// What the handlers share.
pub struct HttpState {
    pub(super) app: Arc<App>,
    pub(super) executor: Executor,
    pub(super) documents: DocumentCache,
    /// Queries by their hashes.
    pub(super) persisted: PersistedQueries,
    pub(super) bodies: Arc<Bodies>,
    pub(super) heavy: HeavyWork,
    pub(super) tokens: TokenKey,
    /// What Stripe tells by itself.
    pub(super) stripe_webhook: Webhook,
    pub(super) webhook_bodies: Arc<Bodies>,
    /// Room for the answers to reported usage that wait to be read, in bytes.
    pub(super) usage_answers: Arc<Semaphore>,
    pub(super) printer: Printer,
}
