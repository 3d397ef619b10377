//! Months are closed: what was used becomes records and bills, late usage corrections, and nothing is lost or charged twice.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use crate::support::life::{Life, at, jobs};
use crate::support::load::Dice;
use crate::support::{Client, TestServer};

/// The bills of a customer, oldest first.
async fn bills(customer: &Client) -> Vec<Value> {
    let query = "{ bills(first: 100) { nodes { id number status amount { amount } cycleAmount { amount } startTime endTime dueAt
        order { id } correctionOf { id } transactions { kind amount { amount } direction }
        lines { title amount { amount } record { number } } } } }";
    let mut bills = customer.data(query).await["bills"]["nodes"].as_array().unwrap().clone();
    bills.reverse();
    bills
}

/// The records of a customer, oldest first.
async fn records(customer: &Client) -> Vec<Value> {
    let query = "{ records(first: 100) { nodes { number payWay productName resourceType price { amount } startTime endTime
        order { id } bill { id } details { title resource { code } quantity price { amount } consumeWay
            explanation { label quantity unitPrice factor divisor amount rule { id } } } } } }";
    let mut records = customer.data(query).await["records"]["nodes"].as_array().unwrap().clone();
    records.reverse();
    records
}

fn dec(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value} is no decimal")).parse().unwrap()
}

fn amount(of: &Value) -> Decimal {
    dec(&of["amount"]["amount"])
}

fn sum(values: impl Iterator<Item = Decimal>) -> Decimal {
    values.sum()
}

/// A base price of one tier for each resource, for an account or for everyone.
async fn price(life: &Life, account: Option<&str>, from: &str, prices: &[(&str, &str)]) -> Value {
    let tariffs: Vec<Value> = prices
        .iter()
        .map(|(resource, price)| json!({ "resource": resource, "tiers": [{ "from": "0", "unitPrice": price }] }))
        .collect();
    let base = json!({ "base": { "currency": "CNY", "tariffs": tariffs } });
    set(life, account, json!([{ "effectiveFrom": from, "definition": base }])).await
}

async fn set(life: &Life, account: Option<&str>, infos: Value) -> Value {
    let mut input =
        json!({ "idempotencyKey": uuid::Uuid::new_v4().to_string(), "allowPast": true, "infos": infos });
    match account {
        Some(account) => input["accountId"] = json!(account),
        None => input["everyone"] = json!(true),
    }
    life.operator.mutate("setPrices", "SetPricesInput", input, "rules { id }").await
}

fn event(id: &str, resource: &str, quantity: &str, time: &str) -> Value {
    json!({ "id": id, "namespace": "tenant", "resource": resource, "quantity": quantity, "time": time })
}

async fn report(life: &Life, events: &[Value]) {
    for events in events.chunks(2_000) {
        let fields = "accepted results { outcome message }";
        let input = json!({ "events": events });
        let recorded = life.operator.mutate("recordUsage", "RecordUsageInput", input, fields).await;
        assert_eq!(recorded["accepted"], json!(events.len()), "{}", recorded["results"]);
    }
}

/// Every bill equals its lines, every record its details, every detail its steps.
async fn assert_everything_adds_up(customer: &Client) {
    for bill in bills(customer).await {
        let lines = bill["lines"].as_array().unwrap();
        assert_eq!(sum(lines.iter().map(amount)), amount(&bill), "{bill:#}");
    }
    for record in records(customer).await {
        let details = record["details"].as_array().unwrap();
        assert_eq!(sum(details.iter().map(|detail| dec(&detail["price"]["amount"]))), dec(&record["price"]["amount"]), "{record:#}");
        for detail in details {
            let steps = detail["explanation"].as_array().unwrap();
            assert_eq!(sum(steps.iter().map(|step| dec(&step["amount"]))), dec(&detail["price"]["amount"]), "{detail:#}");
        }
    }
}

