//! Batches as transactions of PostgreSQL.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::batch_store::{AccountLocks, BatchStore};
use super::books::{Books, Ground};
use super::load::load;
use super::write::write;
use crate::domain::account::Account;
use crate::domain::book::Catalogue;
use crate::domain::command::{Command, CommandKey};
use crate::domain::ids::AccountId;
use crate::store::batch_connection::BatchConnection;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::seals::AltSeals;
use crate::store::{accepted_futures, accounts, keys};

/// The database, and what decisions stand on beside it.
#[derive(Clone)]
pub(super) struct Postgres {
    pub database: Database,
    pub ground: Ground,
}

impl BatchStore for Postgres {
    type Connection = BatchConnection;

    fn place_of(&self, account: AccountId) -> Option<usize> {
        self.database.topology().of(account)
    }

    async fn connect(&self) -> Result<BatchConnection, StoreError> {
        BatchConnection::open(&self.database).await
    }

    async fn connect_for_trial(&self) -> Result<BatchConnection, StoreError> {
        BatchConnection::open_for_trial(&self.database).await
    }

    async fn begin(&self, conn: &BatchConnection, accounts: Vec<i64>) -> Result<AccountLocks, StoreError> {
        let locking = accounts::account_lock(conn.conn(), accounts, &self.ground.keys);
        let (accounts, others, at) = conn.begin_with(locking).await?;
        Ok(AccountLocks { accounts, others, at })
    }

    async fn refused_keys(
        &self,
        conn: &BatchConnection,
        keys: Vec<CommandKey>,
    ) -> Result<Vec<(AccountId, String, DateTime<Utc>)>, StoreError> {
        keys::refused_keys(conn.conn(), keys).await
    }

    async fn accepted_until(
        &self,
        conn: &BatchConnection,
        accounts: Vec<i64>,
    ) -> Result<Vec<(AccountId, DateTime<Utc>)>, StoreError> {
        accepted_futures::accepted_until(conn.conn(), accounts).await
    }

    async fn load(
        &self,
        conn: &BatchConnection,
        accounts: Vec<Account>,
        now: DateTime<Utc>,
        commands: &[&Command],
    ) -> Result<(Books, Catalogue), StoreError> {
        load(conn.conn(), accounts, &self.ground, now, commands).await
    }

    async fn write(
        &self,
        conn: &BatchConnection,
        books: Books,
        now: DateTime<Utc>,
        others: AltSeals,
    ) -> Result<(), StoreError> {
        write(conn.conn(), books, now, (&self.ground.keys, others)).await
    }

    async fn note_refused(
        &self,
        conn: &BatchConnection,
        keys: BTreeSet<CommandKey>,
    ) -> Result<(), StoreError> {
        keys::refused_note(conn.conn(), keys).await
    }

    async fn commit(&self, conn: &BatchConnection) -> Result<(), StoreError> {
        conn.commit().await
    }

    async fn roll_back(&self, conn: &BatchConnection, error: StoreError) -> StoreError {
        match conn.roll_back().await {
            Ok(()) => error,
            // It may still be open: the connection is not to be kept.
            Err(in_the_way) => StoreError::Unavailable(in_the_way.to_string()),
        }
    }
}
