//! Two servers of one database whose commits are late, whose lines are black holes, that stand still, are killed and have a
//! wrong time, while clients pay and ask again: what was answered as refused is never done, what was acknowledged is never lost.
//!
//! What an answer means is what docs/adr/0003 says. OVERLOADED and UNAVAILABLE: this request has done nothing, nor will it. A
//! userError: neither this request nor one with its key that arrived before is carried out after. All else, and no answer: it is
//! not known. What lies in the socket of a server that stands still has not arrived.

use std::collections::HashSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use abacus::clock::wall;
use abacus::domain::viewer::Role;
use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::Client;
use crate::support::cluster::{self, connect};
use crate::support::load::{Deed, Dice, Done, Load, Told, post, told};
use crate::support::process::{Folder, command, eventually, signal};
use crate::support::proxy::{CommitCut, Proxy, Way};
use crate::support::sequences::in_full;
use crate::support::server::{SECRET, token};

const CLIENTS: usize = 16;
const ACCOUNTS: usize = 8;
const OPENING: &str = "100.00";
const FORTY_DAYS: i64 = 40 * 24 * 60 * 60;
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// Longer than a server takes to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(80);

/// Where a server is, and how it is with it.
#[derive(Debug, Clone, Default)]
struct Place {
    address: String,
    has_wrong_clock: bool,
    is_still: bool,
    /// How often it was made to stand still.
    stops: usize,
}

/// A server with its own way to the database.
struct Side {
    proxy: Proxy,
    /// Ends what still runs when this process does.
    folder: Folder,
    child: Child,
    place: watch::Sender<Place>,
}

