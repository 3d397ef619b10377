//! What one viewer may read and change. Every call decides for every row whether the viewer may see it; what it may not see is absent.

mod accounts;
mod anchors;
mod catalogue;
mod health;
mod invoices;
mod operators;
mod orders;
mod owned;
mod prepaid;
mod prices;
mod usage;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use futures_util::FutureExt;
use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::idempotency::Attempt;
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::refusal::Refusal;
use crate::domain::stake::Stake;
use crate::domain::viewer::{Scope, Viewer};
use crate::store::cells::Cells;
use crate::store::cells::catalogue::write_everywhere;
use crate::store::database::{Connection, Database, OwnConnection, Writing};
use crate::store::error::StoreError;
use crate::store::fetchers::Fetchers;
use crate::store::once::{Ending, KeyedWrite, once};
use crate::store::places::Placed;
use crate::store::shared_loader::SharedLoader;
use crate::store::turns::{Turn, Turns};

pub use health::{HealthReport, LedgerStanding};

/// Namespaces whose accounts are remembered, and accounts that are known to be there.
const NAMESPACES_KEPT: usize = 200_000;
const ACCOUNTS_KEPT: usize = 200_000;

/// The connections that the requests of one account read with at once; a few that wait in vain do not take all.
const READS_OF_ACCOUNT: usize = 2;
/// One request may ask for a thousand lists.
const READS_WAITING_MAX: usize = 10_000;
/// A request waits for its account's others so long.
const READS_WAIT_MAX: Duration = Duration::from_secs(10);

/// A connection for reading, with the account's turn to have one.
struct Reading {
    connection: Connection,
    _turn: Turn,
    /// Of what takes long: a share of all connections.
    _share: Option<OwnedSemaphorePermit>,
}

impl Deref for Reading {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.connection
    }
}

/// Who may read from a database at once.
struct Reads {
    /// Of the connections for reading, beside those of the look-ups that requests share.
    turns: Arc<Turns>,
    /// Of these, those that what takes long may have, whoever asks for it.
    slow: Arc<Semaphore>,
}

impl Reads {
    fn of(database: &Database) -> Self {
        let all = usize::try_from(database.connections_max()).unwrap_or(1);
        let half = all / 2;
        let turns = Turns::new(READS_OF_ACCOUNT, half.max(READS_OF_ACCOUNT), READS_WAITING_MAX);
        // More than one account holds, where there are few.
        let slow = half.max(READS_OF_ACCOUNT.saturating_add(1)).min(all.saturating_sub(1)).max(1);
        Self { turns, slow: Arc::new(Semaphore::new(slow)) }
    }
}

/// The databases, and the look-ups that requests share.
pub struct Store {
    cells: Cells,
    /// By the places of the cells.
    reads: Box<[Reads]>,
    fetch: Fetchers,
    /// Which account a namespace is: that never changes, no account goes away, and the namespace of one that is erased is nobody's again.
    /// It says nothing of who may see what.
    namespaces: Cache<String, AccountId>,
    /// Accounts that are there: none goes away. It says nothing of who may see them.
    there: Cache<AccountId, ()>,
}

impl Store {
    pub fn new(cells: Cells) -> Arc<Self> {
        let fetch = Fetchers::start(&cells);
        let reads = cells.all().map(|cell| Reads::of(&cell.database)).collect();
        let (namespaces, there) = (Cache::new(NAMESPACES_KEPT), Cache::new(ACCOUNTS_KEPT));
        Arc::new(Self { cells, reads, fetch, namespaces, there })
    }

    /// Where accounts live.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Where what is nobody's lies.
    pub fn home(&self) -> &Database {
        &self.cells.home().database
    }

    /// The account of that namespace, whoever asks: for the token of a viewer.
    pub async fn account_of_namespace(&self, namespace: String) -> Result<Option<AccountId>, StoreError> {
        if let Some(known) = self.namespaces.get(&namespace) {
            return Ok(Some(known));
        }
        let found = self.fetch.namespaces.get_one(namespace.clone()).await?;
        if let Some(account) = found {
            self.namespaces.insert(namespace, account);
        }
        Ok(found)
    }

    /// An account has given its namespace up: its tokens are good for nothing.
    pub fn forget_namespace(&self, namespace: &str) {
        self.namespaces.remove(namespace);
    }
}

