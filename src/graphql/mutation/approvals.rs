//! Operators decide on what others of them have asked for.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::decide::{Action, DecideApproval};
use crate::domain::ids::ApprovalId;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::error::{ApiError, MutationResult};
use crate::graphql::input::{input_id, optional};
use crate::graphql::payload::{MutationOutcome, answer, submit};
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::account::Account;
use crate::graphql::types::approval::Approval;
use crate::graphql::types::node::Node;
use crate::graphql::types::transaction::Transaction;
use crate::graphql::types::user_error::UserError;

/// Decides on what another operator has asked for.
#[derive(InputObject)]
pub struct DecideApprovalInput {
    /// What was asked for.
    approval_id: ID,
    /// Whether it is carried out. Whoever has asked may not allow it, but take it back (false).
    approve: bool,
    /// Why, for people.
    reason: Option<String>,
    /// The caller's name for this decision, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What was decided.
#[derive(SimpleObject, Default)]
pub struct DecideApprovalPayload {
    /// What was decided on, as it is now.
    approval: Option<Approval>,
    /// What came of it: the movement of money, or the account with its new limit; null of what is rejected.
    subject: Option<Node>,
    /// Why it was not decided, or not carried out: it is pending as before. Of what goes back to a card: why the card did not take it.
    user_errors: Vec<UserError>,
}

/// The mutation of approvals.
#[derive(Default)]
pub struct ApprovalMutation;

/// The mutation of approvals.
#[Object]
impl ApprovalMutation {
    /// Operators: allows what another operator has asked for, which is carried out with that, once, as if it were asked for now; or
    /// rejects it. What cannot be carried out now stays pending, and the userErrors say why.
    async fn decide_approval(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What was asked for, and whether it is allowed.")] input: DecideApprovalInput,
    ) -> async_graphql::Result<DecideApprovalPayload> {
        answer(decide(operator_session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => DecideApprovalPayload {
                user_errors: made.declined().into_iter().map(UserError::from).collect(),
                subject: subject(&made),
                approval: made.outcome.approval.map(Approval),
            },
            None => DecideApprovalPayload { user_errors, ..DecideApprovalPayload::default() },
        })
    }
}

/// What was carried out, if anything was.
fn subject(made: &MutationOutcome) -> Option<Node> {
    made.outcome.approval.as_ref().filter(|approval| approval.is_done())?;
    let moved = made.outcome.transaction.clone().map(|moved| Node::Transaction(Transaction(moved)));
    Some(moved.unwrap_or_else(|| Node::Account(Account(Arc::clone(&made.account)))))
}

async fn decide(session: &Session, input: DecideApprovalInput) -> MutationResult<MutationOutcome> {
    let id = input_id("approvalId", &input.approval_id, ApprovalId::parse)?;
    let reason = optional(input.reason, |reason| text::name("reason", reason))?;
    text::idempotency_key(&input.idempotency_key)?;
    let held = session.repository().approval_to_decide(id, input.approve).await?;
    let none = || Refusal::new(RefusalCode::NotFound, "approvalId", "there is no such approval");
    let held = held.ok_or_else(none)?;
    let unreadable = || ApiError::internal(format!("{id} holds nothing that can be carried out"));
    let by = session.viewer().subject.clone();
    tracing::info!(approval = %id, operator = %by, approve = input.approve, "an approval is decided on");
    let asked = held.action().ok_or_else(unreadable)?;
    let decision = DecideApproval { approval: id, approve: input.approve, reason, by, asked };
    let action = Action::DecideApproval(Box::new(decision));
    submit(session, id.account(), &input.idempotency_key, input.dry_run, action).await
}
