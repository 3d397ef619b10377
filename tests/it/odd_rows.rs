//! One odd row holds up nobody: an event that can never be charged for is refused, one that was recorded is taken back, and what
//! cannot be rated leaves the rest of its month to be billed.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::monthly_bills::{assert_everything_adds_up, bills, event, price, records, report};
use crate::support::Client;
use crate::support::life::{Life, at, jobs};
use crate::support::load::Dice;
use crate::support::sequences::in_full;

const HUGE: &str = "100000000000000";

/// What became of each of these events.
async fn outcomes(client: &Client, events: &[Value]) -> Vec<String> {
    let input = json!({ "events": events });
    let fields = "results { outcome message }";
    let recorded = client.mutate("recordUsage", "RecordUsageInput", input, fields).await;
    let told = |result: &Value| {
        let message = result["message"].as_str().unwrap_or_default();
        format!("{} {message}", result["outcome"].as_str().unwrap()).trim_end().to_owned()
    };
    recorded["results"].as_array().unwrap().iter().map(told).collect()
}

fn voiding(life: &Life, ids: &[&str], key: &str) -> Value {
    json!({ "accountId": life.account, "eventIds": ids, "reason": "a broken agent", "idempotencyKey": key })
}

const VOIDED: &str = "voided unknown";

async fn void(life: &Life, ids: &[&str], key: &str) -> Value {
    let mut voided =
        life.operator.mutate("voidUsage", "VoidUsageInput", voiding(life, ids, key), VOIDED).await;
    voided.as_object_mut().unwrap().remove("userErrors");
    voided
}

fn voided(count: i64, unknown: &[&str]) -> Value {
    json!({ "voided": count, "unknown": unknown })
}

/// What the customer used of a resource in a day.
async fn used(life: &Life, resource: &str, day: &str) -> String {
    let query = format!(
        r#"{{ usage(resource: "{resource}", startTime: "{day}T00:00:00Z", endTime: "{day}T23:59:59Z", granularity: DAY) {{ quantity }} }}"#
    );
    life.customer.data(&query).await["usage"][0]["quantity"].as_str().unwrap().to_owned()
}

/// The notices of the account, as operators see them: kinds and messages, newest first.
async fn notices(life: &Life) -> Vec<(String, String)> {
    let query = format!("{{ account(id: \"{}\") {{ notices {{ kind message }} }} }}", life.account);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = life.operator.data(&query).await["account"]["notices"].as_array().unwrap().clone();
    told.iter().map(|notice| (text(&notice["kind"]), text(&notice["message"]))).collect()
}

async fn count(life: &Life, query: &str) -> i64 {
    life.server.sql().await.query_one(query, &[]).await.unwrap().get(0)
}

// ── refused on arrival ──

#[tokio::test]
async fn an_event_that_can_never_be_charged_for_is_refused_by_its_quantity() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    let time = "2026-03-04T00:00:00Z";
    let before = event("before", "transfer_out", HUGE, time);
    assert_eq!(
        outcomes(&life.operator, std::slice::from_ref(&before)).await,
        ["ACCEPTED"],
        "it has no price yet"
    );
    price(&life, None, "2026-03-01T00:00:00Z", &[("transfer_out", "99999999"), ("space", "99999999")]).await;
    let refused = |quantity: &str, resource: &str| {
        format!(
            "REJECTED quantity: {quantity} of {resource} would cost more than 1000000000000000000 CNY, the most that is charged at once"
        )
    };
    let events = [
        event("1", "transfer_out", HUGE, time),
        event("2", "space", HUGE, time),
        event("3", "transfer_out", "10000000101", time),
        event("4", "transfer_out", "10000000100", time),
        event("5", "api_get", HUGE, time),
        before,
    ];
    let expected = [
        refused(HUGE, "transfer_out"),
        refused(HUGE, "space"),
        refused("10000000101", "transfer_out"),
        "ACCEPTED".to_owned(),
        "ACCEPTED".to_owned(),
        "DUPLICATE".to_owned(),
    ];
    // Those that are let through are at the edge, without a price, and counted before.
    assert_eq!(outcomes(&life.operator, &events).await, expected);
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let request = life.server.service().request(reqwest::Method::POST, "/usage");
    let answer = request.header("content-type", "application/x-ndjson").body(lines).send().await.unwrap();
    let answer = answer.text().await.unwrap();
    let first: Value = serde_json::from_str(answer.lines().next().unwrap()).unwrap();
    assert_eq!(first["outcome"], "REJECTED", "{answer}");
    assert!(first["message"].as_str().unwrap().starts_with("quantity: "), "{answer}");
    // What an account has of its own counts, and not what others pay.
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "0.0000001")]).await;
    let events = [event("6", "transfer_out", HUGE, time)];
    assert_eq!(outcomes(&life.operator, &events).await, ["ACCEPTED"]);
}

