//! An account is closed: the last bill at once, what is left is paid out, and nothing is forgotten or taken from it.

use serde_json::{Value, json};

use crate::monthly_bills::{amount, bills, event, price, report, set};
use crate::support::life::Life;

fn pay_out(life: &Life, more: Value) -> Value {
    let key = uuid::Uuid::new_v4().to_string();
    let mut whole =
        json!({ "accountId": life.account, "reason": "the account is closed", "idempotencyKey": key });
    whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    whole
}

const PAID_OUT: &str =
    "transaction { kind amount { amount } direction description } account { balance { amount } }";

#[tokio::test]
async fn closing_bills_what_was_used_pays_it_from_the_balance_and_leaves_the_rest_to_be_paid_out() {
    let life = Life::begin("2026-03-05T00:00:00Z", "1000").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "2")]).await;
    report(&life, &[event("1", "transfer_out", "20", "2026-03-04T00:00:00Z")]).await;
    life.advance("2026-04-03T00:00:00Z").await;
    assert_eq!(life.balance().await, "960.00");
    let plan = life.plan("Server", "C", "10", "MONTH").await;
    life.buy(&plan, json!({ "instalments": 3, "autoRenewal": true })).await;
    let by_the_hour = life.plan("By the hour", "C", "1", "HOUR").await;
    life.buy(&by_the_hour, json!({})).await;
    report(&life, &[event("2", "transfer_out", "5", "2026-04-02T00:00:00Z")]).await;
    life.advance("2026-04-03T10:00:00Z").await;

    let closed = life.update(json!({ "status": "CLOSED", "reason": "moved away" })).await;
    // 1000 − 40 − 10 − 2 × 5 − 10 hours.
    assert_eq!(closed["account"]["balance"]["amount"], "930.00");
    assert_eq!(
        closed["account"]["notices"][0],
        json!({ "kind": "ACCOUNT_CLOSED", "message": "The account is closed: moved away." })
    );
    let last = bills(&life.customer).await.last().unwrap().clone();
    assert_eq!((amount(&last).to_string().as_str(), &last["status"]), ("20.00", &json!("PAID")));
    assert_eq!(last["endTime"], "2026-04-03T10:00:00Z");
    assert!(life.orders().await.iter().all(|(_, state, _)| state == "CANCELLED"));

    // It may read, and nothing else: what has no end, ends.
    assert_eq!(life.advance("2026-08-01T00:00:00Z").await.get("RENEWAL"), None);
    assert_eq!(life.balance().await, "930.00");
    let recharge = json!({ "amount": "1", "idempotencyKey": "r" });
    assert_eq!(life.customer.refusal("recharge", "RechargeInput", recharge).await.0, "ACCOUNT_SUSPENDED");
    for (more, code, path) in [
        (json!({}), "REQUIRED", "input.reference"),
        (json!({ "reference": "T1", "amount": "930.01" }), "INSUFFICIENT_BALANCE", "input.amount"),
        (json!({ "reference": "T1", "amount": "0" }), "INVALID", "input.amount"),
        (json!({ "reference": "T1", "amount": "1.001" }), "INVALID", "input.amount"),
        (json!({ "reference": "" }), "INVALID", "input.reference"),
        (json!({ "transactionId": "txn_1" }), "INVALID", "input.transactionId"),
        (json!({ "reference": "T1", "reason": "" }), "INVALID", "input.reason"),
    ] {
        let refused = life.operator.refusal("payOut", "PayOutInput", pay_out(&life, more)).await;
        assert_eq!(refused, (code.to_owned(), path.to_owned()));
    }
    let part = pay_out(&life, json!({ "reference": "T1", "amount": "30" }));
    for _ in 0..2 {
        let paid = life.operator.mutate("payOut", "PayOutInput", part.clone(), PAID_OUT).await;
        assert_eq!(
            paid,
            json!({ "transaction": { "kind": "PAYOUT", "amount": { "amount": "30.00" }, "direction": "DEBIT",
                "description": "the account is closed (T1)" }, "account": { "balance": { "amount": "900.00" } },
                "userErrors": [] })
        );
    }
    let rest = pay_out(&life, json!({ "reference": "T2" }));
    let paid = life.operator.mutate("payOut", "PayOutInput", rest, PAID_OUT).await;
    assert_eq!(paid["account"]["balance"]["amount"], "0.00");
    let nothing = pay_out(&life, json!({ "reference": "T3" }));
    assert_eq!(
        life.operator.refusal("payOut", "PayOutInput", nothing).await,
        ("INSUFFICIENT_BALANCE".to_owned(), "input.amount".to_owned())
    );
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_closed_account_that_owes_takes_what_is_open_and_no_more() {
    let life = Life::begin("2026-03-05T00:00:00Z", "1").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "2")]).await;
    report(&life, &[event("1", "transfer_out", "20", "2026-03-04T00:00:00Z")]).await;
    life.update(json!({ "status": "CLOSED" })).await;
    let bill = bills(&life.customer).await[0].clone();
    assert_eq!((amount(&bill).to_string().as_str(), &bill["status"]), ("40.00", &json!("UNPAID")));
    assert_eq!(bill["dueAt"], "2026-03-05T00:00:00Z");
    assert_eq!(
        life.operator.refusal("payOut", "PayOutInput", pay_out(&life, json!({ "reference": "T" }))).await.0,
        "INSUFFICIENT_BALANCE"
    );
    life.advance("2026-04-20T00:00:00Z").await;
    let refused = json!({ "amount": "39.01", "idempotencyKey": "r" });
    assert_eq!(
        life.customer.refusal("recharge", "RechargeInput", refused).await,
        ("LIMIT_EXCEEDED".to_owned(), "input.amount".to_owned())
    );
    let account = life.recharge("39").await["account"].clone();
    assert_eq!(account, json!({ "balance": { "amount": "0.00" }, "status": "CLOSED" }));
    assert_eq!(bills(&life.customer).await[0]["status"], "PAID");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn an_account_with_subs_that_are_not_closed_cannot_be_closed() {
    let life = Life::begin("2026-03-05T00:00:00Z", "10").await;
    let sub = json!({ "namespace": "sub", "name": "Sub", "currency": "CNY", "parentId": life.account });
    let sub = life.server.account_from(sub, "0").await;
    let close = |id: &str| json!({ "accountId": id, "status": "CLOSED" });
    let refused = life.operator.refusal("updateAccount", "UpdateAccountInput", close(&life.account)).await;
    assert_eq!(refused, ("CONFLICT".to_owned(), "input.status".to_owned()));
    for id in [&sub, &life.account] {
        life.operator.mutate("updateAccount", "UpdateAccountInput", close(id), "account { status }").await;
    }
    let late = json!({ "namespace": "late", "name": "Late", "currency": "CNY", "parentId": life.account });
    let refused = life.operator.refusal("createAccount", "CreateAccountInput", late).await;
    assert_eq!(refused, ("INVALID".to_owned(), "input.parentId".to_owned()));
}

