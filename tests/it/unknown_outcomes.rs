//! What was answered as refused or overloaded is never done after, and what may have been done is not called refused.

use std::time::Duration;

use abacus::domain::command::Command;
use abacus::domain::decide::{Action, Checkout, Recharge};
use abacus::domain::ids::{AccountId, PlanId};
use abacus::engine::{EngineError, Priority};
use reqwest::StatusCode;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::process::eventually;
use crate::support::proxy::{CommitCut, Proxy, Way};
use crate::support::{Client, TestServer, cluster};

struct Behind {
    proxy: Proxy,
    server: TestServer,
    operator: Client,
    account: String,
}

/// A server that reaches its database through a proxy, and waits for a second.
async fn behind_a_proxy() -> Behind {
    let proxy = Proxy::before(&cluster::database().await).await;
    let server = TestServer::on(proxy.url.clone(), |config| {
        config.engine.lanes = 1;
        config.engine.held_time_max = Duration::from_secs(1);
        config.engine.patience.waiting_max = Duration::from_secs(1);
    })
    .await;
    let (operator, account) = (server.operator(), server.account("acme", "0").await);
    Behind { proxy, server, operator, account }
}

impl Behind {
    async fn recharge(&self, key: &str) -> (StatusCode, Value) {
        let input = json!({ "accountId": self.account, "amount": "1.00", "idempotencyKey": key });
        self.operator.try_mutate("recharge", "RechargeInput", input, "transaction { balanceAfter }").await
    }

    /// Asks again with the same key until that is answered.
    async fn asked_again(&self, key: &str) -> Value {
        eventually("the outcome", 30, async || {
            let (_, answer) = self.recharge(key).await;
            answer.get("errors").is_none().then(|| answer["data"]["recharge"].clone())
        })
        .await
    }
}

fn checkout_of(plan: &str) -> Checkout {
    Checkout {
        plan: PlanId::parse(plan).unwrap(),
        region: None,
        datacenter: None,
        quantity: 1,
        instalments: None,
        auto_renewal: false,
        pay_later: false,
        comment: None,
        expected_price: None,
    }
}

fn code(answer: &Value) -> &Value {
    &answer["errors"][0]["extensions"]["code"]
}

#[tokio::test]
async fn a_commit_that_is_carried_out_late_is_unknown_until_then_and_done_once() {
    let behind = behind_a_proxy().await;
    behind.proxy.cut_commits(1, CommitCut::Late(Duration::from_secs(4)));
    let (_, answer) = behind.recharge("k").await;
    assert_eq!(code(&answer), "OUTCOME_UNKNOWN", "{answer:#}");
    assert_eq!(behind.proxy.commits_cut(), 1);
    let (_, answer) = behind.recharge("k").await;
    assert_eq!(
        code(&answer),
        "OUTCOME_UNKNOWN",
        "it may be this very key that is being carried out: {answer:#}"
    );
    let made = behind.asked_again("k").await;
    assert_eq!(made, json!({ "transaction": { "balanceAfter": "1.00" }, "userErrors": [] }));
    assert_eq!(behind.server.assert_ledger_is_healthy().await, 1);
}

#[tokio::test]
async fn a_command_that_has_waited_too_long_is_overloaded_and_never_done() {
    let behind = behind_a_proxy().await;
    behind.proxy.set(Way::Stalled);
    let opening = async {
        // Longer than a command may wait.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        behind.proxy.set(Way::Open);
    };
    // Past what reads before it.
    let recharge = Recharge { amount: Decimal::ONE, payment_method: "sandbox".to_owned(), reason: None };
    let account = AccountId::parse(&behind.account).unwrap();
    let command =
        Command { key: Some("k".to_owned()), ..Command::by_itself(account, Action::Recharge(recharge)) };
    let submitted = behind.server.server.app.engine.submit(command, Priority::Interactive);
    let (outcome, ()) = tokio::join!(submitted, opening);
    assert!(matches!(outcome, Err(EngineError::Overloaded)), "{outcome:?}");
    let made = behind.asked_again("other").await;
    assert_eq!(made["transaction"]["balanceAfter"], "1.00", "of the first, nothing was done");
    assert_eq!(behind.server.assert_ledger_is_healthy().await, 1);
}

