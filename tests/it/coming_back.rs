//! What may be given back belongs to the thing that was paid for: refunds, corrections and the credit of a change together.

use serde_json::{Value, json};

use crate::monthly_bills::{amount, assert_everything_adds_up, bills, event, price, report};
use crate::support::life::Life;

/// A resource that allows corrections, at 1 a unit, of which 100 were used in March; the bill of it is paid.
async fn billed_100(balance: &str) -> Life {
    let life = Life::begin("2026-03-05T00:00:00Z", balance).await;
    let define = json!({ "code": "egress", "name": "Egress", "unit": "GB", "resourceType": "CLOUD",
        "aggregation": "SUM", "allowsCorrections": true });
    life.operator.mutate("defineResource", "DefineResourceInput", define, "resource { code }").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("egress", "1")]).await;
    report(&life, &[event("1", "egress", "100", "2026-03-04T00:00:00Z")]).await;
    life.advance("2026-04-02T00:00:00Z").await;
    life
}

async fn payment_of_the_month(life: &Life) -> Value {
    let query = "{ transactions(filter: { kind: BILL_PAYMENT }, last: 1) { nodes { id } } }";
    life.customer.data(query).await["transactions"]["nodes"][0]["id"].clone()
}

fn refund(transaction: &Value, amount: Option<&str>) -> Value {
    let key = uuid::Uuid::new_v4().to_string();
    json!({ "transactionId": transaction, "amount": amount, "reason": "goodwill", "idempotencyKey": key })
}

async fn give_back(life: &Life, transaction: &Value, amount: Option<&str>) {
    life.operator.mutate("refund", "RefundInput", refund(transaction, amount), "refund { id }").await;
}

/// Corrects March by so many units.
async fn correct(life: &Life, id: &str, quantity: &str, until: &str) {
    report(life, &[event(id, "egress", quantity, "2026-03-10T00:00:00Z")]).await;
    life.advance(until).await;
}

async fn rerate(life: &Life) {
    let key = uuid::Uuid::new_v4().to_string();
    let input = json!({ "accountId": life.account, "period": "2026-03-01", "idempotencyKey": key });
    life.operator.mutate("rerate", "RerateInput", input, "bills { id }").await;
}

async fn last_lines(life: &Life) -> Vec<(String, String)> {
    let all = bills(&life.customer).await;
    let lines = all.last().unwrap()["lines"].as_array().unwrap().clone();
    let line = |line: &Value| (line["title"].as_str().unwrap().to_owned(), amount(line).to_string());
    lines.iter().map(line).collect()
}

#[tokio::test]
async fn a_correction_of_a_month_that_was_refunded_credits_nothing_more() {
    let life = billed_100("200").await;
    give_back(&life, &payment_of_the_month(&life).await, None).await;
    assert_eq!(life.balance().await, "200.00");
    correct(&life, "2", "-30", "2026-04-02T02:00:00Z").await;
    assert_eq!(life.balance().await, "200.00");
    assert_eq!(
        last_lines(&life).await,
        [("Usage 2026-03, correction", "-30.00"), ("already given back", "30.00")]
            .map(|(title, amount)| (title.to_owned(), amount.to_owned()))
    );
    // What is used all the same after that is asked for only beyond what was given back.
    correct(&life, "3", "20", "2026-04-02T04:00:00Z").await;
    assert_eq!(life.balance().await, "200.00");
    correct(&life, "4", "25", "2026-04-02T06:00:00Z").await;
    assert_eq!(life.balance().await, "185.00");
    assert_everything_adds_up(&life.customer).await;
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_refund_of_a_month_that_was_corrected_gives_back_what_is_left() {
    let life = billed_100("200").await;
    let paid = payment_of_the_month(&life).await;
    correct(&life, "2", "-30", "2026-04-02T02:00:00Z").await;
    assert_eq!(life.balance().await, "130.00");
    let payload =
        life.operator.payload("refund", "RefundInput", refund(&paid, Some("70.01")), "refund { id }").await;
    let error = &payload["userErrors"][0];
    assert_eq!((&error["code"], &error["path"]), (&json!("LIMIT_EXCEEDED"), &json!(["input", "amount"])));
    assert_eq!(error["message"], "70.00 of it is left to give back");
    give_back(&life, &paid, None).await;
    assert_eq!(life.balance().await, "200.00");
    let refused = life.operator.refusal("refund", "RefundInput", refund(&paid, None)).await;
    assert_eq!(refused.0, "LIMIT_EXCEEDED");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_month_rated_anew_at_nothing_after_a_refund_credits_the_rest() {
    let life = billed_100("200").await;
    give_back(&life, &payment_of_the_month(&life).await, Some("60")).await;
    assert_eq!(life.balance().await, "160.00");
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("egress", "0")]).await;
    rerate(&life).await;
    assert_eq!(life.balance().await, "200.00");
    assert_eq!(amount(bills(&life.customer).await.last().unwrap()).to_string(), "-40.00");
    assert_everything_adds_up(&life.customer).await;
}