#[tokio::test]
async fn a_bill_that_was_overdue_when_an_account_was_closed_is_paid_when_it_is_opened_with_money() {
    let life = Life::begin("2026-03-05T00:00:00Z", "0").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "2")]).await;
    report(&life, &[event("1", "transfer_out", "20", "2026-03-04T00:00:00Z")]).await;
    life.advance("2026-05-02T00:00:00Z").await;
    life.update(json!({ "status": "CLOSED" })).await;
    life.advance("2026-06-02T00:00:00Z").await;
    let credit = json!({ "accountId": life.account, "amount": "1000", "reason": "a gift", "force": true, "idempotencyKey": "a" });
    life.operator.mutate("adjustBalance", "AdjustBalanceInput", credit, "transaction { id }").await;
    let opened = life.update(json!({ "status": "ACTIVE" })).await;
    assert_eq!(opened["account"]["status"], "ACTIVE");
    assert_eq!(opened["account"]["balance"]["amount"], "960.00");
    assert_eq!(bills(&life.customer).await[0]["status"], "PAID");
}

#[tokio::test]
async fn months_go_on_where_an_account_was_closed_when_it_is_opened_again() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "1")]).await;
    report(&life, &[event("1", "transfer_out", "20", "2026-03-04T00:00:00Z")]).await;
    life.advance("2026-03-10T12:00:00Z").await;
    life.update(json!({ "status": "CLOSED" })).await;
    assert_eq!(life.balance().await, "80.00");
    life.advance("2026-03-12T00:00:00Z").await;
    life.update(json!({ "status": "ACTIVE" })).await;
    report(&life, &[event("2", "transfer_out", "7", "2026-03-11T23:00:00Z")]).await;
    // What was used before the account was closed, and told only now, is part of the month as well.
    report(&life, &[event("3", "transfer_out", "5", "2026-03-04T12:00:00Z")]).await;
    life.advance("2026-04-02T00:00:00Z").await;
    assert_eq!(life.balance().await, "68.00");
    let amounts: Vec<_> = bills(&life.customer).await.iter().map(|bill| amount(bill).to_string()).collect();
    assert_eq!(amounts, ["20.00", "12.00"]);
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_costs_once_a_month_costs_once_though_the_account_was_closed_within_it_and_opened_again() {
    let life = Life::begin("2026-03-05T00:00:00Z", "1000").await;
    let package = json!({ "package": { "type": "NORMAL", "currency": "CNY", "money": "10",
        "quotas": [{ "resource": "transfer_out", "quantity": "15" }] } });
    let base = json!({ "base": { "currency": "CNY", "tariffs": [{ "resource": "transfer_out", "tiers": [
        { "from": "0", "unitPrice": "2", "flatFee": "3" }, { "from": "20", "unitPrice": "1" }] }] } });
    let infos: Vec<Value> = [base, package]
        .map(|definition| json!({ "effectiveFrom": "2026-03-01T00:00:00Z", "definition": definition }))
        .to_vec();
    set(&life, Some(&life.account), json!(infos)).await;
    let by_the_hour = life.plan("By the hour", "C", "1", "HOUR").await;
    life.buy(&by_the_hour, json!({})).await;
    report(&life, &[event("1", "transfer_out", "18", "2026-03-04T00:00:00Z")]).await;
    life.advance("2026-03-05T10:00:00Z").await;
    life.update(json!({ "status": "CLOSED" })).await;
    // 10, a flat fee of 3 and 3 × 2 for usage, and 10 hours.
    assert_eq!(life.balance().await, "971.00");
    life.advance("2026-03-08T00:00:00Z").await;
    life.update(json!({ "status": "ACTIVE" })).await;
    report(&life, &[event("2", "transfer_out", "1", "2026-03-04T12:00:00Z")]).await;
    report(&life, &[event("3", "transfer_out", "6", "2026-03-07T23:00:00Z")]).await;
    life.buy(&by_the_hour, json!({})).await;
    life.advance("2026-03-08T05:00:00Z").await;
    let order =
        life.customer.data("{ orders(first: 1) { nodes { id } } }").await["orders"]["nodes"][0]["id"].clone();
    life.customer
        .mutate("cancelOrder", "CancelOrderInput", json!({ "orderId": order }), "order { state }")
        .await;
    life.advance("2026-04-02T00:00:00Z").await;
    // 25 in all: 5 × 2 and 5 × 1, less the 6 that were paid; and 5 hours more.
    let amounts: Vec<_> = bills(&life.customer).await.iter().map(|bill| amount(bill).to_string()).collect();
    assert_eq!(amounts, ["29.00", "14.00"]);
    assert_eq!(life.balance().await, "957.00");
    let key = uuid::Uuid::new_v4().to_string();
    let input = json!({ "accountId": life.account, "period": "2026-03-01", "idempotencyKey": key });
    let again = life.operator.mutate("rerate", "RerateInput", input, "bills { id }").await;
    assert_eq!(again["bills"], json!([]));
    crate::monthly_bills::assert_everything_adds_up(&life.customer).await;
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_sub_account_is_not_opened_again_under_a_main_account_that_is_closed() {
    let life = Life::begin("2026-03-05T00:00:00Z", "10").await;
    let sub = json!({ "namespace": "sub", "name": "Sub", "currency": "CNY", "parentId": life.account });
    let sub = life.server.account_from(sub, "0").await;
    for id in [&sub, &life.account] {
        let close = json!({ "accountId": id, "status": "CLOSED" });
        life.operator.mutate("updateAccount", "UpdateAccountInput", close, "account { status }").await;
    }
    for status in ["ACTIVE", "SUSPENDED"] {
        let open = json!({ "accountId": sub, "status": status });
        let refused = life.operator.refusal("updateAccount", "UpdateAccountInput", open).await;
        assert_eq!(refused, ("CONFLICT".to_owned(), "input.status".to_owned()));
    }
}

#[tokio::test]
async fn an_account_may_move_to_another_zone_as_it_is_closed() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "1")]).await;
    report(&life, &[event("1", "transfer_out", "20", "2026-03-04T00:00:00Z")]).await;
    life.update(json!({ "status": "CLOSED", "timeZone": "Asia/Shanghai" })).await;
    assert_eq!(life.balance().await, "80.00");
}

