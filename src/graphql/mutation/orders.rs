//! The life of orders and bills after the purchase.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::decide::{
    Action, CancelOrder, PayBill, PayOrder, RenewOrder, SetAutoRenewal, SetPrepaymentRenewal,
};
use crate::domain::ids::{BillId, OrderId, PrepaymentId};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::graphql::error::MutationResult;
use crate::graphql::input::{input_id, owner};
use crate::graphql::payload::{MutationOutcome, answer, submit, submit_repeatable};
use crate::graphql::session::{Session, session};
use crate::graphql::types::account::Account;
use crate::graphql::types::bill::Bill;
use crate::graphql::types::order::{Order, ScheduledDebit};
use crate::graphql::types::prepayment::Prepayment;
use crate::graphql::types::transaction::Transaction;
use crate::graphql::types::user_error::UserError;

/// Pays an order's earliest unpaid bill.
#[derive(InputObject)]
pub struct PayOrderInput {
    /// The order.
    order_id: ID,
    /// The caller's name for this payment, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What was paid.
#[derive(SimpleObject, Default)]
pub struct PayOrderPayload {
    /// The order.
    order: Option<Order>,
    /// The bill that was paid.
    bill: Option<Bill>,
    /// The account after the payment.
    account: Option<Account>,
    /// Why nothing was paid.
    user_errors: Vec<UserError>,
}

/// Pays a bill from its account's balance.
#[derive(InputObject)]
pub struct PayBillInput {
    /// The bill.
    bill_id: ID,
    /// The caller's name for this payment, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What was paid.
#[derive(SimpleObject, Default)]
pub struct PayBillPayload {
    /// The bill.
    bill: Option<Bill>,
    /// The movement of money; null for a bill of zero.
    transaction: Option<Transaction>,
    /// The account after the payment.
    account: Option<Account>,
    /// Why nothing was paid.
    user_errors: Vec<UserError>,
}

/// Continues an order.
#[derive(InputObject)]
pub struct RenewOrderInput {
    /// The order.
    order_id: ID,
    /// How many periods more, each with its own bill: 1 to 60. The first is paid now, the others when they begin.
    #[graphql(default = 1)]
    periods: i32,
    /// The caller's name for this renewal, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing.
    #[graphql(default)]
    dry_run: bool,
}

/// What continues the order.
#[derive(SimpleObject, Default)]
pub struct RenewOrderPayload {
    /// The new order, which names the old one as `previous`.
    order: Option<Order>,
    /// Its first bill, paid.
    bill: Option<Bill>,
    /// The account after the payment.
    account: Option<Account>,
    /// Every debit to come of the new order.
    schedule: Option<Vec<ScheduledDebit>>,
    /// Why it was not renewed.
    user_errors: Vec<UserError>,
}

/// Ends an order.
#[derive(InputObject)]
pub struct CancelOrderInput {
    /// The order.
    order_id: ID,
    /// Let it run to its end, and not renew itself.
    #[graphql(default)]
    at_period_end: bool,
}

/// The order that was cancelled.
#[derive(SimpleObject, Default)]
pub struct CancelOrderPayload {
    /// The order.
    order: Option<Order>,
    /// Why it was not.
    user_errors: Vec<UserError>,
}

/// Says whether an order or a prepayment renews itself: exactly one of the two.
#[derive(InputObject)]
pub struct SetAutoRenewalInput {
    /// The order.
    order_id: Option<ID>,
    /// The prepayment: one that was paid by card.
    prepayment_id: Option<ID>,
    /// Whether it is renewed when it ends.
    auto_renewal: bool,
}

/// What was set.
#[derive(SimpleObject, Default)]
pub struct SetAutoRenewalPayload {
    /// The order.
    order: Option<Order>,
    /// The prepayment.
    prepayment: Option<Prepayment>,
    /// Why it was not.
    user_errors: Vec<UserError>,
}

/// The mutations of orders and bills.
#[derive(Default)]
pub struct OrderMutation;

/// The mutations of orders and bills.
#[Object]
impl OrderMutation {
    /// Pays an order's earliest unpaid bill from its account's balance. An order that was placed to be paid later begins
    /// now.
    async fn pay_order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which order.")] input: PayOrderInput,
    ) -> async_graphql::Result<PayOrderPayload> {
        answer(pay_order(session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => PayOrderPayload {
                order: made.outcome.order.map(Order::from),
                bill: made.outcome.bill.map(Bill::from),
                account: Some(Account(made.account)),
                user_errors,
            },
            None => PayOrderPayload { user_errors, ..PayOrderPayload::default() },
        })
    }

    /// Pays a bill from its account's balance, whole. Paying the last bill that was late lifts what was suspended for it.
    async fn pay_bill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which bill.")] input: PayBillInput,
    ) -> async_graphql::Result<PayBillPayload> {
        answer(pay_bill(session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => PayBillPayload {
                bill: made.outcome.bill.map(Bill::from),
                transaction: made.outcome.transaction.map(Transaction),
                account: Some(Account(made.account)),
                user_errors,
            },
            None => PayBillPayload { user_errors, ..PayBillPayload::default() },
        })
    }

