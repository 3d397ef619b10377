//! Operators: accounts.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use crate::domain::account::{Account as DomainAccount, AccountKind, AccountStatus as DomainStatus, Manager};
use crate::domain::decide::{
    Action, Closing, UpdateAccount, require_display_places, require_not_above_largest,
};
use crate::domain::ids::AccountId;
use crate::domain::money::Currency;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::enums::AccountStatus;
use crate::graphql::error::{ApiError, MutationError, MutationResult};
use crate::graphql::input::{asked, changed, input_account, input_id, known_currency, optional, or_cleared};
use crate::graphql::payload::{answer, attempt, submit_repeatable};
use crate::graphql::scalars::{Code, Exact, Instant};
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::account::{self, Account};
use crate::graphql::types::user_error::UserError;
use crate::jobs::billing::{Unrated, rate_last_months};
use crate::store::access::AccessError;
use crate::store::accounts::account_creation::{NAMESPACE_IS_FREE, PARENT_IS_OPEN};

/// The provider's person for a customer.
#[derive(InputObject)]
pub struct CustomerManagerInput {
    /// The name.
    name: String,
    /// The mail address.
    email: Option<String>,
}

/// A new tenant.
#[derive(InputObject)]
pub struct CreateAccountInput {
    /// The tenant's own unique name: letters, digits, '.', '_' and '-', at most 64. It never changes.
    namespace: String,
    /// Its name, for people.
    name: String,
    /// The currency that it pays in; it never changes.
    currency: Code,
    /// The id that another system of the provider's knows it by.
    external_id: Option<String>,
    /// Makes it a SUB account of this MAIN account.
    parent_id: Option<ID>,
    /// IANA zone, for example Asia/Shanghai; default UTC.
    time_zone: Option<String>,
    /// How far the balance may go below zero; default not at all. What another operator has to allow (APPROVAL_NEEDED) is asked for
    /// with updateAccount, once the account is there.
    credit_limit: Option<Exact>,
    /// The provider's person for it.
    manager: Option<CustomerManagerInput>,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as keys
    /// count (`serviceConfig.idempotencyKeyDays`). The key is the provider's. Absent: the namespace is taken the second time.
    idempotency_key: Option<String>,
}

/// The account that was made.
#[derive(SimpleObject, Default)]
pub struct CreateAccountPayload {
    /// The account.
    account: Option<Account>,
    /// Why it was not made.
    user_errors: Vec<UserError>,
}

/// What is to change of an account; what is absent stays, and null clears. Namespace and currency never change.
#[derive(InputObject)]
pub struct UpdateAccountInput {
    /// The account, by namespace.
    namespace: Option<String>,
    /// The account, by id.
    account_id: Option<ID>,
    /// Its name, for people; it has one.
    name: MaybeUndefined<String>,
    /// The id that another system of the provider's knows it by.
    external_id: MaybeUndefined<String>,
    /// IANA zone, for example Asia/Shanghai; it has one.
    time_zone: MaybeUndefined<String>,
    /// How far the balance may go below zero; null: not at all. What a higher limit makes payable is paid at once. One that another
    /// operator has to allow (APPROVAL_NEEDED) is asked for without other changes, and waits once however often it is asked for.
    credit_limit: MaybeUndefined<Exact>,
    /// What it may do. CLOSED ends whatever runs and makes the last bill at once, which is paid from the balance; what is left
    /// can be paid out. An account with SUB accounts that are not closed cannot be closed.
    status: MaybeUndefined<AccountStatus>,
    /// The provider's person for it.
    manager: MaybeUndefined<CustomerManagerInput>,
    /// How long a suspension that is lifted by hand stays lifted while something is overdue; default 7 days from now, at most
    /// a year. Null: what is overdue counts again at once.
    suspension_held_until: MaybeUndefined<Instant>,
    /// Why, for people: told to the account's owner where it is suspended or closed, and kept in the log.
    reason: Option<String>,
}