#[tokio::test]
async fn a_correction_of_a_month_that_nobody_paid_makes_what_is_open_less() {
    let life = billed_100("0").await;
    correct(&life, "2", "-30", "2026-04-02T02:00:00Z").await;
    let all = bills(&life.customer).await;
    let seen: Vec<_> = all.iter().map(|bill| (bill["status"].clone(), amount(bill).to_string())).collect();
    assert_eq!(seen, [(json!("VOID"), "100.00".to_owned()), (json!("UNPAID"), "70.00".to_owned())]);
    assert_eq!(all[1]["dueAt"], all[0]["dueAt"]);
    assert_eq!(life.balance().await, "0.00");
    assert_everything_adds_up(&life.customer).await;
    life.recharge("80").await;
    life.advance("2026-05-01T00:00:00Z").await;
    assert_eq!(life.balance().await, "10.00");
    // And back: what was paid comes back, and no more.
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("egress", "0")]).await;
    rerate(&life).await;
    assert_eq!(life.balance().await, "80.00");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn less_used_than_was_reported_before_is_not_paid_out_beyond_what_was_paid() {
    let life = billed_100("200").await;
    correct(&life, "2", "-250", "2026-04-02T02:00:00Z").await;
    assert_eq!(life.balance().await, "200.00");
    correct(&life, "3", "160", "2026-04-02T04:00:00Z").await;
    assert_eq!(life.balance().await, "190.00");
    assert_everything_adds_up(&life.customer).await;
}

#[tokio::test]
async fn what_a_correction_comes_to_below_a_cent_is_carried_and_makes_no_bill() {
    let life = billed_100("200").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("egress", "0.0001")]).await;
    rerate(&life).await;
    let before = bills(&life.customer).await.len();
    for hour in 1..=8 {
        let until = format!("2026-04-03T{:02}:00:00Z", 2 * hour);
        correct(&life, &format!("late {hour}"), "5", &until).await;
    }
    assert_eq!(bills(&life.customer).await.len(), before, "eight times 0.0005 make no bill");
    // 100 and 40 of 0.0001 are 0.014; 10 more are 0.015, a cent more than was billed.
    correct(&life, "late 9", "10", "2026-04-03T20:00:00Z").await;
    let all = bills(&life.customer).await;
    assert_eq!((all.len(), amount(&all[before]).to_string()), (before + 1, "0.01".to_owned()));
    assert_everything_adds_up(&life.customer).await;
}

#[tokio::test]
async fn late_reports_of_less_than_a_cent_of_a_month_without_a_bill_make_none_either() {
    let life = Life::begin("2026-03-05T00:00:00Z", "10").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "0.0001")]).await;
    life.advance("2026-04-02T00:00:00Z").await;
    for hour in 1..=8 {
        let id = format!("late {hour}");
        report(&life, &[event(&id, "transfer_out", "5", "2026-03-10T00:00:00Z")]).await;
        life.advance(&format!("2026-04-02T{:02}:00:00Z", 2 * hour)).await;
    }
    assert_eq!(bills(&life.customer).await.len(), 0);
    report(&life, &[event("last", "transfer_out", "10", "2026-03-10T00:00:00Z")]).await;
    life.advance("2026-04-03T00:00:00Z").await;
    let all = bills(&life.customer).await;
    assert_eq!((all.len(), amount(&all[0]).to_string().as_str()), (1, "0.01"));
    assert_everything_adds_up(&life.customer).await;
}

