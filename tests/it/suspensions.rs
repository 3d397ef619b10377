//! No state without a next look: what is overdue suspends, is paid as soon as it can be, and counts again when an operator's
//! word is over.

use serde_json::{Value, json};

use crate::monthly_bills::{bills, event, price, report};
use crate::support::life::{Life, jobs};

/// 40 were used in March; the bill of it is overdue beyond its grace.
async fn overdue() -> Life {
    let life = Life::begin("2026-03-05T00:00:00Z", "0").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "2")]).await;
    report(&life, &[event("1", "transfer_out", "20", "2026-03-04T00:00:00Z")]).await;
    life.advance("2026-04-25T00:00:00Z").await;
    assert_eq!(stands(&life).await, (json!("SUSPENDED"), json!("OVERDUE")));
    life
}

async fn stands(life: &Life) -> (Value, Value) {
    let data = life.customer.data("{ account { status } }").await;
    (data["account"]["status"].clone(), bills(&life.customer).await[0]["status"].clone())
}

async fn refused(life: &Life, input: Value) -> (String, String) {
    let mut whole = json!({ "accountId": life.account });
    whole.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
    life.operator.refusal("updateAccount", "UpdateAccountInput", whole).await
}

#[tokio::test]
async fn a_higher_credit_limit_pays_what_is_overdue_at_once() {
    let life = overdue().await;
    let raised = life.update(json!({ "creditLimit": "500" })).await;
    assert_eq!(raised["account"]["balance"], json!({ "amount": "-40.00", "creditLimit": "500.00" }));
    assert_eq!(stands(&life).await, (json!("ACTIVE"), json!("PAID")));
}

#[tokio::test]
async fn a_suspension_that_is_lifted_stays_lifted_for_seven_days_or_as_long_as_is_said() {
    let life = overdue().await;
    life.update(json!({ "status": "ACTIVE", "reason": "they called" })).await;
    life.advance("2026-05-01T23:59:59Z").await;
    assert_eq!(stands(&life).await, (json!("ACTIVE"), json!("OVERDUE")));
    let ran = life.advance("2026-05-02T00:00:00Z").await;
    assert_eq!(ran.get("HOLD_END"), Some(&(1, 0)));
    assert_eq!(stands(&life).await, (json!("SUSPENDED"), json!("OVERDUE")));
    life.update(json!({ "status": "ACTIVE", "suspensionHeldUntil": "2026-06-15T00:00:00Z" })).await;
    life.advance("2026-06-14T00:00:00Z").await;
    assert_eq!(stands(&life).await.0, "ACTIVE");
    life.update(json!({ "suspensionHeldUntil": "2026-06-20T00:00:00Z" })).await;
    life.advance("2026-06-19T00:00:00Z").await;
    assert_eq!(stands(&life).await.0, "ACTIVE");
    life.advance("2026-06-20T00:00:00Z").await;
    assert_eq!(stands(&life).await.0, "SUSPENDED");
    life.update(json!({ "status": "ACTIVE" })).await;
    life.update(json!({ "suspensionHeldUntil": null })).await;
    assert_eq!(stands(&life).await.0, "SUSPENDED");
}

#[tokio::test]
async fn a_debit_that_is_forced_suspends_whatever_an_operator_holds_off() {
    let life = Life::begin("2026-03-05T00:00:00Z", "10").await;
    life.update(json!({ "status": "SUSPENDED" })).await;
    life.update(json!({ "status": "ACTIVE" })).await;
    let debit = json!({ "accountId": life.account, "amount": "-50", "reason": "r", "force": true, "idempotencyKey": "k" });
    let done = life.operator.mutate("adjustBalance", "AdjustBalanceInput", debit, "account { status }").await;
    assert_eq!(done["account"]["status"], "SUSPENDED");
}

#[tokio::test]
async fn a_hold_that_means_nothing_is_refused() {
    let life = Life::begin("2026-03-05T00:00:00Z", "0").await;
    let path = "input.suspensionHeldUntil".to_owned();
    for (input, code) in [
        (json!({ "suspensionHeldUntil": "2026-03-10T00:00:00Z" }), "INVALID"),
        (json!({ "suspensionHeldUntil": null }), "INVALID"),
        (json!({ "status": "SUSPENDED", "suspensionHeldUntil": "2026-03-10T00:00:00Z" }), "INVALID"),
    ] {
        assert_eq!(refused(&life, input).await, (code.to_owned(), path.clone()));
    }
    life.update(json!({ "status": "SUSPENDED", "reason": "a look is needed" })).await;
    for (until, code) in [("2026-03-05T00:00:00Z", "INVALID"), ("2027-03-07T00:00:00Z", "OUT_OF_RANGE")] {
        let input = json!({ "status": "ACTIVE", "suspensionHeldUntil": until });
        assert_eq!(refused(&life, input).await, (code.to_owned(), path.clone()));
    }
    let message = life.customer.data("{ account { notices { message } } }").await;
    assert_eq!(
        message["account"]["notices"][0]["message"],
        "The account is suspended by its provider: a look is needed."
    );
}