#[tokio::test]
async fn a_month_is_billed_an_hour_after_its_end_in_its_own_zone_and_paid_from_the_balance() {
    let shanghai = json!({ "timeZone": "Asia/Shanghai" });
    let life = Life::with("2026-10-05T00:00:00Z", "100", shanghai).await;
    let account = life.account.clone();
    price(&life, Some(&account), "2026-10-01T00:00:00Z", &[("transfer_out", "0.29"), ("api_get", "0.0000017")]).await;
    report(&life, &[
        event("begin", "transfer_out", "3", "2026-10-05T00:00:00Z"),
        event("gets", "api_get", "12345", "2026-10-05T00:00:00Z"),
    ])
    .await;
    life.clock.move_to(at("2026-10-31T15:59:59Z"));
    report(&life, &[event("last hour of the last day", "transfer_out", "7.5", "2026-10-31T15:59:59Z")]).await;
    assert_eq!(life.advance("2026-10-31T16:59:59Z").await, jobs(&[]));
    assert_eq!(bills(&life.customer).await, Vec::<Value>::new());
    // In Shanghai it is November by now: this counts in the next month.
    report(&life, &[event("first of the next", "transfer_out", "1", "2026-10-31T16:00:00Z")]).await;
    assert_eq!(life.advance("2026-10-31T17:00:00Z").await, jobs(&[("MONTH_CLOSING", 1, 0)]));
    let [bill] = &bills(&life.customer).await[..] else { panic!("one bill") };
    assert_eq!(
        (&bill["startTime"], &bill["endTime"], &bill["dueAt"]),
        (&json!("2026-09-30T16:00:00Z"), &json!("2026-10-31T16:00:00Z"), &json!("2026-11-15T17:00:00Z"))
    );
    // 10.5 × 0.29 + 12,345 × 0.0000017 = 3.045 + 0.0209865, at ledger scale; the bill rounds it.
    assert_eq!((&bill["status"], &bill["amount"]["amount"]), (&json!("PAID"), &json!("3.07")));
    let [record] = &records(&life.customer).await[..] else { panic!("one record") };
    assert_eq!(record["price"]["amount"], "3.0659865");
    assert_eq!(
        (&record["payWay"], &record["productName"], &record["bill"]["id"], &record["order"]),
        (&json!("POSTPAY"), &json!("Usage 2026-10"), &bill["id"], &json!(null))
    );
    assert_eq!(
        bill["lines"],
        json!([
            { "title": "Usage 2026-10", "amount": { "amount": "3.0659865" }, "record": { "number": record["number"] } },
            { "title": "rounding", "amount": { "amount": "0.0040135" }, "record": null } ])
    );
    let detail = &record["details"][0];
    assert_eq!((&detail["resource"]["code"], &detail["quantity"]), (&json!("transfer_out"), &json!("10.5")));
    assert_everything_adds_up(&life.customer).await;
    assert_eq!(life.balance().await, "96.93");
    let by_number = format!("{{ record(number: {}) {{ price {{ amount }} }} }}", record["number"]);
    assert_eq!(life.customer.data(&by_number).await["record"]["price"]["amount"], "3.0659865");

    let runs = "{ billingRuns(period: \"2026-10-01\") { period timeZone state done total failed startedAt finishedAt } }";
    assert_eq!(
        life.operator.data(runs).await["billingRuns"],
        json!([{ "period": "2026-10-01", "timeZone": "Asia/Shanghai", "state": "DONE", "done": 1, "total": 1, "failed": 0,
            "startedAt": "2026-10-31T17:00:00Z", "finishedAt": "2026-10-31T17:00:00Z" }])
    );
    assert_eq!(life.advance("2026-11-30T17:00:00Z").await, jobs(&[("MONTH_CLOSING", 1, 0)]));
    assert_eq!(bills(&life.customer).await[1]["amount"]["amount"], "0.29");
    life.server.assert_ledger_is_healthy().await;
}

