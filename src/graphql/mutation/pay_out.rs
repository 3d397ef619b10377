//! What is on a balance is paid out.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::decide::{Action, PayOut, PayOutWay};
use crate::domain::ids::TransactionId;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::error::MutationResult;
use crate::graphql::input::{input_account, input_id};
use crate::graphql::payload::{MutationOutcome, answer, submit};
use crate::graphql::scalars::Exact;
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::account::Account;
use crate::graphql::types::payment::Payment;
use crate::graphql::types::transaction::Transaction;
use crate::graphql::types::user_error::UserError;

/// Pays out what is on a balance, to a card or outside.
#[derive(InputObject)]
pub struct PayOutInput {
    /// The account, by id.
    account_id: Option<ID>,
    /// The account, by namespace.
    namespace: Option<String>,
    /// How much, at the currency's display places; default: all that is there and not asked for by open bills.
    amount: Option<Exact>,
    /// The card recharge that it goes back to, at most what is left of that; absent: it is paid outside, and `reference` says
    /// how.
    transaction_id: Option<ID>,
    /// Of what is paid outside: the number of the transfer, for example.
    reference: Option<String>,
    /// Why, for people.
    reason: String,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What was paid out.
#[derive(SimpleObject, Default)]
pub struct PayOutPayload {
    /// The movement of money: a REFUND to a card, a PAYOUT outside.
    transaction: Option<Transaction>,
    /// What goes back to the card.
    payment: Option<Payment>,
    /// The account after it.
    account: Option<Account>,
    /// Why nothing was paid out.
    user_errors: Vec<UserError>,
}

/// The mutation of what is paid out.
#[derive(Default)]
pub struct PayOutMutation;

/// The mutation of what is paid out.
#[Object]
impl PayOutMutation {
    /// Operators: pays out what is on a balance, also of an account that is closed. Credit is not paid out. Above amounts that the
    /// provider has set another operator has to allow it (APPROVAL_NEEDED).
    async fn pay_out(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How much, of whom, and how.")] input: PayOutInput,
    ) -> async_graphql::Result<PayOutPayload> {
        answer(pay_out(operator_session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => PayOutPayload {
                user_errors: made.declined().into_iter().map(UserError::from).collect(),
                transaction: made.outcome.transaction.map(Transaction),
                payment: made.outcome.payment.map(Payment),
                account: Some(Account(made.account)),
            },
            None => PayOutPayload { user_errors, ..PayOutPayload::default() },
        })
    }
}

async fn pay_out(session: &Session, input: PayOutInput) -> MutationResult<MutationOutcome> {
    let account = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    let pay_out = PayOut {
        amount: input.amount.map(|amount| amount.value),
        way: way(input.transaction_id.as_ref(), input.reference.as_deref())?,
        reason: text::name("reason", &input.reason)?,
    };
    submit(session, account, &input.idempotency_key, input.dry_run, Action::PayOut(pay_out)).await
}

fn way(recharge: Option<&ID>, reference: Option<&str>) -> Result<PayOutWay, Refusal> {
    match (recharge, reference) {
        (Some(id), None) => Ok(PayOutWay::Card(input_id("transactionId", id, TransactionId::parse)?)),
        (None, Some(reference)) => Ok(PayOutWay::Outside(text::name("reference", reference)?)),
        (Some(_), Some(_)) => {
            let message = "what goes back to a card has no reference of its own";
            Err(Refusal::new(RefusalCode::Invalid, "reference", message))
        }
        (None, None) => {
            let message = "says how it is paid outside; or transactionId names the recharge by card that it goes back to";
            Err(Refusal::new(RefusalCode::Required, "reference", message))
        }
    }
}
