//! Usage events per second over HTTP, 1,000 a request, next to a bare COPY of the same rows into a table with the same
//! unique index on the same cluster; and the rate once many events are stored.
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic
)]

mod support;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use abacus::clock::wall;
use abacus::domain::viewer::Role;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::SinkExt;
use support::{Cluster, ServerProcess, find, median, rounds, scatter, seconds, token_key};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ACCOUNTS: u64 = 10_000;
const FIRST_ACCOUNT: u64 = 1_000_000;
const EVENTS: u64 = 1_000;
const CONNECTIONS: usize = 16;
/// Three that add up, and a gauge.
const RESOURCES: [&str; 4] = ["transfer_out", "api_get", "api_put", "space"];

const SEED: &str = "
INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, balance, created_at)
    SELECT i, 'bench-' || i, 'Bench', 'MAIN', 'ACTIVE', 'CNY', 'Asia/Shanghai', 0, now()
    FROM generate_series(1000000, 1009999) i;
INSERT INTO namespaces SELECT namespace, id FROM accounts;
CREATE TABLE copied (LIKE usage_events);
CREATE UNIQUE INDEX ON copied (account_id, event_id COLLATE \"C\");
VACUUM ANALYZE;
";

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Whether ids come in no order, which is the worst for their index; else as agents count them.
fn random_ids() -> bool {
    static RANDOM: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *RANDOM.get_or_init(|| std::env::var_os("ABACUS_BENCH_RANDOM_IDS").is_some())
}

/// The event of a number, as senders make them: an agent counts its own.
struct Event {
    id: String,
    account: u64,
    resource: &'static str,
    quantity: u64,
    time: DateTime<Utc>,
}

fn event(now: DateTime<Utc>) -> Event {
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let random = scatter(number);
    let account = FIRST_ACCOUNT + random % ACCOUNTS;
    // An account is metered by one agent, which counts its own events; with random ids, by anybody.
    let agent = if random_ids() { scatter(random) % 100_000_000 } else { account % 32 };
    Event {
        id: format!("agent-{agent:08}-{number:010}"),
        account,
        resource: RESOURCES[(random >> 20) as usize % RESOURCES.len()],
        quantity: (random >> 30) % 100_000,
        time: now - TimeDelta::milliseconds(((random >> 40) % 300_000) as i64),
    }
}

fn ndjson() -> String {
    let now = wall();
    let mut body = String::with_capacity(EVENTS as usize * 170);
    for _ in 0..EVENTS {
        let Event { id, account, resource, quantity, time } = event(now);
        let (whole, cents, time) = (quantity / 100, quantity % 100, time.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
        writeln!(
            body,
            r#"{{"id":"{id}","accountId":"acc_{account}","resource":"{resource}","quantity":"{whole}.{cents:02}","time":"{time}","subject":"srv-{account}"}}"#
        )
        .unwrap();
    }
    body
}

fn graphql() -> String {
    let now = wall();
    let mut body = String::with_capacity(EVENTS as usize * 170);
    body.push_str(r#"{"query":"mutation Record($input: RecordUsageInput!) { recordUsage(input: $input) { accepted results { id outcome } userErrors { code } } }","variables":{"input":{"events":["#);
    for index in 0..EVENTS {
        let Event { id, account, resource, quantity, time } = event(now);
        let (whole, cents, time) = (quantity / 100, quantity % 100, time.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
        let comma = if index == 0 { "" } else { "," };
        write!(
            body,
            r#"{comma}{{"id":"{id}","accountId":"acc_{account}","resource":"{resource}","quantity":"{whole}.{cents:02}","time":"{time}","subject":"srv-{account}"}}"#
        )
        .unwrap();
    }
    body.push_str("]}}}");
    body
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Ndjson,
    Graphql,
}

/// Sends requests for a while; answers events per second.
async fn send(port: u16, token: &Arc<String>, way: Way, time: Duration) -> f64 {
    let begin = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| {
        let token = Arc::clone(token);
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut sent = 0;
            let mut buffer = Vec::with_capacity(256 * 1024);
            while begin.elapsed() < time {
                let (path, content_type, body) = match way {
                    Way::Ndjson => ("/usage", "application/x-ndjson", ndjson()),
                    Way::Graphql => ("/graphql", "application/json", graphql()),
                };
                let head = format!(
                    "POST {path} HTTP/1.1\r\nhost: b\r\nauthorization: Bearer {token}\r\ncontent-type: {content_type}\r\n\
                     content-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(body.as_bytes()).await.unwrap();
                buffer.clear();
                let end: &[u8] = if way == Way::Ndjson { b"\"rejected\":0}\n\r\n0\r\n\r\n" } else { b"\"userErrors\":[]}}}" };
                let accepted = if way == Way::Ndjson { "{\"accepted\":1000," } else { "\"accepted\":1000," };
                while !buffer.ends_with(end) {
                    let read = stream.read_buf(&mut buffer).await.unwrap();
                    assert!(read > 0 && buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer));
                }
                assert!(find(&buffer, accepted.as_bytes()).is_some(), "{}", String::from_utf8_lossy(&buffer));
                sent += EVENTS;
            }
            sent
        })
    });
    let mut sent = 0;
    for client in clients.collect::<Vec<_>>() {
        sent += client.await.unwrap();
    }
    sent as f64 / begin.elapsed().as_secs_f64()
}

/// Copies rows for a while, 100,000 a COPY; answers rows per second.
async fn copy(client: &tokio_postgres::Client, time: Duration) -> f64 {
    const ROWS: u64 = 100_000;
    let begin = Instant::now();
    let mut copied = 0;
    while begin.elapsed() < time {
        let into = "COPY copied (account_id, event_id, resource_code, quantity, time, subject, received_at) FROM STDIN";
        let sink = client.copy_in::<_, bytes::Bytes>(into).await.unwrap();
        tokio::pin!(sink);
        let now = wall();
        for _ in 0..ROWS / EVENTS {
            let mut rows = String::with_capacity(EVENTS as usize * 120);
            for _ in 0..EVENTS {
                let Event { id, account, resource, quantity, time } = event(now);
                let (whole, cents, time) =
                    (quantity / 100, quantity % 100, time.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
                writeln!(
                    rows,
                    "{account}\t{id}\t{resource}\t{whole}.{cents:02}\t{time}\tsrv-{account}\t{time}"
                )
                .unwrap();
            }
            sink.send(rows.into()).await.unwrap();
        }
        copied += sink.finish().await.unwrap();
    }
    copied as f64 / begin.elapsed().as_secs_f64()
}

async fn stored(client: &tokio_postgres::Client) -> i64 {
    client.query_one("SELECT count(*) FROM usage_marks", &[]).await.unwrap().get(0)
}

/// Stores events past the server until there are so many.
async fn fill(client: &tokio_postgres::Client, events: i64) {
    let before = stored(client).await;
    let missing = events - before;
    let begin = Instant::now();
    let agent = if random_ids() { "(random() * 99999999)::bigint" } else { "account % 32" };
    let mut done = 0;
    while done < missing {
        let part = (missing - done).min(1_000_000);
        let script = format!(
            "SET LOCAL synchronous_commit = off;
             CREATE TEMP TABLE made ON COMMIT DROP AS SELECT account,
                'agent-' || lpad(({agent})::text, 8, '0') || '-' || lpad((g - 100000000)::text, 10, '0') AS id,
                (ARRAY['transfer_out', 'api_get', 'api_put'])[1 + g % 3] AS resource, (random() * 1000)::numeric(10, 2) AS quantity,
                now() - interval '1 day' - random() * interval '2 days' AS at
                FROM (SELECT g, 1000000 + (random() * 9999)::bigint AS account FROM generate_series({before} + {done} + 1, {before} + {done} + {part}) g) r;
             SELECT make_usage_month(month::date) FROM generate_series(now() - interval '31 days', now(), interval '1 day') month;
             INSERT INTO usage_marks SELECT account, id, hashtext(id) FROM made;
             INSERT INTO usage_events SELECT account, id, resource, quantity, at, 'srv-' || account, NULL, NULL, now() FROM made;
             INSERT INTO usage_hours SELECT account, resource, date_trunc('hour', at), 'srv-' || account, sum(quantity), count(*)
                FROM made GROUP BY 1, 2, 3, 4
                ON CONFLICT (account_id, resource_code, hour, subject) DO UPDATE SET quantity = usage_hours.quantity + excluded.quantity,
                    version = usage_hours.version + excluded.version"
        );
        client.batch_execute(&format!("BEGIN; {script}; COMMIT")).await.expect("rows");
        done += part;
    }
    for statement in ["VACUUM ANALYZE usage_marks", "VACUUM ANALYZE usage_hours", "CHECKPOINT"] {
        client.batch_execute(statement).await.unwrap();
    }
    println!("{missing} events were stored past the server in {:.0} s", begin.elapsed().as_secs_f64());
}

#[tokio::main]
async fn main() {
    let many: i64 =
        std::env::var("ABACUS_BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000_000);
    let cluster = Cluster::start().await;
    let url = cluster.database("abacus").await;
    let client = cluster.client("abacus").await;
    for statement in SEED.split_inclusive(";\n").filter(|text| !text.trim().is_empty()) {
        client.batch_execute(statement).await.expect("the seed is sown");
    }
    let token = Arc::new(token_key().issue("bench", Role::Service, None, wall(), 36_000).unwrap());
    let server = ServerProcess::start(&url, &[]).await;
    let time = Duration::from_secs(seconds());
    fill(&client, 1_000_000).await;
    let (mut copies, mut lines, mut mutations) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds() {
        copies.push(copy(&client, time).await);
        lines.push(send(server.port, &token, Way::Ndjson, time).await);
        mutations.push(send(server.port, &token, Way::Graphql, time).await);
        println!(
            "round {round}: COPY {:>8.0}/s, NDJSON {:>8.0}/s ({:.2}), GraphQL {:>8.0}/s ({:.2})",
            copies[round - 1],
            lines[round - 1],
            lines[round - 1] / copies[round - 1],
            mutations[round - 1],
            mutations[round - 1] / copies[round - 1],
        );
    }
    let (copied, few) = (median(copies), median(lines));
    println!("\nmedians of {} rounds, {} events stored by now", rounds(), stored(&client).await);
    println!("a bare COPY into a table with the same unique index: {copied:.0}/s");
    println!("NDJSON:  {few:.0}/s, ratio {:.2} (at least 0.40)", few / copied);
    let graphql = median(mutations);
    println!("GraphQL: {graphql:.0}/s, ratio {:.2} (at least 0.25)", graphql / copied);

    client.batch_execute("TRUNCATE copied").await.unwrap();
    fill(&client, many).await;
    let mut late = Vec::new();
    for _ in 0..rounds() {
        late.push(send(server.port, &token, Way::Ndjson, time).await);
    }
    let late = median(late);
    println!(
        "NDJSON with {} events stored: {late:.0}/s, {:.2} of the rate before (at least 0.70)",
        stored(&client).await,
        late / few
    );
    drop(server);
    cluster.stop().await;
}