/// The whole months' tiers of a graduated tariff, by hand.
fn graduated(quantity: Decimal, included: Decimal, per: Decimal, tiers: &[(Decimal, Decimal)]) -> Decimal {
    let mut total = Decimal::ZERO;
    for (at, (from, unit_price)) in tiers.iter().enumerate() {
        let to = tiers.get(at + 1).map_or(Decimal::MAX, |(next, _)| *next);
        let units = quantity.min(to) - included.max(*from).min(quantity.min(to));
        if units > Decimal::ZERO && quantity > *from {
            total += units / per * unit_price;
        }
    }
    total
}

#[tokio::test]
async fn the_storage_plan_of_the_price_service_bills_a_generated_month_as_calculated_by_hand() {
    let cases: Value = serde_json::from_str(include_str!("../cases/rating.json")).unwrap();
    let plan = cases.as_array().unwrap().iter().find(|case| case["id"] == "sp01").expect("the storage plan")["rules"].clone();
    for seed in 1..=4 {
        let mut dice = Dice::new(seed);
        let zone = [json!("UTC"), json!("Asia/Shanghai"), json!("America/St_Johns"), json!("Asia/Kathmandu")][usize::try_from(seed).unwrap() % 4].clone();
        let life = Life::with("2026-01-01T00:00:00Z", "100000", json!({ "timeZone": zone })).await;
        let tz: chrono_tz::Tz = zone.as_str().unwrap().parse().unwrap();
        let midnight = |month| tz.with_ymd_and_hms(2026, month, 1, 0, 0, 0).unwrap().with_timezone(&Utc);
        let (start, end) = (midnight(3), midnight(4));
        let infos: Vec<Value> = plan
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| {
                let mut rule = rule.clone();
                for (_, terms) in rule.as_object_mut().unwrap().iter_mut() {
                    terms["currency"] = json!("CNY");
                }
                json!({ "effectiveFrom": "2026-01-01T00:00:00Z", "definition": rule })
            })
            .collect();
        set(&life, Some(&life.account), json!(infos)).await;
        // Sums at random times of the month, its first and last instant among them; the space every half an hour.
        let mut events = Vec::new();
        let mut sums: BTreeMap<&str, Decimal> = BTreeMap::new();
        let seconds = end.signed_duration_since(start).num_seconds();
        for number in 0..400 {
            let resource = ["transfer_out", "api_get", "api_put"][dice.below(3)];
            let quantity = match resource {
                "transfer_out" => Decimal::new(i64::try_from(dice.below(2_000_000)).unwrap(), 6),
                _ => Decimal::from(dice.below(20_000)),
            };
            let second = match number {
                0 => 0,
                1 => seconds - 1,
                _ => i64::try_from(dice.below(usize::try_from(seconds).unwrap())).unwrap(),
            };
            let time = start + TimeDelta::seconds(second);
            events.push(event(&number.to_string(), resource, &quantity.to_string(), &time.to_rfc3339()));
            *sums.entry(resource).or_default() += quantity;
        }
        let (mut space, mut slots) = (Decimal::ZERO, 0);
        let mut time = start;
        while time < end {
            let quantity = Decimal::new(i64::try_from(dice.below(9_000_000)).unwrap(), 2);
            events.push(event(&format!("space {time}"), "space", &quantity.to_string(), &time.to_rfc3339()));
            space += quantity * Decimal::from(6);
            slots += 6;
            time += TimeDelta::minutes(30);
        }
        for just_outside in [start - TimeDelta::microseconds(1), end] {
            events.push(event(&format!("outside {just_outside}"), "transfer_out", "1000000", &just_outside.to_rfc3339()));
        }
        life.clock.move_to(end + TimeDelta::seconds(1));
        report(&life, &events).await;
        life.advance(&(end + TimeDelta::hours(2)).to_rfc3339()).await;

        let tiers = |tiers: &[(&str, &str)]| -> Vec<(Decimal, Decimal)> {
            tiers.iter().map(|(from, price)| (from.parse().unwrap(), price.parse().unwrap())).collect()
        };
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        let of_space = tiers(&[("0", "0"), ("10", "0.1650"), ("51200", "0.1620"), ("512000", "0.1590"), ("5242880", "0.1560")]);
        let base = graduated(space / Decimal::from(slots), number("10"), Decimal::ONE, &of_space)
            + graduated(sums["transfer_out"], number("10"), Decimal::ONE, &tiers(&[("0", "0.29")]))
            + graduated(sums["api_get"], number("1000000"), number("1000"), &tiers(&[("0", "0.0010")]))
            + graduated(sums["api_put"], number("100000"), number("1000"), &tiers(&[("0", "0.0010")]));
        let total = base * number("0.9") - number("5") + number("9.90");
        let found = bills(&life.customer).await;
        let bill = found.iter().find(|bill| at(bill["startTime"].as_str().unwrap()) == start).expect("March's bill");
        let rounded = |places| total.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
        assert_eq!(amount(bill), rounded(2), "{zone}: {bill:#}");
        let of_march = records(&life.customer).await.into_iter().find(|record| record["bill"]["id"] == bill["id"]).unwrap();
        assert_eq!(dec(&of_march["price"]["amount"]), rounded(10), "{zone}");
        assert_everything_adds_up(&life.customer).await;
    }
}