#[tokio::test]
async fn what_an_attribute_makes_of_a_licence_is_held_to_the_same_as_any_quantity() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    let define = json!({ "name": "windows", "longName": "Windows", "type": "INSTALL", "userMetric": "smp", "burstable": true });
    life.operator.mutate("defineLicense", "DefineLicenseInput", define, "license { id }").await;
    let priced = json!({ "prices": [{ "resource": "windows", "currency": "CNY", "level": 1, "price": "99999999",
        "unit": "count/hour", "multiplier": "3600" }] });
    life.operator.mutate("setResourcePrices", "SetResourcePricesInput", priced, "prices { id }").await;
    let with = |id: &str, cores: &str| {
        let mut event = event(id, "windows", "1", "2026-03-05T00:00:00Z");
        event["attributes"] = json!([{ "name": "smp", "value": cores }]);
        event
    };
    let told = outcomes(&life.operator, &[with("1", HUGE), with("2", "64")]).await;
    assert!(told[0].starts_with("REJECTED quantity: 100000000000000 of windows would cost more"), "{told:?}");
    assert_eq!(told[1], "ACCEPTED");
}

// ── what cannot be rated ──

/// A month with an event that got its price only after it was recorded.
async fn with_an_unratable_resource() -> Life {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    let time = "2026-03-04T00:00:00Z";
    report(
        &life,
        &[
            event("huge", "transfer_out", HUGE, time),
            event("small", "transfer_out", "0.00001", time),
            event("gets", "api_get", "100", time),
        ],
    )
    .await;
    price(&life, None, "2026-03-01T00:00:00Z", &[("transfer_out", "1000000"), ("api_get", "0.5")]).await;
    life
}

