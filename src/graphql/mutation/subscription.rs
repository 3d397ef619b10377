//! Subscriptions to capacity.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::decide::{Action, Subscribe};
use crate::domain::text;
use crate::graphql::error::MutationResult;
use crate::graphql::input::{input_account, optional};
use crate::graphql::payload::{MutationOutcome, answer, submit};
use crate::graphql::scalars::Exact;
use crate::graphql::session::{Session, session};
use crate::graphql::types::account::Account;
use crate::graphql::types::bill::Bill;
use crate::graphql::types::order::Order;
use crate::graphql::types::price_quote::PriceQuote;
use crate::graphql::types::user_error::UserError;

/// Buys so much of a resource for a term. `namespace` or `accountId` names the account; neither: the caller's own.
#[derive(InputObject)]
pub struct SubscribeInput {
    /// The account that buys, by namespace.
    namespace: Option<String>,
    /// The account that buys, by id.
    account_id: Option<ID>,
    /// The resource's code.
    resource: String,
    /// How much, in the resource's unit: greater than zero, at most 10^14, up to 9 decimal places.
    amount: Exact,
    /// The term, in calendar months: 1 to 120.
    months: i32,
    /// The region in which the capacity is used, a code; absent: none in particular.
    region: Option<String>,
    /// Whether it is renewed, for another such term, when it ends.
    #[graphql(default)]
    auto_renewal: bool,
    /// The caller's name for this purchase, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing: what it would cost.
    #[graphql(default)]
    dry_run: bool,
}

/// What was subscribed to.
#[derive(SimpleObject, Default)]
pub struct SubscribePayload {
    /// The order.
    order: Option<Order>,
    /// Its bill, paid.
    bill: Option<Bill>,
    /// The account after the purchase.
    account: Option<Account>,
    /// What it costs, and how that comes about; null when a key is repeated.
    price: Option<PriceQuote>,
    /// Why nothing was bought.
    user_errors: Vec<UserError>,
}

/// The mutations of subscriptions.
#[derive(Default)]
pub struct SubscriptionMutation;

/// The mutations of subscriptions.
#[Object]
impl SubscriptionMutation {
    /// Buys so much of a resource for a term of calendar months, and pays it from the balance: its seconds at the price of
    /// level 0, less the term discount. What an account uses of the resource up to that much is not charged as burst.
    async fn subscribe(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What, how much, and for how long.")] input: SubscribeInput,
    ) -> async_graphql::Result<SubscribePayload> {
        answer(subscribe(session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => {
                let currency = made.account.currency;
                SubscribePayload {
                    order: made.outcome.order.map(Order::from),
                    bill: made.outcome.bill.map(Bill::from),
                    account: Some(Account(made.account)),
                    price: made.outcome.quote.map(|quote| PriceQuote { quote, currency }),
                    user_errors,
                }
            }
            None => SubscribePayload { user_errors, ..SubscribePayload::default() },
        })
    }
}

async fn subscribe(session: &Session, input: SubscribeInput) -> MutationResult<MutationOutcome> {
    let account = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    let action = Action::Subscribe(Subscribe {
        resource: text::code("resource", &input.resource)?,
        amount: input.amount.value,
        months: input.months,
        region: optional(input.region, |region| text::code("region", region))?,
        auto_renewal: input.auto_renewal,
    });
    submit(session, account, &input.idempotency_key, input.dry_run, action).await
}
