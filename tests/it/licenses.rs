//! Licences: defined, counted by what servers report of themselves, charged as burst or held to what is subscribed.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::life::Life;
use crate::support::process::eventually;

async fn define(life: &Life, name: &str, license_type: &str, more: Value) -> Value {
    let mut input = json!({ "name": name, "longName": format!("{name} 2012"), "type": license_type, "userMetric": "smp", "burstable": true });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let fields =
        "license { id name longName type userMetric burstable resource { code name unit aggregation } }";
    life.operator.payload("defineLicense", "DefineLicenseInput", input, fields).await
}

/// Prices by the count and month.
async fn price(life: &Life, prices: &[(&str, i64, &str)]) {
    let price = |(name, level, price): &(&str, i64, &str)| json!({ "resource": name, "currency": "CNY", "level": level, "price": price, "unit": "count/month", "multiplier": "2592000" });
    let input = json!({ "prices": prices.iter().map(price).collect::<Vec<_>>() });
    life.operator.mutate("setResourcePrices", "SetResourcePricesInput", input, "prices { id }").await;
}

/// Reports installations on a server, and answers what became of it.
async fn report(
    life: &Life,
    name: &str,
    server: &str,
    quantity: &str,
    time: &str,
    attributes: &[(&str, &str)],
) -> Value {
    let attributes: Vec<Value> =
        attributes.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let event = json!({ "id": uuid::Uuid::new_v4().to_string(), "namespace": "tenant", "resource": name, "subject": server,
        "quantity": quantity, "time": time, "attributes": attributes });
    let input = json!({ "events": [event] });
    let recorded =
        life.operator.mutate("recordUsage", "RecordUsageInput", input, "results { outcome message }").await;
    recorded["results"][0].clone()
}

fn accepted() -> Value {
    json!({ "outcome": "ACCEPTED", "message": null })
}