    /// Continues an order with a new one from where it ends, also after it was suspended, at the plan's price of now.
    async fn renew_order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which order, and for how long.")] input: RenewOrderInput,
    ) -> async_graphql::Result<RenewOrderPayload> {
        answer(renew_order(session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => RenewOrderPayload {
                order: made.outcome.order.map(Order::from),
                bill: made.outcome.bill.map(Bill::from),
                account: Some(Account(made.account)),
                schedule: made.schedule,
                user_errors,
            },
            None => RenewOrderPayload { user_errors, ..RenewOrderPayload::default() },
        })
    }

    /// Ends an order at once: unpaid bills become void, what was paid is not given back. With atPeriodEnd it runs to its
    /// end and is not renewed by itself. Asking again changes nothing more.
    async fn cancel_order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which order.")] input: CancelOrderInput,
    ) -> async_graphql::Result<CancelOrderPayload> {
        answer(cancel_order(session(ctx)?, input).await, |made, user_errors| CancelOrderPayload {
            order: made.and_then(|made| made.outcome.order).map(Order::from),
            user_errors,
        })
    }

    /// Says whether an order is renewed when it ends: renewal is tried once a day from 7 days before, at the plan's price
    /// of that day. A prepayment's card is charged for another term when it ends, at the price of that day.
    async fn set_auto_renewal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which order, and whether.")] input: SetAutoRenewalInput,
    ) -> async_graphql::Result<SetAutoRenewalPayload> {
        answer(set_auto_renewal(session(ctx)?, input).await, |made, user_errors| {
            let (order, prepayment) =
                made.map_or((None, None), |made| (made.outcome.order, made.outcome.prepayment));
            SetAutoRenewalPayload {
                order: order.map(Order::from),
                prepayment: prepayment.map(Prepayment),
                user_errors,
            }
        })
    }
}

async fn pay_order(session: &Session, input: PayOrderInput) -> MutationResult<MutationOutcome> {
    let order = input_id("orderId", &input.order_id, OrderId::parse)?;
    let account = owner(session, "orderId", order.account(), "order").await?;
    submit(session, account, &input.idempotency_key, input.dry_run, Action::PayOrder(PayOrder(order))).await
}

async fn pay_bill(session: &Session, input: PayBillInput) -> MutationResult<MutationOutcome> {
    let bill = input_id("billId", &input.bill_id, BillId::parse)?;
    let account = owner(session, "billId", bill.account(), "bill").await?;
    submit(session, account, &input.idempotency_key, input.dry_run, Action::PayBill(PayBill(bill))).await
}

async fn renew_order(session: &Session, input: RenewOrderInput) -> MutationResult<MutationOutcome> {
    let order = input_id("orderId", &input.order_id, OrderId::parse)?;
    let account = owner(session, "orderId", order.account(), "order").await?;
    let action = Action::RenewOrder(RenewOrder { order, periods: input.periods });
    submit(session, account, &input.idempotency_key, input.dry_run, action).await
}

async fn cancel_order(session: &Session, input: CancelOrderInput) -> MutationResult<MutationOutcome> {
    let order = input_id("orderId", &input.order_id, OrderId::parse)?;
    let account = owner(session, "orderId", order.account(), "order").await?;
    let action = Action::CancelOrder(CancelOrder { order, at_period_end: input.at_period_end });
    submit_repeatable(session, account, action).await
}

async fn set_auto_renewal(session: &Session, input: SetAutoRenewalInput) -> MutationResult<MutationOutcome> {
    let auto_renewal = input.auto_renewal;
    let (account, action) = match (&input.order_id, &input.prepayment_id) {
        (Some(id), None) => {
            let order = input_id("orderId", id, OrderId::parse)?;
            let account = owner(session, "orderId", order.account(), "order").await?;
            (account, Action::SetAutoRenewal(SetAutoRenewal { order, auto_renewal }))
        }
        (None, Some(id)) => {
            let prepayment = input_id("prepaymentId", id, PrepaymentId::parse)?;
            let account = owner(session, "prepaymentId", prepayment.account(), "prepayment").await?;
            (account, Action::SetPrepaymentRenewal(SetPrepaymentRenewal { prepayment, auto_renewal }))
        }
        (None, None) => {
            let message = "an order or a prepayment is needed";
            return Err(Refusal::new(RefusalCode::Required, "orderId", message).into());
        }
        (Some(_), Some(_)) => {
            let message = "orderId and prepaymentId cannot be used together";
            return Err(Refusal::new(RefusalCode::Invalid, "prepaymentId", message).into());
        }
    };
    submit_repeatable(session, account, action).await
}
