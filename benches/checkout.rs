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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use abacus::domain::ids::AccountId;
use abacus::store::accounts::account_range::Range;
use abacus::store::database::Database;
use abacus::store::seals::seal_what_is_not;
use futures_util::FutureExt;
use support::{
    Cluster, HttpClient, ServerProcess, customer_token, find, load, median, processor_time, rounds, scatter,
    seconds, token_key,
};

const ACCOUNTS: u64 = 100_000;
const FIRST_ACCOUNT: u64 = 1_000_000;
/// As many more, whose rows nobody seals, for what is done by hand.
const FIRST_BY_HAND: u64 = FIRST_ACCOUNT + ACCOUNTS;
const CONNECTIONS: [usize; 4] = [1, 8, 64, 256];
const PLAN: &str = "01a1fcafc01673008bfc8bbffe0c23f8";

const SEED: &str = "
INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, balance, created_at)
    SELECT i, 'bench-' || i, 'Bench', 'MAIN', 'ACTIVE', 'CNY', 'Asia/Shanghai', 0, now()
    FROM generate_series(1000000, 1199999) i;
INSERT INTO namespaces SELECT namespace, id FROM accounts;
UPDATE accounts SET credit_limit = 99999999;
INSERT INTO plans (id, name, type, region, resource_type, currency, price, bill_period, description, created_at)
    VALUES ('01a1fcafc01673008bfc8bbffe0c23f8', 'Plan A', 'C', 'cn-north-1', 'CLOUD', 'CNY', 0.12, 'MONTH', '', now());
VACUUM ANALYZE accounts;
VACUUM ANALYZE namespaces;
";

static KEYS: AtomicU64 = AtomicU64::new(0);

fn body() -> String {
    let key = KEYS.fetch_add(1, Ordering::Relaxed);
    format!(
        r#"{{"query":"mutation Buy($input: CheckoutInput!) {{ checkout(input: $input) {{ order {{ id number state }} account {{ balance {{ amount }} }} userErrors {{ code message }} }} }}","variables":{{"input":{{"planId":"pln_{PLAN}","region":"cn-north-1","idempotencyKey":"bench-{key}"}}}}}}"#
    )
}

