//! The life of orders and bills: what is charged when, and what happens when money is short.

use serde_json::{Value, json};

use crate::support::life::{Life, jobs};

fn texts<'v>(list: &'v Value, name: &str) -> Vec<&'v str> {
    list.as_array().unwrap().iter().map(|thing| thing[name].as_str().unwrap()).collect()
}

fn amounts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|thing| thing["amount"]["amount"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn instalments_are_debited_when_their_periods_begin() {
    let life = Life::begin("2026-01-31T10:00:00Z", "100").await;
    let plan = life.plan("Small", "C", "20", "MONTH").await;
    let bought = life.buy(&plan, json!({ "instalments": 3, "comment": "for the shop" })).await;
    assert_eq!(bought["order"]["seqCount"], 3);
    assert_eq!(bought["order"]["expiresAt"], "2026-04-30T10:00:00Z");
    assert_eq!(texts(&bought["schedule"], "dueAt"), ["2026-02-28T10:00:00Z", "2026-03-31T10:00:00Z"]);
    assert_eq!(bought["account"]["balance"]["amount"], "80.00");
    let id = &bought["order"]["id"];
    let order = life.order(id).await;
    assert_eq!(order["schedule"], bought["schedule"]);
    let pay_info = &order["payInfo"];
    assert_eq!(pay_info["total"]["amount"], "60.00");
    assert_eq!(pay_info["payCycle"], "DEMAND");
    assert_eq!(pay_info["remainingPayments"], 2);
    assert_eq!(pay_info["firstPayment"]["amount"], "20.00");
    assert_eq!(pay_info["paymentMethod"], "balance");
    assert_eq!(pay_info["comment"], "for the shop");

    assert_eq!(life.advance("2026-02-28T09:59:59.999999Z").await, jobs(&[]));
    assert_eq!(life.order(id).await["seq"], 1);
    let ran = life.advance("2026-02-28T10:00:00Z").await;
    assert_eq!(ran, jobs(&[("BILL_PAYMENT", 1, 0), ("ORDER_PERIOD", 1, 0)]));
    assert_eq!((life.balance().await, life.order(id).await["seq"].clone()), ("60.00".to_owned(), json!(2)));

    life.advance("2026-04-01T00:00:00Z").await;
    assert_eq!(life.balance().await, "40.00");
    let order = life.order(id).await;
    assert_eq!(
        (&order["state"], &order["seq"], &order["schedule"]),
        (&json!("ACTIVE"), &json!(3), &json!([]))
    );
    assert_eq!(order["payInfo"]["remainingPayments"], 0);

    // Nobody renews it: it is warned of daily, suspended at its end, and over seven days later.
    let ran = life.advance("2026-04-30T09:59:59Z").await;
    assert_eq!(ran, jobs(&[("ORDER_EXPIRY", 7, 0)]));
    assert_eq!(life.notices().await, ["ORDER_EXPIRING"; 7]);
    assert_eq!(life.order(id).await["state"], "EXPIRING");
    assert_eq!(life.advance("2026-05-07T09:59:59Z").await, jobs(&[("ORDER_SUSPENSION", 1, 0)]));
    assert_eq!(life.order(id).await["state"], "SUSPENDED");
    assert_eq!(life.advance("2026-05-07T10:00:00Z").await, jobs(&[("ORDER_END", 1, 0)]));
    assert_eq!(life.order(id).await["state"], "ENDED");
    assert_eq!(life.advance("2026-12-31T00:00:00Z").await, jobs(&[]));
    assert_eq!(life.balance().await, "40.00");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_late_instalment_suspends_its_order_after_the_grace_and_paying_restores_it() {
    let life = Life::begin("2026-03-01T08:00:00Z", "30").await;
    let plan = life.plan("Small", "C", "20", "MONTH").await;
    let other = life.plan("Other", "C", "1", "QUARTER").await;
    let bought = life.buy(&plan, json!({ "instalments": 3 })).await;
    let untouched = life.buy(&other, json!({})).await;
    let id = &bought["order"]["id"];
    // Nine left: the second bill of 20 is overdue from its day on, and reminded of once a day.
    let ran = life.advance("2026-04-07T08:00:00Z").await;
    assert_eq!(ran, jobs(&[("BILL_PAYMENT", 0, 7), ("ORDER_PERIOD", 1, 0)]));
    assert_eq!(life.notices().await, ["BILL_OVERDUE"; 7]);
    let order = life.order(id).await;
    assert_eq!(
        (&order["state"], &order["bills"]["nodes"][1]["status"]),
        (&json!("ACTIVE"), &json!("OVERDUE"))
    );
    assert_eq!(texts(&order["schedule"], "dueAt"), ["2026-04-01T08:00:00Z", "2026-05-01T08:00:00Z"]);

    let ran = life.advance("2026-04-08T08:00:00Z").await;
    assert_eq!(ran, jobs(&[("BILL_PAYMENT", 0, 1), ("BILL_SUSPENSION", 1, 0)]));
    assert_eq!(life.order(id).await["state"], "SUSPENDED");
    assert_eq!(life.notices().await[0], "ORDER_SUSPENDED");
    assert_eq!(life.order(&untouched["order"]["id"]).await["state"], "ACTIVE");
    let account = life.customer.data("{ account { status notification } }").await;
    assert_eq!(account["account"], json!({ "status": "ACTIVE", "notification": true }));

    // Too little does not help; what suffices pays, after the recharge's own entry.
    let recharged = life.recharge("10.99").await;
    assert_eq!(recharged["account"]["balance"]["amount"], "19.99");
    assert_eq!(life.order(id).await["state"], "SUSPENDED");
    let recharged = life.recharge("0.01").await;
    assert_eq!(recharged["transaction"]["balanceAfter"], "20.00");
    assert_eq!(recharged["account"]["balance"]["amount"], "0.00");
    let order = life.order(id).await;
    assert_eq!((&order["state"], &order["bills"]["nodes"][1]["status"]), (&json!("ACTIVE"), &json!("PAID")));
    let paid =
        life.customer.data("{ transactions(first: 1) { nodes { kind order { id } bill { seq } } } }").await;
    let expected = json!({ "kind": "BILL_PAYMENT", "order": { "id": id }, "bill": { "seq": 2 } });
    assert_eq!(paid["transactions"]["nodes"][0], expected);
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn money_that_comes_in_pays_what_is_due_oldest_first_and_stops_at_what_it_does_not_cover() {
    let life = Life::begin("2026-03-01T08:00:00Z", "36").await;
    let (dear, cheap) =
        (life.plan("Dear", "C", "30", "MONTH").await, life.plan("Cheap", "C", "5", "MONTH").await);
    let first = life.buy(&dear, json!({ "instalments": 2 })).await["order"]["id"].clone();
    life.clock.set("2026-03-02T08:00:00Z".parse().unwrap());
    let second = life.buy(&cheap, json!({ "instalments": 2 })).await["order"]["id"].clone();
    let later = life.buy(&cheap, json!({ "payLater": true })).await["order"]["id"].clone();
    life.advance("2026-04-03T00:00:00Z").await;
    // The dear one is older: as long as it is not covered, the cheap one waits, too.
    life.recharge("20").await;
    let open =
        async |order: &Value| life.order(order).await["payInfo"]["remainingPayments"].as_i64().unwrap();
    assert_eq!((life.balance().await.as_str(), open(&first).await, open(&second).await), ("21.00", 1, 1));
    life.recharge("13.99").await;
    assert_eq!((life.balance().await.as_str(), open(&first).await, open(&second).await), ("4.99", 0, 1));
    // What an operator gives counts as well.
    let input = json!({ "accountId": life.account, "amount": "0.0100000001", "reason": "sorry", "idempotencyKey": "a" });
    let adjusted = life
        .operator
        .mutate("adjustBalance", "AdjustBalanceInput", input, "account { balance { amount } }")
        .await;
    assert_eq!(adjusted["account"]["balance"]["amount"], "0.0000000001");
    assert_eq!(open(&second).await, 0);
    // The first bill of an order that was never begun is not paid by itself; it is cancelled by now.
    assert_eq!(life.order(&later).await["state"], "CANCELLED");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn an_order_to_be_paid_later_begins_when_it_is_paid() {
    let life = Life::begin("2026-01-30T10:00:00Z", "0").await;
    let plan = life.plan("Small", "C", "20", "MONTH").await;
    let bought = life.buy(&plan, json!({ "payLater": true, "instalments": 2 })).await;
    assert_eq!(bought["order"]["state"], "UNPAID");
    assert_eq!(
        (&bought["order"]["deliveredAt"], &bought["order"]["expiresAt"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(bought["bill"]["status"], "UNPAID");
    let purchased = "{ account { purchased plans { id } } }";
    assert_eq!(
        life.customer.data(purchased).await["account"],
        json!({ "purchased": false, "plans": [{ "id": plan }] })
    );
    life.recharge("30").await;
    assert_eq!(life.balance().await, "30.00", "a recharge does not begin an order");

    life.advance("2026-02-02T10:00:00Z").await;
    let id = &bought["order"]["id"];
    let second = life.order(id).await["bills"]["nodes"][0]["id"].clone();
    let input = json!({ "billId": second, "idempotencyKey": "second" });
    assert_eq!(life.customer.refusal("payBill", "PayBillInput", input).await.0, "CONFLICT");
    let input = json!({ "orderId": id, "idempotencyKey": "pay" });
    let fields = "order { state deliveredAt expiresAt } bill { status startTime endTime seq } account { balance { amount } purchased }";
    let dry = json!({ "orderId": id, "idempotencyKey": "pay", "dryRun": true });
    let foretold = life.customer.mutate("payOrder", "PayOrderInput", dry, fields).await;
    let paid = life.customer.mutate("payOrder", "PayOrderInput", input.clone(), fields).await;
    assert_eq!(foretold, paid);
    let order = json!({ "state": "ACTIVE", "deliveredAt": "2026-02-02T10:00:00Z", "expiresAt": "2026-04-02T10:00:00Z" });
    assert_eq!(paid["order"], order);
    let bill = json!({ "status": "PAID", "startTime": "2026-02-02T10:00:00Z", "endTime": "2026-03-02T10:00:00Z", "seq": 1 });
    assert_eq!(paid["bill"], bill);
    assert_eq!(paid["account"], json!({ "balance": { "amount": "10.00" }, "purchased": true }));
    assert_eq!(life.customer.mutate("payOrder", "PayOrderInput", input, fields).await, paid, "a repeat");
    assert_eq!(texts(&life.order(id).await["schedule"], "dueAt"), ["2026-03-02T10:00:00Z"]);

    // Paying ahead, and paying what is paid.
    life.recharge("10").await;
    let ahead = json!({ "billId": second, "idempotencyKey": "ahead" });
    let fields = "bill { status seq } transaction { kind amount { amount } }";
    let paid = life.customer.mutate("payBill", "PayBillInput", ahead, fields).await;
    let expected = json!({ "bill": { "status": "PAID", "seq": 2 },
        "transaction": { "kind": "BILL_PAYMENT", "amount": { "amount": "20.00" } }, "userErrors": [] });
    assert_eq!(paid, expected);
    for (mutation, input) in
        [("payBill", json!({ "billId": second })), ("payOrder", json!({ "orderId": id }))]
    {
        let mut input = input;
        input["idempotencyKey"] = json!("again");
        let input_type = if mutation == "payBill" { "PayBillInput" } else { "PayOrderInput" };
        assert_eq!(life.customer.refusal(mutation, input_type, input).await.0, "ALREADY_PAID");
    }
    let ran = life.advance("2026-03-02T10:00:00Z").await;
    assert_eq!(ran, jobs(&[("ORDER_PERIOD", 1, 0)]), "what was paid ahead is not paid again");
    assert_eq!(life.balance().await, "0.00");
}

#[tokio::test]
async fn an_order_that_is_not_paid_in_seven_days_is_cancelled() {
    let life = Life::begin("2026-01-30T10:00:00Z", "100").await;
    let plan = life.plan("Small", "C", "20", "MONTH").await;
    let bought = life.buy(&plan, json!({ "payLater": true })).await;
    let id = &bought["order"]["id"];
    assert_eq!(life.advance("2026-02-06T09:59:59Z").await, jobs(&[]));
    assert_eq!(life.advance("2026-02-06T10:00:00Z").await, jobs(&[("ORDER_CANCELLATION", 1, 0)]));
    let order = life.order(id).await;
    assert_eq!(
        (&order["state"], &order["bills"]["nodes"][0]["status"]),
        (&json!("CANCELLED"), &json!("VOID"))
    );
    let bill = &bought["bill"]["id"];
    let refused = life
        .customer
        .refusal("payBill", "PayBillInput", json!({ "billId": bill, "idempotencyKey": "k" }))
        .await;
    assert_eq!(refused, ("INVALID".to_owned(), "input.billId".to_owned()));
    let refused = life
        .customer
        .refusal("payOrder", "PayOrderInput", json!({ "orderId": id, "idempotencyKey": "k" }))
        .await;
    assert_eq!(refused, ("INVALID".to_owned(), "input.orderId".to_owned()));
    assert_eq!(life.balance().await, "100.00");
}

#[tokio::test]
async fn an_order_renews_itself_seven_days_before_its_end_at_the_price_of_that_day() {
    let life = Life::begin("2026-01-31T10:00:00Z", "100").await;
    let plan = life.plan("Small", "C", "20", "MONTH").await;
    let bought = life.buy(&plan, json!({ "autoRenewal": true, "quantity": 2 })).await;
    let id = &bought["order"]["id"];
    assert_eq!(texts(&bought["schedule"], "dueAt"), ["2026-02-21T10:00:00Z"]);
    assert_eq!(amounts(&bought["schedule"]), ["40.00"]);
    let repriced =
        json!({ "planId": plan, "price": { "amount": "21.50", "currency": "CNY" }, "name": "Small+" });
    life.operator.mutate("updatePlan", "UpdatePlanInput", repriced, "plan { id }").await;
    assert_eq!(amounts(&life.order(id).await["schedule"]), ["43.00"], "at today's price");
    assert_eq!(life.order(id).await["price"]["amount"], "40.00", "as it was bought");

    let ran = life.advance("2026-02-21T10:00:00Z").await;
    assert_eq!(ran, jobs(&[("ORDER_RENEWAL", 1, 0)]));
    assert_eq!(life.balance().await, "17.00");
    let expected = [
        ("RENEW".to_owned(), "ACTIVE".to_owned(), "2026-03-31T10:00:00Z".to_owned()),
        ("NEW".to_owned(), "ACTIVE".to_owned(), "2026-02-28T10:00:00Z".to_owned()),
    ];
    assert_eq!(life.orders().await, expected);
    let newest = life
        .customer
        .data(
            "{ orders(first: 1) { nodes { id name autoRenewal deliveredAt previous { id }
        bills { nodes { amount { amount } startTime endTime status transactions { kind } } } } } }",
        )
        .await;
    let renewal = &newest["orders"]["nodes"][0];
    assert_eq!((&renewal["name"], &renewal["previous"]["id"]), (&json!("Small+"), id));
    assert_eq!(
        (&renewal["autoRenewal"], &renewal["deliveredAt"]),
        (&json!(true), &json!("2026-02-28T10:00:00Z"))
    );
    let bill = json!({ "amount": { "amount": "43.00" }, "startTime": "2026-02-28T10:00:00Z",
        "endTime": "2026-03-31T10:00:00Z", "status": "PAID", "transactions": [{ "kind": "RENEWAL" }] });
    assert_eq!(renewal["bills"]["nodes"], json!([bill]));

    // The old one is over when its own end comes, without a warning.
    assert_eq!(life.advance("2026-02-28T10:00:00Z").await, jobs(&[("ORDER_END", 1, 0)]));
    assert_eq!(life.order(id).await["state"], "ENDED");
    assert_eq!(life.notices().await, [""; 0]);
    let refused = json!({ "orderId": id, "idempotencyKey": "k" });
    assert_eq!(life.customer.refusal("renewOrder", "RenewOrderInput", refused).await.0, "CONFLICT");
}

#[tokio::test]
async fn renewal_without_funds_is_tried_daily_suspends_at_the_end_and_goes_on_where_it_ended_as_money_comes()
{
    let life = Life::begin("2026-01-31T10:00:00Z", "20").await;
    let plan = life.plan("Small", "C", "20", "MONTH").await;
    let bought = life.buy(&plan, json!({ "autoRenewal": true })).await;
    let id = &bought["order"]["id"];
    let ran = life.advance("2026-02-28T09:00:00Z").await;
    assert_eq!(ran, jobs(&[("ORDER_RENEWAL", 0, 7)]));
    assert_eq!(life.notices().await, ["RENEWAL_FAILED"; 7]);
    let order = life.order(id).await;
    assert_eq!(order["state"], "EXPIRING");
    assert_eq!(texts(&order["schedule"], "dueAt"), ["2026-02-28T10:00:00Z"], "the next try");
    assert_eq!(order["bills"]["nodes"].as_array().unwrap().len(), 1, "a failed try makes no bill");
    let ran = life.advance("2026-03-03T11:00:00Z").await;
    assert_eq!(ran, jobs(&[("ORDER_RENEWAL", 0, 4), ("ORDER_SUSPENSION", 1, 0)]));
    assert_eq!(life.order(id).await["state"], "SUSPENDED");

    // The price has risen meanwhile. What does not cover it renews nothing.
    let repriced = json!({ "planId": plan, "price": { "amount": "25", "currency": "CNY" } });
    life.operator.mutate("updatePlan", "UpdatePlanInput", repriced, "plan { id }").await;
    life.recharge("24.99").await;
    assert_eq!(life.advance("2026-03-04T11:00:00Z").await, jobs(&[("ORDER_RENEWAL", 0, 1)]));
    life.recharge("0.01").await;
    let expected = [
        ("RENEW".to_owned(), "ACTIVE".to_owned(), "2026-03-31T10:00:00Z".to_owned()),
        ("NEW".to_owned(), "ENDED".to_owned(), "2026-02-28T10:00:00Z".to_owned()),
    ];
    assert_eq!(life.orders().await, expected);
    assert_eq!(life.balance().await, "0.00");

    // And if nobody pays to the last, it is over.
    let ran = life.advance("2026-12-01T00:00:00Z").await;
    assert_eq!(ran, jobs(&[("ORDER_RENEWAL", 0, 14), ("ORDER_SUSPENSION", 1, 0), ("ORDER_END", 1, 0)]));
    assert!(life.orders().await.iter().all(|(_, state, _)| state == "ENDED"));
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_a_suspended_account_or_a_retired_plan_would_renew_is_told_and_not_renewed() {
    let life = Life::begin("2026-01-31T10:00:00Z", "1000").await;
    let (plan, retired) =
        (life.plan("Small", "C", "20", "MONTH").await, life.plan("Old", "C", "20", "MONTH").await);
    life.buy(&plan, json!({ "autoRenewal": true })).await;
    let old = life.buy(&retired, json!({ "autoRenewal": true })).await;
    life.operator.mutate("retirePlan", "RetirePlanInput", json!({ "planId": retired }), "plan { id }").await;
    assert_eq!(life.order(&old["order"]["id"]).await["schedule"], json!([]));
    let suspend = |status: &str| json!({ "accountId": life.account, "status": status });
    life.operator
        .mutate("updateAccount", "UpdateAccountInput", suspend("SUSPENDED"), "account { status }")
        .await;
    let ran = life.advance("2026-02-21T10:00:00Z").await;
    assert_eq!(ran, jobs(&[("ORDER_RENEWAL", 0, 2)]));
    let told = life.customer.data("{ account { notices { message subject { __typename } } } }").await;
    assert!(told["account"]["notices"][0]["message"].as_str().unwrap().contains("suspended"), "{told}");
    assert_eq!(told["account"]["notices"][0]["subject"]["__typename"], "Order");
    life.recharge("1").await;
    let account = life.customer.data("{ account { status } }").await;
    assert_eq!(account["account"]["status"], "SUSPENDED", "money does not lift what an operator did");
    life.operator
        .mutate("updateAccount", "UpdateAccountInput", suspend("ACTIVE"), "account { status }")
        .await;
    assert_eq!(life.orders().await[0].0, "RENEW", "what waited is renewed at once");
    assert_eq!(life.advance("2026-02-22T10:00:00Z").await, jobs(&[("ORDER_RENEWAL", 0, 1)]));
}

#[tokio::test]
async fn an_order_is_renewed_by_hand_early_late_and_for_several_periods() {
    let life = Life::begin("2026-01-31T10:00:00Z", "1000").await;
    let plan = life.plan("Small", "resources", "20", "MONTH").await;
    let first = life.buy(&plan, json!({})).await["order"]["id"].clone();
    let fields = "order { id type state seqCount deliveredAt expiresAt previous { id } } bill { amount { amount } status }
        schedule { dueAt amount { amount } seq } account { balance { amount } }";
    let input = json!({ "orderId": first, "periods": 3, "idempotencyKey": "early" });
    let renewed = life.customer.mutate("renewOrder", "RenewOrderInput", input.clone(), fields).await;
    assert_eq!(renewed["order"]["previous"]["id"], first);
    assert_eq!(renewed["order"]["deliveredAt"], "2026-02-28T10:00:00Z");
    assert_eq!(renewed["order"]["expiresAt"], "2026-05-31T10:00:00Z", "the 31st comes back");
    assert_eq!(texts(&renewed["schedule"], "dueAt"), ["2026-03-31T10:00:00Z", "2026-04-30T10:00:00Z"]);
    assert_eq!(renewed["account"]["balance"]["amount"], "960.00");
    assert_eq!(
        life.customer.mutate("renewOrder", "RenewOrderInput", input, fields).await,
        renewed,
        "a repeat"
    );
    let again = json!({ "orderId": first, "idempotencyKey": "again" });
    assert_eq!(life.customer.refusal("renewOrder", "RenewOrderInput", again).await.0, "CONFLICT");

    // The same pool cannot be bought beside it, though two orders for it are live.
    let input = json!({ "planId": plan, "idempotencyKey": "k" });
    assert_eq!(life.customer.refusal("checkout", "CheckoutInput", input).await.0, "PLAN_UNCHANGED");
    life.advance("2026-05-01T00:00:00Z").await;
    assert_eq!(life.balance().await, "920.00");

    // Late: after its end, while it is suspended.
    life.advance("2026-06-03T00:00:00Z").await;
    let second = &renewed["order"]["id"];
    assert_eq!(life.order(second).await["state"], "SUSPENDED");
    let input = json!({ "orderId": second, "idempotencyKey": "late" });
    let renewed = life.customer.mutate("renewOrder", "RenewOrderInput", input, fields).await;
    assert_eq!(renewed["order"]["state"], "ACTIVE");
    assert_eq!(renewed["order"]["deliveredAt"], "2026-05-31T10:00:00Z");
    assert_eq!(renewed["order"]["expiresAt"], "2026-06-30T10:00:00Z");
    assert_eq!(life.order(second).await["state"], "ENDED");
    for periods in [0, -1, 61] {
        let input = json!({ "orderId": renewed["order"]["id"], "periods": periods, "idempotencyKey": "k" });
        let refused = life.customer.refusal("renewOrder", "RenewOrderInput", input).await;
        assert_eq!(refused, ("OUT_OF_RANGE".to_owned(), "input.periods".to_owned()));
    }
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn cancelling_is_at_once_or_at_the_end_and_gives_nothing_back() {
    let life = Life::begin("2026-01-31T10:00:00Z", "200").await;
    let plan = life.plan("Small", "C", "20", "MONTH").await;
    let cancel = async |order: &Value, at_end: bool| {
        let input = json!({ "orderId": order, "atPeriodEnd": at_end });
        life.customer.mutate("cancelOrder", "CancelOrderInput", input, "order { state autoRenewal }").await["order"].clone()
    };
    let instalments =
        life.buy(&plan, json!({ "instalments": 3, "autoRenewal": true })).await["order"]["id"].clone();
    let renewing = life.buy(&plan, json!({ "autoRenewal": true })).await["order"]["id"].clone();
    assert_eq!(cancel(&renewing, true).await, json!({ "state": "ACTIVE", "autoRenewal": false }));
    let cancelled = json!({ "state": "CANCELLED", "autoRenewal": false });
    assert_eq!(cancel(&instalments, false).await, cancelled);
    assert_eq!(cancel(&instalments, false).await, cancelled, "once more changes nothing");
    assert_eq!(life.balance().await, "160.00");
    let order = life.order(&instalments).await;
    assert_eq!(texts(&order["bills"]["nodes"], "status"), ["VOID", "VOID", "PAID"]);
    assert_eq!(order["payInfo"]["total"]["amount"], "60.00");
    assert_eq!((&order["payInfo"]["remainingPayments"], &order["schedule"]), (&json!(0), &json!([])));
    let input = json!({ "orderId": instalments, "autoRenewal": true });
    assert_eq!(life.customer.refusal("setAutoRenewal", "SetAutoRenewalInput", input).await.0, "INVALID");
    let input = json!({ "orderId": renewing, "autoRenewal": true });
    let set =
        life.customer.mutate("setAutoRenewal", "SetAutoRenewalInput", input, "order { autoRenewal }").await;
    assert_eq!(set["order"]["autoRenewal"], true);
    let required =
        life.customer.refusal("setAutoRenewal", "SetAutoRenewalInput", json!({ "autoRenewal": true })).await;
    assert_eq!(required, ("REQUIRED".to_owned(), "input.orderId".to_owned()));

    // What another order continues is not cancelled before that one is.
    let input = json!({ "orderId": renewing, "idempotencyKey": "1" });
    let renewal = life.customer.mutate("renewOrder", "RenewOrderInput", input, "order { id }").await["order"]
        ["id"]
        .clone();
    for at_end in [true, false] {
        let input = json!({ "orderId": renewing, "atPeriodEnd": at_end });
        let refused = life.customer.refusal("cancelOrder", "CancelOrderInput", input).await;
        assert_eq!(refused, ("CONFLICT".to_owned(), "input.orderId".to_owned()));
    }
    // The renewal is cancelled: the order itself runs to its end, and is renewed only if it is asked for.
    cancel(&renewal, false).await;
    let order = life.order(&renewing).await;
    assert_eq!((&order["state"], &order["autoRenewal"]), (&json!("ACTIVE"), &json!(false)));
    let ran = life.advance("2026-02-21T10:00:00Z").await;
    assert_eq!(ran, jobs(&[("ORDER_EXPIRY", 1, 0)]), "it is warned of");
    let input = json!({ "orderId": renewing, "idempotencyKey": "2" });
    let anew = life.customer.mutate("renewOrder", "RenewOrderInput", input, "order { id }").await;
    assert_ne!(anew["order"]["id"], renewal);
    life.advance("2026-03-08T00:00:00Z").await;
    let input = json!({ "orderId": renewing });
    assert_eq!(life.customer.refusal("cancelOrder", "CancelOrderInput", input).await.0, "INVALID");
}

#[tokio::test]
async fn an_order_on_demand_ends_when_it_is_cancelled_and_has_no_period_end() {
    let life = Life::begin("2026-01-31T10:00:00Z", "200").await;
    let plan = life.plan("Hourly", "C", "0.5", "HOUR").await;
    let order = life.buy(&plan, json!({})).await["order"]["id"].clone();
    life.clock.set("2026-02-03T11:30:00Z".parse().unwrap());
    let input = json!({ "orderId": order, "atPeriodEnd": true });
    let refused = life.customer.refusal("cancelOrder", "CancelOrderInput", input).await;
    assert_eq!(refused, ("INVALID".to_owned(), "input.atPeriodEnd".to_owned()));
    let input = json!({ "orderId": order });
    let fields = "order { state expiresAt }";
    let cancelled = life.customer.mutate("cancelOrder", "CancelOrderInput", input, fields).await;
    assert_eq!(cancelled["order"], json!({ "state": "CANCELLED", "expiresAt": "2026-02-03T11:30:00Z" }));
}

#[tokio::test]
async fn a_refund_takes_from_what_was_charged_once_before_it_takes_from_the_credit() {
    let life = Life::begin("2026-03-01T00:00:00Z", "1000").await;
    let price = |amount: &str| json!({ "amount": amount, "currency": "CNY" });
    let small = json!({ "name": "Pool S", "type": "resources", "region": null, "billPeriod": "MONTH",
        "price": price("310"), "oncePrice": price("50") });
    let small = life.server.plan_from(small).await;
    let large = life.plan("Pool L", "resources", "620", "MONTH").await;
    let bought = life.buy(&small, json!({})).await;
    let paid = life.customer.data("{ transactions(first: 1) { nodes { id amount { amount } } } }").await;
    let paid = &paid["transactions"]["nodes"][0];
    assert_eq!(paid["amount"]["amount"], "360.00");
    assert_eq!(bought["bill"]["amount"]["amount"], "360.00");
    let input = json!({ "transactionId": paid["id"], "amount": "81", "reason": "slow to begin", "idempotencyKey": "r" });
    life.operator.mutate("refund", "RefundInput", input, "refund { id }").await;
    // 50 of the 81 are what was charged once; of 310 − 31, 21 of 31 days are left.
    life.clock.set("2026-03-11T12:00:00Z".parse().unwrap());
    let changed = life.buy(&large, json!({})).await;
    assert_eq!(changed["bill"]["creditAmount"]["amount"], "189.00");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_change_in_the_middle_of_the_month_credits_the_days_left_rounded_down() {
    let life = Life::begin("2026-03-01T00:00:00Z", "1000").await;
    let (small, large) = (
        life.plan("Pool S", "resources", "100", "MONTH").await,
        life.plan("Pool L", "resources", "310", "MONTH").await,
    );
    life.buy(&small, json!({})).await;
    life.clock.set("2026-03-11T12:00:00Z".parse().unwrap());
    // 21 of 31 days are left: 67.7419… is 67.74.
    let up = life.buy(&large, json!({ "quantity": 2 })).await;
    assert_eq!(up["bill"]["creditAmount"]["amount"], "67.74");
    assert_eq!(up["bill"]["amount"]["amount"], "552.26");
    assert_eq!(
        (&up["order"]["type"], &up["order"]["expiresAt"]),
        (&json!("CHANGE"), &json!("2026-04-11T12:00:00Z"))
    );
    let changes = life.order(&up["order"]["id"]).await["configChanges"].clone();
    let expected = json!([
        { "at": "2026-03-11T12:00:00Z", "field": "plan", "before": "Pool S", "after": "Pool L", "charge": { "amount": "552.26" } },
        { "at": "2026-03-11T12:00:00Z", "field": "quantity", "before": "1", "after": "2", "charge": { "amount": "0.00" } },
    ]);
    assert_eq!(changes, expected);
    // Down, twelve days later: the credit would be more than the small one costs.
    life.clock.set("2026-03-23T12:00:00Z".parse().unwrap());
    let input = json!({ "planId": small, "idempotencyKey": "down" });
    assert_eq!(life.customer.refusal("checkout", "CheckoutInput", input).await.0, "CREDIT_EXCEEDS_PRICE");
    // On the 7th, 4 of 31 days: 620 × 4 ÷ 31 = 80.
    life.clock.set("2026-04-07T23:59:59Z".parse().unwrap());
    let down = life.buy(&small, json!({})).await;
    assert_eq!(
        (&down["bill"]["creditAmount"]["amount"], &down["bill"]["amount"]["amount"]),
        (&json!("80.00"), &json!("20.00"))
    );
    assert_eq!(life.balance().await, "327.74");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn changes_twice_in_a_day_and_on_the_last_day_credit_all_and_nothing() {
    let life = Life::begin("2026-03-01T09:00:00Z", "1000").await;
    let mut plans = Vec::new();
    for (name, price) in [("Pool S", "100"), ("Pool M", "200"), ("Pool L", "300")] {
        plans.push(life.plan(name, "resources", price, "MONTH").await);
    }
    life.buy(&plans[0], json!({})).await;
    for (plan, hour, balance) in [(1, "10", "800.00"), (2, "11", "700.00")] {
        life.clock.set(format!("2026-03-01T{hour}:00:00Z").parse().unwrap());
        let changed = life.buy(&plans[plan], json!({})).await;
        assert_eq!(changed["bill"]["amount"]["amount"], "100.00");
        assert_eq!(changed["account"]["balance"]["amount"], balance);
    }
    // The last day, an hour before the end: no whole day is left.
    life.clock.set("2026-04-01T10:00:00Z".parse().unwrap());
    let changed = life.buy(&plans[0], json!({})).await;
    assert_eq!(changed["bill"]["creditAmount"]["amount"], "0.00");
    let live = life.customer.data("{ orders(filter: { orderState: ACTIVE }) { totalCount } }").await;
    assert_eq!(live["orders"]["totalCount"], 1);
}

#[tokio::test]
async fn a_change_ends_an_order_with_the_one_that_continues_it_and_credits_both() {
    let life = Life::begin("2026-03-01T09:00:00Z", "1000").await;
    let (small, large) = (
        life.plan("Pool S", "resources", "31", "MONTH").await,
        life.plan("Pool L", "resources", "300", "MONTH").await,
    );
    let first = life.buy(&small, json!({})).await["order"]["id"].clone();
    let input = json!({ "orderId": first, "periods": 2, "idempotencyKey": "1" });
    let renewal = life.customer.mutate("renewOrder", "RenewOrderInput", input, "order { id }").await["order"]
        ["id"]
        .clone();
    life.clock.set("2026-03-22T09:00:00Z".parse().unwrap());
    // Ten of 31 days, and the whole of the next month; the month after that is not paid yet.
    let changed = life.buy(&large, json!({})).await;
    assert_eq!(changed["bill"]["creditAmount"]["amount"], "41.00");
    assert_eq!(changed["order"]["previous"]["id"], renewal);
    for order in [&first, &renewal] {
        assert_eq!(life.order(order).await["state"], "CANCELLED");
    }
    assert_eq!(texts(&life.order(&renewal).await["bills"]["nodes"], "status"), ["VOID", "PAID"]);
    let later = json!({ "planId": small, "payLater": true, "idempotencyKey": "later" });
    let refused = life.customer.refusal("checkout", "CheckoutInput", later).await;
    assert_eq!(refused, ("INVALID".to_owned(), "input.payLater".to_owned()));
}

#[tokio::test]
async fn what_was_refunded_is_not_credited_again_nor_the_other_way_round() {
    let life = Life::begin("2026-03-01T09:00:00Z", "1000").await;
    let (small, large) = (
        life.plan("Pool S", "resources", "100", "MONTH").await,
        life.plan("Pool L", "resources", "300", "MONTH").await,
    );
    life.buy(&small, json!({})).await;
    let newest = life.customer.data("{ transactions(first: 1) { nodes { id } } }").await;
    let payment = newest["transactions"]["nodes"][0]["id"].clone();
    let refund = |amount: Option<&str>, key: &str| json!({ "transactionId": payment, "amount": amount, "reason": "not as promised", "idempotencyKey": key });
    let fields = "refund { kind amount { amount } } transaction { status refundedAmount } account { balance { amount } }";
    let part = life.operator.mutate("refund", "RefundInput", refund(Some("60"), "1"), fields).await;
    assert_eq!(part["transaction"], json!({ "status": "FINISHED", "refundedAmount": "60.00" }));
    let changed = life.buy(&large, json!({})).await;
    assert_eq!(changed["bill"]["creditAmount"]["amount"], "40.00");
    for amount in [None, Some("0.01")] {
        let refused = life.operator.refusal("refund", "RefundInput", refund(amount, "3")).await;
        assert_eq!(refused, ("LIMIT_EXCEEDED".to_owned(), "input.amount".to_owned()));
    }
    life.server.assert_ledger_is_healthy().await;
}

/// A post-paid bill, as metering will make them.
async fn post_paid_bill(life: &Life, amount: &str, due: &str) {
    use abacus::domain::ids::{AccountId, IdMint};
    let account = AccountId::parse(&life.account).unwrap();
    let id = IdMint::new(account, life.clock.now(), 5_000, false).next_id().unwrap();
    let insert = format!(
        "INSERT INTO bills (account_id, id, number, status, currency, amount, once_amount, cycle_amount, credit_amount,
            start_time, end_time, seq, seq_count, due_at, next_step_at, created_at)
         VALUES ({}, '{}', 'B-post-paid', 'UNPAID', 'CNY', {amount}, 0, {amount}, 0,
            '2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z', 1, 1, '{due}', '{due}', now())",
        account.0,
        id.uuid()
    );
    life.server.sql().await.batch_execute(&insert).await.unwrap();
}

#[tokio::test]
async fn a_post_paid_bill_suspends_the_account_after_the_grace_and_paying_lifts_it() {
    let life = Life::begin("2026-03-01T00:00:00Z", "10").await;
    let plan = life.plan("Small", "C", "1", "MONTH").await;
    post_paid_bill(&life, "50", "2026-03-16T00:00:00Z").await;
    assert_eq!(life.advance("2026-03-15T23:59:59Z").await, jobs(&[]));
    assert_eq!(life.advance("2026-03-22T00:00:00Z").await, jobs(&[("BILL_PAYMENT", 0, 7)]));
    let ran = life.advance("2026-03-23T00:00:00Z").await;
    assert_eq!(ran, jobs(&[("BILL_PAYMENT", 0, 1), ("BILL_SUSPENSION", 1, 0)]));
    assert_eq!(life.notices().await[0], "ACCOUNT_SUSPENDED");
    let input = json!({ "planId": plan, "idempotencyKey": "k" });
    assert_eq!(life.customer.refusal("checkout", "CheckoutInput", input).await.0, "ACCOUNT_SUSPENDED");
    let recharged = life.recharge("40").await;
    assert_eq!(recharged["account"], json!({ "balance": { "amount": "0.00" }, "status": "ACTIVE" }));
    assert_eq!(life.advance("2026-06-01T00:00:00Z").await, jobs(&[]));
}

#[tokio::test]
async fn a_post_paid_bill_is_paid_from_the_balance_when_it_falls_due_or_by_hand_before() {
    let life = Life::begin("2026-03-01T00:00:00Z", "50").await;
    post_paid_bill(&life, "50", "2026-03-16T00:00:00Z").await;
    assert_eq!(life.advance("2026-03-16T00:00:00Z").await, jobs(&[("BILL_PAYMENT", 1, 0)]));
    assert_eq!(life.balance().await, "0.00");
    let paid =
        life.customer.data("{ transactions(first: 1) { nodes { kind description order { id } } } }").await;
    assert_eq!(paid["transactions"]["nodes"][0]["kind"], "BILL_PAYMENT");
    assert_eq!(paid["transactions"]["nodes"][0]["order"], Value::Null);
}

#[tokio::test]
async fn an_operators_suspension_is_not_lifted_by_paying() {
    let life = Life::begin("2026-03-01T00:00:00Z", "0").await;
    post_paid_bill(&life, "50", "2026-03-16T00:00:00Z").await;
    let suspended = json!({ "accountId": life.account, "status": "SUSPENDED" });
    life.operator.mutate("updateAccount", "UpdateAccountInput", suspended, "account { status }").await;
    life.advance("2026-03-24T00:00:00Z").await;
    let recharged = life.recharge("50").await;
    assert_eq!(recharged["account"], json!({ "balance": { "amount": "0.00" }, "status": "SUSPENDED" }));
}

#[tokio::test]
async fn notices_are_acknowledged_once_and_only_by_those_who_may_see_them() {
    let life = Life::begin("2026-01-31T10:00:00Z", "20").await;
    let plan = life.plan("Small", "C", "20", "MONTH").await;
    life.buy(&plan, json!({ "autoRenewal": true })).await;
    life.advance("2026-02-22T10:00:00Z").await;
    let listed = life.customer.data("{ account { notices { id } } }").await;
    let ids = texts(&listed["account"]["notices"], "id");
    assert_eq!(ids.len(), 2);
    for _ in 0..2 {
        let input = json!({ "noticeId": ids[0] });
        let done = life
            .customer
            .mutate("acknowledgeNotice", "AcknowledgeNoticeInput", input, "notice { id kind }")
            .await;
        assert_eq!(done["notice"]["kind"], "RENEWAL_FAILED");
    }
    assert_eq!(life.notices().await.len(), 1);
    life.server.account("other", "0").await;
    let input = json!({ "noticeId": ids[1] });
    let refused =
        life.server.customer("other").refusal("acknowledgeNotice", "AcknowledgeNoticeInput", input).await;
    assert_eq!(refused, ("NOT_FOUND".to_owned(), "input.noticeId".to_owned()));
    assert_eq!(life.notices().await.len(), 1);
}

#[tokio::test]
async fn an_operator_adjusts_a_balance_either_way_and_never_below_the_limit() {
    let life = Life::begin("2026-03-01T00:00:00Z", "10").await;
    let adjust = |amount: &str| json!({ "accountId": life.account, "amount": amount, "reason": "goodwill", "idempotencyKey": amount });
    let fields = "transaction { kind amount { amount } direction description balanceAfter } account { balance { amount } }";
    for (amount, direction, balance) in
        [("5", "CREDIT", "15.00"), ("-15", "DEBIT", "0.00"), ("0.0000000001", "CREDIT", "0.0000000001")]
    {
        let made = life.operator.mutate("adjustBalance", "AdjustBalanceInput", adjust(amount), fields).await;
        assert_eq!(
            (&made["transaction"]["kind"], &made["transaction"]["direction"]),
            (&json!("ADJUSTMENT"), &json!(direction))
        );
        assert_eq!(made["account"]["balance"]["amount"], balance);
    }
    let negative = life
        .customer
        .data("{ transactions(filter: { kind: ADJUSTMENT }) { nodes { amount { amount } } } }")
        .await;
    assert_eq!(amounts(&negative["transactions"]["nodes"]), ["0.0000000001", "-15.00", "5.00"]);
    for (amount, code) in [
        ("0", "INVALID"),
        ("0.00000000001", "INVALID"),
        ("100000000", "OUT_OF_RANGE"),
        ("-100000000", "OUT_OF_RANGE"),
    ] {
        let refused = life.operator.refusal("adjustBalance", "AdjustBalanceInput", adjust(amount)).await;
        assert_eq!(refused, (code.to_owned(), "input.amount".to_owned()));
    }
    assert_eq!(
        life.operator.refusal("adjustBalance", "AdjustBalanceInput", adjust("-0.01")).await.0,
        "INSUFFICIENT_BALANCE"
    );
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn the_clock_moves_forward_only_within_bounds_and_in_a_sandbox() {
    let life = Life::begin("2026-03-01T00:00:00Z", "10").await;
    for (to, code) in [("2026-02-28T23:59:59Z", "INVALID"), ("2027-04-05T00:00:01Z", "OUT_OF_RANGE")] {
        let refused = life.operator.refusal("advanceClock", "AdvanceClockInput", json!({ "to": to })).await;
        assert_eq!(refused, (code.to_owned(), "input.to".to_owned()));
    }
    assert_eq!(life.advance("2026-03-01T00:00:00Z").await, jobs(&[]));
    life.advance("2027-04-05T00:00:00Z").await;
    // While one moves it, another does not.
    let taken = "INSERT INTO leases VALUES ('clock', 'another', now() + interval '1 minute')";
    life.server.sql().await.batch_execute(taken).await.unwrap();
    let refused = life
        .operator
        .refusal("advanceClock", "AdvanceClockInput", json!({ "to": "2027-05-01T00:00:00Z" }))
        .await;
    assert_eq!(refused, ("CONFLICT".to_owned(), String::new()));

    let real = crate::support::TestServer::with(|config| config.sandbox = false).await;
    let query = "mutation { advanceClock(input: { to: \"2027-05-01T00:00:00Z\" }) { now } }";
    assert_eq!(real.operator().error_code(query).await, "FORBIDDEN");
}

#[tokio::test]
async fn a_sandbox_goes_on_where_its_clock_was_moved_to() {
    use crate::support::TestServer;
    use abacus::clock::{Clock, wall};
    let server = TestServer::with(|config| config.clock = Clock::sandbox()).await;
    let to = wall() + chrono::TimeDelta::days(100);
    let input = json!({ "to": to.to_rfc3339() });
    server.operator().mutate("advanceClock", "AdvanceClockInput", input, "now").await;
    let other = TestServer::on(server.database_url.clone(), |config| config.clock = Clock::sandbox()).await;
    for server in [&server, &other] {
        let ahead = server.server.app.clock.now() - wall();
        assert!((ahead - chrono::TimeDelta::days(100)).num_seconds().abs() < 60, "{ahead}");
    }
}

#[tokio::test]
async fn a_sandbox_whose_clock_runs_on_meanwhile_leaves_nothing_out() {
    use crate::support::TestServer;
    use abacus::clock::{Clock, wall};
    let server = TestServer::with(|config| config.clock = Clock::sandbox()).await;
    server.account("tenant", "1000").await;
    let plan = server.plan("Small", "1.01").await;
    for key in 0..20 {
        let input = json!({ "planId": plan, "autoRenewal": true, "idempotencyKey": key.to_string() });
        server.customer("tenant").mutate("checkout", "CheckoutInput", input, "order { id }").await;
    }
    // All fall due within a second or two of each other, sixty and some times over.
    let to = wall() + chrono::TimeDelta::days(200);
    let input = json!({ "to": to.to_rfc3339() });
    server.operator().mutate("advanceClock", "AdvanceClockInput", input, "now").await;
    let missed = "SELECT count(*) FROM orders WHERE next_step_at < now() + interval '199 days'";
    let missed: i64 = server.sql().await.query_one(missed, &[]).await.unwrap().get(0);
    assert_eq!(missed, 0);
    let renewals = "SELECT count(*), count(DISTINCT previous_id) FROM orders WHERE type = 'RENEW'";
    let row = server.sql().await.query_one(renewals, &[]).await.unwrap();
    let (made, continued): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!(made, continued, "each order is renewed once");
    assert!(made >= 20 * 6, "{made} renewals in 200 days");
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn the_clock_is_moved_by_one_at_a_time_also_on_the_same_server() {
    use abacus::jobs::{AdvanceError, advance};
    let life = Life::begin("2026-03-01T00:00:00Z", "10").await;
    let plan = life.plan("Small", "C", "20", "MONTH").await;
    life.recharge("1000").await;
    life.buy(&plan, json!({ "autoRenewal": true })).await;
    let jobs = &life.server.server.app.cell_jobs;
    let to = crate::support::life::at("2027-03-01T00:00:00Z");
    let both = tokio::join!(advance(jobs, to), advance(jobs, to));
    let moved = match both {
        (Ok(moved), Err(AdvanceError::UnderWay)) | (Err(AdvanceError::UnderWay), Ok(moved)) => moved,
        both => panic!("one moves it: {both:?}"),
    };
    assert_eq!(moved.0.values().map(|counts| counts.failed).sum::<i32>(), 0, "{moved:?}");
    assert_eq!(life.balance().await, "750.00", "13 months");
}

#[tokio::test]
async fn a_page_of_an_order_s_records_is_what_its_whole_list_has_there() {
    let life = Life::begin("2026-01-01T00:00:00Z", "1000").await;
    let plan = life.plan("Small", "C", "20", "MONTH").await;
    let order = life.buy(&plan, json!({ "instalments": 5 })).await["order"]["id"].clone();
    life.advance("2026-04-15T00:00:00Z").await;
    let page = async |arguments: &str| {
        let query = format!(
            "{{ order(id: {order}) {{ records{arguments} {{ totalCount nodes {{ number startTime }}
                pageInfo {{ startCursor endCursor hasNextPage hasPreviousPage }} }} }} }}"
        );
        life.customer.data(&query).await["order"]["records"].clone()
    };
    let whole = page("").await;
    let all = whole["nodes"].as_array().unwrap();
    let starts =
        ["2026-04-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"];
    assert_eq!(texts(&whole["nodes"], "startTime"), starts);
    let root = life.customer.data("{ records { nodes { number startTime } } }").await;
    assert_eq!(root["records"]["nodes"], whole["nodes"], "the account has no others");
    let first = page("(first: 1)").await;
    let last = page("(last: 1)").await;
    let cursor = |page: &Value, name: &str| page["pageInfo"][name].as_str().unwrap().to_owned();
    let after = page(&format!("(first: 2, after: \"{}\")", cursor(&first, "endCursor"))).await;
    let before = page(&format!("(last: 2, before: \"{}\")", cursor(&last, "startCursor"))).await;
    let offset = page("(first: 2, offset: 1)").await;
    for (page, expected, has_next, has_previous) in [
        (&whole, &all[..], false, false),
        (&first, &all[..1], true, false),
        (&last, &all[3..], false, true),
        (&after, &all[1..3], true, true),
        (&before, &all[1..3], true, true),
        (&offset, &all[1..3], true, true),
        (&page("(first: 10, offset: 9)").await, &[], false, true),
    ] {
        assert_eq!(page["nodes"].as_array().unwrap(), expected);
        assert_eq!(page["totalCount"], 4);
        let info = &page["pageInfo"];
        assert_eq!(
            (&info["hasNextPage"], &info["hasPreviousPage"]),
            (&json!(has_next), &json!(has_previous))
        );
    }
}
