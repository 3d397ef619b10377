//! Payment v1, request by request, with the document's own figures.

use serde_json::json;

use crate::support::TestServer;

#[tokio::test]
async fn get_account_shows_a_new_tenant_with_nothing_bought() {
    let server = TestServer::start().await;
    server.account("chaizs", "0").await;
    let query = "{ account { purchased notification notices { id } plans { id type price { amount } billPeriod description }
        status balance { amount status } } }";
    let account = server.customer("chaizs").data(query).await["account"].clone();
    assert_eq!(
        account,
        json!({ "purchased": false, "notification": false, "notices": [], "plans": [], "status": "ACTIVE",
            "balance": { "amount": "0.00", "status": "ACTIVE" } })
    );
}

#[tokio::test]
async fn get_account_shows_the_plan_that_was_bought() {
    let server = TestServer::start().await;
    server.account("chaizs", "10").await;
    let plan = server
        .plan_from(
            json!({ "name": "Plan A", "type": "normal", "price": { "amount": "10", "currency": "CNY" } }),
        )
        .await;
    let customer = server.customer("chaizs");
    customer.checkout(&plan, "first").await;
    let query = "{ account { purchased plans { id type price { amount } billPeriod description } balance { amount } } }";
    assert_eq!(
        customer.data(query).await["account"],
        json!({ "purchased": true, "balance": { "amount": "0.00" }, "plans": [{ "id": plan, "type": "normal",
            "price": { "amount": "10.00" }, "billPeriod": "MONTH", "description": "1 CPU Core, 512M Memory" }] })
    );
}

