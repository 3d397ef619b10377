//! How long a check of a million entries takes, and what it takes from checkouts when it is made by and by.
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic
)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use abacus::clock::Clock;
use abacus::domain::command::Command;
use abacus::domain::decide::{Action, Recharge};
use abacus::domain::ids::AccountId;
use abacus::domain::money::Currencies;
use abacus::engine::{Engine, EngineConfig, Priority};
use abacus::jobs::ledger_check::{PACE, check_pass};
use abacus::jobs::{JobContext, LEASE_SECONDS_DEFAULT, LeaseGuard};
use abacus::payments::Providers;
use abacus::store::cells::Cells;
use abacus::store::database::Database;
use abacus::store::ledger_check::Pace;
use futures_util::future::join_all;
use rust_decimal::Decimal;
use support::purchases::{
    checkout, customer_tokens, number, require_done, seal_accounts, sow_accounts, sow_plan,
};
use support::{Cluster, ServerProcess, load, median, rounds, scatter, seconds};

const ACCOUNTS: i64 = 10_000;
const FIRST_ACCOUNT: i64 = 1_000_000;
const TOGETHER: i64 = 500;

async fn checkouts(server: &ServerProcess, tokens: &Arc<Vec<String>>) -> f64 {
    let tokens = Arc::clone(tokens);
    let next = move |client: usize, sequence: u64| {
        let account = scatter(client as u64 * 1_000_003 + sequence * 7_919 + number()) % tokens.len() as u64;
        checkout(&tokens[account as usize])
    };
    load(server.port, 256, next, require_done).await.per_second
}

async fn checkouts_after_a_checkpoint(
    cluster: &Cluster,
    server: &ServerProcess,
    tokens: &Arc<Vec<String>>,
) -> f64 {
    cluster.settle("abacus").await;
    checkouts(server, tokens).await
}

async fn checkouts_beside_the_check(
    jobs: &JobContext,
    cluster: &Cluster,
    server: &ServerProcess,
    tokens: &Arc<Vec<String>>,
) -> f64 {
    let checking = jobs.clone();
    let check = tokio::spawn(async move { check_on_and_on(&checking).await });
    let rate = checkouts_after_a_checkpoint(cluster, server, tokens).await;
    check.abort();
    rate
}

async fn check_on_and_on(jobs: &JobContext) {
    loop {
        check_pass(jobs, &LeaseGuard::Always, PACE).await.expect("a round");
    }
}

/// Has recharges of all accounts carried out, so many of each.
async fn fill(jobs: &JobContext, of_each: i64) {
    for number in 0..of_each {
        for first in (0..ACCOUNTS).step_by(TOGETHER as usize) {
            let recharges = (first..first + TOGETHER).map(|place| {
                let recharge =
                    Recharge { amount: Decimal::TEN, payment_method: "offline".to_owned(), reason: None };
                let command = Command {
                    account: AccountId(FIRST_ACCOUNT + place),
                    key: Some(format!("fill-{number}")),
                    dry_run: false,
                    asked_by: None,
                    action: Action::Recharge(recharge),
                };
                jobs.engine.submit(command, Priority::Interactive)
            });
            for outcome in join_all(recharges).await {
                outcome.expect("it is carried out");
            }
        }
    }
}

#[tokio::main]
async fn main() {
    let entries: i64 =
        std::env::var("ABACUS_BENCH_ENTRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let cluster = Cluster::start().await;
    let url = cluster.database("abacus").await;
    let client = cluster.client("abacus").await;
    let accounts = FIRST_ACCOUNT as u64..(FIRST_ACCOUNT + ACCOUNTS) as u64;
    sow_accounts(&client, accounts.clone()).await;
    sow_plan(&client).await;
    let (clock, database) = (Clock::system(), Database::new(&url, 4).unwrap());
    let currencies = Arc::new(Currencies::default());
    let cells = Cells::one(database);
    let engine = Arc::new(Engine::start(&EngineConfig::default(), &cells, &currencies, &clock));
    let providers = Providers::default();
    let jobs = JobContext::new(cells, engine, clock, currencies, providers, LEASE_SECONDS_DEFAULT);
    seal_accounts(&jobs.database, accounts.clone()).await;
    fill(&jobs, entries / ACCOUNTS).await;
    client.batch_execute("VACUUM ANALYZE").await.unwrap();

    let begin = Instant::now();
    check_pass(&jobs, &LeaseGuard::Always, Pace::AT_ONCE).await.expect("a round");
    let faults: i64 = client.query_one("SELECT count(*) FROM ledger_faults", &[]).await.unwrap().get(0);
    assert_eq!(faults, 0);
    println!(
        "{entries} entries of {ACCOUNTS} accounts are checked in {:.0} s at once",
        begin.elapsed().as_secs_f64()
    );

    let tokens = customer_tokens(accounts);
    let server = ServerProcess::start(&url, &["--no-jobs"]).await;
    checkouts(&server, &tokens).await;
    let begin = cluster.processor_time(std::process::id());
    let _ = tokio::time::timeout(Duration::from_secs(seconds()), check_on_and_on(&jobs)).await;
    let end = cluster.processor_time(std::process::id());
    let taken = (end.0 - begin.0 + end.1 - begin.1).as_secs_f64();
    let there = seconds() as f64 * std::thread::available_parallelism().expect("processors").get() as f64;
    println!("by and by it takes {:.2} % of the processors (at most 2)", 100.0 * taken / there);
    let mut ratios = Vec::new();
    for round in 1..=rounds() {
        // Each is measured first every other time: the tables grow, and the machine is not the same for long.
        let (alone, beside) = if round % 2 == 1 {
            let alone = checkouts_after_a_checkpoint(&cluster, &server, &tokens).await;
            (alone, checkouts_beside_the_check(&jobs, &cluster, &server, &tokens).await)
        } else {
            let beside = checkouts_beside_the_check(&jobs, &cluster, &server, &tokens).await;
            (checkouts_after_a_checkpoint(&cluster, &server, &tokens).await, beside)
        };
        ratios.push(beside / alone);
        println!(
            "round {round}: checkouts alone {alone:>8.0}/s, beside the check {beside:>8.0}/s: {:.3}",
            beside / alone
        );
    }
    println!("\nmedian of {} rounds: {:.3} (at least 0.98)", rounds(), median(ratios));
    drop(server);
    cluster.stop().await;
}
