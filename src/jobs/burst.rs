//! Burst is charged: every 5 minutes, what accounts use beyond their subscriptions.
//!
//! A cycle is run once it is over: accounts are read page by page, without locks, and what each is to be charged is sent to
//! the engine, which charges all of an account's resources or none, and each cycle of an account once, in order. What all
//! accounts use makes the levels of the cycle after next. Cycles that were missed are run one after the other as if they had
//! not been; those that no gauge reaches into are passed over together. docs/adr/0013 tells why.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::join_all;
use rust_decimal::Decimal;
use tokio::sync::Mutex;

use super::submit::submit;
use super::{JobContext, LeaseGuard, Runs};
use crate::domain::burst::{Bursting, Cycle, CycleCharge, Uncharged, charge_account};
use crate::domain::capacity::Prices;
use crate::domain::cell::CellNumber;
use crate::domain::decide::{Action, ChargeBurst, RaiseNotice};
use crate::domain::ids::AccountId;
use crate::domain::job::{JobKind, JobOutcome};
use crate::domain::notice::NoticeKind;
use crate::store::burst::{self, Backlog, Chargeable, DeferredCycle, NewLevel, Payer, ResourceAmount};
use crate::store::cells::{burst_used, catalogue};
use crate::store::database::{OwnConnection, Writing};
use crate::store::error::StoreError;

/// Accounts of one page.
const PAGE: i64 = 512;
/// Pages that are under way at once: while one is written, another is read.
const WORKERS: usize = 3;
/// Levels hold from the cycle after next on: computed at a cycle's end, they are known for a whole cycle beforehand.
const PUBLISHED_AHEAD: i32 = 2;

/// Runs every cycle that is over and has not been run, in order, and makes up what is owed of others as far as that can be done.
/// A cycle that comes to be over meanwhile goes first.
pub async fn burst_pass(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    let mut making_up = None;
    while guard.renew(jobs).await? {
        if let Some(due) = next_due(jobs).await? {
            if !run_due(jobs, &due, guard, &mut runs).await? {
                break;
            }
            making_up = Some(MakingUp::after(AccountId(0)));
            continue;
        }
        match making_up.take() {
            Some(place) => making_up = make_up(jobs, place).await?,
            None => break,
        }
    }
    Ok(runs)
}

/// Runs what is due; false if it was not run to its end.
async fn run_due(
    jobs: &JobContext,
    due: &Due,
    guard: &LeaseGuard<'_>,
    runs: &mut Runs,
) -> Result<bool, StoreError> {
    if let Some(cycle) = due.cycle {
        match run_cycle(jobs, cycle, guard).await {
            Ok(()) => runs.count(JobOutcome { kind: JobKind::BurstCycle, succeeded: true }),
            Err(Halt::Stopped) => return Ok(false),
            Err(Halt::Failed(error)) => return Err(error),
        }
    }
    // Whoever holds the lease by now is not passed.
    if !guard.renew(jobs).await? {
        return Ok(false);
    }
    burst::progress(&*jobs.database.connection().await?, jobs.clock.held_by(), due.next).await?;
    let behind = Cycle::of(jobs.clock.now()).number().saturating_sub(due.next.number());
    metrics::gauge!("abacus_burst_cycles_behind").set(f64::from(behind));
    Ok(true)
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
    prices: Prices,
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

async fn run_cycle(jobs: &JobContext, cycle: Cycle, guard: &LeaseGuard<'_>) -> Result<(), Halt> {
    let begin = Instant::now();
    let running = Running::begin(jobs, cycle).await?;
    // Where the pages have come to.
    let after = Mutex::new(AccountId(0));
    let workers = join_all((0..WORKERS).map(|_| work(jobs, &running, guard, &after))).await;
    let mut used = Used::new();
    for worker in workers {
        add_up(&mut used, each(&worker?));
    }
    if jobs.cell == CellNumber::HOME {
        publish_levels(jobs, cycle, used).await?;
    } else {
        tell_used(jobs, &running, &used).await?;
    }
    metrics::gauge!("abacus_burst_cycle_seconds").set(begin.elapsed().as_secs_f64());
    Ok(())
}

/// What all accounts use, by resource.
type Used = HashMap<String, Decimal>;

fn add_up<'r>(total: &mut Used, more: impl Iterator<Item = (&'r str, Decimal)>) {
    for (resource, used) in more {
        match total.get_mut(resource) {
            Some(sum) => *sum = sum.saturating_add(used),
            None => drop(total.insert(resource.to_owned(), used)),
        }
    }
}

