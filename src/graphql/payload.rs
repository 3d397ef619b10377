//! Payloads: what a mutation made, or why it did not.

use std::sync::Arc;

use super::error::{ApiResult, MutationError, MutationResult};
use super::session::Session;
use super::types::account;
use super::types::user_error::UserError;
use crate::domain::account::Account;
use crate::domain::bill::Bill;
use crate::domain::command::{Action, Command, Done};
use crate::domain::ids::AccountId;
use crate::domain::order::Order;
use crate::domain::text::idempotency_key;
use crate::domain::transaction::Transaction;
use crate::engine::Urgency;

/// Turns a refusal into a payload with userErrors; faults stay errors.
pub(super) fn answer<T, P>(
    outcome: MutationResult<T>,
    payload: impl FnOnce(Option<T>, Vec<UserError>) -> P,
) -> async_graphql::Result<P> {
    match outcome {
        Ok(made) => Ok(payload(Some(made), Vec::new())),
        Err(MutationError::Refused(refusal)) => Ok(payload(None, vec![refusal.into()])),
        Err(MutationError::Failed(error)) => Err(error.into()),
    }
}

/// What a command made, as committed; after a repeat, as it is now.
pub(super) struct Made {
    pub account: Arc<Account>,
    pub order: Option<Arc<Order>>,
    pub bill: Option<Arc<Bill>>,
    pub transaction: Option<Arc<Transaction>>,
    pub refunded: Option<Arc<Transaction>>,
}

/// Has the engine do it, once for each key.
pub(super) async fn submit(
    session: &Session,
    account: AccountId,
    key: &str,
    dry_run: bool,
    action: Action,
) -> MutationResult<Made> {
    let command = Command { account, key: idempotency_key(key)?, dry_run, action };
    match session.app.engine.submit(command, Urgency::Person).await? {
        Done::Now(outcome) => Ok(Made {
            account: outcome.account,
            order: outcome.order,
            bill: outcome.bill,
            transaction: outcome.transaction,
            refunded: outcome.refunded,
        }),
        Done::Before(answer) => Ok(as_it_is_now(session, account, answer).await?),
    }
}

async fn as_it_is_now(
    session: &Session,
    account: AccountId,
    answer: crate::domain::command::Answer,
) -> ApiResult<Made> {
    let account = account::load(session, account).await?.0;
    let order = match answer.order {
        Some(id) => session.load(id).await?,
        None => None,
    };
    let bill = match answer.bill {
        Some(id) => session.load(id).await?,
        None => None,
    };
    let transaction = match answer.transaction {
        Some(id) => session.load(id).await?,
        None => None,
    };
    let refunded = match transaction.as_ref().and_then(|transaction| transaction.refund_of) {
        Some(id) => session.load(id).await?,
        None => None,
    };
    Ok(Made { account, order, bill, transaction, refunded })
}
