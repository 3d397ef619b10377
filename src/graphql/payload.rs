//! Payloads: what a mutation made, or why it did not.

use std::sync::Arc;

use super::error::{ApiResult, MutationError, MutationResult};
use super::session::Session;
use super::types::account;
use super::types::order::{self, ScheduledDebit};
use super::types::user_error::UserError;
use crate::domain::account::Account;
use crate::domain::bill::Bill;
use crate::domain::capacity::Quote;
use crate::domain::command::{Action, Command, Done, Outcome};
use crate::domain::ids::AccountId;
use crate::domain::money::OutOfRange;
use crate::domain::order::Order;
use crate::domain::payment_method::PaymentMethod;
use crate::domain::prepay::PrepayQuote;
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
    /// Every debit to come of the order.
    pub schedule: Option<Vec<ScheduledDebit>>,
    /// How a price comes about; None of what was done before.
    pub quote: Option<Quote>,
    /// What was offered.
    pub prepay_quote: Option<Arc<PrepayQuote>>,
    pub payment_method: Option<Arc<PaymentMethod>>,
}

/// Has the engine do it, once for each key.
pub(super) async fn submit(
    session: &Session,
    account: AccountId,
    key: &str,
    dry_run: bool,
    action: Action,
) -> MutationResult<Made> {
    carry_out(session, Command { account, key: Some(idempotency_key(key)?), dry_run, action }).await
}

/// Has the engine do what can be asked for again without harm.
pub(super) async fn submit_repeatable(
    session: &Session,
    account: AccountId,
    action: Action,
) -> MutationResult<Made> {
    carry_out(session, Command { account, key: None, dry_run: false, action }).await
}

async fn carry_out(session: &Session, command: Command) -> MutationResult<Made> {
    let account = command.account;
    match session.app.engine.submit(command, Urgency::Person).await? {
        Done::Now(outcome) => Ok(now(*outcome)?),
        Done::Before(answer) => Ok(as_it_is_now(session, account, answer).await?),
    }
}

fn now(outcome: Outcome) -> Result<Made, OutOfRange> {
    let schedule = match &outcome.order {
        Some(order) => {
            let bills = outcome.open_bills.iter().map(Arc::as_ref);
            Some(order.schedule(bills, outcome.renewal_price)?)
        }
        None => None,
    };
    Ok(Made {
        account: outcome.account,
        order: outcome.order,
        bill: outcome.bill,
        transaction: outcome.transaction,
        refunded: outcome.refunded,
        schedule: schedule.map(|debits| debits.into_iter().map(ScheduledDebit::from).collect()),
        quote: outcome.quote,
        prepay_quote: outcome.prepay_quote,
        payment_method: outcome.payment_method,
    })
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
    let schedule = match &order {
        Some(order) => Some(order::scheduled(session, order).await?),
        None => None,
    };
    let schedule = schedule.map(|debits| debits.into_iter().map(ScheduledDebit::from).collect());
    Ok(Made {
        account,
        order,
        bill,
        transaction,
        refunded,
        schedule,
        quote: None,
        prepay_quote: None,
        payment_method: None,
    })
}
