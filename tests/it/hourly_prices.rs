//! A price by the hour is at the ledger's scale: what it comes to is rounded once, with the bill of its month.

use serde_json::{Value, json};

use crate::support::life::Life;

/// A plan whose price is in US dollars, but for what is said.
fn plan(period: &str, price: &str) -> Value {
    json!({ "name": "GPU", "type": "C", "resourceType": "CLOUD", "description": "", "billPeriod": period,
        "price": { "amount": price, "currency": "USD" } })
}

#[tokio::test]
async fn a_price_by_the_hour_is_at_ledger_scale_and_every_other_at_display_scale() {
    let life = Life::begin("2026-11-01T00:00:00Z", "0").await;
    let refusal = async |mutation: &str, input_type: &str, input: Value| {
        let payload = life.operator.payload(mutation, input_type, input, "plan { id }").await;
        let error = &payload["userErrors"][0];
        let path: Vec<&str> =
            error["path"].as_array().unwrap().iter().skip(1).filter_map(Value::as_str).collect();
        (error["code"].clone(), path.join("."), error["message"].as_str().unwrap().to_owned())
    };
    let places = |field: &str, message: &str| (json!("INVALID"), field.to_owned(), message.to_owned());
    let display = places("price.amount", "USD has 2 decimal places");
    let ledger = places("price.amount", "the ledger of USD keeps 10 decimal places");
    for period in ["MONTH", "QUARTER", "HALF_YEAR", "YEAR"] {
        assert_eq!(
            refusal("createPlan", "CreatePlanInput", plan(period, "0.0069")).await,
            display,
            "{period}"
        );
    }
    assert_eq!(refusal("createPlan", "CreatePlanInput", plan("HOUR", "0.00000000001")).await, ledger);
    let negative = refusal("createPlan", "CreatePlanInput", plan("HOUR", "-0.0069")).await;
    assert_eq!(negative, places("price.amount", "must not be negative"));
    let mut once = plan("HOUR", "0.0069");
    once["oncePrice"] = json!({ "amount": "0.0069", "currency": "USD" });
    let of_once = places("oncePrice.amount", "USD has 2 decimal places");
    assert_eq!(refusal("createPlan", "CreatePlanInput", once).await, of_once);

    let fields = "plan { id price { amount } oncePrice { amount } }";
    let made =
        life.operator.mutate("createPlan", "CreatePlanInput", plan("HOUR", "0.0069"), fields).await["plan"]
            .clone();
    assert_eq!(made["price"]["amount"], "0.0069");
    let update = |price: Value| {
        let mut input = json!({ "planId": made["id"] });
        input.as_object_mut().unwrap().extend(price.as_object().unwrap().clone());
        input
    };
    let of_price = |amount: &str| update(json!({ "price": { "amount": amount, "currency": "USD" } }));
    let of_once_price =
        |amount: &str| update(json!({ "oncePrice": { "amount": amount, "currency": "USD" } }));
    assert_eq!(refusal("updatePlan", "UpdatePlanInput", of_price("0.00000000001")).await, ledger);
    assert_eq!(refusal("updatePlan", "UpdatePlanInput", of_once_price("0.0069")).await, of_once);
    let least = of_price("0.0000000001");
    let changed = life.operator.mutate("updatePlan", "UpdatePlanInput", least, fields).await;
    assert_eq!(changed["plan"]["price"]["amount"], "0.0000000001");
    let monthly = life.operator.mutate("createPlan", "CreatePlanInput", plan("MONTH", "0.07"), fields).await;
    let input =
        json!({ "planId": monthly["plan"]["id"], "price": { "amount": "0.0069", "currency": "USD" } });
    assert_eq!(refusal("updatePlan", "UpdatePlanInput", input).await, display);
    let listed = life.customer.data("{ plans { nodes { price { amount } } } }").await;
    let plans = listed["plans"]["nodes"].as_array().unwrap();
    let mut prices: Vec<&str> = plans.iter().filter_map(|plan| plan["price"]["amount"].as_str()).collect();
    prices.sort_unstable();
    assert_eq!(prices, ["0.0000000001", "0.07"]);
}

#[tokio::test]
async fn an_hour_at_a_fine_price_is_needed_asked_for_shown_and_charged_to_the_last_digit() {
    let life = Life::with("2026-11-01T00:00:00Z", "100", json!({ "currency": "USD" })).await;
    let poor = json!({ "namespace": "poor", "name": "Poor", "currency": "USD" });
    life.server.account_from(poor, "0.02").await;
    let made =
        life.operator.mutate("createPlan", "CreatePlanInput", plan("HOUR", "0.0069"), "plan { id }").await;
    let wanted = |expected: &str, key: &str| json!({ "planId": made["plan"]["id"], "quantity": 3, "expectedPrice": expected, "idempotencyKey": key });
    let message = async |namespace: &str, input: Value| {
        let customer = life.server.customer(namespace);
        let payload = customer.payload("checkout", "CheckoutInput", input, "order { id }").await;
        let error = &payload["userErrors"][0];
        (error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
    };
    let refused = |code: &str, message: &str| (code.to_owned(), message.to_owned());
    assert_eq!(
        message("poor", wanted("0.0069", "k")).await,
        refused("INSUFFICIENT_BALANCE", "0.0207 USD is needed, 0.02 is available")
    );
    assert_eq!(
        message("tenant", wanted("0.01", "k")).await,
        refused("PRICE_CHANGED", "the plan costs 0.0069 by now")
    );
    let bought = life
        .buy(made["plan"]["id"].as_str().unwrap(), json!({ "quantity": 3, "expectedPrice": "0.00690" }))
        .await;
    assert_eq!((&bought["bill"], &bought["schedule"]), (&json!(null), &json!([])));
    let order = life.order(&bought["order"]["id"]).await;
    assert_eq!((&order["price"]["amount"], &order["schedule"]), (&json!("0.0207"), &json!([])));
    let details =
        format!("{{ order(id: {}) {{ details {{ price {{ amount }} }} }} }}", bought["order"]["id"]);
    assert_eq!(life.customer.data(&details).await["order"]["details"][0]["price"]["amount"], "0.0207");

    life.advance("2026-12-01T01:00:00Z").await;
    let query = "{ records { nodes { price { amount } details { explanation { unitPrice amount } } } }
        bills { nodes { amount { amount } } } }";
    let charged = life.customer.data(query).await;
    let record = &charged["records"]["nodes"][0];
    // 0.0069 × 3 × 720 hours of November.
    assert_eq!(record["price"]["amount"], "14.904");
    assert_eq!(record["details"][0]["explanation"], json!([{ "unitPrice": "0.0069", "amount": "14.904" }]));
    assert_eq!(charged["bills"]["nodes"][0]["amount"]["amount"], "14.90");
    life.server.assert_ledger_is_healthy().await;
}
