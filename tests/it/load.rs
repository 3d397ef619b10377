//! Many clients at once, a third of whose requests never arrive whole: everything is done once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::json;
use tokio::sync::watch;

use crate::support::load::Load;
use crate::support::process::eventually;
use crate::support::sequences::in_full;
use crate::support::{TestServer, server};
use abacus::domain::viewer::Role;

const CLIENTS: usize = 64;
const ACCOUNTS: usize = 8;
const OPENING: &str = "1000000";

async fn load_on(server: &TestServer) -> Load {
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        accounts.push(server.account(&format!("load-{number}"), OPENING).await);
    }
    Load {
        token: server::token(Role::Operator, None, 3_600),
        plan: server.plan("Plan C", "88.88").await,
        price: Decimal::new(8_888, 2),
        accounts,
        drops: 1,
    }
}

/// Runs the load on these servers of one database, and asserts that each deed was done once.
async fn everything_is_done_once(servers: &[&TestServer]) {
    let each = if in_full() { 100 } else { 8 };
    let load = load_on(servers[0]).await;
    let addresses = servers.iter().map(|server| server.server.address.to_string()).collect();
    let (_keep, addresses) = watch::channel(addresses);
    let answered = Arc::new(AtomicUsize::new(0));
    let running = load.run(CLIENTS, each, addresses, Arc::clone(&answered));
    tokio::pin!(running);
    let mut checks = tokio::time::interval(Duration::from_millis(500));
    let done = loop {
        tokio::select! {
            done = &mut running => break done,
            // In the middle of it all, too.
            _ = checks.tick() => { servers[0].assert_ledger_is_healthy().await; }
        }
    };
    assert_eq!(answered.load(Ordering::SeqCst), CLIENTS * each);
    assert_eq!(done.told.len(), CLIENTS * each);

    let sql = servers[0].sql().await;
    nothing_is_left_open(&sql).await;
    done.assert_done_once(&load, OPENING.parse().unwrap(), &sql).await;
    let entries = servers[0].assert_ledger_is_healthy().await;
    assert_eq!(usize::try_from(entries).unwrap(), CLIENTS * each + ACCOUNTS);
}

/// No session is left in a transaction: bounded, as repeats that nobody waits for may still be under way.
async fn nothing_is_left_open(sql: &tokio_postgres::Client) {
    let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid() AND (state LIKE 'idle in transaction%' OR state = 'active')";
    eventually("no session in a transaction", 5, async || {
        let open: i64 = sql.query_one(query, &[]).await.unwrap().get(0);
        (open == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_lose_a_third_of_their_requests_have_everything_done_once() {
    let server = TestServer::start().await;
    everything_is_done_once(&[&server]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_database_do_everything_once() {
    let first = TestServer::start().await;
    let second = TestServer::on(first.database_url.clone(), |_| {}).await;
    everything_is_done_once(&[&first, &second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_from_many_clients_at_once_on_two_servers_is_done_once() {
    let first = TestServer::start().await;
    let second = TestServer::on(first.database_url.clone(), |_| {}).await;
    let account = first.account("chaizs", "100").await;
    let input = json!({ "accountId": account, "amount": "1.50", "idempotencyKey": "the one" });
    let ask = |number: usize| {
        let operator = if number.is_multiple_of(2) { first.operator() } else { second.operator() };
        let input = input.clone();
        async move { operator.mutate("recharge", "RechargeInput", input, "transaction { id }").await }
    };
    let answers = futures_util::future::join_all((0..32).map(ask)).await;
    let ids: std::collections::HashSet<_> =
        answers.iter().map(|answer| answer["transaction"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let query = format!(r#"{{ account(id: "{account}") {{ balance {{ amount }} }} }}"#);
    assert_eq!(first.operator().data(&query).await["account"]["balance"]["amount"], "101.50");
    assert_eq!(first.assert_ledger_is_healthy().await, 2);
}