#[tokio::test]
async fn what_is_overdue_is_looked_at_every_day_until_it_is_paid() {
    let life = overdue().await;
    assert_eq!(life.advance("2026-04-29T00:00:00Z").await, jobs(&[("BILL_PAYMENT", 0, 4)]));
    // Money that comes in beside the server, as from a support of its database.
    life.server.sql().await.batch_execute("UPDATE accounts SET credit_limit = 100").await.unwrap();
    assert_eq!(life.advance("2026-04-30T00:00:00Z").await, jobs(&[("BILL_PAYMENT", 1, 0)]));
    assert_eq!(stands(&life).await, (json!("ACTIVE"), json!("PAID")));
}

#[tokio::test]
async fn money_that_comes_in_renews_what_waited_for_it_what_ends_first_first() {
    let life = Life::begin("2026-03-01T00:00:00Z", "70").await;
    let small = life.plan("Small", "C", "30", "MONTH").await;
    let large = life.plan("Large", "C", "40", "MONTH").await;
    life.buy(&small, json!({ "autoRenewal": true })).await;
    life.advance("2026-03-02T00:00:00Z").await;
    life.buy(&large, json!({ "autoRenewal": true })).await;
    // Both wait, one is over and suspended.
    life.advance("2026-04-01T06:00:00Z").await;
    let renewed = life.recharge("50").await;
    assert_eq!(renewed["transaction"]["balanceAfter"], "50.00");
    assert_eq!(renewed["account"]["balance"]["amount"], "20.00");
    let states = life.orders().await;
    let text = |state: &(String, String, String)| format!("{} {}", state.0, state.1);
    assert_eq!(states.iter().map(text).collect::<Vec<_>>(), ["RENEW ACTIVE", "NEW EXPIRING", "NEW ENDED"]);
    assert_eq!(life.recharge("20").await["account"]["balance"]["amount"], "0.00");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn null_clears_and_absence_leaves_in_an_update_of_an_account() {
    let life = Life::begin("2026-03-05T00:00:00Z", "10").await;
    let manager = json!({ "name": "Li", "email": "li@example.org" });
    life.update(json!({ "creditLimit": "100", "externalId": "crm-1", "manager": manager })).await;
    let left = life.update(json!({ "name": "Renamed" })).await["account"].clone();
    assert_eq!(
        left,
        json!({ "status": "ACTIVE", "name": "Renamed", "externalId": "crm-1", "timeZone": "UTC",
            "balance": { "amount": "10.00", "creditLimit": "100.00" }, "manager": { "name": "Li" }, "notices": [] })
    );
    let cleared = life.update(json!({ "creditLimit": null, "externalId": null, "manager": null })).await;
    assert_eq!(
        cleared["account"],
        json!({ "status": "ACTIVE", "name": "Renamed", "externalId": null, "timeZone": "UTC",
            "balance": { "amount": "10.00", "creditLimit": null }, "manager": null, "notices": [] })
    );
    for field in ["name", "timeZone", "status"] {
        let refusal = refused(&life, json!({ field: null })).await;
        assert_eq!(refusal, ("REQUIRED".to_owned(), format!("input.{field}")));
    }
}

#[tokio::test]
async fn periods_stay_as_they_were_cut_when_the_zone_changes() {
    let zone = json!({ "timeZone": "Asia/Shanghai" });
    let life = Life::with("2026-03-01T02:00:00Z", "600", zone).await;
    let plan = life.plan("Server", "C", "100", "MONTH").await;
    let order = life.buy(&plan, json!({ "instalments": 6 })).await["order"]["id"].clone();
    life.update(json!({ "timeZone": "America/Los_Angeles" })).await;
    for (seq, paid) in [(1, 1), (2, 2), (3, 3)] {
        let at = format!("2026-{:02}-01T02:00:00Z", 2 + seq);
        if seq > 1 {
            life.advance(&at).await;
        }
        let seen = life.order(&order).await;
        let paid_bills = seen["bills"]["nodes"].as_array().unwrap().iter();
        let count = paid_bills.filter(|bill| bill["status"] == "PAID").count();
        assert_eq!((&seen["seq"], count), (&json!(seq), paid), "at {at}");
    }
}
