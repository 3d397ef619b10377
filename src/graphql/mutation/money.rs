//! Mutations that move money: each is a command to the engine.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::decide::{Action, AdjustBalance, Checkout, Recharge, RechargeByCard, Refund};
use crate::domain::ids::{PaymentMethodId, PlanId, TransactionId};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::domain::viewer::Role;
use crate::graphql::error::MutationResult;
use crate::graphql::input::{input_account, input_id, optional, owner};
use crate::graphql::payload::{MutationOutcome, answer, submit};
use crate::graphql::scalars::Exact;
use crate::graphql::session::{Session, operator_session, session};
use crate::graphql::types::account::Account;
use crate::graphql::types::bill::Bill;
use crate::graphql::types::order::{Order, ScheduledDebit};
use crate::graphql::types::payment::Payment;
use crate::graphql::types::transaction::Transaction;
use crate::graphql::types::user_error::UserError;

/// Buys a plan. `namespace` or `accountId` names the account; neither: the caller's own.
#[derive(InputObject)]
pub struct CheckoutInput {
    /// The plan.
    plan_id: ID,
    /// The account that buys, by namespace.
    namespace: Option<String>,
    /// The account that buys, by id.
    account_id: Option<ID>,
    /// Where it is to run, a code; default: where the plan is sold.
    region: Option<String>,
    /// The datacenter, a code.
    datacenter: Option<String>,
    /// How many: 1 to 10,000.
    #[graphql(default = 1)]
    quantity: i32,
    /// Kept with the order.
    comment: Option<String>,
    /// The order runs this many periods, each with its own bill at the plan's price, due when the period begins; 1 to 60,
    /// default 1.
    instalments: Option<i32>,
    /// Whether it is renewed when it ends.
    #[graphql(default)]
    auto_renewal: bool,
    /// Make the order and its bills, and pay later with payOrder: within 7 days, or it is cancelled. It begins when it is
    /// paid. At most 100 orders of an account wait for that (LIMIT_EXCEEDED).
    pay_later: Option<bool>,
    /// Refuse (PRICE_CHANGED) if the plan's price is another by now.
    expected_price: Option<Exact>,
    /// The caller's name for this purchase, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What was bought.
#[derive(SimpleObject, Default)]
pub struct CheckoutPayload {
    /// The order.
    order: Option<Order>,
    /// Its first bill; null for what is on demand.
    bill: Option<Bill>,
    /// The account after the purchase.
    account: Option<Account>,
    /// Every debit to come.
    schedule: Option<Vec<ScheduledDebit>>,
    /// Why nothing was bought.
    user_errors: Vec<UserError>,
}

/// Puts money on a balance. By operators at once; by customers through a payment method, which is charged first. In the
/// sandbox a customer may leave the payment method out and is credited at once.
#[derive(InputObject)]
pub struct RechargeInput {
    /// How much, in the account's currency: greater than zero, at its display places, at most 99,999,999.99.
    amount: Exact,
    /// The account, by namespace.
    namespace: Option<String>,
    /// The account, by id; neither: the caller's own.
    account_id: Option<ID>,
    /// The payment method to charge.
    payment_method_id: Option<ID>,
    /// Why, for people: the transaction's description.
    reason: Option<String>,
    /// The caller's name for this recharge, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// The recharge that was made.
#[derive(SimpleObject, Default)]
pub struct RechargePayload {
    /// The movement of money; by card null until it is paid.
    transaction: Option<Transaction>,
    /// The charge of the card, where there is one.
    payment: Option<Payment>,
    /// The account after it.
    account: Option<Account>,
    /// Why nothing was recharged; empty where it was.
    user_errors: Vec<UserError>,
}

/// Gives back what was paid: from a balance to that balance, by card to the card.
#[derive(InputObject)]
pub struct RefundInput {
    /// The finished payment.
    transaction_id: ID,
    /// How much; default: all that is left (LIMIT_EXCEEDED above it, and says how much that is).
    amount: Option<Exact>,
    /// Why, for people.
    reason: String,
    /// The caller's name for this refund, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What was given back.
#[derive(SimpleObject, Default)]
pub struct RefundPayload {
    /// The movement of money back.
    refund: Option<Transaction>,
    /// The payment that it gives back from.
    transaction: Option<Transaction>,
    /// The account after it.
    account: Option<Account>,
    /// Why nothing was given back.
    user_errors: Vec<UserError>,
}

/// Corrects a balance.
#[derive(InputObject)]
pub struct AdjustBalanceInput {
    /// The account, by namespace.
    namespace: Option<String>,
    /// The account, by id.
    account_id: Option<ID>,
    /// How much to give, at the ledger's scale of the account's currency; negative takes away.
    amount: Exact,
    /// Why, for people.
    reason: String,
    /// Post it even where the balance does not cover it: a dispute, a correction. The account may be overdrawn and
    /// suspended by it, and may be closed.
    #[graphql(default)]
    force: bool,
    /// The caller's name for this adjustment, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What was corrected.
#[derive(SimpleObject, Default)]
pub struct AdjustBalancePayload {
    /// The movement of money.
    transaction: Option<Transaction>,
    /// The account after it.
    account: Option<Account>,
    /// Why nothing was corrected.
    user_errors: Vec<UserError>,
}

/// The mutations that move money.
#[derive(Default)]
pub struct MoneyMutation;

/// The mutations that move money.
#[Object]
impl MoneyMutation {
    /// Buys a plan: charges its price for the first period and begins the order, unless it is to be paid later. Of plans of the type "resources" an
    /// account has one in a region; another plan of that type there replaces it, and what is left of its period counts.
    async fn checkout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to buy, and for whom.")] input: CheckoutInput,
    ) -> async_graphql::Result<CheckoutPayload> {
        answer(checkout(session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => CheckoutPayload {
                order: made.outcome.order.map(Order::from),
                bill: made.outcome.bill.map(Bill::from),
                account: Some(Account(made.account)),
                schedule: made.schedule,
                user_errors,
            },
            None => CheckoutPayload { user_errors, ..CheckoutPayload::default() },
        })
    }

