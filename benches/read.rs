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

use abacus::clock::wall;
use abacus::domain::viewer::Role;
use support::{Cluster, HttpClient, ServerProcess, find, load, median, rounds, scatter, seconds, token_key};

const ACCOUNTS: u64 = 10_000;
const FIRST_ACCOUNT: u64 = 1_000_000;
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

const PGBENCH: &str = "
\\set id random(1000000, 1009999)
SELECT a.id, o.id, o.state, b.id, b.status, b.amount FROM accounts a \
CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.account_id = a.id ORDER BY o.id DESC LIMIT 10) o \
CROSS JOIN LATERAL (SELECT * FROM bills b WHERE b.account_id = o.account_id AND b.order_id = o.id ORDER BY b.id DESC LIMIT 5) b \
WHERE a.id = :id;
";

const QUERY: &str = "query($id: ID!) { account(id: $id) { id orders(first: 10) { nodes { id state bills(first: 5) { nodes { id status amount { amount } } } } } } }";

fn body(account: u64) -> String {
    format!(r#"{{"query":"{QUERY}","variables":{{"id":"acc_{account}"}}}}"#)
}

fn check(answer: &[u8]) {
    let bills = memchr::memmem::find_iter(answer, b"\"status\":").count();
    assert!(bills == 50 && find(answer, b"errors").is_none(), "{}", String::from_utf8_lossy(answer));
}

#[tokio::main]
async fn main() {
    let cluster = Cluster::start().await;
    let url = cluster.database("abacus").await;
    let client = cluster.client("abacus").await;
    for statement in SEED.split_inclusive(";\n").filter(|text| !text.trim().is_empty()) {
        client.batch_execute(statement).await.expect("the seed is sown");
    }
    let script = support::write_script(&std::env::temp_dir(), "abacus-bench-read.sql", PGBENCH);
    let token = token_key().issue("bench", Role::Operator, None, wall(), 36_000).unwrap();
    let server = ServerProcess::start(&url, &[]).await;
    // The same by async-graphql's own DataLoader (docs/adr/0006).
    let reference = ServerProcess::start(&url, &["--data-loaders"]).await;

    let time = seconds().to_string();
    let (mut reads, mut references, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut data_loaders = Vec::new();
    for round in 1..=rounds() {
        let mut best: f64 = 0.0;
        for clients in ["8", "16"] {
            let script = script.to_str().unwrap();
            let arguments = ["-n", "-M", "prepared", "-c", clients, "-j", "2", "-T", &time, "-f", script];
            best = best.max(cluster.pgbench("abacus", &arguments).await);
        }
        let next = |token: String| {
            move |client: usize, sequence: u64| {
                let account =
                    FIRST_ACCOUNT + scatter(client as u64 * 1_000_003 + sequence * 7_919) % ACCOUNTS;
                HttpClient::request(&token, &body(account))
            }
        };
        let read = load(server.port, CONNECTIONS, next(token.clone()), check).await;
        let by_data_loader = load(reference.port, CONNECTIONS, next(token.clone()), check).await;
        println!(
            "round {round}: by DataLoader {:>8.0}/s, median latency {:>7.0} µs",
            by_data_loader.per_second,
            by_data_loader.median_latency.as_secs_f64() * 1e6
        );
        data_loaders.push(by_data_loader.per_second);
        println!(
            "round {round}: pgbench {best:>8.0}/s, server {:>8.0}/s, median latency {:>7.0} µs, ratio {:.2}",
            read.per_second,
            read.median_latency.as_secs_f64() * 1e6,
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
