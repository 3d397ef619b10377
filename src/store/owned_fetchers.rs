//! The fetchers of what accounts own: three for each kind, started when one of its kind is first looked up.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt;

use super::database::{Connection, Database};
use super::grouped::{
    Fetching, Newest, Rows, by_key, by_owner, counted, most, numbers, owners, share_out, shared,
};
use super::owned::{self, Owned};
use super::shared_loader::SharedLoader;
use crate::domain::ids::{AccountId, OwnedId};

/// All fetchers of what accounts own.
pub struct OwnedFetchers {
    database: Database,
    /// By the type of the row.
    started: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl OwnedFetchers {
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone(), started: RwLock::default() }
    }

    pub fn of<T: Owned>(&self) -> Arc<OwnedFetch<T>> {
        self.held().unwrap_or_else(|| self.start())
    }

    fn held<T: Owned>(&self) -> Option<Arc<OwnedFetch<T>>> {
        let started = self.started.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(started.get(&TypeId::of::<T>())?).downcast().ok()
    }

    fn start<T: Owned>(&self) -> Arc<OwnedFetch<T>> {
        let mut started = self.started.write().unwrap_or_else(PoisonError::into_inner);
        let start = || Arc::new(OwnedFetch::<T>::start(&self.database));
        let of_kind = started.entry(TypeId::of::<T>()).or_insert_with(|| start());
        Arc::clone(of_kind).downcast().unwrap_or_else(|_| start())
    }
}

/// What is looked up of a kind that accounts own.
pub struct OwnedFetch<T> {
    pub by_id: SharedLoader<OwnedId, Arc<T>>,
    /// Of each account, newest first.
    pub newest: SharedLoader<Newest<AccountId>, Rows<T>>,
    /// Of each account.
    pub counts: SharedLoader<AccountId, i64>,
}

impl<T: Owned> OwnedFetch<T> {
    fn start(database: &Database) -> Self {
        Self {
            by_id: SharedLoader::start(database, owned_by_id::<T>),
            newest: SharedLoader::start(database, owned_newest::<T>),
            counts: SharedLoader::start(database, owned_counts::<T>),
        }
    }
}

fn owned_by_id<T: Owned>(conn: Connection, keys: Vec<OwnedId>) -> Fetching<OwnedId, Arc<T>> {
    async move { Ok(by_key(owned::by_ids::<T>(&conn, &keys).await?, |row| row.id().into())) }.boxed()
}

fn owned_newest<T: Owned>(
    conn: Connection,
    keys: Vec<Newest<AccountId>>,
) -> Fetching<Newest<AccountId>, Rows<T>> {
    async move {
        let rows = owned::newest::<T>(&conn, numbers(&owners(&keys)), most(&keys)).await?;
        let id = |row: &Arc<T>| -> OwnedId { row.id().into() };
        Ok(share_out(keys, &by_owner(&shared(rows), |row| Some(id(row).account()), id)))
    }
    .boxed()
}

fn owned_counts<T: Owned>(conn: Connection, keys: Vec<AccountId>) -> Fetching<AccountId, i64> {
    async move {
        let counts = owned::count_of_each::<T>(&conn, numbers(&keys)).await?;
        Ok(counted(keys, counts))
    }
    .boxed()
}
