//! What reports name: accounts and resources, kept for a short time, as every report asks for them again. They say how
//! a report counts, and nothing of who may see what.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use futures_util::future::try_join_all;
use futures_util::try_join;
use quick_cache::sync::Cache;

use super::report::{Report, Reported};
use crate::domain::ids::AccountId;
use crate::domain::license::License;
use crate::domain::money::CurrencyCode;
use crate::domain::plan::{Aggregation, Resource};
use crate::domain::usage::{Fault, Granularity, UsageEvent, bucket_start, hour_of, slot_of};
use crate::store::access::Store;
use crate::store::error::StoreError;
use crate::store::usage::{Metered, MeteredAccount, metered_accounts};
use crate::store::{licenses, plans};

/// What is known counts for so long: so much later, a zone that has changed cuts hours anew.
const KNOWN_FOR: Duration = Duration::from_secs(5);
const ACCOUNTS_KEPT: usize = 200_000;
const RESOURCES_KEPT: usize = 10_000;
/// Accounts that one statement reads.
const READ_AT_ONCE: usize = 5_000;

/// Something that was so a moment ago.
#[derive(Clone)]
struct Known<T> {
    value: T,
    since: Instant,
}

impl<T: Clone> Known<T> {
    fn now(value: T) -> Self {
        Self { value, since: Instant::now() }
    }

    fn fresh(&self) -> Option<T> {
        (self.since.elapsed() < KNOWN_FOR).then(|| self.value.clone())
    }
}

/// A resource as it is reported.
struct MeteredResource {
    resource: Resource,
    /// Where it is a licence.
    license: Option<License>,
}

pub(super) struct MeteringCache {
    store: Arc<Store>,
    accounts: Cache<AccountId, Known<MeteredAccount>>,
    resources: Cache<String, Known<Arc<MeteredResource>>>,
}

/// What the reports of one request name.
pub(super) struct CacheEntry {
    namespaces: HashMap<String, AccountId>,
    accounts: HashMap<AccountId, MeteredAccount>,
    resources: HashMap<String, Arc<MeteredResource>>,
    /// When the running month began in their zones.
    months: HashMap<Tz, DateTime<Utc>>,
}

