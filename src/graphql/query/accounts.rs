//! Accounts, and what became of keys.

use async_graphql::{Context, ID, Object};

use crate::domain::ids::AccountId;
use crate::domain::refusal::RefusalCode;
use crate::graphql::error::ApiError;
use crate::graphql::input::{argument_account, argument_id, may_be_kept};
use crate::graphql::loaders::Namespace;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::session::session;
use crate::graphql::types::account::Account;
use crate::graphql::types::idempotent_result::IdempotentResult;

#[derive(Default)]
pub struct AccountQuery;

#[Object]
impl AccountQuery {
    /// An account by id or namespace; with neither, the caller's own. A MAIN account sees its sub-accounts, an operator
    /// all.
    async fn account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account's id.")] id: Option<ID>,
        #[graphql(desc = "The account's namespace.")] namespace: Option<String>,
    ) -> Nullable<Account> {
        nullable::of(async {
            let session = session(ctx)?;
            let found = match (id, namespace) {
                (Some(_), Some(_)) => {
                    let message = "id and namespace cannot be used together";
                    return Err(ApiError::of_argument(RefusalCode::Invalid, "namespace", message));
                }
                (Some(id), None) => session.load(argument_id("id", &id, AccountId::parse)?).await,
                (None, Some(namespace)) if may_be_kept(&namespace) => {
                    session.load(Namespace(namespace)).await
                }
                (None, Some(_)) => Ok(None),
                (None, None) => match session.viewer().account {
                    Some(own) => session.load(own).await,
                    None => Ok(None),
                },
            };
            Ok(found?.map(Account))
        })
        .await
    }

    /// What became of a mutation that moves money: the answer that its key holds, if any.
    async fn idempotent_result(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account whose money was to move; default: the caller's own.")]
        account_id: Option<ID>,
        #[graphql(desc = "The key.")] key: String,
    ) -> Nullable<IdempotentResult> {
        nullable::of(async {
            let session = session(ctx)?;
            let Some(account) = argument_account(account_id)?.or(session.viewer().account) else {
                let message = "an operator has no account of its own";
                return Err(ApiError::of_argument(RefusalCode::Required, "accountId", message));
            };
            // A key that cannot be kept holds nothing; the account is looked up all the same.
            let key = if may_be_kept(&key) { key } else { String::new() };
            let answer = session.repository().answer(account, key).await.map_err(ApiError::from)?;
            Ok(answer.map(IdempotentResult))
        })
        .await
    }
}
