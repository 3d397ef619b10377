//! Debits that cannot be avoided: posted whatever the balance holds.

use serde_json::{Value, json};

use crate::support::life::Life;

const ADJUSTED: &str = "transaction { kind direction amount { amount } balanceAfter }
    account { status balance { amount } }";

fn forced(life: &Life, amount: &str, key: &str) -> Value {
    json!({ "accountId": life.account, "amount": amount, "reason": "dispute", "force": true, "idempotencyKey": key })
}

async fn adjust(life: &Life, input: Value) -> Value {
    life.operator.mutate("adjustBalance", "AdjustBalanceInput", input, ADJUSTED).await
}

#[tokio::test]
async fn a_forced_debit_is_posted_overdraws_and_suspends_until_money_comes_in() {
    let life = Life::begin("2026-03-01T00:00:00Z", "0").await;
    life.recharge("50").await;
    let spent =
        json!({ "accountId": life.account, "amount": "-50", "reason": "spent", "idempotencyKey": "spent" });
    adjust(&life, spent).await;
    let unforced = json!({ "accountId": life.account, "amount": "-50", "reason": "dispute", "force": false,
        "idempotencyKey": "unforced" });
    let refused = life.operator.refusal("adjustBalance", "AdjustBalanceInput", unforced).await;
    assert_eq!(refused.0, "INSUFFICIENT_BALANCE");

    let taken = adjust(&life, forced(&life, "-50", "k")).await;
    let moved = json!({ "kind": "ADJUSTMENT", "direction": "DEBIT", "amount": { "amount": "-50.00" }, "balanceAfter": "-50.00" });
    assert_eq!(taken["transaction"], moved);
    let overdrawn = json!({ "status": "SUSPENDED", "balance": { "amount": "-50.00" } });
    assert_eq!(taken["account"], overdrawn);
    assert_eq!(adjust(&life, forced(&life, "-50", "k")).await, taken, "a key is used once");
    assert_eq!(life.notices().await, ["ACCOUNT_SUSPENDED"]);

    assert_eq!(life.recharge("49.99").await["account"]["status"], "SUSPENDED");
    assert_eq!(life.recharge("0.01").await["account"]["status"], "ACTIVE");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_forced_debit_within_the_limit_suspends_nobody() {
    let life = Life::with("2026-03-01T00:00:00Z", "10", json!({ "creditLimit": "5" })).await;
    let taken = adjust(&life, forced(&life, "-15", "k")).await;
    let within = json!({ "status": "ACTIVE", "balance": { "amount": "-5.00" } });
    assert_eq!(taken["account"], within);
    assert_eq!(life.notices().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_forced_is_an_amount_all_the_same() {
    let life = Life::begin("2026-03-01T00:00:00Z", "10").await;
    for (amount, code) in [("0", "INVALID"), ("-100000000", "OUT_OF_RANGE")] {
        let refused =
            life.operator.refusal("adjustBalance", "AdjustBalanceInput", forced(&life, amount, "k")).await;
        assert_eq!(refused, (code.to_owned(), "input.amount".to_owned()));
    }
}

#[tokio::test]
async fn a_forced_debit_is_posted_on_a_closed_account_which_stays_closed() {
    let life = Life::begin("2026-03-01T00:00:00Z", "10").await;
    let close = "UPDATE accounts SET status = 'CLOSED', closed_at = now() WHERE namespace = 'tenant'";
    life.server.make_accounts_so(close).await;
    let unforced =
        json!({ "accountId": life.account, "amount": "-1", "reason": "r", "idempotencyKey": "unforced" });
    let refused = life.operator.refusal("adjustBalance", "AdjustBalanceInput", unforced).await;
    assert_eq!(refused.0, "ACCOUNT_SUSPENDED");
    let taken = adjust(&life, forced(&life, "-25", "k")).await;
    let overdrawn = json!({ "status": "CLOSED", "balance": { "amount": "-15.00" } });
    assert_eq!(taken["account"], overdrawn);
    life.server.assert_ledger_is_healthy().await;
}