#[tokio::test]
async fn what_a_change_credited_is_not_refunded_on_top() {
    let life = Life::begin("2026-03-01T00:00:00Z", "100").await;
    let small = life.plan("A", "resources", "30", "MONTH").await;
    let large = life.plan("B", "resources", "60", "MONTH").await;
    life.buy(&small, json!({})).await;
    let changed = life.buy(&large, json!({})).await;
    assert_eq!(changed["bill"]["creditAmount"]["amount"], "30.00");
    let query = "{ transactions(filter: { kind: CHECKOUT }, last: 1) { nodes { id } } }";
    let first = life.customer.data(query).await["transactions"]["nodes"][0]["id"].clone();
    for amount in [None, Some("0.01")] {
        let payload =
            life.operator.payload("refund", "RefundInput", refund(&first, amount), "refund { id }").await;
        assert_eq!(payload["userErrors"][0]["code"], "LIMIT_EXCEEDED");
        assert_eq!(payload["userErrors"][0]["message"], "0.00 of it is left to give back");
    }
    assert_eq!(life.balance().await, "40.00");
}

#[tokio::test]
async fn half_of_a_period_that_was_credited_leaves_the_other_half_to_refund() {
    let life = Life::begin("2026-04-01T00:00:00Z", "100").await;
    let small = life.plan("A", "resources", "30", "MONTH").await;
    let large = life.plan("B", "resources", "60", "MONTH").await;
    life.buy(&small, json!({})).await;
    life.advance("2026-04-16T00:00:00Z").await;
    assert_eq!(life.buy(&large, json!({})).await["bill"]["creditAmount"]["amount"], "15.00");
    let query = "{ transactions(filter: { kind: CHECKOUT }, last: 1) { nodes { id } } }";
    let first = life.customer.data(query).await["transactions"]["nodes"][0]["id"].clone();
    let refused = life.operator.refusal("refund", "RefundInput", refund(&first, Some("15.01"))).await;
    assert_eq!(refused.0, "LIMIT_EXCEEDED");
    give_back(&life, &first, None).await;
    assert_eq!(life.balance().await, "40.00");
}

