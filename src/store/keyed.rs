//! What is written beside the engine, once for each key.

use chrono::{DateTime, Utc};
use diesel::result::Error as DieselError;

use super::error::StoreError;
use super::{Conn, accounts, keys};
use crate::domain::fingerprint::Fingerprints;
use crate::domain::idempotency::{IdempotencyRecord, OutcomeIds};
use crate::domain::ids::AccountId;
use crate::domain::mutation::Mutation;
use crate::domain::refusal::Refusal;
use crate::domain::seal::SealKeys;

/// Why a transaction is not committed.
pub(super) enum Stop<T> {
    Refused(Refusal),
    /// A dry run: what would have been.
    Tried(T),
    Failed(StoreError),
}

impl<T> From<StoreError> for Stop<T> {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl<T> From<DieselError> for Stop<T> {
    fn from(error: DieselError) -> Self {
        Self::Failed(error.into())
    }
}

impl<T> From<Refusal> for Stop<T> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What was made, or why it was not.
pub type Made<T> = Result<Result<T, Refusal>, StoreError>;

pub(super) fn made<T>(outcome: Result<T, Stop<T>>) -> Made<T> {
    match outcome {
        Ok(made) | Err(Stop::Tried(made)) => Ok(Ok(made)),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// A key with what it is used for.
pub(super) struct Key<'k> {
    pub owner: AccountId,
    pub key: &'k str,
    pub mutation: Mutation,
    pub asked: Fingerprints,
    /// What it is sealed with.
    pub seals: &'k SealKeys,
}

impl Key<'_> {
    /// Whether it was used for the same before.
    pub async fn is_held<T>(&self, conn: Conn<'_>) -> Result<bool, Stop<T>> {
        // The engine uses an account's keys while it holds the account.
        accounts::account_hold(conn, self.owner).await?;
        let answers = keys::answer_by_keys(conn, vec![self.owner.0], vec![self.key.to_owned()]).await?;
        let Some((_, answer)) = answers.into_iter().next() else { return Ok(false) };
        answer.require_same(self.mutation, &self.asked)?;
        Ok(true)
    }

    /// What it holds from now on.
    pub fn answer(&self, now: DateTime<Utc>) -> IdempotencyRecord {
        IdempotencyRecord {
            key: self.key.to_owned(),
            mutation: self.mutation,
            fingerprint: self.asked.own,
            made: OutcomeIds::default(),
            created_at: now,
        }
    }
}
