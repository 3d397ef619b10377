//! The server as a process, and its PostgreSQL, killed at any time: what was answered is kept, what is asked again is
//! done once.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;

use crate::support::client::Client;
use crate::support::cluster::{self, connect};
use crate::support::load::{Load, post};
use crate::support::process::{Abacus, Folder, command, eventually, is_there, outcome, signal};
use crate::support::proxy::{Proxy, Way};
use crate::support::sequences::in_full;

const OPENING: &str = "1000000";

async fn account(operator: &Client, namespace: &str) -> String {
    let input = json!({ "namespace": namespace, "name": namespace, "currency": "CNY" });
    let made = operator.mutate("createAccount", "CreateAccountInput", input, "account { id }").await;
    let id = made["account"]["id"].as_str().unwrap().to_owned();
    let input = json!({ "accountId": id, "amount": OPENING, "idempotencyKey": "opening" });
    operator.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    id
}

async fn load_on(server: &Abacus) -> Load {
    let operator = server.operator();
    let mut accounts = Vec::new();
    for number in 0..4 {
        accounts.push(account(&operator, &format!("crash-{number}")).await);
    }
    let input = json!({ "name": "Plan C", "type": "C", "region": "cn-north-1", "resourceType": "CLOUD", "billPeriod": "MONTH",
        "description": "", "price": { "amount": "88.88", "currency": "CNY" } });
    let made = operator.mutate("createPlan", "CreatePlanInput", input, "plan { id }").await;
    let plan = made["plan"]["id"].as_str().unwrap().to_owned();
    Load { token: server.operator.clone(), plan, price: Decimal::new(8_888, 2), accounts, drops: 0 }
}

async fn assert_healthy(operator: &Client) {
    let health = operator.data("{ ledgerHealth { ok imbalance faults { kind message } } }").await;
    assert_eq!(health["ledgerHealth"], json!({ "ok": true, "imbalance": "0", "faults": [] }));
}

