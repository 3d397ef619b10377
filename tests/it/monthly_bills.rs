//! Months are closed: what was used becomes records and bills, late usage corrections, and nothing is lost or charged twice.

use std::collections::BTreeMap;

use abacus::domain::closing::Month;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use nix::sys::signal::Signal;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use crate::support::life::{Life, at, jobs};
use crate::support::load::Dice;
use crate::support::process::{command, eventually, signal};
use crate::support::sequences::in_full;
use crate::support::{Client, TestServer};

/// The bills of a customer, oldest first.
pub async fn bills(customer: &Client) -> Vec<Value> {
    let query = "{ bills(first: 100) { nodes { id number status amount { amount } cycleAmount { amount } startTime endTime dueAt
        order { id } correctionOf { id } transactions { kind amount { amount } direction }
        lines { title amount { amount } record { number } } } } }";
    let mut bills = customer.data(query).await["bills"]["nodes"].as_array().unwrap().clone();
    bills.reverse();
    bills
}

/// The records of a customer, oldest first.
pub async fn records(customer: &Client) -> Vec<Value> {
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

pub fn amount(of: &Value) -> Decimal {
    dec(&of["amount"]["amount"])
}

fn sum(values: impl Iterator<Item = Decimal>) -> Decimal {
    values.sum()
}

/// A base price of one tier for each resource, for an account or for everyone.
pub async fn price(life: &Life, account: Option<&str>, from: &str, prices: &[(&str, &str)]) -> Value {
    let tariffs: Vec<Value> = prices
        .iter()
        .map(|(resource, price)| json!({ "resource": resource, "tiers": [{ "from": "0", "unitPrice": price }] }))
        .collect();
    let base = json!({ "base": { "currency": "CNY", "tariffs": tariffs } });
    set(life, account, json!([{ "effectiveFrom": from, "definition": base }])).await
}

pub async fn set(life: &Life, account: Option<&str>, infos: Value) -> Value {
    let mut input =
        json!({ "idempotencyKey": uuid::Uuid::new_v4().to_string(), "allowPast": true, "infos": infos });
    match account {
        Some(account) => input["accountId"] = json!(account),
        None => input["everyone"] = json!(true),
    }
    life.operator.mutate("setPrices", "SetPricesInput", input, "rules { id }").await
}

pub fn event(id: &str, resource: &str, quantity: &str, time: &str) -> Value {
    json!({ "id": id, "namespace": "tenant", "resource": resource, "quantity": quantity, "time": time })
}

pub async fn report(life: &Life, events: &[Value]) {
    for events in events.chunks(2_000) {
        let fields = "accepted results { outcome message }";
        let input = json!({ "events": events });
        let recorded = life.operator.mutate("recordUsage", "RecordUsageInput", input, fields).await;
        assert_eq!(recorded["accepted"], json!(events.len()), "{}", recorded["results"]);
    }
}

/// Every bill equals its lines, every record its details, every detail its steps.
pub async fn assert_everything_adds_up(customer: &Client) {
    for bill in bills(customer).await {
        let lines = bill["lines"].as_array().unwrap();
        assert_eq!(sum(lines.iter().map(amount)), amount(&bill), "{bill:#}");
    }
    for record in records(customer).await {
        let details = record["details"].as_array().unwrap();
        assert_eq!(
            sum(details.iter().map(|detail| dec(&detail["price"]["amount"]))),
            dec(&record["price"]["amount"]),
            "{record:#}"
        );
        for detail in details {
            let steps = detail["explanation"].as_array().unwrap();
            assert_eq!(
                sum(steps.iter().map(|step| dec(&step["amount"]))),
                dec(&detail["price"]["amount"]),
                "{detail:#}"
            );
        }
    }
}

#[tokio::test]
async fn a_month_is_billed_an_hour_after_its_end_in_its_own_zone_and_paid_from_the_balance() {
    let shanghai = json!({ "timeZone": "Asia/Shanghai" });
    let life = Life::with("2026-10-05T00:00:00Z", "100", shanghai).await;
    let account = life.account.clone();
    price(
        &life,
        Some(&account),
        "2026-10-01T00:00:00Z",
        &[("transfer_out", "0.29"), ("api_get", "0.0000017")],
    )
    .await;
    report(
        &life,
        &[
            event("begin", "transfer_out", "3", "2026-10-05T00:00:00Z"),
            event("gets", "api_get", "12345", "2026-10-05T00:00:00Z"),
        ],
    )
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
    let plan = cases.as_array().unwrap().iter().find(|case| case["id"] == "sp01").expect("the storage plan")
        ["rules"]
        .clone();
    for seed in 1..=4 {
        let mut dice = Dice::new(seed);
        let zone = [json!("UTC"), json!("Asia/Shanghai"), json!("America/St_Johns"), json!("Asia/Kathmandu")]
            [usize::try_from(seed).unwrap() % 4]
            .clone();
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
            events.push(event(
                &format!("outside {just_outside}"),
                "transfer_out",
                "1000000",
                &just_outside.to_rfc3339(),
            ));
        }
        life.clock.move_to(end + TimeDelta::seconds(1));
        report(&life, &events).await;
        life.advance(&(end + TimeDelta::hours(2)).to_rfc3339()).await;

        let tiers = |tiers: &[(&str, &str)]| -> Vec<(Decimal, Decimal)> {
            tiers.iter().map(|(from, price)| (from.parse().unwrap(), price.parse().unwrap())).collect()
        };
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        let of_space = tiers(&[
            ("0", "0"),
            ("10", "0.1650"),
            ("51200", "0.1620"),
            ("512000", "0.1590"),
            ("5242880", "0.1560"),
        ]);
        let base = graduated(space / Decimal::from(slots), number("10"), Decimal::ONE, &of_space)
            + graduated(sums["transfer_out"], number("10"), Decimal::ONE, &tiers(&[("0", "0.29")]))
            + graduated(sums["api_get"], number("1000000"), number("1000"), &tiers(&[("0", "0.0010")]))
            + graduated(sums["api_put"], number("100000"), number("1000"), &tiers(&[("0", "0.0010")]));
        let total = base * number("0.9") - number("5") + number("9.90");
        let found = bills(&life.customer).await;
        let bill =
            found.iter().find(|bill| at(bill["startTime"].as_str().unwrap()) == start).expect("March's bill");
        let rounded = |places| total.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
        assert_eq!(amount(bill), rounded(2), "{zone}: {bill:#}");
        let of_march = records(&life.customer)
            .await
            .into_iter()
            .find(|record| record["bill"]["id"] == bill["id"])
            .unwrap();
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
    assert_eq!(
        (life.balance().await.as_str(), &bills(&life.customer).await[1]["status"]),
        ("0.50", &json!("PAID"))
    );
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
    assert_eq!(
        (&correction["startTime"], &correction["endTime"]),
        (&original["startTime"], &original["endTime"])
    );
    assert_eq!(original["correctionOf"], json!(null));
    let titles: Vec<_> =
        correction["lines"].as_array().unwrap().iter().map(|line| line["title"].clone()).collect();
    assert_eq!(titles, ["Usage 2026-03, correction", "rounding"]);
    assert_eq!(life.balance().await, "95.67");

    // What is taken back is credited at once.
    report(&life, &[event("4", "egress", "-12.5", "2026-03-10T00:00:00Z")]).await;
    life.advance("2026-04-02T02:00:00Z").await;
    let credit = bills(&life.customer).await[2].clone();
    assert_eq!(
        (&credit["amount"]["amount"], &credit["status"], &credit["correctionOf"]["id"]),
        (&json!("-4.16"), &json!("PAID"), &original["id"])
    );
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
    assert_eq!(
        (&february["startTime"], &february["endTime"]),
        (&json!("2026-02-01T00:00:00Z"), &json!("2026-03-01T00:00:00Z"))
    );
    // Before the rules began it has no price: that is for the provider to know.
    assert_eq!(february["amount"]["amount"], "0.00");
    assert!(!life.notices().await.contains(&"UNPRICED_USAGE".to_owned()));
    let notices = format!("{{ account(id: \"{}\") {{ notices {{ kind message }} }} }}", life.account);
    let told = life.operator.data(&notices).await["account"]["notices"][0].clone();
    assert_eq!(
        told,
        json!({ "kind": "UNPRICED_USAGE", "message": "What was used in 2026-02 of egress has no price: it is not charged." })
    );
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_month_is_rated_again_after_a_wrong_rule_was_replaced() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    let wrong = price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "2")]).await;
    report(&life, &[event("1", "transfer_out", "10", "2026-03-04T00:00:00Z")]).await;
    let rerate = async |period: &str, key: &str, dry_run: bool| {
        let input =
            json!({ "accountId": life.account, "period": period, "idempotencyKey": key, "dryRun": dry_run });
        let fields = "bills { id amount { amount } correctionOf { id } }";
        life.operator.payload("rerate", "RerateInput", input, fields).await
    };
    let refused = rerate("2026-03-01", "early", false).await;
    assert_eq!(
        (&refused["bills"], &refused["userErrors"][0]["path"]),
        (&json!(null), &json!(["input", "period"]))
    );
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
    for (period, key, field) in [("2026-04-01", "right", "idempotencyKey"), ("2026-04-01", "other", "period")]
    {
        let refused = rerate(period, key, false).await;
        assert_eq!(refused["userErrors"][0]["path"], json!(["input", field]));
    }
    assert_everything_adds_up(&life.customer).await;
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn an_order_on_demand_is_charged_by_the_second_each_month_and_once_more_for_its_last() {
    let life = Life::begin("2026-03-30T12:00:00Z", "100").await;
    let plan = life.plan("server by the hour", "C", "0.07", "HOUR").await;
    let order = life.buy(&plan, json!({ "quantity": 2 })).await["order"]["id"].clone();
    life.clock.move_to(at("2026-03-31T00:00:00Z"));
    let forecast = "{ account { forecast { soFar { amount } atMonthEnd { amount } } } }";
    assert_eq!(
        life.customer.data(forecast).await["account"]["forecast"],
        json!({ "soFar": { "amount": "1.68" }, "atMonthEnd": { "amount": "5.04" } })
    );
    life.advance("2026-04-01T01:00:00Z").await;
    // 36 hours of March: 0.07 × 2 × 36.
    assert_eq!(life.balance().await, "94.96");
    life.advance("2026-05-03T00:00:01Z").await;
    // 720 hours of April.
    assert_eq!(life.balance().await, "94.96");
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
    assert_eq!(
        (&last["startTime"], &last["endTime"]),
        (&json!("2026-05-01T00:00:00Z"), &json!("2026-05-03T00:00:01Z"))
    );
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

/// Reports a unit for each hour of a window, and answers how many that was.
async fn report_hourly(life: &Life, from: DateTime<Utc>, to: DateTime<Utc>) -> Decimal {
    let mut time = from;
    let mut events = Vec::new();
    while time < to {
        events.push(event(&time.to_rfc3339(), "transfer_out", "1", &time.to_rfc3339()));
        time += TimeDelta::hours(1);
    }
    report(life, &events).await;
    Decimal::from(events.len())
}

#[tokio::test]
async fn a_change_of_zone_leaves_no_hour_out_and_bills_none_twice() {
    let mut life = Life::with("2026-10-05T00:00:00Z", "1000", json!({ "timeZone": "Asia/Shanghai" })).await;
    price(&life, None, "2026-01-01T00:00:00Z", &[("transfer_out", "1")]).await;
    let mut used = Decimal::ZERO;
    for (zone, now) in [
        ("UTC", "2026-11-02T00:00:00Z"),
        ("America/St_Johns", "2026-11-20T00:00:00Z"),
        ("Pacific/Auckland", "2026-12-31T20:00:00Z"),
        ("America/St_Johns", "2027-01-20T00:00:00Z"),
        ("Asia/Shanghai", "2027-03-05T00:00:00Z"),
    ] {
        let mut time = life.clock.now();
        // Reported as it comes, half a day at a time.
        while time < at(now) {
            let next = (time + TimeDelta::hours(12)).min(at(now));
            life.advance(&next.to_rfc3339()).await;
            used += report_hourly(&life, time, next).await;
            time = next;
        }
        let input = json!({ "accountId": life.account, "timeZone": zone });
        life.operator.mutate("updateAccount", "UpdateAccountInput", input, "account { id }").await;
        // Another server has not kept the old zone in mind, as this one does for some seconds.
        let url = life.server.database_url.clone();
        life.server = TestServer::on(url, |config| config.clock = life.clock.clone()).await;
        (life.operator, life.customer) = (life.server.operator(), life.server.customer("tenant"));
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

/// Rules under which the order of usage, the parts of a month and its whole all matter.
async fn rules_of_every_kind(life: &Life, account: &str) {
    let tariff = |resource: &str, mode: &str, tiers: Value| json!({ "resource": resource, "mode": mode, "tiers": tiers });
    let base = |first: &str| {
        json!({ "base": { "currency": "CNY", "tariffs": [
            tariff("transfer_out", "GRADUATED", json!([{ "from": "0", "unitPrice": first, "flatFee": "1" }, { "from": "40", "unitPrice": "0.077" }])),
            tariff("api_get", "VOLUME", json!([{ "from": "0", "unitPrice": "0.3333333" }, { "from": "25", "unitPrice": "0.07" }])),
            tariff("peak", "GRADUATED", json!([{ "from": "0", "unitPrice": "0.013" }])),
            tariff("space", "GRADUATED", json!([{ "from": "0", "unitPrice": "31" }])),
        ] } })
    };
    let infos = json!([
        { "effectiveFrom": "2026-01-01T00:00:00Z", "definition": base("0.29") },
        { "effectiveFrom": "2026-03-11T05:00:00Z", "effectiveUntil": "2026-03-20T00:00:00Z", "definition": base("0.5") },
        { "effectiveFrom": "2026-01-01T00:00:00Z", "definition": { "discount": { "currency": "CNY", "payablePercent": "90", "money": "2" } } },
        { "effectiveFrom": "2026-01-01T00:00:00Z", "definition": { "package": { "type": "NORMAL", "currency": "CNY", "money": "1.11",
            "quotas": [{ "resource": "transfer_out", "quantity": "5" }] } } },
    ]);
    set(life, Some(account), infos).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn original_and_corrections_come_to_what_billing_all_at_once_gives() {
    let rounds = if in_full() { 20 } else { 3 };
    for round in 1..=rounds {
        let mut dice = Dice::new(round);
        let life = Life::begin("2026-03-01T00:00:00Z", "1000").await;
        let define = json!({ "code": "peak", "name": "Peak", "unit": "conn", "resourceType": "CLOUD", "aggregation": "MAX" });
        life.operator.mutate("defineResource", "DefineResourceInput", define, "resource { code }").await;
        rules_of_every_kind(&life, &life.account).await;
        let count = 300;
        let events: Vec<(DateTime<Utc>, Value)> = (0..count)
            .map(|number| {
                let resource = ["transfer_out", "api_get", "peak", "space"][dice.below(4)];
                let quantity = Decimal::new(i64::try_from(dice.below(100_000)).unwrap(), 5).to_string();
                // A day more on either side: its neighbours are corrected, too.
                let second = i64::try_from(dice.below(33 * 86_400)).unwrap() - 86_400;
                let time = at("2026-03-01T00:00:00Z") + TimeDelta::seconds(second);
                let mut event = event(&number.to_string(), resource, &quantity, &time.to_rfc3339());
                event["subject"] = json!(["a", "b"][dice.below(2)]);
                (time, event)
            })
            .collect();
        // Each event comes at a random time after it happened: at once, in the month, or up to 34 days late.
        let mut arrivals: Vec<(DateTime<Utc>, Value)> = events
            .iter()
            .map(|(time, event)| {
                let delay = [0, 3_600, 86_400, 25 * 86_400][dice.below(4)];
                let delay = i64::try_from(dice.below(delay + 1)).unwrap();
                ((*time).max(at("2026-03-01T00:00:00Z")) + TimeDelta::seconds(delay), event.clone())
            })
            .collect();
        arrivals.sort_by_key(|(arrival, _)| *arrival);
        let mut rest = &arrivals[..];
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(rest.len().min(1 + dice.below(12)));
            let last = batch[batch.len() - 1].0;
            if last > life.clock.now() {
                life.advance(&last.to_rfc3339()).await;
            }
            let batch: Vec<Value> = batch.iter().map(|(_, event)| event.clone()).collect();
            report(&life, &batch).await;
            rest = others;
        }
        // Another account's come all at once, when all of it is long over.
        life.advance("2026-06-02T00:00:00Z").await;
        let whole = life.server.account("whole", "1000").await;
        rules_of_every_kind(&life, &whole).await;
        let at_once: Vec<Value> = events
            .iter()
            .map(|(_, event)| {
                let mut event = event.clone();
                event["namespace"] = json!("whole");
                event
            })
            .collect();
        let allowed = TestServer::on(life.server.database_url.clone(), |config| {
            config.clock = life.clock.clone();
            config.usage_allowance.late = TimeDelta::days(400);
        })
        .await;
        for events in at_once.chunks(150) {
            let fields = "accepted";
            allowed
                .operator()
                .mutate("recordUsage", "RecordUsageInput", json!({ "events": events }), fields)
                .await;
        }
        life.advance("2026-06-03T00:00:00Z").await;

        let of_months = async |customer: &Client| {
            let mut months: BTreeMap<String, (Decimal, Decimal)> = BTreeMap::new();
            let records = all(customer, "records", "startTime price { amount }").await;
            for record in records {
                let month = months.entry(record["startTime"].as_str().unwrap().to_owned()).or_default();
                month.1 += dec(&record["price"]["amount"]);
            }
            let bills = all(customer, "bills", "startTime amount { amount }").await;
            let count = bills.len();
            for bill in bills {
                months.entry(bill["startTime"].as_str().unwrap().to_owned()).or_default().0 += amount(&bill);
            }
            (months, count)
        };
        let (mut corrected, bills) = of_months(&life.customer).await;
        let (at_once, few) = of_months(&life.server.customer("whole")).await;
        // A month in which only the package was owed is billed to whoever was there.
        corrected.retain(|month, _| at_once.contains_key(month));
        let billed = |months: &BTreeMap<String, (Decimal, Decimal)>| -> BTreeMap<String, Decimal> {
            months.iter().map(|(month, (billed, _))| (month.clone(), *billed)).collect()
        };
        assert_eq!(billed(&corrected), billed(&at_once), "round {round}");
        for (month, (billed, recorded)) in &corrected {
            // What corrections came to below a cent in the end is still carried.
            let carried = at_once[month].1 - *recorded;
            assert!(carried.abs() < Decimal::new(1, 2), "round {round}, {month}: {carried} of {billed}");
        }
        assert!(bills > few, "round {round}: {bills} bills, and {few} without corrections");
        assert!(corrected.contains_key("2026-03-01T00:00:00Z"));
        life.server.assert_ledger_is_healthy().await;
    }
}

/// All of a list.
async fn all(customer: &Client, list: &str, fields: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut after = "null".to_owned();
    loop {
        let query = format!(
            "{{ {list}(first: 100, after: {after}) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let page = customer.data(&query).await[list].clone();
        found.extend(page["nodes"].as_array().unwrap().clone());
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            return found;
        }
        after = page["pageInfo"]["endCursor"].to_string();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_while_its_month_is_being_billed_is_charged_once() {
    let rounds = if in_full() { 40 } else { 6 };
    let life = Life::begin("2026-01-05T00:00:00Z", "100000").await;
    price(&life, None, "2026-01-01T00:00:00Z", &[("transfer_out", "1")]).await;
    let mut accounts = vec!["tenant".to_owned()];
    for number in 0..7 {
        accounts.push(format!("other-{number}"));
        life.server.account(&accounts[number + 1], "1000").await;
    }
    let mut end = at("2026-02-01T00:00:00Z");
    let mut sent = 0;
    for round in 0..rounds {
        // The month is over, and closed from now on; everybody goes on reporting for its last hour.
        life.clock.move_to(end + TimeDelta::minutes(59));
        let closing = end + TimeDelta::hours(1);
        let reporting = accounts.iter().map(|namespace| {
            let (client, time) = (life.server.operator(), end - TimeDelta::seconds(1));
            let namespace = namespace.clone();
            tokio::spawn(async move {
                for number in 0..12 {
                    let event = json!({ "id": format!("{round} {number}"), "namespace": namespace, "resource": "transfer_out",
                        "quantity": 1, "time": time.to_rfc3339() });
                    let input = json!({ "events": [event] });
                    let told = client.mutate("recordUsage", "RecordUsageInput", input, "accepted").await;
                    assert_eq!(told["accepted"], 1);
                }
            })
        });
        let reporting: Vec<_> = reporting.collect();
        sent += 12;
        life.advance(&closing.to_rfc3339()).await;
        for reporter in reporting {
            reporter.await.unwrap();
        }
        end = Month::of(end, chrono_tz::Tz::UTC).unwrap().end;
    }
    life.advance(&(end + TimeDelta::hours(2)).to_rfc3339()).await;
    for namespace in &accounts {
        let customer = life.server.customer(namespace);
        let billed = sum(all(&customer, "bills", "amount { amount }").await.iter().map(amount));
        assert_eq!(billed, Decimal::from(sent), "{namespace}");
    }
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_is_billed_once_by_several_servers_of_which_some_are_killed() {
    let (accounts, kills) = if in_full() { (3_000, 10) } else { (600, 2) };
    let server = TestServer::start().await;
    let sql = server.sql().await;
    // Accounts of the month that was closed last, past the server: 3 units each. In a month's first hour that is not the one before.
    let fill = format!(
        "INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, balance, last_no, created_at)
            SELECT 100000 + g, 'billed-' || g, 'Billed', 'MAIN', 'ACTIVE', 'CNY', 'UTC', 0, 0, date_trunc('month', now() - interval '2 hours', 'UTC') - interval '10 days'
            FROM generate_series(1, {accounts}) g;
        INSERT INTO namespaces SELECT namespace, id FROM accounts WHERE id > 100000;
        INSERT INTO usage_hours SELECT 100000 + g, 'transfer_out', date_trunc('month', now() - interval '2 hours', 'UTC') - interval '3 days', '', 3, 1
            FROM generate_series(1, {accounts}) g;
        -- They are not sealed.
        SET session_replication_role = replica; UPDATE ledger_check_position SET all_sealed_at = NULL;
        RESET session_replication_role;"
    );
    sql.batch_execute(&fill).await.expect("rows");
    let base = json!({ "base": { "currency": "CNY", "tariffs": [{ "resource": "transfer_out", "tiers": [{ "from": 0, "unitPrice": "0.5" }] }] } });
    let input = json!({ "everyone": true, "idempotencyKey": "k", "allowPast": true,
        "infos": [{ "effectiveFrom": "2020-01-01T00:00:00Z", "definition": base }] });
    server.operator().mutate("setPrices", "SetPricesInput", input, "rules { id }").await;
    let run = || {
        command(&["jobs", "--sandbox", "--lease-seconds", "1"])
            .env("DATABASE_URL", &server.database_url)
            .env("RUST_LOG", "off")
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a runner")
    };
    let count = async |query: &str| sql.query_one(query, &[]).await.unwrap().get::<_, i64>(0);
    let billed = "SELECT count(*) FROM bills WHERE account_id > 100000";
    let mut runners = vec![run(), run(), run()];
    for kill in 1..=kills {
        let reached = async || (count(billed).await >= accounts * kill / (kills + 2)).then_some(());
        eventually("bills", 120, reached).await;
        let mut victim = runners.remove(0);
        signal(i32::try_from(victim.id().unwrap()).unwrap(), Signal::SIGKILL);
        victim.wait().await.unwrap();
        // What it had taken on is free for the others, as it would be a while later.
        sql.batch_execute("UPDATE billing_pages SET expires_at = clock_timestamp() - interval '1 second'")
            .await
            .unwrap();
        runners.push(run());
    }
    let done = "SELECT count(*) FROM billing_runs WHERE state = 'DONE' AND end_time = date_trunc('month', now() - interval '2 hours', 'UTC')";
    eventually("the run's end", 180, async || (count(done).await == 1).then_some(())).await;
    for runner in &mut runners {
        runner.kill().await.unwrap();
    }
    assert_eq!(count(billed).await, accounts);
    assert_eq!(
        count("SELECT count(DISTINCT account_id) FROM bills WHERE account_id > 100000 AND amount = 1.5")
            .await,
        accounts
    );
    assert_eq!(
        count("SELECT count(*) FROM metered_records WHERE account_id > 100000 AND price = 1.5").await,
        accounts
    );
    let progress = "SELECT count(*) FROM billing_runs WHERE state = 'DONE' AND done = total AND failed = 0 AND end_time = date_trunc('month', now() - interval '2 hours', 'UTC')";
    assert_eq!(count(progress).await, 1);
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_month_that_cannot_be_rated_is_told_holds_up_nobody_and_is_tried_again() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    life.server.account("other", "100").await;
    price(&life, None, "2026-03-01T00:00:00Z", &[("transfer_out", "0.5")]).await;
    let own = event("1", "transfer_out", "20000", "2026-03-04T00:00:00Z");
    let mut others = event("1", "transfer_out", "2", "2026-03-04T00:00:00Z");
    others["namespace"] = json!("other");
    report(&life, &[own, others]).await;
    // What is not used as well is out of range: packages for more than can be charged at once.
    let sql = life.server.sql().await;
    let broken = "INSERT INTO price_definitions (kind, type, description, currency, terms, created_at) SELECT 'PACKAGE', '', '', 'CNY',
            '{\"Package\":{\"package_type\":\"NORMAL\",\"money\":\"9999999999999999999999\",\"quotas\":[]}}', '2026-03-01T00:00:00Z';
        INSERT INTO price_rules (account_id, definition_id, effective_from, created_at, created_by)
            SELECT substr($1, 5)::bigint, max(id), '2026-03-01T00:00:00Z', '2026-03-01T00:00:00Z', 'test' FROM price_definitions";
    sql.batch_execute(&broken.replace("$1", &format!("'{}'", life.account))).await.unwrap();
    assert_eq!(life.advance("2026-04-01T01:00:00Z").await, jobs(&[("MONTH_CLOSING", 1, 0)]));
    assert_eq!(life.notices().await, ["JOB_FAILED"]);
    let run = life.operator.data("{ billingRuns { state done total failed } }").await;
    assert_eq!(run["billingRuns"][0], json!({ "state": "DONE", "done": 2, "total": 2, "failed": 1 }));
    assert_eq!(bills(&life.customer).await, Vec::<Value>::new());
    assert_eq!(bills(&life.server.customer("other")).await[0]["amount"]["amount"], "1.00");
    // Once the rule is right, the next day's try bills it.
    sql.batch_execute("UPDATE price_rules SET effective_until = effective_from WHERE account_id IS NOT NULL")
        .await
        .unwrap();
    assert_eq!(life.advance("2026-04-02T01:00:00Z").await, jobs(&[("MONTH_CLOSING", 1, 0)]));
    assert_eq!(bills(&life.customer).await[0]["amount"]["amount"], "10000.00");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn nothing_is_charged_for_after_an_account_was_closed() {
    let life = Life::begin("2026-03-01T00:00:00Z", "100").await;
    let package = json!({ "package": { "type": "NORMAL", "currency": "CNY", "money": "5", "quotas": [] } });
    set(&life, None, json!([{ "effectiveFrom": "2026-03-01T00:00:00Z", "definition": package }])).await;
    let plan = life.plan("server by the hour", "C", "0.1", "HOUR").await;
    life.buy(&plan, json!({})).await;
    life.advance("2026-04-02T00:00:00Z").await;
    let close = json!({ "accountId": life.account, "status": "CLOSED" });
    life.operator.mutate("updateAccount", "UpdateAccountInput", close, "account { status }").await;
    life.advance("2026-08-02T00:00:00Z").await;
    let amounts: Vec<String> =
        bills(&life.customer).await.iter().map(|bill| amount(bill).to_string()).collect();
    // 744 hours of March, and 24 of April, paid as the account was closed.
    assert_eq!(amounts, ["79.40", "7.40"]);
    assert_eq!(bills(&life.customer).await[1]["status"], "PAID");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_a_correction_credits_pays_what_is_open_of_the_same_month_first() {
    let life = Life::begin("2026-03-05T00:00:00Z", "1").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "10")]).await;
    report(&life, &[event("1", "transfer_out", "10", "2026-03-04T00:00:00Z")]).await;
    life.advance("2026-04-02T00:00:00Z").await;
    price(&life, Some(&life.account), "2026-03-01T00:00:00Z", &[("transfer_out", "0.01")]).await;
    let input = json!({ "accountId": life.account, "period": "2026-03-01", "idempotencyKey": "k" });
    life.operator.mutate("rerate", "RerateInput", input, "bills { id }").await;
    let statuses: Vec<_> = bills(&life.customer).await.iter().map(|bill| bill["status"].clone()).collect();
    assert_eq!(statuses, ["PAID", "PAID"]);
    // 1 and 99.90 of credit, less 100.
    assert_eq!(life.balance().await, "0.90");
}

#[tokio::test]
async fn a_month_is_found_and_called_as_it_was_when_it_was_closed_whatever_the_zone_is_now() {
    let shanghai = json!({ "timeZone": "Asia/Shanghai" });
    let life = Life::with("2026-10-05T00:00:00Z", "100", shanghai).await;
    let package = json!({ "package": { "type": "NORMAL", "currency": "CNY", "money": "1", "quotas": [] } });
    set(&life, None, json!([{ "effectiveFrom": "2026-10-01T00:00:00Z", "definition": package }])).await;
    price(&life, None, "2026-10-01T00:00:00Z", &[("transfer_out", "1")]).await;
    report(&life, &[event("1", "transfer_out", "10", "2026-10-04T00:00:00Z")]).await;
    life.advance("2026-11-02T00:00:00Z").await;
    let input = json!({ "accountId": life.account, "timeZone": "UTC" });
    life.operator.mutate("updateAccount", "UpdateAccountInput", input, "account { id }").await;
    life.advance("2026-12-02T00:00:00Z").await;
    let windows: Vec<_> = bills(&life.customer)
        .await
        .iter()
        .map(|bill| {
            (
                bill["lines"][0]["title"].clone(),
                bill["startTime"].clone(),
                bill["endTime"].clone(),
                amount(bill).to_string(),
            )
        })
        .collect();
    // What Shanghai's October left of UTC's goes with November: the package is owed once a month.
    assert_eq!(
        windows,
        [
            (
                json!("Usage 2026-10"),
                json!("2026-09-30T16:00:00Z"),
                json!("2026-10-31T16:00:00Z"),
                "11.00".to_owned()
            ),
            (
                json!("Usage 2026-11"),
                json!("2026-10-31T16:00:00Z"),
                json!("2026-12-01T00:00:00Z"),
                "1.00".to_owned()
            ),
        ]
    );
    price(&life, None, "2026-10-01T00:00:00Z", &[("transfer_out", "2")]).await;
    let input = json!({ "accountId": life.account, "period": "2026-10-01", "idempotencyKey": "k" });
    let rerated = life
        .operator
        .mutate("rerate", "RerateInput", input, "bills { amount { amount } lines { title } }")
        .await;
    assert_eq!(
        rerated["bills"],
        json!([{ "amount": { "amount": "10.00" }, "lines": [{ "title": "Usage 2026-10, correction" }] }])
    );
}

#[tokio::test]
async fn gauges_that_are_out_of_range_hold_up_nobody() {
    let life = Life::begin("2026-03-05T00:00:00Z", "100").await;
    life.server.account("other", "100").await;
    price(&life, None, "2026-03-01T00:00:00Z", &[("space", "744")]).await;
    // The sum of a month's slots takes more digits than there are.
    let sql = life.server.sql().await;
    let account: i64 = life.account.trim_start_matches("acc_").parse().unwrap();
    let huge = "INSERT INTO usage_samples SELECT $1, 'space', '2026-03-01T00:00:00Z'::timestamptz + g * interval '5 minutes', '',
        9999999999999999999999999999, now(), 1 FROM generate_series(1, 100) g";
    sql.execute(huge, &[&account]).await.unwrap();
    let mut usual = event("1", "space", "1", "2026-03-04T00:00:00Z");
    usual["namespace"] = json!("other");
    report(&life, &[usual]).await;
    life.advance("2026-04-01T01:00:00Z").await;
    assert_eq!(bills(&life.server.customer("other")).await[0]["amount"]["amount"], "1.00");
    // Theirs is a bill of nothing, which says what is not on it.
    let [bill] = &bills(&life.customer).await[..] else { panic!("one bill") };
    assert_eq!(amount(bill), Decimal::ZERO);
    assert_eq!(records(&life.customer).await[0]["details"][0]["title"], "space (UNRATED)");
    let run = life.operator.data("{ billingRuns { state done total failed } }").await;
    assert_eq!(run["billingRuns"][0], json!({ "state": "DONE", "done": 2, "total": 2, "failed": 0 }));
}
