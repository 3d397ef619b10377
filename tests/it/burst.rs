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
