//! What a server does on a cluster: how statements reach their shards, and that nothing is counted twice or told wrongly there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use abacus::clock::wall;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::citus::{self, Nodes};
use crate::support::life::Life;
use crate::support::{Client, TestServer};

/// How often the cluster was asked, and of several shards how often; and how many transactions were committed on two nodes.
async fn counted(server: &TestServer) -> (i64, i64, i64) {
    let counters = "SELECT coalesce(sum(query_execution_single_shard), 0)::bigint, coalesce(sum(query_execution_multi_shard), 0)::bigint,
        (SELECT count(*) FROM pg_dist_transaction) FROM citus_stat_counters WHERE name = current_database()";
    let row = server.sql().await.query_one(counters, &[]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

async fn buy(customer: &Client, plan: &str, key: String) -> Value {
    let input = json!({ "planId": plan, "idempotencyKey": key });
    customer.mutate("checkout", "CheckoutInput", input, "order { number } bill { id status }").await
}

#[tokio::test]
async fn a_purchase_is_of_one_shard_and_commits_on_one_node() {
    if !citus::is_there() {
        return;
    }
    let life = Life::begin("2026-01-20T10:00:00Z", "100000").await;
    let plan = life.plan("Small", "C", "1", "MONTH").await;
    // Everything was asked for once, and is known.
    buy(&life.customer, &plan, "first".to_owned()).await;
    let before = counted(&life.server).await;
    for number in 0..100 {
        buy(&life.customer, &plan, format!("k{number}")).await;
    }
    let after = counted(&life.server).await;
    assert!(after.0 - before.0 >= 100, "{before:?} {after:?}");
    assert_eq!(after.1, before.1, "{before:?} {after:?}");
    // The cluster forgets by and by what it has committed on two nodes.
    assert!(after.2 <= before.2, "{before:?} {after:?}");
    assert_eq!(life.server.assert_ledger_is_healthy().await, 102);
}

#[tokio::test]
async fn buyers_of_all_shards_at_once_are_served_and_the_books_are_right_meanwhile() {
    if !citus::is_there() {
        return;
    }
    let server = TestServer::start().await;
    let plan = server.plan("Small", "1").await;
    let names: Vec<String> = (0..16).map(|number| format!("tenant{number}")).collect();
    for name in &names {
        server.account(name, "1000").await;
    }
    let before = counted(&server).await;
    let mut buyers = JoinSet::new();
    for name in names.clone() {
        let (customer, plan) = (server.customer(&name), plan.clone());
        buyers.spawn(async move {
            for number in 0..25 {
                buy(&customer, &plan, format!("k{number}")).await;
            }
        });
    }
    let done = Arc::new(AtomicBool::new(false));
    let looking = async {
        let mut looks = 0;
        while !done.load(Ordering::Relaxed) {
            server.assert_ledger_is_healthy().await;
            looks += 1;
        }
        looks
    };
    let buying = async {
        while let Some(bought) = buyers.join_next().await {
            bought.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    };
    let (looks, ()) = tokio::join!(looking, buying);
    assert!(looks > 0);
    let after = counted(&server).await;
    assert!(after.2 <= before.2, "a purchase is committed on one node: {before:?} {after:?}");
    assert_eq!(server.assert_ledger_is_healthy().await, 16 + 400);
    for name in &names {
        let data =
            server.customer(name).data("{ account { balance { amount } } orders { totalCount } }").await;
        assert_eq!(data["account"]["balance"]["amount"], "975.00", "{name}");
        assert_eq!(data["orders"]["totalCount"], 25);
    }
}

#[tokio::test]
async fn an_event_that_comes_twice_counts_once_on_whichever_shard() {
    if !citus::is_there() {
        return;
    }
    let server = TestServer::start().await;
    let mut events = Vec::new();
    for number in 0..8 {
        let name = format!("tenant{number}");
        server.account(&name, "0").await;
        let event = |id: String| json!({ "id": id, "namespace": name, "resource": "transfer_out", "quantity": "2", "time": wall().to_rfc3339() });
        events.extend((0..55).map(|id| event(format!("e{id}"))));
    }
    let record = async |events: &[Value]| {
        let input = json!({ "events": events });
        let recorded = server
            .service()
            .mutate("recordUsage", "RecordUsageInput", input, "accepted duplicates rejected")
            .await;
        ["accepted", "duplicates", "rejected"].map(|count| recorded[count].as_i64().unwrap())
    };
    let mut twice = events.clone();
    twice.extend(events.iter().take(110).cloned());
    assert_eq!(record(&twice).await, [440, 110, 0]);
    assert_eq!(record(&events).await, [0, 440, 0]);
    let sql = server.sql().await;
    let counted = "SELECT (SELECT count(*) FROM usage_marks), (SELECT count(*) FROM usage_events), (SELECT sum(quantity)::bigint FROM usage_hours)";
    let row = sql.query_one(counted, &[]).await.unwrap();
    assert_eq!([row.get::<_, i64>(0), row.get(1), row.get(2)], [440, 440, 880]);
}

#[tokio::test]
async fn a_namespace_that_is_taken_is_told_of_as_such() {
    if !citus::is_there() {
        return;
    }
    let server = TestServer::start().await;
    server.account("taken", "0").await;
    let input = json!({ "namespace": "taken", "name": "Another", "currency": "CNY" });
    let payload =
        server.operator().payload("createAccount", "CreateAccountInput", input, "account { id }").await;
    assert_eq!(payload["userErrors"][0]["code"], "CONFLICT", "{payload:#}");
    assert_eq!(payload["userErrors"][0]["message"], "another account has this namespace");
}

#[tokio::test]
async fn a_shard_that_is_moved_takes_its_accounts_and_their_guards_along() {
    if !citus::is_there() {
        return;
    }
    let life = Life::begin("2026-01-20T10:00:00Z", "1000").await;
    let plan = life.plan("Small", "C", "1", "MONTH").await;
    buy(&life.customer, &plan, "before".to_owned()).await;
    let number: i64 = life.account.trim_start_matches("acc_").parse().unwrap();
    let sql = life.server.sql().await;
    let placed = "SELECT s.shardid, s.nodename, s.nodeport FROM citus_shards s WHERE s.table_name = 'accounts'::regclass
        AND s.shardid = get_shard_id_for_distribution_column('accounts', $1::bigint)";
    let row = sql.query_one(placed, &[&number]).await.unwrap();
    let (shard, host, port): (i64, String, i32) = (row.get(0), row.get(1), row.get(2));
    let nodes = Nodes::find(&citus::url().unwrap()).await;
    let to = nodes
        .workers
        .iter()
        .find(|worker| (&worker.host, worker.port) != (&host, port))
        .expect("another worker");
    let moved = format!(
        "SELECT citus_move_shard_placement({shard}, '{host}', {port}, '{}', {}, 'block_writes')",
        to.host, to.port
    );
    sql.batch_execute(&moved).await.unwrap();
    let there: i32 = sql.query_one(placed, &[&number]).await.unwrap().get(2);
    assert_eq!(there, to.port);
    buy(&life.customer, &plan, "after".to_owned()).await;
    for statement in [
        format!("DELETE FROM ledger_entries WHERE account_id = {number}"),
        format!("UPDATE ledger_entries SET amount = 1 WHERE account_id = {number}"),
        format!("UPDATE accounts SET erased_at = now() WHERE id = {number}"),
    ] {
        let error = sql.batch_execute(&statement).await.expect_err(&statement);
        assert!(
            error.as_db_error().is_some_and(|error| error.code().code() == "23001"),
            "{statement}: {error:?}"
        );
    }
    assert_eq!(life.server.assert_ledger_is_healthy().await, 3);
}
