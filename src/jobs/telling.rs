//! What operators are told of what happens by itself: once, until they have acknowledged it.

use super::JobContext;
use super::submit::submit;
use crate::domain::decide::{Action, RaiseNotice};
use crate::domain::ids::AccountId;
use crate::domain::notice::NoticeKind;
use crate::store::error::StoreError;
use crate::store::{accounts, notices};

/// Raises a notice on an account, unless one of its kind is open there.
pub(super) async fn tell_once(
    jobs: &JobContext,
    account: AccountId,
    kind: NoticeKind,
    message: String,
) -> Result<(), StoreError> {
    let conn = jobs.database.connection().await?;
    if notices::notice_is_open(&conn, account, kind).await? {
        return Ok(());
    }
    drop(conn);
    let notice = RaiseNotice::about_account(kind, message);
    if let Err(error) = submit(jobs, account, Action::RaiseNotice(notice)).await {
        tracing::error!(%account, %error, "nor could that be told");
    }
    Ok(())
}

/// The account that is told of what is nobody's, if there is any: the first.
pub(super) async fn first_account(jobs: &JobContext) -> Result<Option<AccountId>, StoreError> {
    let conn = jobs.database.connection().await?;
    let first = accounts::account_from(&conn, AccountId(0), 1).await?.pop();
    Ok(first.map(|account| account.id))
}
