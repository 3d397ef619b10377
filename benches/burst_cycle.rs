//! A burst cycle charges 100,000 accounts for 4 resources each, next to one SQL statement that works the same amounts out and
//! writes them into a table, in the same run on the same cluster.
//!
//! Each resource is reported every 5 minutes, for two hours; each account has a plan that includes half of what it uses. Rows
//! lie as they came in, slot by slot. ABACUS_BENCH_ACCOUNTS sets how many accounts there are.
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
use std::time::Instant;

use abacus::clock::Clock;
use abacus::domain::money::Currencies;
use abacus::engine::{Engine, EngineConfig};
use abacus::jobs::burst::burst_pass;
use abacus::jobs::{JobContext, LEASE_SECONDS_DEFAULT, LeaseGuard};
use abacus::payments::Providers;
use abacus::store::cells::Cells;
use abacus::store::database::Database;
use chrono::{DateTime, TimeDelta, Utc};
use support::{Cluster, median, memory_high};

/// A tenth of a cycle's 5 minutes.
const SECONDS_MAX: f64 = 30.0;
const RESOURCES: i64 = 4;
/// The cycles that are run, one after the other.
const CYCLES: i32 = 4;
const BEGIN: &str = "2026-03-01T12:00:00Z";

const MARKET: &str = "
INSERT INTO resources (code, name, unit, resource_type, aggregation) VALUES ('ghz', 'Processors', 'MHz', 'CLOUD', 'LAST'),
    ('ram', 'Memory', 'byte', 'CLOUD', 'LAST'), ('disk', 'Disk', 'byte', 'CLOUD', 'LAST'), ('address', 'Addresses', 'IP', 'CLOUD', 'LAST');
INSERT INTO resource_prices (resource_code, currency, level, price, unit, multiplier, effective_from)
    SELECT r.code, 'CNY', l, l * r.price, r.unit, r.multiplier, '2026-01-01T00:00:00Z' FROM generate_series(0, 20) l, (VALUES
        ('ghz', 0.0193, 'GHz/hour', 3600000), ('ram', 0.0168, 'GB/hour', 3865470566400),
        ('disk', 0.14, 'GB/month', 2783138807808000), ('address', 5, 'count/month', 2592000)) r (code, price, unit, multiplier);
INSERT INTO burst_capacities (resource_code, capacity, curve, effective_from)
    SELECT code, 99999999999999, '[{\"from\":\"0\",\"level\":1},{\"from\":\"0.5\",\"level\":2}]', '2026-03-01T00:00:00Z'
    FROM resources WHERE code IN ('ghz', 'ram', 'disk', 'address');
INSERT INTO burst_levels (resource_code, cycle, level, used) SELECT resource_code, 0, 1, 0 FROM burst_capacities;
INSERT INTO plans (id, name, type, resource_type, currency, price, bill_period, description, created_at)
    VALUES ('01900000-0000-7000-8000-000000000001', 'Half', 'C', 'CLOUD', 'CNY', 1, 'YEAR', '', '2026-01-01T00:00:00Z');
INSERT INTO plan_resources SELECT '01900000-0000-7000-8000-000000000001', code, amount FROM (VALUES ('ghz', 2000), ('ram', 4294967296),
    ('disk', 53687091200), ('address', 1)) r (code, amount);
INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, balance, last_no, created_at)
    SELECT 1000 + i, 'bench-' || i, 'Bench', 'MAIN', 'ACTIVE', 'CNY', 'UTC', 100000, 1, '2026-01-01T00:00:00Z' FROM generate_series(1, $ACCOUNTS) i;
INSERT INTO namespaces SELECT namespace, id FROM accounts;
INSERT INTO orders (account_id, id, number, name, type, state, plan_id, exclusive, quantity, resource_type, product_name, bill_period,
        currency, price, seq, seq_count, auto_renewal, created_at, delivered_at, expires_at, anchor_at)
    SELECT id, gen_random_uuid(), 'O' || id, 'Half', 'NEW', 'ACTIVE', '01900000-0000-7000-8000-000000000001', false, 1, 'CLOUD', 'Half', 'YEAR',
        'CNY', 1, 1, 1, false, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', '2026-01-01T00:00:00Z' FROM accounts;
UPDATE burst_progress SET next_cycle = extract(epoch FROM '$BEGIN'::timestamptz)::int / 300;
";