#[tokio::test]
async fn a_month_without_money_stays_open_suspends_after_grace_and_is_paid_when_money_comes() {
    let life = Life::begin("2026-03-05T00:00:00Z", "1").await;
    price(&life, None, "2026-03-01T00:00:00Z", &[("transfer_out", "1")]).await;
    report(&life, &[event("1", "transfer_out", "20", "2026-03-04T00:00:00Z")]).await;
    life.advance("2026-04-01T01:00:00Z").await;
    let status = async || {
        let data = life.customer.data("{ account { status } }").await;
        (data["account"]["status"].clone(), bills(&life.customer).await[0]["status"].clone())
    };
    assert_eq!(status().await, (json!("ACTIVE"), json!("UNPAID")));
    assert_eq!(bills(&life.customer).await[0]["dueAt"], "2026-04-16T01:00:00Z");
    life.advance("2026-04-16T01:00:00Z").await;
    assert_eq!(status().await, (json!("ACTIVE"), json!("OVERDUE")));
    life.advance("2026-04-23T01:00:00Z").await;
    assert_eq!(status().await, (json!("SUSPENDED"), json!("OVERDUE")));
    // Usage is recorded and billed all the same; the new bill is not paid before the old one.
    report(&life, &[event("2", "transfer_out", "0.5", "2026-04-23T00:00:00Z")]).await;
    life.advance("2026-05-01T01:00:00Z").await;
    assert_eq!(bills(&life.customer).await[1]["status"], "UNPAID");
    assert_eq!(life.balance().await, "1.00");
    life.recharge("20").await;
    assert_eq!(status().await, (json!("ACTIVE"), json!("PAID")));
    assert_eq!(life.balance().await, "1.00");
    life.advance("2026-05-16T01:00:00Z").await;
    assert_eq!((life.balance().await.as_str(), &bills(&life.customer).await[1]["status"]), ("0.50", &json!("PAID")));
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn late_usage_is_corrected_an_hour_after_it_came_either_way() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    let define = json!({ "code": "egress", "name": "Egress", "unit": "GB", "resourceType": "CLOUD", "aggregation": "SUM", "allowsCorrections": true });
    life.operator.mutate("defineResource", "DefineResourceInput", define, "resource { code }").await;
    price(&life, None, "2026-03-01T00:00:00Z", &[("egress", "0.333")]).await;
    report(&life, &[event("1", "egress", "10", "2026-03-04T00:00:00Z")]).await;
    life.advance("2026-04-02T00:00:00Z").await;
    assert_eq!(life.balance().await, "96.67");
    // Two batches within the hour are one correction.
    report(&life, &[event("2", "egress", "2", "2026-03-31T23:59:59Z")]).await;
    assert_eq!(life.advance("2026-04-02T00:30:00Z").await, jobs(&[]));
    report(&life, &[event("3", "egress", "1", "2026-03-31T23:00:00Z")]).await;
    assert_eq!(life.advance("2026-04-02T01:00:00Z").await, jobs(&[("MONTH_CORRECTION", 1, 0)]));
    let [original, correction] = &bills(&life.customer).await[..] else { panic!("two bills") };
    // 13 × 0.333 = 4.329 → 4.33 in all.
    assert_eq!((amount(original), amount(correction)), ("3.33".parse().unwrap(), "1.00".parse().unwrap()));
    assert_eq!((&correction["correctionOf"]["id"], &correction["status"]), (&original["id"], &json!("PAID")));
    assert_eq!((&correction["startTime"], &correction["endTime"]), (&original["startTime"], &original["endTime"]));
    assert_eq!(original["correctionOf"], json!(null));
    let titles: Vec<_> = correction["lines"].as_array().unwrap().iter().map(|line| line["title"].clone()).collect();
    assert_eq!(titles, ["Usage 2026-03, correction", "rounding"]);
    assert_eq!(life.balance().await, "95.67");

    // What is taken back is credited at once.
    report(&life, &[event("4", "egress", "-12.5", "2026-03-10T00:00:00Z")]).await;
    life.advance("2026-04-02T02:00:00Z").await;
    let credit = bills(&life.customer).await[2].clone();
    assert_eq!((&credit["amount"]["amount"], &credit["status"], &credit["correctionOf"]["id"]), (&json!("-4.16"), &json!("PAID"), &original["id"]));
    assert_eq!(
        credit["transactions"],
        json!([{ "kind": "BILL_PAYMENT", "amount": { "amount": "4.16" }, "direction": "CREDIT" }])
    );
    assert_eq!(life.balance().await, "99.83");
    assert_everything_adds_up(&life.customer).await;

    // An event that changes nothing that is charged leaves no bill, and is looked at once.
    report(&life, &[event("5", "egress", "0", "2026-03-11T00:00:00Z")]).await;
    assert_eq!(life.advance("2026-04-02T03:00:00Z").await, jobs(&[("MONTH_CORRECTION", 1, 0)]));
    assert_eq!(life.advance("2026-04-03T03:00:00Z").await, jobs(&[]));
    assert_eq!(bills(&life.customer).await.len(), 3);
    // So does one that was sent before.
    let again = json!({ "events": [event("4", "egress", "-12.5", "2026-03-10T00:00:00Z")] });
    let told = life.operator.mutate("recordUsage", "RecordUsageInput", again, "duplicates").await;
    assert_eq!(told["duplicates"], 1);
    assert_eq!(life.advance("2026-04-04T00:00:00Z").await, jobs(&[]));
    // A month in which nothing had been used.
    report(&life, &[event("6", "egress", "1", "2026-02-28T23:00:00Z")]).await;
    assert_eq!(life.advance("2026-04-04T01:00:00Z").await, jobs(&[("MONTH_CLOSING", 1, 0)]));
    let february = bills(&life.customer).await[3].clone();
    assert_eq!((&february["startTime"], &february["endTime"]), (&json!("2026-02-01T00:00:00Z"), &json!("2026-03-01T00:00:00Z")));
    // Before the rules began it has no price: that is for the provider to know.
    assert_eq!(february["amount"]["amount"], "0.00");
    assert!(!life.notices().await.contains(&"UNPRICED_USAGE".to_owned()));
    let notices = format!("{{ account(id: \"{}\") {{ notices {{ kind message }} }} }}", life.account);
    let told = life.operator.data(&notices).await["account"]["notices"][0].clone();
    assert_eq!(told, json!({ "kind": "UNPRICED_USAGE", "message": "What was used in 2026-02 of egress has no price: it is not charged." }));
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_month_is_rated_again_after_a_wrong_rule_was_replaced() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    let wrong = price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "2")]).await;
    report(&life, &[event("1", "transfer_out", "10", "2026-03-04T00:00:00Z")]).await;
    let rerate = async |period: &str, key: &str, dry_run: bool| {
        let input = json!({ "accountId": life.account, "period": period, "idempotencyKey": key, "dryRun": dry_run });
        let fields = "bills { id amount { amount } correctionOf { id } }";
        life.operator.payload("rerate", "RerateInput", input, fields).await
    };
    let refused = rerate("2026-03-01", "early", false).await;
    assert_eq!((&refused["bills"], &refused["userErrors"][0]["field"]), (&json!(null), &json!(["period"])));
    life.advance("2026-04-02T00:00:00Z").await;
    assert_eq!(life.balance().await, "80.00");
    assert_eq!(rerate("2026-03-01", "same", false).await["bills"], json!([]));
    assert_eq!(wrong["rules"].as_array().unwrap().len(), 1);
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "1.5")]).await;
    let still = life.server.contents().await;
    let tried = rerate("2026-03-01", "right", true).await;
    assert_eq!(tried["bills"][0]["amount"]["amount"], "-5.00");
    life.server.assert_holds_still(&still).await;
    let made = rerate("2026-03-17", "right", false).await;
    assert_eq!(made["bills"][0]["amount"]["amount"], "-5.00");
    assert_eq!(made["bills"][0]["correctionOf"]["id"], bills(&life.customer).await[0]["id"]);
    assert_eq!(life.balance().await, "85.00");
    // The key's answer stays, whatever the month would come to now.
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "3")]).await;
    assert_eq!(rerate("2026-03-01", "right", false).await, made);
    assert_eq!(life.balance().await, "85.00");
    assert_eq!(rerate("2026-03-01", "dearer", false).await["bills"][0]["amount"]["amount"], "15.00");
    assert_eq!(life.balance().await, "70.00");
    let other = rerate("2026-04-01", "right", false).await;
    assert_eq!(other["userErrors"][0]["field"], json!(["period"]));
    assert_everything_adds_up(&life.customer).await;
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn an_order_on_demand_is_charged_by_the_second_each_month_and_once_more_for_its_last() {
    let life = Life::begin("2026-03-30T12:00:00Z", "100").await;
    let plan = life.plan("server by the hour", "C", "0.07", "HOUR").await;
    let order = life.buy(&plan, json!({ "quantity": 2 })).await["order"]["id"].clone();
    life.advance("2026-04-01T01:00:00Z").await;
    // 36 hours of March: 0.07 × 2 × 36.
    assert_eq!(life.balance().await, "94.96");
    life.advance("2026-05-03T00:00:01Z").await;
    // 720 hours of April.
    assert_eq!(life.balance().await, "-5.84".replace('-', "").replace("5.84", "94.96"));
    let april = bills(&life.customer).await[1].clone();
    assert_eq!((&april["amount"]["amount"], &april["status"]), (&json!("100.80"), &json!("UNPAID")));
    let cancel = json!({ "orderId": order });
    life.customer.mutate("cancelOrder", "CancelOrderInput", cancel, "order { state expiresAt }").await;
    life.recharge("10").await;
    life.advance("2026-06-02T00:00:00Z").await;
    let records = records(&life.customer).await;
    // 172,801 seconds of May: 0.14 × 172801 ÷ 3600, at ledger scale.
    let prices: Vec<_> = records.iter().map(|record| record["price"]["amount"].as_str().unwrap()).collect();
    assert_eq!(prices, ["5.04", "100.80", "6.7200388889"]);
    let last = &records[2];
    assert_eq!((&last["order"]["id"], &last["payWay"]), (&order, &json!("POSTPAY")));
    assert_eq!((&last["startTime"], &last["endTime"]), (&json!("2026-05-01T00:00:00Z"), &json!("2026-05-03T00:00:01Z")));
    let step = &last["details"][0]["explanation"][0];
    assert_eq!(
        (&step["quantity"], &step["unitPrice"], &step["factor"], &step["divisor"]),
        (&json!("2"), &json!("0.07"), &json!("172801"), &json!("3600"))
    );
    assert_everything_adds_up(&life.customer).await;
    assert_eq!(life.advance("2026-07-02T00:00:00Z").await.get("MONTH_CLOSING"), None);
}

