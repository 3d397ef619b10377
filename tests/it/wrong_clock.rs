//! A machine whose clock is wrong writes nothing, runs nothing, and says so.

use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::cluster::connect;
use crate::support::process::{Abacus, Folder, command, eventually, outcome};
use crate::support::{Client, TestServer};

const AHEAD: i64 = 40 * 24 * 60 * 60;

/// An operator's token that is also valid for a machine that is so far ahead.
async fn lasting_token(folder: &Folder) -> String {
    let data_dir = folder.data_dir();
    let args = ["token", "--role", "operator", "--ttl", "100d", "--data-dir", data_dir.to_str().unwrap()];
    outcome(&mut command(&args)).await.1.trim().to_owned()
}

async fn contents(folder: &Folder) -> Vec<(i64, i64)> {
    let sql = connect(&folder.database_url()).await;
    let counts = "SELECT count(*), coalesce(sum(last_no), 0)::bigint FROM accounts
        UNION ALL SELECT count(*), 0 FROM transactions UNION ALL SELECT count(*), 0 FROM bills
        UNION ALL SELECT count(*), 0 FROM usage_marks UNION ALL SELECT count(*), 0 FROM billing_runs
        UNION ALL SELECT count(*), 0 FROM plans";
    sql.query(counts, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn stopped(mut abacus: Abacus) {
    abacus.signal(Signal::SIGTERM);
    assert!(abacus.ended().await.success());
}

async fn ready(client: &Client) -> (StatusCode, String) {
    let answer = client.request(Method::GET, "/readyz").send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_machine_that_is_forty_days_ahead_or_behind_writes_nothing_and_is_not_ready() {
    let folder = Folder::new();
    let abacus = Abacus::start(&folder).await;
    let token = lasting_token(&folder).await;
    stopped(abacus).await;
    for ahead in [AHEAD, -30] {
        let abacus =
            Abacus::start_with(&folder, &[("FAILPOINTS", &format!("clock-ahead=return({ahead})"))]).await;
        let before = contents(&folder).await;
        let operator = Client::new(format!("http://{}", abacus.address), Some(token.clone()));
        let (status, said) = ready(&operator).await;
        let way = if ahead > 0 { "ahead of the database's" } else { "behind the database's" };
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && said.contains(way), "{status} {said}");
        let accounts = operator.data("{ accounts(first: 1) { nodes { id namespace } } }").await;
        let account = &accounts["accounts"]["nodes"][0];
        let recharge = json!({ "accountId": account["id"], "amount": "1", "idempotencyKey": "k" });
        let plan = json!({ "name": "Plan X", "type": "C", "resourceType": "CLOUD", "billPeriod": "MONTH",
            "description": "", "price": { "amount": "1", "currency": "CNY" } });
        for (mutation, input_type, input) in
            [("recharge", "RechargeInput", recharge), ("createPlan", "CreatePlanInput", plan)]
        {
            let (_, answer) = operator.try_mutate(mutation, input_type, input, "__typename").await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer:#}");
        }
        // Neither what is now by that clock, nor what it takes for too early or too late, is rejected: it would be lost.
        for of_the_machine in [0, ahead] {
            let time = abacus::clock::wall() + chrono::TimeDelta::seconds(of_the_machine);
            let events = json!({ "events": [{ "id": "e", "namespace": account["namespace"], "resource": "space",
                "quantity": "1", "time": time.to_rfc3339() }] });
            let (_, answer) =
                operator.try_mutate("recordUsage", "RecordUsageInput", events, "accepted rejected").await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer:#}");
        }
        let metrics = operator.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        let told = metrics.lines().find_map(|line| line.strip_prefix("abacus_clock_ahead_seconds "));
        let told: i64 = told.expect("a metric").parse().unwrap();
        assert!((told - ahead).abs() <= 5, "{told}");
        eventually("the jobs say so", 20, async || folder.log().contains(way).then_some(())).await;
        assert_eq!(contents(&folder).await, before, "nothing was written");
        stopped(abacus).await;
    }
    let abacus = Abacus::start(&folder).await;
    let operator = Client::new(format!("http://{}", abacus.address), Some(token));
    eventually("it is ready again", 30, async || (ready(&operator).await.0 == StatusCode::OK).then_some(()))
        .await;
}

#[tokio::test]
async fn an_account_whose_last_entry_is_still_to_come_is_not_followed_there() {
    let server = TestServer::with(|config| config.sandbox = false).await;
    let operator = server.operator();
    let account = server.account("acme", "0").await;
    let adjust = async |key: &str| {
        let input = json!({ "accountId": account, "amount": "1", "reason": "a test", "idempotencyKey": key });
        operator.try_mutate("adjustBalance", "AdjustBalanceInput", input, "transaction { id }").await.1
    };
    assert!(adjust("first").await.get("errors").is_none());
    let sql = server.sql().await;
    let move_to = async |ahead: &str| {
        let moved =
            format!("UPDATE accounts SET last_entry_at = now() + interval '{ahead}' WHERE last_no > 0");
        assert_eq!(sql.execute(&moved, &[]).await.unwrap(), 1);
    };
    move_to("1 hour").await;
    let answer = adjust("second").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer:#}");
    move_to("10 seconds").await;
    assert!(adjust("second").await.get("errors").is_none(), "clocks are never quite the same");
}
