//! An attack, and how long its neighbours and the jobs wait meanwhile.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout_at};

use super::attacks::{ALIASES_MAX, Attack};
use super::caller::Caller;
use super::sown::Sown;

/// The hostile tenant's connections.
const CONNECTIONS: usize = 16;
/// Between two requests of a neighbour.
const TICK: Duration = Duration::from_millis(50);
/// Between two orders that fall due.
const DUE_EVERY: Duration = Duration::from_secs(1);
/// A job that has not come by then is not waited for.
const LAG_MAX: Duration = Duration::from_secs(60);
/// Answers to the hostile tenant that have not come so long after its last request are given up.
const GRACE: Duration = Duration::from_secs(1);
/// Its order is never due so soon by itself.
const FALL_DUE: &str =
    "UPDATE orders SET next_step_at = clock_timestamp(), seal = NULL WHERE account_id = $1";
const IS_DONE: &str =
    "SELECT next_step_at > clock_timestamp() + interval '1 hour' FROM orders WHERE account_id = $1";
const READ: &str =
    r#"{"query":"{ account { balance { amount } orders(first: 10) { nodes { id number state } } } }"}"#;

/// The server, and who is there.
pub struct Siege {
    address: SocketAddr,
    sown: Sown,
    sql: tokio_postgres::Client,
    /// Requests so far.
    numbers: AtomicU64,
}

/// What became of an attack.
pub struct Outcome {
    pub field: &'static str,
    pub how: &'static str,
    /// The aliases of each of its documents.
    pub aliases: usize,
    pub hog: Tally,
    /// How long neighbours waited, the shortest first.
    pub waits: Vec<Duration>,
    /// What they were refused.
    pub failures: Vec<String>,
    /// How long it took until the jobs had done what was due, the shortest first.
    pub lags: Vec<Duration>,
}

/// What the hostile tenant was answered.
#[derive(Debug, Default)]
pub struct Tally {
    pub answers: usize,
    /// Of answers with errors: how many bear each code, or a status without one.
    pub errors: BTreeMap<String, usize>,
    /// The codes of user errors.
    pub refusals: BTreeMap<String, usize>,
    /// Requests that were given up, or hung up on.
    pub lost: usize,
}

impl Siege {
    pub fn new(address: SocketAddr, sown: Sown, sql: tokio_postgres::Client) -> Arc<Self> {
        Arc::new(Self { address, sown, sql, numbers: AtomicU64::new(0) })
    }