fn each(used: &Used) -> impl Iterator<Item = (&str, Decimal)> {
    used.iter().map(|(resource, used)| (resource.as_str(), *used))
}

/// Takes pages until there are no more; answers what their accounts use.
async fn work(
    jobs: &JobContext,
    running: &Running,
    guard: &LeaseGuard<'_>,
    after: &Mutex<AccountId>,
) -> Result<Used, Halt> {
    let mut used = Used::new();
    loop {
        let mut place = after.lock().await;
        if !guard.renew(jobs).await? {
            return Err(Halt::Stopped);
        }
        let mut page = burst::accounts_after(&*jobs.database.connection().await?, *place, PAGE).await?;
        let Some(last) = page.last() else { return Ok(used) };
        *place = last.payer.id;
        page.retain(|account| jobs.is_of(account.payer.id));
        drop(place);
        for page in jobs.database.topology().group_of(page, |account| account.payer.id) {
            add_up(&mut used, each(&charge_page(jobs, running, page).await?));
        }
    }
}

/// Says what the accounts of a cell use, all of what is charged for: levels are those of all cells together.
async fn tell_used(jobs: &JobContext, running: &Running, used: &Used) -> Result<(), StoreError> {
    let of = |resource: String| {
        let used = used.get(&resource).copied().unwrap_or_default();
        (resource, used)
    };
    let told: Vec<(String, Decimal)> = running.resources().into_iter().map(of).collect();
    burst_used::used_tell(&*jobs.database.connection().await?, running.cycle, &told).await
}

/// What the accounts of other cells use, as far as those have come.
async fn used_elsewhere(jobs: &JobContext, cycle: Cycle, used: &mut Used) -> Result<(), StoreError> {
    for cell in jobs.cells.others() {
        let there = burst_used::used_last(&*cell.database.connection().await?, cycle).await?;
        add_up(used, there.iter().map(|(resource, used)| (resource.as_str(), *used)));
    }
    Ok(())
}

async fn publish_levels(jobs: &JobContext, cycle: Cycle, mut used: Used) -> Result<(), StoreError> {
    if let Err(error) = used_elsewhere(jobs, cycle, &mut used).await {
        tracing::warn!(%error, "burst levels stay as they are: what is used in all cells is not known");
        return Ok(());
    }
    let conn = jobs.database.connection().await?;
    let from = cycle.plus(PUBLISHED_AHEAD);
    let known = burst::bursting(&conn, from).await?;
    let mut changed = Vec::new();
    for capacity in burst::capacities_at(&conn, cycle.end()).await? {
        let used = used.get(&capacity.resource).copied().unwrap_or_default();
        let level = capacity.level_at(used);
        let before = known.iter().find(|one| one.resource == capacity.resource);
        if before.is_some_and(|before| before.level != level) {
            tracing::info!(resource = capacity.resource, level, %used, "a burst level changes");
            changed.push(NewLevel { resource: capacity.resource, level, used });
        }
    }
    if changed.is_empty() || !jobs.cells.are_several() {
        return burst::levels_publish(&conn, from, &changed).await;
    }
    drop(conn);
    catalogue::write_everywhere(&jobs.cells, move |conn| publish_in(conn, from, changed)).await
}

