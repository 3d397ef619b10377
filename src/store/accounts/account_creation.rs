//! Accounts are made, each with a namespace of its own.

use std::sync::Arc;

use diesel::sql_types::{Array, BigInt, Binary};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::domain::account::{Account, AccountStatus};
use crate::domain::closing::Month;
use crate::domain::idempotency::Attempt;
use crate::domain::ids::AccountId;
use crate::domain::mutation::Mutation;
use crate::domain::seal::SealKeys;
use crate::store::accounts::account_zones::zones_note;
use crate::store::accounts::{account_by_ids, account_hold, account_insert};
use crate::store::cells::own_row::account_count_up;
use crate::store::error::StoreError;
use crate::store::invoices::open_invoices;
use crate::store::once::{KeyedWrite, Stop, created_ids, gone};
use crate::store::schema::namespaces;
use crate::store::seals::Sealer;
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{Conn, execute};

/// What a SUB account of a MAIN account that is closed would be a violation of.
pub const PARENT_IS_OPEN: &str = "accounts_parent_is_open";

/// What a namespace that is taken is a violation of.
pub const NAMESPACE_IS_FREE: &str = "namespaces_pkey";

/// An account that is to be made; the database numbers it. A namespace that is taken is a violation of [`NAMESPACE_IS_FREE`], a
/// parent that is closed one of [`PARENT_IS_OPEN`].
pub struct NewAccount {
    pub account: Account,
    pub seals: Arc<SealKeys>,
    /// Whether it is made in one of several cells, and may have a number already.
    pub of_several: bool,
}

impl KeyedWrite for NewAccount {
    const MUTATION: Mutation = Mutation::named("createAccount");
    type Made = Account;

    fn write<'c>(&'c self, conn: Conn<'c>, _: &'c Attempt) -> BoxFuture<'c, Result<Vec<String>, Stop>> {
        async move {
            let id = account_create(conn, self.account.clone(), &self.seals, self.of_several).await?;
            Ok(vec![id.to_string()])
        }
        .boxed()
    }

    fn made<'c>(
        &'c self,
        conn: Conn<'c>,
        _: &'c Attempt,
        created: Vec<String>,
    ) -> BoxFuture<'c, Result<Account, StoreError>> {
        async move {
            let ids = created_ids(&created, AccountId::parse)?;
            account_by_ids(conn, ids.iter().map(|id| id.0).collect()).await?.pop().ok_or_else(gone)
        }
        .boxed()
    }
}

/// Makes an account; in one of several cells with the number that it has, if it has any.
pub(in crate::store) async fn account_create(
    conn: Conn<'_>,
    account: Account,
    seals: &SealKeys,
    of_several: bool,
) -> Result<AccountId, StoreError> {
    if let Some(parent) = account.parent {
        // Held, so that it is not closed meanwhile.
        account_hold(conn, parent).await?;
        let found = account_by_ids(conn, vec![parent.0]).await?;
        if found.iter().all(|parent| parent.status == AccountStatus::Closed) {
            let (constraint, message) = (PARENT_IS_OPEN.to_owned(), "its MAIN account is closed".to_owned());
            return Err(StoreError::Rejected { constraint: Some(constraint), message });
        }
    }
    let account = match account.id {
        AccountId(0) => {
            let number = Statement::<BigInt>::new("SELECT nextval('account_numbers')");
            let id: i64 = number.get_result(&mut &*conn).await?;
            Account { id: AccountId(id), ..account }
        }
        _ => account,
    };
    namespace_take(conn, &account.namespace, account.id, seals).await?;
    account_insert(conn, &account, &Sealer::of_new(seals)).await?;
    zones_note(conn, std::iter::once(account.time_zone)).await?;
    let month = Month::of(account.created_at, account.time_zone);
    let month = month.map_err(|error| StoreError::Internal(error.to_string()))?;
    open_invoices::open_begin(conn, account.id, month.start, month.end).await?;
    if of_several {
        account_count_up(conn).await?;
    }
    Ok(account.id)
}

/// Takes a namespace for an account.
pub(in crate::store) async fn namespace_take(
    conn: Conn<'_>,
    namespace: &str,
    account: AccountId,
    seals: &SealKeys,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .put::<namespaces::namespace, _>(std::iter::once(&namespace.to_owned()))
        .put::<namespaces::account_id, _>(std::iter::once(account));
    execute(conn, columns.insert_row_into("namespaces")).await?;
    // Asked for after it is taken: an erasure that is under way has come to its end by then.
    if is_given_up(conn, namespace, seals).await? {
        let message = "it was an account's that was erased".to_owned();
        return Err(StoreError::Rejected { constraint: Some(NAMESPACE_IS_FREE.to_owned()), message });
    }
    Ok(())
}

/// Whether a namespace was somebody's who was erased: nobody else gets it.
async fn is_given_up(mut conn: Conn<'_>, namespace: &str, keys: &SealKeys) -> Result<bool, StoreError> {
    let statement = Statement::<BigInt>::new("SELECT count(*) FROM given_up_namespaces WHERE digest = ANY(")
        .value::<Array<Binary>, _>(keys.digests(namespace))
        .sql(")");
    let found: i64 = statement.get_result(&mut conn).await?;
    Ok(found > 0)
}