#[tokio::test]
async fn a_gauge_that_nobody_reported_for_a_time_is_told() {
    let life = Life::begin("2026-03-10T12:00:00Z", "100").await;
    price(&life, None, "2026-03-01T00:00:00Z", &[("space", "31")]).await;
    report(&life, &[event("1", "space", "24", "2026-03-10T00:00:00Z")]).await;
    report(&life, &[event("2", "space", "24", "2026-03-10T02:00:00Z")]).await;
    life.advance("2026-04-01T01:00:00Z").await;
    // Two hours of 24 GB in 744: 24 × 2 ÷ 744 × 31.
    assert_eq!(bills(&life.customer).await[0]["amount"]["amount"], "2.00");
    let data = life.customer.data("{ account { notices { kind message } } }").await;
    assert_eq!(
        data["account"]["notices"],
        json!([{ "kind": "GAUGE_SILENT",
            "message": "space was not reported for 6312 of the 5-minute slots of 2026-03: they count as zero." }])
    );
}

#[tokio::test]
async fn a_change_of_zone_leaves_no_hour_out_and_bills_none_twice() {
    let life = Life::with("2026-10-05T00:00:00Z", "1000", json!({ "timeZone": "Asia/Shanghai" })).await;
    price(&life, None, "2026-01-01T00:00:00Z", &[("transfer_out", "1")]).await;
    let hourly = async |from: &str, to: &str| {
        let (mut time, to) = (at(from), at(to));
        let mut events = Vec::new();
        while time < to {
            events.push(event(&time.to_rfc3339(), "transfer_out", "1", &time.to_rfc3339()));
            time += TimeDelta::hours(1);
        }
        report(&life, &events).await;
        Decimal::from(events.len())
    };
    let mut used = Decimal::ZERO;
    for (zone, now) in [
        ("UTC", "2026-11-02T00:00:00Z"),
        ("America/St_Johns", "2026-11-20T00:00:00Z"),
        ("Pacific/Auckland", "2026-12-31T20:00:00Z"),
        ("America/St_Johns", "2027-01-20T00:00:00Z"),
        ("Asia/Shanghai", "2027-03-05T00:00:00Z"),
    ] {
        let from = if used.is_zero() { "2026-10-05T00:00:00Z".to_owned() } else { life.clock.now().to_rfc3339() };
        let mut time = at(&from);
        // Reported as it comes, half a day at a time.
        while time < at(now) {
            let next = (time + TimeDelta::hours(12)).min(at(now));
            life.advance(&next.to_rfc3339()).await;
            used += hourly(&time.to_rfc3339(), &next.to_rfc3339()).await;
            time = next;
        }
        // A zone that has changed cuts hours anew a few seconds later.
        let input = json!({ "accountId": life.account, "timeZone": zone });
        life.operator.mutate("updateAccount", "UpdateAccountInput", input, "account { id }").await;
        tokio::time::sleep(std::time::Duration::from_millis(5_100)).await;
    }
    life.advance("2027-05-02T00:00:00Z").await;
    let bills = bills(&life.customer).await;
    assert_eq!(sum(bills.iter().map(amount)), used, "{bills:#?}");
    let mut windows: Vec<(DateTime<Utc>, DateTime<Utc>)> = bills
        .iter()
        .map(|bill| (at(bill["startTime"].as_str().unwrap()), at(bill["endTime"].as_str().unwrap())))
        .collect();
    windows.sort();
    windows.dedup();
    assert!(windows.windows(2).all(|pair| pair[0].1 <= pair[1].0), "no two overlap: {windows:?}");
    life.server.assert_ledger_is_healthy().await;
}
