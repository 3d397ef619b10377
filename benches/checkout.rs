//! Checkouts per second over HTTP, next to pgbench's TPC-B on the same cluster; and the latency of one checkout, next
//! to the same statements in one transaction written by hand.
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic
)]

mod support;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use abacus::store::database::Database;
use support::by_hand::ByHand;
use support::purchases::{
    checkout, customer_tokens, number, require_done, seal_accounts, sow_accounts, sow_plan,
};
use support::{Cluster, ServerProcess, load, median, rounds, scatter, seconds};

const ACCOUNTS: Range<u64> = 1_000_000..1_100_000;
/// As many more, whose rows nobody seals, for what is done by hand.
const BY_HAND: Range<u64> = 1_100_000..1_200_000;
const CONNECTIONS: [usize; 4] = [1, 8, 64, 256];

async fn checkouts(server: &ServerProcess, connections: usize, tokens: &Arc<Vec<String>>) -> support::Load {
    let tokens = Arc::clone(tokens);
    let next = move |client: usize, sequence: u64| {
        let account = scatter(client as u64 * 1_000_003 + sequence * 7_919 + number()) % tokens.len() as u64;
        checkout(&tokens[account as usize])
    };
    load(server.port, connections, next, require_done).await
}

/// One account alone, over and over: an order that is the account's ten-thousandth costs what its first did.
async fn one_account(server: &ServerProcess, tokens: &Arc<Vec<String>>) -> Duration {
    let token = tokens[0].clone();
    load(server.port, 8, move |_, _| checkout(&token), require_done).await.latencies.median()
}

#[tokio::main]
async fn main() {
    let cluster = Cluster::start().await;
    cluster.tpcb("pgbench").await;
    let url = cluster.database("abacus").await;
    let client = cluster.client("abacus").await;
    sow_accounts(&client, ACCOUNTS.start..BY_HAND.end).await;
    sow_plan(&client).await;
    client.batch_execute("VACUUM ANALYZE").await.expect("it is analyzed");
    seal_accounts(&Database::new(&url, 1).expect("an address"), ACCOUNTS).await;
    let tokens = customer_tokens(ACCOUNTS);
    let server = ServerProcess::start(&url, &[]).await;

    let mut tpcb = Vec::new();
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); CONNECTIONS.len()];
    let (mut ratios, mut latency_ratios) = (Vec::new(), Vec::new());
    for round in 1..=rounds() {
        cluster.settle("abacus").await;
        let best = cluster.best_pgbench("pgbench", seconds(), None).await;
        tpcb.push(best);
        println!("round {round}: pgbench TPC-B {best:>8.0}/s");
        cluster.settle("abacus").await;
        for (at, connections) in CONNECTIONS.into_iter().enumerate() {
            let before = cluster.processor_time(server.pid());
            let load = checkouts(&server, connections, &tokens).await;
            let after = cluster.processor_time(server.pid());
            rates[at].push(load.per_second);
            println!(
                "round {round}: {connections:>3} connections {:>8.0}/s, median latency {:>7.0} µs, {:.2} × pgbench",
                load.per_second,
                load.latencies.median().as_secs_f64() * 1e6,
                load.per_second / best
            );
            let of_each = |time: Duration| time.as_secs_f64() * 1e6 / load.answered as f64;
            println!(
                "round {round}:   processor of a checkout: server {:.0} µs, PostgreSQL {:.0} µs",
                of_each(after.0 - before.0),
                of_each(after.1 - before.1)
            );
            if connections == 1 {
                let hand = ByHand::median_latency(cluster.client("abacus").await, BY_HAND).await;
                let ratio = load.latencies.median().as_secs_f64() / hand.as_secs_f64();
                latency_ratios.push(ratio);
                println!(
                    "round {round}:   by hand, one transaction: {:>7.0} µs, ratio {ratio:.2}",
                    hand.as_secs_f64() * 1e6
                );
            }
        }
        ratios.push(rates[CONNECTIONS.len() - 1][round - 1] / best);
    }
    let early = one_account(&server, &tokens).await;
    for _ in 0..2 {
        one_account(&server, &tokens).await;
    }
    let late = one_account(&server, &tokens).await;
    let bought: i64 =
        client.query_one("SELECT count(*) FROM orders WHERE account_id = 1000000", &[]).await.unwrap().get(0);

    println!("\nmedians of {} rounds", rounds());
    println!("pgbench TPC-B (scale 20, prepared, best of 8 and 16 clients): {:.0}/s", median(tpcb));
    for (at, connections) in CONNECTIONS.into_iter().enumerate() {
        println!("checkouts at {connections:>3} connections: {:.0}/s", median(rates[at].clone()));
    }
    println!("ratio at 256 connections: {:.2} (at least 2.5)", median(ratios));
    println!(
        "latency at 1 connection, to one transaction by hand: {:.2} (at most 2)",
        median(latency_ratios)
    );
    println!(
        "one account over and over: {:.0} µs at first, {:.0} µs after {bought} orders",
        early.as_secs_f64() * 1e6,
        late.as_secs_f64() * 1e6
    );
    drop(server);
    cluster.stop().await;
}
