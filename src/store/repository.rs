//! What one viewer may read and change. Every call decides for every row whether the viewer may see it; what it may
//! not see is absent.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use diesel_async::AsyncPgConnection;
use futures_util::FutureExt;
use futures_util::future::try_join_all;
use quick_cache::sync::Cache;
use rust_decimal::Decimal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::account_usage::{self, GaugeSlot, GaugesOf};
use super::accounts::{self, AccountCursor, AccountFilter};
use super::bills::{self, BillFilter, BillSums};
use super::capacity::ResourcePriceFilter;
use super::database::{Connection, Database, OwnConnection, Writing};
use super::deposits::{self, AddressOf};
use super::error::StoreError;
use super::fetch::{Fetchers, Newest, Rows};
use super::group_fetch::GroupFetch;
use super::invoice_drafts::Draft;
use super::ledger::{self, EntryFilter};
use super::ledger_check::standing::{self, Progress};
use super::ledger_check::{self, Look, Pace, Range};
use super::list::{Found, Owners, Page};
use super::orders::{self, OrderFilter};
use super::plans::{self, PlanFilter, PlanPatch};
use super::prepayments::{self, PrepaymentFilter};
use super::records::{self, RecordFilter};
use super::transactions::{self, TransactionFilter};
use super::turns::{Turn, Turns};
use super::{
    Conn, approvals, billing_runs, burst, capacity, exchange_rates, invoices, keys, labels, licenses,
    notices, payment_methods, prepay_quotes, price_rules, reconciliations, suspensions, voided_usage,
};
use crate::domain::account::{Account, SuspendedSpan};
use crate::domain::approval::{Approval, ApprovalState};
use crate::domain::bill::{Bill, BillHeader};
use crate::domain::billing_run::BillingRun;
use crate::domain::burst::{BurstCapacity, Bursting, Cycle};
use crate::domain::capacity::{ResourcePrice, TermDiscount};
use crate::domain::closing::Month;
use crate::domain::exchange_rate::ExchangeRate;
use crate::domain::fingerprint::Fingerprints;
use crate::domain::idempotency::IdempotencyRecord;
use crate::domain::ids::{
    AccountId, ApprovalId, BillId, EntryId, InvoiceId, LicenseId, NoticeId, OrderId, OwnedId, PaymentId,
    PaymentMethodId, PlanId, PrepaymentId, PriceDefinitionId, PriceRuleId, QuoteId, RecordId,
    ResourcePriceId, TransactionId, account_of_number,
};
use crate::domain::invoice::Invoice;
use crate::domain::label::{Label, LabelList};
use crate::domain::ledger::{Entry, Fault, Hash as Digest};
use crate::domain::license::License;
use crate::domain::money::{CurrencyCode, OutOfRange};
use crate::domain::notice::Notice;
use crate::domain::order::{Order, OrderHeader};
use crate::domain::payment::Payment;
use crate::domain::payment_method::PaymentMethod;
use crate::domain::plan::{Plan, PlanResource, Resource};
use crate::domain::prepay::{Deposit, PrepayQuote, Prepayment};
use crate::domain::price_rule::{PriceDefinition, PriceRule, RuleToEnd, RulesToSet};
use crate::domain::record::Record;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;
use crate::domain::text;
use crate::domain::transaction::Transaction;
use crate::domain::unmatched::Unmatched;
use crate::domain::usage::{Gathering, Gauge, HOUR, Hour, Reports, ToVoid, Voided};
use crate::domain::viewer::{Scope, Viewer};

/// Namespaces whose accounts are remembered.
const NAMESPACES_KEPT: usize = 200_000;

/// The connections that the requests of one account read with at once; a few that wait in vain do not take all.
const READS_OF_ACCOUNT: usize = 2;
/// One request may ask for a thousand lists.
const READS_WAITING_MAX: usize = 10_000;
/// A request waits for its account's others so long.
const READS_WAIT_MAX: Duration = Duration::from_secs(10);

/// So much of what adds up is read by one statement, and so much of gauges, which have twelve samples an hour.
const HOURS_READ_AT_ONCE: TimeDelta = TimeDelta::days(7);
const GAUGES_READ_AT_ONCE: TimeDelta = TimeDelta::days(1);
/// The most samples that are looked at for one answer: those of 2,200 things that report all month.
const SAMPLES_MAX: i64 = 20_000_000;

/// A window in parts, in their order.
fn parts(window: Month, length: TimeDelta) -> impl Iterator<Item = Month> {
    let end_of = move |start: DateTime<Utc>| {
        start.checked_add_signed(length).map_or(window.end, |end| end.min(window.end))
    };
    let first = (window.start < window.end).then(|| Month { start: window.start, end: end_of(window.start) });
    std::iter::successors(first, move |part| {
        (part.end < window.end).then(|| Month { start: part.end, end: end_of(part.end) })
    })
}

fn with_hour_before(window: Month) -> Month {
    let start = window.start.checked_sub_signed(HOUR).unwrap_or(window.start);
    Month { start, ..window }
}

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
        Arc::new(Self { database, reads, slow_reads, fetch, namespaces: Cache::new(NAMESPACES_KEPT) })
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
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Billing runs of one answer: more than there are time zones in a month.
const RUNS_MAX: i64 = 1_000;
const UNMATCHED_MAX: i64 = 1_000;
/// Drafts stand among invoices: those that a page passes over are read.
const INVOICES_PASSED_OVER_MAX: i64 = 1_000;

/// How many accounts the check of the whole ledger looks at when it is asked for.
const CHECK_ACCOUNTS_MAX: i64 = 1_000;

/// What a check of ledgers found.
#[derive(Debug, Clone, Default)]
pub struct HealthReport {
    pub accounts_checked: i32,
    pub entries_checked: i32,
    pub imbalance: Decimal,
    pub faults: Vec<(Arc<Account>, Fault)>,
    /// How far the check by and by has come, for operators.
    pub standing: Option<LedgerStanding>,
}

/// How far the check of all ledgers has come, and how many faults it knows.
#[derive(Debug, Clone)]
pub struct LedgerStanding {
    pub progress: Progress,
    pub faults: i64,
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

