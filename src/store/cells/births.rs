//! Accounts are born in the cell that has the fewest. The namespace is taken in the home cell first, with the number that the account is
//! to have; so it is one account's over all cells, and whoever asks again goes on where it was left (docs/adr/0042).

use std::sync::Arc;
use std::time::Duration;

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use super::own_row::accounts;
use super::{Cells, MOVING};
use crate::domain::account::Account;
use crate::domain::cell::CellNumber;
use crate::domain::idempotency::Attempt;
use crate::domain::ids::AccountId;
use crate::domain::mutation::Mutation;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::seal::SealKeys;
use crate::store::Conn;
use crate::store::accounts::account_creation::{
    NAMESPACE_IS_FREE, NewAccount, account_create, namespace_take,
};
use crate::store::accounts::{account_by_ids, account_by_namespaces};
use crate::store::error::StoreError;
use crate::store::once::{Ending, KeyedWrite, Stop, created_ids, gone, once};
use crate::store::restorations::restorations;
use crate::store::sql::statement::Statement;

/// A cell that says nothing for so long is passed over.
const ASKED_FOR_MAX: Duration = Duration::from_secs(1);

/// An account that is to be made somewhere.
struct Birth {
    account: Account,
    seals: Arc<SealKeys>,
    /// The number that it is to have in another cell; None: it is born in the home cell.
    elsewhere: Option<AccountId>,
    /// Whether there is one of that number, which lives elsewhere than it was born: its key is answered, and nobody else has it.
    has_moved: bool,
}

/// An account that has a number, and, where it was made in the home cell, is there.
pub struct Born {
    id: AccountId,
    account: Option<Account>,
}

impl KeyedWrite for Birth {
    const MUTATION: Mutation = NewAccount::MUTATION;
    type Made = Born;

    fn write<'c>(&'c self, conn: Conn<'c>, _: &'c Attempt) -> BoxFuture<'c, Result<Vec<String>, Stop>> {
        async move {
            let id = match self.elsewhere {
                Some(_) if self.has_moved => return Err(is_taken().into()),
                Some(number) => {
                    let namespace = &self.account.namespace;
                    let held = account_by_namespaces(conn, vec![namespace.clone()]).await?;
                    // What was begun before has it already.
                    if held.iter().all(|(_, account)| *account != number) {
                        namespace_take(conn, namespace, number, &self.seals).await?;
                    }
                    number
                }
                None => account_create(conn, self.account.clone(), &self.seals, true).await?,
            };
            Ok(vec![id.to_string()])
        }
        .boxed()
    }

    fn made<'c>(
        &'c self,
        conn: Conn<'c>,
        _: &'c Attempt,
        created: Vec<String>,
    ) -> BoxFuture<'c, Result<Born, StoreError>> {
        async move {
            let id = created_ids(&created, AccountId::parse)?.pop().ok_or_else(gone)?;
            Ok(Born { id, account: account_by_ids(conn, vec![id.0]).await?.pop() })
        }
        .boxed()
    }
}

/// Makes an account, once for each key, in the cell of its MAIN account or the emptiest that can be reached.
pub async fn born(cells: &Cells, account: Account, attempt: Attempt) -> Result<Ending<Account>, StoreError> {
    let seals = Arc::clone(cells.home().database.keys());
    // What was begun before is gone on with, unless it has come to its end: then whoever has the key is answered.
    let begun = begun(cells, &account.namespace).await?;
    if account.parent.is_some_and(|parent| cells.is_moving(parent)) {
        return Err(StoreError::Unavailable(MOVING.to_owned()));
    }
    if let (Some((id, false)), Some(parent)) = (begun, account.parent)
        && cells.place_of(id) != cells.place_of(parent)
    {
        let message =
            "this namespace was begun to be given to an account of another cell than the MAIN account's";
        return Ok(Ending::Refused(Refusal::new(RefusalCode::Conflict, "namespace", message)));
    }
    let id = match begun {
        Some((id, true)) if cells.place_of(id) != 0 && is_where_it_was_born(cells, id) => id,
        begun => {
            let has_moved = matches!(begun, Some((id, true)) if !is_where_it_was_born(cells, id));
            let elsewhere = match begun {
                Some((id, _)) => Some(id).filter(|id| has_moved || cells.place_of(*id) != 0),
                None => number_elsewhere(cells, account.parent).await?,
            };
            let birth = Birth { account: account.clone(), seals: Arc::clone(&seals), elsewhere, has_moved };
            match keyed(cells, 0, attempt.clone(), birth, &seals).await? {
                Ending::Made(Born { account: Some(account), .. }) => return Ok(Ending::Made(account)),
                Ending::Made(Born { id, account: None }) if has_moved => {
                    return Ok(Ending::Made(as_it_is(cells, id).await?));
                }
                Ending::Made(Born { id, account: None }) => id,
                Ending::Refused(refusal) => return Ok(Ending::Refused(refusal)),
                Ending::Unknown(error) => return Ok(Ending::Unknown(error)),
            }
        }
    };
    let new = NewAccount { account: Account { id, ..account }, seals: Arc::clone(&seals), of_several: true };
    keyed(cells, cells.place_of(id), attempt, new, &seals).await
}

