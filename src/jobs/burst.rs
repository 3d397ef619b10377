//! Burst is charged: every 5 minutes, what accounts use beyond their subscriptions.
//!
//! A cycle is run once it is over: accounts are read page by page, without locks, and what each is to be charged is sent to
//! the engine, which charges all of an account's resources or none, and each cycle of an account once, in order. What all
//! accounts use makes the levels of the cycle after next. Cycles that were missed are run one after the other as if they had
//! not been; those that no gauge reaches into are passed over together. docs/adr/0013 tells why.

use std::collections::HashMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use rust_decimal::Decimal;
use tokio::sync::Mutex;

use super::submit::submit;
use super::{JobContext, Permit, Runs};
use crate::domain::burst::{Bursting, Cycle, CycleCharge, Price, Uncharged, charge_account};
use crate::domain::capacity::ResourcePrice;
use crate::domain::command::{Action, BurstHeld, JobDone, JobKind};
use crate::domain::ids::AccountId;
use crate::engine::EngineError;
use crate::store::burst::{self, Chargeable, Held, NewLevel};
use crate::store::error::StoreError;

/// Accounts of one page.
const PAGE: i64 = 512;
/// Pages that are under way at once: while one is written, another is read.
const WORKERS: usize = 3;
/// Levels hold from the cycle after next on: computed at a cycle's end, they are known for a whole cycle beforehand.
const PUBLISHED_AHEAD: i32 = 2;

/// Runs every cycle that is over and has not been run, in order, and makes up what was held.
pub async fn burst_pass(jobs: &JobContext, permit: &Permit<'_>) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    let mut has_moved = false;
    while permit.goes_on(jobs).await? {
        let Some(due) = next_due(jobs).await? else { break };
        if let Some(cycle) = due.cycle {
            match run_cycle(jobs, cycle, permit).await {
                Ok(()) => runs.count(JobDone { kind: JobKind::BurstCycle, succeeded: true }),
                Err(Halt::Stopped) => break,
                Err(Halt::Failed(error)) => return Err(error),
            }
        }
        burst::progress(&*jobs.database.connection().await?, due.next).await?;
        let behind = Cycle::of(jobs.clock.now()).number().saturating_sub(due.next.number());
        metrics::gauge!("abacus_burst_cycles_behind").set(f64::from(behind));
        has_moved = true;
    }
    if has_moved {
        make_up(jobs, permit).await?;
    }
    Ok(runs)
}

/// When the next cycle that a gauge reaches into is over, after `seen`; cycles without burst are no reason to stop.
pub async fn next_end(jobs: &JobContext, seen: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
    let conn = jobs.database.connection().await?;
    let Some(next) = burst::next_cycle(&conn).await? else { return Ok(None) };
    let active = burst::next_active(&conn, next.max(Cycle::of(seen))).await?;
    Ok(active.map(Cycle::end).filter(|end| *end > seen))
}

/// What is to be done next.
struct Due {
    /// The cycle to be run; None: none of those before `next` has any burst.
    cycle: Option<Cycle>,
    /// The first cycle that is not done then.
    next: Cycle,
}

async fn next_due(jobs: &JobContext) -> Result<Option<Due>, StoreError> {
    let conn = jobs.database.connection().await?;
    let running = Cycle::of(jobs.clock.now());
    let Some(next) = burst::next_cycle(&conn).await?.filter(|next| *next < running) else {
        return Ok(None);
    };
    let active = burst::next_active(&conn, next).await?.filter(|cycle| *cycle < running);
    Ok(Some(match active {
        Some(cycle) => Due { cycle: Some(cycle), next: cycle.plus(1) },
        None => Due { cycle: None, next: running },
    }))
}

/// Why a cycle was not run to its end. It is begun anew: who was charged is not charged again.
enum Halt {
    /// Another has taken over, or the server stops.
    Stopped,
    Failed(StoreError),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// A cycle with what everyone is charged by.
struct Running {
    cycle: Cycle,
    bursting: Vec<Bursting>,
    prices: HashMap<Price, ResourcePrice>,
}

impl Running {
    async fn begin(jobs: &JobContext, cycle: Cycle) -> Result<Self, StoreError> {
        let conn = jobs.database.connection().await?;
        let bursting = burst::bursting(&conn, cycle).await?;
        let prices = burst::prices_of(&conn, &bursting, &jobs.currencies, cycle.start()).await?;
        Ok(Self { cycle, bursting, prices })
    }

