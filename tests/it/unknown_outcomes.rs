//! What was answered as refused or overloaded is never done after, and what may have been done is not called refused.

use std::time::Duration;

use abacus::domain::command::{Action, Command, Recharge};
use abacus::domain::ids::AccountId;
use abacus::engine::{EngineError, Urgency};
use reqwest::StatusCode;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::cluster;
use crate::support::process::eventually;
use crate::support::proxy::{CommitCut, Proxy, Way};
use crate::support::{Client, TestServer};

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
        config.engine.waiting_time_max = Duration::from_secs(1);
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
    let command = Command {
        account: AccountId::parse(&behind.account).unwrap(),
        key: Some("k".to_owned()),
        dry_run: false,
        action: Action::Recharge(recharge),
    };
    let submitted = behind.server.server.app.engine.submit(command, Urgency::Person);
    let (outcome, ()) = tokio::join!(submitted, opening);
    assert!(matches!(outcome, Err(EngineError::Overloaded)), "{outcome:?}");
    let made = behind.asked_again("other").await;
    assert_eq!(made["transaction"]["balanceAfter"], "1.00", "of the first, nothing was done");
    assert_eq!(behind.server.assert_ledger_is_healthy().await, 1);
}
