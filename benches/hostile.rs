//! A tenant that has as much as it may have does the dearest allowed thing of every root field in turn, on 16 connections: how long
//! its neighbours wait meanwhile, how late the jobs come, and how much memory the server takes. ABACUS_BENCH_ONLY names one field.
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic
)]

#[path = "../tests/it/support/hostile/mod.rs"]
mod hostile;
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use hostile::Siege;
use hostile::attacks;
use hostile::siege::Outcome;
use hostile::sown::{Size, sow};
use support::{Cluster, SECRET, ServerProcess, memory_high};

const P99_MAX: Duration = Duration::from_millis(200);
const LAG_MAX: Duration = Duration::from_secs(5);
const SIZE: Size = Size { orders: 10_000, subjects: 200 };

/// Seconds of each attack; ABACUS_BENCH_SECONDS changes it.
fn seconds() -> u64 {
    std::env::var("ABACUS_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

#[tokio::main]
async fn main() {
    let only = std::env::var("ABACUS_BENCH_ONLY").ok();
    let cluster = Cluster::start().await;
    let url = cluster.database("abacus").await;
    let server = ServerProcess::start(&url, &["--sandbox"]).await;
    let address = SocketAddr::from(([127, 0, 0, 1], server.port));
    let sown = sow(address, SECRET.as_bytes(), &cluster.client("abacus").await, SIZE).await;
    cluster.settle("abacus").await;
    let siege = Siege::new(address, sown, cluster.client("abacus").await);
    let before = memory_high(&server.pid().to_string());
    println!("{} orders, {} that use something; {before} MB at most so far\n", SIZE.orders, SIZE.subjects);

    println!("{}   MB", Outcome::head());
    let mut outcomes = Vec::new();
    for attack in attacks::all().filter(|attack| only.as_deref().is_none_or(|field| field == attack.field)) {
        let outcome = siege.suffer(attack, Duration::from_secs(seconds())).await;
        println!("{}   {}", outcome.line(), memory_high(&server.pid().to_string()));
        outcomes.push(outcome);
    }

    let p99 = outcomes.iter().map(Outcome::p99).max().unwrap_or_default();
    let lag = outcomes.iter().map(Outcome::lag).max().unwrap_or_default();
    let failures: usize = outcomes.iter().map(|outcome| outcome.failures.len()).sum();
    println!("\nneighbours' p99, the worst: {} ms (at most {})", p99.as_millis(), P99_MAX.as_millis());
    println!("the jobs' lag, the worst: {} ms (at most {})", lag.as_millis(), LAG_MAX.as_millis());
    println!("neighbours' requests that failed: {failures} (none)");
    println!("the server's memory, at most: {} MB", memory_high(&server.pid().to_string()));
    for outcome in outcomes.iter().filter(|outcome| outcome.p99() > P99_MAX || outcome.lag() > LAG_MAX) {
        println!("beyond: {}, {}", outcome.field, outcome.how);
    }
    if let Some(failure) = outcomes.iter().flat_map(|outcome| &outcome.failures).next() {
        println!("the first failure: {failure}");
    }
    drop(server);
    cluster.stop().await;
}
