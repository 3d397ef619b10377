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

/// The database, and the look-ups that requests share.
pub struct Store {
    pub database: Database,
    /// Of the connections for reading, beside those of the look-ups that requests share.
    reads: Arc<Turns>,
    /// Of these, those that what takes long may have, whoever asks for it.
    slow_reads: Arc<Semaphore>,
    fetch: Fetchers,
    /// Which account a namespace is: that never changes, no account goes away, and the namespace of one that is erased is nobody's again.
    /// It says nothing of who may see what.
    namespaces: Cache<String, AccountId>,
    /// Accounts that are there: none goes away. It says nothing of who may see them.
    there: Cache<AccountId, ()>,
}

impl Store {
    pub fn new(database: Database) -> Arc<Self> {
        let fetch = Fetchers::start(&database);
        let all = usize::try_from(database.connections_max()).unwrap_or(1);
        let half = all / 2;
        let reads = Turns::new(READS_OF_ACCOUNT, half.max(READS_OF_ACCOUNT), READS_WAITING_MAX);
        // More than one account holds, where there are few.
        let slow = half.max(READS_OF_ACCOUNT.saturating_add(1)).min(all.saturating_sub(1)).max(1);
        let slow_reads = Arc::new(Semaphore::new(slow));
        let (namespaces, there) = (Cache::new(NAMESPACES_KEPT), Cache::new(ACCOUNTS_KEPT));
        Arc::new(Self { database, reads, slow_reads, fetch, namespaces, there })
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

    /// A connection to read with. The requests of one customer have few between them, and the provider's half, so that none is
    /// left without for them.
    async fn connection(&self) -> Result<Reading, StoreError> {
        let turn = self.store.reads.turn(self.viewer.account);
        let turn = tokio::time::timeout(READS_WAIT_MAX, turn).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(StoreError::Overloaded)?;
        Ok(Reading { connection: self.store.database.connection().await?, _turn: turn, _share: None })
    }

    /// A connection for what may take long: all that do have half of the connections between them, so that what is quick finds one.
    async fn slow_connection(&self) -> Result<Reading, StoreError> {
        let share = async {
            let turn = self.store.reads.turn(self.viewer.account).await.ok()?;
            // Who waits here holds up none but its own account's.
            Some((turn, Arc::clone(&self.store.slow_reads).acquire_owned().await.ok()?))
        };
        let share = tokio::time::timeout(READS_WAIT_MAX, share).await;
        let (turn, share) = share.ok().flatten().ok_or(StoreError::Overloaded)?;
        Ok(Reading { connection: self.store.database.connection().await?, _turn: turn, _share: Some(share) })
    }

    /// A connection for a page of a list: of one that is narrowed more than the page shows may be read.
    async fn list_connection(&self, is_narrowed: bool) -> Result<Reading, StoreError> {
        if is_narrowed { self.slow_connection().await } else { self.connection().await }
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

    /// Has something written, which runs to its end even if the caller leaves.
    async fn write<T, W>(&self, writing: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut OwnConnection) -> Writing<'c, T> + Send + 'static,
    {
        self.store.database.write(writing).await
    }

    /// Has something written beside the engine, once for each key.
    async fn once<W>(&self, attempt: Attempt, wanted: W) -> Result<W::Made, AccessError>
    where
        W: KeyedWrite<Made: 'static> + Send + 'static,
    {
        let seals = Arc::clone(self.store.database.keys());
        let writing =
            self.write(move |conn| async move { once(conn, &attempt, &wanted, &seals).await }.boxed());
        match writing.await? {
            Ending::Made(made) => Ok(made),
            Ending::Refused(refusal) => Err(AccessError::Refused(refusal)),
            Ending::Unknown(error) => {
                tracing::warn!(%error, mutation = %W::MUTATION, "it is not known whether it was written");
                Err(AccessError::OutcomeUnknown)
            }
        }
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
