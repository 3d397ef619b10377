//! Cards that customers pay with.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain::decide::{Action, AddPaymentMethod, RemovePaymentMethod};
use crate::domain::ids::{AccountId, PaymentMethodId};
use crate::domain::mutation::{ADD_PAYMENT_METHOD, Mutation};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;
use crate::domain::text;
use crate::graphql::error::{ApiError, MutationError, MutationResult};
use crate::graphql::input::{asked, input_account, input_id, owner};
use crate::graphql::loaders::PaymentMethodsOf;
use crate::graphql::payload::{MutationOutcome, answer, made_before, submit_repeatable, submit_with};
use crate::graphql::session::{Session, session};
use crate::graphql::types::payment_method::PaymentMethod;
use crate::graphql::types::user_error::UserError;
use crate::payments::{KeptCard, ProviderError};

/// The numbers of cards have so many digits at least.
const CARD_NUMBER_DIGITS: usize = 12;

/// Adds a card. `namespace` or `accountId` names the account; neither: the caller's own.
#[derive(InputObject)]
pub struct AddPaymentMethodInput {
    /// The account that pays with it, by namespace.
    namespace: Option<String>,
    /// The account that pays with it, by id.
    account_id: Option<ID>,
    /// The payment provider's name for the card; never its number. In the sandbox one of Stripe's for tests, such as pm_card_visa.
    provider_token: String,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as keys
    /// count (`serviceConfig.idempotencyKeyDays`). Absent: a card that is kept already stays as it is.
    idempotency_key: Option<String>,
}

/// The card that was added.
#[derive(SimpleObject, Default)]
pub struct AddPaymentMethodPayload {
    /// The card.
    payment_method: Option<PaymentMethod>,
    /// Why it was not added.
    user_errors: Vec<UserError>,
}

/// Removes a card.
#[derive(InputObject)]
pub struct RemovePaymentMethodInput {
    /// The card.
    payment_method_id: ID,
}

/// The card that was removed.
#[derive(SimpleObject, Default)]
pub struct RemovePaymentMethodPayload {
    /// The card.
    payment_method: Option<PaymentMethod>,
    /// Why it was not removed.
    user_errors: Vec<UserError>,
}

/// The mutations of payment methods.
#[derive(Default)]
pub struct PaymentMethodMutation;

/// The mutations of payment methods.
#[Object]
impl PaymentMethodMutation {
    /// Adds a card that the payment provider holds; an account keeps at most 20. One that is kept already stays as it is.
    async fn add_payment_method(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose card, and what the provider calls it.")] input: AddPaymentMethodInput,
    ) -> async_graphql::Result<AddPaymentMethodPayload> {
        answer(add(session(ctx)?, input).await, |payment_method, user_errors| AddPaymentMethodPayload {
            payment_method,
            user_errors,
        })
    }

    /// Removes a card: it is not charged any more. Asking again changes nothing more.
    async fn remove_payment_method(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which card.")] input: RemovePaymentMethodInput,
    ) -> async_graphql::Result<RemovePaymentMethodPayload> {
        answer(remove(session(ctx)?, input).await, |payment_method, user_errors| RemovePaymentMethodPayload {
            payment_method,
            user_errors,
        })
    }
}

async fn add(session: &Session, input: AddPaymentMethodInput) -> MutationResult<PaymentMethod> {
    let asked = asked(&input, &["accountId", "namespace"]);
    let key = input.idempotency_key.as_deref();
    let account = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    if let Some(made) = made_before(session, account, key, Mutation::named(ADD_PAYMENT_METHOD), asked).await?
    {
        return still_kept(made);
    }
    // The provider is not asked to keep what is refused.
    session.repository().require_stake(Some(Stake::Setting), account).await?;
    let token = text::code("providerToken", &input.provider_token)?;
    require_no_card_number(&token)?;
    let provider = session.app.jobs.cashier.providers.of_new_cards().ok_or_else(|| {
        Refusal::new(RefusalCode::Invalid, "providerToken", "this server has no payment provider")
    })?;
    let customer = customer_at(session, account, provider.name()).await?;
    let held = provider.keep_card(account, customer.as_deref(), &token).await.map_err(not_kept)?;
    let KeptCard { card, token, customer } = held;
    let adding = AddPaymentMethod { asked, provider: provider.name().to_owned(), token, customer, card };
    kept(submit_with(session, account, key, Action::AddPaymentMethod(Box::new(adding))).await?)
}

/// What the provider calls the account already.
async fn customer_at(
    session: &Session,
    account: AccountId,
    provider: &str,
) -> MutationResult<Option<String>> {
    let kept = session.load(PaymentMethodsOf(account)).await?.unwrap_or_default();
    let of_provider = kept.iter().filter(|method| method.provider == provider);
    Ok(of_provider.filter_map(|method| method.customer.clone()).next())
}

fn not_kept(error: ProviderError) -> MutationError {
    let refused = |code| Refusal::new(code, "providerToken", error.to_string());
    match error {
        ProviderError::NoSuchCard => refused(RefusalCode::NotFound).into(),
        ProviderError::Refused(_) => refused(RefusalCode::PaymentDeclined).into(),
        ProviderError::Unavailable(_) => {
            // Its words may tell of the provider's account.
            tracing::error!(%error, "a card could not be kept");
            ApiError::new("UNAVAILABLE", "the payment provider could not be asked").into()
        }
    }
}

/// Refuses what looks like a card's number: that is for the payment provider alone.
fn require_no_card_number(token: &str) -> Result<(), Refusal> {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let others = token.bytes().any(|b| !b.is_ascii_digit() && !matches!(b, b'-' | b'.'));
    if others || digits < CARD_NUMBER_DIGITS {
        return Ok(());
    }
    let message = "must be the payment provider's token, and never a card's number";
    Err(Refusal::new(RefusalCode::Invalid, "providerToken", message))
}

async fn remove(session: &Session, input: RemovePaymentMethodInput) -> MutationResult<PaymentMethod> {
    let id = input_id("paymentMethodId", &input.payment_method_id, PaymentMethodId::parse)?;
    let account = owner(session, "paymentMethodId", id.account(), "payment method").await?;
    let removing = Action::RemovePaymentMethod(RemovePaymentMethod(id));
    let removed = kept(submit_repeatable(session, account, removing).await?)?;
    forget(session, &removed);
    Ok(removed)
}

/// Has the provider forget a card, too. It is not charged any more whether or not that succeeds.
fn forget(session: &Session, removed: &PaymentMethod) {
    let (cashier, method) = (Arc::clone(&session.app.jobs.cashier), Arc::clone(&removed.0));
    tokio::spawn(async move {
        let Some(provider) = cashier.providers.named(&method.provider) else { return };
        if let Err(error) = provider.forget_card(&method.token).await {
            metrics::counter!("abacus_payment_provider_failures_total").increment(1);
            tracing::warn!(payment_method = %method.id, %error, "a removed card is still held by its provider");
        }
    });
}

/// What a key has added, unless it was removed since.
fn still_kept(made: MutationOutcome) -> MutationResult<PaymentMethod> {
    let method = kept(made)?;
    if method.0.removed_at.is_some() {
        let message = "its card was removed";
        return Err(Refusal::new(RefusalCode::NotFound, "idempotencyKey", message).into());
    }
    Ok(method)
}

fn kept(made: MutationOutcome) -> MutationResult<PaymentMethod> {
    let none = || ApiError::internal("a payment method was not kept");
    Ok(PaymentMethod(made.outcome.payment_method.ok_or_else(none)?))
}