/// The account that was changed.
#[derive(SimpleObject, Default)]
pub struct UpdateAccountPayload {
    /// The account.
    account: Option<Account>,
    /// Why it was not changed.
    user_errors: Vec<UserError>,
}

/// The accounts' mutations.
#[derive(Default)]
pub struct AccountMutation;

/// The accounts' mutations.
#[Object]
impl AccountMutation {
    /// Operators: makes an account.
    async fn create_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The tenant.")] input: CreateAccountInput,
    ) -> async_graphql::Result<CreateAccountPayload> {
        answer(create_account(operator_session(ctx)?, input).await, |account, user_errors| {
            CreateAccountPayload { account: account.map(|account| Account(Arc::new(account))), user_errors }
        })
    }

    /// Operators: changes an account. What that makes payable is paid at once.
    async fn update_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which account, and what of it.")] input: UpdateAccountInput,
    ) -> async_graphql::Result<UpdateAccountPayload> {
        answer(update_account(operator_session(ctx)?, input).await, |account, user_errors| {
            UpdateAccountPayload { account: account.map(Account), user_errors }
        })
    }
}

async fn create_account(session: &Session, input: CreateAccountInput) -> MutationResult<DomainAccount> {
    let asked = asked(&input, &[]);
    let currency = known_currency(session, "currency", input.currency.0)?;
    let parent = match &input.parent_id {
        Some(id) => Some(main_account(session, id, &currency).await?),
        None => None,
    };
    let namespace = text::code("namespace", &input.namespace)?;
    let external_id = input.external_id.as_deref().map(|id| text::name("externalId", id)).transpose()?;
    let name = text::name("name", &input.name)?;
    let account = DomainAccount {
        external_id,
        kind: if parent.is_some() { AccountKind::Sub } else { AccountKind::Main },
        parent,
        time_zone: input.time_zone.as_deref().map_or(Ok(Tz::UTC), time_zone)?,
        manager: input.manager.map(manager).transpose()?,
        credit_limit: input
            .credit_limit
            .map(|limit| first_limit(session, &currency, limit.value))
            .transpose()?,
        // The database gives the number.
        ..DomainAccount::opened(AccountId(0), namespace, name, currency.code, session.app.clock.now())
    };
    let attempt = attempt(session, AccountId::PROVIDER, input.idempotency_key.as_deref(), asked)?;
    session.repository().account_create(account, attempt).await.map_err(|error| match &error {
        AccessError::Store(store) if store.is_violation_of(NAMESPACE_IS_FREE) => {
            Refusal::new(RefusalCode::Conflict, "namespace", "another account has this namespace").into()
        }
        AccessError::Store(store) if store.is_violation_of(PARENT_IS_OPEN) => parent_is_closed().into(),
        _ => MutationError::from(error),
    })
}

fn parent_is_closed() -> Refusal {
    Refusal::new(RefusalCode::Invalid, "parentId", "the MAIN account is closed")
}

async fn main_account(session: &Session, id: &ID, currency: &Currency) -> MutationResult<AccountId> {
    let id = input_id("parentId", id, AccountId::parse)?;
    let parent = session.load(id).await?;
    let parent =
        parent.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "parentId", "there is no such account"))?;
    if parent.kind != AccountKind::Main {
        return Err(
            Refusal::new(RefusalCode::Invalid, "parentId", "a SUB account cannot have SUB accounts").into()
        );
    }
    if parent.currency != currency.code {
        let message = format!("the MAIN account pays in {}", parent.currency);
        return Err(Refusal::new(RefusalCode::CurrencyMismatch, "currency", message).into());
    }
    Ok(id)
}

fn time_zone(name: &str) -> Result<Tz, Refusal> {
    name.parse().map_err(|_| {
        Refusal::new(RefusalCode::Invalid, "timeZone", "is not an IANA time zone such as Asia/Shanghai")
    })
}