#[tokio::test]
async fn what_cannot_be_rated_is_on_the_bill_without_a_price_is_told_once_and_the_rest_is_billed() {
    let life = with_an_unratable_resource().await;
    let forecast = life.customer.data("{ account { forecast { soFar { amount } } } }").await;
    assert_eq!(forecast["account"]["forecast"]["soFar"]["amount"], "100000000000000000060.00");
    assert_eq!(used(&life, "transfer_out", "2026-03-04").await, "100000000000000.00001");
    let simulated = format!(
        r#"{{ simulateCharges(input: {{ currency: "CNY", scale: 10, accountId: "{}", startTime: "2026-03-01T00:00:00Z",
            endTime: "2026-03-05T00:00:00Z", rules: [{{ base: {{ currency: "CNY", tariffs: [{{ resource: "transfer_out",
            tiers: [{{ from: 0, unitPrice: "99999999" }}] }}] }} }}] }}) {{ total {{ amount }} }} }}"#,
        life.account
    );
    assert_eq!(life.operator.error_code(&simulated).await, "OUT_OF_RANGE");

    assert_eq!(life.advance("2026-04-01T01:00:00Z").await, jobs(&[("MONTH_CLOSING", 1, 0)]));
    let run = life.operator.data("{ billingRuns { state done total failed } }").await;
    assert_eq!(run["billingRuns"][0], json!({ "state": "DONE", "done": 1, "total": 1, "failed": 0 }));
    let [bill] = &bills(&life.customer).await[..] else { panic!("one bill") };
    assert_eq!((&bill["amount"]["amount"], &bill["status"]), (&json!("50.00"), &json!("PAID")));
    let [record] = &records(&life.customer).await[..] else { panic!("one record") };
    let unrated = record["details"].as_array().unwrap().iter().find(|detail| detail["title"] != "api_get");
    let unrated = unrated.expect("a detail of what is not rated");
    assert_eq!(
        (&unrated["title"], &unrated["quantity"], &unrated["price"]["amount"]),
        (&json!("transfer_out (UNRATED)"), &json!("100000000000000.00001"), &json!("0.00"))
    );
    assert_eq!(unrated["resource"]["code"], "transfer_out");
    let message = "What was used in 2026-03 of transfer_out cannot be rated, as it is out of range: it is not charged until it can be.";
    let told = [("UNRATED_USAGE".to_owned(), message.to_owned())];
    assert_eq!(notices(&life).await, told);
    assert_eq!(life.notices().await, Vec::<String>::new(), "it is none of the customer's business");

    // It is looked at again each day, without a word.
    assert_eq!(life.advance("2026-04-05T01:00:00Z").await, jobs(&[]));
    assert_eq!((bills(&life.customer).await.len(), notices(&life).await), (1, told.to_vec()));
    // What else comes for the month is billed meanwhile, and tells nothing anew.
    report(&life, &[event("more gets", "api_get", "20", "2026-03-20T00:00:00Z")]).await;
    assert_eq!(life.advance("2026-04-05T03:00:00Z").await, jobs(&[("MONTH_CORRECTION", 1, 0)]));
    assert_eq!(bills(&life.customer).await[1]["amount"]["amount"], "10.00");
    assert_eq!(notices(&life).await, told);
    assert_everything_adds_up(&life.customer).await;

    // Once the event is gone, the rest of its resource is billed.
    assert_eq!(void(&life, &["huge"], "k").await, voided(1, &[]));
    assert_eq!(life.advance("2026-04-05T05:00:00Z").await, jobs(&[("MONTH_CORRECTION", 1, 0)]));
    let found = bills(&life.customer).await;
    assert_eq!(found[2]["amount"]["amount"], "10.00");
    assert_eq!(found[2]["correctionOf"]["id"], found[0]["id"]);
    let last = records(&life.customer).await.pop().unwrap();
    assert!(!last.to_string().contains("UNRATED"), "{last:#}");
    assert_eq!(life.advance("2026-04-20T00:00:00Z").await, jobs(&[]));
    assert_eq!(count(&life, "SELECT count(*) FROM late_usage").await, 0, "nothing is left to be looked at");
    assert_everything_adds_up(&life.customer).await;
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_could_not_be_rated_is_billed_once_its_price_is_right_by_itself_or_when_asked() {
    for by_itself in [true, false] {
        let life = with_an_unratable_resource().await;
        life.advance("2026-04-01T01:00:00Z").await;
        assert_eq!(bills(&life.customer).await[0]["amount"]["amount"], "50.00");
        let prices = [("transfer_out", "0.0000000001"), ("api_get", "0.5")];
        price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &prices).await;
        if by_itself {
            assert_eq!(life.advance("2026-04-02T03:00:00Z").await, jobs(&[("MONTH_CORRECTION", 1, 0)]));
        } else {
            let input = json!({ "accountId": life.account, "period": "2026-03-01", "idempotencyKey": "k" });
            life.operator.mutate("rerate", "RerateInput", input, "bills { id }").await;
        }
        assert_eq!(bills(&life.customer).await[1]["amount"]["amount"], "10000.00");
        assert_eq!(life.advance("2026-04-04T03:00:00Z").await, jobs(&[]));
        life.server.assert_ledger_is_healthy().await;
    }
}