/// What burst charged of each resource so far, oldest first: resource, amount of it, charge.
async fn charged(life: &Life) -> Vec<(String, String, Decimal)> {
    let query =
        "{ ledger(first: 100) { nodes { billingCycle resource { code } resourceAmount amount reason } } }";
    let entries = life.customer.data(query).await["ledger"]["nodes"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let burst = entries.iter().rev().filter(|entry| !entry["billingCycle"].is_null());
    burst
        .map(|entry| {
            (
                text(&entry["resource"]["code"]),
                text(&entry["resourceAmount"]),
                text(&entry["amount"]).parse().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn licences_are_counted_by_what_servers_report_and_charged_by_the_count_and_month() {
    let life = Life::begin("2026-03-01T10:00:00Z", "100000").await;
    for (name, license_type) in [("windows", "INSTALL"), ("sql", "INSTANCE"), ("terminal", "STUB")] {
        let defined = define(&life, name, license_type, json!({})).await;
        let expected = json!({ "id": defined["license"]["id"], "name": name, "longName": format!("{name} 2012"), "type": license_type,
            "userMetric": "smp", "burstable": true,
            "resource": { "code": name, "name": format!("{name} 2012"), "unit": "license", "aggregation": "LAST" } });
        assert_eq!(defined["license"], expected, "{defined}");
    }
    let listed = life
        .customer
        .data("{ licenses(first: 2) { totalCount nodes { name } pageInfo { hasNextPage endCursor } } }")
        .await;
    let listed = &listed["licenses"];
    assert_eq!(
        (&listed["totalCount"], &listed["nodes"]),
        (&json!(3), &json!([{ "name": "terminal" }, { "name": "sql" }]))
    );
    let rest = format!("{{ licenses(after: {}) {{ nodes {{ name }} }} }}", listed["pageInfo"]["endCursor"]);
    assert_eq!(life.customer.data(&rest).await["licenses"]["nodes"], json!([{ "name": "windows" }]));

    // 8640 for a month of 30 days is 1 for 5 minutes.
    price(
        &life,
        &[("windows", 0, "4320"), ("windows", 1, "8640"), ("sql", 1, "17280"), ("terminal", 1, "25920")],
    )
    .await;
    let levels = life.customer.data("{ pricing { current { resource { code } level } } }").await;
    let level = |name: &str| json!({ "resource": { "code": name }, "level": 1 });
    assert_eq!(levels["pricing"]["current"], json!([level("sql"), level("terminal"), level("windows")]));
    let subscribed = json!({ "resource": "windows", "amount": "3", "months": 1, "idempotencyKey": "3" });
    let bought =
        life.customer.mutate("subscribe", "SubscribeInput", subscribed, "bill { amount { amount } }").await;
    assert_eq!(bought["bill"]["amount"], json!({ "amount": "13392.00" }), "31 days of 30");
}

#[tokio::test]
async fn installations_count_always_and_instances_while_their_servers_run() {
    let life = Life::begin("2026-03-01T10:00:00Z", "100000").await;
    for (name, license_type) in [("windows", "INSTALL"), ("sql", "INSTANCE"), ("terminal", "STUB")] {
        define(&life, name, license_type, json!({})).await;
    }
    price(
        &life,
        &[("windows", 0, "4320"), ("windows", 1, "8640"), ("sql", 1, "17280"), ("terminal", 1, "25920")],
    )
    .await;
    let subscribed = json!({ "resource": "windows", "amount": "3", "months": 1, "idempotencyKey": "3" });
    life.customer.mutate("subscribe", "SubscribeInput", subscribed, "order { id }").await;
    let now = "2026-03-01T10:00:00Z";
    let (running, stopped) = ([("running", "true"), ("smp", "4")], [("running", "false"), ("smp", "2")]);
    for (name, server, quantity, attributes) in [
        ("windows", "one", "1", &running),
        ("windows", "two", "1", &stopped),
        ("sql", "one", "2", &running),
        ("sql", "two", "1", &stopped),
        ("terminal", "all", "7", &stopped),
    ] {
        assert_eq!(report(&life, name, server, quantity, now, attributes).await, accepted());
    }
    life.advance("2026-03-01T10:05:00Z").await;
    let entry =
        |name: &str, amount: &str, charge: i64| (name.to_owned(), amount.to_owned(), Decimal::from(charge));
    // Of windows 4 + 2 less the 3 subscribed.
    assert_eq!(
        charged(&life).await,
        [entry("sql", "8", 16), entry("terminal", "7", 21), entry("windows", "3", 3)]
    );
    assert_eq!(report(&life, "sql", "one", "2", "2026-03-01T10:06:00Z", &stopped).await, accepted());
    life.advance("2026-03-01T10:10:00Z").await;
    assert_eq!(charged(&life).await[3..], [entry("terminal", "7", 21), entry("windows", "3", 3)]);

    // What was reported stays as it was.
    let sql = life.server.sql().await;
    let row = sql.query_one("SELECT quantity::text, attributes->>'smp' FROM usage_events WHERE resource_code = 'windows' AND subject = 'one'", &[]);
    let row = row.await.unwrap();
    assert_eq!((row.get::<_, String>(0), row.get::<_, String>(1)), ("1".to_owned(), "4".to_owned()));

    // Nor are they on the month's bill, where they would have no price.
    life.advance("2026-04-01T02:00:00Z").await;
    let unpriced = life.operator.data(&format!("{{ account(id: \"{}\") {{ notices {{ kind }} }} bills: bills {{ nodes {{ order {{ id }} }} }} }}", life.account)).await;
    assert!(!unpriced["account"]["notices"].to_string().contains("UNPRICED"), "{unpriced}");
    assert!(unpriced["bills"]["nodes"].as_array().unwrap().iter().all(|bill| !bill["order"].is_null()));
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_is_reported_beyond_a_subscription_that_may_not_be_burst_is_refused_with_a_notice() {
    let life = Life::begin("2026-03-01T10:00:00Z", "100000").await;
    define(&life, "oracle", "INSTALL", json!({ "burstable": false })).await;
    price(&life, &[("oracle", 0, "10")]).await;
    let try_it = async |server: &str, cores: &str, time: &str| {
        report(&life, "oracle", server, "1", time, &[("smp", cores)]).await
    };
    let refused = |total: i64, subscribed: i64| {
        let message = format!("quantity: {total} of oracle would be used, and {subscribed} are subscribed");
        json!({ "outcome": "REJECTED", "message": message })
    };
    assert_eq!(try_it("one", "4", "2026-03-01T10:00:00Z").await, refused(4, 0));
    let subscribed = json!({ "resource": "oracle", "amount": "6", "months": 1, "idempotencyKey": "6" });
    life.customer.mutate("subscribe", "SubscribeInput", subscribed, "order { id }").await;
    assert_eq!(try_it("one", "4", "2026-03-01T10:00:00Z").await, accepted());
    assert_eq!(try_it("two", "4", "2026-03-01T10:01:00Z").await, refused(8, 6));
    assert_eq!(try_it("two", "2", "2026-03-01T10:02:00Z").await, accepted());
    // A server that grows counts once, with what it has now.
    assert_eq!(try_it("one", "5", "2026-03-01T10:03:00Z").await, refused(7, 6));
    assert_eq!(try_it("one", "3", "2026-03-01T10:03:00Z").await, accepted());
    // Of several in one request those that come first.
    let event = |id: &str, server: &str, cores: &str| {
        json!({ "id": id, "namespace": "tenant", "resource": "oracle", "subject": server, "quantity": "1",
            "time": format!("2026-03-01T10:04:0{id}Z"), "attributes": [{ "name": "smp", "value": cores }] })
    };
    let input =
        json!({ "events": [event("3", "three", "1"), event("1", "one", "1"), event("2", "four", "3")] });
    let recorded =
        life.operator.mutate("recordUsage", "RecordUsageInput", input, "results { id outcome }").await;
    let outcome = |id: &str, outcome: &str| json!({ "id": id, "outcome": outcome });
    assert_eq!(
        recorded["results"],
        json!([outcome("3", "REJECTED"), outcome("1", "ACCEPTED"), outcome("2", "ACCEPTED")])
    );

    eventually("a notice", 10, async || (!life.notices().await.is_empty()).then_some(())).await;
    assert_eq!(life.notices().await, ["USAGE_REFUSED"], "once a day");
    life.advance("2026-03-01T10:10:00Z").await;
    assert_eq!(charged(&life).await, [], "nothing of it is burst");
    let levels = life.customer.data("{ pricing { current { level } } }").await;
    assert_eq!(levels["pricing"]["current"], json!([]));
}

#[tokio::test]
async fn a_licence_without_its_metric_is_refused_when_it_is_defined_and_when_it_is_reported() {
    let life = Life::begin("2026-03-01T10:00:00Z", "100").await;
    define(&life, "windows", "INSTANCE", json!({})).await;
    let still = life.server.contents().await;
    for (name, license_type, more, field, code) in [
        ("other", "INSTALL", json!({ "userMetric": "" }), "userMetric", "INVALID"),
        ("other", "INSTANCE", json!({ "userMetric": " " }), "userMetric", "INVALID"),
        ("a b", "INSTALL", json!({}), "name", "INVALID"),
        ("other", "INSTALL", json!({ "longName": "" }), "longName", "INVALID"),
        ("windows", "INSTALL", json!({}), "name", "CONFLICT"),
        ("windows", "INSTANCE", json!({ "userMetric": "ram" }), "name", "CONFLICT"),
        ("cpu", "INSTALL", json!({}), "name", "CONFLICT"),
    ] {
        let refused = define(&life, name, license_type, more).await;
        let error = &refused["userErrors"][0];
        assert_eq!((&error["path"], &error["code"]), (&json!(["input", field]), &json!(code)), "{refused}");
    }
    for (attributes, message) in [
        (&[][..], "attributes: running is missing: only servers that run are counted"),
        (&[("running", "true")], "attributes: smp is missing: windows is counted by it"),
        (&[("running", "1"), ("smp", "4")], "attributes: running must be true or false"),
        (&[("running", "true"), ("smp", "-4")], "attributes: smp must be a number, not negative"),
    ] {
        let outcome = report(&life, "windows", "one", "1", "2026-03-01T10:00:00Z", attributes).await;
        assert_eq!(outcome, json!({ "outcome": "REJECTED", "message": message }));
    }
    life.server.assert_holds_still(&still).await;
    let renamed = define(
        &life,
        "windows",
        "INSTANCE",
        json!({ "longName": "Windows Server 2025", "burstable": false }),
    )
    .await;
    assert_eq!(
        (&renamed["license"]["longName"], &renamed["license"]["burstable"]),
        (&json!("Windows Server 2025"), &json!(false))
    );
    assert_eq!(renamed["license"]["resource"]["name"], "Windows Server 2025");
}

#[tokio::test]
async fn what_holds_into_a_later_slot_counts_there_and_what_was_counted_is_a_duplicate() {
    let life = Life::begin("2026-03-01T10:20:00Z", "100000").await;
    define(&life, "oracle", "INSTALL", json!({ "burstable": false })).await;
    price(&life, &[("oracle", 0, "10")]).await;
    let subscribed = json!({ "resource": "oracle", "amount": "6", "months": 1, "idempotencyKey": "6" });
    life.customer.mutate("subscribe", "SubscribeInput", subscribed, "order { id }").await;
    let attempt = async |server: &str, cores: &str, time: &str| {
        report(&life, "oracle", server, "1", time, &[("smp", cores)]).await["outcome"].clone()
    };
    assert_eq!(attempt("one", "6", "2026-03-01T10:25:00Z").await, "ACCEPTED");
    // Both before it in time, and after it: held, they would stand beside it.
    assert_eq!(attempt("two", "1", "2026-03-01T10:20:00Z").await, "REJECTED");
    assert_eq!(attempt("two", "1", "2026-03-01T10:30:00Z").await, "REJECTED");

    let event = |id: &str, server: &str, cores: &str, minute: i64| {
        json!({ "id": id, "namespace": "tenant", "resource": "oracle", "subject": server, "quantity": "1",
            "time": format!("2026-03-01T10:{minute}:00Z"), "attributes": [{ "name": "smp", "value": cores }] })
    };
    let send = async |events: Value| {
        let recorded = life
            .operator
            .mutate("recordUsage", "RecordUsageInput", json!({ "events": events }), "results { outcome }")
            .await;
        recorded["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| result["outcome"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = event("e1", "one", "4", 31);
    assert_eq!(
        send(json!([first, event("e2", "one", "1", 32), event("e3", "two", "5", 33)])).await,
        ["ACCEPTED"; 3]
    );
    assert_eq!(send(json!([first])).await, ["DUPLICATE"], "it would be too much by now, and has counted");
}

#[tokio::test]
async fn a_licence_that_may_be_burst_from_now_on_is_charged_from_now_on() {
    let life = Life::begin("2026-03-01T10:00:00Z", "1000").await;
    define(&life, "oracle", "INSTALL", json!({ "burstable": false })).await;
    price(&life, &[("oracle", 0, "1"), ("oracle", 1, "8640")]).await;
    let subscribed = json!({ "resource": "oracle", "amount": "1", "months": 1, "idempotencyKey": "1" });
    let order = life.customer.mutate("subscribe", "SubscribeInput", subscribed, "order { id }").await;
    assert_eq!(
        report(&life, "oracle", "one", "1", "2026-03-01T10:00:00Z", &[("smp", "1")]).await,
        accepted()
    );
    let cancel = json!({ "orderId": order["order"]["id"] });
    life.customer.mutate("cancelOrder", "CancelOrderInput", cancel, "order { state }").await;
    life.advance("2026-03-01T10:20:00Z").await;
    assert_eq!(charged(&life).await, []);
    define(&life, "oracle", "INSTALL", json!({ "burstable": true })).await;
    life.advance("2026-03-01T10:30:00Z").await;
    assert_eq!(charged(&life).await.len(), 2, "two cycles, and none of before");
    define(&life, "oracle", "INSTALL", json!({ "burstable": false })).await;
    life.advance("2026-03-01T10:40:00Z").await;
    assert_eq!(charged(&life).await.len(), 2);
}
