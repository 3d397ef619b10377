//! Orders on demand: each needs an hour of all that run, they stop with their account, and nothing of them is forgotten.

use serde_json::{Value, json};

use crate::monthly_bills::{amount, bills, event, price, report};
use crate::support::life::Life;

async fn by_the_hour(life: &Life, price: &str, once: Option<&str>) -> String {
    let money = |amount: &str| json!({ "amount": amount, "currency": "CNY" });
    let plan = json!({ "name": "By the hour", "region": null, "price": money(price),
        "oncePrice": once.map(money), "billPeriod": "HOUR" });
    life.server.plan_from(plan).await
}

#[tokio::test]
async fn each_order_on_demand_needs_an_hour_of_all_that_run() {
    let life = Life::begin("2026-03-01T00:00:00Z", "1").await;
    let plan = by_the_hour(&life, "1.00", None).await;
    let first = life.buy(&plan, json!({})).await["order"]["id"].clone();
    let buy = |quantity: i32| json!({ "planId": plan, "quantity": quantity, "idempotencyKey": uuid::Uuid::new_v4().to_string() });
    assert_eq!(life.customer.refusal("checkout", "CheckoutInput", buy(1)).await.0, "INSUFFICIENT_BALANCE");
    life.recharge("2.99").await;
    assert_eq!(life.customer.refusal("checkout", "CheckoutInput", buy(3)).await.0, "INSUFFICIENT_BALANCE");
    life.buy(&plan, json!({ "quantity": 2 })).await;
    // What is cancelled leaves room.
    life.customer
        .mutate("cancelOrder", "CancelOrderInput", json!({ "orderId": first }), "order { state }")
        .await;
    life.buy(&plan, json!({})).await;
}

#[tokio::test]
async fn what_is_charged_once_is_on_the_bill_of_the_first_month_and_renewal_is_refused() {
    let life = Life::begin("2026-03-01T00:00:00Z", "10000").await;
    let plan = by_the_hour(&life, "1.00", Some("5.00")).await;
    let renewed = json!({ "planId": plan, "autoRenewal": true, "idempotencyKey": "k" });
    assert_eq!(
        life.customer.refusal("checkout", "CheckoutInput", renewed).await,
        ("INVALID".to_owned(), "input.autoRenewal".to_owned())
    );
    let order = life.buy(&plan, json!({})).await["order"]["id"].clone();
    life.advance("2026-03-01T10:00:00Z").await;
    life.customer
        .mutate("cancelOrder", "CancelOrderInput", json!({ "orderId": order }), "order { state }")
        .await;
    life.advance("2026-04-02T00:00:00Z").await;
    let billed = bills(&life.customer).await;
    assert_eq!(billed.iter().map(|bill| amount(bill).to_string()).collect::<Vec<_>>(), ["15.00"]);
    let details = "{ records { nodes { price { amount } details { title price { amount } } } } }";
    let record = life.customer.data(details).await["records"]["nodes"][0].clone();
    let titles: Vec<_> =
        record["details"].as_array().unwrap().iter().map(|detail| detail["title"].clone()).collect();
    assert_eq!(titles, ["once", "on demand"]);
    // An order that runs on is charged once only.
    life.buy(&plan, json!({ "quantity": 2 })).await;
    life.advance("2026-06-02T00:00:00Z").await;
    let amounts: Vec<_> = bills(&life.customer).await.iter().map(|bill| amount(bill).to_string()).collect();
    assert_eq!(amounts, ["15.00", "1402.00", "1488.00"]);
}

#[tokio::test]
async fn what_runs_on_demand_is_suspended_with_its_account_not_charged_and_ends_seven_days_later() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "200")]).await;
    report(&life, &[event("1", "transfer_out", "20", "2026-03-04T00:00:00Z")]).await;
    life.advance("2026-04-20T00:00:00Z").await;
    let plan = by_the_hour(&life, "0.10", None).await;
    let order = life.buy(&plan, json!({})).await["order"]["id"].clone();
    let state = async || life.order(&order).await["state"].clone();
    // Suspended on the 23rd at 01:00, after 73 hours.
    life.advance("2026-04-24T00:00:00Z").await;
    assert_eq!(state().await, "SUSPENDED");
    life.update(json!({ "status": "ACTIVE" })).await;
    assert_eq!(state().await, "ACTIVE");
    // It runs for the seven days of the operator's word, and then stands still again.
    life.advance("2026-05-01T02:00:00Z").await;
    assert_eq!(state().await, "SUSPENDED");
    let april = bills(&life.customer).await[1].clone();
    // 73 hours, and from the 24th to the end of the month 168.
    assert_eq!(amount(&april).to_string(), "24.10");
    let ran = life.advance("2026-05-08T00:00:00Z").await;
    assert_eq!(ran.get("ORDER_END"), Some(&(1, 0)));
    let over = life.order(&order).await;
    assert_eq!((&over["state"], &over["expiresAt"]), (&json!("ENDED"), &json!("2026-05-01T00:00:00Z")));
    life.advance("2026-07-02T00:00:00Z").await;
    let amounts: Vec<Value> =
        bills(&life.customer).await.iter().map(|bill| json!(amount(bill).to_string())).collect();
    assert_eq!(amounts, ["4000.00", "24.10"]);
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_is_free_by_the_hour_and_what_counts_again_at_once_stop_with_their_account_too() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "200")]).await;
    report(&life, &[event("1", "transfer_out", "20", "2026-03-04T00:00:00Z")]).await;
    let free = by_the_hour(&life, "0", Some("5.00")).await;
    let order = life.buy(&free, json!({})).await["order"]["id"].clone();
    let state = async || life.order(&order).await["state"].clone();
    life.advance("2026-04-24T00:00:00Z").await;
    assert_eq!(state().await, "SUSPENDED");
    life.update(json!({ "status": "ACTIVE" })).await;
    assert_eq!(state().await, "ACTIVE");
    assert_eq!(life.update(json!({ "suspensionHeldUntil": null })).await["account"]["status"], "SUSPENDED");
    assert_eq!(state().await, "SUSPENDED");
    assert_eq!(life.advance("2026-05-01T00:00:00Z").await.get("ORDER_END"), Some(&(1, 0)));
}

#[tokio::test]
async fn an_operators_suspension_stops_what_runs_on_demand_and_lifting_it_lets_it_go_on() {
    let life = Life::begin("2026-03-01T00:00:00Z", "100").await;
    let plan = by_the_hour(&life, "1.00", None).await;
    let order = life.buy(&plan, json!({})).await["order"]["id"].clone();
    life.advance("2026-03-01T10:00:00Z").await;
    life.update(json!({ "status": "SUSPENDED" })).await;
    life.advance("2026-03-02T10:00:00Z").await;
    life.update(json!({ "status": "ACTIVE" })).await;
    life.advance("2026-03-02T15:00:00Z").await;
    let soon = "{ account { forecast { soFar { amount } } } }";
    let data = life.customer.data(soon).await;
    assert_eq!(data["account"]["forecast"]["soFar"]["amount"], "15.00");
    life.customer
        .mutate("cancelOrder", "CancelOrderInput", json!({ "orderId": order }), "order { state }")
        .await;
    life.advance("2026-04-02T00:00:00Z").await;
    assert_eq!(amount(&bills(&life.customer).await[0]).to_string(), "15.00");
}
