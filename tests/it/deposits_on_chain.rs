//! Tokens that pay for prepayments, on a real EVM: a local node (tests/evm). Where there is none, nothing is tested.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use abacus::clock::Clock;
use abacus::jobs::LeaseGuard;
use abacus::jobs::deposits::deposit_pass;
use abacus::server::ServerConfig;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::TestServer;
use crate::support::evm::{self, CONFIRMATIONS, Node};
use crate::support::process::command;
use crate::support::tokens::Buyer;

/// 33.3 USDT_ERC20.
const PRICE: u128 = 33_300_000;

fn on(node: &Node) -> impl FnOnce(&mut ServerConfig) {
    let settings = node.settings();
    move |config| {
        config.clock = Clock::sandbox();
        config.deposits = Some(settings);
    }
}

/// A server that takes the node's tokens, with the customer "tenant". Its addresses are nobody else's.
async fn shop(node: &Node, first_place: u32) -> TestServer {
    let server = TestServer::with(on(node)).await;
    let places = format!("ALTER SEQUENCE deposit_address_places RESTART WITH {first_place}");
    server.sql().await.batch_execute(&places).await.unwrap();
    server.account("tenant", "0").await;
    // From now on.
    look(&server).await;
    server
}

async fn look(server: &TestServer) {
    deposit_pass(&server.server.app.jobs, &LeaseGuard::Always).await.unwrap();
}

async fn confirm(node: &Node, server: &TestServer) {
    node.mine(CONFIRMATIONS).await;
    look(server).await;
}