fn publish_in(conn: &mut OwnConnection, from: Cycle, changed: Vec<NewLevel>) -> Writing<'_, ()> {
    async move { burst::levels_publish(conn, from, &changed).await }.boxed()
}

/// Charges the accounts of a page for what they use; answers what all of them use.
async fn charge_page(
    jobs: &JobContext,
    running: &Running,
    page: Vec<Chargeable>,
) -> Result<Used, StoreError> {
    let used = read_used(jobs, running, &page).await?;
    let mut total = Used::new();
    add_up(&mut total, used.iter().map(|held| (held.resource.as_str(), held.amount)));
    let mut amounts = beyond_subscriptions(jobs, running, used).await?;
    let is_to_be_charged =
        |account: &Chargeable| account.charged.is_none_or(|charged| charged < running.cycle);
    let (mut charging, mut deferred) = (Vec::new(), Vec::new());
    for Chargeable { payer, has_backlog, .. } in page.into_iter().filter(is_to_be_charged) {
        let Some(beyond) = amounts.remove(&payer.id) else { continue };
        if has_backlog {
            deferred.push(DeferredCycle { account: payer.id, cycle: running.cycle, beyond });
        } else {
            charging.push((payer, beyond));
        }
    }
    burst::backlog_add(&*jobs.database.connection().await?, &deferred).await?;
    let charges = charging.into_iter().map(|(payer, beyond)| async move {
        match charge_beyond(jobs, running, &payer, &beyond).await? {
            Ok(()) => Ok(()),
            Err(why) => {
                defer(jobs, DeferredCycle { account: payer.id, cycle: running.cycle, beyond }, &why).await
            }
        }
    });
    join_all(charges).await.into_iter().collect::<Result<(), StoreError>>()?;
    Ok(total)
}

async fn read_used(
    jobs: &JobContext,
    running: &Running,
    accounts: &[Chargeable],
) -> Result<Vec<ResourceAmount>, StoreError> {
    if running.bursting.is_empty() {
        return Ok(Vec::new());
    }
    let numbers = accounts.iter().map(|account| account.payer.id.0).collect();
    let conn = jobs.database.connection().await?;
    burst::used_in_slot(&conn, numbers, running.resources(), running.cycle.start()).await
}

/// What an account uses beyond what it has, by resource.
type Beyond = Vec<(String, Decimal)>;

