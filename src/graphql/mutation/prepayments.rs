//! Prepayments are paid, and bound to their apps.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::decide::{Action, BindApp, Prepay};
use crate::domain::ids::{AccountId, PaymentMethodId, PrepaymentId, QuoteId};
use crate::domain::money::CurrencyCode;
use crate::domain::prepay::{AWAITING_DEPOSITS_MAX, App, DepositTo, Limits};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::error::{ApiError, MutationResult};
use crate::graphql::input::{input_account, input_id, optional, owner};
use crate::graphql::payload::{MutationOutcome, answer, submit, submit_repeatable};
use crate::graphql::scalars::{Code, Exact};
use crate::graphql::session::{Session, session};
use crate::graphql::types::prepayment::Prepayment;
use crate::graphql::types::user_error::UserError;
use crate::payments::AddressFailure;

/// Takes an offer. `namespace` or `accountId` names the account; neither: the one that the offer was made to.
#[derive(InputObject)]
pub struct PrepayInput {
    /// The offer, of quotePrepay; it is taken once.
    quote_id: ID,
    /// What is to be paid: must equal the offer's amount.
    amount: Exact,
    /// The card that pays; needed for USD, and for nothing else.
    payment_method_id: Option<ID>,
    /// The account that pays, by namespace.
    namespace: Option<String>,
    /// The account that pays, by id.
    account_id: Option<ID>,
    /// Whether the card is charged for another term when this one ends; not for tokens, which cannot be.
    #[graphql(default)]
    auto_renewal: bool,
    /// The caller's name for this payment, 1 to 255 characters: with the same key and input it is done once, for as long as
    /// keys count (`serviceConfig.idempotencyKeyDays`).
    idempotency_key: String,
    /// Decide, answer, and keep nothing; the card is not charged.
    #[graphql(default)]
    dry_run: bool,
}

/// What was paid, or is to be.
#[derive(SimpleObject, Default)]
pub struct PrepayPayload {
    /// The prepayment. It is there also where its card was declined: its failure says why.
    prepayment: Option<Prepayment>,
    /// Why it is not paid.
    user_errors: Vec<UserError>,
}

/// Binds a prepayment to its app, with what was paid for.
#[derive(InputObject)]
pub struct BindAppInput {
    /// The prepayment.
    prepayment_id: ID,
    /// What it was paid in: USD, USDT_ERC20 or ANKR_ERC20.
    asset: Code,
    /// The provider's own id of the app, a code.
    app_id: String,
    /// The cluster that it runs on, as quoted.
    cluster_id: String,
    /// The chart that it is made of, as quoted.
    chart_name: String,
    /// Processors, in milli-cores, as quoted.
    cpu_limit: i32,
    /// Memory, in MiB, as quoted.
    mem_limit: i32,
    /// Storage, in MiB, as quoted.
    storage_limit: i32,
    /// Its picture: an http or https address of at most 2,000 characters.
    icon_url: Option<String>,
    /// The project that it belongs to: 1 to 255 characters.
    project_name: String,
}

/// What was bound.
#[derive(SimpleObject, Default)]
pub struct BindAppPayload {
    /// The prepayment.
    prepayment: Option<Prepayment>,
    /// Why it was not bound.
    user_errors: Vec<UserError>,
}

/// The mutations of prepayments.
#[derive(Default)]
pub struct PrepaymentMutation;

/// The mutations of prepayments.
#[Object]
impl PrepaymentMutation {
    /// Takes an offer of quotePrepay: charges the card, or answers the address that the tokens are to be sent to. Where the
    /// provider takes its time, or the customer has to authenticate, it is PROCESSING.
    async fn prepay(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which offer, and what pays it.")] input: PrepayInput,
    ) -> async_graphql::Result<PrepayPayload> {
        answer(prepay(session(ctx)?, input).await, |made, user_errors| match made {
            Some(made) => PrepayPayload {
                user_errors: made.declined().into_iter().map(UserError::from).collect(),
                prepayment: made.outcome.prepayment.map(Prepayment),
            },
            None => PrepayPayload { prepayment: None, user_errors },
        })
    }

    /// Binds a paid prepayment to the app that it is for: its term begins. The same app again changes nothing more; another
    /// one is ALREADY_BOUND.
    async fn bind_app(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which prepayment, and which app.")] input: BindAppInput,
    ) -> async_graphql::Result<BindAppPayload> {
        answer(bind_app(session(ctx)?, input).await, |made, user_errors| BindAppPayload {
            prepayment: made.and_then(|made| made.outcome.prepayment).map(Prepayment),
            user_errors,
        })
    }
}