#[tokio::test]
async fn what_was_charged_is_not_given_back_because_it_cannot_be_rated_any_more() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    let month = "2026-03-01T00:00:00Z";
    price(&life, None, month, &[("transfer_out", "1"), ("api_get", "0.5")]).await;
    let time = "2026-03-04T00:00:00Z";
    report(&life, &[event("small", "transfer_out", "10", time), event("gets", "api_get", "100", time)]).await;
    life.advance("2026-04-01T01:00:00Z").await;
    assert_eq!((bills(&life.customer).await.len(), life.balance().await.as_str()), (1, "40.00"));

    report(&life, &[event("huge", "transfer_out", HUGE, time)]).await;
    price(&life, Some(&life.account), month, &[("transfer_out", "1000000"), ("api_get", "0.5")]).await;
    life.advance("2026-04-03T04:00:00Z").await;
    assert_eq!(notices(&life).await.len(), 1, "it is told that something is not rated");
    assert_eq!((bills(&life.customer).await.len(), life.balance().await.as_str()), (1, "40.00"));

    // With the event and the price gone, all is as it was charged.
    void(&life, &["huge"], "k").await;
    price(&life, Some(&life.account), month, &[("transfer_out", "1"), ("api_get", "0.5")]).await;
    life.advance("2026-04-05T04:00:00Z").await;
    assert_eq!((bills(&life.customer).await.len(), life.balance().await.as_str()), (1, "40.00"));
    assert_everything_adds_up(&life.customer).await;
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn sums_that_do_not_fit_are_told_and_hold_up_neither_their_month_nor_a_question() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    price(
        &life,
        None,
        "2026-03-01T00:00:00Z",
        &[("transfer_out", "0.0000001"), ("space", "744"), ("api_get", "1")],
    )
    .await;
    let account: i64 = life.account.trim_start_matches("acc_").parse().unwrap();
    let sql = life.server.sql().await;
    // As many events of the largest quantity as make sums that no decimal holds.
    for rows in [
        "INSERT INTO usage_hours SELECT $1, 'transfer_out', '2026-03-04T00:00:00Z', g::text, 99999999999999999999999999999999, 1
            FROM generate_series(1, 3) g",
        "INSERT INTO usage_samples SELECT $1, 'space', '2026-03-01T00:00:00Z'::timestamptz + g * interval '5 minutes', '',
            9999999999999999999999999999, now(), 1 FROM generate_series(1, 100) g",
    ] {
        sql.execute(rows, &[&account]).await.unwrap();
    }
    report(&life, &[event("gets", "api_get", "7", "2026-03-04T00:00:00Z")]).await;
    for resource in ["transfer_out", "space"] {
        let query = format!(
            r#"{{ usage(resource: "{resource}", startTime: "2026-03-01T00:00:00Z", endTime: "2026-03-05T00:00:00Z", granularity: MONTH) {{ quantity }} }}"#
        );
        assert_eq!(life.customer.error_code(&query).await, "OUT_OF_RANGE", "{resource}");
    }
    assert_eq!(
        life.customer.error_code("{ account { forecast { soFar { amount } } } }").await,
        "OUT_OF_RANGE"
    );
    life.advance("2026-04-01T01:00:00Z").await;
    assert_eq!(bills(&life.customer).await[0]["amount"]["amount"], "7.00");
    let told = notices(&life).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1.contains("of space, transfer_out cannot be rated"), "{told:?}");
    assert_everything_adds_up(&life.customer).await;
}

// ── taken back ──