#[tokio::test]
async fn a_void_bill_is_not_asked_for_and_lifts_what_it_suspended() {
    let life = billed_100("0").await;
    life.advance("2026-04-25T00:00:00Z").await;
    let bill = bills(&life.customer).await[0]["id"].clone();
    let status = async || life.customer.data("{ account { status } }").await["account"]["status"].clone();
    assert_eq!(status().await, "SUSPENDED");
    let void = |reason: &str, key: &str| json!({ "billId": bill, "reason": reason, "idempotencyKey": key });
    let refused = life.operator.refusal("voidBill", "VoidBillInput", void(" ", "k")).await;
    assert_eq!(refused, ("INVALID".to_owned(), "input.reason".to_owned()));
    let mut dry = void("an outage", "k");
    dry["dryRun"] = json!(true);
    let fields = "bill { status } account { status }";
    let foretold = life.operator.mutate("voidBill", "VoidBillInput", dry, fields).await;
    assert_eq!((&foretold["bill"]["status"], status().await), (&json!("VOID"), json!("SUSPENDED")));
    for _ in 0..2 {
        let done = life.operator.mutate("voidBill", "VoidBillInput", void("an outage", "k"), fields).await;
        assert_eq!((&done["bill"]["status"], &done["account"]["status"]), (&json!("VOID"), &json!("ACTIVE")));
    }
    let again = life.operator.refusal("voidBill", "VoidBillInput", void("an outage", "l")).await;
    assert_eq!(again, ("INVALID".to_owned(), "input.billId".to_owned()));
    let other = json!({ "billId": bill, "reason": "another", "idempotencyKey": "k" });
    assert_eq!(life.operator.refusal("voidBill", "VoidBillInput", other).await.0, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(life.notices().await[0], "BILL_VOIDED");
    life.recharge("100").await;
    assert_eq!(life.balance().await, "100.00");
    // What was forgiven is not credited when the month is corrected; what comes on top is asked for.
    report(&life, &[event("2", "egress", "-30", "2026-03-31T00:00:00Z")]).await;
    life.advance("2026-04-26T00:00:00Z").await;
    assert_eq!(life.balance().await, "100.00");
    report(&life, &[event("3", "egress", "35", "2026-03-31T00:00:00Z")]).await;
    life.advance("2026-06-01T00:00:00Z").await;
    assert_eq!(life.balance().await, "95.00");
    assert_everything_adds_up(&life.customer).await;
}

#[tokio::test]
async fn a_paid_bill_cannot_be_made_void_and_the_first_bill_of_an_unpaid_order_cancels_it() {
    let life = billed_100("200").await;
    let paid = bills(&life.customer).await[0]["id"].clone();
    let void = |bill: &Value| json!({ "billId": bill, "reason": "an error", "idempotencyKey": uuid::Uuid::new_v4().to_string() });
    let refused = life.operator.refusal("voidBill", "VoidBillInput", void(&paid)).await;
    assert_eq!(refused, ("ALREADY_PAID".to_owned(), "input.billId".to_owned()));
    let plan = life.plan("Small", "C", "5", "MONTH").await;
    let placed = life.buy(&plan, json!({ "payLater": true, "instalments": 2 })).await;
    life.operator.mutate("voidBill", "VoidBillInput", void(&placed["bill"]["id"]), "bill { status }").await;
    let order = life.order(&placed["order"]["id"]).await;
    let statuses: Vec<_> =
        order["bills"]["nodes"].as_array().unwrap().iter().map(|bill| bill["status"].clone()).collect();
    assert_eq!((&order["state"], statuses), (&json!("CANCELLED"), vec![json!("VOID"), json!("VOID")]));
    // Another than the first leaves the order to be paid.
    let placed = life.buy(&plan, json!({ "payLater": true, "instalments": 2 })).await;
    let order = life.order(&placed["order"]["id"]).await;
    let second = order["bills"]["nodes"].as_array().unwrap().iter().find(|bill| bill["seq"] == 2).unwrap();
    life.operator.mutate("voidBill", "VoidBillInput", void(&second["id"]), "bill { status }").await;
    assert_eq!(life.order(&placed["order"]["id"]).await["state"], "UNPAID");
}

#[tokio::test]
async fn an_order_that_ends_unpaid_asks_for_nothing_more() {
    let life = Life::begin("2026-03-01T00:00:00Z", "30").await;
    let plan = life.plan("Server", "C", "30", "MONTH").await;
    let bought = life.buy(&plan, json!({ "instalments": 3 })).await;
    life.advance("2026-04-10T00:00:00Z").await;
    assert_eq!(life.order(&bought["order"]["id"]).await["state"], "SUSPENDED");
    life.advance("2026-06-08T00:00:00Z").await;
    let order = life.order(&bought["order"]["id"]).await;
    let statuses: Vec<_> =
        order["bills"]["nodes"].as_array().unwrap().iter().map(|bill| bill["status"].clone()).collect();
    assert_eq!((&order["state"], &order["schedule"]), (&json!("ENDED"), &json!([])));
    assert_eq!(statuses, [json!("VOID"), json!("VOID"), json!("PAID")]);
    life.advance("2026-10-01T00:00:00Z").await;
    life.recharge("100").await;
    life.advance("2026-10-03T00:00:00Z").await;
    assert_eq!(life.balance().await, "100.00");
}