/// Charges an account for a cycle; says why it cannot be charged. It fails where that cannot be known now.
async fn charge_beyond(
    jobs: &JobContext,
    running: &Running,
    payer: &Payer,
    beyond: &Beyond,
) -> Result<Result<(), String>, StoreError> {
    let charged = match charge_of(jobs, running, payer, beyond) {
        Ok(Some(charged)) => charged,
        Ok(None) => return Ok(Ok(())),
        Err(why) => return Ok(Err(why.to_string())),
    };
    match submit(jobs, payer.id, Action::ChargeBurst(ChargeBurst(charged.into()))).await {
        Ok(_) => Ok(Ok(())),
        // The cycle is begun anew.
        Err(error) if error.is_of_the_moment() => Err(StoreError::Unavailable(error.to_string())),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn charge_of(
    jobs: &JobContext,
    running: &Running,
    payer: &Payer,
    beyond: &Beyond,
) -> Result<Option<CycleCharge>, Uncharged> {
    let currency = jobs.currencies.get(payer.currency).ok_or(Uncharged::UnknownCurrency(payer.currency))?;
    let of = |(resource, amount): &(String, Decimal)| {
        let bursting = running.bursting.iter().find(|one| one.resource == *resource)?;
        Some((bursting, *amount))
    };
    let beyond: Vec<(&Bursting, Decimal)> = beyond.iter().filter_map(of).collect();
    charge_account(running.cycle, &beyond, payer.closed_at, currency, &running.prices)
}

/// What accounts use beyond what they have.
async fn beyond_subscriptions(
    jobs: &JobContext,
    running: &Running,
    used: Vec<ResourceAmount>,
) -> Result<HashMap<AccountId, Beyond>, StoreError> {
    let mut beyond: HashMap<AccountId, Beyond> = HashMap::new();
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
    for ResourceAmount { account, resource, amount } in used {
        let key = (account, resource);
        let amount = amount.saturating_sub(subscribed.get(&key).copied().unwrap_or_default());
        if amount > Decimal::ZERO {
            beyond.entry(account).or_default().push((key.1, amount));
        }
    }
    Ok(beyond)
}

/// Keeps what could not be charged, to be made up, and tells the operators the first time.
async fn defer(jobs: &JobContext, deferred: DeferredCycle, why: &str) -> Result<(), StoreError> {
    let (account, cycle) = (deferred.account, deferred.cycle);
    burst::backlog_add(&*jobs.database.connection().await?, &[deferred]).await?;
    metrics::counter!("abacus_burst_held_total").increment(1);
    tracing::error!(%account, cycle = cycle.number(), why, "burst could not be charged; it is made up");
    let message = format!(
        "Burst could not be charged from cycle {} ({} UTC) on: {why}. It is made up.",
        cycle.number(),
        cycle.start().format("%Y-%m-%d %H:%M"),
    );
    let notice = RaiseNotice::about_account(NoticeKind::UnpricedUsage, message);
    if let Err(error) = submit(jobs, account, Action::RaiseNotice(notice)).await {
        tracing::error!(%account, %error, "nor could that be told");
    }
    Ok(())
}

/// How far making up has come.
struct MakingUp {
    /// The accounts up to this one have nothing left that can be charged.
    after: AccountId,
    /// The last of the page that is being worked on.
    until: Option<AccountId>,
    /// Those of the page that cannot be charged.
    blocked: Vec<i64>,
}

impl MakingUp {
    fn after(after: AccountId) -> Self {
        Self { after, until: None, blocked: Vec::new() }
    }
}

/// Charges accounts of one page for the earliest cycle that each owes; answers where to go on, if there is more to be done.
async fn make_up(jobs: &JobContext, place: MakingUp) -> Result<Option<MakingUp>, StoreError> {
    let conn = jobs.database.connection().await?;
    let mut backlog =
        burst::backlog_first(&conn, (place.after, place.until), place.blocked.clone(), PAGE).await?;
    drop(conn);
    let of_others = backlog.iter().map(|first| first.payer.id).filter(|account| !jobs.is_of(*account));
    let mut blocked: Vec<i64> =
        place.blocked.iter().copied().chain(of_others.map(|account| account.0)).collect();
    let Some(last) = backlog.last().map(|first| first.payer.id) else {
        // Nothing is left of the page, or of all.
        return Ok(place.until.map(MakingUp::after));
    };
    backlog.retain(|first| jobs.is_of(first.payer.id));
    let mut cycles: HashMap<Cycle, Running> = HashMap::new();
    for Backlog { deferred, .. } in &backlog {
        if let Entry::Vacant(place) = cycles.entry(deferred.cycle) {
            place.insert(Running::begin(jobs, deferred.cycle).await?);
        }
    }
    let charging = backlog.iter().filter_map(|Backlog { payer, deferred }| {
        let running = cycles.get(&deferred.cycle)?;
        Some(async move {
            let charged = charge_beyond(jobs, running, payer, &deferred.beyond).await;
            (deferred, charged)
        })
    });
    let mut done = Vec::new();
    for (deferred, charged) in join_all(charging).await {
        match charged? {
            Ok(()) => done.push((deferred.account, deferred.cycle)),
            Err(_) => blocked.push(deferred.account.0),
        }
    }
    for done in jobs.database.topology().group(done) {
        burst::backlog_done(&*jobs.database.connection().await?, &done).await?;
    }
    Ok(Some(MakingUp { after: place.after, until: place.until.or(Some(last)), blocked }))
}