#[tokio::test]
async fn an_event_that_was_taken_back_counts_no_more_and_cannot_come_again() {
    let life = Life::begin("2026-03-10T12:00:00Z", "100").await;
    life.server.account("other", "100").await;
    let time = "2026-03-10T10:30:00Z";
    let (wrong, right) =
        (event("wrong", "transfer_out", "70", time), event("right", "transfer_out", "5", time));
    let mut others = wrong.clone();
    others["namespace"] = json!("other");
    report(&life, &[wrong.clone(), right, others]).await;
    let still = life.server.contents().await;
    let mut tried = voiding(&life, &["wrong", "never"], "k");
    tried["dryRun"] = json!(true);
    let foretold = life.operator.mutate("voidUsage", "VoidUsageInput", tried, VOIDED).await;
    assert_eq!((&foretold["voided"], &foretold["unknown"]), (&json!(1), &json!(["never"])));
    life.server.assert_holds_still(&still).await;

    assert_eq!(void(&life, &["wrong", "never"], "k").await, voided(1, &["never"]));
    assert_eq!(used(&life, "transfer_out", "2026-03-10").await, "5");
    let kept = "SELECT count(*) FROM voided_events WHERE event_id = 'wrong' AND quantity = 70 AND reason = 'a broken agent'
        AND voided_by = 'OPERATOR' AND voided_at = '2026-03-10T12:00:00Z'";
    assert_eq!(count(&life, kept).await, 1);
    assert_eq!(count(&life, "SELECT count(*) FROM usage_events").await, 2, "another account's stays");
    let still = life.server.contents().await;
    assert_eq!(void(&life, &["wrong", "never"], "k").await, voided(1, &["never"]), "once for each key");
    let another = event("wrong", "transfer_out", "7", time);
    assert_eq!(
        outcomes(&life.operator, &[wrong, another]).await,
        ["DUPLICATE", "REJECTED id: another event has this id"]
    );
    life.server.assert_holds_still(&still).await;
    assert_eq!(void(&life, &["wrong"], "another key").await, voided(0, &[]), "neither again nor unknown");
    let mut other_reason = voiding(&life, &["wrong", "never"], "k");
    other_reason["reason"] = json!("another");
    let refused = life.operator.refusal("voidUsage", "VoidUsageInput", other_reason).await;
    assert_eq!(refused, ("IDEMPOTENCY_KEY_REUSED".to_owned(), "input.idempotencyKey".to_owned()));
}

#[tokio::test]
async fn what_is_to_be_taken_back_is_refused_by_field_and_is_for_operators() {
    let life = Life::begin("2026-03-10T12:00:00Z", "100").await;
    let still = life.server.contents().await;
    let ids = |ids: Vec<String>| {
        let mut input = voiding(&life, &[], "k");
        input["eventIds"] = json!(ids);
        input
    };
    let many = (0..1_001).map(|number| number.to_string()).collect();
    let twice = vec!["a".to_owned(), "b".to_owned(), "a".to_owned()];
    for (input, code, field) in [
        (ids(Vec::new()), "REQUIRED", "eventIds"),
        (ids(many), "LIMIT_EXCEEDED", "eventIds"),
        (ids(vec!["a".to_owned(), String::new()]), "INVALID", "eventIds.1"),
        (ids(vec!["x".repeat(201)]), "INVALID", "eventIds.0"),
        (ids(twice), "INVALID", "eventIds.2"),
        (json!({ "eventIds": ["a"], "reason": "r", "idempotencyKey": "k" }), "REQUIRED", "accountId"),
        (
            json!({ "namespace": "nobody", "eventIds": ["a"], "reason": "r", "idempotencyKey": "k" }),
            "NOT_FOUND",
            "namespace",
        ),
        (
            json!({ "namespace": "tenant", "eventIds": ["a"], "reason": " ", "idempotencyKey": "k" }),
            "INVALID",
            "reason",
        ),
    ] {
        let refused = life.operator.refusal("voidUsage", "VoidUsageInput", input).await;
        assert_eq!(refused, (code.to_owned(), format!("input.{field}")));
    }
    for client in [&life.customer, &life.server.service()] {
        let (_, answer) =
            client.try_mutate("voidUsage", "VoidUsageInput", voiding(&life, &["a"], "k"), VOIDED).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
    }
    life.server.assert_holds_still(&still).await;
}

#[tokio::test]
async fn usage_that_is_taken_back_before_its_month_is_billed_is_on_no_bill() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    price(&life, None, "2026-03-01T00:00:00Z", &[("transfer_out", "1"), ("space", "1")]).await;
    let time = "2026-03-04T00:00:00Z";
    report(&life, &[event("1", "transfer_out", "5", time), event("2", "space", "744", time)]).await;
    assert_eq!(void(&life, &["1", "2"], "k").await, voided(2, &[]));
    assert_eq!(life.advance("2026-04-02T00:00:00Z").await, jobs(&[]));
    assert_eq!(bills(&life.customer).await, Vec::<Value>::new(), "as if nothing had been used");
    assert_eq!(life.notices().await, Vec::<String>::new(), "no gauge was silent");
}