impl MeteringCache {
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, accounts: Cache::new(ACCOUNTS_KEPT), resources: Cache::new(RESOURCES_KEPT) }
    }

    /// An account has changed.
    pub fn forget(&self, account: AccountId) {
        self.accounts.remove(&account);
    }

    /// Time has been moved: nothing was so a moment ago.
    pub fn forget_all(&self) {
        self.accounts.clear();
        self.resources.clear();
    }

    pub async fn look_up<'r>(
        &self,
        reports: impl Iterator<Item = &'r Report> + Clone,
        now: DateTime<Utc>,
    ) -> Result<CacheEntry, StoreError> {
        let namespaces = self.namespaces(reports.clone()).await?;
        let named = reports.clone().filter_map(|report| match &report.of {
            Reported::Account(id) => Some(*id),
            Reported::Namespace(namespace) => namespaces.get(namespace).copied(),
        });
        let accounts = self.accounts(named.collect()).await?;
        let codes = reports.map(|report| report.resource.as_str()).collect();
        let zones: HashSet<Tz> = accounts.values().map(|account| account.time_zone).collect();
        let month = |zone: Tz| (zone, bucket_start(now, Granularity::Month, zone));
        let months = zones.into_iter().map(month).collect();
        Ok(CacheEntry { accounts, resources: self.resources(codes).await?, namespaces, months })
    }

    async fn namespaces<'r>(
        &self,
        reports: impl Iterator<Item = &'r Report>,
    ) -> Result<HashMap<String, AccountId>, StoreError> {
        let asked = reports.filter_map(|report| match &report.of {
            Reported::Namespace(namespace) => Some(namespace.as_str()),
            Reported::Account(_) => None,
        });
        let asked: BTreeSet<&str> = asked.filter(|namespace| !namespace.contains('\0')).collect();
        let found = asked.into_iter().map(async |namespace| {
            let account = self.store.account_of_namespace(namespace.to_owned()).await?;
            Ok::<_, StoreError>(account.map(|account| (namespace.to_owned(), account)))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn accounts(
        &self,
        ids: BTreeSet<AccountId>,
    ) -> Result<HashMap<AccountId, MeteredAccount>, StoreError> {
        let mut found = HashMap::with_capacity(ids.len());
        let mut unknown = Vec::new();
        for id in ids {
            match self.accounts.get(&id).and_then(|known| known.fresh()) {
                Some(account) => {
                    found.insert(id, account);
                }
                None => unknown.push(id),
            }
        }
        for (place, unknown) in self.store.cells().shares(unknown) {
            self.store.cells().require_heard(place)?;
            for ids in unknown.chunks(READ_AT_ONCE) {
                let conn = self.store.cells().at(place).database.connection().await?;
                for account in metered_accounts(&conn, ids.iter().map(|id| id.0).collect()).await? {
                    // One that is closed may be opened at any time, and what it has used then must not be refused.
                    if account.was_open.is_none() {
                        self.accounts.insert(account.id, Known::now(account));
                    }
                    found.insert(account.id, account);
                }
            }
            // Who was not found may have left while it was waited for.
            self.store.cells().require_heard(place)?;
        }
        Ok(found)
    }

    async fn resources(
        &self,
        codes: BTreeSet<&str>,
    ) -> Result<HashMap<String, Arc<MeteredResource>>, StoreError> {
        let mut found = HashMap::with_capacity(codes.len());
        let mut unknown = Vec::new();
        for code in codes.into_iter().filter(|code| !code.contains('\0')) {
            match self.resources.get(code).and_then(|known| known.fresh()) {
                Some(resource) => {
                    found.insert(code.to_owned(), resource);
                }
                None => unknown.push(code.to_owned()),
            }
        }
        if !unknown.is_empty() {
            match self.read_resources(unknown.clone()).await {
                Ok(resources) => found.extend(resources),
                // Where accounts live elsewhere they are counted by what was known of the catalogue last.
                Err(error) if error.is_of_the_machinery() && self.store.cells().are_several() => {
                    for code in unknown {
                        let known = self.resources.get(&code).ok_or_else(|| error.clone())?;
                        found.insert(code, known.value);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn read_resources(
        &self,
        codes: Vec<String>,
    ) -> Result<Vec<(String, Arc<MeteredResource>)>, StoreError> {
        // Nobody waits for one that is known to be away.
        self.store.cells().require_heard(0)?;
        let conn = self.store.home().connection().await?;
        let (resources, licenses) = try_join!(
            plans::resource_by_codes(&conn, codes.clone()),
            licenses::license_by_names(&conn, codes),
        )?;
        let mut licenses: HashMap<String, License> =
            licenses.into_iter().map(|license| (license.name.clone(), license)).collect();
        let read = |resource: Resource| {
            let (code, license) = (resource.code.clone(), licenses.remove(&resource.code));
            let metered = Arc::new(MeteredResource { resource, license });
            self.resources.insert(code.clone(), Known::now(Arc::clone(&metered)));
            (code, metered)
        };
        Ok(resources.into_iter().map(read).collect())
    }
}

impl CacheEntry {
    /// The report as it counts.
    pub fn metered(&self, report: Report) -> Result<Metered, Fault> {
        let account = self.account(&report.of, report.time)?;
        let unknown = || Fault::new("resource", "there is no such resource");
        let resource = self.resources.get(&report.resource).ok_or_else(unknown)?;
        let mut attributes = report.attributes;
        attributes.sort_unstable();
        let event = UsageEvent {
            id: report.id,
            account: account.id,
            resource: report.resource,
            quantity: report.quantity,
            time: report.time,
            subject: report.subject,
            datacenter: report.datacenter,
            attributes,
        };
        event.check_against(&resource.resource)?;
        let counted = match &resource.license {
            Some(license) => license.counted(event.quantity, &event.attributes)?,
            None => event.quantity,
        };
        let is_limited = resource.license.as_ref().is_some_and(|license| !license.burstable);
        let aggregation = resource.resource.aggregation;
        let bucket = match aggregation {
            Aggregation::Sum | Aggregation::Max => hour_of(event.time, account.time_zone),
            Aggregation::Last | Aggregation::Average | Aggregation::P95 => slot_of(event.time),
        };
        let is_over = self.months.get(&account.time_zone).is_some_and(|month| bucket < *month);
        let is_billed = account.closed_until.is_some_and(|until| bucket < until);
        let is_late = is_over || is_billed || account.was_open.is_some();
        Ok(Metered { payload: event.payload(), event, counted, is_limited, aggregation, bucket, is_late })
    }

    /// What an account pays in.
    pub fn currency_of(&self, account: AccountId) -> Option<CurrencyCode> {
        self.accounts.get(&account).map(|account| account.currency)
    }

    /// The account that a report of `time` is of. One that is closed takes what was used while it was open.
    fn account(&self, of: &Reported, time: DateTime<Utc>) -> Result<&MeteredAccount, Fault> {
        let (field, id) = match of {
            Reported::Account(id) => ("accountId", Some(id)),
            Reported::Namespace(namespace) => ("namespace", self.namespaces.get(namespace)),
        };
        let unknown = || Fault::new(field, "there is no such account");
        let account = id.and_then(|id| self.accounts.get(id)).ok_or_else(unknown)?;
        match account.was_open {
            Some(open) if !open.holds(time) => Err(Fault::new(field, "the account is closed")),
            _ => Ok(account),
        }
    }
}
