//! Bills that need not be paid any more.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::decide::{Action, VoidBill};
use crate::domain::ids::BillId;
use crate::domain::text;
use crate::graphql::error::MutationResult;
use crate::graphql::input::{input_id, owner};
use crate::graphql::payload::{MutationOutcome, answer, submit};
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::account::Account;
use crate::graphql::types::bill::Bill;
use crate::graphql::types::user_error::UserError;

/// Voids an open bill: it need not be paid any more.
#[derive(InputObject)]
pub struct VoidBillInput {
    /// The bill; it is open.
    bill_id: ID,
    /// Why, for people: told to the account's owner.
    reason: String,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// The bill that was voided.
#[derive(SimpleObject, Default)]
pub struct VoidBillPayload {
    /// The bill, VOID.
    bill: Option<Bill>,
    /// The account after it.
    account: Option<Account>,
    /// Why the bill was not voided; empty where it was.
    user_errors: Vec<UserError>,
}

/// The mutation of bills that need not be paid.
#[derive(Default)]
pub struct VoidBillMutation;

/// The mutation of bills that need not be paid.
#[Object]
impl VoidBillMutation {
    /// Operators: makes an open bill void. What was suspended because of it goes on. With the first bill of an order that is not
    /// paid yet the order is cancelled. A paid bill is refunded instead.
    async fn void_bill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which bill, and why.")] input: VoidBillInput,
    ) -> async_graphql::Result<VoidBillPayload> {
        answer(void_bill(operator_session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => VoidBillPayload {
                bill: made.outcome.bill.map(Bill::from),
                account: Some(Account(made.account)),
                user_errors,
            },
            None => VoidBillPayload { user_errors, ..VoidBillPayload::default() },
        })
    }
}

async fn void_bill(session: &Session, input: VoidBillInput) -> MutationResult<MutationOutcome> {
    let bill = input_id("billId", &input.bill_id, BillId::parse)?;
    let void = VoidBill { bill, reason: text::name("reason", &input.reason)? };
    let account = owner(session, "billId", bill.account(), "bill").await?;
    submit(session, account, &input.idempotency_key, input.dry_run, Action::VoidBill(void)).await
}
