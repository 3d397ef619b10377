//! Mutations that create something: the same key with the same input creates it once.

use abacus::clock::Clock;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::life::Life;
use crate::support::{Client, TestServer};

/// What each creates, and a field of its input with another value.
struct Creation {
    mutation: &'static str,
    input: Value,
    fields: &'static str,
    another: (&'static str, Value),
    is_customers: bool,
}

fn creations() -> Vec<Creation> {
    let price = |price: &str| {
        json!([{ "resource": "app_cpu", "currency": "USD", "level": 0, "price": price, "unit": "u",
            "multiplier": "2592000000" }])
    };
    vec![
        Creation {
            mutation: "createAccount",
            input: json!({ "namespace": "new", "name": "n", "currency": "CNY", "manager": { "name": "m" } }),
            fields: "account { id }",
            another: ("name", json!("another")),
            is_customers: false,
        },
        Creation {
            mutation: "createPlan",
            input: json!({ "name": "n", "type": "C", "resourceType": "CLOUD", "billPeriod": "MONTH", "description": "d",
                "price": { "amount": "1", "currency": "CNY" }, "resources": [{ "resource": "app_cpu", "amount": "1" }] }),
            fields: "plan { id }",
            another: ("price", json!({ "amount": "2", "currency": "CNY" })),
            is_customers: false,
        },
        Creation {
            mutation: "setResourcePrices",
            input: json!({ "prices": price("7") }),
            fields: "prices { id }",
            another: ("prices", price("8")),
            is_customers: false,
        },
        Creation {
            mutation: "setExchangeRate",
            input: json!({ "base": "ANKR_ERC20", "quote": "USD", "rate": "0.03", "source": "s" }),
            fields: "exchangeRate { rate observedAt }",
            another: ("rate", json!("0.04")),
            is_customers: false,
        },
        Creation {
            mutation: "addPaymentMethod",
            input: json!({ "providerToken": "pm_card_visa" }),
            fields: "paymentMethod { id }",
            another: ("providerToken", json!("pm_card_mastercard")),
            is_customers: true,
        },
        Creation {
            mutation: "quotePrepay",
            input: json!({ "asset": "ANKR_ERC20", "clusterId": "c", "chartName": "c", "cpuLimit": 1000, "memLimit": 0,
                "storageLimit": 0, "period": 1 }),
            fields: "quote { id amount usd rate { rate } steps { label } expiresAt }",
            another: ("period", json!(2)),
            is_customers: true,
        },
    ]
}

fn input_type(mutation: &str) -> String {
    format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..])
}

fn with(input: &Value, field: &str, value: Value) -> Value {
    let mut input = input.clone();
    input[field] = value;
    input
}

async fn create(client: &Client, creation: &Creation, input: Value) -> Value {
    client.mutate(creation.mutation, &input_type(creation.mutation), input, creation.fields).await
}

