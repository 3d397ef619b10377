//! account → 10 orders → 5 bills of each, random accounts, over HTTP at 128 connections, next to pgbench reading the
//! same as one SQL statement on the same cluster.
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

use support::order_tree::{BILLS, ORDERS, pgbench_script, request, require_bills};
use support::{Cluster, ServerProcess, load, median, operator_token, rounds, scatter, seconds};

const ACCOUNTS: Range<u64> = 1_000_000..1_010_000;
const CONNECTIONS: usize = 128;

/// Ids as domain::ids makes them: time, version, variant, account, number.
const SEED: &str = "
CREATE FUNCTION pg_temp.owned_id(account bigint, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(1760000000000 + number), 12, '0') || '7000'
        || to_hex((x'8000000000000000'::bigint | (account << 29) | number)))::uuid $$;
INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, balance, created_at)
    SELECT i, 'bench-' || i, 'Bench', 'MAIN', 'ACTIVE', 'CNY', 'Asia/Shanghai', 100, now()
    FROM generate_series(1000000, 1009999) i;
INSERT INTO namespaces SELECT namespace, id FROM accounts;
INSERT INTO orders (account_id, id, number, name, type, state, exclusive, quantity, region, resource_type, product_name,
        bill_period, currency, price, seq, seq_count, auto_renewal, created_at)
    SELECT a.id, pg_temp.owned_id(a.id, o * 10), 'O' || a.id || '-20251009-' || o * 10, 'Plan A', 'NEW', 'ACTIVE', false, 1,
        'cn-north-1', 'CLOUD', 'Plan A', 'MONTH', 'CNY', 12.23, 5, 5, false, now()
    FROM accounts a, generate_series(1, 10) o;
INSERT INTO bills (account_id, id, number, order_id, status, currency, amount, once_amount, cycle_amount, credit_amount,
        start_time, end_time, seq, seq_count, due_at, created_at)
    SELECT o.account_id, pg_temp.owned_id(o.account_id, split_part(o.number, '-', 3)::bigint + b),
        'B' || o.account_id || '-20251009-' || split_part(o.number, '-', 3)::bigint + b, o.id, 'PAID', 'CNY', 12.23, 0, 12.23,
        0, now(), now(), b, 5, now(), now()
    FROM orders o, generate_series(1, 5) b;
VACUUM ANALYZE;
";

#[tokio::main]
async fn main() {
    let cluster = Cluster::start().await;
    let url = cluster.database("abacus").await;
    let client = cluster.client("abacus").await;
    for statement in SEED.split_inclusive(";\n").filter(|text| !text.trim().is_empty()) {
        client.batch_execute(statement).await.expect("the seed is sown");
    }
    let script =
        support::write_script(&std::env::temp_dir(), "abacus-bench-read.sql", &pgbench_script(ACCOUNTS));
    let token = operator_token();
    let check = |answer: &[u8]| require_bills(answer, ORDERS * BILLS);
    let server = ServerProcess::start(&url, &[]).await;
    // The same by async-graphql's own DataLoader (docs/adr/0006).
    let reference = ServerProcess::start(&url, &["--data-loaders"]).await;

    let (mut reads, mut references, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut data_loaders = Vec::new();
    for round in 1..=rounds() {
        let best = cluster.best_pgbench("abacus", seconds(), script.to_str()).await;
        let next = |token: String| {
            move |client: usize, sequence: u64| {
                let random = scatter(client as u64 * 1_000_003 + sequence * 7_919);
                request(&token, ACCOUNTS.start + random % (ACCOUNTS.end - ACCOUNTS.start))
            }
        };
        let read = load(server.port, CONNECTIONS, next(token.clone()), check).await;
        let by_data_loader = load(reference.port, CONNECTIONS, next(token.clone()), check).await;
        println!(
            "round {round}: by DataLoader {:>8.0}/s, median latency {:>7.0} µs",
            by_data_loader.per_second,
            by_data_loader.latencies.median().as_secs_f64() * 1e6
        );
        data_loaders.push(by_data_loader.per_second);
        println!(
            "round {round}: pgbench {best:>8.0}/s, server {:>8.0}/s, median latency {:>7.0} µs, ratio {:.2}",
            read.per_second,
            read.latencies.median().as_secs_f64() * 1e6,
            read.per_second / best
        );
        ratios.push(read.per_second / best);
        references.push(best);
        reads.push(read.per_second);
    }
    println!("\nmedians of {} rounds", rounds());
    println!("pgbench, one SQL statement (prepared, best of 8 and 16 clients): {:.0}/s", median(references));
    println!("account → 10 orders → 5 bills at {CONNECTIONS} connections: {:.0}/s", median(reads));
    println!("the same by async-graphql's DataLoader: {:.0}/s", median(data_loaders));
    println!("ratio: {:.2} (at least 0.40)", median(ratios));
    drop((server, reference));
    std::fs::remove_file(script).unwrap();
    cluster.stop().await;
}
