//! 1,000,000 orders of one account: pages by cursor, the first against the ten-thousandth, and words in numbers and names,
//! over HTTP on one connection.
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic
)]

mod support;

use std::time::Instant;

use abacus::clock::wall;
use abacus::domain::viewer::Role;
use support::{Cluster, HttpClient, ServerProcess, find, median, rounds, token_key};

/// Orders a minute apart; a few old ones have a name of their own, and a twelfth belongs to other accounts.
const SEED: &str = "
CREATE FUNCTION pg_temp.owned_id(g bigint, account bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((1700000000000 + g * 60000)::bigint), 12, '0') || '7000'
        || to_hex((x'8000000000000000'::bigint | (account << 29) | g)))::uuid $$;
INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, balance, created_at)
    SELECT i, 'bench-' || i, 'Bench', 'MAIN', 'ACTIVE', 'CNY', 'Asia/Shanghai', 100, now()
    FROM generate_series(2001, 2010) i;
INSERT INTO namespaces SELECT namespace, id FROM accounts;
INSERT INTO orders (account_id, id, number, name, type, state, exclusive, quantity, region, resource_type, product_name,
        bill_period, currency, price, seq, seq_count, auto_renewal, created_at)
    SELECT a, pg_temp.owned_id(g, a), 'O' || a || '-' || to_char(to_timestamp(1700000000 + g * 60) AT TIME ZONE 'UTC', 'YYYYMMDD') || '-' || g,
        CASE WHEN g % 100000 = 7 AND g < 600000 THEN '云硬盘 高性能' ELSE (ARRAY['云服务器 S', '云服务器 M', '云服务器 L', 'Cloud Server',
            'Object Storage', '负载均衡', '弹性公网IP', 'Pool S', 'Pool L', '机柜 1U'])[1 + g % 10] || ' ' || g % 50 END,
        'NEW', 'ACTIVE', false, 1, 'cn-north-1', 'CLOUD', 'Plan A', 'MONTH', 'CNY', 12.23, 1, 1, false,
        to_timestamp(1700000000 + g * 60)
    FROM (SELECT g, CASE WHEN g % 12 > 0 THEN 2001 ELSE 2002 + g % 9 END AS a FROM generate_series(1, 1090910) g) r;
INSERT INTO product_names SELECT DISTINCT name FROM orders ON CONFLICT DO NOTHING;
VACUUM ANALYZE;
";

/// Requests of one measurement.
const REQUESTS: usize = 300;
const PAGE: i64 = 10;
const DEEP: i64 = 10_000;

fn body(arguments: &str) -> String {
    format!(
        r#"{{"query":"{{ orders(accountId: \"acc_2001\", first: {PAGE}{arguments}) {{ nodes {{ id number name state }} }} }}"}}"#
    )
}

/// The median time of a request, in microseconds, and how many orders it answers.
async fn measure(client: &mut HttpClient, token: &str, body: &str) -> (f64, usize) {
    let request = HttpClient::request(token, body);
    let mut times = Vec::with_capacity(REQUESTS);
    let mut found = 0;
    for _ in 0..REQUESTS {
        let begin = Instant::now();
        let answer = client.send(&request).await;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
        assert!(find(answer, b"errors").is_none(), "{}", String::from_utf8_lossy(answer));
        found = answer.windows(9).filter(|window| *window == b"\"number\":").count();
    }
    (median(times), found)
}

#[tokio::main]
async fn main() {
    let cluster = Cluster::start().await;
    let url = cluster.database("abacus").await;
    let client = cluster.client("abacus").await;
    for statement in SEED.split_inclusive(";\n").filter(|text| !text.trim().is_empty()) {
        client.batch_execute(statement).await.expect("the seed is sown");
    }
    let own: i64 =
        client.query_one("SELECT count(*) FROM orders WHERE account_id = 2001", &[]).await.unwrap().get(0);
    let skip = (DEEP - 1) * PAGE - 1;
    let cursor = format!(
        "SELECT replace(id::text, '-', '') FROM orders WHERE account_id = 2001 ORDER BY id DESC OFFSET {skip} LIMIT 1"
    );
    let cursor: String = client.query_one(&cursor, &[]).await.unwrap().get(0);
    let token = token_key().issue("bench", Role::Operator, None, wall(), 36_000).unwrap();
    let server = ServerProcess::start(&url, &["--no-jobs"]).await;
    let mut http = HttpClient::connect(server.port).await;

    println!("{own} orders of one account\n");
    let (mut firsts, mut deeps, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds() {
        let (first, _) = measure(&mut http, &token, &body("")).await;
        let (deep, found) = measure(&mut http, &token, &body(&format!(r#", after: \"{cursor}\""#))).await;
        assert_eq!(found, PAGE as usize);
        println!(
            "round {round}: page 1 {first:>6.0} µs, page {DEEP} {deep:>6.0} µs, ratio {:.2}",
            deep / first
        );
        firsts.push(first);
        deeps.push(deep);
        ratios.push(deep / first);
    }
    println!("medians: page 1 {:.0} µs, page {DEEP} {:.0} µs", median(firsts), median(deeps));
    println!("ratio: {:.2} (at most 1.5)\n", median(ratios));

    for (kind, word) in [
        ("common name", "cloud"),
        ("rare name, old", "云硬盘 高性能"),
        ("short, common", "云"),
        ("short, rare, old", "盘 "),
        ("short, in no name", "没有"),
        ("a number", "-123457"),
        ("a day, old", "-20240101-"),
        ("digits, short", "17"),
        ("in nothing", "no such word"),
    ] {
        let search = format!(r#", filter: {{ searchWord: \"{word}\" }}"#);
        let (time, found) = measure(&mut http, &token, &body(&search)).await;
        let after = format!(r#", after: \"{cursor}\", filter: {{ searchWord: \"{word}\" }}"#);
        let (deep, _) = measure(&mut http, &token, &body(&after)).await;
        println!(
            "search, {kind:<20} first page of {found:>2}: {time:>7.0} µs; from page {DEEP} on: {deep:>7.0} µs"
        );
    }
    drop(server);
    cluster.stop().await;
}