    /// Puts money on a balance. It then pays the open bills that are due, oldest first, up to the first that it does not
    /// cover, and tries the renewals that wait for money. A closed account takes what is open. The transaction's
    /// balanceAfter is before these payments, the account after them.
    async fn recharge(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How much, and for whom.")] input: RechargeInput,
    ) -> async_graphql::Result<RechargePayload> {
        answer(recharge(session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => RechargePayload {
                user_errors: made.declined().into_iter().map(UserError::from).collect(),
                transaction: made.outcome.transaction.map(Transaction),
                payment: made.outcome.payment.map(Payment),
                account: Some(Account(made.account)),
            },
            None => RechargePayload { user_errors, ..RechargePayload::default() },
        })
    }

    /// Operators: gives back what was paid from a balance or by card, whole or in part; never more than is
    /// left of the thing that was paid for: a period of an order, a month of the account, a prepayment, a recharge. What a change
    /// has credited, and corrections, count as given back. An order stays as it is, a prepayment ends with its whole. What had
    /// recharged the balance must be there. Tokens cannot be sent back. Above amounts that the provider has set another operator has
    /// to allow it (APPROVAL_NEEDED).
    async fn refund(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to give back, and why.")] input: RefundInput,
    ) -> async_graphql::Result<RefundPayload> {
        answer(refund(operator_session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => RefundPayload {
                user_errors: made.declined().into_iter().map(UserError::from).collect(),
                refund: made.outcome.transaction.map(Transaction),
                transaction: made.outcome.refunded.map(Transaction),
                account: Some(Account(made.account)),
            },
            None => RefundPayload { user_errors, ..RefundPayload::default() },
        })
    }

    /// Operators: corrects a balance, either way. What it gives then pays the open bills that are due. What it takes away must
    /// be there, unless it is forced. Above amounts that the provider has set another operator has to allow it (APPROVAL_NEEDED).
    async fn adjust_balance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How much, for whom, and why.")] input: AdjustBalanceInput,
    ) -> async_graphql::Result<AdjustBalancePayload> {
        answer(adjust(operator_session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => AdjustBalancePayload {
                transaction: made.outcome.transaction.map(Transaction),
                account: Some(Account(made.account)),
                user_errors,
            },
            None => AdjustBalancePayload { user_errors, ..AdjustBalancePayload::default() },
        })
    }
}

async fn checkout(session: &Session, input: CheckoutInput) -> MutationResult<MutationOutcome> {
    let checkout = Checkout {
        plan: input_id("planId", &input.plan_id, PlanId::parse)?,
        region: optional(input.region, |region| text::code("region", region))?,
        datacenter: optional(input.datacenter, |datacenter| text::code("datacenter", datacenter))?,
        quantity: input.quantity,
        comment: optional(input.comment, |comment| text::free_text("comment", comment))?,
        instalments: input.instalments,
        auto_renewal: input.auto_renewal,
        pay_later: input.pay_later.unwrap_or_default(),
        expected_price: input.expected_price.map(|price| price.value),
    };
    let account = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    submit(session, account, &input.idempotency_key, input.dry_run, Action::Checkout(checkout)).await
}

async fn recharge(session: &Session, input: RechargeInput) -> MutationResult<MutationOutcome> {
    let account = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    let amount = input.amount.value;
    let reason = optional(input.reason, |reason| text::name("reason", reason))?;
    let action = match &input.payment_method_id {
        Some(method) => {
            let method = input_id("paymentMethodId", method, PaymentMethodId::parse)?;
            Action::RechargeByCard(RechargeByCard { amount, method, reason })
        }
        None => Action::Recharge(Recharge { amount, payment_method: source_of_money(session)?, reason }),
    };
    submit(session, account, &input.idempotency_key, input.dry_run, action).await
}

/// Whom money comes in through that no card is charged for.
fn source_of_money(session: &Session) -> Result<String, Refusal> {
    if session.viewer().role == Role::Operator {
        return Ok("offline".to_owned());
    }
    if session.app.sandbox {
        return Ok("sandbox".to_owned());
    }
    Err(Refusal::new(RefusalCode::Required, "paymentMethodId", "a payment method is needed"))
}

async fn adjust(session: &Session, input: AdjustBalanceInput) -> MutationResult<MutationOutcome> {
    let account = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    let adjustment = AdjustBalance {
        amount: input.amount.value,
        reason: text::name("reason", &input.reason)?,
        force: input.force,
    };
    let action = Action::AdjustBalance(adjustment);
    submit(session, account, &input.idempotency_key, input.dry_run, action).await
}

async fn refund(session: &Session, input: RefundInput) -> MutationResult<MutationOutcome> {
    let transaction = input_id("transactionId", &input.transaction_id, TransactionId::parse)?;
    let refund = Refund {
        transaction,
        amount: input.amount.map(|amount| amount.value),
        reason: text::name("reason", &input.reason)?,
    };
    let account = owner(session, "transactionId", transaction.account(), "transaction").await?;
    submit(session, account, &input.idempotency_key, input.dry_run, Action::Refund(refund)).await
}