#[tokio::test]
async fn get_market_lists_the_three_plans() {
    let server = TestServer::start().await;
    for (price, description) in [
        ("20", "1 CPU Core, 512M Memory"),
        ("40.88", "2 CPU Cores, 1G Memory"),
        ("88.88", "4 CPU Cores, 2G Memory"),
    ] {
        let price = json!({ "amount": price, "currency": "CNY" });
        server.plan_from(json!({ "name": description, "price": price, "description": description })).await;
    }
    server.account("chaizs", "0").await;
    let query = r#"{ plans(filter: { type: "C", region: "cn-north-1" }, last: 3) { totalCount nodes { id type price { amount }
        billPeriod description createdAt } } }"#;
    let plans = server.customer("chaizs").data(query).await["plans"].clone();
    assert_eq!(plans["totalCount"], json!(3));
    let nodes = plans["nodes"].as_array().unwrap();
    let shown: Vec<_> = nodes
        .iter()
        .rev()
        .map(|node| (node["price"]["amount"].as_str().unwrap(), node["description"].as_str().unwrap()))
        .collect();
    assert_eq!(
        shown,
        [
            ("20.00", "1 CPU Core, 512M Memory"),
            ("40.88", "2 CPU Cores, 1G Memory"),
            ("88.88", "4 CPU Cores, 2G Memory")
        ]
    );
    let ids: std::collections::HashSet<_> = nodes.iter().map(|node| node["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3, "every plan has an id of its own");
}

#[tokio::test]
async fn checkout_answers_the_balance_after_the_charge() {
    let server = TestServer::start().await;
    server.account("chaizs", "3088.89").await;
    let plan = server.plan("Plan C", "88.88").await;
    let input =
        json!({ "planId": plan, "namespace": "chaizs", "region": "cn-north-1", "idempotencyKey": "k" });
    let fields = "account { balance { amount status } } order { number state type region payWay autoRenewal
        price { amount currency } } bill { status amount { amount } seq seqCount }";
    let payload = server.customer("chaizs").mutate("checkout", "CheckoutInput", input, fields).await;
    assert_eq!(payload["account"]["balance"], json!({ "amount": "3000.01", "status": "ACTIVE" }));
    assert_eq!(payload["order"]["state"], "ACTIVE");
    assert_eq!(payload["order"]["type"], "NEW");
    assert_eq!(payload["order"]["region"], "cn-north-1");
    assert_eq!(payload["order"]["price"], json!({ "amount": "88.88", "currency": "CNY" }));
    assert_eq!(
        payload["bill"],
        json!({ "status": "PAID", "amount": { "amount": "88.88" }, "seq": 1, "seqCount": 1 })
    );
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn recharge_answers_the_new_balance() {
    let server = TestServer::start().await;
    server.account("chaizs", "4766.55").await;
    let input = json!({ "amount": "1234.34", "namespace": "chaizs", "idempotencyKey": "k" });
    let fields = "account { balance { amount status } } transaction { kind status direction amount { amount } balanceAfter }";
    let payload = server.customer("chaizs").mutate("recharge", "RechargeInput", input, fields).await;
    assert_eq!(payload["account"]["balance"], json!({ "amount": "6000.89", "status": "ACTIVE" }));
    assert_eq!(
        payload["transaction"],
        json!({ "kind": "RECHARGE", "status": "FINISHED", "direction": "CREDIT", "amount": { "amount": "1234.34" },
            "balanceAfter": "6000.89" })
    );
}

#[tokio::test]
async fn get_amount_lists_the_transactions_and_get_amount_by_id_shows_one() {
    let server = TestServer::start().await;
    server.account("chaizs", "100").await;
    let customer = server.customer("chaizs");
    let dear = server.plan("Plan A", "12.23").await;
    let cheap = server.plan("Plan A", "2.34").await;
    for (plan, key) in [(&cheap, "1"), (&dear, "2"), (&dear, "3")] {
        customer.checkout(plan, key).await;
    }
    let newest =
        "{ transactions(filter: { kind: CHECKOUT }) { totalCount nodes { id createdAt amount { amount }
        description paymentMethod status } } }";
    let bought = customer.data(newest).await["transactions"]["nodes"].clone();
    let refund =
        json!({ "transactionId": bought[2]["id"], "reason": "not delivered", "idempotencyKey": "r" });
    let payload = server
        .operator()
        .mutate(
            "refund",
            "RefundInput",
            refund,
            "refund { amount { amount } refundOf { id } }
        transaction { status refundedAmount }",
        )
        .await;
    assert_eq!(
        payload["refund"],
        json!({ "amount": { "amount": "2.34" }, "refundOf": { "id": bought[2]["id"] } })
    );
    assert_eq!(payload["transaction"], json!({ "status": "REFUNDED", "refundedAmount": "2.34" }));

    let listed = customer.data(newest).await["transactions"].clone();
    assert_eq!(listed["totalCount"], json!(3));
    let shown: Vec<_> = listed["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| {
            (
                t["amount"]["amount"].clone(),
                t["description"].clone(),
                t["paymentMethod"].clone(),
                t["status"].clone(),
            )
        })
        .collect();
    assert_eq!(
        json!(shown),
        json!([
            ["12.23", "Plan A", "balance", "FINISHED"],
            ["12.23", "Plan A", "balance", "FINISHED"],
            ["2.34", "Plan A", "balance", "REFUNDED"],
        ])
    );
    let id = listed["nodes"][0]["id"].as_str().unwrap();
    let one = format!(r#"{{ transaction(id: "{id}") {{ id amount {{ amount }} description status }} }}"#);
    assert_eq!(
        customer.data(&one).await["transaction"],
        json!({ "id": id, "amount": { "amount": "12.23" }, "description": "Plan A", "status": "FINISHED" })
    );
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn get_balance_answers_amount_and_status() {
    let server = TestServer::start().await;
    server.account("chaizs", "50000.89").await;
    let query = "{ account { balance { amount currency available creditLimit status } } }";
    assert_eq!(
        server.customer("chaizs").data(query).await["account"]["balance"],
        json!({ "amount": "50000.89", "currency": "CNY", "available": "50000.89", "creditLimit": null, "status": "ACTIVE" })
    );
}
