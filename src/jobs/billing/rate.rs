//! Reads what accounts used in a month, and rates it. No account is locked: the engine decides later whether what was read
//! still holds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use futures_util::try_join;
use rust_decimal::Decimal;

use super::super::JobContext;
use crate::domain::account::{Account, SuspendedSpan};
use crate::domain::closing::{ClosedMonth, Month, RatedMonth, Standstill, rate_on_demand, rate_usage};
use crate::domain::ids::{AccountId, BillId};
use crate::domain::money::{Currency, CurrencyCode, OutOfRange};
use crate::domain::order::Order;
use crate::domain::plan::{Aggregation, Resource};
use crate::domain::price_rule::PriceRule;
use crate::domain::rating::{PricePeriod, Quantity, Usage, price_periods};
use crate::store::accounts::suspensions;
use crate::store::error::StoreError;
use crate::store::usage::month_usage::{
    GaugeUsage, PartOfMonth, PartUsage, gauge_kinds, gauge_versions, gauges_usage, parts_usage,
    voided_versions,
};
use crate::store::{Conn, burst, closings, orders, plans, price_rules};

/// Accounts whose usage one statement reads.
const READ_AT_ONCE: usize = 128;

/// A month of an account that is to be rated.
#[derive(Debug, Clone)]
pub struct ToRate {
    pub account: Arc<Account>,
    pub month: Month,
    /// The first day of the calendar month that it is.
    pub period: NaiveDate,
    /// How often it has been rated.
    pub revision: i32,
    /// Its bill, where it was billed.
    pub bill: Option<BillId>,
}

impl ToRate {
    /// A month that has not been rated.
    pub fn first(account: Arc<Account>, month: Month) -> Self {
        let period = month.period(account.time_zone);
        Self { account, month, period, revision: 0, bill: None }
    }

    /// A closed month, once more.
    pub fn again(account: Arc<Account>, closed: &ClosedMonth) -> Self {
        let ClosedMonth { month, period, revision, bill, .. } = *closed;
        Self { account, month, period, revision, bill }
    }
}

/// Why a month could not be rated.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unrated {
    #[error("what it comes to is out of range")]
    OutOfRange,
    #[error("this server does not know the account's currency {0}")]
    UnknownCurrency(CurrencyCode),
    #[error("it has more orders on demand than can be read")]
    TooManyOrders,
    /// What the database said of it.
    #[error("its usage could not be read")]
    Unreadable(StoreError),
}

impl From<OutOfRange> for Unrated {
    fn from(_: OutOfRange) -> Self {
        Self::OutOfRange
    }
}

/// The closed month of a period, to be rated again.
pub async fn to_rate_again(
    jobs: &JobContext,
    account: Arc<Account>,
    period: NaiveDate,
) -> Result<Option<ToRate>, StoreError> {
    let conn = jobs.database.connection().await?;
    let closed = closings::closed_of_period(&conn, account.id, period).await?;
    // One that was taken back is closed, whole, once it is over.
    Ok(closed.filter(|closed| !closed.is_taken_back()).map(|closed| ToRate::again(account, &closed)))
}

/// Rates months, each by itself; the answers are in the order of what was asked. It fails only where the database cannot be
/// asked.
pub async fn rate_months(
    jobs: &JobContext,
    wanted: Vec<ToRate>,
) -> Result<Vec<Result<RatedMonth, Unrated>>, StoreError> {
    let mut rated: Vec<Option<Result<RatedMonth, Unrated>>> = wanted.iter().map(|_| None).collect();
    let numbered: Vec<(usize, ToRate)> = wanted.into_iter().enumerate().collect();
    for group in jobs.database.topology().group_of(numbered, |(_, wanted)| wanted.account.id) {
        let (indices, wanted): (Vec<usize>, Vec<ToRate>) = group.into_iter().unzip();
        for (index, month) in indices.into_iter().zip(rate_months_of_place(jobs, wanted).await?) {
            if let Some(slot) = rated.get_mut(index) {
                *slot = Some(month);
            }
        }
    }
    let unread = || Err(Unrated::Unreadable(StoreError::no_answer()));
    Ok(rated.into_iter().map(|month| month.unwrap_or_else(unread)).collect())
}

