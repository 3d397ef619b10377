//! Burst: what is used beyond subscriptions is charged every 5 minutes, at levels that follow the cloud's use; once, to the
//! last digit, also when cycles are missed or cannot be charged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use abacus::clock::Clock;
use abacus::domain::burst::{Bursting, Cycle, CycleCharge, charge_account};
use abacus::domain::capacity::{ResourcePrice, by_currency};
use abacus::domain::command::Command;
use abacus::domain::decide::{Action, ChargeBurst};
use abacus::domain::ids::{AccountId, ResourcePriceId};
use abacus::domain::money::{Currencies, Currency};
use abacus::engine::Priority;
use abacus::jobs::burst::burst_pass;
use abacus::jobs::{JobContext, LeaseGuard};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::TestServer;
use crate::support::life::{Life, at};
use crate::support::load::Dice;
use crate::support::process::{eventually, job_process, signal};
use crate::support::sequences::in_full;
use crate::support::server::another_server;

/// Bytes.
const GB: i64 = 1 << 30;

fn dec(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value} is no decimal")).parse().unwrap()
}

/// A price of a GB·month, or of a GHz·hour.
fn price_of(resource: &str, level: i64, price: &str) -> Value {
    let (unit, multiplier) =
        if resource == "cpu" { ("GHz/hour", "3600000") } else { ("GB/month", "2783138807808000") };
    json!({ "resource": resource, "currency": "CNY", "level": level, "price": price, "unit": unit, "multiplier": multiplier })
}

async fn set_prices(server: &TestServer, prices: &[Value]) {
    let input = json!({ "prices": prices });
    server.operator().mutate("setResourcePrices", "SetResourcePricesInput", input, "prices { id }").await;
}

/// Declares a capacity, with a curve of utilisations and levels.
async fn declare(server: &TestServer, resource: &str, capacity: i64, curve: &[(&str, i64)]) {
    let step = |(from, level): &(&str, i64)| json!({ "fromUtilisation": from, "level": level });
    let curve: Vec<Value> = curve.iter().map(step).collect();
    let input = json!({ "resource": resource, "capacity": capacity.to_string(), "curve": curve });
    let made = server
        .operator()
        .mutate("setBurstCapacity", "SetBurstCapacityInput", input, "resource { code }")
        .await;
    assert_eq!(made["resource"]["code"], resource);
}

async fn report(server: &TestServer, namespace: &str, resource: &str, quantity: i64, time: &str) {
    let event = json!({ "id": uuid::Uuid::new_v4().to_string(), "namespace": namespace, "resource": resource,
        "quantity": quantity.to_string(), "time": time, "subject": "server-1" });
    let input = json!({ "events": [event] });
    let fields = "accepted results { outcome message }";
    let recorded = server.operator().mutate("recordUsage", "RecordUsageInput", input, fields).await;
    assert_eq!(recorded["accepted"], 1, "{recorded}");
}

/// The burst entries of an account, oldest first.
async fn entries(life: &Life) -> Vec<Value> {
    let query = "{ ledger(first: 100) { nodes { amount initial end reason billingCycle interval humanInterval pollTime time
        resource { code } resourceAmount transaction { kind description direction amount { amount } balanceAfter } } } }";
    let mut entries = life.customer.data(query).await["ledger"]["nodes"].as_array().unwrap().clone();
    entries.retain(|entry| !entry["billingCycle"].is_null());
    entries.reverse();
    entries
}

/// The level of a resource now, and the next one.
async fn levels(life: &Life, resource: &str) -> (i64, i64) {
    let query = "{ pricing { current { resource { code } level } next { resource { code } level } nextAt } }";
    let pricing = life.customer.data(query).await["pricing"].clone();
    let level = |list: &Value| {
        let of = list.as_array().unwrap().iter().find(|one| one["resource"]["code"] == resource);
        of.map_or(-1, |one| one["level"].as_i64().unwrap())
    };
    (level(&pricing["current"]), level(&pricing["next"]))
}

