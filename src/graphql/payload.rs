//! Payloads: what a mutation made, or why it did not.

use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::error::{ApiError, ApiResult, MutationError, MutationResult, OUTCOME_UNKNOWN};
use super::runtime::key::{Key, Lookups, Value};
use super::session::Session;
use super::types::account;
use super::types::order::{self, ScheduledDebit};
use super::types::user_error::UserError;
use crate::domain::account::{Account, Hash};
use crate::domain::command::Command;
use crate::domain::decide::Action;
use crate::domain::fingerprint::Fingerprints;
use crate::domain::idempotency::{Attempt, OutcomeIds};
use crate::domain::ids::{AccountId, PaymentMethodId, QuoteId};
use crate::domain::money::OutOfRange;
use crate::domain::mutation::Mutation;
use crate::domain::outcome::{Done, Executed, Outcome};
use crate::domain::payment::{Payment, PaymentPurpose, PaymentState, WAITED_FOR_MAX};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text::idempotency_key;
use crate::engine::Priority;
use crate::store::access::AccessError;
use crate::store::error::StoreError;

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
pub(super) struct MutationOutcome {
    pub account: Arc<Account>,
    /// After a repeat it does not say how a price came about.
    pub outcome: Outcome,
    /// Every debit to come of the order.
    pub schedule: Option<Vec<ScheduledDebit>>,
}

impl MutationOutcome {
    /// Why the card was not charged, or not given back to, if it was not.
    pub fn declined(&self) -> Option<Refusal> {
        let failed = self.outcome.payment.as_ref().filter(|payment| payment.state == PaymentState::Failed)?;
        let reason = failed.failure.clone().unwrap_or_else(|| "it was declined".to_owned());
        let refusal = Refusal::general(RefusalCode::PaymentDeclined, reason);
        let charged = failed.purpose != PaymentPurpose::Refund;
        Some(if charged { refusal.about("paymentMethodId") } else { refusal })
    }
}

/// Has the engine do it, once for each key.
pub(super) async fn submit(
    session: &Session,
    account: AccountId,
    key: &str,
    dry_run: bool,
    action: Action,
) -> MutationResult<MutationOutcome> {
    carry_out(
        session,
        Command { key: Some(idempotency_key(key)?), dry_run, ..asked(session, account, action) },
    )
    .await
}

/// One try to have something written beside the engine, whose key is the account's or the provider's.
pub(super) fn attempt(
    session: &Session,
    owner: AccountId,
    key: Option<&str>,
    asked: impl Into<Fingerprints>,
) -> Result<Attempt, Refusal> {
    let key = key.map(idempotency_key).transpose()?;
    Ok(Attempt { owner, key, asked: asked.into(), dry_run: false, now: session.app.clock.now() })
}

/// Has the engine do what can be asked for again without harm.
pub(super) async fn submit_repeatable(
    session: &Session,
    account: AccountId,
    action: Action,
) -> MutationResult<MutationOutcome> {
    carry_out(session, asked(session, account, action)).await
}

/// The same, once for the key if there is one.
pub(super) async fn submit_with(
    session: &Session,
    account: AccountId,
    key: Option<&str>,
    action: Action,
) -> MutationResult<MutationOutcome> {
    let key = key.map(idempotency_key).transpose()?;
    carry_out(session, Command { key, ..asked(session, account, action) }).await
}

/// What a key has made already, as it is now: nobody need be asked again for what it takes.
pub(super) async fn made_before(
    session: &Session,
    account: AccountId,
    key: Option<&str>,
    mutation: Mutation,
    asked: Hash,
) -> MutationResult<Option<MutationOutcome>> {
    let Some(key) = key else { return Ok(None) };
    let held = session.repository().answer(account, idempotency_key(key)?).await?;
    let Some(record) = held else { return Ok(None) };
    record.require_same(&mutation, &asked.into())?;
    Ok(Some(as_it_is_now(session, account, record.made).await.map_err(done_and_not_told)?))
}

fn asked(session: &Session, account: AccountId, action: Action) -> Command {
    let viewer = session.viewer();
    let asked_by = viewer.is_operator().then(|| viewer.subject.clone());
    Command { asked_by, ..Command::by_itself(account, action) }
}