    /// Those of the accounts that the viewer may see.
    async fn visible(
        &self,
        accounts: impl Iterator<Item = AccountId>,
    ) -> Result<HashSet<AccountId>, StoreError> {
        match self.viewer.scope() {
            Scope::All => Ok(accounts.collect()),
            Scope::Nothing => Ok(HashSet::new()),
            Scope::Family(own) => {
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
    async fn owned<K, V>(
        &self,
        fetch: &GroupFetch<K, V>,
        keys: Vec<K>,
        owner: impl Fn(&K) -> AccountId,
    ) -> Result<HashMap<K, V>, StoreError>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let visible = self.visible(keys.iter().map(&owner)).await?;
        fetch.get(keys.into_iter().filter(|key| visible.contains(&owner(key))).collect()).await
    }

    async fn owned_by_id<I, V>(
        &self,
        fetch: &GroupFetch<OwnedId, V>,
        keys: &[I],
        inner: impl Fn(&I) -> OwnedId,
    ) -> Result<HashMap<I, V>, StoreError>
    where
        I: Hash + Eq + Copy,
        V: Clone + Send + Sync + 'static,
    {
        let ids: Vec<OwnedId> = keys.iter().map(&inner).collect();
        let found = self.owned(fetch, ids, |id| id.account()).await?;
        Ok(keys.iter().filter_map(|key| found.get(&inner(key)).map(|value| (*key, value.clone()))).collect())
    }

    // ── accounts ──

    pub async fn accounts(
        &self,
        ids: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Arc<Account>>, StoreError> {
        if self.viewer.scope() == Scope::Nothing {
            return Ok(HashMap::new());
        }
        let mut found = self.store.fetch.accounts.get(ids).await?;
        found.retain(|_, account| self.viewer.sees(account));
        Ok(found)
    }

    pub async fn accounts_by_namespace(
        &self,
        names: Vec<String>,
    ) -> Result<HashMap<String, Arc<Account>>, StoreError> {
        let ids =
            try_join_all(names.iter().map(|name| self.store.account_of_namespace(name.clone()))).await?;
        let accounts = self.accounts(ids.iter().flatten().copied().collect()).await?;
        let found = names.into_iter().zip(ids).filter_map(|(name, id)| Some((name, accounts.get(&id?)?)));
        Ok(found.map(|(name, account)| (name, Arc::clone(account))).collect())
    }

    /// The account of that number, if the viewer may see it.
    pub async fn account(&self, id: AccountId) -> Result<Option<Arc<Account>>, StoreError> {
        Ok(self.accounts(vec![id]).await?.remove(&id))
    }

    pub async fn account_list(
        &self,
        filter: &AccountFilter,
        page: &Page<AccountCursor>,
    ) -> Result<Found<Account, AccountCursor>, StoreError> {
        let conn = self.list_connection(*filter != AccountFilter::default()).await?;
        accounts::account_list(&conn, self.viewer.scope(), filter, page).await
    }

    pub async fn account_count(&self, filter: &AccountFilter) -> Result<i64, StoreError> {
        let conn = self.slow_connection().await?;
        accounts::account_count(&conn, self.viewer.scope(), filter).await
    }

    /// Makes an account.
    pub async fn account_create(&self, account: Account) -> Result<Account, AccessError> {
        self.require_operator()?;
        let keys = Arc::clone(self.store.database.keys());
        let made = self
            .write(move |conn| async move { accounts::account_create(conn, account, &keys).await }.boxed());
        Ok(made.await?)
    }

    pub async fn balances_at(
        &self,
        keys: Vec<(AccountId, DateTime<Utc>)>,
    ) -> Result<HashMap<(AccountId, DateTime<Utc>), Decimal>, StoreError> {
        self.owned(&self.store.fetch.balances_at, keys, |(account, _)| *account).await
    }

    pub async fn notices(
        &self,
        keys: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Rows<Notice>>, StoreError> {
        let fetch = &self.store.fetch;
        let notices = if self.viewer.is_of_provider() { &fetch.all_notices } else { &fetch.notices };
        self.owned(notices, keys, |account| *account).await
    }

    /// The runs that close a month, or the latest of all months.
    pub async fn billing_runs(&self, period: Option<NaiveDate>) -> Result<Vec<BillingRun>, StoreError> {
        if !self.viewer.is_of_provider() {
            return Ok(Vec::new());
        }
        let conn = self.connection().await?;
        billing_runs::runs(&conn, period, RUNS_MAX).await
    }

    /// What payment providers and this server do not say alike, the newest of it.
    pub async fn unmatched_payments(&self) -> Result<Vec<Unmatched>, StoreError> {
        if !self.viewer.is_of_provider() {
            return Ok(Vec::new());
        }
        let conn = self.connection().await?;
        reconciliations::unmatched_newest(&conn, UNMATCHED_MAX).await
    }

    /// Takes a notice off its account's list; None if there is none or it is not the viewer's to acknowledge.
    pub async fn notice_acknowledge(
        &self,
        id: NoticeId,
        at: DateTime<Utc>,
    ) -> Result<Option<Notice>, AccessError> {
        if !self.visible(std::iter::once(id.account())).await?.contains(&id.account()) {
            return Ok(None);
        }
        self.require_stake(Some(Stake::Setting), id.account()).await?;
        let by_operator = self.viewer.is_operator();
        Ok(self.write(move |conn| notices::notice_acknowledge(conn, id, at, by_operator).boxed()).await?)
    }

    // ── catalogue: for everyone ──

    pub async fn plans(&self, ids: Vec<PlanId>) -> Result<HashMap<PlanId, Arc<Plan>>, StoreError> {
        self.store.fetch.plans.get(ids).await
    }

    pub async fn plan_list(&self, filter: &PlanFilter, page: &Page) -> Result<Found<Plan>, StoreError> {
        plans::plan_list(&*self.connection().await?, filter, page).await
    }

    pub async fn plan_count(&self, filter: &PlanFilter) -> Result<i64, StoreError> {
        plans::plan_count(&*self.connection().await?, filter).await
    }

    pub async fn plan_resources(
        &self,
        ids: Vec<PlanId>,
    ) -> Result<HashMap<PlanId, Arc<[PlanResource]>>, StoreError> {
        self.store.fetch.plan_resources.get(ids).await
    }

    pub async fn plans_in_use(
        &self,
        keys: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Arc<[PlanId]>>, StoreError> {
        self.owned(&self.store.fetch.plans_in_use, keys, |account| *account).await
    }

    pub async fn resources(&self, codes: Vec<String>) -> Result<HashMap<String, Arc<Resource>>, StoreError> {
        self.store.fetch.resources.get(codes).await
    }

    pub async fn resource_list(&self) -> Result<Vec<Resource>, StoreError> {
        plans::resource_list(&*self.connection().await?).await
    }

    /// Puts a plan on the market.
    pub async fn plan_create(&self, plan: Plan, resources: Vec<PlanResource>) -> Result<Plan, AccessError> {
        self.require_operator()?;
        let made = self.write(|conn| {
            async move { plans::plan_create(conn, &plan, &resources).await.map(|()| plan) }.boxed()
        });
        Ok(made.await?)
    }

    pub async fn plan_retire(&self, id: PlanId, at: DateTime<Utc>) -> Result<Option<Plan>, AccessError> {
        self.require_operator()?;
        Ok(self.write(move |conn| plans::plan_retire(conn, id, at).boxed()).await?)
    }

    /// Describes what is metered or sold: anew, or as it is to be from now on. A code's unit and aggregation never change.
    pub async fn resource_define(&self, resource: Resource) -> Result<Option<Resource>, AccessError> {
        self.require_operator()?;
        Ok(self.write(|conn| async move { plans::resource_define(conn, &resource).await }.boxed()).await?)
    }

    pub async fn plan_update(&self, id: PlanId, patch: PlanPatch) -> Result<Option<Plan>, AccessError> {
        self.require_operator()?;
        Ok(self.write(move |conn| plans::plan_update(conn, id, patch).boxed()).await?)
    }

    /// What the provider's codes are called, in their order.
    pub async fn labels(&self, list: LabelList) -> Result<Vec<Label>, StoreError> {
        labels::labels(&*self.connection().await?, list).await
    }

    pub async fn label_insert(&self, list: LabelList, added: &[Label]) -> Result<(), AccessError> {
        self.require_operator()?;
        let added = added.to_vec();
        Ok(self
            .write(move |conn| async move { labels::label_insert(conn, list, &added).await }.boxed())
            .await?)
    }

    // ── prices ──

    /// The price of a resource at a level that holds at an instant.
    pub async fn resource_price(
        &self,
        resource: String,
        currency: CurrencyCode,
        level: i32,
        at: DateTime<Utc>,
    ) -> Result<Option<ResourcePrice>, StoreError> {
        let conn = self.connection().await?;
        capacity::resource_price_at(&conn, resource, currency, level, at).await
    }

    /// Prices of capacity by their ids: everybody may see them.
    pub async fn resource_prices(
        &self,
        ids: Vec<ResourcePriceId>,
    ) -> Result<HashMap<ResourcePriceId, Arc<ResourcePrice>>, StoreError> {
        let conn = self.connection().await?;
        let found = capacity::resource_price_by_ids(&conn, ids).await?;
        Ok(found.into_iter().map(|price| (price.id, Arc::new(price))).collect())
    }

    /// Adds prices of capacity, and answers them as they are kept.
    pub async fn resource_price_insert(
        &self,
        prices: &[ResourcePrice],
    ) -> Result<Vec<ResourcePrice>, AccessError> {
        self.require_operator()?;
        let prices = prices.to_vec();
        let kept =
            self.write(|conn| async move { capacity::resource_price_insert(conn, &prices).await }.boxed());
        Ok(kept.await?)
    }

    /// Prices of capacity that hold at an instant: everybody may see them.
    pub async fn resource_price_list(
        &self,
        filter: &ResourcePriceFilter,
        page: &Page<ResourcePriceId>,
    ) -> Result<Vec<ResourcePrice>, StoreError> {
        capacity::resource_price_list(&*self.connection().await?, filter, page).await
    }

    pub async fn resource_price_count(&self, filter: &ResourcePriceFilter) -> Result<i64, StoreError> {
        capacity::resource_price_count(&*self.connection().await?, filter).await
    }

    /// Of each pair of currencies the rate that was observed last: everybody may see them.
    pub async fn exchange_rates(&self) -> Result<Vec<ExchangeRate>, StoreError> {
        exchange_rates::rates_latest(&*self.connection().await?).await
    }

    pub async fn exchange_rate(
        &self,
        base: CurrencyCode,
        quote: CurrencyCode,
    ) -> Result<Option<ExchangeRate>, StoreError> {
        exchange_rates::rate_latest(&*self.connection().await?, base, quote).await
    }

    pub async fn exchange_rate_set(&self, rate: &ExchangeRate) -> Result<Option<ExchangeRate>, AccessError> {
        self.require_operator()?;
        let rate = rate.clone();
        Ok(self.write(|conn| async move { exchange_rates::rate_insert(conn, &rate).await }.boxed()).await?)
    }

    /// What resources cost in prepayments on a cluster of a chart: everybody may see it.
    pub async fn prices_for_app(
        &self,
        resources: Vec<String>,
        cluster: String,
        chart: String,
        at: DateTime<Utc>,
    ) -> Result<Vec<ResourcePrice>, StoreError> {
        let conn = self.connection().await?;
        prepay_quotes::prices_for_app(&conn, resources, cluster, chart, at).await
    }

    /// Licences by their ids: everybody may see them.
    pub async fn licenses(
        &self,
        ids: Vec<LicenseId>,
    ) -> Result<HashMap<LicenseId, Arc<License>>, StoreError> {
        let conn = self.connection().await?;
        let found = licenses::license_by_ids(&conn, ids).await?;
        Ok(found.into_iter().map(|license| (license.id, Arc::new(license))).collect())
    }

    pub async fn license_list(&self, page: &Page<LicenseId>) -> Result<Vec<License>, StoreError> {
        licenses::license_list(&*self.connection().await?, page).await
    }

    pub async fn license_count(&self) -> Result<i64, StoreError> {
        licenses::license_count(&*self.connection().await?).await
    }

    /// Defines a licence: anew, or as it is to be called from now on. What is counted never changes.
    pub async fn license_define(&self, license: License) -> Result<Option<License>, AccessError> {
        self.require_operator()?;
        Ok(self.write(|conn| async move { licenses::license_define(conn, &license).await }.boxed()).await?)
    }

    /// What is charged for beyond subscriptions in a cycle, with its levels: everybody may see them.
    pub async fn bursting(&self, cycle: Cycle) -> Result<Vec<Bursting>, StoreError> {
        burst::bursting(&*self.connection().await?, cycle).await
    }

    /// Declares how much the cloud has of a resource.
    pub async fn burst_capacity_declare(&self, declared: BurstCapacity) -> Result<(), AccessError> {
        self.require_operator()?;
        Ok(self.write(|conn| async move { burst::capacity_declare(conn, &declared).await }.boxed()).await?)
    }

    /// The discounts on terms, the shortest first.
    pub async fn term_discounts(&self) -> Result<Vec<TermDiscount>, StoreError> {
        capacity::term_discounts(&*self.connection().await?).await
    }

    /// Puts discounts on terms in the place of those that there are.
    pub async fn term_discount_replace(&self, discounts: Vec<TermDiscount>) -> Result<(), AccessError> {
        self.require_operator()?;
        let replaced =
            self.write(|conn| async move { capacity::term_discount_replace(conn, &discounts).await }.boxed());
        Ok(replaced.await?)
    }

    /// Rules by id: those for everyone, and those of accounts that the viewer sees.
    pub async fn price_rules(
        &self,
        ids: Vec<PriceRuleId>,
    ) -> Result<HashMap<PriceRuleId, Arc<PriceRule>>, StoreError> {
        let mut found = self.store.fetch.price_rules.get(ids).await?;
        let visible = self.visible(found.values().filter_map(|rule| rule.account)).await?;
        found.retain(|_, rule| rule.account.is_none_or(|account| visible.contains(&account)));
        Ok(found)
    }

    /// Accounts' own rules, in the order in which they were set.
    pub async fn own_price_rules(
        &self,
        keys: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Rows<PriceRule>>, StoreError> {
        self.owned(&self.store.fetch.own_price_rules, keys, |account| *account).await
    }

    /// The rules for everyone, in the order in which they were set.
    pub async fn default_price_rules(
        &self,
        keys: Vec<()>,
    ) -> Result<HashMap<(), Rows<PriceRule>>, StoreError> {
        self.store.fetch.default_price_rules.get(keys).await
    }

    /// What rules say, by id.
    pub async fn price_definitions(
        &self,
        ids: Vec<PriceDefinitionId>,
    ) -> Result<Vec<PriceDefinition>, AccessError> {
        self.require_provider()?;
        let conn = self.connection().await?;
        Ok(price_rules::definitions(&conn, ids).await?)
    }

    /// Sets rules, all or none.
    pub async fn price_rules_set(
        &self,
        wanted: RulesToSet,
        asked: Fingerprints,
    ) -> Result<Result<Vec<PriceRule>, Refusal>, AccessError> {
        self.require_operator()?;
        let keys = Arc::clone(self.store.database.keys());
        let made = self.write(move |conn| {
            async move { price_rules::rules_set(conn, &wanted, asked, &keys).await }.boxed()
        });
        Ok(made.await?)
    }

    /// Takes back usage that was recorded.
    pub async fn usage_void(
        &self,
        wanted: ToVoid,
        fingerprint: Digest,
    ) -> Result<Result<Voided, Refusal>, AccessError> {
        self.require_operator()?;
        let account = self.account(wanted.account).await?.ok_or(AccessError::NoSuchAccount)?;
        if account.erased_at.is_some() {
            let message = "the account is erased: its usage is gone";
            return Ok(Err(Refusal::new(RefusalCode::AccountSuspended, "accountId", message)));
        }
        let keys = Arc::clone(self.store.database.keys());
        let voided = self.write(move |conn| {
            async move { voided_usage::usage_void(conn, &wanted, fingerprint.into(), &keys).await }.boxed()
        });
        Ok(voided.await?)
    }

    /// Ends a rule.
    pub async fn price_rule_end(
        &self,
        ending: RuleToEnd,
        fingerprint: Digest,
    ) -> Result<Result<Vec<PriceRule>, Refusal>, AccessError> {
        self.require_operator()?;
        let keys = Arc::clone(self.store.database.keys());
        let made = self.write(move |conn| {
            async move { price_rules::rule_end(conn, &ending, fingerprint, &keys).await }.boxed()
        });
        Ok(made.await?)
    }

    // ── what accounts own ──

    /// Whose things a list is of: the account named, if the viewer may see it, or all that the viewer may see.
    async fn owners(&self, account: Option<AccountId>) -> Result<Option<Owners>, AccessError> {
        if let Some(account) = account {
            let visible = self.visible(std::iter::once(account)).await?.contains(&account);
            // The provider's people see every account there is, and no other.
            let there = visible && (!self.viewer.is_of_provider() || self.account(account).await?.is_some());
            return if there { Ok(Some(Owners::One(account))) } else { Err(AccessError::NoSuchAccount) };
        }
        Ok(match self.viewer.scope() {
            Scope::All => Some(Owners::Everyone),
            Scope::Family(own) => Some(Owners::Family(own)),
            Scope::Nothing => None,
        })
    }

    pub async fn orders(&self, ids: &[OrderId]) -> Result<HashMap<OrderId, Arc<Order>>, StoreError> {
        self.owned_by_id(&self.store.fetch.orders, ids, |id| id.0).await
    }

    pub async fn order_by_number(&self, number: &str) -> Result<Option<Order>, StoreError> {
        let Some(account) = account_of_number('O', number) else { return Ok(None) };
        if !self.visible(std::iter::once(account)).await?.contains(&account) {
            return Ok(None);
        }
        orders::order_by_number(&*self.connection().await?, number).await
    }

    pub async fn newest_orders(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<Order>>, StoreError> {
        self.owned(&self.store.fetch.newest_orders, keys, |(account, _)| *account).await
    }

    pub async fn newest_order_headers(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<OrderHeader>>, StoreError> {
        self.owned(&self.store.fetch.newest_order_headers, keys, |(account, _)| *account).await
    }

    pub async fn order_counts(&self, keys: Vec<AccountId>) -> Result<HashMap<AccountId, i64>, StoreError> {
        self.owned(&self.store.fetch.order_counts, keys, |account| *account).await
    }

    pub async fn order_list(
        &self,
        account: Option<AccountId>,
        filter: &OrderFilter,
        page: &Page,
    ) -> Result<Found<Order>, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(Found::whole(Vec::new())) };
        Ok(orders::order_list(
            &*self.list_connection(*filter != OrderFilter::default()).await?,
            owners,
            filter,
            page,
        )
        .await?)
    }

    pub async fn order_count(
        &self,
        account: Option<AccountId>,
        filter: &OrderFilter,
    ) -> Result<i64, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(0) };
        Ok(orders::order_count(&*self.slow_connection().await?, owners, filter).await?)
    }

    pub async fn bills(&self, ids: &[BillId]) -> Result<HashMap<BillId, Arc<Bill>>, StoreError> {
        self.owned_by_id(&self.store.fetch.bills, ids, |id| id.0).await
    }

    pub async fn bill_by_number(&self, number: &str) -> Result<Option<Bill>, StoreError> {
        let Some(account) = account_of_number('B', number) else { return Ok(None) };
        if !self.visible(std::iter::once(account)).await?.contains(&account) {
            return Ok(None);
        }
        bills::bill_by_number(&*self.connection().await?, number).await
    }

    pub async fn newest_bills(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<Bill>>, StoreError> {
        self.owned(&self.store.fetch.newest_bills, keys, |(account, _)| *account).await
    }

    pub async fn newest_bill_headers(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Arc<[BillHeader]>>, StoreError> {
        self.owned(&self.store.fetch.newest_bill_headers, keys, |(account, _)| *account).await
    }

    pub async fn bill_counts(&self, keys: Vec<AccountId>) -> Result<HashMap<AccountId, i64>, StoreError> {
        self.owned(&self.store.fetch.bill_counts, keys, |account| *account).await
    }

    pub async fn newest_bills_of_orders(
        &self,
        keys: Vec<Newest<OrderId>>,
    ) -> Result<HashMap<Newest<OrderId>, Rows<Bill>>, StoreError> {
        self.owned(&self.store.fetch.newest_bills_of_orders, keys, |(order, _)| order.account()).await
    }

    pub async fn newest_bill_headers_of_orders(
        &self,
        keys: Vec<Newest<OrderId>>,
    ) -> Result<HashMap<Newest<OrderId>, Arc<[BillHeader]>>, StoreError> {
        self.owned(&self.store.fetch.newest_bill_headers_of_orders, keys, |(order, _)| order.account()).await
    }

    pub async fn bill_counts_of_orders(
        &self,
        keys: Vec<OrderId>,
    ) -> Result<HashMap<OrderId, i64>, StoreError> {
        self.owned(&self.store.fetch.bill_counts_of_orders, keys, |order| order.account()).await
    }

    pub async fn bill_list(
        &self,
        account: Option<AccountId>,
        filter: &BillFilter,
        page: &Page,
    ) -> Result<Found<Bill>, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(Found::whole(Vec::new())) };
        Ok(bills::bill_list(
            &*self.list_connection(*filter != BillFilter::default()).await?,
            owners,
            filter,
            page,
        )
        .await?)
    }

    pub async fn bill_count(
        &self,
        account: Option<AccountId>,
        filter: &BillFilter,
    ) -> Result<i64, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(0) };
        Ok(bills::bill_count(&*self.slow_connection().await?, owners, filter).await?)
    }

    /// What the bills that a filter matches come to.
    pub async fn bill_sums(
        &self,
        account: Option<AccountId>,
        filter: &BillFilter,
    ) -> Result<BillSums, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(BillSums::default()) };
        Ok(bills::bill_sums(&*self.slow_connection().await?, owners, filter).await?)
    }