#[tokio::test]
async fn what_is_used_beyond_subscriptions_is_charged_every_five_minutes_as_the_source_writes_it() {
    let life = Life::begin("2026-03-01T10:02:00Z", "100").await;
    set_prices(&life.server, &[price_of("dssd", 0, "0.14"), price_of("dssd", 1, "0.18")]).await;
    declare(&life.server, "dssd", 1_000 * GB, &[("0", 1)]).await;
    report(&life.server, "tenant", "dssd", 9 * GB / 2, "2026-03-01T10:02:00Z").await;
    life.advance("2026-03-01T10:04:59Z").await;
    assert_eq!(entries(&life).await, Vec::<Value>::new(), "the cycle is not over");

    life.advance("2026-03-01T10:10:00Z").await;
    let charged = entries(&life).await;
    // 0.18 × 4.5 GB of 300 seconds of a month of 30 days is 0.00009375; of the 180 since the capacity was declared 0.00005625.
    let first = json!({ "amount": "0.00005625", "initial": "100.00", "end": "99.99994375",
        "reason": "Burst: 4.50 GB of dssd for 3 minutes at 2026-03-01 10:05", "billingCycle": 5907864, "interval": 180,
        "humanInterval": "3 minutes", "pollTime": "2026-03-01T10:05:00Z", "time": "2026-03-01T10:05:00Z",
        "resource": { "code": "dssd" }, "resourceAmount": "4831838208",
        "transaction": { "kind": "BURST", "description": "dssd", "direction": "DEBIT", "amount": { "amount": "0.00005625" },
            "balanceAfter": "99.99994375" } });
    assert_eq!(charged[0], first);
    let second = &charged[1];
    assert_eq!((&second["amount"], &second["interval"]), (&json!("0.00009375"), &json!(300)));
    assert_eq!(second["reason"], "Burst: 4.50 GB of dssd for 5 minutes at 2026-03-01 10:10");
    assert_eq!((charged.len(), &second["billingCycle"]), (2, &json!(5_907_865)));

    // A gauge holds its value for an hour, and no longer.
    life.advance("2026-03-01T13:00:00Z").await;
    let charged = entries(&life).await;
    assert_eq!(charged.len(), 12);
    assert_eq!(charged[11]["reason"], "Burst: 4.50 GB of dssd for 5 minutes at 2026-03-01 11:00");
    let of_cycle = "{ ledger(filter: { billingCycle: 5907865 }) { totalCount nodes { interval } }
        late: ledger(filter: { startTime: \"2026-03-01T10:58:00Z\" }) { totalCount } }";
    let found = life.customer.data(of_cycle).await;
    assert_eq!((&found["ledger"]["totalCount"], &found["late"]["totalCount"]), (&json!(1), &json!(1)));
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn levels_follow_the_curve_and_are_known_five_minutes_before_they_hold() {
    let life = Life::begin("2026-03-01T10:00:00Z", "100").await;
    let prices: Vec<Value> =
        [("1", 1), ("2", 2), ("5", 3)].iter().map(|(price, level)| price_of("cpu", *level, price)).collect();
    set_prices(&life.server, &prices).await;
    declare(&life.server, "cpu", 10_000, &[("0", 1), ("0.5", 2), ("0.9", 3)]).await;
    assert_eq!(levels(&life, "cpu").await, (1, 1), "as of no use at all");
    assert_eq!(levels(&life, "mem").await, (-1, -1), "no capacity is declared");

    report(&life.server, "tenant", "cpu", 5_000, "2026-03-01T10:00:00Z").await;
    life.advance("2026-03-01T10:04:59Z").await;
    assert_eq!(levels(&life, "cpu").await, (1, 1));
    life.advance("2026-03-01T10:05:00Z").await;
    assert_eq!(levels(&life, "cpu").await, (1, 2), "published");
    report(&life.server, "tenant", "cpu", 9_000, "2026-03-01T10:06:00Z").await;
    life.advance("2026-03-01T10:10:00Z").await;
    assert_eq!(levels(&life, "cpu").await, (2, 3));
    report(&life.server, "tenant", "cpu", 4_999, "2026-03-01T10:14:59Z").await;
    life.advance("2026-03-01T10:15:00Z").await;
    assert_eq!(levels(&life, "cpu").await, (3, 1));
    life.advance("2026-03-01T10:25:00Z").await;
    assert_eq!(levels(&life, "cpu").await, (1, 1));

    // Five minutes of a GHz cost a twelfth of its price by the hour: at the level of each cycle's own time.
    let amounts: Vec<Decimal> = entries(&life).await.iter().map(|entry| dec(&entry["amount"])).collect();
    let expected = ["0.4166666667", "0.75", "0.83316666667", "2.0829166667", "0.4165833333"];
    assert_eq!(amounts.len(), 5);
    for (amount, expected) in amounts.iter().zip(expected) {
        let expected: Decimal = expected.parse().unwrap();
        assert_eq!(*amount, expected.round_dp(10), "{amounts:?}");
    }
    let quoted = life
        .customer
        .data("{ capacityCharge(resource: \"cpu\", amount: 1000, seconds: 3600, currency: \"CNY\") { price { amount } } }")
        .await;
    assert_eq!(quoted["capacityCharge"]["price"]["amount"], "1.00", "at the current level");
}

async fn subscribe(life: &Life, more: Value) -> Value {
    let mut input = json!({ "resource": "dssd", "amount": (4 * GB).to_string(), "months": 1,
        "idempotencyKey": uuid::Uuid::new_v4().to_string() });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let fields = "order { id number name state payWay termMonths deliveredAt expiresAt price { amount } productName resourceType
            subscribed { resource { code } amount } details { products { name type } } schedule { dueAt amount { amount } } }
        bill { status amount { amount } } account { balance { amount } }
        price { price { amount } listPrice { amount } discount { amount } steps { label quantity unitPrice factor divisor amount } }";
    life.customer.payload("subscribe", "SubscribeInput", input, fields).await
}

#[tokio::test]
async fn a_subscription_is_charged_for_its_seconds_less_the_term_discount_and_its_capacity_is_not_burst() {
    let life = Life::begin("2026-01-31T10:00:00Z", "100").await;
    let prices = [price_of("dssd", 0, "14"), price_of("dssd", 1, "18")];
    set_prices(&life.server, &prices).await;
    let discounts = json!({ "discounts": [{ "period": "3 months", "months": 3, "value": "0.03" }] });
    life.operator
        .mutate("setTermDiscounts", "SetTermDiscountsInput", discounts, "discounts { months }")
        .await;
    let still = life.server.contents().await;
    let refused = subscribe(&life, json!({ "months": 3 })).await;
    assert_eq!(refused["userErrors"][0]["code"], "INSUFFICIENT_BALANCE");
    life.server.assert_holds_still(&still).await;
    life.recharge("100").await;
    let still = life.server.contents().await;
    let tried = subscribe(&life, json!({ "months": 3, "dryRun": true })).await;
    // 89 days of 30 at 14 for each of 4 GB are 166.1333…; less 3 %.
    let price = &tried["price"];
    assert_eq!(price["listPrice"]["amount"], "166.13");
    assert_eq!((&price["price"]["amount"], &price["discount"]["amount"]), (&json!("161.15"), &json!("4.98")));
    let steps: Decimal = price["steps"].as_array().unwrap().iter().map(|step| dec(&step["amount"])).sum();
    assert_eq!(steps, dec(&price["price"]["amount"]));
    assert_eq!(
        (&price["steps"][0]["factor"], &price["steps"][0]["quantity"]),
        (&json!("7689600"), &json!("4294967296"))
    );
    life.server.assert_holds_still(&still).await;

    let key = json!({ "months": 3, "autoRenewal": true, "region": "cn-north-1", "idempotencyKey": "once" });
    let made = subscribe(&life, key.clone()).await;
    let order = &made["order"];
    let expected = json!({ "id": order["id"], "number": order["number"], "name": "Distributed SSD", "state": "ACTIVE",
        "payWay": "QUARTER", "termMonths": 3, "deliveredAt": "2026-01-31T10:00:00Z", "expiresAt": "2026-04-30T10:00:00Z",
        "price": { "amount": "161.15" }, "productName": "Distributed SSD", "resourceType": "CLOUD",
        "subscribed": { "resource": { "code": "dssd" }, "amount": "4294967296" },
        "details": [{ "products": [{ "name": "Distributed SSD: 4294967296 GB", "type": "dssd" }] }],
        // The next term ends on 31 July: 92 days.
        "schedule": [{ "dueAt": "2026-04-23T10:00:00Z", "amount": { "amount": "166.58" } }] });
    assert_eq!(*order, expected);
    assert_eq!(
        (&made["bill"]["status"], &made["bill"]["amount"]["amount"]),
        (&json!("PAID"), &json!("161.15"))
    );
    assert_eq!(made["account"]["balance"]["amount"], "38.85");
    let again = subscribe(&life, key).await;
    assert_eq!((&again["order"]["id"], &again["price"]), (&order["id"], &json!(null)));

    // Of 4.5 GB half a GB is burst; 4 GB of a plan more, and nothing is.
    declare(&life.server, "dssd", 1_000 * GB, &[("0", 1)]).await;
    report(&life.server, "tenant", "dssd", 9 * GB / 2, "2026-01-31T10:00:00Z").await;
    life.advance("2026-01-31T10:05:00Z").await;
    let charged = entries(&life).await;
    assert_eq!(charged[0]["reason"], "Burst: 0.50 GB of dssd for 5 minutes at 2026-01-31 10:05");
    let pool = life
        .server
        .plan_from(json!({ "name": "Pool", "price": { "amount": "1", "currency": "CNY" }, "region": null,
            "resources": [{ "resource": "dssd", "amount": GB.to_string() }] }))
        .await;
    let pooled = life.buy(&pool, json!({ "quantity": 2 })).await;
    life.advance("2026-01-31T10:20:00Z").await;
    assert_eq!(entries(&life).await.len(), 1, "the plan includes 2 GB more");
    let cancel = json!({ "orderId": pooled["order"]["id"] });
    life.customer.mutate("cancelOrder", "CancelOrderInput", cancel, "order { state cancelledAt }").await;
    life.advance("2026-01-31T10:25:00Z").await;
    assert_eq!(entries(&life).await.len(), 2);
}

#[tokio::test]
async fn a_subscription_renews_itself_for_the_next_term_at_the_price_of_the_day() {
    let life = Life::begin("2026-01-31T10:00:00Z", "1000").await;
    set_prices(&life.server, &[price_of("dssd", 0, "3")]).await;
    let made = subscribe(&life, json!({ "autoRenewal": true })).await;
    assert_eq!(made["bill"]["amount"]["amount"], "11.20", "28 days of 30");
    set_prices(&life.server, &[price_of("dssd", 0, "6")]).await;
    life.advance("2026-03-24T10:00:00Z").await;
    let orders = life
        .customer
        .data(
            "{ orders { nodes { type state deliveredAt expiresAt termMonths price { amount }
        subscribed { amount } } } }",
        )
        .await;
    let orders: Vec<&Value> = orders["orders"]["nodes"].as_array().unwrap().iter().collect();
    let told = |order: &Value| {
        ["type", "state", "deliveredAt", "expiresAt"].map(|field| order[field].as_str().unwrap().to_owned())
    };
    // 31 March comes back after 28 February.
    assert_eq!(told(orders[0]), ["RENEW", "ACTIVE", "2026-03-31T10:00:00Z", "2026-04-30T10:00:00Z"]);
    assert_eq!(told(orders[1]), ["RENEW", "ACTIVE", "2026-02-28T10:00:00Z", "2026-03-31T10:00:00Z"]);
    assert_eq!(told(orders[2]), ["NEW", "ENDED", "2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z"]);
    let prices: Vec<&Value> = orders.iter().map(|order| &order["price"]["amount"]).collect();
    assert_eq!(prices, [&json!("24.00"), &json!("24.80"), &json!("11.20")], "30, 31 and 28 days");
    assert_eq!(orders[0]["subscribed"]["amount"], (4 * GB).to_string());

    let renew = json!({ "orderId": made["order"]["id"], "periods": 2, "idempotencyKey": "r" });
    let refused = life.customer.payload("renewOrder", "RenewOrderInput", renew, "order { id }").await;
    assert_eq!(refused["userErrors"][0]["code"], "CONFLICT");
    let other = subscribe(&life, json!({})).await;
    let renew = json!({ "orderId": other["order"]["id"], "periods": 2, "idempotencyKey": "r" });
    let refused = life.customer.payload("renewOrder", "RenewOrderInput", renew, "order { id }").await;
    assert_eq!(refused["userErrors"][0]["path"], json!(["input", "periods"]));
    let renew = json!({ "orderId": other["order"]["id"], "idempotencyKey": "r" });
    let renewed =
        life.customer.mutate("renewOrder", "RenewOrderInput", renew, "order { price { amount } }").await;
    assert_eq!(renewed["order"]["price"]["amount"], "24.00");
}