async fn rate_months_of_place(
    jobs: &JobContext,
    wanted: Vec<ToRate>,
) -> Result<Vec<Result<RatedMonth, Unrated>>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = with_parts_closed(jobs, wanted).await?;
    let mut gathered = begin(jobs, wanted).await?;
    let by_cycle = burst::charged_by_cycle(&*jobs.database.connection().await?).await?;
    for accounts in gathered.chunks_mut(READ_AT_ONCE) {
        read(jobs, accounts).await?;
    }
    // Rating is nothing but computing: not on a thread that others wait for.
    let rating =
        tokio::task::spawn_blocking(move || gathered.iter().map(|month| month.rate(&by_cycle)).collect());
    rating.await.map_err(|error| StoreError::Internal(error.to_string()))
}

/// The same; of months that go on after their accounts were closed within them, with what was billed then.
async fn with_parts_closed(jobs: &JobContext, mut wanted: Vec<ToRate>) -> Result<Vec<ToRate>, StoreError> {
    let first = wanted.iter().filter(|month| month.revision == 0);
    let windows: Vec<(AccountId, Month)> = first.map(|month| (month.account.id, month.month)).collect();
    if windows.is_empty() {
        return Ok(wanted);
    }
    let closed = closings::closed_overlapping(&*jobs.database.connection().await?, &windows).await?;
    for part in closed {
        let goes_on = |month: &&mut ToRate| {
            month.account.id == part.account
                && month.month.start == part.month.start
                && month.month.end > part.month.end
        };
        if let Some(month) = wanted.iter_mut().find(goes_on) {
            (month.revision, month.bill) = (part.revision, part.bill);
        }
    }
    Ok(wanted)
}

/// Reads the usage of months. Where that fails it is tried in halves, so that one account's numbers hold up no other's. It
/// fails only where the database cannot be asked.
async fn read(jobs: &JobContext, months: &mut [Gathered]) -> Result<(), StoreError> {
    let mut parts = vec![months];
    while let Some(part) = parts.pop() {
        let (conn, was_used) = jobs.readers.take(&jobs.database).await?;
        let Err(error) = gather(&conn, part).await else {
            jobs.readers.give_back(conn);
            continue;
        };
        part.iter_mut().for_each(Gathered::forget);
        if was_used {
            parts.push(part);
            continue;
        }
        tracing::warn!(%error, accounts = part.len(), "the usage of a month could not be read at once");
        match (part, error) {
            (_, error) if error.is_of_the_machinery() && !error.is_timeout() => return Err(error),
            ([only], error) => only.failed = Some(Unrated::Unreadable(error)),
            (part, _) => {
                let (first, second) = part.split_at_mut(part.len() / 2);
                parts.extend([first, second]);
            }
        }
    }
    Ok(())
}

/// What a month's rating needs.
struct Gathered {
    wanted: ToRate,
    /// None: this server does not know the account's currency.
    currency: Option<Currency>,
    price_periods: Vec<PricePeriod>,
    summed: BTreeMap<String, (Aggregation, Vec<Option<Decimal>>)>,
    gauges: Vec<GaugeUsage>,
    on_demand: Vec<Order>,
    /// The account's suspensions that are over; read where there are orders on demand.
    suspended: Vec<SuspendedSpan>,
    version: i64,
    resource_type: String,
    failed: Option<Unrated>,
}

/// The accounts' months, cut where their price rules change.
async fn begin(jobs: &JobContext, wanted: Vec<ToRate>) -> Result<Vec<Gathered>, StoreError> {
    let conn = jobs.database.connection().await?;
    let accounts: Vec<i64> = wanted.iter().map(|wanted| wanted.account.id.0).collect();
    let everyone = price_rules::rules_of_everyone(&conn).await?.into_iter().map(Arc::new);
    let everyone: Vec<Arc<PriceRule>> = everyone.collect();
    let mut own: HashMap<AccountId, Vec<Arc<PriceRule>>> = HashMap::new();
    for rule in price_rules::rules_of_accounts(&conn, accounts).await? {
        if let Some(account) = rule.account {
            own.entry(account).or_default().push(Arc::new(rule));
        }
    }
    let begun = wanted.into_iter().map(|wanted| {
        let own = own.get(&wanted.account.id).map_or(&[][..], Vec::as_slice);
        let Month { start, end } = wanted.month;
        let currency = wanted.account.currency;
        Gathered {
            currency: jobs.currencies.get(currency).copied(),
            price_periods: price_periods(own, &everyone, currency, start, end),
            wanted,
            summed: BTreeMap::new(),
            gauges: Vec::new(),
            on_demand: Vec::new(),
            suspended: Vec::new(),
            version: 0,
            resource_type: String::new(),
            failed: None,
        }
    });
    Ok(begun.collect())
}

