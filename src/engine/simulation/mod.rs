//! Two servers, the real lanes of each, and one store that fails as a seed has it fail, all in one thread on a clock that is moved
//! from event to event: a minute takes milliseconds, and a seed repeats what it did (as FoundationDB's and TigerBeetle's simulators
//! do).
//!
//! What has to hold whatever happens: what was acknowledged is there once; what was refused, by whoever, never happens after;
//! the keys and the ledger agree; and once nothing fails any more nobody waits.

mod clients;
mod dice;
mod ground;
mod model;
mod server;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::task::JoinSet;

use self::clients::{Client, KeyReport};
use self::dice::Dice;
use self::ground::ACCOUNTS;
use self::model::Model;
use self::server::Server;
use super::engine_config::EngineConfig;
use super::pace::WaitingLimit;

const CLIENTS: u64 = 10;
/// How often the servers' clocks are set.
const TICK: Duration = Duration::from_millis(10);
/// Everybody has an answer this long after the last fault, at the latest.
const QUIET: Duration = Duration::from_secs(180);

/// Small queues and batches, so that they fill.
fn config(dice: &mut Dice) -> EngineConfig {
    EngineConfig {
        lanes: 1 + dice.below(2) as usize,
        queue_max: 8 + dice.below(24) as usize,
        waiting_limit: WaitingLimit {
            time_max: Duration::from_millis(1 + dice.below(100)),
            commands_min: 1 + dice.below(8) as usize,
        },
        batch_max: 1 + dice.below(8) as usize,
        ..EngineConfig::default()
    }
}

/// Runs so many statements under faults, and answers a digest of all that happened.
async fn simulate(seed: u64, statements: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let model = Model::new(dice.split(), ACCOUNTS);
    let config = config(&mut dice);
    let servers = [Server::start(&model, &config), Server::start(&model, &config)];
    let servers = Arc::new(servers.map(Arc::new));
    let ticking = tokio::spawn(tick(model.clone(), Arc::clone(&servers), dice.split()));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let client = Client::new(number, dice.split(), model.clone(), Arc::clone(&servers));
        clients.spawn(client.run(statements));
    }
    let mut told: Vec<KeyReport> = Vec::new();
    while let Some(of_one) = clients.join_next().await {
        told.extend(of_one.expect("a client does not panic"));
    }
    model.fail_no_more();
    tokio::time::sleep(QUIET).await;
    let asked_last = clients::ask_everybody(&model, &servers).await;
    ticking.abort();
    for server in servers.iter() {
        server.lanes.stop().await;
    }
    told.extend(asked_last);
    verdict::check(seed, &model, &told);
    model.digest()
}

/// Has the servers' clocks go, each as it does: one may be wrong for a while, or step back.
async fn tick(model: Model, servers: Arc<[Arc<Server>; 2]>, mut dice: Dice) {
    // How far each is ahead.
    let mut skews = [TimeDelta::zero(); 2];
    loop {
        tokio::time::sleep(TICK).await;
        for (server, skew) in servers.iter().zip(&mut skews) {
            if dice.one_in(if model.fails() { 2_000 } else { 1 }) {
                *skew =
                    TimeDelta::milliseconds(if model.fails() { dice.below(6_000) as i64 - 3_000 } else { 0 });
            }
            server.clock.set(model.now() + *skew);
        }
    }
}

/// In a runtime of its own, so that nothing is left of one seed for the next.
fn run(seed: u64, statements: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(simulate(seed, statements))
}

fn seed() -> Option<u64> {
    std::env::var("ABACUS_SEED").ok().map(|seed| seed.parse().expect("ABACUS_SEED is a number"))
}

#[test]
fn lanes_keep_their_word_whatever_befalls_the_store() {
    if let Some(seed) = seed() {
        run(seed, 5_000);
        return;
    }
    let in_full = std::env::var("ABACUS_TEST_FULL").is_ok();
    for seed in 0..if in_full { 200 } else { 8 } {
        println!("ABACUS_SEED={seed}");
        run(seed, 5_000);
    }
}

#[test]
fn a_seed_repeats_what_it_did() {
    assert_eq!(run(4_711, 1_500), run(4_711, 1_500));
    assert_ne!(run(4_711, 1_500), run(4_712, 1_500));
}