#[tokio::test]
async fn a_subscription_that_cannot_be_is_refused_by_its_field() {
    let life = Life::begin("2026-01-31T10:00:00Z", "1000").await;
    set_prices(&life.server, &[price_of("dssd", 0, "14"), price_of("cpu", 1, "1")]).await;
    let still = life.server.contents().await;
    for (field, value, code) in [
        ("resource", json!("nothing"), "NOT_FOUND"),
        ("resource", json!("cpu"), "NOT_FOUND"),
        ("resource", json!("a b"), "INVALID"),
        ("amount", json!("0"), "INVALID"),
        ("amount", json!("-1"), "INVALID"),
        ("amount", json!("0.0000000001"), "INVALID"),
        ("amount", json!("100000000000001"), "OUT_OF_RANGE"),
        ("months", json!(0), "OUT_OF_RANGE"),
        ("months", json!(121), "OUT_OF_RANGE"),
        ("region", json!(" "), "INVALID"),
        ("idempotencyKey", json!(""), "INVALID"),
    ] {
        let refused = subscribe(&life, json!({ field: value })).await;
        let error = &refused["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["path"]),
            (&json!(code), &json!(["input", field])),
            "{value} {refused}"
        );
    }
    life.server.assert_holds_still(&still).await;
}

/// The notices of an account as operators see them, newest first: kind and message.
async fn told(life: &Life, account: &str) -> Vec<(String, String)> {
    let query = format!("{{ account(id: \"{account}\") {{ notices {{ kind message }} }} }}");
    let data = life.operator.data(&query).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let notice = |notice: &Value| (text(&notice["kind"]), text(&notice["message"]));
    data["account"]["notices"].as_array().unwrap().iter().map(notice).collect()
}