/// Starts a server on a given database, whose machine is so many seconds ahead, and answers where it listens.
async fn serve(folder: &Folder, database_url: &str, ahead: i64) -> (Child, String) {
    let mut child = command(&["serve", "--listen", "127.0.0.1:0", "--log-json"])
        .env("DATABASE_URL", database_url)
        .env("ABACUS_JWT_SECRET", std::str::from_utf8(SECRET).unwrap())
        .env("RUST_LOG", "info")
        .env("FAILPOINTS", format!("clock-ahead=return({ahead})"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the server starts");
    std::fs::write(folder.path.join("server.pid"), child.id().unwrap().to_string()).unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let listening = async {
        let mut last = None;
        while let Some(line) = lines.next_line().await.unwrap() {
            let said: Value = serde_json::from_str(&line).unwrap_or_default();
            if said["fields"]["message"] == "listening" {
                return said["fields"]["address"].as_str().unwrap().to_owned();
            }
            last = Some(line);
        }
        panic!("the server does not start: {last:?}")
    };
    let address = timeout(START_TIME_MAX, listening).await.expect("the server starts");
    // Whoever logs must not wait for a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}

fn operator_token() -> String {
    token(Role::Operator, None, 2 * FORTY_DAYS)
}

impl Side {
    async fn begin(database_url: &str) -> Self {
        let (proxy, folder) = (Proxy::before(database_url).await, Folder::new());
        let (child, address) = serve(&folder, &proxy.url, 0).await;
        let place = watch::Sender::new(Place { address, ..Place::default() });
        Self { proxy, folder, child, place }
    }

    fn operator(&self) -> Client {
        let address = self.place.borrow().address.clone();
        Client::new(format!("http://{address}"), Some(operator_token()))
    }

    fn signal(&self, which: Signal) {
        signal(i32::try_from(self.child.id().expect("a running server")).unwrap(), which);
    }

    async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().await.expect("it ends");
    }

    /// Starts it again, with a time of so many seconds ahead.
    async fn start(&mut self, ahead: i64) {
        self.heal();
        let (child, address) = serve(&self.folder, &self.proxy.url, ahead).await;
        self.child = child;
        self.place.send_modify(|place| {
            place.address = address;
            place.has_wrong_clock = ahead != 0;
        });
    }

    /// Leaves its way to the database alone.
    fn heal(&self) {
        self.proxy.set(Way::Open);
        self.proxy.cut_commits(0, CommitCut::Before);
    }

    async fn answers(&self, path: &str) {
        let operator = self.operator();
        eventually(path, 60, async || {
            let asking = operator.request(Method::GET, path).timeout(Duration::from_secs(5)).send();
            asking.await.is_ok_and(|answer| answer.status() == StatusCode::OK).then_some(())
        })
        .await;
    }

    /// Returns when the first of them is.
    async fn cut_commits(&self, count: usize, cut: CommitCut) {
        let before = self.proxy.commits_cut();
        self.proxy.cut_commits(count, cut);
        eventually("a commit", 90, async || (self.proxy.commits_cut() > before).then_some(())).await;
    }

    async fn with_the_way(&self, way: Way, time: Duration) {
        self.proxy.set(way);
        sleep(time).await;
        self.proxy.set(Way::Open);
    }

    async fn stand_still(&self, time: Duration) {
        self.place.send_modify(|place| {
            place.is_still = true;
            place.stops += 1;
        });
        self.signal(Signal::SIGSTOP);
        sleep(time).await;
        self.signal(Signal::SIGCONT);
        self.answers("/healthz").await;
        self.place.send_modify(|place| place.is_still = false);
    }

    async fn have_a_wrong_clock(&mut self, ahead: i64, trial: &Trial) {
        self.kill().await;
        self.start(ahead).await;
        let enough = trial.told_by_wrong_clocks.load(Ordering::SeqCst) + 20;
        eventually("answers of a server whose clock is wrong", 120, async || {
            (trial.told_by_wrong_clocks.load(Ordering::SeqCst) >= enough).then_some(())
        })
        .await;
        self.kill().await;
        self.start(0).await;
    }

    async fn befall(&mut self, fault: Fault, trial: &Trial, dice: &mut Dice) {
        // In full longer than PostgreSQL leaves a transaction open, and than a command may wait.
        let longest = if in_full() { 50 } else { 10 };
        match fault {
            Fault::HeldCommit => {
                self.cut_commits(1 + dice.below(3), CommitCut::Held(seconds(dice, 12, 25))).await;
            }
            Fault::LateCommit => {
                self.cut_commits(1 + dice.below(3), CommitCut::Late(seconds(dice, 12, 25))).await;
            }
            Fault::BlackHole => self.with_the_way(Way::Swallowing, seconds(dice, 3, longest)).await,
            Fault::StalledLine => self.with_the_way(Way::Stalled, seconds(dice, 3, longest)).await,
            Fault::Standstill => self.stand_still(seconds(dice, 3, longest)).await,
            Fault::Death => {
                self.kill().await;
                sleep(seconds(dice, 0, 3)).await;
                self.start(0).await;
            }
            Fault::ClockAhead => self.have_a_wrong_clock(FORTY_DAYS, trial).await,
            Fault::ClockBehind => self.have_a_wrong_clock(-FORTY_DAYS, trial).await,
        }
    }
}

/// What befalls a server. What it does to commits lasts on, beside what comes next.
#[derive(Debug, Clone, Copy)]
enum Fault {
    HeldCommit,
    LateCommit,
    BlackHole,
    StalledLine,
    Standstill,
    Death,
    ClockAhead,
    ClockBehind,
}

impl Fault {
    const ALL: [Self; 8] = [
        Self::HeldCommit,
        Self::LateCommit,
        Self::BlackHole,
        Self::StalledLine,
        Self::Standstill,
        Self::Death,
        Self::ClockAhead,
        Self::ClockBehind,
    ];

    fn shuffled(dice: &mut Dice) -> Vec<Self> {
        let mut left = Self::ALL.to_vec();
        Self::ALL.iter().map(|_| left.swap_remove(dice.below(left.len()))).collect()
    }
}

fn seconds(dice: &mut Dice, from: usize, to: usize) -> Duration {
    Duration::from_secs((from + dice.below(to + 1 - from)) as u64)
}

/// What those who take part share.
#[derive(Default)]
struct Trial {
    is_over: AtomicBool,
    told_by_wrong_clocks: AtomicUsize,
    unknown: AtomicUsize,
    /// What must not be.
    wrongs: Mutex<Vec<String>>,
}

impl Trial {
    fn note_wrong(&self, wrong: String) {
        println!("WRONG: {wrong}");
        self.wrongs.lock().unwrap().push(wrong);
    }

    fn wrongs(&self) -> Vec<String> {
        self.wrongs.lock().unwrap().clone()
    }
}

/// What an answer tells of a request.
enum Heard {
    Done(Told),
    /// It was decided against.
    Refused,
    /// It has done nothing, nor will it.
    NotTaken,
    /// `is_to_come`: it may not even have arrived.
    Unknown {
        is_to_come: bool,
    },
}

fn heard(deed: &Deed, answer: Option<(u16, Value)>, is_to_come: bool) -> Result<Heard, String> {
    let Some((_, answer)) = answer else { return Ok(Heard::Unknown { is_to_come }) };
    let unknown = Heard::Unknown { is_to_come: false };
    let Some(error) = answer["errors"].get(0) else { return decided(deed, &answer) };
    // What was made could not be shown whole: the error is not the mutation's.
    if error["path"].as_array().is_some_and(|path| path.len() > 1) {
        return Ok(unknown);
    }
    match error["extensions"]["code"].as_str().unwrap_or_default() {
        "OUTCOME_UNKNOWN" => Ok(unknown),
        "OVERLOADED" | "UNAVAILABLE" => Ok(Heard::NotTaken),
        _ => Err(format!("is answered {answer}")),
    }
}

fn decided(deed: &Deed, answer: &Value) -> Result<Heard, String> {
    match answer["data"]["made"]["userErrors"][0]["code"].as_str() {
        None => Ok(Heard::Done(told(deed, answer))),
        Some("INSUFFICIENT_BALANCE") if deed.recharge.is_none() => Ok(Heard::Refused),
        Some(code) => Err(format!("is refused as {code}")),
    }
}

/// What a client has to believe of a key.
#[derive(Debug)]
enum Belief {
    Unknown,
    /// It is not done, and never will be unless it is asked for again, which nobody does.
    NotDone,
    Done(Told),
}

/// A key, and what was told of it.
struct Kept {
    deed: Deed,
    belief: Belief,
    /// The server that was asked last.
    asked_last: usize,
    /// Requests of which is not known what became: they have arrived.
    arrived: usize,
    /// The same; these may still arrive.
    to_come: usize,
}

impl Kept {
    fn is_unknown(&self) -> bool {
        matches!(self.belief, Belief::Unknown)
    }

    fn is_done(&self) -> bool {
        matches!(self.belief, Belief::Done(_))
    }

    fn note(&mut self, heard: Heard) -> Result<(), String> {
        match heard {
            Heard::Done(told) => return self.note_done(told),
            Heard::Refused if self.is_done() => return Err(format!("is refused after {:?}", self.belief)),
            Heard::Refused => self.arrived = 0,
            Heard::NotTaken => {}
            Heard::Unknown { is_to_come: false } => self.arrived += 1,
            Heard::Unknown { is_to_come: true } => self.to_come += 1,
        }
        self.conclude();
        Ok(())
    }

    fn note_done(&mut self, told: Told) -> Result<(), String> {
        match &self.belief {
            Belief::Unknown => self.belief = Belief::Done(told),
            Belief::Done(before) if told == *before => {}
            before => return Err(format!("is {told:?} after {before:?}")),
        }
        Ok(())
    }

    fn conclude(&mut self) {
        if self.is_unknown() && self.arrived + self.to_come == 0 {
            self.belief = Belief::NotDone;
        }
    }
}

/// A client.
struct Payer {
    number: usize,
    dice: Dice,
    load: Load,
    sides: [watch::Receiver<Place>; 2],
    trial: Arc<Trial>,
    kept: Vec<Kept>,
}

impl Payer {
    async fn pay_until_it_is_over(mut self) -> Self {
        while !self.trial.is_over.load(Ordering::SeqCst) {
            let again = match self.dice.below(8) {
                0..=2 => self.any(Kept::is_unknown),
                3 => self.any(Kept::is_done),
                _ => None,
            };
            let (index, side) = match again {
                Some(index) => (index, 1 - self.kept[index].asked_last),
                None => (self.new_deed(), self.dice.below(2)),
            };
            let patience = [2, 2, 3, 3, 4, 4, 8, 30][self.dice.below(8)];
            self.ask(index, side, Duration::from_secs(patience)).await;
            sleep(Duration::from_millis(50 + self.dice.below(300) as u64)).await;
        }
        self
    }

    /// One of those that it is so with, if there are any.
    fn any(&mut self, is_so: impl Fn(&Kept) -> bool) -> Option<usize> {
        let found: Vec<usize> = (0..self.kept.len()).filter(|index| is_so(&self.kept[*index])).collect();
        (!found.is_empty()).then(|| found[self.dice.below(found.len())])
    }

    fn new_deed(&mut self) -> usize {
        let (index, account) = (self.kept.len(), self.dice.below(self.load.accounts.len()));
        // Every other account never has much: it is refused some of what it wants to buy.
        let most = if account.is_multiple_of(2) { 100_000 } else { 8_888 };
        let deed = Deed {
            account: self.load.accounts[account].clone(),
            key: format!("c{}-{index}", self.number),
            recharge: (self.dice.below(2) == 0).then(|| 1 + self.dice.below(most) as i64),
        };
        self.kept.push(Kept { deed, belief: Belief::Unknown, asked_last: 0, arrived: 0, to_come: 0 });
        index
    }

    async fn ask(&mut self, index: usize, side: usize, patience: Duration) {
        let request = self.load.request(&self.kept[index].deed);
        let sent_to = self.sides[side].borrow().clone();
        let asking = post(&sent_to.address, &self.load.token, &request, None);
        let answer = timeout(patience, asking).await.ok().flatten();
        if sent_to.has_wrong_clock && answer.is_some() {
            self.trial.told_by_wrong_clocks.fetch_add(1, Ordering::SeqCst);
        }
        let is_to_come = sent_to.is_still || self.sides[side].borrow().stops != sent_to.stops;
        let kept = &mut self.kept[index];
        kept.asked_last = side;
        let noted = heard(&kept.deed, answer, is_to_come).and_then(|heard| {
            if let Heard::Unknown { .. } = heard {
                self.trial.unknown.fetch_add(1, Ordering::SeqCst);
            }
            if sent_to.has_wrong_clock && matches!(heard, Heard::Done(_) | Heard::Refused) {
                return Err("is decided by a server whose clock is wrong".to_owned());
            }
            kept.note(heard)
        });
        if let Err(wrong) = noted {
            let wrong = format!("{:?} of server {side} {wrong}", kept.deed);
            self.trial.note_wrong(wrong);
        }
    }

    /// Asks for what is unknown until that is known: nothing is in the way any more, and nothing is to come.
    async fn learn_everything(mut self) -> Self {
        let give_up = Instant::now() + Duration::from_secs(300);
        for kept in &mut self.kept {
            kept.arrived += std::mem::take(&mut kept.to_come);
        }
        while let Some(index) = self.any(Kept::is_unknown) {
            assert!(Instant::now() < give_up, "{:?} is never answered", self.kept[index].deed);
            let side = self.dice.below(2);
            self.ask(index, side, ANSWER_TIME_MAX).await;
            if self.kept[index].is_unknown() {
                sleep(Duration::from_millis(100)).await;
            }
        }
        self
    }
}

/// Accounts and a plan.
async fn load_on(operator: &Client) -> Load {
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        let namespace = format!("trial-{number}");
        let input = json!({ "namespace": namespace, "name": namespace, "currency": "CNY" });
        let made = operator.mutate("createAccount", "CreateAccountInput", input, "account { id }").await;
        let id = made["account"]["id"].as_str().unwrap().to_owned();
        let input = json!({ "accountId": id, "amount": OPENING, "idempotencyKey": "opening" });
        operator.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
        accounts.push(id);
    }
    let input = json!({ "name": "Plan C", "type": "C", "region": "cn-north-1", "resourceType": "CLOUD", "billPeriod": "MONTH",
        "description": "", "price": { "amount": "88.88", "currency": "CNY" } });
    let made = operator.mutate("createPlan", "CreatePlanInput", input, "plan { id }").await;
    let plan = made["plan"]["id"].as_str().unwrap().to_owned();
    Load { token: operator_token(), plan, price: Decimal::new(8_888, 2), accounts, drops: 0 }
}

/// Has the servers suffer everything in a random order, again and again for so long.
async fn torment(sides: &mut [Side; 2], trial: &Trial, seed: u64, time: Duration) {
    let mut dice = Dice::new(seed);
    let begin = Instant::now();
    let mut is_first_pass = true;
    while is_first_pass || begin.elapsed() < time {
        for fault in Fault::shuffled(&mut dice) {
            if !trial.wrongs().is_empty() || (!is_first_pass && begin.elapsed() >= time) {
                return;
            }
            let which = dice.below(2);
            println!("{:>4} s: {fault:?} of server {which}", begin.elapsed().as_secs());
            sides[which].befall(fault, trial, &mut dice).await;
            // Meanwhile what is unknown is asked for at the other one.
            sleep(seconds(&mut dice, 2, 5)).await;
        }
        is_first_pass = false;
    }
}

/// Waits until nothing that befell them lasts on.
async fn are_well(sides: &[Side; 2], sql: &tokio_postgres::Client) {
    sides.iter().for_each(Side::heal);
    let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND backend_type = 'client backend' AND pid <> pg_backend_pid()
        AND xact_start < clock_timestamp() - interval '1 second'";
    eventually("no transaction that stays open", 90, async || {
        let open: i64 = sql.query_one(query, &[]).await.unwrap().get(0);
        (open == 0).then_some(())
    })
    .await;
    for side in sides {
        side.answers("/readyz").await;
    }
}

/// What is believed to be done, and the keys of what is not.
fn sorted(payers: Vec<Payer>) -> (Done, Vec<String>) {
    let (mut done, mut not_done) = (Done::default(), Vec::new());
    for kept in payers.into_iter().flat_map(|payer| payer.kept) {
        match kept.belief {
            Belief::Done(told) => {
                done.deeds.push(kept.deed);
                done.told.push(told);
            }
            Belief::NotDone => not_done.push(kept.deed.key),
            Belief::Unknown => panic!("{:?} is still unknown", kept.deed),
        }
    }
    (done, not_done)
}

async fn assert_kept_as_told(done: &Done, not_done: &[String], sql: &tokio_postgres::Client) {
    let rows = sql.query("SELECT key FROM idempotency_keys WHERE key LIKE 'c%-%'", &[]).await.unwrap();
    let held: HashSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let after_all: Vec<&String> = not_done.iter().filter(|key| held.contains(*key)).collect();
    assert!(after_all.is_empty(), "answered as refused, and done: {after_all:?}");
    let lost: Vec<&Told> = done.told.iter().filter(|told| !held.contains(&told.deed_key)).collect();
    assert!(lost.is_empty(), "acknowledged, and lost: {lost:#?}");
    let misdated = "SELECT count(*) FROM ledger_entries WHERE time NOT BETWEEN
        clock_timestamp() - interval '3 hours' AND clock_timestamp() + interval '1 minute'";
    let misdated: i64 = sql.query_one(misdated, &[]).await.unwrap().get(0);
    assert_eq!(misdated, 0, "entries that a wrong clock has dated");
}

fn seed() -> u64 {
    let given = std::env::var("ABACUS_TRIAL_SEED").ok().map(|seed| seed.parse::<u64>().expect("a number"));
    given.unwrap_or_else(|| u64::try_from(wall().timestamp()).unwrap())
}

async fn all_of(mut tasks: JoinSet<Payer>) -> Vec<Payer> {
    let mut payers = Vec::new();
    while let Some(payer) = tasks.join_next().await {
        payers.push(payer.expect("a client that ends"));
    }
    payers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_never_do_what_they_refused_nor_lose_what_they_acknowledged_whatever_befalls_them() {
    let seed = seed();
    println!("the same faults in the same order: ABACUS_TRIAL_SEED={seed}");
    let database = cluster::database().await;
    let mut sides = [Side::begin(&database).await, Side::begin(&database).await];
    let load = load_on(&sides[0].operator()).await;
    let trial = Arc::<Trial>::default();
    let mut paying = JoinSet::new();
    for number in 0..CLIENTS {
        let payer = Payer {
            number,
            dice: Dice::new(seed.wrapping_add(number as u64 + 1)),
            load: load.clone(),
            sides: [sides[0].place.subscribe(), sides[1].place.subscribe()],
            trial: Arc::clone(&trial),
            kept: Vec::new(),
        };
        paying.spawn(payer.pay_until_it_is_over());
    }
    let time = Duration::from_secs(if in_full() { 20 * 60 } else { 100 });
    torment(&mut sides, &trial, seed, time).await;
    trial.is_over.store(true, Ordering::SeqCst);
    let payers = all_of(paying).await;
    assert!(trial.wrongs().is_empty(), "seed {seed}: {:#?}", trial.wrongs());

    let sql = connect(&database).await;
    are_well(&sides, &sql).await;
    let mut learning = JoinSet::new();
    for payer in payers {
        learning.spawn(payer.learn_everything());
    }
    let (done, not_done) = sorted(all_of(learning).await);
    assert!(trial.wrongs().is_empty(), "seed {seed}: {:#?}", trial.wrongs());
    let unknown = trial.unknown.load(Ordering::SeqCst);
    println!("{} done, {} not done, {unknown} requests of unknown outcome", done.told.len(), not_done.len());
    assert!(done.told.len() > 100 && !not_done.is_empty() && unknown > 0, "nothing was tried");

    assert_kept_as_told(&done, &not_done, &sql).await;
    done.assert_done_once(&load, OPENING.parse().unwrap(), &sql).await;
    let health = sides[1].operator().data("{ ledgerHealth { ok imbalance faults { kind message } } }").await;
    assert_eq!(health["ledgerHealth"], json!({ "ok": true, "imbalance": "0", "faults": [] }));
}
