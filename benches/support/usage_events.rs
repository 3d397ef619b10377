//! Usage as agents report it, 1,000 events a request, and the same rows by COPY.

use std::fmt::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use abacus::clock::wall;
use abacus::domain::viewer::Role;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::SinkExt;

use super::{HttpClient, Load, find, load, scatter, token_key};

/// The accounts that use something.
pub const ACCOUNTS: Range<u64> = 1_000_000..1_010_000;
/// Events of a request.
pub const EVENTS: u64 = 1_000;
const CONNECTIONS: usize = 16;
/// Three that add up, and a gauge.
const RESOURCES: [&str; 4] = ["transfer_out", "api_get", "api_put", "space"];

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Whether ids come in no order, which is the worst for their index; else as agents count them.
pub fn random_ids() -> bool {
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
    let account = ACCOUNTS.start + random % (ACCOUNTS.end - ACCOUNTS.start);
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
pub enum Way {
    Ndjson,
    Graphql,
}

pub fn service_token() -> String {
    token_key().issue("bench", Role::Service, None, wall(), 36_000).expect("a token")
}

/// Sends requests of 1,000 events each for a while.
pub async fn send(port: u16, token: &str, way: Way) -> Load {
    let token = token.to_owned();
    let next = move |_, _| match way {
        Way::Ndjson => HttpClient::request_to("/usage", "application/x-ndjson", &token, &ndjson()),
        Way::Graphql => HttpClient::request(&token, &graphql()),
    };
    let all: [&[u8]; 2] = match way {
        Way::Ndjson => [b"{\"accepted\":1000,", b"\"rejected\":0}"],
        Way::Graphql => [b"\"accepted\":1000,", b"\"userErrors\":[]}}}"],
    };
    let check = move |answer: &[u8]| {
        assert!(all.iter().all(|part| find(answer, part).is_some()), "{}", String::from_utf8_lossy(answer));
    };
    load(port, CONNECTIONS, next, check).await
}

/// A table for COPY with the same unique index.
pub async fn sow_copied(client: &tokio_postgres::Client) {
    let script = "CREATE TABLE copied (LIKE usage_events);
        CREATE UNIQUE INDEX ON copied (account_id, event_id COLLATE \"C\")";
    client.batch_execute(script).await.expect("a table");
}

/// Copies rows for a while, 100,000 a COPY; answers rows per second.
pub async fn copy(client: &tokio_postgres::Client, time: Duration) -> f64 {
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

/// How many events there are.
pub async fn stored(client: &tokio_postgres::Client) -> i64 {
    client.query_one("SELECT count(*) FROM usage_marks", &[]).await.unwrap().get(0)
}