/// A slot's reports.
const SLOT: &str = "
INSERT INTO usage_samples SELECT 1000 + i, r.code, '$SLOT'::timestamptz, 'server-' || i, r.least + (i % 97)::bigint * r.step, '$SLOT', 1
    FROM generate_series(1, $ACCOUNTS) i, (VALUES ('ghz', 4000, 10), ('ram', 8589934592, 1048576), ('disk', 107374182400, 1073741824),
        ('address', 2, 1)) r (code, least, step);
INSERT INTO gauge_slots VALUES ('$SLOT');
";

const AMOUNTS: &str = "
CREATE TABLE amounts AS SELECT u.account_id, u.resource_code, sum(u.quantity) AS used, min(p.amount) AS subscribed,
        (sum(u.quantity) - min(p.amount)) * 0.0193 * 300 / 3600000 AS charge
    FROM (SELECT DISTINCT ON (account_id, resource_code, subject) account_id, resource_code, quantity FROM usage_samples
        WHERE slot > '$SLOT'::timestamptz - interval '1 hour' AND slot <= '$SLOT' ORDER BY account_id, resource_code, subject, slot DESC) u
    JOIN orders o ON o.account_id = u.account_id JOIN plan_resources p ON p.plan_id = o.plan_id AND p.resource_code = u.resource_code
    GROUP BY u.account_id, u.resource_code
";

#[tokio::main]
async fn main() {
    let accounts: i64 =
        std::env::var("ABACUS_BENCH_ACCOUNTS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let cluster = Cluster::start().await;
    let url = cluster.database("abacus").await;
    let client = cluster.client("abacus").await;
    let begin: DateTime<Utc> = BEGIN.parse().unwrap();
    let with = |script: &str| script.replace("$ACCOUNTS", &accounts.to_string()).replace("$BEGIN", BEGIN);
    client.batch_execute(&with(MARKET)).await.expect("accounts");
    let started = Instant::now();
    for slot in -24..CYCLES {
        let slot = begin + TimeDelta::minutes(5) * slot;
        client.batch_execute(&with(SLOT).replace("$SLOT", &slot.to_rfc3339())).await.expect("a slot");
    }
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    println!(
        "{accounts} accounts with 5-minute reports of {RESOURCES} gauges, stored in {:.0} s\n",
        started.elapsed().as_secs_f64()
    );

    let clock = Clock::standing_at(begin);
    let cells = Cells::one(Database::new(&url, 8).unwrap());
    let currencies = Arc::new(Currencies::default());
    let engine = Arc::new(Engine::start(&EngineConfig::default(), &cells, &currencies, &clock));
    let jobs = JobContext::new(
        cells,
        engine,
        clock.clone(),
        currencies,
        Providers::default(),
        LEASE_SECONDS_DEFAULT,
    );
    let (mut seconds, mut ratios) = (Vec::new(), Vec::new());
    for cycle in 0..CYCLES {
        let slot = begin + TimeDelta::minutes(5) * cycle;
        let mut amounts = Vec::new();
        for _ in 0..3 {
            client.batch_execute("DROP TABLE IF EXISTS amounts; CHECKPOINT").await.unwrap();
            let begin = Instant::now();
            client.batch_execute(&AMOUNTS.replace("$SLOT", &slot.to_rfc3339())).await.expect("the amounts");
            amounts.push(begin.elapsed().as_secs_f64());
        }
        cluster.settle("abacus").await;
        clock.move_to(slot + TimeDelta::minutes(5));
        let begin = Instant::now();
        burst_pass(&jobs, &LeaseGuard::Always).await.expect("a cycle");
        let took = begin.elapsed().as_secs_f64();
        let charged: i64 = client
            .query_one("SELECT count(*) FROM ledger_entries WHERE billing_cycle = extract(epoch FROM $1::text::timestamptz)::int / 300",
                &[&slot.to_rfc3339()])
            .await
            .unwrap()
            .get(0);
        assert_eq!(charged, accounts * RESOURCES, "entries of the cycle");
        let sql = median(amounts);
        println!(
            "cycle {}: {took:.1} s, {:.0} accounts/s; the amounts alone in SQL {sql:.1} s, {:.2} × that",
            cycle + 1,
            accounts as f64 / took,
            took / sql
        );
        seconds.push(took);
        ratios.push(took / sql);
    }
    jobs.engine.stop().await;
    let took = median(seconds);
    println!("\naccounts charged per second: {:.0}", accounts as f64 / took);
    println!("a cycle of {accounts} accounts: {took:.1} s (at most {SECONDS_MAX})");
    println!("time to that of the amounts in SQL: {:.2}", median(ratios));
    println!("memory: {} MB", memory_high("self"));
    cluster.stop().await;
}