#[tokio::test]
async fn usage_that_is_taken_back_after_its_month_was_billed_is_credited() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    price(&life, None, "2026-03-01T00:00:00Z", &[("transfer_out", "1")]).await;
    let time = "2026-03-31T23:59:59Z";
    life.clock.move_to(at("2026-03-31T23:59:59Z"));
    report(&life, &[event("1", "transfer_out", "30", time), event("2", "transfer_out", "12", time)]).await;
    life.advance("2026-04-02T00:00:00Z").await;
    assert_eq!(life.balance().await, "58.00");
    assert_eq!(void(&life, &["1"], "k").await, voided(1, &[]));
    // One comes as another goes: the month has as many events as before.
    report(&life, &[event("3", "transfer_out", "1", time)]).await;
    assert_eq!(life.advance("2026-04-02T01:00:00Z").await, jobs(&[("MONTH_CORRECTION", 1, 0)]));
    assert_eq!(bills(&life.customer).await[1]["amount"]["amount"], "-29.00");
    assert_eq!(life.balance().await, "87.00");
    assert_eq!(void(&life, &["2", "3"], "l").await, voided(2, &[]));
    life.advance("2026-04-02T03:00:00Z").await;
    assert_eq!(life.balance().await, "100.00");
    report(&life, &[event("4", "transfer_out", "2", time)]).await;
    life.advance("2026-04-02T05:00:00Z").await;
    assert_eq!(life.balance().await, "98.00", "what comes after all is gone counts");
    assert_everything_adds_up(&life.customer).await;
    life.server.assert_ledger_is_healthy().await;
}

async fn define_peak(life: &Life) {
    let define = json!({ "code": "peak", "name": "Peak", "unit": "conn", "resourceType": "CLOUD", "aggregation": "MAX" });
    life.operator.mutate("defineResource", "DefineResourceInput", define, "resource { code }").await;
}

#[tokio::test]
async fn the_greatest_and_the_percentile_are_those_of_what_is_left() {
    let life = Life::begin("2026-03-10T12:00:00Z", "100").await;
    define_peak(&life).await;
    let at_minute = |id: &str, resource: &str, quantity: &str, minute: &str| {
        event(id, resource, quantity, &format!("2026-03-10T10:{minute}Z"))
    };
    report(
        &life,
        &[
            at_minute("p1", "peak", "10", "01:00"),
            at_minute("p2", "peak", "900", "02:00"),
            at_minute("p3", "peak", "20", "03:00"),
            at_minute("b1", "bandwidth", "5", "00:00"),
            at_minute("b2", "bandwidth", "800", "01:00"),
            at_minute("b3", "bandwidth", "700", "06:00"),
        ],
    )
    .await;
    let hour = async |resource: &str| {
        let query = format!(
            r#"{{ usage(resource: "{resource}", startTime: "2026-03-10T10:00:00Z", endTime: "2026-03-10T11:00:00Z", granularity: HOUR) {{ quantity }} }}"#
        );
        life.customer.data(&query).await["usage"][0]["quantity"].as_str().unwrap().to_owned()
    };
    assert_eq!((hour("peak").await, hour("bandwidth").await), ("900".to_owned(), "800".to_owned()));
    assert_eq!(void(&life, &["p2", "b2"], "1").await, voided(2, &[]));
    assert_eq!((hour("peak").await, hour("bandwidth").await), ("20".to_owned(), "700".to_owned()));
    assert_eq!(void(&life, &["p3", "b3"], "2").await, voided(2, &[]));
    // The slot that nobody reported any more holds what was reported before.
    assert_eq!((hour("peak").await, hour("bandwidth").await), ("10".to_owned(), "5".to_owned()));
    void(&life, &["p1", "b1"], "3").await;
    assert_eq!((hour("peak").await, hour("bandwidth").await), ("0".to_owned(), "0".to_owned()));
    let rows = "SELECT (SELECT count(*) FROM usage_hours) + (SELECT count(*) FROM usage_samples)";
    assert_eq!(count(&life, rows).await, 0);
}

