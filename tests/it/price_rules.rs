//! The price service: rules set, by new definition and by id, and read back at every edge of their windows.

use abacus::clock::Clock;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::{Client, TestServer};

const START: &str = "2026-03-01T00:00:00Z";
const RULES: &str = "rules { id effectiveFrom effectiveUntil createdBy account { namespace } definition {
    __typename ...on BasePrice { id type description currency tariffs { resource { code } mode per roundUp
        tiers { from unitPrice flatFee } } }
    ...on Discount { id currency money payablePercent }
    ...on Package { id type currency money quotas { resource { code } quantity } } } }";

fn start() -> DateTime<Utc> {
    START.parse().unwrap()
}

async fn standing_server() -> (TestServer, Clock) {
    let clock = Clock::standing_at(start());
    let server = TestServer::with(|config| config.clock = clock.clone()).await;
    (server, clock)
}

/// What the seed's /set sends, as infos: a base price of all five metrics, a discount, a package; 0.01 fen as yuan.
fn infos_of_the_seed() -> Value {
    let tiers = |tiers: &[(&str, &str)]| -> Value {
        tiers.iter().map(|(from, price)| json!({ "from": from, "unitPrice": price })).collect()
    };
    json!([
        { "effectiveFrom": "2026-03-02T00:00:00Z", "effectiveUntil": "2026-04-02T00:00:00Z", "definition": { "base": {
            "type": "standard", "description": "五项基本价格", "currency": "CNY", "tariffs": [
                { "resource": "space", "tiers": tiers(&[("0", "0.1480"), ("51200", "0.1450")]) },
                { "resource": "transfer_out", "tiers": tiers(&[("0", "0.29"), ("102400", "0.27")]) },
                { "resource": "bandwidth", "tiers": tiers(&[("0", "30")]) },
                { "resource": "api_get", "per": "1000", "tiers": tiers(&[("0", "0.01")]) },
                { "resource": "api_put", "per": "1000", "tiers": tiers(&[("0", "0.1")]) } ] } } },
        { "effectiveFrom": "2026-03-10T00:00:00Z", "definition": { "discount": {
            "currency": "CNY", "payablePercent": "90", "money": "5" } } },
        { "definition": { "package": { "type": "REWARD", "description": "体验套餐", "quotas": [
            { "resource": "space", "quantity": "10" }, { "resource": "api_get", "quantity": "1000000" } ] } } },
    ])
}

async fn set(client: &Client, input: Value) -> Value {
    client.payload("setPrices", "SetPricesInput", input, RULES).await
}

fn names(rules: &Value) -> Vec<&str> {
    rules.as_array().unwrap().iter().map(|rule| rule["definition"]["__typename"].as_str().unwrap()).collect()
}