fn is_where_it_was_born(cells: &Cells, account: AccountId) -> bool {
    Some(cells.place_of(account)) == cells.place_at(CellNumber::of_birth(account))
}

/// An account that was made before, from where it lives.
async fn as_it_is(cells: &Cells, id: AccountId) -> Result<Account, StoreError> {
    let place = cells.place_of(id);
    let look = async {
        let conn = cells.at(place).database.connection().await?;
        account_by_ids(&conn, vec![id.0]).await?.pop().ok_or_else(gone)
    };
    look.await.map_err(|error| cells.told(place, error))
}

/// Has something written in a cell once for its key.
async fn keyed<W>(
    cells: &Cells,
    place: usize,
    attempt: Attempt,
    wanted: W,
    seals: &Arc<SealKeys>,
) -> Result<Ending<W::Made>, StoreError>
where
    W: KeyedWrite<Made: 'static> + Send + 'static,
{
    let seals = Arc::clone(seals);
    let written = cells.at(place).database.write(move |conn| once_in(conn, attempt, wanted, seals)).await;
    written.map_err(|error| cells.told(place, error))
}

fn once_in<'c, W>(
    conn: &'c mut diesel_async::AsyncPgConnection,
    attempt: Attempt,
    wanted: W,
    seals: Arc<SealKeys>,
) -> BoxFuture<'c, Result<Ending<W::Made>, StoreError>>
where
    W: KeyedWrite<Made: 'static> + Send + 'static,
{
    async move { once(conn, &attempt, &wanted, &seals).await }.boxed()
}

/// The account that has a namespace, or is to have it, and whether it is there.
async fn begun(cells: &Cells, namespace: &str) -> Result<Option<(AccountId, bool)>, StoreError> {
    let conn = cells.home().database.connection().await?;
    let found = account_by_namespaces(&conn, vec![namespace.to_owned()]).await?;
    drop(conn);
    let Some((_, id)) = found.into_iter().next() else { return Ok(None) };
    let place = cells.place_of(id);
    let look = async {
        let conn = cells.at(place).database.connection().await?;
        let is_there = !account_by_ids(&conn, vec![id.0]).await?.is_empty();
        // One that a restore has lost was somebody's, whose tokens name it.
        let is_lost =
            !is_there && restorations(&conn).await?.iter().any(|restored| id < restored.first_account);
        Ok::<_, StoreError>((is_there, is_lost))
    };
    let (is_there, is_lost) = look.await.map_err(|error| cells.told(place, error))?;
    if is_lost {
        let message = "it may have been an account's that a restore has lost".to_owned();
        return Err(StoreError::Rejected { constraint: Some(NAMESPACE_IS_FREE.to_owned()), message });
    }
    Ok(Some((id, is_there)))
}

fn is_taken() -> StoreError {
    let message = "it is an account's that has moved to another cell".to_owned();
    StoreError::Rejected { constraint: Some(NAMESPACE_IS_FREE.to_owned()), message }
}

/// The number of an account that is to be born in another cell than the home cell; None: it is to be born there.
async fn number_elsewhere(cells: &Cells, parent: Option<AccountId>) -> Result<Option<AccountId>, StoreError> {
    let place = match parent {
        Some(parent) => cells.place_of(parent),
        None => emptiest(cells).await,
    };
    if place == 0 {
        return Ok(None);
    }
    let draw = async {
        let conn = cells.at(place).database.connection().await?;
        let number = Statement::<BigInt>::new("SELECT nextval('account_numbers')");
        Ok::<i64, StoreError>(number.get_result(&mut &*conn).await?)
    };
    let number = draw.await.map_err(|error| cells.told(place, error))?;
    Ok(Some(AccountId(number)))
}

/// The place of the cell that has the fewest accounts, of those that can be asked; the first of several.
async fn emptiest(cells: &Cells) -> usize {
    let counting = cells.all().map(|cell| async {
        let count = async {
            let conn = cell.database.connection().await?;
            accounts(&conn).await
        };
        tokio::time::timeout(ASKED_FOR_MAX, count).await.ok().and_then(Result::ok)
    });
    let counts = join_all(counting).await;
    let known = counts.into_iter().enumerate().filter_map(|(place, count)| Some((count?, place)));
    known.min().map_or(0, |(_, place)| place)
}