    pub async fn records(&self, ids: &[RecordId]) -> Result<HashMap<RecordId, Arc<Record>>, StoreError> {
        self.owned_by_id(&self.store.fetch.records, ids, |id| id.0).await
    }

    /// The records of what bills charge afterwards, in the order in which they were made.
    pub async fn records_of_bills(
        &self,
        ids: &[BillId],
    ) -> Result<HashMap<BillId, Rows<Record>>, StoreError> {
        self.owned_by_id(&self.store.fetch.records_of_bills, ids, |id| id.0).await
    }

    pub async fn record_by_number(&self, number: &str) -> Result<Option<Record>, StoreError> {
        let Some(account) = account_of_number('R', number) else { return Ok(None) };
        if !self.visible(std::iter::once(account)).await?.contains(&account) {
            return Ok(None);
        }
        records::record_by_number(&*self.connection().await?, number).await
    }

    pub async fn newest_records(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<Record>>, StoreError> {
        self.owned(&self.store.fetch.newest_records, keys, |(account, _)| *account).await
    }

    pub async fn record_counts(&self, keys: Vec<AccountId>) -> Result<HashMap<AccountId, i64>, StoreError> {
        self.owned(&self.store.fetch.record_counts, keys, |account| *account).await
    }

    pub async fn record_list(
        &self,
        account: Option<AccountId>,
        filter: &RecordFilter,
        page: &Page,
    ) -> Result<Found<Record>, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(Found::whole(Vec::new())) };
        Ok(records::record_list(
            &*self.list_connection(*filter != RecordFilter::default()).await?,
            owners,
            filter,
            page,
        )
        .await?)
    }

    pub async fn record_count(
        &self,
        account: Option<AccountId>,
        filter: &RecordFilter,
    ) -> Result<i64, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(0) };
        Ok(records::record_count(&*self.slow_connection().await?, owners, filter).await?)
    }

    /// What an account used of a resource by the hour; nothing of an account that the viewer may not see.
    pub async fn usage_hours(
        &self,
        account: AccountId,
        resource: &Resource,
        window: Month,
    ) -> Result<Vec<Hour>, StoreError> {
        if self.account(account).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut hours = Vec::new();
        for part in parts(window, HOURS_READ_AT_ONCE) {
            let conn = self.slow_connection().await?;
            let (code, kind) = (&resource.code, resource.aggregation);
            hours.extend(account_usage::usage_hours(&conn, account, code, kind, part).await?);
        }
        Ok(hours)
    }

    /// The orders on demand of an account that ran within a window; none of an account that the viewer may not see.
    pub async fn orders_on_demand(
        &self,
        account: AccountId,
        window: Month,
    ) -> Result<Vec<Order>, StoreError> {
        if self.account(account).await?.is_none() {
            return Ok(Vec::new());
        }
        let conn = self.connection().await?;
        orders::orders_on_demand(&conn, &[(account, window)]).await
    }

    /// When an account was suspended within a window; nothing of an account that the viewer may not see.
    pub async fn suspensions(
        &self,
        account: AccountId,
        window: Month,
    ) -> Result<Vec<SuspendedSpan>, StoreError> {
        if self.account(account).await?.is_none() {
            return Ok(Vec::new());
        }
        let conn = self.connection().await?;
        suspensions::spans_overlapping(&conn, &[(account, window)]).await
    }

    /// What was reported of all resources of an account; nothing of an account that the viewer may not see. Each statement reads
    /// a part of the window, and leaves its connection to others before the next.
    pub async fn usage_reports(&self, account: AccountId, window: Month) -> Result<Vec<Reports>, StoreError> {
        if self.account(account).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut gathering = Gathering::new(window.start, window.end);
        for part in parts(window, HOURS_READ_AT_ONCE) {
            let conn = self.slow_connection().await?;
            for (resource, kind, hour) in account_usage::all_usage_hours(&conn, account, part).await? {
                gathering.hour(resource, kind, hour);
            }
        }
        let take = |slot: GaugeSlot| gathering.slot(slot.resource, slot.aggregation, &slot.reports);
        self.each_gauge_slot(account, GaugesOf::All, window, take).await?;
        Ok(gathering.finish())
    }

    /// A gauge of an account, from the first of the stretches in which it was reported on, until `end`; none where nothing was
    /// reported, and of an account that the viewer may not see.
    pub async fn gauge(
        &self,
        account: AccountId,
        resource: &str,
        starts: &[DateTime<Utc>],
        end: DateTime<Utc>,
    ) -> Result<Option<Result<Gauge, OutOfRange>>, StoreError> {
        let Some(start) = starts.first().copied() else { return Ok(None) };
        if self.account(account).await?.is_none() {
            return Ok(None);
        }
        let window = with_hour_before(Month { start, end });
        let conn = self.slow_connection().await?;
        let Some(first) = account_usage::first_slot(&conn, account, resource, window).await? else {
            return Ok(None);
        };
        drop(conn);
        let begun = starts.partition_point(|start| *start <= first);
        let start = begun.checked_sub(1).and_then(|begun| starts.get(begun)).copied().unwrap_or(start);
        let mut gauge = Ok(Gauge::new(start, end));
        let take = |slot: GaugeSlot| {
            if let Err(error) =
                gauge.as_mut().map_or(Ok(()), |gauge: &mut Gauge| gauge.add_slot(&slot.reports))
            {
                gauge = Err(error);
            }
        };
        self.each_gauge_slot(account, GaugesOf::One(resource), Month { start, end }, take).await?;
        Ok(Some(gauge))
    }

    /// Reads what gauges came to, part by part; what was reported in the hour before is held.
    async fn each_gauge_slot(
        &self,
        account: AccountId,
        gauges: GaugesOf<'_>,
        window: Month,
        mut take: impl FnMut(GaugeSlot),
    ) -> Result<(), StoreError> {
        let mut samples: i64 = 0;
        for part in parts(with_hour_before(window), GAUGES_READ_AT_ONCE) {
            let conn = self.slow_connection().await?;
            let slots = account_usage::gauge_slots(&conn, account, gauges, part).await?;
            drop(conn);
            for slot in slots {
                samples = samples.saturating_add(slot.samples);
                take(slot);
            }
            if samples > SAMPLES_MAX {
                let message = format!("there are more than {SAMPLES_MAX} samples of gauges in that time");
                return Err(StoreError::TooMuch { argument: "startTime", message });
            }
        }
        Ok(())
    }

    pub async fn transactions(
        &self,
        ids: &[TransactionId],
    ) -> Result<HashMap<TransactionId, Arc<Transaction>>, StoreError> {
        self.owned_by_id(&self.store.fetch.transactions, ids, |id| id.0).await
    }

    pub async fn newest_transactions(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<Transaction>>, StoreError> {
        self.owned(&self.store.fetch.newest_transactions, keys, |(account, _)| *account).await
    }

    pub async fn transaction_counts(
        &self,
        keys: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, i64>, StoreError> {
        self.owned(&self.store.fetch.transaction_counts, keys, |account| *account).await
    }

    /// What was given back of these transactions.
    pub async fn refunds(
        &self,
        ids: &[TransactionId],
    ) -> Result<HashMap<TransactionId, Rows<Transaction>>, StoreError> {
        self.owned_by_id(&self.store.fetch.refunds, ids, |id| id.0).await
    }

    pub async fn transaction_list(
        &self,
        account: Option<AccountId>,
        filter: &TransactionFilter,
        page: &Page,
    ) -> Result<Found<Transaction>, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(Found::whole(Vec::new())) };
        let conn = self.list_connection(*filter != TransactionFilter::default()).await?;
        Ok(transactions::transaction_list(&conn, owners, filter, page).await?)
    }

    pub async fn transaction_count(
        &self,
        account: Option<AccountId>,
        filter: &TransactionFilter,
    ) -> Result<i64, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(0) };
        let conn = self.slow_connection().await?;
        Ok(transactions::transaction_count(&conn, owners, filter).await?)
    }

    pub async fn entries(&self, ids: &[EntryId]) -> Result<HashMap<EntryId, Arc<Entry>>, StoreError> {
        self.owned_by_id(&self.store.fetch.entries, ids, |id| id.0).await
    }

    pub async fn newest_entries(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<Entry>>, StoreError> {
        self.owned(&self.store.fetch.newest_entries, keys, |(account, _)| *account).await
    }

    pub async fn entry_counts(&self, keys: Vec<AccountId>) -> Result<HashMap<AccountId, i64>, StoreError> {
        self.owned(&self.store.fetch.entry_counts, keys, |account| *account).await
    }

    pub async fn entry_list(
        &self,
        account: Option<AccountId>,
        filter: &EntryFilter,
        page: &Page,
    ) -> Result<Found<Entry>, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(Found::whole(Vec::new())) };
        Ok(ledger::entry_list(
            &*self.list_connection(*filter != EntryFilter::default()).await?,
            owners,
            filter,
            page,
        )
        .await?)
    }

    pub async fn entry_count(
        &self,
        account: Option<AccountId>,
        filter: &EntryFilter,
    ) -> Result<i64, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(0) };
        Ok(ledger::entry_count(&*self.slow_connection().await?, owners, filter).await?)
    }

    /// The answer that a key of an account holds.
    pub async fn answer(
        &self,
        account: AccountId,
        key: String,
    ) -> Result<Option<IdempotencyRecord>, AccessError> {
        if self.account(account).await?.is_none() {
            return Err(AccessError::NoSuchAccount);
        }
        let conn = self.connection().await?;
        Ok(keys::answer_by_keys(&conn, vec![account.0], vec![key]).await?.pop().map(|(_, answer)| answer))
    }

    /// How many prepayments of an account wait for tokens.
    pub async fn awaiting_deposits(&self, account: AccountId) -> Result<i64, AccessError> {
        if self.account(account).await?.is_none() {
            return Err(AccessError::NoSuchAccount);
        }
        Ok(prepayments::awaiting_deposits(&*self.connection().await?, account).await?)
    }

    /// What accounts can pay with, newest first.
    pub async fn payment_methods_of(
        &self,
        accounts: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Rows<PaymentMethod>>, StoreError> {
        let visible = self.visible(accounts.into_iter()).await?;
        let conn = self.connection().await?;
        let kept =
            payment_methods::methods_kept(&conn, visible.iter().map(|account| account.0).collect()).await?;
        let mut of: HashMap<AccountId, Vec<Arc<PaymentMethod>>> = HashMap::new();
        for method in kept {
            of.entry(method.account()).or_default().push(Arc::new(method));
        }
        Ok(of.into_iter().map(|(account, methods)| (account, methods.into())).collect())
    }

    pub async fn payment_methods(
        &self,
        ids: &[PaymentMethodId],
    ) -> Result<HashMap<PaymentMethodId, Arc<PaymentMethod>>, StoreError> {
        let visible = self.visible(ids.iter().map(|id| id.account())).await?;
        let ids: Vec<OwnedId> =
            ids.iter().filter(|id| visible.contains(&id.account())).map(|id| id.0).collect();
        let conn = self.connection().await?;
        let found = payment_methods::method_by_ids(&conn, &ids).await?;
        Ok(found.into_iter().map(|method| (method.id, Arc::new(method))).collect())
    }

    // ── what operators ask each other for ──

    pub async fn approvals(
        &self,
        ids: &[ApprovalId],
    ) -> Result<HashMap<ApprovalId, Arc<Approval>>, StoreError> {
        if !self.viewer.is_of_provider() {
            return Ok(HashMap::new());
        }
        let ids: Vec<OwnedId> = ids.iter().map(|id| id.0).collect();
        let found = approvals::approval_by_ids(&*self.connection().await?, &ids).await?;
        Ok(found.into_iter().map(|approval| (approval.id, Arc::new(approval))).collect())
    }

    pub async fn approval_list(
        &self,
        state: Option<ApprovalState>,
        page: &Page,
    ) -> Result<Found<Approval>, AccessError> {
        self.require_provider()?;
        Ok(approvals::approval_list(&*self.connection().await?, state, page).await?)
    }

    pub async fn approval_count(&self, state: Option<ApprovalState>) -> Result<i64, AccessError> {
        self.require_provider()?;
        Ok(approvals::approval_count(&*self.connection().await?, state).await?)
    }

    /// What the viewer may decide on: an operator with a name, and to approve it another one than has asked. Whoever has asked may
    /// take it back.
    pub async fn approval_to_decide(
        &self,
        id: ApprovalId,
        approve: bool,
    ) -> Result<Option<Approval>, AccessError> {
        self.require_operator()?;
        if text::name("subject", &self.viewer.subject).is_err() {
            return Err(AccessError::Nameless);
        }
        let found = approvals::approval_by_ids(&*self.connection().await?, &[id.0]).await?.pop();
        match &found {
            Some(held) if approve && held.asked_by == self.viewer.subject => Err(AccessError::OwnApproval),
            _ => Ok(found),
        }
    }

    // ── what was paid for beforehand ──

    pub async fn payments(&self, ids: &[PaymentId]) -> Result<HashMap<PaymentId, Arc<Payment>>, StoreError> {
        self.owned_by_id(&self.store.fetch.payments, ids, |id| id.0).await
    }

    pub async fn prepayments(
        &self,
        ids: &[PrepaymentId],
    ) -> Result<HashMap<PrepaymentId, Arc<Prepayment>>, StoreError> {
        self.owned_by_id(&self.store.fetch.prepayments, ids, |id| id.0).await
    }

    pub async fn newest_prepayments(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<Prepayment>>, StoreError> {
        self.owned(&self.store.fetch.newest_prepayments, keys, |(account, _)| *account).await
    }

    pub async fn prepayment_counts(
        &self,
        keys: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, i64>, StoreError> {
        self.owned(&self.store.fetch.prepayment_counts, keys, |account| *account).await
    }

    pub async fn prepayment_list(
        &self,
        account: Option<AccountId>,
        filter: &PrepaymentFilter,
        page: &Page,
    ) -> Result<Found<Prepayment>, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(Found::whole(Vec::new())) };
        let conn = self.list_connection(*filter != PrepaymentFilter::default()).await?;
        Ok(prepayments::prepayment_list(&conn, owners, filter, page).await?)
    }

    pub async fn prepayment_count(
        &self,
        account: Option<AccountId>,
        filter: &PrepaymentFilter,
    ) -> Result<i64, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(0) };
        let conn = self.slow_connection().await?;
        Ok(prepayments::prepayment_count(&conn, owners, filter).await?)
    }

    /// What reached addresses, in the order of the chain.
    pub async fn deposits_to(
        &self,
        keys: Vec<AddressOf>,
    ) -> Result<HashMap<AddressOf, Rows<Deposit>>, StoreError> {
        self.owned(&self.store.fetch.deposits_to, keys, |(account, _)| *account).await
    }

    /// Whose a deposit address is, if the viewer may see it.
    pub async fn address_owner(&self, address: String) -> Result<Option<AccountId>, StoreError> {
        let conn = self.connection().await?;
        let Some((owner, _)) = deposits::address_owners(&conn, vec![address]).await?.pop() else {
            return Ok(None);
        };
        drop(conn);
        Ok(self.visible(std::iter::once(owner)).await?.contains(&owner).then_some(owner))
    }

    /// An offer of a prepayment, without its rate, if the viewer may see it.
    pub async fn prepay_quote(&self, id: QuoteId) -> Result<Option<PrepayQuote>, StoreError> {
        if !self.visible(std::iter::once(id.account())).await?.contains(&id.account()) {
            return Ok(None);
        }
        let conn = self.connection().await?;
        Ok(prepay_quotes::quote_by_ids(&conn, &[id.0]).await?.pop())
    }

    // ── invoices ──

    /// Accounts' months that have no invoice, newest first: those with something on it that is known.
    async fn drafts(&self, accounts: Vec<AccountId>) -> Result<HashMap<AccountId, Rows<Draft>>, StoreError> {
        self.owned(&self.store.fetch.drafts, accounts, |account| *account).await
    }

    async fn shown_drafts(&self, owners: Owners) -> Result<Vec<Arc<Invoice>>, StoreError> {
        let Some(account) = draft_owner(owners) else { return Ok(Vec::new()) };
        let drafts = self.drafts(vec![account]).await?.remove(&account).unwrap_or_default();
        Ok(shown(&drafts).collect())
    }

    pub async fn invoices(&self, ids: &[InvoiceId]) -> Result<HashMap<InvoiceId, Arc<Invoice>>, StoreError> {
        let mut found = self.owned_by_id(&self.store.fetch.invoices, ids, |id| id.0).await?;
        let is_missing = |found: &HashMap<InvoiceId, _>, id: &InvoiceId| !found.contains_key(id);
        let missing: Vec<InvoiceId> = ids.iter().copied().filter(|id| is_missing(&found, id)).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let drafts = self.drafts(missing.iter().map(|id| id.account()).collect()).await?;
        let drafts = drafts.values().flat_map(|drafts| shown(drafts));
        found.extend(drafts.filter(|draft| missing.contains(&draft.id)).map(|draft| (draft.id, draft)));
        // One that was issued meanwhile was neither.
        let missing: Vec<InvoiceId> = missing.into_iter().filter(|id| is_missing(&found, id)).collect();
        if !missing.is_empty() {
            found.extend(self.owned_by_id(&self.store.fetch.invoices, &missing, |id| id.0).await?);
        }
        Ok(found)
    }

    pub async fn newest_invoices(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<Invoice>>, StoreError> {
        let mut accounts: Vec<AccountId> = keys.iter().map(|(account, _)| *account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let drafts = self.drafts(accounts).await?;
        let issued = self.owned(&self.store.fetch.newest_invoices, keys, |(account, _)| *account).await?;
        let merge = |(key, issued): (Newest<AccountId>, Rows<Invoice>)| {
            let own = drafts.get(&key.0).map(|drafts| shown(drafts).collect()).unwrap_or_default();
            (key, merged(own, issued.to_vec(), &Page::first(key.1)).into())
        };
        Ok(issued.into_iter().map(merge).collect())
    }

    pub async fn invoice_counts(&self, keys: Vec<AccountId>) -> Result<HashMap<AccountId, i64>, StoreError> {
        let drafts = self.drafts(keys.clone()).await?;
        let mut counts = self.owned(&self.store.fetch.invoice_counts, keys, |account| *account).await?;
        for (account, drafts) in drafts {
            let more = i64::try_from(shown(&drafts).count()).unwrap_or(0);
            counts.entry(account).and_modify(|count| *count = count.saturating_add(more));
        }
        Ok(counts)
    }

    pub async fn invoice_list(
        &self,
        account: Option<AccountId>,
        page: &Page,
    ) -> Result<Vec<Arc<Invoice>>, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(Vec::new()) };
        let drafts = self.shown_drafts(owners).await?;
        let conn = self.connection().await?;
        let passed_over = page.offset.min(INVOICES_PASSED_OVER_MAX);
        let whole = Page { limit: page.limit.saturating_add(passed_over), offset: 0, ..page.clone() };
        let issued = invoices::invoice_list(&conn, owners, &whole).await?;
        let is_cut = i64::try_from(issued.len()).is_ok_and(|count| count >= whole.limit);
        if is_cut && page.offset > passed_over {
            let message = format!("at most {INVOICES_PASSED_OVER_MAX} are passed over: go on from a cursor");
            return Err(StoreError::TooMuch { argument: "offset", message }.into());
        }
        Ok(merged(drafts, issued.into_iter().map(Arc::new).collect(), page))
    }

    pub async fn invoice_count(&self, account: Option<AccountId>) -> Result<i64, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(0) };
        let drafts = i64::try_from(self.shown_drafts(owners).await?.len()).unwrap_or(0);
        let conn = self.connection().await?;
        Ok(invoices::invoice_count(&conn, owners).await?.saturating_add(drafts))
    }

    /// The months whose drafts are missing in a list, as what is on them cannot be read or added up.
    pub async fn unvalued_months(&self, account: Option<AccountId>) -> Result<Vec<NaiveDate>, AccessError> {
        let owner = match self.owners(account).await? {
            Some(owners) => draft_owner(owners),
            None => None,
        };
        let Some(owner) = owner else { return Ok(Vec::new()) };
        let drafts = self.drafts(vec![owner]).await?.remove(&owner).unwrap_or_default();
        let unknown = drafts.iter().filter(|draft| draft.is_unknown());
        Ok(unknown.map(|draft| draft.invoice.period).collect())
    }

    // ── the ledger's health ──

    /// Checks one account's ledger, or, for operators, those of the next accounts after where the last call stopped.
    pub async fn ledger_health(
        &self,
        account: Option<AccountId>,
        now: DateTime<Utc>,
    ) -> Result<HealthReport, AccessError> {
        let Some(account) = account else { return self.next_ledgers_health(now).await };
        // The provider is told even of an account that cannot be read.
        if !self.viewer.is_of_provider() {
            self.account(account).await?.ok_or(AccessError::NoSuchAccount)?;
        }
        let report = self.check_ledgers(&*self.slow_connection().await?, Range::one(account), now).await?;
        if report.accounts_checked == 0 {
            return Err(AccessError::NoSuchAccount);
        }
        Ok(report)
    }

    async fn next_ledgers_health(&self, now: DateTime<Utc>) -> Result<HealthReport, AccessError> {
        self.require_provider()?;
        let conn = self.slow_connection().await?;
        let position = ledger::check_position(&conn).await?;
        let last = ledger_check::last_of_next(&conn, position, CHECK_ACCOUNTS_MAX).await?;
        let report = match last {
            Some(last) => {
                let first = AccountId(position.0.saturating_add(1));
                self.check_ledgers(&conn, Range { first, last }, now).await?
            }
            None => HealthReport::default(),
        };
        drop(conn);
        let whole = i64::from(report.accounts_checked) == CHECK_ACCOUNTS_MAX;
        let stopped_at = last.filter(|_| whole).unwrap_or(AccountId(0));
        self.write(move |conn| ledger::set_check_position(conn, stopped_at).boxed()).await?;
        Ok(report)
    }

    async fn check_ledgers(
        &self,
        conn: Conn<'_>,
        range: Range,
        now: DateTime<Utc>,
    ) -> Result<HealthReport, StoreError> {
        let progress = standing::progress(conn).await?;
        let all_sealed = progress.all_sealed_at.is_some();
        let keys = self.store.database.keys();
        let look = Look { conn, keys, pace: Pace::AT_ONCE, all_sealed, now };
        let report = ledger_check::check(look, range).await?;
        let count = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
        let standing = match self.viewer.is_of_provider() {
            true => Some(LedgerStanding { progress, faults: standing::faults_count(conn).await? }),
            false => None,
        };
        let owners: BTreeMap<AccountId, Arc<Account>> =
            report.accounts.into_iter().map(|(id, account)| (id, Arc::new(account))).collect();
        // What belongs to an account that is not there is told with another: it says whose it is.
        let faults = report.faults.into_iter().filter_map(|(owner, mut fault)| {
            let shown = owners.get(&owner).or_else(|| {
                fault.message = format!("{owner}: {}", fault.message);
                owners.values().next()
            });
            Some((Arc::clone(shown?), fault))
        });
        Ok(HealthReport {
            accounts_checked: i32::try_from(owners.len()).unwrap_or(i32::MAX),
            entries_checked: count(report.entries_checked),
            imbalance: report.imbalance,
            faults: faults.collect(),
            standing,
        })
    }
}