async fn gather(conn: Conn<'_>, gathered: &mut [Gathered]) -> Result<(), StoreError> {
    let windows: Vec<(AccountId, Month)> =
        gathered.iter().map(|month| (month.wanted.account.id, month.wanted.month)).collect();
    let parts = parts_of(gathered);
    // How many reports there are is read before them: what comes between is seen as a difference later.
    for (place, version) in voided_versions(conn, &windows).await? {
        if let Some(month) = gathered.get_mut(place) {
            month.version = month.version.saturating_add(version);
        }
    }
    let (usage, gauges) = try_join!(parts_usage(conn, &parts), gauge_versions(conn, &windows))?;
    add_usage(gathered, &parts, usage);
    add_gauges(conn, gathered, gauges).await?;
    add_orders(conn, &windows, gathered).await?;
    name_resource_types(conn, gathered).await
}

fn parts_of(gathered: &[Gathered]) -> Vec<PartOfMonth> {
    let parts = gathered.iter().enumerate().flat_map(|(month, gathered)| {
        let account = gathered.wanted.account.id;
        let limits = gathered
            .price_periods
            .iter()
            .map(|price_period| Month { start: price_period.from, end: price_period.to });
        limits.map(move |limits| PartOfMonth { month, account, limits })
    });
    parts.collect()
}

fn add_usage(gathered: &mut [Gathered], parts: &[PartOfMonth], usage: Vec<PartUsage>) {
    // Parts stand in the order of their months: a part's place among its month's own is what follows the first of them.
    let first_of = |month: usize| parts.partition_point(|part| part.month < month);
    for used in usage {
        let Some(month) = parts.get(used.part).map(|part| part.month) else { continue };
        let own_place = used.part.saturating_sub(first_of(month));
        let Some(gathered) = gathered.get_mut(month) else { continue };
        gathered.version = gathered.version.saturating_add(used.version);
        let empty = || (used.aggregation, vec![None; gathered.price_periods.len()]);
        let (_, of_parts) = gathered.summed.entry(used.resource).or_insert_with(empty);
        if let Some(quantity) = of_parts.get_mut(own_place) {
            *quantity = Some(used.quantity);
        }
    }
}

async fn add_gauges(
    conn: Conn<'_>,
    gathered: &mut [Gathered],
    versions: Vec<(usize, i64)>,
) -> Result<(), StoreError> {
    if versions.is_empty() {
        return Ok(());
    }
    let mut places = Vec::with_capacity(versions.len());
    let mut windows = Vec::with_capacity(versions.len());
    for (place, version) in versions {
        let Some(month) = gathered.get_mut(place) else { continue };
        month.version = month.version.saturating_add(version);
        places.push(place);
        windows.push((month.wanted.account.id, month.wanted.month));
    }
    let kinds = gauge_kinds(conn).await?;
    for (at, gauges) in gauges_usage(conn, &windows, &kinds).await? {
        if let Some(month) = places.get(at).and_then(|place| gathered.get_mut(*place)) {
            month.gauges = gauges;
        }
    }
    Ok(())
}

async fn add_orders(
    conn: Conn<'_>,
    windows: &[(AccountId, Month)],
    gathered: &mut [Gathered],
) -> Result<(), StoreError> {
    let places: HashMap<AccountId, Vec<usize>> =
        gathered.iter().enumerate().fold(HashMap::new(), |mut places, (place, month)| {
            places.entry(month.wanted.account.id).or_insert_with(Vec::new).push(place);
            places
        });
    let mut orders = orders::orders_on_demand(conn, windows).await?;
    // An account of which several months are rated comes several times.
    orders.dedup_by_key(|order| order.id);
    for order in orders {
        for place in places.get(&order.account()).into_iter().flatten() {
            if let Some(month) = gathered.get_mut(*place) {
                month.on_demand.push(order.clone());
            }
        }
    }
    add_suspensions(conn, gathered).await?;
    for month in gathered.iter_mut() {
        if i64::try_from(month.on_demand.len()).is_ok_and(|orders| orders >= orders::ON_DEMAND_MAX) {
            month.failed = Some(Unrated::TooManyOrders);
        }
    }
    Ok(())
}