async fn standing_life() -> (Life, Clock) {
    let life = Life::begin("2026-03-01T10:00:00Z", "0").await;
    let clock = life.clock.clone();
    let rate = json!({ "base": "ANKR_ERC20", "quote": "USD", "rate": "0.05", "source": "before" });
    life.operator.mutate("setExchangeRate", "SetExchangeRateInput", rate, "exchangeRate { rate }").await;
    (life, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_creates_once_and_answers_what_it_made() {
    let (life, clock) = standing_life().await;
    for creation in creations() {
        let client = if creation.is_customers { &life.customer } else { &life.operator };
        let input = with(&creation.input, "idempotencyKey", json!(creation.mutation));
        let made = create(client, &creation, input.clone()).await;
        let contents = life.server.contents().await;
        clock.set(clock.now() + TimeDelta::minutes(1));
        assert_eq!(create(client, &creation, input).await, made, "{}", creation.mutation);
        life.server.assert_holds_still(&contents).await;
    }
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_refused_for_another_input_and_for_another_mutation() {
    let (life, _) = standing_life().await;
    for creation in creations() {
        let client = if creation.is_customers { &life.customer } else { &life.operator };
        let input = with(&creation.input, "idempotencyKey", json!(creation.mutation));
        create(client, &creation, input.clone()).await;
        let (field, value) = &creation.another;
        let contents = life.server.contents().await;
        let reused = ("IDEMPOTENCY_KEY_REUSED".to_owned(), "input.idempotencyKey".to_owned());
        let another = with(&input, field, value.clone());
        let found = client.refusal(creation.mutation, &input_type(creation.mutation), another).await;
        assert_eq!(found, reused, "{}", creation.mutation);
        for other in creations().into_iter().filter(|other| other.mutation != creation.mutation) {
            if other.is_customers == creation.is_customers {
                let input = with(&other.input, "idempotencyKey", json!(creation.mutation));
                let found = client.refusal(other.mutation, &input_type(other.mutation), input).await;
                assert_eq!(found, reused, "{} after {}", other.mutation, creation.mutation);
            }
        }
        life.server.assert_holds_still(&contents).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_callers_who_use_a_key_at_once_all_are_told_of_the_same() {
    let (life, _) = standing_life().await;
    for creation in creations() {
        let client = if creation.is_customers { &life.customer } else { &life.operator };
        let input = with(&creation.input, "idempotencyKey", json!(creation.mutation));
        let all = (0..8).map(|_| create(client, &creation, input.clone()));
        let made = futures_util::future::join_all(all).await;
        assert!(made.iter().all(|other| *other == made[0]), "{}: {made:#?}", creation.mutation);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_it_is_done_as_often_as_it_is_asked_for() {
    let server = TestServer::start().await;
    let plan = creations().swap_remove(1);
    let input = with(&plan.input, "resources", json!(null));
    let first = create(&server.operator(), &plan, input.clone()).await;
    let second = create(&server.operator(), &plan, input).await;
    assert_ne!(first["plan"]["id"], second["plan"]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_that_are_written_otherwise_and_nulls_are_the_same_input() {
    let (life, _) = standing_life().await;
    let rate = |rate: Value, observed: Value| {
        json!({ "base": "ANKR_ERC20", "quote": "USD", "rate": rate, "source": "s", "observedAt": observed,
            "idempotencyKey": "k" })
    };
    let fields = "exchangeRate { rate observedAt }";
    let set =
        async |input| life.operator.mutate("setExchangeRate", "SetExchangeRateInput", input, fields).await;
    let mut without = rate(json!("2"), json!(null));
    without.as_object_mut().unwrap().remove("observedAt");
    let first = set(without).await;
    assert_eq!(set(rate(json!("2.00"), json!(null))).await, first);
    assert_eq!(set(rate(json!(2), json!(null))).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_a_key_that_was_used_before_its_column_came_are_answered() {
    let (life, _) = standing_life().await;
    let input = json!({ "everyone": true, "idempotencyKey": "old",
        "infos": [{ "definition": { "discount": { "payablePercent": "90" } } }] });
    let set =
        async || life.operator.mutate("setPrices", "SetPricesInput", input.clone(), "rules { id }").await;
    let made = set().await;
    let sql = life.server.sql().await;
    let as_before =
        "UPDATE idempotency_keys SET price_rule_ids = ARRAY[substr(created->>0, 5)::bigint], created = NULL
        WHERE key = 'old'";
    assert_eq!(sql.execute(as_before, &[]).await.unwrap(), 1);
    assert_eq!(set().await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_card_was_removed_since_does_not_answer_it() {
    let (life, _) = standing_life().await;
    let input = json!({ "providerToken": "pm_card_visa", "idempotencyKey": "k" });
    let fields = "paymentMethod { id }";
    let added =
        life.customer.mutate("addPaymentMethod", "AddPaymentMethodInput", input.clone(), fields).await;
    let removing = json!({ "paymentMethodId": added["paymentMethod"]["id"] });
    life.customer.mutate("removePaymentMethod", "RemovePaymentMethodInput", removing, fields).await;
    let found = life.customer.refusal("addPaymentMethod", "AddPaymentMethodInput", input).await;
    assert_eq!(found, ("NOT_FOUND".to_owned(), "input.idempotencyKey".to_owned()));
}