    fn resources(&self) -> Vec<String> {
        self.bursting.iter().map(|bursting| bursting.resource.clone()).collect()
    }
}

async fn run_cycle(jobs: &JobContext, cycle: Cycle, permit: &Permit<'_>) -> Result<(), Halt> {
    let begin = Instant::now();
    let running = Running::begin(jobs, cycle).await?;
    // Where the pages have come to.
    let after = Mutex::new(AccountId(0));
    let workers = join_all((0..WORKERS).map(|_| work(jobs, &running, permit, &after))).await;
    let mut used = Used::new();
    for worker in workers {
        add_up(&mut used, worker?);
    }
    publish_levels(jobs, cycle, &used).await?;
    metrics::gauge!("abacus_burst_cycle_seconds").set(begin.elapsed().as_secs_f64());
    Ok(())
}

/// What all accounts use, by resource.
type Used = HashMap<String, Decimal>;

fn add_up(total: &mut Used, more: Used) {
    for (resource, used) in more {
        let sum = total.entry(resource).or_default();
        *sum = sum.saturating_add(used);
    }
}

/// Takes pages until there are no more; answers what their accounts use.
async fn work(
    jobs: &JobContext,
    running: &Running,
    permit: &Permit<'_>,
    after: &Mutex<AccountId>,
) -> Result<Used, Halt> {
    let mut used = Used::new();
    loop {
        let mut place = after.lock().await;
        if !permit.goes_on(jobs).await? {
            return Err(Halt::Stopped);
        }
        let page = burst::accounts_after(&*jobs.database.connection().await?, *place, PAGE).await?;
        let Some(last) = page.last() else { return Ok(used) };
        *place = last.id;
        drop(place);
        add_up(&mut used, charge_page(jobs, running, page).await?);
    }
}

async fn publish_levels(jobs: &JobContext, cycle: Cycle, used: &Used) -> Result<(), StoreError> {
    let conn = jobs.database.connection().await?;
    let from = cycle.plus(PUBLISHED_AHEAD);
    let known = burst::bursting(&conn, from).await?;
    let mut changed = Vec::new();
    for capacity in burst::capacities_at(&conn, cycle.end()).await? {
        let used = used.get(&capacity.resource).copied().unwrap_or_default();
        let level = capacity.level_at(used);
        let is_known = |one: &Bursting| one.resource == capacity.resource && one.level == level;
        if !known.iter().any(is_known) {
            tracing::info!(resource = capacity.resource, level, %used, "a burst level changes");
            changed.push(NewLevel { resource: capacity.resource, level, used });
        }
    }
    burst::levels_publish(&conn, from, &changed).await
}

/// Charges the accounts of a page for what they use; answers what all of them use.
async fn charge_page(
    jobs: &JobContext,
    running: &Running,
    page: Vec<Chargeable>,
) -> Result<Used, StoreError> {
    let used = read_used(jobs, running, &page).await?;
    let mut total = Used::new();
    for held in &used {
        add_up(&mut total, Used::from([(held.resource.clone(), held.amount)]));
    }
    let is_to_be_charged = |account: &Chargeable| {
        !account.is_held && account.charged.is_none_or(|charged| charged < running.cycle)
    };
    let accounts = page.into_iter().filter(is_to_be_charged).collect();
    charge_accounts(jobs, running, accounts, used).await?;
    Ok(total)
}

async fn read_used(
    jobs: &JobContext,
    running: &Running,
    accounts: &[Chargeable],
) -> Result<Vec<Held>, StoreError> {
    if running.bursting.is_empty() {
        return Ok(Vec::new());
    }
    let numbers = accounts.iter().map(|account| account.id.0).collect();
    let conn = jobs.database.connection().await?;
    burst::used_in_slot(&conn, numbers, running.resources(), running.cycle.start()).await
}

/// Charges accounts for a cycle; answers those that were charged, or have nothing to be charged for. The others are held.
async fn charge_accounts(
    jobs: &JobContext,
    running: &Running,
    accounts: Vec<Chargeable>,
    used: Vec<Held>,
) -> Result<Vec<AccountId>, StoreError> {
    let mut amounts = beyond_subscriptions(jobs, running, used).await?;
    let charging = accounts.into_iter().map(|account| {
        let beyond = amounts.remove(&account.id).unwrap_or_default();
        let charged = charged_by(jobs, running, &account, &beyond);
        async move {
            match charged {
                Ok(None) => Ok(Some(account.id)),
                Ok(Some(charged)) => charge(jobs, account.id, charged).await,
                Err(why) => hold(jobs, account.id, running.cycle, &why.to_string()).await.map(|()| None),
            }
        }
    });
    let done: Result<Vec<Option<AccountId>>, StoreError> = join_all(charging).await.into_iter().collect();
    Ok(done?.into_iter().flatten().collect())
}

fn charged_by(
    jobs: &JobContext,
    running: &Running,
    account: &Chargeable,
    beyond: &[(usize, Decimal)],
) -> Result<Option<CycleCharge>, Uncharged> {
    if beyond.is_empty() {
        return Ok(None);
    }
    let currency =
        jobs.currencies.get(account.currency).ok_or(Uncharged::UnknownCurrency(account.currency))?;
    let of = |(place, amount): &(usize, Decimal)| Some((running.bursting.get(*place)?, *amount));
    let beyond: Vec<(&Bursting, Decimal)> = beyond.iter().filter_map(of).collect();
    charge_account(running.cycle, &beyond, account.closed_at, currency, &running.prices)
}

/// What accounts use beyond what they have, by the place of the resource among those that are charged for.
async fn beyond_subscriptions(
    jobs: &JobContext,
    running: &Running,
    used: Vec<Held>,
) -> Result<HashMap<AccountId, Vec<(usize, Decimal)>>, StoreError> {
    let mut beyond: HashMap<AccountId, Vec<(usize, Decimal)>> = HashMap::new();
    if used.is_empty() {
        return Ok(beyond);
    }
    let mut numbers: Vec<i64> = used.iter().map(|held| held.account.0).collect();
    numbers.dedup();
    let conn = jobs.database.connection().await?;
    let subscribed =
        burst::subscribed_until(&conn, numbers, running.resources(), running.cycle.end()).await?;
    drop(conn);
    let subscribed: HashMap<(AccountId, String), Decimal> =
        subscribed.into_iter().map(|held| ((held.account, held.resource), held.amount)).collect();
    for Held { account, resource, amount } in used {
        let Some(place) = running.bursting.iter().position(|one| one.resource == resource) else { continue };
        let covered = subscribed.get(&(account, resource)).copied().unwrap_or_default();
        let amount = amount.saturating_sub(covered);
        if amount > Decimal::ZERO {
            beyond.entry(account).or_default().push((place, amount));
        }
    }
    Ok(beyond)
}

/// Has the engine charge an account; None: it cannot take that, and the account is held.
async fn charge(
    jobs: &JobContext,
    account: AccountId,
    charged: CycleCharge,
) -> Result<Option<AccountId>, StoreError> {
    let cycle = charged.cycle;
    match submit(jobs, account, Action::ChargeBurst(charged.into())).await {
        Ok(_) => Ok(Some(account)),
        // The cycle is begun anew.
        Err(error @ (EngineError::Overloaded | EngineError::Unavailable(_))) => {
            Err(StoreError::Unavailable(error.to_string()))
        }
        Err(error) => hold(jobs, account, cycle, &error.to_string()).await.map(|()| None),
    }
}

/// Keeps that an account's burst is to be made up from a cycle on, and tells the operators the first time.
async fn hold(jobs: &JobContext, account: AccountId, cycle: Cycle, why: &str) -> Result<(), StoreError> {
    let conn = jobs.database.connection().await?;
    let is_new = burst::hold(&conn, account, cycle, why).await?;
    drop(conn);
    if !is_new {
        return Ok(());
    }
    metrics::counter!("abacus_burst_held_total").increment(1);
    tracing::error!(%account, cycle = cycle.number(), why, "burst could not be charged; it is made up");
    let held = BurstHeld { cycle, message: why.to_owned() };
    if let Err(error) = submit(jobs, account, Action::TellBurstHeld(held)).await {
        tracing::error!(%account, %error, "nor could that be told");
    }
    Ok(())
}

/// Charges accounts that are held for the cycles that they were held at, each in order, as far as that can be done by now.
async fn make_up(jobs: &JobContext, permit: &Permit<'_>) -> Result<(), StoreError> {
    let conn = jobs.database.connection().await?;
    let Some(next) = burst::next_cycle(&conn).await? else { return Ok(()) };
    drop(conn);
    let last = next.plus(-1);
    let mut after = (Cycle::numbered(0), AccountId(0));
    while permit.goes_on(jobs).await? {
        let conn = jobs.database.connection().await?;
        let Some((cycle, accounts)) = burst::held_after(&conn, after, last, PAGE).await? else { break };
        drop(conn);
        let Some(last_of_page) = accounts.last().map(|account| account.id) else { break };
        after = (cycle, last_of_page);
        let running = Running::begin(jobs, cycle).await?;
        let used = read_used(jobs, &running, &accounts).await?;
        let done = charge_accounts(jobs, &running, accounts, used).await?;
        let conn = jobs.database.connection().await?;
        let follows = burst::next_active(&conn, cycle.plus(1)).await?.filter(|next| *next <= last);
        burst::held_move(&conn, done.into_iter().map(|account| account.0).collect(), follows).await?;
    }
    Ok(())
}