fn check(answer: &[u8]) {
    assert!(find(answer, br#""userErrors":[]"#).is_some(), "{}", String::from_utf8_lossy(answer));
}

async fn checkouts(server: &ServerProcess, connections: usize, tokens: &Arc<Vec<String>>) -> support::Load {
    let tokens = Arc::clone(tokens);
    let next = move |client: usize, sequence: u64| {
        let account =
            scatter(client as u64 * 1_000_003 + sequence * 7_919 + KEYS.load(Ordering::Relaxed)) % ACCOUNTS;
        HttpClient::request(&tokens[account as usize], &body())
    };
    load(server.port, connections, next, check).await
}

/// One account alone, over and over: an order that is the account's ten-thousandth costs what its first did.
async fn one_account(server: &ServerProcess, tokens: &Arc<Vec<String>>) -> Duration {
    let token = tokens[0].clone();
    load(server.port, 8, move |_, _| HttpClient::request(&token, &body()), check).await.median_latency
}

/// The statements of one checkout, as the engine sends them, in one transaction of tokio-postgres.
async fn by_hand(cluster: &Cluster) -> Duration {
    let mut client = cluster.client("abacus").await;
    let statements = [
        "SELECT id, balance, credit_limit, last_no, last_entry_seq, last_entry_hash FROM accounts WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE SKIP LOCKED",
        "SELECT t.account_id, t.key, t.fingerprint FROM UNNEST($1::bigint[], $2::text[]) k (account_id, key) CROSS JOIN LATERAL (SELECT * FROM idempotency_keys t WHERE t.account_id = k.account_id AND t.key = k.key LIMIT 1) t",
        "SELECT id, name, price FROM plans WHERE id = ANY($1::uuid[])",
        "SELECT account_id, id FROM orders WHERE exclusive AND state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED') AND account_id = ANY($1::bigint[])",
        "SELECT t.account_id, t.id FROM orders o CROSS JOIN LATERAL (SELECT * FROM bills t WHERE t.account_id = o.account_id AND t.order_id = o.id LIMIT 100) t WHERE o.exclusive AND o.state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED') AND o.account_id = ANY($1::bigint[])",
        "UPDATE accounts SET balance = balance - 0.12, last_no = last_no + 3, last_entry_seq = last_entry_seq + 1, purchased = true WHERE id = ANY($1::bigint[])",
        "INSERT INTO orders (account_id, id, number, name, type, state, plan_id, exclusive, quantity, region, resource_type, product_name, bill_period, currency, price, seq, seq_count, auto_renewal, created_at) SELECT a, $2::uuid, 'O1001-20261121-17', 'Plan A', 'NEW', 'ACTIVE', $3::uuid, false, 1, 'cn-north-1', 'CLOUD', 'Plan A', 'MONTH', 'CNY', 0.12, 1, 1, false, now() FROM UNNEST($1::bigint[]) a",
        "INSERT INTO bills (account_id, id, number, order_id, status, currency, amount, once_amount, cycle_amount, credit_amount, start_time, end_time, seq, seq_count, due_at, created_at) SELECT a, $2::uuid, 'B1001-20261121-18', $2::uuid, 'PAID', 'CNY', 0.12, 0, 0.12, 0, now(), now(), 1, 1, now(), now() FROM UNNEST($1::bigint[]) a",
        "INSERT INTO transactions (account_id, id, kind, status, currency, amount, debit_ledger, credit_ledger, description, payment_method, order_id, bill_id, balance_after, created_at) SELECT a, $2::uuid, 'CHECKOUT', 'FINISHED', 'CNY', 0.12, 'customer', 'revenue:checkout', 'Plan A', 'balance', $2::uuid, $2::uuid, 1, now() FROM UNNEST($1::bigint[]) a",
        "INSERT INTO ledger_entries (account_id, id, seq, time, currency, amount, initial, \"end\", reason, hash) SELECT a.id, $2::uuid, a.last_entry_seq, now(), 'CNY', 0.12, 0, -0.12, 'Plan A, order O1001-20261121-17', '\\x00' FROM accounts a WHERE a.id = ANY($1::bigint[])",
        "INSERT INTO idempotency_keys (account_id, key, mutation, fingerprint, order_id, created_at) SELECT a, $2::text, 'checkout', '\\x00', $3::uuid, now() FROM UNNEST($1::bigint[]) a",
    ];
    let mut prepared = Vec::new();
    for statement in statements {
        prepared.push(client.prepare(statement).await.expect("the statement is right"));
    }
    let plan = uuid::Uuid::parse_str(PLAN).unwrap();
    let mut latencies = Vec::new();
    let until = Instant::now() + Duration::from_secs(seconds());
    while Instant::now() < until {
        let number = KEYS.fetch_add(1, Ordering::Relaxed);
        let account = vec![(FIRST_BY_HAND + scatter(number) % ACCOUNTS) as i64];
        let id = uuid::Uuid::from_u128(u128::from(number) << 64 | 0x7000_8000_0000_0000_0000);
        let (key, keys) = (format!("hand-{number}"), vec![format!("hand-{number}")]);
        let started = Instant::now();
        let transaction = client.transaction().await.unwrap();
        transaction.query(&prepared[0], &[&account]).await.unwrap();
        transaction.query(&prepared[1], &[&account, &keys]).await.unwrap();
        transaction.query(&prepared[2], &[&vec![plan]]).await.unwrap();
        transaction.query(&prepared[3], &[&account]).await.unwrap();
        transaction.query(&prepared[4], &[&account]).await.unwrap();
        transaction.execute(&prepared[5], &[&account]).await.unwrap();
        transaction.execute(&prepared[6], &[&account, &id, &plan]).await.unwrap();
        for statement in &prepared[7..10] {
            transaction.execute(statement, &[&account, &id]).await.unwrap();
        }
        transaction.execute(&prepared[10], &[&account, &key, &id]).await.unwrap();
        transaction.commit().await.unwrap();
        latencies.push(started.elapsed());
    }
    latencies.sort_unstable();
    latencies[latencies.len() / 2]
}

/// The accounts are as if the server had made them.
async fn seal_accounts(url: &str) {
    let database = Database::new(url, 1).unwrap();
    for thousand in 0..ACCOUNTS / 1_000 {
        let first = AccountId(i64::try_from(FIRST_ACCOUNT + thousand * 1_000).unwrap());
        let (range, keys) = (Range { first, last: AccountId(first.0 + 999) }, Arc::clone(database.keys()));
        let sealing = database
            .write(move |connection| async move { seal_what_is_not(connection, range, &keys).await }.boxed());
        assert_eq!(sealing.await.unwrap(), 1_000);
    }
}

#[tokio::main]
async fn main() {
    let cluster = Cluster::start().await;
    cluster.postgres.ensure_database("pgbench").await.unwrap();
    let url = cluster.database("abacus").await;
    let client = cluster.client("abacus").await;
    for statement in SEED.split_inclusive(';').filter(|text| !text.trim().is_empty()) {
        client.batch_execute(statement).await.expect("the seed is sown");
    }
    seal_accounts(&url).await;
    cluster.pgbench("pgbench", &["-i", "-q", "-s", "20"]).await;
    let key = token_key();
    let tokens: Vec<String> =
        (0..ACCOUNTS).map(|i| customer_token(&key, &format!("bench-{}", FIRST_ACCOUNT + i))).collect();
    let tokens = Arc::new(tokens);
    let server = ServerProcess::start(&url, &[]).await;

    let time = seconds().to_string();
    let mut tpcb = Vec::new();
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); CONNECTIONS.len()];
    let (mut ratios, mut latency_ratios) = (Vec::new(), Vec::new());
    for round in 1..=rounds() {
        cluster.settle("abacus").await;
        let mut best: f64 = 0.0;
        for clients in ["8", "16"] {
            let arguments = ["-n", "-M", "prepared", "-c", clients, "-j", "2", "-T", &time];
            best = best.max(cluster.pgbench("pgbench", &arguments).await);
        }
        tpcb.push(best);
        println!("round {round}: pgbench TPC-B {best:>8.0}/s");
        cluster.settle("abacus").await;
        for (at, connections) in CONNECTIONS.into_iter().enumerate() {
            let before = processor_time(server.pid());
            let load = checkouts(&server, connections, &tokens).await;
            let after = processor_time(server.pid());
            rates[at].push(load.per_second);
            println!(
                "round {round}: {connections:>3} connections {:>8.0}/s, median latency {:>7.0} µs, {:.2} × pgbench",
                load.per_second,
                load.median_latency.as_secs_f64() * 1e6,
                load.per_second / best
            );
            // The load runs for a second more than is counted.
            let done = load.per_second * (seconds() + 1) as f64;
            let of_each = |time: Duration| time.as_secs_f64() * 1e6 / done;
            println!(
                "round {round}:   processor of a checkout: server {:.0} µs, PostgreSQL {:.0} µs",
                of_each(after.0 - before.0),
                of_each(after.1 - before.1)
            );
            if connections == 1 {
                let hand = by_hand(&cluster).await;
                let ratio = load.median_latency.as_secs_f64() / hand.as_secs_f64();
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