#[tokio::test]
async fn hours_of_another_zone_are_told_apart_when_an_event_is_taken_back() {
    let life = Life::with("2026-03-10T12:00:00Z", "100", json!({ "timeZone": "America/St_Johns" })).await;
    define_peak(&life).await;
    report(
        &life,
        &[event("1", "peak", "10", "2026-03-10T10:40:00Z"), event("2", "peak", "90", "2026-03-10T10:45:00Z")],
    )
    .await;
    life.update(json!({ "timeZone": "UTC" })).await;
    report(&life, &[event("3", "peak", "50", "2026-03-10T10:50:00Z")]).await;
    assert_eq!(void(&life, &["2"], "k").await, voided(1, &[]));
    let kept = "SELECT string_agg(to_char(hour AT TIME ZONE 'UTC', 'HH24:MI') || ' ' || quantity, ', ' ORDER BY hour) FROM usage_hours";
    let kept: String = life.server.sql().await.query_one(kept, &[]).await.unwrap().get(0);
    assert_eq!(kept, "10:00 50, 10:30 10");
}

#[tokio::test]
async fn a_licence_that_is_taken_back_leaves_room_for_another_and_what_was_reported_before_holds() {
    let life = Life::begin("2026-03-01T10:00:00Z", "100000").await;
    let define = json!({ "name": "oracle", "longName": "Oracle", "type": "INSTALL", "userMetric": "smp", "burstable": false });
    life.operator.mutate("defineLicense", "DefineLicenseInput", define, "license { id }").await;
    let prices = json!({ "prices": [{ "resource": "oracle", "currency": "CNY", "level": 0, "price": "10", "unit": "count/month", "multiplier": "2592000" }] });
    life.operator.mutate("setResourcePrices", "SetResourcePricesInput", prices, "prices { id }").await;
    let subscribed = json!({ "resource": "oracle", "amount": "8", "months": 1, "idempotencyKey": "8" });
    life.customer.mutate("subscribe", "SubscribeInput", subscribed, "order { id }").await;
    let on = |id: &str, server: &str, cores: &str, second: u32| {
        let mut event = event(id, "oracle", "1", &format!("2026-03-01T10:00:{second:02}Z"));
        event["subject"] = json!(server);
        event["attributes"] = json!([{ "name": "smp", "value": cores }]);
        event
    };
    assert_eq!(
        outcomes(&life.operator, &[on("1", "one", "2", 1), on("2", "one", "8", 2)]).await,
        ["ACCEPTED"; 2]
    );
    let other = on("3", "two", "4", 3);
    assert!(outcomes(&life.operator, std::slice::from_ref(&other)).await[0].starts_with("REJECTED quantity"));
    assert_eq!(void(&life, &["2"], "k").await, voided(1, &[]));
    // Two cores of the first server are counted again, as before it was said to have eight.
    assert_eq!(outcomes(&life.operator, &[other]).await, ["ACCEPTED"]);
    let samples = "SELECT string_agg(subject || ' ' || quantity, ', ' ORDER BY subject) FROM usage_samples";
    let samples: String = life.server.sql().await.query_one(samples, &[]).await.unwrap().get(0);
    assert_eq!(samples, "one 2, two 4");
}

#[tokio::test]
async fn burst_that_an_odd_gauge_held_up_is_charged_once_it_is_taken_back() {
    let life = Life::begin("2026-03-01T10:00:00Z", "100").await;
    let declared = json!({ "resource": "mem", "capacity": "99000000000000", "curve": [{ "fromUtilisation": "0", "level": 1 }] });
    life.operator.mutate("setBurstCapacity", "SetBurstCapacityInput", declared, "resource { code }").await;
    let of = |id: &str, server: &str, quantity: &str| {
        let mut event = event(id, "mem", quantity, "2026-03-01T10:00:00Z");
        event["subject"] = json!(server);
        event
    };
    report(&life, &[of("odd", "one", HUGE), of("usual", "two", "12")]).await;
    let prices = json!({ "prices": [{ "resource": "mem", "currency": "CNY", "level": 1, "price": "99999999", "unit": "u", "multiplier": "1" }] });
    life.operator.mutate("setResourcePrices", "SetResourcePricesInput", prices, "prices { id }").await;
    life.advance("2026-03-01T10:05:00Z").await;
    assert_eq!(count(&life, "SELECT count(*) FROM burst_owed").await, 1);
    assert_eq!(notices(&life).await[0].0, "UNPRICED_USAGE");
    assert_eq!(void(&life, &["odd"], "k").await, voided(1, &[]));
    life.advance("2026-03-01T10:10:00Z").await;
    assert_eq!(count(&life, "SELECT count(*) FROM burst_owed").await, 0);
    let query = "{ ledger(first: 100) { nodes { billingCycle resourceAmount } } }";
    let ledger = life.customer.data(query).await["ledger"]["nodes"].as_array().unwrap().clone();
    let burst: Vec<_> = ledger.iter().filter(|entry| !entry["billingCycle"].is_null()).collect();
    assert!(burst.iter().all(|entry| entry["resourceAmount"] == "12"), "{burst:#?}");
    assert_eq!(burst.len(), 2);
}