/// The drafts that can be shown, as invoices.
fn shown(drafts: &[Arc<Draft>]) -> impl Iterator<Item = Arc<Invoice>> {
    drafts.iter().filter(|draft| draft.is_shown()).map(|draft| Arc::clone(&draft.invoice))
}

/// A page of drafts and issued invoices, newest first; of what was issued meanwhile the issued one.
fn merged(drafts: Vec<Arc<Invoice>>, issued: Vec<Arc<Invoice>>, page: &Page) -> Vec<Arc<Invoice>> {
    let is_issued = |draft: &Arc<Invoice>| issued.iter().any(|invoice| invoice.id == draft.id);
    let is_within = |draft: &Arc<Invoice>| {
        let id = draft.id.uuid();
        page.after.is_none_or(|after| id < after) && page.before.is_none_or(|before| id > before)
    };
    let drafts = drafts.into_iter().filter(|draft| !is_issued(draft) && is_within(draft));
    let mut all: Vec<Arc<Invoice>> = drafts.collect();
    all.extend(issued);
    all.sort_unstable_by_key(|invoice| std::cmp::Reverse(invoice.id));
    let size = |number: i64| usize::try_from(number).unwrap_or(0);
    if page.from_oldest {
        all.reverse();
    }
    let mut part: Vec<Arc<Invoice>> =
        all.into_iter().skip(size(page.offset)).take(size(page.limit)).collect();
    if page.from_oldest {
        part.reverse();
    }
    part
}

/// Whose drafts stand in a list: the account's that it is of; a customer's own.
fn draft_owner(owners: Owners) -> Option<AccountId> {
    match owners {
        Owners::One(account) | Owners::Family(account) => Some(account),
        Owners::Everyone | Owners::None => None,
    }
}
