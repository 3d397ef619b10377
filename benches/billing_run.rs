//! A month of 100,000 accounts × 5 resources is billed by `abacus bill`, next to one SQL statement that sums the same usage
//! into a table, in the same run on the same cluster.
//!
//! Each account has a report of each resource a day, four that add up and one of which the greatest counts. Rows lie as they
//! came in, day by day. ABACUS_BENCH_ACCOUNTS sets how many accounts there are; with ABACUS_BENCH_GAUGE the fifth resource
//! is a gauge that is reported every hour.
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic
)]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Cluster, median, memory_high};

/// The months that are billed, one after the other.
const MONTHS: [(&str, &str, &str); 2] =
    [("2026-01", "2026-01-01", "2026-02-01"), ("2026-02", "2026-02-01", "2026-03-01")];

const ACCOUNTS: &str = "
INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, balance, last_no, created_at)
    SELECT 1000 + i, 'bench-' || i, 'Bench', 'MAIN', 'ACTIVE', 'CNY', 'UTC', 100000, 0, '2026-01-01T00:00:00Z'
    FROM generate_series(1, $ACCOUNTS) i;
INSERT INTO namespaces SELECT namespace, id FROM accounts;
INSERT INTO resources (code, name, unit, resource_type, aggregation) VALUES ('egress', 'Egress', 'GB', 'CLOUD', 'SUM'),
    ('peak', 'Peak', 'conn', 'CLOUD', 'MAX');