    /// Attacks for so long, and tells what came of it.
    pub async fn suffer(self: &Arc<Self>, attack: &'static Attack, time: Duration) -> Outcome {
        let aliases = self.most_aliases(attack).await;
        let stop = Arc::new(AtomicBool::new(false));
        let neighbours: Vec<_> = (0..self.sown.neighbours.len())
            .map(|number| tokio::spawn(Arc::clone(self).neighbour(number, Arc::clone(&stop))))
            .collect();
        let jobs = tokio::spawn(Arc::clone(self).clockwork(Arc::clone(&stop)));
        let until = Instant::now() + time;
        let hogs: Vec<_> =
            (0..CONNECTIONS).map(|_| tokio::spawn(Arc::clone(self).hog(attack, aliases, until))).collect();
        let mut hog = Tally::default();
        for tally in join_all(hogs).await {
            hog.add(tally.expect("a client that ends"));
        }
        stop.store(true, Ordering::Relaxed);
        let (mut waits, mut failures) = (Vec::new(), Vec::new());
        for neighbour in join_all(neighbours).await {
            let (waited, failed) = neighbour.expect("a neighbour that ends");
            waits.extend(waited);
            failures.extend(failed);
        }
        let mut lags = jobs.await.expect("jobs that are looked at");
        waits.sort_unstable();
        lags.sort_unstable();
        Outcome { field: attack.field, how: attack.how, aliases, hog, waits, failures, lags }
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// As many aliases as the server's limits let through: what is refused tells what it would have cost.
    async fn most_aliases(&self, attack: &Attack) -> usize {
        let mut caller = Caller::new(self.address, &self.sown.hog);
        let mut aliases = ALIASES_MAX;
        loop {
            let body = attack.body(&self.sown, aliases, self.number());
            let (status, answer) = caller.post(&body).await.expect("an answer");
            if status == 503 {
                sleep(TICK).await;
                continue;
            }
            let Some(refused) = refused_by_limits(answer) else { return aliases };
            assert!(aliases > 1, "{}, {} is not allowed at all: {refused:#}", attack.field, attack.how);
            let extension = |name: &str| refused["extensions"][name].as_u64();
            let allowed = match (extension("cost"), extension("costMax")) {
                (Some(cost), Some(most)) => aliases * usize::try_from(most * 1_000 / cost).unwrap() / 1_000,
                _ => aliases / 2,
            };
            aliases = allowed.clamp(1, aliases - 1);
        }
    }

    /// Asks again and again on a connection.
    async fn hog(self: Arc<Self>, attack: &'static Attack, aliases: usize, until: Instant) -> Tally {
        let mut caller = Caller::new(self.address, &self.sown.hog);
        let mut tally = Tally::default();
        while Instant::now() < until {
            let body = attack.body(&self.sown, aliases, self.number());
            match timeout_at(until + GRACE, caller.post(&body)).await {
                Ok(Ok((status, answer))) => tally.count(status, answer, attack.is_mutation()),
                Ok(Err(_)) => {
                    tally.lost += 1;
                    sleep(TICK).await;
                }
                Err(_) => tally.lost += 1,
            }
        }
        tally
    }

    /// Buys and reads by turns; answers how long each took, and what was not done.
    async fn neighbour(
        self: Arc<Self>,
        number: usize,
        stop: Arc<AtomicBool>,
    ) -> (Vec<Duration>, Vec<String>) {
        let mut caller = Caller::new(self.address, &self.sown.neighbours[number]);
        let (mut waits, mut failures) = (Vec::new(), Vec::new());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            let buys = waits.len().is_multiple_of(2);
            let body = if buys { self.purchase() } else { READ.to_owned() };
            let asked = Instant::now();
            let answered = caller.post(&body).await;
            waits.push(asked.elapsed());
            match answered {
                Ok((200, answer)) if is_done(answer, buys) => {}
                Ok((status, answer)) => {
                    failures.push(format!("{status}: {}", String::from_utf8_lossy(answer)));
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        (waits, failures)
    }

    fn purchase(&self) -> String {
        let (plan, number) = (&self.sown.plan, self.number());
        format!(
            r#"{{"query":"mutation Buy($input: CheckoutInput!) {{ checkout(input: $input) {{ order {{ id }} userErrors {{ code }} }} }}","variables":{{"input":{{"planId":"{plan}","idempotencyKey":"n-{number}"}}}}}}"#
        )
    }

    /// Has an order fall due, and waits until the jobs have seen to it; answers how long each took.
    async fn clockwork(self: Arc<Self>, stop: Arc<AtomicBool>) -> Vec<Duration> {
        let mut lags = Vec::new();
        loop {
            let due = Instant::now();
            self.sql.execute(FALL_DUE, &[&self.sown.clockwork]).await.expect("an order falls due");
            while due.elapsed() < LAG_MAX && !self.is_done().await {
                sleep(Duration::from_millis(10)).await;
            }
            lags.push(due.elapsed());
            if stop.load(Ordering::Relaxed) {
                return lags;
            }
            sleep_until(due + DUE_EVERY).await;
            if stop.load(Ordering::Relaxed) {
                return lags;
            }
        }
    }

    async fn is_done(&self) -> bool {
        let row = self.sql.query_one(IS_DONE, &[&self.sown.clockwork]).await.expect("the order");
        row.get::<_, Option<bool>>(0) == Some(true)
    }
}

/// The first error of an answer that says that nothing was executed, for what was asked is too much.
fn refused_by_limits(answer: &[u8]) -> Option<Value> {
    errors_of(answer)?;
    let answer: Value = serde_json::from_slice(answer).expect("JSON");
    let error = &answer["errors"][0];
    (answer["data"].is_null() && error["path"].is_null()).then(|| error.clone())
}

/// Where the errors of an answer begin. They come last, and user errors are spelt otherwise.
fn errors_of(answer: &[u8]) -> Option<usize> {
    memchr::memmem::find(answer, br#""errors":["#)
}

fn is_done(answer: &[u8], buys: bool) -> bool {
    let is_bought = memchr::memmem::find(answer, br#""userErrors":[]"#).is_some();
    errors_of(answer).is_none() && is_bought == buys
}

/// How often each code stands in a part of an answer.
fn codes(part: &[u8]) -> BTreeMap<String, usize> {
    let mut codes = BTreeMap::new();
    let key = br#""code":""#;
    for at in memchr::memmem::find_iter(part, key) {
        let rest = &part[at + key.len()..];
        let end = memchr::memchr(b'"', rest).unwrap_or(rest.len());
        *codes.entry(String::from_utf8_lossy(&rest[..end]).into_owned()).or_default() += 1;
    }
    codes
}

impl Tally {
    fn count(&mut self, status: u16, answer: &[u8], is_mutation: bool) {
        self.answers += 1;
        let (data, errors) = answer.split_at(errors_of(answer).unwrap_or(answer.len()));
        let mut found = codes(errors);
        // An error without a code is told by its words.
        if found.is_empty() && (!errors.is_empty() || status != 200) {
            let words: String = String::from_utf8_lossy(errors).chars().take(200).collect();
            found.insert(format!("{status}: {words}"), 1);
        }
        add(&mut self.errors, found);
        if is_mutation {
            add(&mut self.refusals, codes(data));
        }
    }

    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.lost += other.lost;
        add(&mut self.errors, other.errors);
        add(&mut self.refusals, other.refusals);
    }
}

fn add(to: &mut BTreeMap<String, usize>, more: BTreeMap<String, usize>) {
    for (code, count) in more {
        *to.entry(code).or_default() += count;
    }
}

/// Of values of which the least is first: that which so many of a hundred do not exceed.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

impl Outcome {
    pub fn head() -> String {
        format!(
            "{:<20} {:<42} {:>3} {:>6} {:>5} {:>8} {:>8} {:>8}  hog's errors, refusals",
            "field", "what", "as", "hog's", "n's", "p50 ms", "p99 ms", "lag ms"
        )
    }

    /// A line of the table: what it is, the hostile tenant's aliases and answers, and what others had of it.
    pub fn line(&self) -> String {
        let told = |codes: &BTreeMap<String, usize>| -> String {
            codes.iter().map(|(code, count)| format!(" {code} {count}")).collect()
        };
        let lost = if self.hog.lost > 0 { format!(" lost {}", self.hog.lost) } else { String::new() };
        format!(
            "{:<20} {:<42} {:>3} {:>6} {:>5} {:>8} {:>8} {:>8} {}{}{lost}",
            self.field,
            self.how,
            self.aliases,
            self.hog.answers,
            self.waits.len(),
            percentile(&self.waits, 50).as_millis(),
            self.p99().as_millis(),
            self.lag().as_millis(),
            told(&self.hog.errors),
            told(&self.hog.refusals)
        )
    }

    /// What almost all requests of neighbours waited at most.
    pub fn p99(&self) -> Duration {
        percentile(&self.waits, 99)
    }

    /// The longest that the jobs took.
    pub fn lag(&self) -> Duration {
        percentile(&self.lags, 100)
    }
}