/// Why a repository does not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccessError {
    #[error("this takes the role {0}")]
    Forbidden(&'static str),
    #[error("your token does not say who you are: it has no subject")]
    Nameless,
    #[error("another operator than the one who has asked for it has to allow it")]
    OwnApproval,
    /// It is not there, or not the viewer's: the answer is the same.
    #[error("there is no such account")]
    NoSuchAccount,
    /// The viewer's own account may not have it done.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// It was written, or it was not.
    #[error("it may have been carried out: ask again with the same key, or look")]
    OutcomeUnknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store as one viewer sees it.
#[derive(Clone)]
pub struct Repository {
    store: Arc<Store>,
    viewer: Arc<Viewer>,
}

impl Repository {
    pub fn new(store: Arc<Store>, viewer: Arc<Viewer>) -> Self {
        Self { store, viewer }
    }

    pub fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    /// A connection to what is nobody's.
    async fn connection(&self) -> Result<Reading, StoreError> {
        self.reading(0, false).await
    }

    /// A connection to where an account lives.
    async fn connection_of(&self, account: AccountId) -> Result<Reading, StoreError> {
        self.reading(self.store.cells.place_of(account), false).await
    }

    /// The same for what may take long.
    async fn slow_connection_of(&self, account: AccountId) -> Result<Reading, StoreError> {
        self.reading(self.store.cells.place_of(account), true).await
    }

    /// Connections to wherever rows of a scope are, each with the cell's place; in the order of the cells, so that no two who have some
    /// wait for each other.
    async fn readings(&self, scope: Scope, is_slow: bool) -> Result<Vec<(usize, Reading)>, StoreError> {
        let places = match scope {
            Scope::All => 0..self.store.cells.count(),
            Scope::One(account) | Scope::Family(account) => {
                let place = self.store.cells.place_of(account);
                place..place.saturating_add(1)
            }
            Scope::Nothing | Scope::Catalogue => 0..1,
        };
        let mut readings = Vec::with_capacity(places.len());
        for place in places {
            readings.push((place, self.reading(place, is_slow).await?));
        }
        Ok(readings)
    }

    /// A connection to read with from a cell. The requests of one customer have few between them, and the provider's half, so that none
    /// is left without for them. All that may take long have half of the connections between them, so that what is quick finds one.
    async fn reading(&self, place: usize, is_slow: bool) -> Result<Reading, StoreError> {
        self.store.cells.require_heard(place)?;
        let reads = self.store.reads.get(place).ok_or(StoreError::Overloaded)?;
        let share = async {
            let turn = reads.turns.turn(self.viewer.account).await.ok()?;
            // Who waits here holds up none but its own account's.
            let share =
                if is_slow { Some(Arc::clone(&reads.slow).acquire_owned().await.ok()?) } else { None };
            Some((turn, share))
        };
        let share = tokio::time::timeout(READS_WAIT_MAX, share).await;
        let (turn, share) = share.ok().flatten().ok_or(StoreError::Overloaded)?;
        let connection = self.store.cells.at(place).database.connection().await;
        let connection = connection.map_err(|error| self.store.cells.told(place, error))?;
        Ok(Reading { connection, _turn: turn, _share: share })
    }

    fn require_operator(&self) -> Result<(), AccessError> {
        if self.viewer.is_operator() { Ok(()) } else { Err(AccessError::Forbidden("OPERATOR")) }
    }

    fn require_provider(&self) -> Result<(), AccessError> {
        if self.viewer.is_of_provider() { Ok(()) } else { Err(AccessError::Forbidden("OPERATOR or AUDITOR")) }
    }

    /// Refuses what the viewer's own account is in no state to have done to another, or to itself; operators may do it all.
    /// None: only they may.
    pub async fn require_stake(&self, stake: Option<Stake>, target: AccountId) -> Result<(), AccessError> {
        if self.viewer.is_operator() {
            return Ok(());
        }
        let (Some(stake), Some(actor)) = (stake, self.viewer.account) else {
            return self.require_operator();
        };
        if !stake.concerns_actor(actor, target) {
            return Ok(());
        }
        // Read now: what the request has read before may be behind.
        let actor = self.store.fetch.accounts.get_one(actor).await?.ok_or(AccessError::NoSuchAccount)?;
        stake.require_of(&actor, target).map_err(AccessError::Refused)
    }

    /// Has something written that is everybody's: in the home cell, and from there in all others.
    async fn write_catalogue<T, W>(&self, writing: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut OwnConnection) -> Writing<'c, T> + Send + 'static,
    {
        if !self.store.cells.are_several() {
            return self.write_in(0, writing).await;
        }
        write_everywhere(&self.store.cells, writing).await
    }

    /// The same, once for each key.
    async fn once_in_catalogue<W>(&self, attempt: Attempt, wanted: W) -> Result<W::Made, AccessError>
    where
        W: KeyedWrite<Made: 'static> + Send + 'static,
    {
        if !self.store.cells.are_several() {
            return self.once(0, attempt, wanted).await;
        }
        let seals = Arc::clone(self.store.home().keys());
        let is_written = Arc::new(AtomicBool::new(false));
        let noting = Arc::clone(&is_written);
        let written = self.write_catalogue(move |conn| {
            async move {
                let ending = once(conn, &attempt, &wanted, &seals).await;
                noting.store(ending.is_ok(), Ordering::SeqCst);
                ending
            }
            .boxed()
        });
        match written.await {
            // What comes after it is the commit.
            Err(error) if is_written.load(Ordering::SeqCst) && error.is_of_the_machinery() => {
                made(Ending::Unknown(error))
            }
            written => made(written?),
        }
    }

    /// Has something written in a cell, which runs to its end even if the caller leaves.
    async fn write_in<T, W>(&self, place: usize, writing: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut OwnConnection) -> Writing<'c, T> + Send + 'static,
    {
        self.store.cells.require_heard(place)?;
        let written = self.store.cells.at(place).database.write(writing).await;
        written.map_err(|error| self.store.cells.told(place, error))
    }

    /// Has something written beside the engine, once for each key, where it belongs.
    async fn once<W>(&self, place: usize, attempt: Attempt, wanted: W) -> Result<W::Made, AccessError>
    where
        W: KeyedWrite<Made: 'static> + Send + 'static,
    {
        let seals = Arc::clone(self.store.home().keys());
        let writing = self
            .write_in(place, move |conn| async move { once(conn, &attempt, &wanted, &seals).await }.boxed());
        made(writing.await?)
    }

    /// Those of the accounts that the viewer may see.
    async fn visible(
        &self,
        accounts: impl Iterator<Item = AccountId>,
    ) -> Result<HashSet<AccountId>, StoreError> {
        match self.viewer.scope() {
            Scope::All => Ok(accounts.collect()),
            Scope::Nothing | Scope::Catalogue => Ok(HashSet::new()),
            Scope::Family(own) | Scope::One(own) => {
                let asked: HashSet<AccountId> = accounts.collect();
                let others = asked.iter().copied().filter(|account| *account != own).collect();
                let mut visible = self.accounts(others).await?.into_keys().collect::<HashSet<_>>();
                if asked.contains(&own) {
                    visible.insert(own);
                }
                Ok(visible)
            }
        }
    }

    /// Looks up what belongs to visible accounts.
    async fn of_visible<K, V>(
        &self,
        fetch: &SharedLoader<K, V>,
        keys: Vec<K>,
        owner: impl Fn(&K) -> AccountId,
    ) -> Result<HashMap<K, V>, StoreError>
    where
        K: Placed + Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let visible = self.visible(keys.iter().map(&owner)).await?;
        fetch.get(keys.into_iter().filter(|key| visible.contains(&owner(key))).collect()).await
    }

    async fn of_visible_by_id<I, V>(
        &self,
        fetch: &SharedLoader<OwnedId, V>,
        keys: &[I],
        inner: impl Fn(&I) -> OwnedId,
    ) -> Result<HashMap<I, V>, StoreError>
    where
        I: Hash + Eq + Copy,
        V: Clone + Send + Sync + 'static,
    {
        let ids: Vec<OwnedId> = keys.iter().map(&inner).collect();
        let found = self.of_visible(fetch, ids, |id| id.account()).await?;
        Ok(keys.iter().filter_map(|key| found.get(&inner(key)).map(|value| (*key, value.clone()))).collect())
    }

    /// Whether there is such an account, and the viewer may see it. Who sees all is not told anew of one that was there before.
    pub async fn sees(&self, account: AccountId) -> Result<bool, StoreError> {
        if self.viewer.scope() != Scope::All {
            return Ok(self.account(account).await?.is_some());
        }
        if self.store.there.get(&account).is_some() {
            return Ok(true);
        }
        let is_there = self.account(account).await?.is_some();
        if is_there {
            self.store.there.insert(account, ());
        }
        Ok(is_there)
    }

    /// Whose things a list is of: the account named, if the viewer may see it, or all that the viewer may see.
    async fn scope_of(&self, account: Option<AccountId>) -> Result<Option<Scope>, AccessError> {
        if let Some(account) = account {
            let visible = self.visible(std::iter::once(account)).await?.contains(&account);
            // The provider's people see every account there is, and no other.
            let there = visible && (!self.viewer.is_of_provider() || self.sees(account).await?);
            return if there { Ok(Some(Scope::One(account))) } else { Err(AccessError::NoSuchAccount) };
        }
        Ok(match self.viewer.scope() {
            scope @ (Scope::All | Scope::Family(_) | Scope::One(_)) => Some(scope),
            Scope::Nothing | Scope::Catalogue => None,
        })
    }
}

/// What was made by something that is written once for each key, if it was.
fn made<T>(ending: Ending<T>) -> Result<T, AccessError> {
    match ending {
        Ending::Made(made) => Ok(made),
        Ending::Refused(refusal) => Err(AccessError::Refused(refusal)),
        Ending::Unknown(error) => {
            tracing::warn!(%error, "it is not known whether something was written once for its key");
            Err(AccessError::OutcomeUnknown)
        }
    }
}