async fn carry_out(session: &Session, command: Command) -> MutationResult<MutationOutcome> {
    require_stake(session, &command).await?;
    let (account, dry_run) = (command.account, command.dry_run);
    match session.app.engine.submit_of(command, Priority::Interactive, session.arrived).await? {
        Done::Executed(executed) => match &executed.made.payment {
            Some(payment) if !dry_run => {
                advance(session, payment).await;
                as_it_is_now(session, account, executed.made.ids()).await.map_err(done_and_not_told)
            }
            _ => Ok(now(*executed)?),
        },
        Done::Awaits(approval) => {
            tracing::info!(approval = %approval.id, operator = %approval.asked_by, "another operator has to allow it");
            Err(approval.refusal().into())
        }
        Done::Replayed(record) => {
            as_it_is_now(session, account, record.made).await.map_err(done_and_not_told)
        }
    }
}

/// What was made cannot be read now: "not carried out" would not be true.
fn done_and_not_told(error: ApiError) -> MutationError {
    tracing::warn!(code = error.code, message = error.message, "what a command has made could not be read");
    let message = "it was carried out, and cannot be shown now; ask again with the same key";
    MutationError::Failed(ApiError::new(OUTCOME_UNKNOWN, message))
}

/// Refuses what the viewer's own account may not have done, unless its key holds the answer of an earlier time.
async fn require_stake(session: &Session, command: &Command) -> MutationResult<()> {
    let repository = session.repository();
    let refused = match repository.require_stake(command.action.stake(), command.account).await {
        Err(AccessError::Refused(refusal)) => refusal,
        allowed => return Ok(allowed?),
    };
    match &command.key {
        Some(key) if repository.answer(command.account, key.clone()).await?.is_some() => Ok(()),
        _ => Err(refused.into()),
    }
}

fn now(executed: Executed) -> Result<MutationOutcome, OutOfRange> {
    let Executed { account, made: outcome, open_bills, renewal_price, .. } = executed;
    let schedule = match &outcome.order {
        Some(order) => Some(order.schedule(open_bills.iter().map(Arc::as_ref), renewal_price)?),
        None => None,
    };
    let schedule = schedule.map(|debits| debits.into_iter().map(ScheduledDebit::from).collect());
    Ok(MutationOutcome { account, outcome, schedule })
}

async fn as_it_is_now(session: &Session, account: AccountId, made: OutcomeIds) -> ApiResult<MutationOutcome> {
    let (order, bill) = (load(session, made.order).await?, load(session, made.bill).await?);
    let payment = load(session, made.payment).await?;
    let paid = payment.as_ref().and_then(|payment| payment.transaction);
    let transaction = load(session, made.transaction.or(paid)).await?;
    let prepayment = load(session, made.prepayment).await?;
    let approval = load(session, made.approval).await?;
    let payment_method = load(session, made.first_created(PaymentMethodId::parse)).await?;
    let prepay_quote = match made.first_created(QuoteId::parse) {
        Some(id) => session.repository().prepay_quote(id).await?.map(Arc::new),
        None => None,
    };
    let given_back = transaction.as_ref().and_then(|transaction| transaction.refund_of);
    let refunded = load(session, given_back).await?;
    let schedule = match &order {
        Some(order) => Some(order::scheduled(session, order).await?),
        None => None,
    };
    let schedule = schedule.map(|debits| debits.into_iter().map(ScheduledDebit::from).collect());
    // Last: whatever else is shown to have happened has happened to it.
    let account = account::load(session, account).await?.0;
    let outcome = Outcome {
        order,
        bill,
        transaction,
        refunded,
        payment,
        prepayment,
        approval,
        payment_method,
        prepay_quote,
        ..Outcome::default()
    };
    Ok(MutationOutcome { account, outcome, schedule })
}

async fn load<K: Key>(session: &Session, key: Option<K>) -> ApiResult<Option<Value<K>>>
where
    Lookups: Loader<K, Error = StoreError>,
{
    match key {
        Some(key) => session.load(key).await,
        None => Ok(None),
    }
}

/// Has a payment carried on, and waits for it; it goes on if the caller leaves, or the provider takes its time.
async fn advance(session: &Session, payment: &Payment) {
    let Some(due) = payment.next_step_at.filter(|_| payment.state == PaymentState::Created) else { return };
    let (cashier, id) = (Arc::clone(&session.app.jobs.cashier), payment.id);
    let carrying = tokio::spawn(async move { cashier.carry(id, due, Priority::Interactive).await });
    let error = match tokio::time::timeout(WAITED_FOR_MAX, carrying).await {
        Ok(Ok(Ok(_))) => return,
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the provider takes its time".to_owned(),
    };
    tracing::warn!(payment = %id, %error, "a payment is left to the jobs");
}