#[tokio::test]
async fn an_account_whose_price_is_missing_is_held_whole_and_made_up_at_its_own_levels_and_gauges() {
    let life = Life::begin("2026-03-01T10:00:00Z", "10000").await;
    let other = life.server.account("other", "100").await;
    // Of dssd there is a price at level 1 alone, and none at 2.
    set_prices(&life.server, &[price_of("cpu", 1, "1.2"), price_of("dssd", 1, "2592")]).await;
    declare(&life.server, "cpu", 1_000_000, &[("0", 1)]).await;
    declare(&life.server, "dssd", 100 * GB, &[("0", 1), ("0.1", 2), ("0.2", 3)]).await;
    report(&life.server, "tenant", "cpu", 1_000, "2026-03-01T10:00:00Z").await;
    report(&life.server, "tenant", "dssd", 10 * GB, "2026-03-01T10:00:00Z").await;
    report(&life.server, "other", "cpu", 2_000, "2026-03-01T10:00:00Z").await;
    life.advance("2026-03-01T10:10:00Z").await;
    assert_eq!(entries(&life).await.len(), 4, "level 2 holds from 10:10 on");
    report(&life.server, "tenant", "cpu", 3_000, "2026-03-01T10:11:00Z").await;
    life.advance("2026-03-01T10:25:00Z").await;
    assert_eq!(entries(&life).await.len(), 4, "no cycle is half charged");
    let notices = told(&life, &life.account).await;
    let message = "Burst could not be charged from cycle 5907866 (2026-03-01 10:10 UTC) on: there is no price of dssd at level 2 in CNY. It is made up.";
    assert_eq!(notices, [("UNPRICED_USAGE".to_owned(), message.to_owned())], "told once");
    assert_eq!(life.notices().await, Vec::<String>::new(), "it is none of the customer's business");
    let others = life.operator.data(&format!("{{ ledger(accountId: \"{other}\") {{ totalCount }} }}")).await;
    assert_eq!(others["ledger"]["totalCount"], 6, "nobody else is held up");

    // By now less is used, and the level is another; what is made up is what was.
    report(&life.server, "tenant", "dssd", GB, "2026-03-01T10:25:00Z").await;
    set_prices(&life.server, &[price_of("dssd", 2, "5184")]).await;
    life.advance("2026-03-01T10:35:00Z").await;
    let made_up = entries(&life).await[4..].to_vec();
    let told: Vec<(i64, &str, &str, &str)> = made_up
        .iter()
        .map(|entry| {
            (
                entry["billingCycle"].as_i64().unwrap() - 5_907_866,
                entry["resource"]["code"].as_str().unwrap(),
                entry["amount"].as_str().unwrap(),
                entry["resourceAmount"].as_str().unwrap(),
            )
        })
        .collect();
    let (gb, tens) = (GB.to_string(), (10 * GB).to_string());
    let expected = [
        (0, "cpu", "0.30", "3000"),
        (0, "dssd", "6.00", tens.as_str()),
        (1, "cpu", "0.30", "3000"),
        (1, "dssd", "6.00", &tens),
        (2, "cpu", "0.30", "3000"),
        (2, "dssd", "6.00", &tens),
        (3, "cpu", "0.30", "3000"),
        (3, "dssd", "0.60", &gb),
        (4, "cpu", "0.30", "3000"),
        (4, "dssd", "0.60", &gb),
    ];
    assert_eq!(told, expected);
    assert!(made_up.iter().all(|entry| entry["interval"] == 300));
    let times: Vec<&Value> = made_up.iter().map(|entry| &entry["pollTime"]).collect();
    assert_eq!((times[0], times[9]), (&json!("2026-03-01T10:15:00Z"), &json!("2026-03-01T10:35:00Z")));
    let held: i64 =
        life.server.sql().await.query_one("SELECT count(*) FROM burst_owed", &[]).await.unwrap().get(0);
    assert_eq!(held, 0);
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn burst_is_charged_beyond_the_limit_suspends_the_account_and_money_lifts_that() {
    let life = Life::with("2026-03-01T10:00:00Z", "1", json!({ "creditLimit": "5" })).await;
    set_prices(&life.server, &[price_of("cpu", 1, "12"), price_of("cpu", 0, "1")]).await;
    declare(&life.server, "cpu", 1_000_000, &[("0", 1)]).await;
    let still = life.server.contents().await;
    let asked = subscribe(&life, json!({ "resource": "cpu", "amount": "1000", "months": 1 })).await;
    assert_eq!(
        asked["userErrors"][0]["code"], "INSUFFICIENT_BALANCE",
        "what is asked for stays within the limit"
    );
    life.server.assert_holds_still(&still).await;
    report(&life.server, "tenant", "cpu", 5_000, "2026-03-01T10:00:00Z").await;
    let state = async || {
        let query = "{ account { status balance { amount available status lastsUntil } } }";
        life.customer.data(query).await["account"].clone()
    };
    // 5 a cycle: 1, −4, −9.
    life.advance("2026-03-01T10:05:00Z").await;
    let seen = state().await;
    assert_eq!(
        seen["balance"],
        json!({ "amount": "-4.00", "available": "1.00", "status": "ACTIVE",
        "lastsUntil": "2026-03-01T10:06:00Z" })
    );
    life.advance("2026-03-01T10:10:00Z").await;
    let seen = state().await;
    assert_eq!(
        seen["balance"],
        json!({ "amount": "-9.00", "available": "-4.00", "status": "SUSPENDED",
        "lastsUntil": "2026-03-01T10:10:00Z" })
    );
    assert_eq!(life.notices().await, ["ACCOUNT_SUSPENDED", "LOW_BALANCE"]);
    life.advance("2026-03-01T10:15:00Z").await;
    assert_eq!(life.balance().await, "-14.00", "what is used is charged while it is used");
    assert_eq!(life.notices().await.len(), 2, "told once");
    report(&life.server, "tenant", "cpu", 0, "2026-03-01T10:15:00Z").await;

    let paid = life.recharge("8.99").await;
    assert_eq!(paid["account"]["status"], "SUSPENDED", "a cent is missing");
    let paid = life.recharge("0.01").await;
    assert_eq!(paid["account"]["status"], "ACTIVE");
    life.advance("2026-03-01T10:30:00Z").await;
    assert_eq!(
        (life.balance().await, state().await["balance"]["lastsUntil"].clone()),
        ("-5.00".to_owned(), json!(null))
    );

    // What an operator has suspended, no money lifts.
    let by_hand = json!({ "accountId": life.account, "status": "SUSPENDED" });
    life.operator.mutate("updateAccount", "UpdateAccountInput", by_hand, "account { status }").await;
    assert_eq!(life.recharge("100").await["account"]["status"], "SUSPENDED");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn the_owner_is_told_a_day_before_the_money_runs_out_and_again_after_it_would_have_lasted() {
    let life = Life::begin("2026-03-01T10:00:00Z", "120").await;
    set_prices(&life.server, &[price_of("cpu", 1, "1")]).await;
    declare(&life.server, "cpu", 1_000_000, &[("0", 1)]).await;
    let lasts = async || {
        let data = life.customer.data("{ account { balance { lastsUntil } } }").await;
        data["account"]["balance"]["lastsUntil"].clone()
    };
    assert_eq!(lasts().await, json!(null));
    // A GHz costs 1 an hour.
    report(&life.server, "tenant", "cpu", 1_000, "2026-03-01T10:00:00Z").await;
    life.advance("2026-03-01T10:05:00Z").await;
    assert_eq!(lasts().await, json!("2026-03-06T10:00:00Z"));
    assert_eq!(life.notices().await, Vec::<String>::new());
    // Five times as much, and it lasts for less than a day.
    report(&life.server, "tenant", "cpu", 6_000, "2026-03-01T10:06:00Z").await;
    life.advance("2026-03-01T10:10:00Z").await;
    let notices = told(&life, &life.account).await;
    assert_eq!(notices.len(), 1);
    let message =
        "At the present rate of 0.50 CNY in 5 minutes the balance lasts until 2026-03-02 06:04 UTC.";
    assert_eq!(notices[0], ("LOW_BALANCE".to_owned(), message.to_owned()));
    life.advance("2026-03-01T10:50:00Z").await;
    assert_eq!(life.notices().await.len(), 1);
    // Money for longer, and again not.
    life.recharge("1000").await;
    life.advance("2026-03-01T10:55:00Z").await;
    report(&life.server, "tenant", "cpu", 600_000, "2026-03-01T10:56:00Z").await;
    life.advance("2026-03-01T11:00:00Z").await;
    assert_eq!(life.notices().await, ["LOW_BALANCE", "LOW_BALANCE"]);
}

#[tokio::test]
async fn cycles_that_were_missed_are_run_one_by_one_as_if_they_had_not_been() {
    let punctual = Life::begin("2026-03-01T10:00:00Z", "1000").await;
    let late = Life::begin("2026-03-01T10:00:00Z", "1000").await;
    for life in [&punctual, &late] {
        let prices: Vec<Value> = (1..4).map(|level| price_of("cpu", level, &format!("{level}.03"))).collect();
        set_prices(&life.server, &prices).await;
        declare(&life.server, "cpu", 10_000, &[("0", 1), ("0.3", 2), ("0.6", 3)]).await;
    }
    let mut minute = 0;
    for used in [1_000, 4_000, 7_000, 2_000, 9_000, 0, 3_000] {
        let time = format!("2026-03-01T10:{minute:02}:00Z");
        for life in [&punctual, &late] {
            life.clock.move_to(at(&time));
            report(&life.server, "tenant", "cpu", used, &time).await;
        }
        punctual.advance(&time).await;
        minute += 7;
    }
    punctual.advance("2026-03-01T12:30:00Z").await;
    late.clock.move_to(at("2026-03-01T12:30:00Z"));
    late.advance("2026-03-01T12:30:00Z").await;
    let without_time = |entries: Vec<Value>| -> Vec<Value> {
        let without = |mut entry: Value| {
            entry.as_object_mut().unwrap().remove("time");
            entry
        };
        entries.into_iter().map(without).collect()
    };
    let (expected, made_up) = (entries(&punctual).await, entries(&late).await);
    assert!(expected.len() > 12, "{expected:#?}");
    assert_eq!(without_time(made_up), without_time(expected));
    assert_eq!(punctual.balance().await, late.balance().await);
}

fn cases(text: &str) -> Value {
    serde_json::from_str(text).expect("a case file")
}

/// The charge of a published entry, by the published price that gives it to its twentieth place.
fn published_charge(entry: &Value, currency: &Currency, prices: &[ResourcePrice]) -> CycleCharge {
    let reason = entry["reason"].as_str().unwrap();
    let amount = dec(&entry["resource_amount"]);
    let seconds = entry["interval"].as_i64().unwrap();
    let cycle = Cycle::numbered(i32::try_from(entry["billing_cycle"].as_i64().unwrap()).unwrap());
    let charged =
        prices.iter().filter(|price| reason.contains(&format!(" of {} for", price.resource))).map(|price| {
            let since = cycle.end() - TimeDelta::seconds(seconds);
            let bursting =
                Bursting { resource: price.resource.clone(), since, until: None, level: price.level };
            let priced = by_currency([price.clone()]);
            charge_account(cycle, &[(&bursting, amount)], None, currency, &priced).unwrap().expect("a charge")
        });
    let mut right = charged.filter(|charged| charged.charges[0].charge == dec(&entry["amount"]));
    right.next().unwrap_or_else(|| panic!("no published price gives {entry}"))
}

#[tokio::test]
async fn the_published_ledger_is_reproduced_entry_by_entry() {
    let chain = cases(include_str!("../cases/ledger_chain.json"));
    let published: Vec<Value> = chain["entries"].as_array().unwrap().clone();
    assert!(!published.is_empty());
    let mut currencies = Currencies::default();
    currencies.configure("USD:2:20").unwrap();
    let usd = *currencies.by_code("USD").unwrap();
    let clock = Clock::standing_at(at("2014-06-05T05:00:00Z"));
    let server = TestServer::with(|config| {
        config.clock = clock.clone();
        config.currencies = currencies.clone();
    })
    .await;
    let account =
        server.account_from(json!({ "namespace": "tenant", "name": "Tenant", "currency": "USD" }), "0").await;
    let jobs = another_server(&server.database_url, &clock, currencies);
    let prices: Vec<ResourcePrice> = cases(include_str!("../cases/capacity.json"))["prices"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|price| price["currency"] == "USD" && price["level"] != 0)
        .map(|price| ResourcePrice {
            id: ResourcePriceId(1),
            resource: price["resource"].as_str().unwrap().to_owned(),
            currency: usd.code,
            level: i32::try_from(price["level"].as_i64().unwrap()).unwrap(),
            price: dec(&price["price"]),
            unit: price["unit"].as_str().unwrap().to_owned(),
            multiplier: dec(&price["multiplier"]),
            cluster: None,
            chart: None,
            effective_from: DateTime::UNIX_EPOCH,
        })
        .collect();
    let adjust = async |key: &str, amount: Decimal, reason: &str| {
        let input = json!({ "accountId": account, "amount": amount.to_string(), "reason": reason, "idempotencyKey": key });
        server.operator().mutate("adjustBalance", "AdjustBalanceInput", input, "transaction { id }").await;
    };
    adjust("opening", dec(&chain["opening"]), "opening").await;
    let mut rest = published.as_slice();
    while let Some(entry) = rest.first() {
        clock.move_to(at(entry["time"].as_str().unwrap()));
        let of_cycle = |other: &&Value| {
            !entry["billing_cycle"].is_null() && other["billing_cycle"] == entry["billing_cycle"]
        };
        let together = rest.iter().take_while(of_cycle).count().max(1);
        if entry["billing_cycle"].is_null() {
            adjust(entry["id"].as_str().unwrap(), -dec(&entry["amount"]), entry["reason"].as_str().unwrap())
                .await;
        } else {
            let charges = rest[..together].iter().map(|entry| published_charge(entry, &usd, &prices));
            let all = charges.reduce(|mut all, one| {
                all.charges.extend(one.charges);
                all
            });
            let action = Action::ChargeBurst(ChargeBurst(Arc::new(all.unwrap())));
            let account = AccountId::parse(&account).unwrap();
            let command = Command::by_itself(account, action);
            jobs.engine.submit(command, Priority::Background).await.expect("charged");
        }
        rest = &rest[together..];
    }

    let query = "{ account { balance { amount } } ledger(first: 100) { nodes { amount initial end reason billingCycle interval humanInterval
        resourceAmount } } }";
    let found = server.customer("tenant").data(query).await;
    let mut entries = found["ledger"]["nodes"].as_array().unwrap().clone();
    entries.reverse();
    assert_eq!(entries.len(), published.len() + 1);
    for (entry, published) in entries[1..].iter().zip(&published) {
        for field in ["amount", "initial", "end"] {
            assert_eq!(dec(&entry[field]), dec(&published[field]), "{field} of {published}");
        }
        assert_eq!(
            (&entry["billingCycle"], &entry["interval"]),
            (&published["billing_cycle"], &published["interval"])
        );
        if published["billing_cycle"].is_null() {
            continue;
        }
        assert_eq!(entry["humanInterval"], published["human_interval"]);
        assert_eq!(entry["resourceAmount"], published["resource_amount"]);
        // When its gauges are read is Abacus's own.
        let reason =
            |entry: &Value| entry["reason"].as_str().unwrap().split(" at ").next().unwrap().to_owned();
        assert_eq!(reason(entry), reason(published));
    }
    assert_eq!(dec(&found["account"]["balance"]["amount"]), dec(&chain["closing"]));
    server.assert_ledger_is_healthy().await;
    jobs.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_all_run_the_same_cycles_charge_each_account_once() {
    for round in 0..if in_full() { 20 } else { 3 } {
        let life = Life::begin("2026-03-01T10:00:00Z", "1000").await;
        set_prices(&life.server, &[price_of("cpu", 1, "1"), price_of("cpu", 2, "2")]).await;
        declare(&life.server, "cpu", 100_000, &[("0", 1), ("0.5", 2)]).await;
        for number in 0..12 {
            life.server.account(&format!("tenant-{number}"), "1000").await;
            report(&life.server, &format!("tenant-{number}"), "cpu", 5_000, "2026-03-01T10:00:00Z").await;
        }
        life.clock.move_to(at("2026-03-01T10:31:00Z"));
        let servers: Vec<JobContext> = (0..4)
            .map(|_| another_server(&life.server.database_url, &life.clock, Currencies::default()))
            .collect();
        let passes = servers.iter().map(|jobs| burst_pass(jobs, &LeaseGuard::Always));
        for passed in join_all(passes).await {
            passed.unwrap();
        }
        let sql = life.server.sql().await;
        let count = async |query: &str| -> i64 { sql.query_one(query, &[]).await.unwrap().get(0) };
        assert_eq!(
            count("SELECT count(*) FROM ledger_entries WHERE billing_cycle IS NOT NULL").await,
            12 * 6,
            "round {round}"
        );
        let twice = "SELECT count(*) FROM (SELECT FROM ledger_entries WHERE billing_cycle IS NOT NULL \
            GROUP BY account_id, billing_cycle, resource_code HAVING count(*) > 1) t";
        assert_eq!(count(twice).await, 0, "round {round}");
        // Two cycles at level 1, four at level 2: 5 GHz for 5 minutes each.
        let others = "SELECT count(*) FROM accounts WHERE namespace <> 'tenant' AND balance <> 1000 - 2 * 0.4166666667 - 4 * 0.8333333333";
        assert_eq!(count(others).await, 0, "round {round}");
        life.server.assert_ledger_is_healthy().await;
        for jobs in servers {
            jobs.engine.stop().await;
        }
    }
}

