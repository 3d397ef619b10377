//! Operators: accounts.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use crate::domain::account::{Account as DomainAccount, AccountKind, AccountStatus as DomainStatus, Manager};
use crate::domain::burst::BurstState;
use crate::domain::decide::{require_display_places, require_not_above_largest};
use crate::domain::ids::AccountId;
use crate::domain::ledger::Head;
use crate::domain::money::Currency;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::enums::AccountStatus;
use crate::graphql::error::{MutationError, MutationResult};
use crate::graphql::input::{input_account, input_id, known_currency};
use crate::graphql::payload::answer;
use crate::graphql::scalars::{Code, Exact};
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::account::Account;
use crate::graphql::types::user_error::UserError;
use crate::store::accounts::AccountPatch;
use crate::store::repository::AccessError;

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
    /// How far the balance may go below zero; default not at all.
    credit_limit: Option<Exact>,
    /// The provider's person for it.
    manager: Option<CustomerManagerInput>,
}

/// The account that was made.
#[derive(SimpleObject, Default)]
pub struct CreateAccountPayload {
    /// The account.
    account: Option<Account>,
    /// Why it was not made.
    user_errors: Vec<UserError>,
}

/// What is to change of an account; what is absent stays. Namespace and currency never change.
#[derive(InputObject)]
pub struct UpdateAccountInput {
    /// The account, by namespace.
    namespace: Option<String>,
    /// The account, by id.
    account_id: Option<ID>,
    /// Its name, for people.
    name: Option<String>,
    /// The id that another system of the provider's knows it by.
    external_id: Option<String>,
    /// IANA zone, for example Asia/Shanghai.
    time_zone: Option<String>,
    /// How far the balance may go below zero.
    credit_limit: Option<Exact>,
    /// What it may do.
    status: Option<AccountStatus>,
    /// The provider's person for it.
    manager: Option<CustomerManagerInput>,
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

    /// Operators: changes an account.
    async fn update_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which account, and what of it.")] input: UpdateAccountInput,
    ) -> async_graphql::Result<UpdateAccountPayload> {
        answer(update_account(operator_session(ctx)?, input).await, |account, user_errors| {
            UpdateAccountPayload { account: account.map(|account| Account(Arc::new(account))), user_errors }
        })
    }
}

async fn create_account(session: &Session, input: CreateAccountInput) -> MutationResult<DomainAccount> {
    let currency = known_currency(session, "currency", input.currency.0)?;
    let parent = match &input.parent_id {
        Some(id) => Some(main_account(session, id, &currency).await?),
        None => None,
    };
    let account = DomainAccount {
        // The database gives the number.
        id: AccountId(0),
        namespace: text::code("namespace", &input.namespace)?,
        external_id: input.external_id.as_deref().map(|id| text::name("externalId", id)).transpose()?,
        name: text::name("name", &input.name)?,
        kind: if parent.is_some() { AccountKind::Sub } else { AccountKind::Main },
        parent,
        status: DomainStatus::Active,
        suspension: None,
        currency: currency.code,
        time_zone: input.time_zone.as_deref().map_or(Ok(Tz::UTC), time_zone)?,
        manager: input.manager.map(manager).transpose()?,
        credit_limit: input.credit_limit.map(|limit| credit_limit(&currency, limit.value)).transpose()?,
        balance: Decimal::ZERO,
        overdrawn: false,
        purchased: false,
        last_no: 0,
        closed_until: None,
        closed_at: None,
        burst: BurstState::default(),
        head: Head::default(),
        created_at: session.app.clock.now(),
    };
    session.repository().account_create(account).await.map_err(|error| match &error {
        AccessError::Store(store) if store.is_violation_of("namespaces_pkey") => {
            Refusal::new(RefusalCode::Conflict, "namespace", "another account has this namespace").into()
        }
        _ => MutationError::from(error),
    })
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

async fn update_account(session: &Session, input: UpdateAccountInput) -> MutationResult<DomainAccount> {
    let id = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    let not_found = || Refusal::new(RefusalCode::NotFound, "accountId", "there is no such account");
    let account = session.load(id).await?.ok_or_else(not_found)?;
    let currency = known_currency(session, "accountId", account.currency)?;
    let patch = AccountPatch {
        name: input.name.as_deref().map(|name| text::name("name", name)).transpose()?,
        external_id: input.external_id.as_deref().map(|id| text::name("externalId", id)).transpose()?,
        time_zone: input.time_zone.as_deref().map(time_zone).transpose()?,
        credit_limit: input.credit_limit.map(|limit| credit_limit(&currency, limit.value)).transpose()?,
        status: input.status.map(Into::into),
        manager: input.manager.map(manager).transpose()?,
    };
    let now = session.app.clock.now();
    let updated =
        session.repository().account_update(account.id, patch, now).await.map_err(|error| match &error {
            AccessError::Store(store) if store.is_violation_of("accounts_balance_within_limit") => {
                Refusal::new(RefusalCode::Conflict, "creditLimit", "the balance is below that already").into()
            }
            _ => MutationError::from(error),
        })?;
    Ok(updated.ok_or_else(not_found)?)
}