/// Puts a server under load, disturbs it so many times on the way, and asserts that each deed was done once.
async fn rides_out(rounds: usize, disturb: impl AsyncFn(&Folder, Abacus) -> Abacus) {
    const CLIENTS: usize = 16;
    const BETWEEN: usize = 100;
    let folder = Folder::new();
    let mut server = Abacus::start(&folder).await;
    let load = load_on(&server).await;
    let (addresses, current) = watch::channel(vec![server.address.clone()]);
    let answered = Arc::new(AtomicUsize::new(0));
    let each = BETWEEN * (rounds + 1) / CLIENTS + 1;
    let running = tokio::spawn({
        let (load, answered) = (load.clone(), Arc::clone(&answered));
        async move { load.run(CLIENTS, each, current, answered).await }
    });
    for round in 1..=rounds {
        let reached = async || (answered.load(Ordering::SeqCst) >= round * BETWEEN).then_some(());
        eventually("answers", 60, reached).await;
        assert!(!running.is_finished(), "the load goes on");
        server = disturb(&folder, server).await;
        addresses.send_replace(vec![server.address.clone()]);
    }
    let done = running.await.unwrap();
    assert_healthy(&server.operator()).await;
    let sql = connect(&folder.database_url()).await;
    done.assert_done_once(&load, OPENING.parse().unwrap(), &sql).await;
    assert!(server.child.try_wait().unwrap().is_none(), "{}", folder.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_load_has_done_what_it_answered_and_does_the_rest_once() {
    let rounds = if in_full() { 12 } else { 3 };
    rides_out(rounds, async |folder, mut server| {
        let postmaster = folder.postmaster_pid();
        server.signal(Signal::SIGKILL);
        server.ended().await;
        let next = Abacus::start(folder).await;
        assert_eq!(folder.postmaster_pid(), postmaster, "PostgreSQL was adopted");
        next
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_postgresql_is_killed_under_load_starts_it_again_and_goes_on() {
    let rounds = if in_full() { 8 } else { 2 };
    rides_out(rounds, async |folder, server| {
        folder.kill_postmaster().await;
        server
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_under_load_ends_in_order_and_the_next_one_goes_on() {
    let rounds = if in_full() { 8 } else { 2 };
    rides_out(rounds, async |folder, mut server| {
        let postmaster = folder.postmaster_pid().expect("a postmaster");
        server.signal(Signal::SIGTERM);
        assert_eq!(server.ended().await.code(), Some(0), "{}", folder.log());
        assert!(!is_there(postmaster), "PostgreSQL is gone");
        assert_eq!(folder.postmaster_pid(), None);
        Abacus::start(folder).await
    })
    .await;
}

async fn balances(operator: &Client) -> Value {
    let query = "{ accounts(first: 20) { totalCount nodes { id namespace balance { amount } orders { totalCount } } } plans { totalCount } }";
    operator.data(query).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_answers_what_is_under_way_and_the_next_one_finds_the_same_data() {
    let folder = Folder::new();
    let mut server = Abacus::start(&folder).await;
    let account = account(&server.operator(), "waits").await;
    let before = balances(&server.operator()).await;
    assert_eq!(before["accounts"]["totalCount"], 4);

    // Commands that wait for a lock are under way for as long as the test wants.
    let sql = connect(&folder.database_url()).await;
    let number: i64 = account.strip_prefix("acc_").unwrap().parse().unwrap();
    sql.batch_execute(&format!("BEGIN; SELECT FROM accounts WHERE id = {number} FOR UPDATE")).await.unwrap();
    let ask = |key: usize| {
        let (address, token) = (server.address.clone(), server.operator.clone());
        let input =
            json!({ "accountId": account, "amount": "1.00", "idempotencyKey": format!("under way {key}") });
        let query = "mutation($input: RechargeInput!) { recharge(input: $input) { transaction { id } userErrors { code } } }";
        let body = json!({ "query": query, "variables": { "input": input } });
        tokio::spawn(async move { post(&address, &token, &body, None).await })
    };
    let asked: Vec<_> = (0..5).map(ask).collect();
    let watching = connect(&folder.database_url()).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    // A lane that waits for a lock has taken the command; one that does not wait has taken it by the time this gives up.
    for _ in 0..100 {
        if watching.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let postmaster = folder.postmaster_pid().expect("a postmaster");
    server.signal(Signal::SIGTERM);
    eventually("no new connections", 10, async || {
        tokio::net::TcpStream::connect(&server.address).await.is_err().then_some(())
    })
    .await;
    sql.batch_execute("ROLLBACK").await.unwrap();
    for asked in asked {
        let (status, answer) = asked.await.unwrap().expect("an answer");
        assert_eq!(status, 200);
        assert!(answer["data"]["recharge"]["transaction"]["id"].is_string(), "{answer:#}");
    }
    assert_eq!(server.ended().await.code(), Some(0), "{}", folder.log());
    assert!(!is_there(postmaster), "PostgreSQL is gone");

    let next = Abacus::start(&folder).await;
    let mut expected = before;
    let nodes = expected["accounts"]["nodes"].as_array_mut().unwrap();
    nodes.iter_mut().find(|node| node["id"] == json!(account)).unwrap()["balance"]["amount"] =
        json!("1000005.00");
    assert_eq!(balances(&next.operator()).await, expected);
    assert_healthy(&next.operator()).await;

    let shown = Client::new(format!("http://{}", next.address), Some(next.customer.clone()));
    assert_eq!(shown.data("{ account { namespace } }").await["account"]["namespace"], "demo");

    // Beside it, tokens are made with the same secret, which is its owner's only.
    let data_dir = folder.data_dir();
    let args =
        ["token", "--data-dir", data_dir.to_str().unwrap(), "--role", "customer", "--namespace", "demo"];
    let (status, token, said) = outcome(&mut command(&args)).await;
    assert!(status.success(), "{said}");
    let customer = Client::new(format!("http://{}", next.address), Some(token.trim().to_owned()));
    assert_eq!(customer.data("{ account { namespace } }").await["account"]["namespace"], "demo");
    let secret = std::fs::metadata(data_dir.join("signing-secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    assert_eq!(secret.len(), 64);
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_in_one_line() {
    let folder = Folder::new();
    let server = Abacus::start(&folder).await;
    let data_dir = folder.data_dir();
    let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir.to_str().unwrap()];
    let second = command(&args).env("RUST_LOG", "off").kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(20), second).await.expect("it ends").unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("in use by another server") && said.contains(&server.pid().to_string()), "{said}");
    assert_eq!(server.operator().data("{ viewer { role } }").await["viewer"]["role"], "OPERATOR");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_a_given_database_is_no_sandbox_and_stops_in_time_though_that_is_away() {
    const SECRET: &str = "a secret of the server that is given its database";
    let proxy = Proxy::before(&cluster::database().await).await;
    let mut child = command(&["serve", "--listen", "127.0.0.1:0", "--log-json"])
        .env("DATABASE_URL", &proxy.url)
        .env("ABACUS_JWT_SECRET", SECRET)
        .env("RUST_LOG", "info")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let listening = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it says where it listens");
            let line: Value = serde_json::from_str(&line).expect("a line of JSON");
            if line["fields"]["message"] == "listening" {
                break line["fields"]["address"].as_str().unwrap().to_owned();
            }
        }
    };
    let address = tokio::time::timeout(Duration::from_secs(30), listening).await.expect("it starts");
    // Whoever logs must not wait for a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let token = |role: &str, namespace: &[&str]| {
        let mut args = vec!["token", "--role", role];
        args.extend(namespace);
        let mut command = command(&args);
        command.env("ABACUS_JWT_SECRET", SECRET);
        async move { outcome(&mut command).await.1.trim().to_owned() }
    };
    let operator = Client::new(format!("http://{address}"), Some(token("operator", &[]).await));
    assert_eq!(operator.data("{ accounts { totalCount } }").await["accounts"]["totalCount"], 0, "no demo");
    let account = account(&operator, "chaizs").await;
    let customer = token("customer", &["--namespace", "chaizs"]).await;
    let customer = Client::new(format!("http://{address}"), Some(customer));
    let input = json!({ "amount": "1", "idempotencyKey": "k" });
    let refused = customer.refusal("recharge", "RechargeInput", input).await;
    assert_eq!(
        refused,
        ("REQUIRED".to_owned(), "input.paymentMethodId".to_owned()),
        "money is not made here"
    );

    proxy.set(Way::Closed);
    let input = json!({ "accountId": account, "amount": "1", "idempotencyKey": "under way" });
    let asking = tokio::spawn({
        let operator = operator.clone();
        async move { operator.try_mutate("recharge", "RechargeInput", input, "transaction { id }").await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    signal(i32::try_from(child.id().unwrap()).unwrap(), Signal::SIGTERM);
    let ended = tokio::time::timeout(Duration::from_secs(45), child.wait()).await.expect("it ends");
    assert_eq!(ended.unwrap().code(), Some(0));
    let (_, answer) = asking.await.unwrap();
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer:#}");
}
