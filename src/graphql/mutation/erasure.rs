//! Accounts whose books need not be kept any more.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::decide::{Action, EraseAccount};
use crate::domain::text;
use crate::graphql::error::MutationResult;
use crate::graphql::input::input_account;
use crate::graphql::payload::{MutationOutcome, answer, submit};
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::account::Account;
use crate::graphql::types::user_error::UserError;

/// Erases what names a person.
#[derive(InputObject)]
pub struct EraseAccountInput {
    /// The account: it is closed, for longer than its books must be kept, and nothing of it is open.
    account_id: ID,
    /// Why, for people. It is kept: it does not name whom the account was of.
    reason: String,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What was erased.
#[derive(SimpleObject, Default)]
pub struct EraseAccountPayload {
    /// The account, which is called "(erased)" from now on.
    account: Option<Account>,
    /// Why nothing was erased.
    user_errors: Vec<UserError>,
}

/// The mutation of accounts whose books need not be kept any more.
#[derive(Default)]
pub struct ErasureMutation;

/// The mutation of accounts whose books need not be kept any more.
#[Object]
impl ErasureMutation {
    /// Operators: blanks what names a person, of an account that is closed for longer than its books must be kept, and leaves the
    /// figures. Its name goes at once, comments, descriptions, cards, invoices' words and the like within minutes. It cannot be taken
    /// back, and the account is never opened again.
    async fn erase_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which account, and why.")] input: EraseAccountInput,
    ) -> async_graphql::Result<EraseAccountPayload> {
        answer(erase_account(operator_session(ctx)?, input).await, |made, user_errors| EraseAccountPayload {
            account: made.map(|made| Account(made.account)),
            user_errors,
        })
    }
}

async fn erase_account(session: &Session, input: EraseAccountInput) -> MutationResult<MutationOutcome> {
    let account = input_account(session, Some(&input.account_id), None).await?;
    let by = session.viewer().subject.clone();
    let reason = text::name("reason", &input.reason)?;
    let namespace = crate::graphql::types::account::load(session, account).await?.0.namespace.clone();
    let action = Action::EraseAccount(EraseAccount { reason, by });
    let made = submit(session, account, &input.idempotency_key, input.dry_run, action).await?;
    if !input.dry_run {
        let operator = &session.viewer().subject;
        tracing::info!(%account, %operator, "an account is to be erased");
        session.app.store.forget_namespace(&namespace);
        session.app.meter.forget(account);
    }
    Ok(made)
}
