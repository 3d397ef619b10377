//! What batches are read from and written to: PostgreSQL, or a model of it that fails as it is told to.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::books::Books;
use crate::domain::account::Account;
use crate::domain::book::Catalogue;
use crate::domain::command::{Command, CommandKey};
use crate::domain::ids::AccountId;
use crate::store::error::StoreError;
use crate::store::seals::AltSeals;

/// What the store answers, some time.
pub(super) trait StoreFuture<T>: Future<Output = Result<T, StoreError>> + Send {}

impl<T, F: Future<Output = Result<T, StoreError>> + Send> StoreFuture<T> for F {}

/// The accounts that a transaction holds, of those that it asked for: others hold the rest.
pub(super) struct AccountLocks {
    pub accounts: Vec<Account>,
    pub others: AltSeals,
    /// When they were locked, by the store's clock; None: none of them.
    pub at: Option<DateTime<Utc>>,
}

/// Where batches are kept. A connection that is dropped, whatever its transaction has come to, is ended by the store: until then that
/// holds what it holds, and a commit that was sent may still be done.
pub(super) trait BatchStore: Clone + Send + Sync + 'static {
    type Connection: Send + Sync + 'static;

    /// In which of several places an account lives, by number; None: all live in one.
    fn place_of(&self, account: AccountId) -> Option<usize>;

    fn connect(&self) -> impl StoreFuture<Self::Connection>;

    /// One whose transaction never ends: what it writes goes with it.
    fn connect_for_trial(&self) -> impl StoreFuture<Self::Connection>;

    /// Begins a transaction that holds these accounts, but for those that others hold. Where that fails it is still to be rolled back.
    fn begin(&self, conn: &Self::Connection, accounts: Vec<i64>) -> impl StoreFuture<AccountLocks>;

    /// Which of these keys were refused lately, and when, by the store's clock.
    fn refused_keys(
        &self,
        conn: &Self::Connection,
        keys: Vec<CommandKey>,
    ) -> impl StoreFuture<Vec<(AccountId, String, DateTime<Utc>)>>;

    /// Up to when accounts are followed into the future, of those of which an operator has said so.
    fn accepted_until(
        &self,
        conn: &Self::Connection,
        accounts: Vec<i64>,
    ) -> impl StoreFuture<Vec<(AccountId, DateTime<Utc>)>>;

    /// What the commands need of the accounts that are held.
    fn load(
        &self,
        conn: &Self::Connection,
        accounts: Vec<Account>,
        now: DateTime<Utc>,
        commands: &[&Command],
    ) -> impl StoreFuture<(Books, Catalogue)>;

    fn write(
        &self,
        conn: &Self::Connection,
        books: Books,
        now: DateTime<Utc>,
        others: AltSeals,
    ) -> impl StoreFuture<()>;

    /// Notes that keys are refused now.
    fn note_refused(&self, conn: &Self::Connection, keys: BTreeSet<CommandKey>) -> impl StoreFuture<()>;

    fn commit(&self, conn: &Self::Connection) -> impl StoreFuture<()>;

    /// Gives up what was begun because of `error`; what is told of it.
    fn roll_back(
        &self,
        conn: &Self::Connection,
        error: StoreError,
    ) -> impl Future<Output = StoreError> + Send;
}
