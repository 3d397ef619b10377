//! Batches as transactions of PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::result::Error;
use diesel_async::{AsyncConnection, AsyncPgConnection, TransactionManager};

use super::batch_store::{AccountLocks, BatchStore};
use super::books::{Books, Ground};
use super::load::load;
use super::stale::Key;
use super::write::write;
use crate::domain::account::Account;
use crate::domain::book::Catalogue;
use crate::domain::command::Command;
use crate::domain::ids::AccountId;
use crate::store::database::{Database, OwnConnection};
use crate::store::error::StoreError;
use crate::store::seals::AltSeals;
use crate::store::{accepted_futures, accounts, keys};

type Transactions = <AsyncPgConnection as AsyncConnection>::TransactionManager;

/// The database, and what decisions stand on beside it.
#[derive(Clone)]
pub(super) struct Postgres {
    pub database: Database,
    pub ground: Ground,
}

impl BatchStore for Postgres {
    type Connection = OwnConnection;

    async fn connect(&self) -> Result<OwnConnection, StoreError> {
        self.database.dedicated_connection().await
    }

    async fn connect_for_trial(&self) -> Result<OwnConnection, StoreError> {
        self.database.trial_connection().await
    }

    async fn begin(&self, connection: &mut OwnConnection) -> Result<(), StoreError> {
        Ok(Transactions::begin_transaction(connection).await?)
    }

    async fn lock(&self, conn: &OwnConnection, accounts: Vec<i64>) -> Result<AccountLocks, StoreError> {
        let (accounts, others, at) = accounts::account_lock(conn, accounts, &self.ground.keys).await?;
        Ok(AccountLocks { accounts, others, at })
    }

    async fn refused_keys(
        &self,
        conn: &OwnConnection,
        keys: Vec<Key>,
    ) -> Result<Vec<(AccountId, String, DateTime<Utc>)>, StoreError> {
        keys::refused_keys(conn, keys).await
    }

    async fn accepted_until(
        &self,
        conn: &OwnConnection,
        accounts: Vec<i64>,
    ) -> Result<Vec<(AccountId, DateTime<Utc>)>, StoreError> {
        accepted_futures::accepted_until(conn, accounts).await
    }

    async fn load(
        &self,
        conn: &OwnConnection,
        accounts: Vec<Account>,
        now: DateTime<Utc>,
        commands: &[&Command],
    ) -> Result<(Books, Catalogue), StoreError> {
        load(conn, accounts, &self.ground, now, commands).await
    }

    async fn write(
        &self,
        conn: &OwnConnection,
        books: Books,
        now: DateTime<Utc>,
        others: AltSeals,
    ) -> Result<(), StoreError> {
        write(conn, books, now, (&self.ground.keys, others)).await
    }

    async fn note_refused(&self, conn: &OwnConnection, keys: Vec<Key>) -> Result<(), StoreError> {
        keys::refused_note(conn, keys.into_iter().collect()).await
    }

    async fn commit(&self, connection: &mut OwnConnection) -> Result<(), StoreError> {
        Ok(Transactions::commit_transaction(connection).await?)
    }

    async fn roll_back(&self, connection: &mut OwnConnection, error: StoreError) -> StoreError {
        match Transactions::rollback_transaction(connection).await {
            Ok(()) | Err(Error::BrokenTransactionManager) => error,
            Err(in_the_way) => in_the_way.into(),
        }
    }
}