#[tokio::test]
async fn a_deposit_pays_with_its_confirmations_and_not_before() {
    let Some(node) = evm::locked().await else { return };
    let server = shop(&node, 1_000).await;
    let buyer = Buyer::of(&server, "tenant");
    buyer.set_rate().await;
    let (dollars, ankr) = (buyer.prepay("USDT_ERC20").await, buyer.prepay("ANKR_ERC20").await);
    let transaction = node.pay(&dollars["depositAddress"], PRICE).await;
    for _ in 1..CONFIRMATIONS {
        look(&server).await;
        assert_eq!(buyer.now(&dollars).await["deposits"], json!([]));
        node.mine(1).await;
    }
    look(&server).await;
    let paid = buyer.now(&dollars).await;
    assert_eq!((&paid["status"], &paid["deposits"][0]["state"]), (&json!("PAID"), &json!("COUNTED")));
    assert_eq!(paid["deposits"][0]["transactionHash"], transaction);
    node.pay_in(1, &ankr["depositAddress"], 1_110_000_000_000_000_000_000).await;
    confirm(&node, &server).await;
    assert_eq!(buyer.status(&ankr).await, "PAID");
    confirm(&node, &server).await;
    assert_eq!((buyer.moves().await.len(), buyer.notices().await), (2, vec![]));
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_is_short_too_much_or_another_token_is_kept() {
    let Some(node) = evm::locked().await else { return };
    let server = shop(&node, 2_000).await;
    let buyer = Buyer::of(&server, "tenant");
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(buyer.prepay("USDT_ERC20").await);
    }
    node.pay(&asked[0]["depositAddress"], PRICE - 1).await;
    node.pay(&asked[1]["depositAddress"], PRICE + 5_000_000).await;
    node.pay_in(1, &asked[2]["depositAddress"], 33_300_000_000_000_000_000).await;
    confirm(&node, &server).await;
    let mut told = Vec::new();
    for prepayment in &asked {
        told.push((buyer.status(prepayment).await, buyer.states(prepayment).await[0].clone()));
    }
    let expected = [("AWAITING_DEPOSIT", "COUNTED"), ("PAID", "COUNTED"), ("AWAITING_DEPOSIT", "UNUSED")];
    assert_eq!(told, expected.map(|(status, state)| (status.to_owned(), state.to_owned())));
    let notices = buyer.notices().await;
    assert_eq!(notices.len(), 2);
    assert!(notices.iter().any(|(_, message)| message.contains(" 5 USDT_ERC20 is not used")), "{notices:?}");
    node.pay(&asked[0]["depositAddress"], 1).await;
    confirm(&node, &server).await;
    assert_eq!(buyer.status(&asked[0]).await, "PAID");
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_block_that_is_made_too_late_does_not_count() {
    let Some(node) = evm::start() else { return };
    let server = shop(&node, 3_000).await;
    let buyer = Buyer::of(&server, "tenant");
    let (in_time, late) = (buyer.prepay("USDT_ERC20").await, buyer.prepay("USDT_ERC20").await);
    node.ask("evm_increaseTime", json!([23 * 3_600])).await;
    node.pay(&in_time["depositAddress"], PRICE).await;
    node.ask("evm_increaseTime", json!([2 * 3_600])).await;
    node.pay(&late["depositAddress"], PRICE).await;
    confirm(&node, &server).await;
    assert_eq!(buyer.status(&in_time).await, "PAID");
    assert_eq!(
        (buyer.status(&late).await.as_str(), buyer.states(&late).await),
        ("AWAITING_DEPOSIT", vec!["UNUSED".to_owned()])
    );
    let notices = buyer.notices().await;
    assert!(notices.len() == 1 && notices[0].1.contains("it was waited for until"), "{notices:?}");
}

#[tokio::test]
async fn a_deposit_that_is_gone_before_its_confirmations_never_counts() {
    let Some(node) = evm::locked().await else { return };
    let server = shop(&node, 4_000).await;
    let buyer = Buyer::of(&server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    node.mine(CONFIRMATIONS).await;
    look(&server).await;
    let before = node.snapshot().await;
    node.pay(&asked["depositAddress"], PRICE).await;
    node.mine(1).await;
    look(&server).await;
    node.revert(&before).await;
    node.mine(CONFIRMATIONS * 2).await;
    look(&server).await;
    let now = buyer.now(&asked).await;
    assert_eq!((&now["status"], &now["deposits"]), (&json!("AWAITING_DEPOSIT"), &json!([])));
    node.pay(&asked["depositAddress"], PRICE).await;
    confirm(&node, &server).await;
    assert_eq!((buyer.status(&asked).await.as_str(), buyer.moves().await.len()), ("PAID", 1));
}

#[tokio::test]
async fn a_deposit_that_is_gone_after_its_confirmations_is_undone_and_counts_when_it_is_mined_again() {
    let Some(node) = evm::locked().await else { return };
    let server = shop(&node, 5_000).await;
    let buyer = Buyer::of(&server, "tenant");
    let (kept, asked) = (buyer.prepay("USDT_ERC20").await, buyer.prepay("USDT_ERC20").await);
    node.mine(CONFIRMATIONS).await;
    node.pay(&kept["depositAddress"], PRICE).await;
    node.mine(1).await;
    look(&server).await;
    let before = node.snapshot().await;
    let gone = node.pay(&asked["depositAddress"], PRICE).await;
    confirm(&node, &server).await;
    let bound = buyer.bind(&asked, "USDT_ERC20").await["prepayment"].clone();
    assert_eq!(bound["status"], "BOUND");

    node.revert(&before).await;
    look(&server).await;
    assert_eq!(buyer.status(&asked).await, "BOUND", "an older head alone says nothing");
    node.mine(CONFIRMATIONS * 2).await;
    look(&server).await;
    let undone = buyer.now(&asked).await;
    assert_eq!(
        (&undone["status"], &undone["transaction"]["status"], &undone["app"]),
        (&json!("AWAITING_DEPOSIT"), &json!("FAILED"), &bound["app"])
    );
    assert_eq!(buyer.status(&kept).await, "PAID");
    let notices = buyer.notices().await;
    assert!(notices.len() == 1 && notices[0].0 == "PAYMENT_FAILED", "{notices:?}");

    assert_eq!(node.pay(&asked["depositAddress"], PRICE).await, gone, "the same transaction");
    confirm(&node, &server).await;
    let again = buyer.now(&asked).await;
    assert_eq!((&again["status"], &again["endTime"]), (&json!("BOUND"), &bound["endTime"]));
    assert_eq!(buyer.states(&asked).await, ["UNDONE", "COUNTED"]);
    assert_eq!(buyer.moves().await.iter().filter(|told| *told == "PREPAYMENT FINISHED").count(), 2);
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn another_server_goes_on_where_one_stopped() {
    let Some(node) = evm::locked().await else { return };
    let server = shop(&node, 6_000).await;
    let buyer = Buyer::of(&server, "tenant");
    let (first, second) = (buyer.prepay("USDT_ERC20").await, buyer.prepay("USDT_ERC20").await);
    node.pay(&first["depositAddress"], PRICE).await;
    confirm(&node, &server).await;
    node.pay(&second["depositAddress"], PRICE).await;
    let url = server.database_url.clone();
    server.server.stop().await;
    let server = TestServer::on(url, on(&node)).await;
    confirm(&node, &server).await;
    let buyer = Buyer::of(&server, "tenant");
    assert_eq!((buyer.status(&first).await.as_str(), buyer.status(&second).await.as_str()), ("PAID", "PAID"));
    assert_eq!(buyer.moves().await.len(), 2);
    server.assert_ledger_is_healthy().await;
}

/// So many prepayments that wait.
async fn many(buyer: &Buyer, count: usize) -> Vec<Value> {
    let mut asked = Vec::new();
    for _ in 0..count {
        asked.push(buyer.prepay("USDT_ERC20").await);
    }
    asked
}

async fn assert_paid_once(server: &TestServer, asked: &[Value]) {
    let buyer = Buyer::of(server, "tenant");
    for prepayment in asked {
        assert_eq!(
            (buyer.status(prepayment).await.as_str(), buyer.states(prepayment).await.len()),
            ("PAID", 2)
        );
    }
    assert_eq!(buyer.moves().await, vec!["PREPAYMENT FINISHED"; asked.len()]);
    assert_eq!(buyer.notices().await, []);
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn two_servers_that_scan_at_once_count_everything_once() {
    let Some(node) = evm::locked().await else { return };
    let server = shop(&node, 7_000).await;
    let other = TestServer::on(server.database_url.clone(), on(&node)).await;
    let asked = many(&Buyer::of(&server, "tenant"), 5).await;
    for parts in [PRICE - 1, 1] {
        for prepayment in &asked {
            node.pay(&prepayment["depositAddress"], parts).await;
            tokio::join!(look(&server), look(&other));
        }
    }
    node.mine(CONFIRMATIONS).await;
    for _ in 0..3 {
        tokio::join!(look(&server), look(&other));
    }
    assert_paid_once(&server, &asked).await;
}

/// The points at which a process that scans can die.
const POINTS: [&str; 4] = [
    "deposit-before-the-scan-is-written",
    "deposit-after-the-scan-is-written",
    "deposit-before-the-commit",
    "deposit-after-the-commit",
];

#[tokio::test]
async fn a_process_that_dies_at_any_step_of_a_deposit_leaves_it_to_be_counted_once() {
    let Some(node) = evm::locked().await else { return };
    let server = shop(&node, 9_000).await;
    let buyer = Buyer::of(&server, "tenant");
    // The first scan only says where the next begins.
    confirm(&node, &server).await;
    let asked = many(&buyer, POINTS.len()).await;
    for (point, prepayment) in POINTS.iter().zip(&asked) {
        for parts in [PRICE - 1, 1] {
            node.pay(&prepayment["depositAddress"], parts).await;
        }
        node.mine(CONFIRMATIONS).await;
        let mut process = scanning(&node, &server.database_url)
            .env("FAILPOINTS", format!("{point}=return"))
            .spawn()
            .expect("jobs start");
        let ended = tokio::time::timeout(Duration::from_secs(30), process.wait()).await;
        assert_eq!(ended.expect(point).unwrap().signal(), Some(9), "{point}");
        look(&server).await;
        assert_eq!(buyer.status(prepayment).await, "PAID", "{point}");
    }
    assert_paid_once(&server, &asked).await;
}

/// A process that scans, and gives it up after a second of silence.
fn scanning(node: &Node, url: &str) -> Command {
    let mut command = command(&["jobs", "--sandbox", "--lease-seconds", "1"]);
    command.env("DATABASE_URL", url).env("RUST_LOG", "off").envs(node.environment()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn whenever_the_process_that_scans_is_killed_everything_counts_once() {
    let Some(node) = evm::locked().await else { return };
    let server = shop(&node, 8_000).await;
    let asked = many(&Buyer::of(&server, "tenant"), 6).await;
    for parts in [PRICE - 1, 1] {
        for prepayment in &asked {
            node.pay(&prepayment["depositAddress"], parts).await;
        }
    }
    node.mine(CONFIRMATIONS).await;
    let sql = server.sql().await;
    let left = "SELECT count(*) FROM prepayments WHERE status = 'AWAITING_DEPOSIT'";
    let mut lives = 0;
    for milliseconds in (100..).step_by(40) {
        let mut process = scanning(&node, &server.database_url).spawn().expect("jobs start");
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        process.kill().await.unwrap();
        lives += 1;
        if sql.query_one(left, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            break;
        }
        assert!(lives < 100, "it never comes to an end");
    }
    println!("{lives} processes");
    look(&server).await;
    assert_paid_once(&server, &asked).await;
}

#[tokio::test]
async fn who_is_not_told_of_a_token_that_others_take_does_not_scan_past_its_deposits() {
    let Some(node) = evm::locked().await else { return };
    let mut settings = node.settings();
    settings.tokens.truncate(1);
    let server = TestServer::with(|config| {
        config.clock = Clock::sandbox();
        config.deposits = Some(settings);
    })
    .await;
    let places = "ALTER SEQUENCE deposit_address_places RESTART WITH 11000";
    server.sql().await.batch_execute(places).await.unwrap();
    server.account("tenant", "0").await;
    look(&server).await;
    let told = TestServer::on(server.database_url.clone(), on(&node)).await;
    let buyer = Buyer::of(&told, "tenant");
    buyer.set_rate().await;
    let quote = buyer.quote("ANKR_ERC20").await;
    let input = json!({ "quoteId": quote["id"], "amount": quote["amount"], "idempotencyKey": "k" });
    let (_, answer) = buyer.customer.try_mutate("prepay", "PrepayInput", input, "prepayment { id }").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "nobody looks for it yet: {answer}");

    look(&told).await;
    let asked = buyer.prepay("ANKR_ERC20").await;
    node.pay_in(1, &asked["depositAddress"], 1_110_000_000_000_000_000_000).await;
    for _ in 0..3 {
        confirm(&node, &server).await;
    }
    assert_eq!(buyer.status(&asked).await, "AWAITING_DEPOSIT");
    look(&told).await;
    assert_eq!(buyer.status(&asked).await, "PAID");
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused_and_no_address_is_given_out_before_the_chain_was_looked_at() {
    let Some(node) = evm::locked().await else { return };
    let mut settings = node.settings();
    settings.chain_id = 1;
    let server = TestServer::with(|config| {
        config.clock = Clock::sandbox();
        config.deposits = Some(settings);
    })
    .await;
    server.account("tenant", "0").await;
    look(&server).await;
    let sql = server.sql().await;
    let begun: i64 = sql.query_one("SELECT count(*) FROM chains", &[]).await.unwrap().get(0);
    assert_eq!(begun, 0);
    let buyer = Buyer::of(&server, "tenant");
    let quote = buyer.quote("USDT_ERC20").await;
    let input = json!({ "quoteId": quote["id"], "amount": quote["amount"], "idempotencyKey": "k" });
    let (_, answer) = buyer.customer.try_mutate("prepay", "PrepayInput", input, "prepayment { id }").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    let input = json!({ "address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "asset": "USDT_ERC20", "amount": "1" });
    let (_, answer) =
        buyer.customer.try_mutate("simulateDeposit", "SimulateDepositInput", input, "__typename").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "there is a real chain");
}
