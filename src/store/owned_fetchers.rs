//! The fetchers of what accounts own: started when one of their kind is first looked up.

use std::any::{Any, TypeId};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt;

use super::cells::Cells;
use super::database::Connection;
use super::grouped::{
    Fetching, Newest, Rows, by_key, by_owner, counted, most, numbers, owners, share_out, shared,
};
use super::owned::{self, Header, Owned};
use super::shared_loader::SharedLoader;
use crate::domain::ids::{AccountId, OwnedId};

/// All fetchers of what accounts own.
pub struct OwnedFetchers {
    cells: Cells,
    /// By their types.
    started: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl OwnedFetchers {
    pub fn new(cells: &Cells) -> Self {
        Self { cells: cells.clone(), started: RwLock::default() }
    }

    pub fn of<T: Owned>(&self) -> Arc<OwnedFetch<T>> {
        self.started(OwnedFetch::start)
    }

    pub fn headers<H: Header>(&self) -> Arc<HeaderFetch<H>> {
        self.started(HeaderFetch::start)
    }

    fn started<F: Any + Send + Sync>(&self, start: fn(&Cells) -> F) -> Arc<F> {
        self.held().unwrap_or_else(|| {
            let mut started = self.started.write().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(start(&self.cells));
            let fetch = started.entry(TypeId::of::<F>()).or_insert_with(|| new());
            Arc::clone(fetch).downcast().unwrap_or_else(|_| new())
        })
    }

    fn held<F: Any + Send + Sync>(&self) -> Option<Arc<F>> {
        let started = self.started.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(started.get(&TypeId::of::<F>())?).downcast().ok()
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
    fn start(cells: &Cells) -> Self {
        Self {
            by_id: SharedLoader::start(cells, owned_by_id::<T>),
            newest: SharedLoader::start(cells, owned_newest::<T>),
            counts: SharedLoader::start(cells, owned_counts::<T>),
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

/// The headers of the newest of each account.
pub struct HeaderFetch<H: Header>(pub SharedLoader<Newest<AccountId>, Arc<[H::Shared]>>);

impl<H: Header> HeaderFetch<H> {
    fn start(cells: &Cells) -> Self {
        Self(SharedLoader::start(cells, newest_headers::<H>))
    }
}

fn newest_headers<H: Header>(
    conn: Connection,
    keys: Vec<Newest<AccountId>>,
) -> Fetching<Newest<AccountId>, Arc<[H::Shared]>> {
    async move {
        let read = owned::newest_headers::<H>(&conn, numbers(&owners(&keys)), most(&keys)).await?;
        let rows: Vec<H::Shared> = read.into_iter().map(H::Shared::from).collect();
        let id = |row: &H::Shared| row.borrow().id();
        Ok(share_out(keys, &by_owner(&rows, |row| Some(id(row).account()), id)))
    }
    .boxed()
}