#[tokio::test]
async fn what_is_left_of_any_events_is_what_it_would_be_if_the_others_had_never_come() {
    let rounds = if in_full() { 40 } else { 4 };
    let life = Life::begin("2026-03-10T12:00:00Z", "0").await;
    define_peak(&life).await;
    for round in 1..=rounds {
        let mut dice = Dice::new(round);
        let (whole, left) = (format!("whole-{round}"), format!("left-{round}"));
        let whole_id = life.server.account(&whole, "0").await;
        life.server.account(&left, "0").await;
        let mut events: Vec<(Value, bool)> = (0..200)
            .map(|number| {
                let resource = ["transfer_out", "peak", "space", "bandwidth", "cpu"][dice.below(5)];
                let quantity = Decimal::new(i64::try_from(dice.below(50)).unwrap(), 1).to_string();
                let second = i64::try_from(dice.below(3 * 3_600)).unwrap();
                let time = at("2026-03-10T08:00:00Z") + chrono::TimeDelta::seconds(second);
                let mut event = event(&number.to_string(), resource, &quantity, &time.to_rfc3339());
                event["subject"] = json!(["a", "b", ""][dice.below(3)]);
                if event["subject"] == "" {
                    event.as_object_mut().unwrap().remove("subject");
                }
                (event, dice.below(3) == 0)
            })
            .collect();
        let of = |namespace: &str, event: &Value| {
            let mut event = event.clone();
            event["namespace"] = json!(namespace);
            event
        };
        let remain: Vec<Value> =
            events.iter().filter(|(_, goes)| !goes).map(|(event, _)| of(&left, event)).collect();
        report(&life, &remain).await;
        // Taken back in parts, while others still come.
        let mut batch = 0;
        while !events.is_empty() {
            let part: Vec<(Value, bool)> = events.drain(..events.len().min(1 + dice.below(90))).collect();
            let all: Vec<Value> = part.iter().map(|(event, _)| of(&whole, event)).collect();
            report(&life, &all).await;
            let gone: Vec<&str> = part
                .iter()
                .filter(|(_, goes)| *goes)
                .map(|(event, _)| event["id"].as_str().unwrap())
                .collect();
            batch += 1;
            if !gone.is_empty() {
                let input = json!({ "accountId": whole_id, "eventIds": gone, "reason": "r", "idempotencyKey": batch.to_string() });
                let told = life.operator.mutate("voidUsage", "VoidUsageInput", input, VOIDED).await;
                assert_eq!(told["voided"], json!(gone.len()));
            }
        }
        let kept = async |namespace: &str| -> String {
            let query = "SELECT string_agg(t, E'\\n' ORDER BY t) FROM (
                SELECT concat_ws(' ', resource_code, hour, subject, trim_scale(quantity), version) AS t FROM usage_hours h
                    JOIN namespaces n USING (account_id) WHERE n.namespace = $1
                UNION ALL SELECT concat_ws(' ', resource_code, slot, subject, trim_scale(quantity), reported_at, version) FROM usage_samples s
                    JOIN namespaces n USING (account_id) WHERE n.namespace = $1) t";
            life.server.sql().await.query_one(query, &[&namespace]).await.unwrap().get(0)
        };
        assert_eq!(kept(&whole).await, kept(&left).await, "round {round}");
    }
}
