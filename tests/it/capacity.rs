//! Capacity: what it costs by resource, currency and level, and what is taken off for a term.

use serde_json::{Value, json};

use crate::support::TestServer;

fn cases() -> Value {
    serde_json::from_str(include_str!("../cases/capacity.json")).unwrap()
}

/// A server that knows the cases' resources, currencies and prices.
async fn priced() -> TestServer {
    let server = TestServer::start().await;
    let inputs: Vec<Value> = cases()["prices"].as_array().unwrap().clone();
    let fields =
        "prices { id resource { code } currency level price unit multiplier clusterId effectiveFrom }";
    let set = json!({ "prices": inputs });
    let made = server.operator().mutate("setResourcePrices", "SetResourcePricesInput", set, fields).await;
    let kept: Vec<Value> = made["prices"].as_array().unwrap().clone();
    assert_eq!(kept.len(), inputs.len());
    for (input, kept) in inputs.iter().zip(&kept) {
        assert_eq!(kept["resource"]["code"], input["resource"]);
        for field in ["currency", "level", "price", "unit", "multiplier"] {
            assert_eq!(kept[field], input[field], "{field}");
        }
    }
    let node = format!("{{ node(id: {}) {{ id ...on ResourcePrice {{ price level }} }} }}", kept[0]["id"]);
    server.account("tenant", "0").await;
    let seen = server.customer("tenant").data(&node).await;
    assert_eq!((&seen["node"]["price"], &seen["node"]["level"]), (&kept[0]["price"], &kept[0]["level"]));
    server
}

fn charge(case: &Value) -> String {
    let text = |field: &str| case[field].as_str().unwrap();
    format!(
        "{{ capacityCharge(resource: \"{}\", amount: \"{}\", seconds: {}, currency: \"{}\", level: {}) {{
            price {{ amount currency }} listPrice {{ amount }} steps {{ quantity unitPrice factor divisor amount }} }} }}",
        text("resource"), text("amount"), case["seconds"], text("currency"), case["level"]
    )
}

#[tokio::test]
async fn every_charge_of_the_published_ledgers_comes_out_to_the_twentieth_place() {
    let server = priced().await;
    server.account("payer", "0").await;
    let customer = server.customer("payer");
    for case in cases()["charges"].as_array().unwrap() {
        let data = customer.data(&charge(case)).await;
        let quote = &data["capacityCharge"];
        let decimal = |value: &Value| value.as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
        assert_eq!(decimal(&quote["price"]["amount"]), decimal(&case["charge"]), "{case}");
        assert_eq!(quote["price"]["currency"], case["currency"]);
        let steps = quote["steps"].as_array().unwrap();
        let sum: rust_decimal::Decimal = steps.iter().map(|step| decimal(&step["amount"])).sum();
        assert_eq!(sum, decimal(&case["charge"]), "{case}");
    }
}

#[tokio::test]
async fn a_later_price_takes_the_place_of_an_earlier_one_and_one_for_a_cluster_of_none() {
    let server = priced().await;
    let operator = server.operator();
    let asked = r#"{ capacityCharge(resource: "mem", amount: "3865470566400", seconds: 1, currency: "USD", level: 1) { price { amount } } }"#;
    let amount = async || operator.data(asked).await["capacityCharge"]["price"]["amount"].clone();
    assert_eq!(amount().await, "0.0168");
    let price = |price: &str, cluster: Option<&str>| {
        json!({ "prices": [{ "resource": "mem", "currency": "USD", "level": 1, "price": price, "unit": "GB/hour",
            "multiplier": "3865470566400", "clusterId": cluster }] })
    };
    operator
        .mutate("setResourcePrices", "SetResourcePricesInput", price("0.02", None), "prices { id }")
        .await;
    assert_eq!(amount().await, "0.02");
    let of_cluster = price("5", Some("cluster-1"));
    operator.mutate("setResourcePrices", "SetResourcePricesInput", of_cluster, "prices { id }").await;
    assert_eq!(amount().await, "0.02");
    // Without a level it is what subscriptions cost; where there is no price there is no charge.
    let level = |level: &str| {
        format!(
            "{{ capacityCharge(resource: \"dssd\", amount: 2783138807808000, seconds: 1, currency: \"USD\"{level}) {{ price {{ amount }} }} }}"
        )
    };
    assert_eq!(operator.data(&level("")).await["capacityCharge"]["price"]["amount"], "0.14");
    assert_eq!(operator.data(&level(", level: 7")).await["capacityCharge"], json!(null));
}

