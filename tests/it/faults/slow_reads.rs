//! All connections to the database are held by slow reads: what is quick and what moves money goes on, or is told clearly.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::sequences::in_full;
use crate::support::{Client, TestServer};

/// Whoever waits is told by then.
const TOLD_WITHIN: Duration = Duration::from_secs(45);
const SLOW: usize = 40;

/// How an answer ends: "done", or the code of its error.
fn outcome(answer: &Value) -> String {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("done").to_owned()
}

async fn recharge(operator: &Client, account: &str, key: String) -> String {
    let input = json!({ "accountId": account, "amount": "1.00", "idempotencyKey": key });
    outcome(&operator.try_mutate("recharge", "RechargeInput", input, "transaction { id }").await.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_reads_that_hold_all_connections_leave_money_and_others_an_answer() {
    let server = TestServer::with(|config| config.connections_max = 4).await;
    let operator = server.operator();
    let account = server.account("acme", "0").await;
    for number in 0..SLOW {
        server.account(&format!("slow-{number}"), "0").await;
    }
    let holder = server.sql().await;
    holder.batch_execute("BEGIN; LOCK TABLE invoices IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let begin = Instant::now();
    let slow = (0..SLOW).map(|number| {
        let customer = server.customer(&format!("slow-{number}"));
        async move { outcome(&customer.answer("{ account { invoices(first: 1) { nodes { id } } } }").await) }
    });
    let quick = (0..20).map(|number| {
        let (operator, account) = (operator.clone(), account.clone());
        async move {
            tokio::time::sleep(Duration::from_millis(500 + 100 * number)).await;
            let begin = Instant::now();
            let read = format!(r#"{{ account(id: "{account}") {{ balance {{ amount }} }} }}"#);
            let (read, paid) =
                tokio::join!(operator.answer(&read), recharge(&operator, &account, format!("k{number}")));
            (outcome(&read), paid, begin.elapsed())
        }
    });
    let quick = async {
        let quick = join_all(quick).await;
        if !in_full() {
            holder.batch_execute("ROLLBACK").await.unwrap();
        }
        quick
    };
    let (slow, quick) = tokio::join!(join_all(slow), quick);
    let took = begin.elapsed();
    let mut counts = BTreeMap::new();
    for outcome in slow.iter().map(|slow| format!("slow {slow}")) {
        *counts.entry(outcome).or_insert(0) += 1;
    }
    for (read, paid, elapsed) in &quick {
        *counts.entry(format!("read {read}")).or_insert(0) += 1;
        *counts.entry(format!("money {paid}")).or_insert(0) += 1;
        assert!(*elapsed < TOLD_WITHIN, "told after {elapsed:?}");
    }
    println!("slow reads for {took:?}: {counts:?}");
    let is_clear = |outcome: &str| ["done", "UNAVAILABLE", "OVERLOADED"].contains(&outcome);
    let outcomes = slow.iter().chain(quick.iter().flat_map(|(read, paid, _)| [read, paid]));
    assert!(outcomes.clone().all(|outcome| is_clear(outcome)), "{counts:?}");

    if in_full() {
        holder.batch_execute("ROLLBACK").await.unwrap();
    }
    let paid = quick.iter().filter(|(_, paid, _)| paid == "done").count();
    for number in 0..20 {
        assert_eq!(recharge(&operator, &account, format!("k{number}")).await, "done");
    }
    let balance =
        operator.data(&format!(r#"{{ account(id: "{account}") {{ balance {{ amount }} }} }}"#)).await;
    assert_eq!(balance["account"]["balance"]["amount"], "20.00", "{paid} of them were done before");
    assert_eq!(server.assert_ledger_is_healthy().await, 20);
}