async fn prepay(session: &Session, input: PrepayInput) -> MutationResult<MutationOutcome> {
    let quote = input_id("quoteId", &input.quote_id, QuoteId::parse)?;
    let method = input.payment_method_id.as_ref();
    let method = method.map(|id| input_id("paymentMethodId", id, PaymentMethodId::parse)).transpose()?;
    let account = payer(session, &input, quote).await?;
    let token = taken_token(session, quote).await?;
    let wanted = Prepay {
        quote,
        amount: input.amount.value,
        method,
        auto_renewal: input.auto_renewal,
        deposit_to: if token.is_some() { DepositTo::Unreserved } else { DepositTo::Nowhere },
    };
    let wanted = match token {
        Some(token) if !input.dry_run => with_address(session, account, &input, wanted, token).await?,
        _ => wanted,
    };
    let made =
        submit(session, account, &input.idempotency_key, input.dry_run, Action::Prepay(wanted)).await?;
    if made.outcome.prepayment.is_none() {
        return Err(ApiError::internal("a prepayment was not kept").into());
    }
    Ok(made)
}

/// The account that the offer was made to, which must be the one that is named.
async fn payer(session: &Session, input: &PrepayInput, quote: QuoteId) -> MutationResult<AccountId> {
    if input.account_id.is_none() && input.namespace.is_none() {
        return owner(session, "quoteId", quote.account(), "quote").await;
    }
    let account = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    if account != quote.account() {
        return Err(Refusal::new(RefusalCode::NotFound, "quoteId", "there is no such quote").into());
    }
    Ok(account)
}

/// The token of an offer, if somebody takes it.
async fn taken_token(session: &Session, quote: QuoteId) -> MutationResult<Option<CurrencyCode>> {
    let Some(deposit_addresses) = &session.app.jobs.deposit_addresses else { return Ok(None) };
    let offer = session.repository().prepay_quote(quote).await?;
    Ok(offer.map(|offer| offer.currency).filter(|asset| deposit_addresses.takes(*asset)))
}

/// The same, with an address of its own for the token to come to. Addresses are watched for ever: what is refused takes none,
/// nor does what this key has done already, and an account has about so many that wait at the most.
async fn with_address(
    session: &Session,
    account: AccountId,
    input: &PrepayInput,
    wanted: Prepay,
    token: CurrencyCode,
) -> MutationResult<Prepay> {
    let Some(deposit_addresses) = session.app.cell_jobs.of(account).deposit_addresses.as_ref() else {
        return Ok(wanted);
    };
    let key = text::idempotency_key(&input.idempotency_key)?;
    let is_answered = async || -> MutationResult<bool> {
        Ok(session.repository().answer(account, key.clone()).await?.is_some())
    };
    if is_answered().await? {
        return Ok(wanted);
    }
    submit(session, account, &input.idempotency_key, true, Action::Prepay(wanted.clone())).await?;
    if session.repository().awaiting_deposits(account).await? >= AWAITING_DEPOSITS_MAX
        && !is_answered().await?
    {
        let message =
            format!("{AWAITING_DEPOSITS_MAX} prepayments of the account wait for their tokens already");
        return Err(Refusal::new(RefusalCode::LimitExceeded, "quoteId", message).into());
    }
    match deposit_addresses.reserve(account, token).await {
        Ok(address) => Ok(Prepay { deposit_to: DepositTo::Address(address), ..wanted }),
        Err(AddressFailure::Store(error)) => Err(error.into()),
        Err(error) => Err(ApiError::new("UNAVAILABLE", error.to_string()).into()),
    }
}

async fn bind_app(session: &Session, input: BindAppInput) -> MutationResult<MutationOutcome> {
    let prepayment = input_id("prepaymentId", &input.prepayment_id, PrepaymentId::parse)?;
    let app = App {
        id: text::code("appId", &input.app_id)?,
        icon_url: optional(input.icon_url, |url| text::web_address("iconUrl", url))?,
        project: text::name("projectName", &input.project_name)?,
    };
    let binding = BindApp {
        prepayment,
        asset: input.asset.0,
        cluster: text::code("clusterId", &input.cluster_id)?,
        chart: text::code("chartName", &input.chart_name)?,
        limits: Limits { cpu: input.cpu_limit, mem: input.mem_limit, storage: input.storage_limit },
        app,
    };
    let account = owner(session, "prepaymentId", prepayment.account(), "prepayment").await?;
    submit_repeatable(session, account, Action::BindApp(Box::new(binding))).await
}