#[tokio::test]
async fn the_discount_of_a_term_is_that_of_the_longest_period_not_longer() {
    use abacus::domain::capacity::{TermDiscount, term_discount};
    let cases: Value = serde_json::from_str(include_str!("../cases/terms.json")).unwrap();
    let server = TestServer::start().await;
    let operator = server.operator();
    let set = async |discounts: &Value| {
        let input = json!({ "discounts": discounts });
        let fields = "discounts { period months value }";
        operator.mutate("setTermDiscounts", "SetTermDiscountsInput", input, fields).await["discounts"].clone()
    };
    let mut shuffled = cases["discounts"].as_array().unwrap().clone();
    shuffled.reverse();
    let kept = set(&json!(shuffled)).await;
    let table = operator.data("{ discounts { period months value } }").await["discounts"].clone();
    assert_eq!(kept, table, "the shortest first");
    let decimal = |value: &Value| value.as_str().unwrap().parse().unwrap();
    let table: Vec<TermDiscount> = table
        .as_array()
        .unwrap()
        .iter()
        .map(|discount| TermDiscount {
            period: discount["period"].as_str().unwrap().to_owned(),
            months: i32::try_from(discount["months"].as_i64().unwrap()).unwrap(),
            value: decimal(&discount["value"]),
        })
        .collect();
    assert_eq!(table.len(), 5);
    for case in cases["cases"].as_array().unwrap() {
        let months = i32::try_from(case["months"].as_i64().unwrap()).unwrap();
        assert_eq!(term_discount(&table, months), decimal(&case["value"]), "{months} months");
    }
    assert_eq!(set(&json!([])).await, json!([]));
    assert_eq!(operator.data("{ discounts { months } }").await["discounts"], json!([]));
}

#[tokio::test]
async fn prices_that_cannot_be_are_refused_by_their_place_and_none_is_set() {
    let server = priced().await;
    let operator = server.operator();
    let still = server.contents().await;
    let usual = json!({ "resource": "mem", "currency": "USD", "level": 1, "price": "1", "unit": "GB/hour", "multiplier": "1" });
    for (field, value, code) in [
        ("resource", json!("nothing"), "NOT_FOUND"),
        ("currency", json!("XXX"), "INVALID"),
        ("level", json!(21), "OUT_OF_RANGE"),
        ("level", json!(-1), "OUT_OF_RANGE"),
        ("price", json!("-0.01"), "INVALID"),
        ("price", json!("100000000"), "OUT_OF_RANGE"),
        ("price", json!("0.000000000000000000001"), "INVALID"),
        ("multiplier", json!("0"), "INVALID"),
        ("multiplier", json!("1000000000000000001"), "OUT_OF_RANGE"),
        ("unit", json!(" "), "INVALID"),
        ("clusterId", json!("a b"), "INVALID"),
    ] {
        let mut wrong = usual.clone();
        wrong[field] = value;
        let input = json!({ "prices": [usual, wrong] });
        let refused =
            operator.payload("setResourcePrices", "SetResourcePricesInput", input, "prices { id }").await;
        let error = &refused["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["path"]),
            (&json!(code), &json!(["input", "prices", "1", field])),
            "{wrong}"
        );
    }
    for (discount, code, field) in [
        (json!({ "period": "p", "months": 0, "value": "0.1" }), "OUT_OF_RANGE", "months"),
        (json!({ "period": "p", "months": 3, "value": "0.1" }), "INVALID", "months"),
        (json!({ "period": "p", "months": 4, "value": "1.01" }), "OUT_OF_RANGE", "value"),
        (json!({ "period": "p", "months": 4, "value": "-0.1" }), "OUT_OF_RANGE", "value"),
        (json!({ "period": "", "months": 4, "value": "0.1" }), "INVALID", "period"),
    ] {
        let input =
            json!({ "discounts": [{ "period": "3 months", "months": 3, "value": "0.03" }, discount] });
        let refused = operator
            .payload("setTermDiscounts", "SetTermDiscountsInput", input, "discounts { months }")
            .await;
        let error = &refused["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["path"]),
            (&json!(code), &json!(["input", "discounts", "1", field])),
            "{discount}"
        );
    }
    let of = |arguments: &str| {
        format!(
            "{{ capacityCharge(resource: \"mem\", currency: \"USD\", level: 1, {arguments}) {{ price {{ amount }} }} }}"
        )
    };
    for (arguments, code) in [
        ("amount: -1, seconds: 1", "INVALID"),
        ("amount: 1, seconds: -1", "INVALID"),
        ("amount: \"79228162514264337593543950335\", seconds: 2147483647", "OUT_OF_RANGE"),
    ] {
        let answer = operator.answer(&of(arguments)).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{arguments}: {answer}");
    }
    server.assert_holds_still(&still).await;
    // What was set is never changed.
    let changed = server.sql().await.execute("UPDATE resource_prices SET price = 0", &[]).await;
    assert!(changed.is_err());
}

