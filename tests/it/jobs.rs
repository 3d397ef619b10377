//! Jobs on several servers at once: whatever falls due is done once, whoever dies.

use std::time::Duration;

use abacus::clock::{Clock, wall};
use abacus::domain::money::Currencies;
use abacus::jobs::{JobContext, LeaseGuard, Pass, Runs, pass};
use chrono::TimeDelta;
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::TestServer;
use crate::support::process::{command, eventually, job_process, signal};
use crate::support::sequences::in_full;
use crate::support::server::another_server;

const ACCOUNTS: usize = 12;
const ORDERS: usize = 10;
const ALL: i64 = (ACCOUNTS * ORDERS) as i64;
/// Beyond the day on which the renewal of a month begins, and before its end.
const LATER: TimeDelta = TimeDelta::days(25);

/// A sandbox with accounts whose orders renew themselves.
async fn subscribers() -> TestServer {
    let server = TestServer::with(|config| config.clock = Clock::sandbox()).await;
    let plan = server.plan("Small", "1.01").await;
    for number in 0..ACCOUNTS {
        server.account(&format!("tenant-{number}"), "100").await;
    }
    let buying = (0..ACCOUNTS).flat_map(|number| {
        let customer = server.customer(&format!("tenant-{number}"));
        let plan = plan.clone();
        (0..ORDERS).map(move |key| {
            let input = json!({ "planId": plan, "autoRenewal": true, "idempotencyKey": key.to_string() });
            let customer = customer.clone();
            async move { customer.mutate("checkout", "CheckoutInput", input, "order { id }").await }
        })
    });
    join_all(buying).await;
    server
}

async fn count(server: &TestServer, query: &str) -> i64 {
    server.sql().await.query_one(query, &[]).await.unwrap().get(0)
}

const RENEWALS: &str = "SELECT count(*) FROM orders WHERE type = 'RENEW'";

