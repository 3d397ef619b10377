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

use std::time::{Duration, Instant};

use support::purchases::sow_accounts;
use support::usage_events::{
    ACCOUNTS, EVENTS, Way, copy, random_ids, send, service_token, sow_copied, stored,
};
use support::{Cluster, ServerProcess, median, rounds, seconds};

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
    sow_accounts(&client, ACCOUNTS).await;
    sow_copied(&client).await;
    client.batch_execute("VACUUM ANALYZE").await.expect("it is analyzed");
    let token = service_token();
    let server = ServerProcess::start(&url, &[]).await;
    let time = Duration::from_secs(seconds());
    let events = async |way| send(server.port, &token, way).await.per_second * EVENTS as f64;
    fill(&client, 1_000_000).await;
    let (mut copies, mut lines, mut mutations) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds() {
        copies.push(copy(&client, time).await);
        lines.push(events(Way::Ndjson).await);
        mutations.push(events(Way::Graphql).await);
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
        late.push(events(Way::Ndjson).await);
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