/// A cloud of accounts, worked out without the server: gauges that are held for an hour, levels two cycles behind the use
/// that leads to them, charges rounded half up to the ledger's ten places.
struct Cloud {
    /// By account and resource: the slot of the last report, and what it said.
    gauges: Vec<[Option<(usize, i64)>; 2]>,
    /// What each account has of each resource.
    subscribed: Vec<[i64; 2]>,
    /// By slot: how much is used of each resource.
    totals: Vec<[i64; 2]>,
}

const CLOUD_RESOURCES: [&str; 2] = ["cpu", "dssd"];
const CLOUD_CURVE: [(i64, i64); 4] = [(0, 1), (40, 2), (60, 3), (80, 5)];
/// Of the two resources: MHz, and bytes.
const CLOUD_CAPACITY: [i64; 2] = [4_000_000, 20_000 * GB];

impl Cloud {
    fn used(&self, account: usize, resource: usize, slot: usize) -> i64 {
        match self.gauges[account][resource] {
            Some((at, quantity)) if slot - at < 12 => quantity,
            _ => 0,
        }
    }

    /// Ends a slot, in which these reports came in: answers the charges of it, by account and resource.
    fn end_slot(
        &mut self,
        slot: usize,
        reports: &[(usize, usize, i64)],
    ) -> Vec<(usize, usize, i64, Decimal)> {
        for (account, resource, quantity) in reports {
            self.gauges[*account][*resource] = Some((slot, *quantity));
        }
        let mut charges = Vec::new();
        let mut total = [0, 0];
        for account in 0..self.gauges.len() {
            for (resource, total) in total.iter_mut().enumerate() {
                let used = self.used(account, resource, slot);
                *total += used;
                let beyond = used - self.subscribed[account][resource];
                if beyond > 0 {
                    let level = self.level(resource, slot);
                    charges.push((account, resource, beyond, charge(resource, level, beyond)));
                }
            }
        }
        self.totals.push(total);
        charges
    }

