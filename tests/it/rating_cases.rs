//! Worked examples of other billing systems' price lists (tests/cases/rating.json): every figure must come out, by the
//! rating code and through the API.

use abacus::domain::price_rule::{Discount, Package, PackageType, Quota, Tariff, Terms, Tier, TierMode};
use abacus::domain::rating::{Charge, Part, Quantity, RuleInForce, Usage, rate, total};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::TestServer;

fn cases(text: &str, list: Option<&str>) -> Vec<Value> {
    let parsed: Value = serde_json::from_str(text).unwrap();
    let cases = list.map_or(&parsed, |list| &parsed[list]).as_array().unwrap().clone();
    assert!(!cases.is_empty(), "a file of cases is empty");
    cases
}

fn rating_cases() -> Vec<Value> {
    cases(include_str!("../cases/rating.json"), None)
}

fn out_of_range_cases() -> Vec<Value> {
    cases(include_str!("../cases/out_of_range.json"), Some("rating"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().into_iter().flatten().map(read).collect()
}

fn tariff(value: &Value) -> Tariff {
    Tariff {
        resource: text(&value["resource"]),
        mode: TierMode::from_code(value["mode"].as_str().unwrap()).unwrap(),
        per: decimal(&value["per"]),
        round_up: value["roundUp"].as_bool().unwrap(),
        tiers: list(&value["tiers"], |tier| Tier {
            from: decimal(&tier["from"]),
            unit_price: decimal(&tier["unitPrice"]),
            flat_fee: decimal(&tier["flatFee"]),
        }),
    }
}

fn terms(rule: &Value) -> Terms {
    let optional = |value: &Value| (!value.is_null()).then(|| decimal(value));
    if let Some(base) = rule.get("base") {
        return Terms::Base(list(&base["tariffs"], tariff));
    }
    if let Some(discount) = rule.get("discount") {
        return Terms::Discount(Discount {
            money: optional(&discount["money"]),
            payable_percent: optional(&discount["payablePercent"]),
        });
    }
    let package = &rule["package"];
    Terms::Package(Package {
        package_type: PackageType::from_code(package["type"].as_str().unwrap()).unwrap(),
        money: decimal(&package["money"]),
        quotas: list(&package["quotas"], |quota| Quota {
            resource: text(&quota["resource"]),
            quantity: decimal(&quota["quantity"]),
        }),
    })
}

/// A case as the rating code takes it: its rules, its usage, the places of its total.
struct Case {
    id: String,
    terms: Vec<Terms>,
    usage: Vec<(String, Decimal)>,
    places: u32,
    total: Decimal,
}

impl Case {
    fn read(value: &Value) -> Self {
        Self {
            id: text(&value["id"]),
            terms: list(&value["rules"], terms),
            usage: list(&value["usage"], |used| (text(&used["resource"]), decimal(&used["quantity"]))),
            places: u32::try_from(value["scale"].as_u64().unwrap()).unwrap(),
            // Of more digits than a decimal holds, where that is the point of the case.
            total: value["total"].as_str().unwrap().parse().unwrap_or_default(),
        }
    }

    fn parts(&self) -> [Part<'_>; 1] {
        let rules = self.terms.iter().zip(0..).map(|(terms, order)| RuleInForce { id: None, order, terms });
        [Part { seconds: 1, rules: rules.collect() }]
    }

    fn usage(&self) -> Vec<Usage> {
        let usage = self.usage.iter().cloned();
        usage.map(|(resource, used)| Usage { resource, quantity: Quantity::Summed(vec![used]) }).collect()
    }

    fn rate(&self) -> Option<Charge> {
        rate(&self.parts(), &self.usage(), self.places).ok()
    }
}

/// The sum of every step.
fn sum_of_steps(charge: &Charge) -> Decimal {
    charge.lines.iter().flat_map(|line| &line.steps).map(|step| step.amount).sum()
}

#[test]
fn every_worked_example_comes_out_to_the_last_digit() {
    let mut wrong = Vec::new();
    for value in rating_cases() {
        let case = Case::read(&value);
        let Some(charge) = case.rate() else {
            wrong.push(format!("{}: expected {}, refused", case.id, case.total));
            continue;
        };
        let lines: Decimal = charge.lines.iter().map(|line| line.amount).sum();
        if (charge.total, charge.total.scale()) != (case.total, case.places) {
            wrong.push(format!("{}: expected {}, computed {}", case.id, case.total, charge.total));
        }
        if sum_of_steps(&charge) != case.total || lines != case.total {
            wrong.push(format!("{}: the steps sum to {}", case.id, sum_of_steps(&charge)));
        }
        if total(&case.parts(), &case.usage(), case.places) != Ok(case.total) {
            wrong.push(format!("{}: without steps the total is another", case.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_answer_of_more_digits_than_can_be_kept_is_refused() {
    for value in out_of_range_cases() {
        let case = Case::read(&value);
        assert_eq!(case.rate(), None, "{}", case.id);
    }
}

/// A server that knows every resource that the cases name.
async fn server_with_resources() -> TestServer {
    let server = TestServer::start().await;
    let mut codes = std::collections::BTreeSet::new();
    for case in rating_cases().iter().chain(&out_of_range_cases()) {
        let tariffs =
            list(&case["rules"], |rule| list(&rule["base"]["tariffs"], |tariff| text(&tariff["resource"])));
        let quotas =
            list(&case["rules"], |rule| list(&rule["package"]["quotas"], |quota| text(&quota["resource"])));
        codes.extend(tariffs.into_iter().chain(quotas).flatten());
        codes.extend(list(&case["usage"], |used| text(&used["resource"])));
    }
    let there = server.operator().data("{ resources { code } }").await;
    let there = list(&there["resources"], |resource| text(&resource["code"]));
    for code in codes.iter().filter(|code| !there.contains(code)) {
        let input = json!({ "code": code, "name": code, "unit": "unit", "resourceType": "CLOUD", "aggregation": "SUM" });
        let payload = server
            .operator()
            .mutate("defineResource", "DefineResourceInput", input, "resource { code }")
            .await;
        assert_eq!(payload["resource"]["code"], json!(code));
    }
    server
}

const SIMULATE: &str = "query($input: SimulateChargesInput!) { simulateCharges(input: $input) {
    total { amount currency } lines { amount { amount } steps { amount } } } }";

/// As it goes into SimulateChargesInput, field for field.
fn input_of(case: &Value) -> Value {
    let field = |name: &str| case[name].clone();
    json!({ "currency": field("currency"), "scale": field("scale"), "rules": field("rules"), "usage": field("usage") })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_every_worked_example_to_the_last_digit() {
    let server = server_with_resources().await;
    let mut wrong = Vec::new();
    for case in rating_cases() {
        let (_, answer) = server.operator().post(SIMULATE, json!({ "input": input_of(&case) })).await;
        let charge = &answer["data"]["simulateCharges"];
        let expected = decimal(&case["total"]);
        let steps = list(&charge["lines"], |line| list(&line["steps"], |step| decimal(&step["amount"])));
        let lines: Decimal =
            list(&charge["lines"], |line| decimal(&line["amount"]["amount"])).into_iter().sum();
        let total = charge["total"]["amount"].as_str().and_then(|amount| amount.parse::<Decimal>().ok());
        if total != Some(expected)
            || lines != expected
            || steps.into_iter().flatten().sum::<Decimal>() != expected
        {
            wrong.push(format!("{}: expected {expected}, answered {answer}", case["id"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for case in out_of_range_cases() {
        let (_, answer) = server.operator().post(SIMULATE, json!({ "input": input_of(&case) })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "OUT_OF_RANGE", "{}: {answer}", case["id"]);
    }
}
