//! What is written beside the engine, once for each key.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::future::BoxFuture;

use super::error::StoreError;
use super::seals::Sealer;
use super::sql::statement::Statement;
use super::{Conn, accounts, execute, keys};
use crate::domain::idempotency::{Attempt, KeyUse, OutcomeIds};
use crate::domain::ids::AccountId;
use crate::domain::mutation::Mutation;
use crate::domain::refusal::Refusal;
use crate::domain::seal::SealKeys;

/// Something that is written beside the engine, in one transaction.
pub trait KeyedWrite: Sync {
    const MUTATION: Mutation;

    /// What is answered.
    type Made: Send;

    /// Writes it, and answers the ids of what it made, as the API writes them.
    fn write<'c>(&'c self, conn: Conn<'c>, attempt: &'c Attempt) -> BoxFuture<'c, Result<Vec<String>, Stop>>;

    /// What was made by this attempt or an earlier one of its key, as it is now.
    fn made<'c>(
        &'c self,
        conn: Conn<'c>,
        attempt: &'c Attempt,
        created: Vec<String>,
    ) -> BoxFuture<'c, Result<Self::Made, StoreError>>;
}

/// What became of it.
pub enum Ending<T> {
    Made(T),
    Refused(Refusal),
    /// The connection was lost at the commit.
    Unknown(StoreError),
}

/// Why something is not written.
pub enum Stop {
    Refused(Refusal),
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<DieselError> for Stop {
    fn from(error: DieselError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The ids of what a key made.
pub(super) fn created_ids<T>(
    created: &[String],
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let unknown = |id: &String| StoreError::Corrupt(format!("a key names \"{id}\""));
    created.iter().map(|id| parse(id).ok_or_else(|| unknown(id))).collect()
}

/// What a key made is not there any more.
pub(super) fn gone() -> StoreError {
    StoreError::Corrupt("a key names what is not there".to_owned())
}

/// Why a transaction is not committed.
enum Rollback<T> {
    Stopped(Stop),
    /// A dry run: what would have been.
    Tried(T),
}

impl<T, E: Into<Stop>> From<E> for Rollback<T> {
    fn from(error: E) -> Self {
        Self::Stopped(error.into())
    }
}

/// Writes it, unless the attempt's key holds that it was written.
pub async fn once<W: KeyedWrite>(
    conn: &mut AsyncPgConnection,
    attempt: &Attempt,
    wanted: &W,
    seals: &SealKeys,
) -> Result<Ending<W::Made>, StoreError> {
    let at_commit = AtomicBool::new(false);
    let outcome = conn
        .transaction(async |conn| {
            let conn: Conn<'_> = conn;
            let created = match held(conn, attempt, W::MUTATION).await? {
                Some(created) => created,
                None => {
                    let created = wanted.write(conn, attempt).await?;
                    keep(conn, attempt, W::MUTATION, created.clone(), seals).await?;
                    created
                }
            };
            let made = wanted.made(conn, attempt, created).await?;
            if attempt.dry_run {
                return Err(Rollback::Tried(made));
            }
            at_commit.store(true, Ordering::Relaxed);
            Ok(made)
        })
        .await;
    match outcome {
        Ok(made) | Err(Rollback::Tried(made)) => Ok(Ending::Made(made)),
        Err(Rollback::Stopped(Stop::Refused(refusal))) => Ok(Ending::Refused(refusal)),
        // What the database answers to a commit is so; where the answer is lost it is not known.
        Err(Rollback::Stopped(Stop::Failed(error)))
            if at_commit.into_inner()
                && !matches!(error, StoreError::Rejected { .. } | StoreError::Contended(_)) =>
        {
            Ok(Ending::Unknown(error))
        }
        Err(Rollback::Stopped(Stop::Failed(error))) => Err(error),
    }
}

/// What the attempt's key holds, if it was used for the same before.
async fn held(conn: Conn<'_>, attempt: &Attempt, mutation: Mutation) -> Result<Option<Vec<String>>, Stop> {
    let Some(key) = &attempt.key else { return Ok(None) };
    hold(conn, attempt.owner, key).await?;
    let answers = keys::answer_by_keys(conn, vec![attempt.owner.0], vec![key.clone()]).await?;
    let Some((_, answer)) = answers.into_iter().next() else { return Ok(None) };
    answer.require_same(&mutation, &attempt.asked)?;
    match answer.made.created {
        none if none.is_empty() => Ok(Some(keys::price_rules_of_key(conn, attempt.owner, key).await?)),
        created => Ok(Some(created)),
    }
}

/// Waits until nobody else uses the key. The engine uses an account's keys while it holds the account.
async fn hold(conn: Conn<'_>, owner: AccountId, key: &str) -> Result<(), StoreError> {
    if owner != AccountId::PROVIDER {
        return accounts::account_hold(conn, owner).await;
    }
    let statement = Statement::new("SELECT pg_advisory_xact_lock(hashtextextended(")
        .text(format!("the provider's key {key}"))
        .sql(", 0))");
    execute(conn, statement).await.map(drop)
}

async fn keep(
    conn: Conn<'_>,
    attempt: &Attempt,
    mutation: Mutation,
    created: Vec<String>,
    seals: &SealKeys,
) -> Result<(), StoreError> {
    let Some(key) = attempt.key.clone() else { return Ok(()) };
    let made = OutcomeIds { created, ..OutcomeIds::default() };
    let record = KeyUse { key, mutation, fingerprint: attempt.asked.own }.record(made, attempt.now);
    keys::answer_insert_one(conn, &(attempt.owner, record), &Sealer::of_new(seals)).await
}
