//! Three times as many purchases as can be made: what is made nevertheless, how soon the others are told OVERLOADED, and how soon
//! all is normal again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::time::{Instant, sleep};

use super::books::{Answer, Books};
use super::ground::{Ground, World};
use super::loads;
use super::measured::Measured;
use super::open_loop::{Pace, Paced, at_pace, longest, part_of_all};
use super::support::{HttpClient, median, rounds, seconds};
use super::table::{Bar, Row};

const TIMES: f64 = 3.0;
/// Requests that can be under way at once.
const CONNECTIONS: usize = 4_000;
/// Whoever finds no free connection for so long is not sent.
const LATE_MAX: Duration = Duration::from_millis(100);
const TOLD_WITHIN: Duration = Duration::from_millis(100);
const NORMAL_WITHIN: Duration = Duration::from_secs(1);

/// Between two probes, and how long one takes at most when all is normal.
const PROBE_EVERY: Duration = Duration::from_millis(20);
const PROBE_MAX: Duration = Duration::from_millis(25);
/// All is normal with the first of so many good probes on end.
const PROBES: usize = 10;
/// It is given up then.
const WAITED_MAX: Duration = Duration::from_secs(30);

struct Probe {
    sent: Instant,
    is_good: bool,
}

/// Buys once every 20 ms until the surge has ended and all is normal again, or it is given up.
fn probes(ground: &Ground, ended: &Arc<OnceLock<Instant>>) -> tokio::task::JoinHandle<Vec<Probe>> {
    let (port, next, ended) = (ground.server.port, loads::next_checkout(ground), Arc::clone(ended));
    let (accepted, bills) = (Arc::clone(&ground.accepted), ground.bills_read);
    tokio::spawn(async move {
        let (mut client, mut probes) = (HttpClient::connect(port).await, Vec::new());
        let is_over = |probes: &[Probe], ended: Instant| {
            normal_after(probes, ended).is_some() || ended.elapsed() > WAITED_MAX
        };
        while !ended.get().is_some_and(|ended| is_over(&probes, *ended)) {
            let sent = Instant::now();
            let (_, answer) = client.exchange(&next(0, 0)).await.expect("an answer comes");
            let is_done = accepted.take(answer, bills) == Answer::Done;
            probes.push(Probe { sent, is_good: is_done && sent.elapsed() <= PROBE_MAX });
            sleep(PROBE_EVERY).await;
        }
        probes
    })
}

/// How long after that all was normal.
fn normal_after(probes: &[Probe], ended: Instant) -> Option<Duration> {
    let after: Vec<&Probe> = probes.iter().filter(|probe| probe.sent >= ended).collect();
    let good = after.windows(PROBES).find(|probes| probes.iter().all(|probe| probe.is_good))?;
    Some(good[0].sent - ended)
}

async fn surge(world: &World, measured: &mut Measured, per_second: f64) -> (Paced, Duration) {
    let ground = &world.ground;
    let ended = Arc::new(OnceLock::new());
    let probing = probes(ground, &ended);
    let pace = Pace {
        port: ground.server.port,
        per_second,
        time: Duration::from_secs(seconds()),
        connections: CONNECTIONS,
        late_max: Some(LATE_MAX),
    };
    let (accepted, bills) = (Arc::clone(&ground.accepted), ground.bills_read);
    let check = move |answer: &[u8]| accepted.take(answer, bills);
    let surge = at_pace(pace, loads::next_checkout(ground), check);
    let paced = measured.spend(&world.cluster, ground, surge).await;
    let _ = ended.set(paced.ended);
    let probes = probing.await.expect("the probes end well");
    let normal = normal_after(&probes, paced.ended).unwrap_or(WAITED_MAX);
    (paced, normal)
}

/// Each connection is an open file, here and there.
fn open_many_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("the limit that may be had");
    assert!(most > CONNECTIONS as u64 * 2, "the system allows {most} open files");
}

pub async fn run(world: &World) -> Vec<Row> {
    open_many_files();
    let ground = &world.ground;
    let (mut best, mut accepted, mut refused) = (Measured::new(), Measured::new(), Measured::new());
    let (mut ratios, mut normals, mut unsent) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds() {
        world.cluster.settle(ground.name).await;
        let books = Books::open(ground).await;
        let capacity = best.run(world, ground, loads::checkouts(ground, 256)).await;
        world.cluster.settle(ground.name).await;
        let (paced, normal) = surge(world, &mut accepted, capacity * TIMES).await;
        let rate = accepted.take(&paced.done);
        refused.take(&paced.overloaded);
        println!(
            "round {round}: of {:.0}/s {rate:.0}/s are done, {:.0}/s OVERLOADED, {:.0} % not sent; best {capacity:.0}/s; normal after {:.2} s",
            capacity * TIMES,
            paced.overloaded.per_second,
            part_of_all(&paced) * 100.0,
            normal.as_secs_f64()
        );
        ratios.push(rate / capacity);
        normals.push(normal.as_secs_f64());
        unsent.push(part_of_all(&paced));
        books.close(ground).await;
    }
    rows(&accepted, &refused, median(ratios), (median(normals), median(unsent)))
}

fn rows(accepted: &Measured, refused: &Measured, ratio: f64, (normal, unsent): (f64, f64)) -> Vec<Row> {
    let done = accepted.row("overload, 3 × capacity: what is done, to the best throughput");
    let all_told = "overload: answered OVERLOADED, from when it was sent";
    let told = refused.row(all_told);
    let told = Row { cost: None, memory: None, ..told };
    // Whoever is told nothing is not told in time.
    let in_time = told.latencies.as_ref().is_some_and(|all| all.count() > 0 && longest(all) <= TOLD_WITHIN);
    let again = Row::new(&format!("overload: normal again after {normal:.2} s"));
    let not_sent =
        Row::new(&format!("overload: {:.0} % found none of {CONNECTIONS} connections free", unsent * 100.0));
    vec![
        done.held_to(ratio, Bar::AtLeast(0.8)),
        told.held("p99.9 within 100 ms", in_time),
        not_sent.held("none", unsent == 0.0),
        again.held("1 s", normal <= NORMAL_WITHIN.as_secs_f64()),
    ]
}
