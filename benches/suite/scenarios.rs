//! The scenarios that are a closed loop next to a reference, in turns with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::books::{Books, health};
use super::ground::{BY_HAND, World};
use super::loads;
use super::measured::Measured;
use super::support::by_hand::ByHand;
use super::support::usage_events::{EVENTS, copy, sow_copied};
use super::support::{median, order_tree, rounds, seconds, write_script};
use super::table::{Bar, Row};

const HOT_CONNECTIONS: usize = 64;
pub const READ_CONNECTIONS: usize = 128;

/// Says what a round came to.
pub fn tell(round: usize, what: &str, rate: f64, reference: f64) {
    println!(
        "round {round}: {what} {rate:>8.0}/s, reference {reference:>8.0}/s, ratio {:.2}",
        rate / reference
    );
}

async fn tpcb(world: &World) -> f64 {
    world.cluster.settle("pgbench").await;
    let best = world.cluster.best_pgbench("pgbench", seconds(), None).await;
    world.cluster.settle("abacus").await;
    best
}

pub async fn checkout(world: &World) -> Vec<Row> {
    let (ground, mut measured, mut ratios) = (&world.ground, Measured::new(), Vec::new());
    for round in 1..=rounds() {
        let reference = tpcb(world).await;
        let books = Books::open(ground).await;
        let rate = measured.run(world, ground, loads::checkouts(ground, 256)).await;
        tell(round, "checkouts", rate, reference);
        ratios.push(rate / reference);
        books.close(ground).await;
    }
    vec![
        measured
            .row("checkout, 256 connections, to pgbench TPC-B")
            .held_to(median(ratios), Bar::Aim(2.2, 2.5)),
    ]
}

pub async fn recharge(world: &World) -> Vec<Row> {
    let (ground, mut measured, mut ratios) = (&world.ground, Measured::new(), Vec::new());
    for round in 1..=rounds() {
        let reference = tpcb(world).await;
        let books = Books::open(ground).await;
        let rate = measured.run(world, ground, loads::recharges(ground, 256)).await;
        tell(round, "recharges", rate, reference);
        ratios.push(rate / reference);
        books.close(ground).await;
    }
    vec![
        measured
            .row("recharge, 256 connections, to pgbench TPC-B")
            .held_to(median(ratios), Bar::AtLeast(3.0)),
    ]
}

pub async fn latency(world: &World) -> Vec<Row> {
    let (ground, mut measured, mut ratios) = (&world.ground, Measured::new(), Vec::new());
    for round in 1..=rounds() {
        let reference = ByHand::median_latency(world.cluster.client("by_hand").await, BY_HAND).await;
        let books = Books::open(ground).await;
        let load = measured.spend(&world.cluster, ground, loads::checkouts(ground, 1)).await;
        measured.take(&load);
        let median = load.latencies.median();
        println!("round {round}: {} µs, by hand {} µs", median.as_micros(), reference.as_micros());
        ratios.push(median.as_secs_f64() / reference.as_secs_f64());
        books.close(ground).await;
    }
    let row = measured.row("checkout, 1 connection, its p50 to the same statements by hand");
    vec![row.held_to(median(ratios), Bar::AtMost(0.7))]
}

pub async fn read(world: &World) -> Vec<Row> {
    let (ground, mut measured, mut ratios) = (&world.ground, Measured::new(), Vec::new());
    let script = format!("abacus-suite-read-{}.sql", std::process::id());
    let text = order_tree::pgbench_script(ground.trees.clone());
    let script = write_script(&std::env::temp_dir(), &script, &text);
    for round in 1..=rounds() {
        let reference = world.cluster.best_pgbench(ground.name, seconds(), script.to_str()).await;
        let books = Books::open(ground).await;
        let rate = measured.run(world, ground, loads::reads(ground, READ_CONNECTIONS)).await;
        tell(round, "reads", rate, reference);
        ratios.push(rate / reference);
        books.close(ground).await;
    }
    std::fs::remove_file(script).expect("the script is removed");
    let row = measured.row("account → 10 orders → 5 bills, 128 connections, to one SQL statement");
    vec![row.held_to(median(ratios), Bar::Aim(0.55, 0.65))]
}

/// As many connections check out by hand on one account: each waits for the others.
async fn hot_by_hand(world: &World, account: u64) -> f64 {
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut clients = Vec::new();
    for _ in 0..HOT_CONNECTIONS {
        let mut hand = ByHand::new(world.cluster.client("by_hand").await).await;
        let (done, stop) = (done.clone(), stop.clone());
        clients.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                hand.checkout(account).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    // As the load does, a second before it counts.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (began, before) = (Instant::now(), done.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    let rate = (done.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("a client ends well");
    }
    rate
}

pub async fn hot(world: &World) -> Vec<Row> {
    let (ground, mut measured, mut ratios) = (&world.ground, Measured::new(), Vec::new());
    for round in 1..=rounds() {
        let reference = hot_by_hand(world, BY_HAND.start + round as u64).await;
        world.cluster.settle(ground.name).await;
        let books = Books::open(ground).await;
        let load = measured.spend(&world.cluster, ground, loads::hot(ground, HOT_CONNECTIONS));
        let (load, account) = load.await;
        let rate = measured.take(&load);
        tell(round, "checkouts of one account", rate, reference);
        ratios.push(rate / reference);
        books.close(ground).await;
        health(ground, Some(account)).await;
    }
    let row = measured.row("a hot account, 64 connections, to one transaction a request by hand");
    vec![row.held_to(median(ratios), Bar::AtLeast(10.0))]
}

pub async fn usage(world: &World) -> Vec<Row> {
    let (ground, mut measured, mut ratios) = (&world.ground, Measured::of_requests_of(EVENTS), Vec::new());
    sow_copied(&ground.sql).await;
    for round in 1..=rounds() {
        let reference = copy(&ground.sql, Duration::from_secs(seconds())).await;
        world.cluster.settle(ground.name).await;
        let books = Books::open(ground).await;
        let rate = measured.run(world, ground, loads::usage(ground)).await;
        tell(round, "events", rate, reference);
        ratios.push(rate / reference);
        books.close(ground).await;
    }
    let row = measured.row("usage events as NDJSON, 1,000 a request, to COPY into the same indexed table");
    vec![row.held_to(median(ratios), Bar::AtLeast(0.6))]
}