#[tokio::test]
async fn a_key_that_is_in_doubt_is_not_called_undone_by_a_lane_that_is_full() {
    let proxy = Proxy::before(&cluster::database().await).await;
    let server = TestServer::on(proxy.url.clone(), |config| {
        config.engine.lanes = 1;
        config.engine.queue_max = 1;
        config.engine.held_time_max = Duration::from_millis(200);
    })
    .await;
    let account = AccountId::parse(&server.account("acme", "0").await).unwrap();
    let ask = async |key: &str| {
        let recharge = Recharge { amount: Decimal::ONE, payment_method: "sandbox".to_owned(), reason: None };
        let action = Action::Recharge(recharge);
        let command = Command { key: Some(key.to_owned()), ..Command::by_itself(account, action) };
        server.server.app.engine.submit(command, Priority::Interactive).await
    };
    proxy.cut_commits(1, CommitCut::Late(Duration::from_secs(3)));
    assert!(matches!(ask("k").await, Err(EngineError::Unknown)));
    // One is tried again and again, as its account is held; one waits in the queue; there is no room for more.
    let (first, second, again, other) = tokio::join!(ask("a"), ask("b"), ask("k"), ask("c"));
    assert!(matches!(again, Err(EngineError::Unknown)), "{again:?}");
    for outcome in [first, second, other] {
        let is_right = matches!(outcome, Err(EngineError::Unknown | EngineError::Overloaded) | Ok(_));
        assert!(is_right, "{outcome:?}");
    }
    eventually("the outcome", 30, async || ask("k").await.ok().map(drop)).await;
    server.assert_ledger_is_healthy().await;
}

/// Its caller gives a server up that says nothing, is refused by another, and must not be charged by the first one later.
#[tokio::test]
async fn a_key_that_another_server_has_refused_is_not_carried_out_after() {
    let direct = cluster::database().await;
    let proxy = Proxy::before(&direct).await;
    let slow = TestServer::on(proxy.url.clone(), |_| {}).await;
    let other = TestServer::on(direct, |_| {}).await;
    let account = other.account("acme", "0").await;
    let plan = other.plan("Plan", "1.00").await;
    let checkout = checkout_of(&plan);
    let buyer = AccountId::parse(&account).unwrap();
    let buying = || Command::by_itself(buyer, Action::Checkout(checkout.clone()));
    let command = || Command { key: Some("k".to_owned()), ..buying() };
    proxy.set(Way::Stalled);
    let elsewhere = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let refused = other.server.app.engine.submit(command(), Priority::Interactive).await;
        assert!(matches!(refused, Err(EngineError::Refused(_))), "{refused:?}");
        let input = json!({ "accountId": account, "amount": "10", "idempotencyKey": "money" });
        other.operator().mutate("recharge", "RechargeInput", input, "transaction { id }").await;
        proxy.set(Way::Open);
    };
    let (outcome, ()) =
        tokio::join!(slow.server.app.engine.submit(command(), Priority::Interactive), elsewhere);
    assert!(matches!(outcome, Err(EngineError::Overloaded)), "{outcome:?}");
    let orders = other.operator().data("{ orders { totalCount } }").await;
    assert_eq!(orders["orders"]["totalCount"], 0);
    // The key itself may be tried again.
    slow.server.app.engine.submit(command(), Priority::Interactive).await.expect("there is money now");
    let swept = other.sql().await;
    let count = "SELECT count(*) FROM refused_keys";
    assert_eq!(swept.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 1);
    swept
        .batch_execute("UPDATE refused_keys SET refused_at = refused_at - interval '11 minutes'")
        .await
        .unwrap();
    let conn = other.server.app.store.home().connection().await.unwrap();
    assert!(
        !abacus::store::keys::refused_forget(&conn, crate::support::citus::url().is_some()).await.unwrap()
    );
    assert_eq!(swept.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 0);
}