fn manager(input: CustomerManagerInput) -> Result<Manager, Refusal> {
    let email = input.email.as_deref().map(|email| text::name("manager.email", email)).transpose()?;
    Ok(Manager { name: text::name("manager.name", &input.name)?, email })
}

fn credit_limit(currency: &Currency, limit: Decimal) -> Result<Decimal, Refusal> {
    if limit < Decimal::ZERO {
        return Err(Refusal::new(RefusalCode::Invalid, "creditLimit", "must not be negative"));
    }
    require_display_places(currency, "creditLimit", limit)?;
    require_not_above_largest("creditLimit", limit)?;
    Ok(limit)
}

/// The limit that an account begins with: there is nothing yet that a higher one could wait for.
fn first_limit(session: &Session, currency: &Currency, limit: Decimal) -> Result<Decimal, Refusal> {
    let limit = credit_limit(currency, limit)?;
    let policy = session.app.policies.approvals.as_ref();
    match policy.map(|policy| policy.alone_up_to(currency.code)).filter(|alone| limit > *alone) {
        Some(alone) => {
            let (alone, code) = (currency.format(alone), currency.code);
            let message = format!(
                "above {alone} {code} another operator has to allow it: make the account without it, and ask for it with updateAccount"
            );
            Err(Refusal::new(RefusalCode::ApprovalNeeded, "creditLimit", message))
        }
        None => Ok(limit),
    }
}

/// While an account is being closed, usage or orders may come; it is read and rated again so often.
const TRIES: u32 = 5;

async fn update_account(session: &Session, input: UpdateAccountInput) -> MutationResult<Arc<DomainAccount>> {
    let id = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    let account = account::load(session, id).await?.0;
    let currency = known_currency(session, "accountId", account.currency)?;
    let mut update = UpdateAccount {
        name: changed("name", input.name)?.as_deref().map(|name| text::name("name", name)).transpose()?,
        external_id: or_cleared(input.external_id, |id| text::name("externalId", &id))?,
        time_zone: changed("timeZone", input.time_zone)?.as_deref().map(time_zone).transpose()?,
        credit_limit: or_cleared(input.credit_limit, |limit| credit_limit(&currency, limit.value))?,
        status: changed("status", input.status)?.map(Into::into),
        manager: or_cleared(input.manager, manager)?,
        held_until: or_cleared(input.suspension_held_until, |until| Ok(until.0))?,
        reason: optional(input.reason, |reason| text::name("reason", reason))?,
        closing: None,
    };
    if let Some(reason) = &update.reason {
        tracing::info!(account = %id, operator = %session.viewer().subject, %reason, "an account is changed");
    }
    let closes = update.status == Some(DomainStatus::Closed) && account.status != DomainStatus::Closed;
    let mut tries = TRIES;
    loop {
        if closes {
            update.closing = Some(closing(session, id).await?);
        }
        let action = Action::UpdateAccount(Box::new(update.clone()));
        let done = submit_repeatable(session, id, action).await;
        let changed_meanwhile = |refusal: &Refusal| refusal.code == RefusalCode::Conflict && closes;
        match done {
            Err(MutationError::Refused(refusal)) if changed_meanwhile(&refusal) && tries > 0 => {
                tries = tries.saturating_sub(1);
            }
            done => {
                session.app.meter.forget(id);
                return Ok(done?.account);
            }
        }
    }
}

/// Reads and rates the account's last months.
async fn closing(session: &Session, id: AccountId) -> MutationResult<Closing> {
    let refuse = |code, why: Unrated| Refusal::new(code, "status", format!("its last bill: {why}"));
    rate_last_months(session.app.cell_jobs.of(id), id).await?.map_err(|why| match why {
        Unrated::OutOfRange => refuse(RefusalCode::OutOfRange, why).into(),
        Unrated::TooManyOrders => refuse(RefusalCode::LimitExceeded, why).into(),
        Unrated::Unreadable(error) => error.into(),
        why @ Unrated::UnknownCurrency(_) => ApiError::internal(why).into(),
    })
}