    /// The level of a slot: what the use two slots before leads to.
    fn level(&self, resource: usize, slot: usize) -> i64 {
        let used = slot.checked_sub(2).map_or(0, |before| self.totals[before][resource]);
        let reached = |(percent, _): &&(i64, i64)| {
            i128::from(used) * 100 >= i128::from(CLOUD_CAPACITY[resource]) * i128::from(*percent)
        };
        CLOUD_CURVE.iter().rfind(reached).map_or(0, |(_, level)| *level)
    }
}

/// Level × 0.0123 for a GHz·hour, level × 0.1401 for a GB·month; 300 seconds.
fn charge(resource: usize, level: i64, amount: i64) -> Decimal {
    let (price, multiplier): (i128, i128) =
        if resource == 0 { (123, 3_600_000) } else { (1_401, 2_783_138_807_808_000) };
    let tenths = i128::from(level) * price * i128::from(amount) * 300 * 10_000_000_000 * 2;
    let divisor = multiplier * 10_000;
    Decimal::from_i128_with_scale((tenths + divisor) / (divisor * 2), 10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_day_is_charged_as_calculated_by_hand_and_its_levels_follow_the_curve() {
    let (slots, accounts) = if in_full() { (288_usize, 200_usize) } else { (48, 60) };
    let begin = at("2026-03-01T00:00:00Z");
    let instant = |slot: usize| begin + TimeDelta::minutes(5) * i32::try_from(slot).unwrap();
    let life = Life::begin("2026-03-01T00:00:00Z", "1").await;
    let prices = |level: i64| {
        let price = |units: i64, places: u32| Decimal::new(units * level, places).to_string();
        [price_of("cpu", level, &price(123, 4)), price_of("dssd", level, &price(1_401, 4))]
    };
    let all: Vec<Value> = (0..6).flat_map(prices).collect();
    set_prices(&life.server, &all).await;
    let curve: Vec<(String, i64)> =
        CLOUD_CURVE.iter().map(|(percent, level)| (Decimal::new(*percent, 2).to_string(), *level)).collect();
    let curve: Vec<(&str, i64)> = curve.iter().map(|(from, level)| (from.as_str(), *level)).collect();
    // Smaller clouds have less to share.
    let scale = i64::try_from(accounts).unwrap();
    for (resource, capacity) in CLOUD_RESOURCES.iter().zip(CLOUD_CAPACITY) {
        declare(&life.server, resource, capacity, &curve).await;
    }
    let plan = json!({ "name": "Base", "price": { "amount": "1", "currency": "CNY" }, "region": null,
        "resources": [{ "resource": "cpu", "amount": "2000" }, { "resource": "dssd", "amount": (10 * GB).to_string() }] });
    let plan = life.server.plan_from(plan).await;
    let mut cloud = Cloud {
        gauges: vec![[None, None]; accounts],
        subscribed: vec![[0, 0]; accounts],
        totals: Vec::new(),
    };
    let mut opening = Vec::new();
    for account in 0..accounts {
        let namespace = format!("tenant-{account}");
        life.server.account(&namespace, "10000").await;
        let customer = life.server.customer(&namespace);
        if account % 3 > 0 {
            let input = json!({ "planId": plan, "quantity": account % 3, "idempotencyKey": "plan" });
            customer.mutate("checkout", "CheckoutInput", input, "order { id }").await;
            let quantity = i64::try_from(account % 3).unwrap();
            cloud.subscribed[account] = [2_000 * quantity, 10 * GB * quantity];
        }
        if account % 4 == 0 {
            let input = json!({ "resource": "cpu", "amount": "1500", "months": 1, "idempotencyKey": "cpu" });
            customer.mutate("subscribe", "SubscribeInput", input, "order { id }").await;
            cloud.subscribed[account][0] += 1_500;
        }
        let balance = customer.data("{ account { balance { amount } } }").await;
        opening.push(dec(&balance["account"]["balance"]["amount"]));
    }

    let mut dice = Dice::new(7);
    let mut expected: Vec<Vec<(i64, String, i64, Decimal)>> = vec![Vec::new(); accounts];
    let mut levels_seen = BTreeSet::new();
    for slot in 0..slots {
        // Rises to the middle of the day and falls again; some report often, some seldom, and some are silent for hours.
        let height = i64::try_from(slot.min(slots - slot)).unwrap() * 2;
        let mut reports = Vec::new();
        for account in 0..accounts {
            let often = [1, 3, 9, 40][account % 4];
            if slot % often == account % often {
                let noise = i64::try_from(dice.below(1_000)).unwrap();
                let share = |capacity: i64| capacity / scale * height / i64::try_from(slots).unwrap();
                reports.push((account, 0, share(CLOUD_CAPACITY[0]) * (800 + noise) / 1_000));
                reports.push((account, 1, share(CLOUD_CAPACITY[1]) * (500 + noise) / 1_000));
            }
        }
        let event = |(account, resource, quantity): &(usize, usize, i64)| {
            json!({ "id": format!("{slot}-{account}-{resource}"), "namespace": format!("tenant-{account}"), "subject": "all",
                "resource": CLOUD_RESOURCES[*resource], "quantity": quantity.to_string(), "time": instant(slot).to_rfc3339() })
        };
        let input = json!({ "events": reports.iter().map(event).collect::<Vec<_>>() });
        let recorded = life.operator.mutate("recordUsage", "RecordUsageInput", input, "accepted").await;
        assert_eq!(recorded["accepted"], json!(reports.len()));
        let current = [cloud.level(0, slot), cloud.level(1, slot)];
        levels_seen.extend(current);
        let cycle = i64::from(Cycle::of(instant(slot)).number());
        for (account, resource, amount, charge) in cloud.end_slot(slot, &reports) {
            expected[account].push((cycle, CLOUD_RESOURCES[resource].to_owned(), amount, charge));
        }
        life.advance(&instant(slot + 1).to_rfc3339()).await;
        for (resource, code) in CLOUD_RESOURCES.iter().enumerate() {
            let seen = levels(&life, code).await;
            assert_eq!(
                seen,
                (cloud.level(resource, slot + 1), cloud.level(resource, slot + 2)),
                "{code} after slot {slot}"
            );
        }
    }
    assert!(levels_seen.len() >= 4, "{levels_seen:?}");

    let sql = life.server.sql().await;
    for account in 0..accounts {
        let query = "SELECT e.billing_cycle::bigint, e.resource_code, e.resource_amount::text, e.amount::text FROM ledger_entries e
            JOIN namespaces n ON n.account_id = e.account_id WHERE n.namespace = $1 AND e.billing_cycle IS NOT NULL ORDER BY e.seq";
        let rows = sql.query(query, &[&format!("tenant-{account}")]).await.unwrap();
        let charged: Vec<(i64, String, i64, Decimal)> = rows
            .iter()
            .map(|row| {
                let number = |at: usize| row.get::<_, String>(at).parse::<Decimal>().unwrap();
                (row.get(0), row.get(1), i64::try_from(number(2)).unwrap(), number(3))
            })
            .collect();
        assert_eq!(charged, expected[account], "account {account}");
        let total: Decimal = expected[account].iter().map(|(.., charge)| *charge).sum();
        let balance = life
            .server
            .customer(&format!("tenant-{account}"))
            .data("{ account { balance { amount } } }")
            .await;
        assert_eq!(dec(&balance["account"]["balance"]["amount"]), opening[account] - total);
    }
    assert!(life.server.assert_ledger_is_healthy().await > i64::try_from(slots * accounts).unwrap());
}

#[tokio::test]
async fn what_cannot_be_declared_is_refused_by_its_field_and_nothing_is_kept() {
    let life = Life::begin("2026-03-01T10:00:00Z", "100").await;
    let still = life.server.contents().await;
    let step = |from: &str, level: i64| json!({ "fromUtilisation": from, "level": level });
    for (field, value, path, code) in [
        ("resource", json!("nothing"), "resource", "NOT_FOUND"),
        ("resource", json!("transfer_out"), "resource", "INVALID"),
        ("resource", json!(""), "resource", "INVALID"),
        ("capacity", json!("0"), "capacity", "INVALID"),
        ("capacity", json!("-1"), "capacity", "INVALID"),
        ("capacity", json!("100000000000001"), "capacity", "OUT_OF_RANGE"),
        ("capacity", json!("0.0000000001"), "capacity", "INVALID"),
        ("curve", json!([]), "curve", "REQUIRED"),
        ("curve", json!(vec![step("0", 1); 22]), "curve", "LIMIT_EXCEEDED"),
        ("curve", json!([step("0", 1), step("0", 2)]), "curve.1.fromUtilisation", "INVALID"),
        ("curve", json!([step("0", 1), step("80", 2)]), "curve.1.fromUtilisation", "INVALID"),
        ("curve", json!([step("-0.1", 1)]), "curve.0.fromUtilisation", "INVALID"),
        ("curve", json!([step("0", 21)]), "curve.0.level", "OUT_OF_RANGE"),
    ] {
        let mut input = json!({ "resource": "cpu", "capacity": "10", "curve": [step("0", 1)] });
        input[field] = value;
        let refused = life
            .operator
            .payload("setBurstCapacity", "SetBurstCapacityInput", input, "resource { code }")
            .await;
        let error = &refused["userErrors"][0];
        let expected: Vec<&str> = ["input"].into_iter().chain(path.split('.')).collect();
        assert_eq!((&error["path"], &error["code"]), (&json!(expected), &json!(code)), "{refused}");
    }
    // A gauge of a resource that there is not.
    let event = json!({ "id": "1", "namespace": "tenant", "resource": "nothing", "quantity": "1", "time": "2026-03-01T10:00:00Z" });
    let fields = "results { outcome message }";
    let recorded =
        life.operator.mutate("recordUsage", "RecordUsageInput", json!({ "events": [event] }), fields).await;
    let outcome = json!([{ "outcome": "REJECTED", "message": "resource: there is no such resource" }]);
    assert_eq!(recorded["results"], outcome);
    life.server.assert_holds_still(&still).await;
}

#[tokio::test]
async fn a_charge_that_does_not_fit_holds_its_account_whole_and_nobody_else() {
    let clock = Clock::standing_at(at("2026-03-01T10:00:00Z"));
    let server = TestServer::with(|config| {
        config.clock = clock.clone();
        config.currencies.configure("CNY:2:20").unwrap();
    })
    .await;
    let large = server.account("large", "10").await;
    server.account("small", "10").await;
    // With 20 places a charge of more than eight digits before the point does not fit 28.
    let price = |resource: &str, price: &str, multiplier: &str| json!({ "resource": resource, "currency": "CNY", "level": 1, "price": price, "unit": "count/hour", "multiplier": multiplier });
    set_prices(&server, &[price("cpu", "1", "3600")]).await;
    for resource in ["cpu", "mem"] {
        declare(&server, resource, 99_000_000_000_000, &[("0", 1)]).await;
    }
    report(&server, "large", "cpu", 1, "2026-03-01T10:00:00Z").await;
    // It would be refused if its price was there already.
    report(&server, "large", "mem", 98_765_432_109_876, "2026-03-01T10:00:00Z").await;
    set_prices(&server, &[price("mem", "0.123456789", "7")]).await;
    report(&server, "small", "cpu", 12, "2026-03-01T10:00:00Z").await;
    let moved = json!({ "to": "2026-03-01T10:10:00Z" });
    server.operator().mutate("advanceClock", "AdvanceClockInput", moved, "now").await;
    let balance = async |namespace: &str| {
        let data =
            server.customer(namespace).data("{ account { balance { amount } ledger { totalCount } } }").await;
        (data["account"]["balance"]["amount"].clone(), data["account"]["ledger"]["totalCount"].clone())
    };
    assert_eq!(balance("large").await, (json!("10.00"), json!(1)), "not even for its processor");
    assert_eq!(balance("small").await, (json!("8.00"), json!(3)));
    let query = format!("{{ account(id: \"{large}\") {{ notices {{ kind message }} }} }}");
    let notices = server.operator().data(&query).await["account"]["notices"].clone();
    assert_eq!(notices.as_array().unwrap().len(), 1);
    assert!(
        notices[0]["message"].as_str().unwrap().contains("what it comes to is out of range"),
        "{notices}"
    );
    server.assert_ledger_is_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cycles_are_charged_once_though_one_of_two_runners_is_killed_in_the_middle() {
    const ACCOUNTS: i64 = 40;
    for round in 0..if in_full() { 20 } else { 2 } {
        let server = TestServer::with(|config| config.clock = Clock::sandbox()).await;
        set_prices(&server, &[price_of("cpu", 1, "12")]).await;
        declare(&server, "cpu", 1_000_000, &[("0", 1)]).await;
        let sql = server.sql().await;
        let declared = "SELECT (extract(epoch FROM effective_from) * 1000000)::bigint FROM burst_capacities";
        let since: i64 = sql.query_one(declared, &[]).await.unwrap().get(0);
        let since = DateTime::<Utc>::from_timestamp_micros(since).unwrap();
        let now = server.server.app.clock.now();
        // What was declared in the last second of a cycle is not charged in that one.
        let last_second = Cycle::of(now).end() - since < TimeDelta::seconds(1);
        let cycles = if last_second { 11 } else { 12 };
        let now = now.to_rfc3339();
        for number in 0..ACCOUNTS {
            server.account(&format!("tenant-{number}"), "1000").await;
            report(&server, &format!("tenant-{number}"), "cpu", 1_000, &now).await;
        }
        let count = async |query: &str| -> i64 { sql.query_one(query, &[]).await.unwrap().get(0) };
        let charged = "SELECT count(*) FROM ledger_entries WHERE billing_cycle IS NOT NULL";
        // An hour and a half later: twelve cycles, the first of them not whole.
        sql.batch_execute("INSERT INTO sandbox_clock (offset_micros) VALUES (5400000000)").await.unwrap();
        // Some accounts are held by somebody else, so that the one that is killed is in the middle.
        let holder = server.sql().await;
        let hold = format!("BEGIN; SELECT FROM accounts ORDER BY id LIMIT {} FOR UPDATE", 1 + round % 20);
        holder.batch_execute(&hold).await.unwrap();
        let runner = || job_process(&server.database_url);
        let mut runners = [runner(), runner()];
        eventually("the first charges", 60, async || (count(charged).await > 0).then_some(())).await;
        tokio::time::sleep(Duration::from_millis(round as u64 * 7 % 30)).await;
        let [first, second] = &mut runners;
        let (killed, left) = if round % 2 == 0 { (first, second) } else { (second, first) };
        signal(i32::try_from(killed.id().unwrap()).unwrap(), Signal::SIGKILL);
        killed.wait().await.unwrap();
        holder.batch_execute("ROLLBACK").await.unwrap();
        let all = ACCOUNTS * cycles;
        eventually("all cycles", 60, async || (count(charged).await >= all).then_some(())).await;
        signal(i32::try_from(left.id().unwrap()).unwrap(), Signal::SIGTERM);
        left.wait().await.unwrap();
        assert_eq!(count(charged).await, all, "round {round}");
        let unlike = format!(
            "SELECT count(*) FROM (SELECT account_id FROM ledger_entries WHERE billing_cycle IS NOT NULL GROUP BY account_id \
             HAVING count(*) <> {cycles} OR count(DISTINCT billing_cycle) <> {cycles} \
                 OR max(billing_cycle) - min(billing_cycle) <> {cycles} - 1) t"
        );
        assert_eq!(count(&unlike).await, 0, "round {round}");
        server.assert_ledger_is_healthy().await;
    }
}

#[tokio::test]
async fn what_is_made_up_is_what_was_known_then_whatever_was_bought_cancelled_or_reported_since() {
    let life = Life::begin("2026-03-01T10:00:00Z", "10000").await;
    set_prices(&life.server, &[price_of("cpu", 0, "1"), price_of("cpu", 1, "12")]).await;
    declare(&life.server, "cpu", 1_000_000, &[("0", 1), ("0.001", 2)]).await;
    let subscribed = subscribe(&life, json!({ "resource": "cpu", "amount": "1000", "months": 1 })).await;
    report(&life.server, "tenant", "cpu", 3_000, "2026-03-01T10:00:00Z").await;
    // From 10:10 on the level is 2, of which there is no price.
    life.advance("2026-03-01T10:30:00Z").await;
    assert_eq!(entries(&life).await.len(), 2);
    let cancel = json!({ "orderId": subscribed["order"]["id"] });
    life.customer.mutate("cancelOrder", "CancelOrderInput", cancel, "order { state }").await;
    subscribe(&life, json!({ "resource": "cpu", "amount": "2500", "months": 1 })).await;
    report(&life.server, "tenant", "cpu", 9_000, "2026-03-01T10:21:00Z").await;
    report(&life.server, "tenant", "cpu", 0, "2026-03-01T10:30:00Z").await;
    set_prices(&life.server, &[price_of("cpu", 2, "12")]).await;
    life.advance("2026-03-01T10:40:00Z").await;
    let charged: Vec<(Value, Value)> = entries(&life)
        .await
        .iter()
        .map(|entry| (entry["resourceAmount"].clone(), entry["amount"].clone()))
        .collect();
    assert_eq!(charged, vec![(json!("2000"), json!("2.00")); 6], "2 GHz beyond the one that there was then");
}

#[tokio::test]
async fn a_subscription_that_is_over_begins_anew_when_it_is_renewed_and_what_was_between_stays_burst() {
    let life = Life::begin("2026-01-31T10:00:00Z", "10000").await;
    set_prices(&life.server, &[price_of("cpu", 0, "1"), price_of("cpu", 1, "12")]).await;
    declare(&life.server, "cpu", 1_000_000, &[("0", 1)]).await;
    let made = subscribe(&life, json!({ "resource": "cpu", "amount": "1000" })).await;
    assert_eq!(made["order"]["expiresAt"], "2026-02-28T10:00:00Z");
    life.advance("2026-02-28T10:00:00Z").await;
    let on = json!({ "orderId": made["order"]["id"], "autoRenewal": true });
    report(&life.server, "tenant", "cpu", 1_000, "2026-02-28T10:00:00Z").await;
    life.advance("2026-02-28T10:30:00Z").await;
    assert_eq!(entries(&life).await.len(), 6);
    let set = life
        .customer
        .mutate("setAutoRenewal", "SetAutoRenewalInput", on, "order { schedule { amount { amount } } }")
        .await;
    let query = format!("{{ order(id: {}) {{ schedule {{ amount {{ amount }} }} }} }}", made["order"]["id"]);
    let announced = json!([{ "amount": { "amount": "672.00" } }]);
    assert_eq!(set["order"]["schedule"], announced, "what it would cost now");
    assert_eq!(life.customer.data(&query).await["order"]["schedule"], announced);
    let renew = json!({ "orderId": made["order"]["id"], "idempotencyKey": "r" });
    let fields = "order { deliveredAt expiresAt price { amount } previous { id state } }";
    let renewed = life.customer.mutate("renewOrder", "RenewOrderInput", renew, fields).await;
    let expected = json!({ "deliveredAt": "2026-02-28T10:30:00Z", "expiresAt": "2026-03-28T10:30:00Z", "price": { "amount": "672.00" },
        "previous": { "id": made["order"]["id"], "state": "ENDED" } });
    assert_eq!(renewed["order"], expected);
    life.advance("2026-02-28T10:50:00Z").await;
    assert_eq!(entries(&life).await.len(), 6);
}

#[tokio::test]
async fn a_higher_limit_lifts_what_was_suspended_for_the_lower_one() {
    let life = Life::begin("2026-03-01T10:00:00Z", "1").await;
    set_prices(&life.server, &[price_of("cpu", 1, "12")]).await;
    declare(&life.server, "cpu", 1_000_000, &[("0", 1)]).await;
    report(&life.server, "tenant", "cpu", 5_000, "2026-03-01T10:00:00Z").await;
    life.advance("2026-03-01T10:05:00Z").await;
    report(&life.server, "tenant", "cpu", 0, "2026-03-01T10:05:00Z").await;
    let raise = async |limit: &str| {
        let input = json!({ "accountId": life.account, "creditLimit": limit });
        let raised =
            life.operator.mutate("updateAccount", "UpdateAccountInput", input, "account { status }").await;
        raised["account"]["status"].clone()
    };
    assert_eq!(life.balance().await, "-4.00");
    assert_eq!(raise("3.99").await, "SUSPENDED");
    assert_eq!(raise("4").await, "ACTIVE");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn amounts_beyond_all_measure_hold_up_nobody() {
    let life = Life::begin("2026-03-01T10:00:00Z", "100").await;
    set_prices(&life.server, &[price_of("cpu", 0, "0.0000001"), price_of("cpu", 1, "12")]).await;
    declare(&life.server, "cpu", 1_000_000, &[("0", 1)]).await;
    let plan = |amount: &str| {
        json!({ "name": "All", "type": "C", "resourceType": "CLOUD", "billPeriod": "MONTH", "description": "d",
            "price": { "amount": "1", "currency": "CNY" }, "resources": [{ "resource": "cpu", "amount": amount }] })
    };
    for amount in ["100000000000001", "0.3333333333"] {
        let refused =
            life.operator.payload("createPlan", "CreatePlanInput", plan(amount), "plan { id }").await;
        assert_eq!(refused["userErrors"][0]["path"], json!(["input", "resources"]), "{refused}");
    }
    // One that was made before amounts had a limit.
    let made = life.operator.mutate("createPlan", "CreatePlanInput", plan("1"), "plan { id }").await;
    let sql = life.server.sql().await;
    sql.batch_execute("UPDATE plan_resources SET amount = 9999999999999999999999999999.3 WHERE amount = 1")
        .await
        .unwrap();
    life.buy(made["plan"]["id"].as_str().unwrap(), json!({ "quantity": 9 })).await;
    life.server.account("other", "100").await;
    report(&life.server, "tenant", "cpu", 5_000, "2026-03-01T10:00:00Z").await;
    report(&life.server, "other", "cpu", 1_000, "2026-03-01T10:00:00Z").await;
    life.advance("2026-03-01T10:05:00Z").await;
    assert_eq!(entries(&life).await.len(), 0);
    let other = life.server.customer("other").data("{ account { balance { amount } } }").await;
    assert_eq!(other["account"]["balance"]["amount"], "99.00");
    // What costs less than can be paid is not given away.
    let refused = subscribe(&life, json!({ "resource": "cpu", "amount": "1000" })).await;
    assert_eq!(refused["userErrors"][0]["message"], "comes to less than can be paid in CNY");
}
