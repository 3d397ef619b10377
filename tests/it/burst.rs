//! Burst: what is used beyond subscriptions is charged every 5 minutes, at levels that follow the cloud's use; once, to the
//! last digit, also when cycles are missed or cannot be charged.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::TestServer;
use crate::support::life::Life;

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