#[tokio::test]
async fn pricing_lists_the_prices_that_hold_newest_first_and_narrowed() {
    let server = priced().await;
    // Those of the cases, and those of apps, which every server has from the beginning.
    let all = cases()["prices"].as_array().unwrap().len() + 3;
    let again = json!({ "prices": [{ "resource": "dssd", "currency": "USD", "level": 0, "price": "0.15", "unit": "GB/month",
        "multiplier": "2783138807808000" }] });
    server.operator().mutate("setResourcePrices", "SetResourcePricesInput", again, "prices { id }").await;
    let customer = server.customer("tenant");
    let listed = async |arguments: &str| {
        let query = format!(
            "{{ pricing {{ prices({arguments}) {{ totalCount nodes {{ resource {{ code }} currency level price }}
                pageInfo {{ hasNextPage endCursor }} }} }} }}"
        );
        customer.data(&query).await["pricing"]["prices"].clone()
    };
    let whole = listed("first: 100").await;
    assert_eq!(
        (whole["totalCount"].as_u64(), whole["nodes"].as_array().unwrap().len()),
        (Some(all as u64), all)
    );
    let newest = json!({ "resource": { "code": "dssd" }, "currency": "USD", "level": 0, "price": "0.15" });
    assert_eq!(whole["nodes"][0], newest, "it has taken the place of the one before");
    let dollars = whole["nodes"].as_array().unwrap().iter().filter(|price| price["currency"] == "USD");
    let dollars: Vec<Value> = dollars.cloned().collect();
    assert_eq!(listed("first: 100, currency: \"USD\"").await["nodes"], json!(dollars));
    assert_eq!(listed("resource: \"dssd\", currency: \"USD\", level: 0").await["nodes"], json!([newest]));
    for (arguments, count) in [
        ("resource: \"mem\"", 1),
        ("level: 1", 5),
        ("resource: \"mem\", level: 0", 0),
        ("resource: \"nothing\"", 0),
        ("currency: \"XXX\"", 0),
        ("level: 99", 0),
    ] {
        assert_eq!(listed(arguments).await["totalCount"], count, "{arguments}");
    }
    // Pages agree with the whole.
    let (mut paged, mut arguments) = (Vec::new(), "first: 3".to_owned());
    loop {
        let page = listed(&arguments).await;
        paged.extend(page["nodes"].as_array().unwrap().clone());
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        arguments = format!("first: 3, after: {}", page["pageInfo"]["endCursor"]);
    }
    assert_eq!(json!(paged), whole["nodes"]);
    assert_eq!(listed("last: 2").await["nodes"].as_array().unwrap(), &paged[all - 2..]);
    assert_eq!(listed("first: 2, offset: 4").await["nodes"].as_array().unwrap(), &paged[4..6]);
}