async fn in_force(client: &Client, at: &str) -> Vec<String> {
    let query = format!("{{ priceRules(at: \"{at}\") {{ definition {{ __typename }} }} }}");
    let data = client.data(&query).await;
    names(&data["priceRules"]).into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_request_is_set_and_read_back_at_every_edge_of_its_windows() {
    let (server, _) = standing_server().await;
    server.account("uid-1", "0").await;
    let (operator, customer) = (server.operator(), server.customer("uid-1"));
    let input = json!({ "namespace": "uid-1", "infos": infos_of_the_seed(), "idempotencyKey": "set-1" });
    let payload = set(&operator, input).await;
    assert_eq!(payload["userErrors"], json!([]));
    let rules = &payload["rules"];
    assert_eq!(names(rules), ["BasePrice", "Discount", "Package"]);
    let base = &rules[0]["definition"];
    assert_eq!(
        (&base["type"], &base["description"], &base["currency"]),
        (&json!("standard"), &json!("五项基本价格"), &json!("CNY"))
    );
    assert_eq!(
        base["tariffs"][0]["tiers"],
        json!([
        { "from": "0", "unitPrice": "0.148", "flatFee": "0" }, { "from": "51200", "unitPrice": "0.145", "flatFee": "0" } ])
    );
    assert_eq!(
        (&base["tariffs"][3]["resource"]["code"], &base["tariffs"][3]["per"]),
        (&json!("api_get"), &json!("1000"))
    );
    assert_eq!(rules[1]["definition"]["payablePercent"], "90");
    assert_eq!(rules[2]["effectiveFrom"], "2026-03-01T00:00:00Z", "absent is at once");
    assert_eq!(rules[2]["effectiveUntil"], Value::Null, "absent is for ever");

    for (at, expected) in [
        ("2026-02-28T23:59:59.999999Z", &[][..]),
        ("2026-03-01T00:00:00Z", &["Package"]),
        ("2026-03-01T23:59:59.999999Z", &["Package"]),
        ("2026-03-02T00:00:00Z", &["BasePrice", "Package"]),
        ("2026-03-10T00:00:00Z", &["BasePrice", "Discount", "Package"]),
        ("2026-04-01T23:59:59.999999Z", &["BasePrice", "Discount", "Package"]),
        ("2026-04-02T00:00:00Z", &["Discount", "Package"]),
        ("2036-01-01T00:00:00Z", &["Discount", "Package"]),
    ] {
        assert_eq!(in_force(&customer, at).await, expected, "{at}");
    }
    let all = customer.data("{ priceRules { id } account { priceRules { id } } }").await;
    assert_eq!(all["priceRules"].as_array().unwrap().len(), 3);
    assert_eq!(all["priceRules"], all["account"]["priceRules"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_used_again_by_its_id_and_nothing_may_stand_beside_it() {
    let (server, _) = standing_server().await;
    server.account("first", "0").await;
    server.account("second", "0").await;
    let operator = server.operator();
    let input = json!({ "namespace": "first", "infos": infos_of_the_seed(), "idempotencyKey": "1" });
    let rules = set(&operator, input).await["rules"].clone();
    let id = |at: usize| rules[at]["definition"]["id"].clone();
    let by_id = json!([
        { "definition": { "base": { "id": id(0) } } },
        { "definition": { "discount": { "id": id(1) } } },
        { "definition": { "package": { "id": id(2) } } },
    ]);
    let input = json!({ "namespace": "second", "infos": by_id, "idempotencyKey": "2" });
    let again = set(&operator, input).await["rules"].clone();
    for at in 0..3 {
        assert_eq!(again[at]["definition"], rules[at]["definition"]);
        assert_ne!(again[at]["id"], rules[at]["id"]);
    }
    for (definition, code, path) in [
        (json!({ "base": { "id": id(0), "type": "x" } }), "INVALID", "base.id"),
        (json!({ "base": { "id": id(1) } }), "INVALID", "base.id"),
        (json!({ "base": { "id": "prc_999999" } }), "NOT_FOUND", "base.id"),
        (json!({ "discount": { "id": "none" } }), "INVALID", "discount.id"),
    ] {
        let input =
            json!({ "namespace": "second", "infos": [{ "definition": definition }], "idempotencyKey": "3" });
        assert_refused(&set(&operator, input).await, code, &format!("infos.0.definition.{path}"));
    }
}

fn assert_refused(payload: &Value, code: &str, path: &str) {
    let error = &payload["userErrors"][0];
    let told: Vec<_> = error["path"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!((error["code"].as_str(), told.join(".")), (Some(code), format!("input.{path}")), "{payload}");
    assert_eq!(payload["rules"], Value::Null);
}

fn base(currency: &str, price: &str) -> Value {
    json!({ "base": { "currency": currency, "tariffs": [
        { "resource": "transfer_out", "tiers": [{ "from": 0, "unitPrice": price }] } ] } })
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_hold_for_accounts_without_a_base_price_of_their_own() {
    let (server, clock) = standing_server().await;
    server.account("plain", "0").await;
    server.account("special", "0").await;
    let operator = server.operator();
    let discount = json!({ "discount": { "payablePercent": 80 } });
    for (key, input) in [
        (
            "1",
            json!({ "everyone": true, "infos": [{ "definition": base("CNY", "0.29") }, { "definition": base("USD", "0.04") }] }),
        ),
        ("2", json!({ "namespace": "plain", "infos": [{ "definition": discount }] })),
        (
            "3",
            json!({ "namespace": "special", "infos": [
            { "effectiveFrom": "2026-03-02T00:00:00Z", "definition": base("CNY", "0.2") }, { "definition": discount }] }),
        ),
    ] {
        let mut input = input;
        input["idempotencyKey"] = json!(key);
        assert_eq!(set(&operator, input).await["userErrors"], json!([]));
    }
    let (plain, special) = (server.customer("plain"), server.customer("special"));
    // The rule in dollars is no account's here.
    assert_eq!(in_force(&plain, START).await, ["BasePrice", "Discount"]);
    assert_eq!(in_force(&special, START).await, ["BasePrice", "Discount"]);
    let at = "2026-03-02T00:00:00Z";
    let query = format!(
        "{{ priceRules(at: \"{at}\") {{ definition {{ ...on BasePrice {{ tariffs {{ tiers {{ unitPrice }} }} }} }} }} }}"
    );
    let rules = special.data(&query).await["priceRules"].clone();
    assert_eq!(rules[0]["definition"]["tariffs"][0]["tiers"][0]["unitPrice"], "0.2");
    assert_eq!(rules.as_array().unwrap().len(), 2, "its own alone: {rules}");
    clock.set("2026-03-02T00:00:00Z".parse().unwrap());
    let defaults = operator.data("{ priceRules { account { id } createdBy } }").await;
    assert_eq!(defaults["priceRules"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sets_rules_once_and_a_dry_run_never() {
    let (server, _) = standing_server().await;
    server.account("acme", "0").await;
    let operator = server.operator();
    let input = |dry_run: bool, price: &str| {
        let infos = json!([{ "definition": base("CNY", price) }]);
        json!({ "namespace": "acme", "infos": infos, "idempotencyKey": "k", "dryRun": dry_run })
    };
    let tried = set(&operator, input(true, "0.30")).await;
    assert_eq!(tried["rules"][0]["definition"]["tariffs"][0]["tiers"][0]["unitPrice"], "0.3");
    assert_eq!(
        operator.data("{ account(namespace: \"acme\") { priceRules { id } } }").await["account"]["priceRules"],
        json!([])
    );
    let once = set(&operator, input(false, "0.30")).await;
    let again = set(&operator, input(false, "0.3")).await;
    assert_eq!(once["rules"], again["rules"]);
    assert_refused(&set(&operator, input(false, "0.31")).await, "IDEMPOTENCY_KEY_REUSED", "idempotencyKey");
    let rules = operator.data("{ account(namespace: \"acme\") { priceRules { id } } }").await;
    assert_eq!(rules["account"]["priceRules"].as_array().unwrap().len(), 1);
    let held = server.customer("acme").data("{ idempotentResult(key: \"k\") { mutation } }").await;
    assert_eq!(held["idempotentResult"]["mutation"], "setPrices");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_started_rule_is_only_ended_and_never_for_the_past() {
    let (server, clock) = standing_server().await;
    server.account("acme", "0").await;
    let operator = server.operator();
    let infos = json!([
        { "definition": base("CNY", "1") },
        { "effectiveFrom": "2026-05-01T00:00:00Z", "definition": base("CNY", "2") },
    ]);
    let rules = set(&operator, json!({ "namespace": "acme", "infos": infos, "idempotencyKey": "set" })).await
        ["rules"]
        .clone();
    clock.set("2026-03-10T00:00:00Z".parse().unwrap());
    let end = async |key: &str, rule: &Value, until: Option<&str>| {
        let mut input = json!({ "ruleId": rule["id"], "idempotencyKey": key });
        if let Some(until) = until {
            input["effectiveUntil"] = json!(until);
        }
        operator.payload("endPriceRule", "EndPriceRuleInput", input, "rule { effectiveUntil }").await
    };
    let past = end("a", &rules[0], Some("2026-03-09T23:59:59Z")).await;
    assert_eq!(past["userErrors"][0]["code"], "RULE_STARTED");
    assert_eq!(
        end("b", &rules[0], Some("2026-04-01T00:00:00Z")).await["rule"]["effectiveUntil"],
        "2026-04-01T00:00:00Z"
    );
    assert_eq!(end("c", &rules[0], Some("2026-05-01T00:00:00Z")).await["userErrors"][0]["code"], "INVALID");
    assert_eq!(end("d", &rules[0], None).await["rule"]["effectiveUntil"], "2026-03-10T00:00:00Z");
    assert_eq!(
        end("d", &rules[0], None).await["rule"]["effectiveUntil"],
        "2026-03-10T00:00:00Z",
        "once for a key"
    );
    assert_eq!(end("e", &rules[0], None).await["userErrors"][0]["code"], "RULE_STARTED", "it has ended");
    assert_eq!(
        end("f", &rules[1], None).await["rule"]["effectiveUntil"],
        "2026-05-01T00:00:00Z",
        "never in force"
    );
    assert_eq!(in_force(&server.customer("acme"), "2026-05-01T00:00:00Z").await, [""; 0]);
    let absent = end("g", &json!({ "id": "rul_999999" }), None).await;
    assert_eq!(absent["userErrors"][0]["code"], "NOT_FOUND");
    let sql = server.sql().await;
    for change in [
        "DELETE FROM price_rules",
        "UPDATE price_rules SET account_id = NULL",
        "UPDATE price_definitions SET type = ''",
    ] {
        assert!(sql.batch_execute(change).await.is_err(), "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cannot_be_rated_are_refused_with_the_field_that_is_wrong() {
    let (server, _) = standing_server().await;
    server.account("acme", "0").await;
    let operator = server.operator();
    let tariff = |tariff: Value| json!({ "base": { "currency": "CNY", "tariffs": [tariff] } });
    let tiers = |tiers: Value| tariff(json!({ "resource": "space", "tiers": tiers }));
    let ok = json!([{ "from": 0, "unitPrice": 1 }]);
    for (info, code, path) in [
        (json!({ "definition": { "base": { "currency": "CNY" } } }), "REQUIRED", "definition.base.tariffs"),
        (
            json!({ "definition": { "base": { "tariffs": [{ "resource": "space", "tiers": ok }] } } }),
            "REQUIRED",
            "definition.base.currency",
        ),
        (json!({ "definition": base("XXX", "1") }), "INVALID", "definition.base.currency"),
        (json!({ "definition": base("USD", "1") }), "CURRENCY_MISMATCH", "definition.currency"),
        (json!({ "definition": tiers(json!([])) }), "REQUIRED", "definition.base.tariffs.0.tiers"),
        (
            json!({ "definition": tiers(json!([{ "from": 1, "unitPrice": 1 }])) }),
            "INVALID",
            "definition.base.tariffs.0.tiers.0.from",
        ),
        (
            json!({ "definition": tiers(json!([{ "from": 0, "unitPrice": 1 }, { "from": 0, "unitPrice": 1 }])) }),
            "INVALID",
            "definition.base.tariffs.0.tiers.1.from",
        ),
        (
            json!({ "definition": tiers(json!([{ "from": 0, "unitPrice": -1 }])) }),
            "INVALID",
            "definition.base.tariffs.0.tiers.0.unitPrice",
        ),
        (
            json!({ "definition": tiers(json!([{ "from": 0, "unitPrice": 1, "flatFee": "-0.01" }])) }),
            "INVALID",
            "definition.base.tariffs.0.tiers.0.flatFee",
        ),
        (
            json!({ "definition": tariff(json!({ "resource": "space", "per": 0, "tiers": ok })) }),
            "INVALID",
            "definition.base.tariffs.0.per",
        ),
        (
            json!({ "definition": tariff(json!({ "resource": "no such", "tiers": ok })) }),
            "INVALID",
            "definition.base.tariffs.0.resource",
        ),
        (
            json!({ "definition": tariff(json!({ "resource": "none", "tiers": ok })) }),
            "NOT_FOUND",
            "definition.base.tariffs.0.resource",
        ),
        (json!({ "definition": { "discount": {} } }), "REQUIRED", "definition.discount.payablePercent"),
        (
            json!({ "definition": { "discount": { "payablePercent": 101 } } }),
            "INVALID",
            "definition.discount.payablePercent",
        ),
        (json!({ "definition": { "discount": { "money": 5 } } }), "REQUIRED", "definition.discount.currency"),
        (
            json!({ "definition": { "discount": { "money": -5, "currency": "CNY" } } }),
            "INVALID",
            "definition.discount.money",
        ),
        (
            json!({ "definition": { "package": { "money": -5, "currency": "CNY" } } }),
            "INVALID",
            "definition.package.money",
        ),
        (
            json!({ "definition": { "package": { "quotas": [{ "resource": "space", "quantity": -1 }] } } }),
            "INVALID",
            "definition.package.quotas.0.quantity",
        ),
        (
            json!({ "definition": { "discount": { "payablePercent": 9, "description": "x".repeat(1_001) } } }),
            "LIMIT_EXCEEDED",
            "definition.discount.description",
        ),
        (
            json!({ "definition": { "discount": { "payablePercent": 9, "description": "a\0b" } } }),
            "INVALID",
            "definition.discount.description",
        ),
        (
            json!({ "definition": { "discount": { "payablePercent": 9, "type": "a b" } } }),
            "INVALID",
            "definition.discount.type",
        ),
        (
            json!({ "definition": { "package": { "description": "a\0b" } } }),
            "INVALID",
            "definition.package.description",
        ),
        (json!({ "definition": { "package": { "id": "prc_1\0" } } }), "INVALID", "definition.package.id"),
        (
            json!({ "definition": tariff(json!({ "resource": "a\0b", "tiers": ok })) }),
            "INVALID",
            "definition.base.tariffs.0.resource",
        ),
        (
            json!({ "effectiveFrom": "2026-02-01T00:00:00Z", "definition": base("CNY", "1") }),
            "INVALID",
            "effectiveFrom",
        ),
        (json!({ "effectiveUntil": START, "definition": base("CNY", "1") }), "INVALID", "effectiveUntil"),
    ] {
        let infos = json!([{ "definition": base("CNY", "1") }, info]);
        let input = json!({ "namespace": "acme", "infos": infos, "idempotencyKey": "k" });
        assert_refused(&set(&operator, input).await, code, &format!("infos.1.{path}"));
    }
    for (input, code, path) in [
        (json!({ "infos": [] }), "REQUIRED", "accountId"),
        (json!({ "everyone": true, "infos": [] }), "REQUIRED", "infos"),
        (json!({ "everyone": true, "namespace": "acme", "infos": [] }), "INVALID", "everyone"),
        (json!({ "namespace": "nobody", "infos": [] }), "NOT_FOUND", "namespace"),
    ] {
        let mut input = input;
        input["idempotencyKey"] = json!("k");
        assert_refused(&set(&operator, input).await, code, path);
    }
    let rules =
        operator.data("{ account(namespace: \"acme\") { priceRules { id } } priceRules { id } }").await;
    assert_eq!(
        (&rules["account"]["priceRules"], &rules["priceRules"]),
        (&json!([]), &json!([])),
        "nothing is half done"
    );
    let past = json!({ "namespace": "acme", "allowPast": true, "idempotencyKey": "k", "infos": [
        { "effectiveFrom": "2026-02-01T00:00:00Z", "definition": base("CNY", "1") }] });
    assert_eq!(set(&operator, past).await["userErrors"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_explains_itself_and_stores_nothing() {
    let (server, _) = standing_server().await;
    server.account("acme", "0").await;
    let query = "query($input: SimulateChargesInput!) { simulateCharges(input: $input) { total { amount currency } lines {
        title resource { code } quantity amount { amount } steps { label quantity unitPrice factor divisor amount rule { id } } } } }";
    let rules = json!([
        { "base": { "tariffs": [{ "resource": "transfer_out", "tiers": [
            { "from": 0, "unitPrice": "1" }, { "from": 100, "unitPrice": "0.5" }] }] } },
        { "package": { "quotas": [{ "resource": "transfer_out", "quantity": 30 }] } },
        { "discount": { "payablePercent": 90 } },
    ]);
    let usage =
        json!([{ "resource": "transfer_out", "quantity": "150.01" }, { "resource": "space", "quantity": 3 }]);
    let input = json!({ "currency": "CNY", "rules": rules, "usage": usage });
    let (_, answer) = server.customer("acme").post(query, json!({ "input": input })).await;
    let charge = &answer["data"]["simulateCharges"];
    // 70 at 1, 50.01 at 0.5, less a tenth: 85.5045.
    assert_eq!(charge["total"], json!({ "amount": "85.50", "currency": "CNY" }));
    let lines: Vec<_> = charge["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["title"].as_str().unwrap(), line["amount"]["amount"].as_str().unwrap()))
        .collect();
    assert_eq!(
        lines,
        [
            ("transfer_out", "95.005"),
            ("space (UNPRICED)", "0.00"),
            ("discounts", "-9.5005"),
            ("rounding", "-0.0045")
        ]
    );
    let steps = &charge["lines"][0]["steps"];
    assert_eq!(steps[0]["quantity"], "30", "{steps}");
    assert_eq!((&steps[1]["label"], &steps[1]["amount"]), (&json!("above 0 to 100"), &json!("70")));
    assert_eq!(
        (&steps[2]["quantity"], &steps[2]["unitPrice"], &steps[2]["amount"]),
        (&json!("50.01"), &json!("0.5"), &json!("25.005"))
    );
    let rules = server.operator().data("{ priceRules { id } }").await;
    assert_eq!(rules["priceRules"], json!([]));

    for (change, code, message) in [
        (json!({ "currency": "XXX" }), "INVALID", "currency: "),
        (json!({ "scale": 29 }), "INVALID", "scale: "),
        (json!({ "usage": null }), "REQUIRED", "usage: "),
        (json!({ "usage": [{ "resource": "space", "quantity": -1 }] }), "INVALID", "usage.0.quantity: "),
        (json!({ "usage": [{ "resource": "none", "quantity": 1 }] }), "NOT_FOUND", "usage.0.resource: "),
        (
            json!({ "usage": [{ "resource": "space", "quantity": 1 }, { "resource": "space", "quantity": 1 }] }),
            "INVALID",
            "usage.1.resource: ",
        ),
        (json!({ "rules": [base("USD", "1")] }), "CURRENCY_MISMATCH", "rules.0.currency: "),
        (json!({ "rules": [{ "base": { "id": "prc_999999" } }] }), "FORBIDDEN", ""),
    ] {
        let mut wrong = input.clone();
        for (field, value) in change.as_object().unwrap() {
            wrong[field] = value.clone();
        }
        let (_, answer) = server.customer("acme").post(query, json!({ "input": wrong })).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], code, "{change}: {answer}");
        assert!(error["message"].as_str().unwrap().starts_with(message), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_keeps_its_unit_and_aggregation() {
    let server = TestServer::start().await;
    let define = async |unit: &str, name: &str, aggregation: &str| {
        let input = json!({ "code": "gpu", "name": name, "unit": unit, "resourceType": "CLOUD", "aggregation": aggregation });
        server
            .operator()
            .payload("defineResource", "DefineResourceInput", input, "resource { id name }")
            .await
    };
    assert_eq!(define("card", "GPU", "LAST").await["resource"], json!({ "id": "res_gpu", "name": "GPU" }));
    assert_eq!(define("card", "GPUs", "LAST").await["resource"]["name"], "GPUs");
    for wrong in [define("hour", "GPU", "LAST").await, define("card", "GPU", "SUM").await] {
        assert_eq!(wrong["userErrors"][0]["code"], "CONFLICT");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rules_tariffs_and_tiers_than_can_be_kept_are_refused() {
    let (server, _) = standing_server().await;
    server.account("acme", "0").await;
    let operator = server.operator();
    let discount = json!({ "definition": { "discount": { "payablePercent": 90 } } });
    let many = |count: usize| Value::Array(vec![discount.clone(); count]);
    let asked = |infos: Value, key: usize| json!({ "namespace": "acme", "infos": infos, "idempotencyKey": key.to_string() });
    assert_refused(&set(&operator, asked(many(101), 0)).await, "LIMIT_EXCEEDED", "infos");
    let tier = |from: usize| json!({ "from": from, "unitPrice": 1 });
    let tariff = |resource: &str, tiers: usize| json!({ "resource": resource, "tiers": (0..tiers).map(tier).collect::<Vec<_>>() });
    let base = |tariffs: Vec<Value>| json!([{ "definition": { "base": { "currency": "CNY", "tariffs": tariffs } } }]);
    let long = asked(base(vec![tariff("space", 101)]), 0);
    assert_refused(&set(&operator, long).await, "LIMIT_EXCEEDED", "infos.0.definition.base.tariffs.0.tiers");
    let wide = base((0..101).map(|index| tariff(&format!("r{index}"), 1)).collect());
    assert_refused(
        &set(&operator, asked(wide, 0)).await,
        "LIMIT_EXCEEDED",
        "infos.0.definition.base.tariffs",
    );
    let both = base((0..11).map(|index| tariff(&format!("r{index}"), 91)).collect());
    assert_refused(
        &set(&operator, asked(both, 0)).await,
        "LIMIT_EXCEEDED",
        "infos.0.definition.base.tariffs",
    );
    for key in 1..=10 {
        assert_eq!(set(&operator, asked(many(100), key)).await["userErrors"], json!([]));
    }
    assert_refused(&set(&operator, asked(many(1), 11)).await, "LIMIT_EXCEEDED", "infos");
    let rules = operator.data("{ account(namespace: \"acme\") { priceRules { id } } }").await;
    assert_eq!(rules["account"]["priceRules"].as_array().unwrap().len(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_simulates_an_accounts_past_period_and_names_it_whole() {
    let (server, _) = standing_server().await;
    let account = server.account("acme", "0").await;
    let query =
        "query($input: SimulateChargesInput!) { simulateCharges(input: $input) { total { amount } } }";
    let rules = json!([{ "package": { "money": "9.90" } }]);
    let good = json!({ "currency": "CNY", "rules": rules, "accountId": account,
        "startTime": "2026-02-01T00:00:00Z", "endTime": START });
    // Nothing is metered yet: what is left is what a package costs without any usage.
    let (_, answer) = server.operator().post(query, json!({ "input": good })).await;
    assert_eq!(answer["data"]["simulateCharges"]["total"]["amount"], "9.90", "{answer}");
    for (field, value, code, message) in [
        ("usage", json!([]), "INVALID", "accountId: "),
        ("startTime", Value::Null, "REQUIRED", "startTime: "),
        ("endTime", Value::Null, "REQUIRED", "endTime: "),
        ("endTime", json!("2026-02-01T00:00:00Z"), "INVALID", "endTime: "),
        ("endTime", json!("2026-03-01T00:00:01Z"), "INVALID", "endTime: "),
        ("accountId", json!("acc_999999"), "NOT_FOUND", "accountId: "),
        ("accountId", json!("acme"), "INVALID", "accountId: "),
        ("rules", Value::Array(vec![rules[0].clone(); 101]), "LIMIT_EXCEEDED", "rules: "),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        let (_, answer) = server.operator().post(query, json!({ "input": wrong })).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], code, "{field}: {answer}");
        assert!(error["message"].as_str().unwrap().starts_with(message), "{answer}");
    }
}