/// Every order was renewed, paid and recorded once.
async fn assert_renewed_once(server: &TestServer, when: &str) {
    let twice = "SELECT count(*) FROM (SELECT FROM orders WHERE type = 'RENEW' GROUP BY previous_id HAVING count(*) > 1) t";
    assert_eq!(count(server, twice).await, 0, "{when}");
    assert_eq!(count(server, RENEWALS).await, ALL, "{when}");
    assert_eq!(
        count(server, "SELECT count(*) FROM transactions WHERE kind = 'RENEWAL'").await,
        ALL,
        "{when}"
    );
    assert_eq!(
        count(server, "SELECT count(*) FROM orders WHERE renewed_by IS NOT NULL").await,
        ALL,
        "{when}"
    );
    let balances = "SELECT count(*) FROM accounts WHERE balance <> 100 - 20 * 1.01";
    assert_eq!(count(server, balances).await, 0, "{when}");
    server.assert_ledger_is_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_all_do_the_same_reading_renew_every_order_once() {
    for round in 0..if in_full() { 20 } else { 2 } {
        let server = subscribers().await;
        let clock = Clock::standing_at(wall() + LATER);
        let servers: Vec<JobContext> =
            (0..4).map(|_| another_server(&server.database_url, &clock, Currencies::default())).collect();
        let passes = servers.iter().map(|jobs| pass(jobs, LeaseGuard::Always));
        let mut runs = Runs::default();
        for ran in join_all(passes).await {
            runs.add(&ran.unwrap().runs);
        }
        let told: i32 = runs.0.values().map(|counts| counts.ran + counts.failed).sum();
        assert_eq!(i64::from(told), ALL, "each was told of once: {runs:?}");
        assert_renewed_once(&server, &format!("round {round}")).await;
        let nothing = pass(&servers[0], LeaseGuard::Always).await.unwrap();
        assert_eq!(nothing, Pass::default());
        for jobs in servers {
            jobs.engine.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewals_are_charged_once_though_one_of_two_runners_is_killed_in_the_middle() {
    for round in 0..if in_full() { 50 } else { 3 } {
        let server = subscribers().await;
        let micros = LATER.num_microseconds().unwrap();
        let ahead = format!("INSERT INTO sandbox_clock (offset_micros) VALUES ({micros})");
        server.sql().await.batch_execute(&ahead).await.unwrap();
        // Some accounts are held by somebody else, so that the one that is killed is in the middle.
        let holder = server.sql().await;
        let held = 1 + round % (ACCOUNTS / 2);
        let hold = format!("BEGIN; SELECT FROM accounts ORDER BY id LIMIT {held} FOR UPDATE");
        holder.batch_execute(&hold).await.unwrap();
        let mut runners = [job_process(&server.database_url), job_process(&server.database_url)];
        eventually("the first renewals", 60, async || (count(&server, RENEWALS).await > 0).then_some(()))
            .await;
        tokio::time::sleep(Duration::from_millis(round as u64 * 7 % 30)).await;
        let [first, second] = &mut runners;
        let (killed, left) = if round % 2 == 0 { (first, second) } else { (second, first) };
        signal(i32::try_from(killed.id().unwrap()).unwrap(), Signal::SIGKILL);
        killed.wait().await.unwrap();
        holder.batch_execute("ROLLBACK").await.unwrap();
        eventually("all renewals", 60, async || (count(&server, RENEWALS).await == ALL).then_some(())).await;
        signal(i32::try_from(left.id().unwrap()).unwrap(), Signal::SIGTERM);
        let ended =
            tokio::time::timeout(Duration::from_secs(45), left.wait()).await.expect("it ends").unwrap();
        assert_eq!(ended.code(), Some(0), "round {round}");
        assert_renewed_once(&server, &format!("round {round}")).await;
        assert_eq!(count(&server, "SELECT count(*) FROM leases WHERE name = 'jobs'").await, 0, "given back");
    }
}

#[tokio::test]
async fn a_server_runs_its_jobs_and_one_without_them_does_not() {
    let with = TestServer::with(|config| {
        config.clock = Clock::sandbox();
        config.run_jobs = true;
    })
    .await;
    let without = TestServer::on(with.database_url.clone(), |config| config.clock = Clock::sandbox()).await;
    let plan = with.plan("Small", "1.01").await;
    with.account("tenant", "100").await;
    let input = json!({ "planId": plan, "autoRenewal": true, "idempotencyKey": "1" });
    with.customer("tenant").mutate("checkout", "CheckoutInput", input, "order { id }").await;
    with.server.stop().await;
    let micros = LATER.num_microseconds().unwrap();
    let ahead = format!("INSERT INTO sandbox_clock (offset_micros) VALUES ({micros})");
    without.sql().await.batch_execute(&ahead).await.unwrap();
    eventually("the clock of the other", 30, async || {
        (without.server.app.clock.now() > wall() + LATER - TimeDelta::hours(1)).then_some(())
    })
    .await;
    assert_eq!(count(&without, RENEWALS).await, 0);
    let again = TestServer::on(without.database_url.clone(), |config| {
        config.clock = Clock::sandbox();
        config.run_jobs = true;
    })
    .await;
    eventually("the renewal", 30, async || (count(&again, RENEWALS).await == 1).then_some(())).await;
    let metrics = again
        .operator()
        .request(reqwest::Method::GET, "/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("abacus_jobs_total"), "{metrics}");
}

#[tokio::test]
async fn jobs_of_their_own_process_tell_how_they_are() {
    let server = TestServer::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut process = command(&["jobs", "--sandbox", "--listen", &address])
        .env("DATABASE_URL", &server.database_url)
        .env("RUST_LOG", "off")
        .kill_on_drop(true)
        .spawn()
        .expect("jobs start");
    let told = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}{path}")).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    };
    let healthy = eventually("an answer", 60, async || told("/healthz").await).await;
    assert_eq!(healthy, (200, "ok\n".to_owned()));
    assert_eq!(told("/readyz").await.unwrap(), (200, "ready\n".to_owned()));
    assert!(told("/metrics").await.unwrap().1.contains("abacus_sql_statements_total"));
    assert_eq!(told("/graphql").await.unwrap().0, 404);
    signal(i32::try_from(process.id().unwrap()).unwrap(), Signal::SIGTERM);
    assert_eq!(process.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_server_that_leaves_its_jobs_to_others_needs_a_database_that_they_reach() {
    let (status, _, said) = crate::support::process::outcome(&mut command(&["serve", "--no-jobs"])).await;
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("--no-jobs needs a DATABASE_URL"), "{said}");
}

#[tokio::test]
async fn jobs_need_a_database_that_others_serve() {
    let mut jobs = command(&["jobs"]);
    let (status, _, said) = crate::support::process::outcome(&mut jobs).await;
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("DATABASE_URL"), "{said}");
}