#[tokio::test]
async fn usage_of_before_the_end_that_comes_after_it_is_billed() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "1")]).await;
    report(&life, &[event("0", "transfer_out", "0", "2026-03-04T11:00:00Z")]).await;
    life.advance("2026-03-10T12:00:00Z").await;
    life.update(json!({ "status": "CLOSED" })).await;
    life.advance("2026-03-10T14:00:00Z").await;
    report(&life, &[event("1", "transfer_out", "20", "2026-03-10T11:00:00Z")]).await;
    let after = json!({ "events": [event("2", "transfer_out", "5", "2026-03-10T12:30:00Z")] });
    let told =
        life.operator.mutate("recordUsage", "RecordUsageInput", after, "results { outcome message }").await;
    assert_eq!(
        told["results"],
        json!([{ "outcome": "REJECTED", "message": "namespace: the account is closed" }])
    );
    life.advance("2026-03-10T16:00:00Z").await;
    assert_eq!(life.balance().await, "80.00");
    assert_eq!(life.advance("2026-05-01T00:00:00Z").await.get("MONTH_CORRECTION"), None);
    assert_eq!(life.balance().await, "80.00");
    // What is used once it is open again counts at once.
    life.update(json!({ "status": "ACTIVE" })).await;
    report(&life, &[event("3", "transfer_out", "1", "2026-05-01T00:00:00Z")]).await;
}