WITH d AS (INSERT INTO price_definitions (kind, type, description, currency, terms, created_at) VALUES ('BASE', '', '', 'CNY', '{\"Base\":[
    {\"resource\":\"transfer_out\",\"mode\":\"GRADUATED\",\"per\":\"1\",\"round_up\":false,\"tiers\":[{\"from\":\"0\",\"unit_price\":\"0.29\",\"flat_fee\":\"0\"},{\"from\":\"100\",\"unit_price\":\"0.27\",\"flat_fee\":\"0\"}]},
    {\"resource\":\"egress\",\"mode\":\"GRADUATED\",\"per\":\"1\",\"round_up\":false,\"tiers\":[{\"from\":\"0\",\"unit_price\":\"0.1\",\"flat_fee\":\"0\"}]},
    {\"resource\":\"api_get\",\"mode\":\"GRADUATED\",\"per\":\"1000\",\"round_up\":false,\"tiers\":[{\"from\":\"0\",\"unit_price\":\"0.01\",\"flat_fee\":\"0\"}]},
    {\"resource\":\"api_put\",\"mode\":\"GRADUATED\",\"per\":\"1000\",\"round_up\":false,\"tiers\":[{\"from\":\"0\",\"unit_price\":\"0.1\",\"flat_fee\":\"0\"}]},
    {\"resource\":\"space\",\"mode\":\"GRADUATED\",\"per\":\"1\",\"round_up\":false,\"tiers\":[{\"from\":\"0\",\"unit_price\":\"0\",\"flat_fee\":\"0\"},{\"from\":\"1\",\"unit_price\":\"0.165\",\"flat_fee\":\"0\"}]},
    {\"resource\":\"peak\",\"mode\":\"VOLUME\",\"per\":\"1\",\"round_up\":false,\"tiers\":[{\"from\":\"0\",\"unit_price\":\"0.05\",\"flat_fee\":\"1\"}]}]}', now()) RETURNING id)
INSERT INTO price_rules (account_id, definition_id, effective_from, created_at, created_by) SELECT NULL, id, '2020-01-01T00:00:00Z', now(), 'bench' FROM d;
";

/// A day's reports of the fifth resource.
const PEAK: &str = "
INSERT INTO usage_hours SELECT 1000 + i, 'peak', '$DAY'::date::timestamp AT TIME ZONE 'UTC' + (i % 24) * interval '1 hour', '', 1 + i % 91, 24
    FROM generate_series(1, $ACCOUNTS) i;
";
const GAUGE: &str = "
INSERT INTO usage_samples SELECT 1000 + i, 'space', '$DAY'::date::timestamp AT TIME ZONE 'UTC' + h * interval '1 hour', '', 1 + i % 91, '$DAY'::date, 1
    FROM generate_series(1, $ACCOUNTS) i, generate_series(0, 23) h;
";

/// A day's usage of all accounts.
const DAY: &str = "
INSERT INTO usage_hours SELECT 1000 + i, r, '$DAY'::date::timestamp AT TIME ZONE 'UTC' + (i % 24) * interval '1 hour', '', 1 + i % 97 * 0.25, 24
    FROM generate_series(1, $ACCOUNTS) i, unnest(ARRAY['transfer_out', 'egress', 'api_get', 'api_put']) r;
";

const AGGREGATION: &str = "
CREATE TABLE sums AS SELECT account_id, resource_code, CASE WHEN resource_code = 'peak' THEN max(quantity) ELSE sum(quantity) END AS quantity
    FROM usage_hours
    WHERE hour >= '$FROM'::date::timestamp AT TIME ZONE 'UTC' AND hour < '$TO'::date::timestamp AT TIME ZONE 'UTC' GROUP BY 1, 2
  UNION ALL SELECT account_id, resource_code, avg(quantity) FROM usage_samples
    WHERE slot >= '$FROM'::date::timestamp AT TIME ZONE 'UTC' AND slot < '$TO'::date::timestamp AT TIME ZONE 'UTC' GROUP BY 1, 2
";

/// Bills a month: how long it took, and the most memory that it had, in MB.
fn bill(url: &str, month: &str) -> (Duration, u64) {
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_abacus"))
        .args(["bill", "--month", month])
        .env("DATABASE_URL", url)
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .spawn()
        .expect("abacus runs");
    let mut peak = 0;
    let status = loop {
        peak = peak.max(memory_high(&child.id().to_string()));
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "abacus bill failed");
    (begin.elapsed(), peak)
}

#[tokio::main]
async fn main() {
    let accounts: usize =
        std::env::var("ABACUS_BENCH_ACCOUNTS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let cluster = Cluster::start().await;
    let url = cluster.database("abacus").await;
    let client = cluster.client("abacus").await;
    let with = |script: &str| script.replace("$ACCOUNTS", &accounts.to_string());
    client.batch_execute(&with(ACCOUNTS)).await.expect("accounts");
    // As a server would that has begun on it.
    client.batch_execute("INSERT INTO installation (kind) VALUES ('PRODUCTION')").await.expect("a kind");
    let fifth = if std::env::var("ABACUS_BENCH_GAUGE").is_ok() { GAUGE } else { PEAK };
    let begin = Instant::now();
    for (_, from, to) in MONTHS {
        let days = format!(
            "SELECT to_char(d, 'YYYY-MM-DD') FROM generate_series('{from}'::date, '{to}'::date - 1, interval '1 day') d"
        );
        for day in client.query(&days, &[]).await.unwrap() {
            let usage = format!("{DAY}{fifth}");
            client.batch_execute(&with(&usage).replace("$DAY", day.get(0))).await.expect("a day of usage");
        }
    }
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    println!(
        "{accounts} accounts with reports of 5 resources, stored in {:.0} s\n",
        begin.elapsed().as_secs_f64()
    );

    let (mut ratios, mut rates, mut peak) = (Vec::new(), Vec::new(), 0);
    for (month, from, to) in MONTHS {
        let mut sums = Vec::new();
        for _ in 0..3 {
            client.batch_execute("DROP TABLE IF EXISTS sums; CHECKPOINT").await.unwrap();
            let begin = Instant::now();
            let statement = AGGREGATION.replace("$FROM", from).replace("$TO", to);
            client.batch_execute(&statement).await.expect("the sums");
            sums.push(begin.elapsed().as_secs_f64());
        }
        cluster.settle("abacus").await;
        let sql = median(sums);
        // Every other month that is over, and in which nothing was used, is closed with the last of them.
        let (took, memory) = bill(&url, month);
        let took = took.as_secs_f64();
        let query = "SELECT count(*), count(*) FILTER (WHERE status = 'PAID') FROM bills WHERE start_time = $1::text::date::timestamp AT TIME ZONE 'UTC'";
        let row = client.query_one(query, &[&from]).await.unwrap();
        assert_eq!(
            (row.get::<_, i64>(0), row.get::<_, i64>(1)),
            (accounts as i64, accounts as i64),
            "bills of {month}"
        );
        println!(
            "{month}: SQL {sql:.1} s, billed in {took:.1} s = {:.2} × that; {:.0} accounts/s; at most {memory} MB",
            took / sql,
            accounts as f64 / took
        );
        ratios.push(took / sql);
        rates.push(accounts as f64 / took);
        peak = peak.max(memory);
    }
    println!("\naccounts billed per second: {:.0}", median(rates));
    println!("time to that of one SQL aggregation: {:.2} (at most 3)", median(ratios));
    println!("memory: {peak} MB (at most 500)");
    cluster.stop().await;
}