/// When the accounts of orders on demand were suspended.
async fn add_suspensions(conn: Conn<'_>, gathered: &mut [Gathered]) -> Result<(), StoreError> {
    let with_orders = gathered.iter().filter(|month| !month.on_demand.is_empty());
    let windows: Vec<(AccountId, Month)> =
        with_orders.map(|month| (month.wanted.account.id, month.wanted.month)).collect();
    if windows.is_empty() {
        return Ok(());
    }
    let mut spans: HashMap<AccountId, Vec<SuspendedSpan>> = HashMap::new();
    for span in suspensions::spans_overlapping(conn, &windows).await? {
        spans.entry(span.account).or_default().push(span);
    }
    for month in gathered.iter_mut() {
        month.suspended = spans.get(&month.wanted.account.id).cloned().unwrap_or_default();
    }
    Ok(())
}

/// A record of usage is of the kind of product that its resources are of; of several, of the first one's.
async fn name_resource_types(conn: Conn<'_>, gathered: &mut [Gathered]) -> Result<(), StoreError> {
    let mut codes: Vec<String> = gathered.iter().flat_map(Gathered::resources).map(str::to_owned).collect();
    codes.sort_unstable();
    codes.dedup();
    if codes.is_empty() {
        return Ok(());
    }
    let known = plans::resource_by_codes(conn, codes).await?;
    let known: HashMap<&str, &Resource> =
        known.iter().map(|resource| (resource.code.as_str(), resource)).collect();
    for month in gathered {
        let first = month.resources().min().and_then(|code| known.get(code));
        month.resource_type = first.map(|resource| resource.resource_type.clone()).unwrap_or_default();
    }
    Ok(())
}

impl Gathered {
    fn resources(&self) -> impl Iterator<Item = &str> {
        self.summed.keys().map(String::as_str).chain(self.gauges.iter().map(|gauge| gauge.resource.as_str()))
    }

    /// As it was before its usage was read.
    fn forget(&mut self) {
        self.summed.clear();
        self.gauges.clear();
        self.on_demand.clear();
        self.suspended.clear();
        self.version = 0;
    }

    fn rate(&self, by_cycle: &HashSet<String>) -> Result<RatedMonth, Unrated> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let currency = self.currency.ok_or(Unrated::UnknownCurrency(self.wanted.account.currency))?;
        let ToRate { month, period, revision, bill, .. } = self.wanted;
        let closed_at = self.wanted.account.closed_at;
        let standstill = Standstill::of(&self.wanted.account, self.suspended.iter().copied());
        let mut on_demand = Vec::new();
        for order in &self.on_demand {
            on_demand.extend(rate_on_demand(order, month, &standstill, &currency)?);
        }
        // Nothing is charged to an account that was closed before.
        let is_charged = closed_at.is_none_or(|closed| month.start < closed);
        let usage = self.usage(by_cycle);
        let usage = if is_charged { rate_usage(&self.price_periods, &usage, &currency)? } else { None };
        let silent = self.gauges.iter().filter(|gauge| gauge.silent > 0);
        Ok(RatedMonth {
            month,
            period,
            bill,
            revision,
            usage_version: self.version,
            resource_type: self.resource_type.clone(),
            usage,
            on_demand,
            silent: silent.map(|gauge| (gauge.resource.clone(), gauge.silent)).collect(),
        })
    }

    /// What is rated: gauges that are charged for by the cycle only where a rule has a tariff for them.
    fn usage(&self, by_cycle: &HashSet<String>) -> Vec<Usage> {
        let summed = self.summed.iter().map(|(resource, (aggregation, parts))| Usage {
            resource: resource.clone(),
            quantity: match aggregation {
                Aggregation::Max => {
                    Quantity::Whole(parts.iter().flatten().copied().max().unwrap_or_default())
                }
                _ => Quantity::Summed(parts.iter().map(|part| part.unwrap_or_default()).collect()),
            },
        });
        let gauges = self.gauges.iter().map(|gauge| Usage {
            resource: gauge.resource.clone(),
            quantity: Quantity::Whole(gauge.quantity),
        });
        let is_rated = |used: &Usage| {
            let has_tariff = |price_period: &PricePeriod| price_period.has_tariff(&used.resource);
            !by_cycle.contains(&used.resource) || self.price_periods.iter().any(has_tariff)
        };
        let mut usage: Vec<Usage> = summed.chain(gauges).filter(is_rated).collect();
        usage.sort_by(|one, other| one.resource.cmp(&other.resource));
        usage
    }
}
