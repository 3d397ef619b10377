//! What a request says is known to be right before any of it is executed, what may be null is where it fails, and pages,
//! costs and keys are counted as they are told.

use abacus::graphql::Limits;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, TestServer};

/// Sends a document with the name of the operation to run.
async fn run(client: &Client, query: &str, operation: Option<&str>, variables: Value) -> Value {
    let body = json!({ "query": query, "operationName": operation, "variables": variables });
    let answer = client.request(Method::POST, "/graphql").json(&body).send().await.expect("an answer");
    answer.json().await.expect("the answer is JSON")
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none")
}

fn message(answer: &Value) -> &str {
    answer["errors"][0]["message"].as_str().unwrap_or_default()
}

// ── nothing is executed before all is known to be right ──

#[tokio::test]
async fn a_wrong_variable_of_a_later_field_executes_nothing() {
    let server = TestServer::start().await;
    server.account("tenant", "100").await;
    let customer = server.customer("tenant");
    let query = "mutation($a: RechargeInput!, $b: Decimal!, $key: String!) {
        first: recharge(input: $a) { transaction { id } }
        second: recharge(input: { amount: $b, idempotencyKey: $key }) { transaction { id } } }";
    let variables = |number: usize, amount: Value| json!({ "a": { "amount": "1", "idempotencyKey": format!("a{number}") }, "b": amount, "key": format!("b{number}") });
    // Valid once, so that the document is known.
    let (_, answer) = customer.post(query, variables(0, json!("2"))).await;
    assert!(answer["data"]["second"]["transaction"]["id"].is_string(), "{answer:#}");
    let contents = server.contents().await;
    let wrong =
        [json!("1e2"), json!(1.5), json!(true), json!(["5"]), json!({ "a": 5 }), json!(null), json!("")];
    for (number, amount) in wrong.into_iter().enumerate() {
        let (_, answer) = customer.post(query, variables(number + 1, amount.clone())).await;
        assert_eq!(code(&answer), "BAD_REQUEST", "{amount}");
        assert!(answer["data"].is_null() && message(&answer).contains("\"b\""), "{amount}: {answer:#}");
        assert!(answer["errors"][0]["locations"][0]["line"].is_number(), "{answer:#}");
    }
    let mut absent = variables(99, json!("1"));
    absent.as_object_mut().unwrap().remove("b");
    let (_, answer) = customer.post(query, absent).await;
    assert!(answer["data"].is_null() && message(&answer).contains("\"b\": is required"), "{answer:#}");
    server.assert_holds_still(&contents).await;
}

/// The inputs of the schema.
struct Inputs(Vec<Value>);

/// Where a value stands in an input, and its type.
type Place = (String, Value);

impl Inputs {
    async fn of(client: &Client) -> Self {
        let query = "{ __schema { types { name kind isOneOf enumValues { name } fields { name args { name type { ...T } } }
                inputFields { name defaultValue type { ...T } } } } }
            fragment T on __Type { name kind ofType { name kind ofType { name kind ofType { name kind } } } }";
        Self(client.data(query).await["__schema"]["types"].as_array().unwrap().clone())
    }

    fn named(&self, name: &Value) -> &Value {
        self.0.iter().find(|found| found["name"] == *name).expect("a type")
    }

    fn mutations(&self) -> Vec<(String, Value)> {
        let fields = self.named(&json!("Mutation"))["fields"].as_array().unwrap();
        let input = |field: &Value| {
            (field["name"].as_str().unwrap().to_owned(), field["args"][0]["type"]["ofType"]["name"].clone())
        };
        fields.iter().map(input).collect()
    }

    /// A whole input that can be read, with the choice of that number wherever exactly one of several is to be made.
    fn sample(&self, of: &Value, choice: usize) -> Value {
        match of["kind"].as_str().unwrap() {
            "NON_NULL" => self.sample(&of["ofType"], choice),
            "LIST" => json!([self.sample(&of["ofType"], choice)]),
            "ENUM" => self.named(&of["name"])["enumValues"][0]["name"].clone(),
            "INPUT_OBJECT" => {
                let fields = self.fields(&of["name"], choice);
                let sample = |field: &Value| {
                    (field["name"].as_str().unwrap().to_owned(), self.sample(&field["type"], choice))
                };
                Value::Object(fields.iter().map(sample).collect())
            }
            _ => match of["name"].as_str().unwrap() {
                "Int" => json!(1),
                "Boolean" => json!(true),
                "Decimal" => json!("1.5"),
                "DateTime" => json!("2026-11-21T04:48:01Z"),
                "Date" => json!("2026-11-21"),
                "CurrencyCode" => json!("USD"),
                "ID" | "String" => json!("x"),
                other => panic!("no sample of the scalar {other}"),
            },
        }
    }

    fn fields(&self, input: &Value, choice: usize) -> Vec<Value> {
        let input = self.named(input);
        let fields = input["inputFields"].as_array().unwrap();
        if input["isOneOf"] == true { vec![fields[choice % fields.len()].clone()] } else { fields.clone() }
    }

    /// Every place in a sample, as a JSON pointer.
    fn places(&self, of: &Value, choice: usize, at: &str, found: &mut Vec<Place>) {
        found.push((at.to_owned(), of.clone()));
        let named = if of["kind"] == "NON_NULL" { &of["ofType"] } else { of };
        match named["kind"].as_str().unwrap() {
            "LIST" => self.places(&named["ofType"], choice, &format!("{at}/0"), found),
            "INPUT_OBJECT" => {
                for field in self.fields(&named["name"], choice) {
                    let at = format!("{at}/{}", field["name"].as_str().unwrap());
                    self.places(&field["type"], choice, &at, found);
                }
            }
            _ => {}
        }
    }

    /// What cannot be read at a place of that type.
    fn wrong(&self, of: &Value) -> Vec<Value> {
        let mut wrong = match of["kind"].as_str().unwrap() {
            "NON_NULL" => {
                let mut wrong = self.wrong(&of["ofType"]);
                wrong.push(json!(null));
                return wrong;
            }
            // What stands for the only thing of the list.
            "LIST" => {
                return self
                    .wrong(&of["ofType"])
                    .into_iter()
                    .filter(|value| !value.is_array() && !value.is_null())
                    .collect();
            }
            "ENUM" => vec![json!("NOTHING"), json!("nothing"), json!(7)],
            "INPUT_OBJECT" => vec![json!({ "nothing": 1 }), json!("x"), json!(7), json!([])],
            _ => match of["name"].as_str().unwrap() {
                "Int" => vec![json!(1.5), json!(2_147_483_648_i64), json!(-2_147_483_649_i64), json!("1")],
                "Boolean" => vec![json!("true"), json!(1)],
                "Decimal" => vec![json!("1e2"), json!(1.5), json!(true)],
                "DateTime" => vec![json!("yesterday"), json!(5), json!("2026-02-30T00:00:00Z")],
                "Date" => vec![json!("2026-02-30"), json!(5)],
                "CurrencyCode" => vec![json!("us dollars"), json!(7)],
                "ID" => vec![json!(1.5), json!(true)],
                "String" => vec![json!(7), json!(true)],
                other => panic!("nothing wrong with the scalar {other}"),
            },
        };
        wrong.push(json!([["x"]]));
        wrong.push(json!({ "a": "x" }));
        wrong
    }

    /// A value as a document has it.
    fn literal(&self, of: &Value, value: &Value) -> String {
        match (of["kind"].as_str().unwrap_or("NONE"), value) {
            ("NON_NULL", value) => self.literal(&of["ofType"], value),
            ("LIST", Value::Array(items)) => {
                let items: Vec<_> = items.iter().map(|item| self.literal(&of["ofType"], item)).collect();
                format!("[{}]", items.join(", "))
            }
            ("LIST", one) => self.literal(&of["ofType"], one),
            ("ENUM", Value::String(name)) => name.clone(),
            (_, Value::Array(items)) => {
                let items: Vec<_> = items.iter().map(|item| self.literal(&json!({}), item)).collect();
                format!("[{}]", items.join(", "))
            }
            (_, Value::Object(fields)) => {
                let types = if of["kind"] == "INPUT_OBJECT" {
                    self.named(&of["name"])["inputFields"].as_array().unwrap().clone()
                } else {
                    Vec::new()
                };
                let field = |(name, value): (&String, &Value)| {
                    let known = types.iter().find(|field| field["name"] == **name);
                    let of = known.map_or(json!({}), |field| field["type"].clone());
                    format!("{name}: {}", self.literal(&of, value))
                };
                format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
            }
            (_, value) => value.to_string(),
        }
    }
}

/// A mutation that would give 1.00 before it is asked for another one.
fn after_a_recharge(variables: &str, second: &str) -> String {
    format!(
        "mutation{variables} {{ first: recharge(input: {{ namespace: \"tenant\", amount: \"1\", idempotencyKey: \"first\" }}) {{ userErrors {{ code }} }}
            {second} }}"
    )
}

#[tokio::test]
async fn a_wrong_value_anywhere_in_a_later_field_executes_nothing() {
    let server = TestServer::start().await;
    server.account("tenant", "100").await;
    let operator = server.operator();
    let inputs = Inputs::of(&operator).await;
    let mutations = inputs.mutations();
    assert!(mutations.len() > 25, "{}", mutations.len());
    let contents = server.contents().await;
    let (mut tried, mut failed) = (0, Vec::new());
    for (mutation, input) in &mutations {
        let of = json!({ "kind": "NON_NULL", "ofType": { "kind": "INPUT_OBJECT", "name": input } });
        let by_variable = after_a_recharge(
            &format!("($input: {}!)", input.as_str().unwrap()),
            &format!("second: {mutation}(input: $input) {{ __typename }}"),
        );
        for choice in 0..3 {
            let sample = inputs.sample(&of, choice);
            let mut places = Vec::new();
            inputs.places(&of, choice, "", &mut places);
            // What hangs on a choice differs in it alone.
            places.retain(|(at, _)| choice == 0 || at.contains("/definition/"));
            for (at, of_place) in &places {
                for wrong in inputs.wrong(of_place) {
                    let mut bad = sample.clone();
                    *bad.pointer_mut(at).unwrap() = wrong.clone();
                    let literal = inputs.literal(&of, &bad);
                    let by_literal = after_a_recharge(
                        "",
                        &format!("second: {mutation}(input: {literal}) {{ __typename }}"),
                    );
                    let named = format!("\"input{}", at.replace('/', "."));
                    for (query, variables) in
                        [(&by_variable, json!({ "input": bad })), (&by_literal, json!({}))]
                    {
                        let (_, answer) = operator.post(query, variables).await;
                        if code(&answer) != "BAD_REQUEST"
                            || !answer["data"].is_null()
                            || !message(&answer).contains(&named)
                        {
                            failed.push(format!("{mutation} {at}: {wrong}: {answer}"));
                        }
                        tried += 1;
                    }
                }
            }
            // A sample on its own is read: what was refused above was refused for what is wrong in it.
            let alone = by_variable.replace("first: recharge", "first: nothing");
            let (_, answer) = operator.post(&alone, json!({ "input": sample })).await;
            assert!(!message(&answer).contains("Invalid value"), "{mutation}: {answer:#}");
        }
    }
    assert!(failed.is_empty(), "{} of {tried}: {:#?}", failed.len(), &failed[..failed.len().min(20)]);
    assert!(tried > 2_000, "{tried}");
    server.assert_holds_still(&contents).await;
}

#[tokio::test]
async fn what_is_missing_or_null_where_it_may_not_be_executes_nothing() {
    let server = TestServer::start().await;
    server.account("tenant", "100").await;
    let operator = server.operator();
    let contents = server.contents().await;
    let base = "type: \"t\", currency: \"USD\", tariffs: [{ resource: \"cpu\", tiers: [{ from: 0, unitPrice: \"1\" }] }]";
    let rule = |definition: &str| {
        format!(
            "setPrices(input: {{ everyone: true, infos: [{{ definition: {definition} }}], idempotencyKey: \"k\" }}) {{ __typename }}"
        )
    };
    for (variables, second, values) in [
        // A default does not make null right where it stands.
        (
            "($quantity: Int = 1)",
            "checkout(input: { planId: \"x\", quantity: $quantity, idempotencyKey: \"k\" }) { __typename }",
            json!({ "quantity": null }),
        ),
        (
            "($first: Boolean = true)",
            "refund(input: { transactionId: \"x\", reason: \"r\", idempotencyKey: \"k\", dryRun: $first }) { __typename }",
            json!({ "first": null }),
        ),
        ("", "checkout(input: { idempotencyKey: \"k\" }) { __typename }", json!({})),
        ("", "checkout { __typename }", json!({})),
        (
            "($skip: Boolean = true)",
            "checkout(input: { planId: \"x\", idempotencyKey: \"k\" }) { __typename @skip(if: $skip) }",
            json!({ "skip": null }),
        ),
        (
            "($n: Int = 1.5)",
            "checkout(input: { planId: \"x\", quantity: $n, idempotencyKey: \"k\" }) { __typename }",
            json!({}),
        ),
        // Exactly one, and not null.
        ("", &rule("{}"), json!({})),
        ("", &rule("{ base: null }"), json!({})),
        ("", &rule(&format!("{{ base: {{ {base} }}, discount: null }}")), json!({})),
        ("", &rule(&format!("{{ base: {{ {base} }}, discount: {{ money: 1 }} }}")), json!({})),
        ("($base: BasePriceInput)", &rule("{ base: $base }"), json!({})),
        ("($base: BasePriceInput)", &rule("{ base: $base }"), json!({ "base": null })),
    ] {
        let query = after_a_recharge(variables, second);
        for _ in 0..2 {
            let (_, answer) = operator.post(&query, values.clone()).await;
            assert_eq!(code(&answer), "BAD_REQUEST", "{query}: {answer:#}");
            assert!(answer["data"].is_null(), "{query}");
        }
    }
    server.assert_holds_still(&contents).await;
}

#[tokio::test]
async fn the_defaults_of_variables_hold_everywhere() {
    let server = TestServer::start().await;
    server.account("tenant", "100").await;
    let customer = server.customer("tenant");
    let query = "query($skip: Boolean! = true, $name: String = \"tenant\", $first: Int = 1) {
        viewer { role subject @skip(if: $skip) } account(namespace: $name) { namespace }
        plans(first: $first) { nodes { id } } }";
    server.plan("A", "1").await;
    server.plan("B", "2").await;
    for _ in 0..2 {
        let (_, answer) = customer.post(query, json!({})).await;
        assert_eq!(answer["data"]["viewer"], json!({ "role": "CUSTOMER" }), "{answer:#}");
        assert_eq!(answer["data"]["account"]["namespace"], "tenant");
        assert_eq!(answer["data"]["plans"]["nodes"].as_array().unwrap().len(), 1);
        let (_, answer) = customer.post(query, json!({ "skip": false, "name": null, "first": null })).await;
        assert_eq!(answer["data"]["viewer"]["subject"], "tenant", "{answer:#}");
        assert_eq!(answer["data"]["plans"]["nodes"].as_array().unwrap().len(), 2);
    }
}

// ── variables that are absent, operations that are not run ──

#[tokio::test]
async fn a_page_by_a_variable_that_is_absent_is_the_usual_page() {
    let server = TestServer::start().await;
    let account = server.account("tenant", "100").await;
    server.plan("A", "1").await;
    let customer = server.customer("tenant");
    let lists = [
        "accounts",
        "plans",
        "orders",
        "bills",
        "records",
        "prepayments",
        "invoices",
        "licenses",
        "transactions",
        "ledger",
    ];
    let window = "startTime: \"2026-01-01T00:00:00Z\", endTime: \"2027-01-01T00:00:00Z\"";
    let mut fields: Vec<String> = lists.iter().map(|list| format!("{list}(ARGS) {{ totalCount }}")).collect();
    fields.push(format!("rechargeRecords({window}, ARGS) {{ totalCount }}"));
    fields.push("pricing { prices(ARGS) { totalCount } }".to_owned());
    for list in
        ["subAccounts", "orders", "bills", "records", "prepayments", "invoices", "transactions", "ledger"]
    {
        fields.push(format!("account {{ {list}(ARGS) {{ totalCount }} }}"));
    }
    fields.push(format!("account {{ rechargeRecords({window}, ARGS) {{ totalCount }} }}"));
    fields.push(
        "account { orders { nodes { bills(ARGS) { totalCount } records(ARGS) { totalCount } } } }".to_owned(),
    );
    for field in &fields {
        for (variables, arguments) in [
            ("$m: Int", "first: $m"),
            ("$m: Int", "last: $m"),
            ("$m: Int, $n: Int", "first: $m, last: $n"),
            ("$a: String, $b: String, $c: Int", "after: $a, before: $b, offset: $c"),
        ] {
            let query = format!("query B({variables}) {{ {} }}", field.replace("ARGS", arguments));
            let plain = customer.data(&format!("{{ {} }}", field.replace("ARGS", "first: 10"))).await;
            for _ in 0..2 {
                let (_, answer) = customer.post(&query, json!({})).await;
                assert_eq!(answer, json!({ "data": plain }), "{query}");
            }
        }
    }
    let query = "query($m: Int, $n: Int) { plans(first: $m, last: $n) { nodes { name } } }";
    for variables in
        [json!({ "n": 1 }), json!({ "m": 1 }), json!({ "m": 1, "n": null }), json!({ "m": null, "n": 1 })]
    {
        let (_, answer) = customer.post(query, variables.clone()).await;
        assert_eq!(answer["data"]["plans"]["nodes"], json!([{ "name": "A" }]), "{variables}");
    }
    let (_, answer) = customer.post("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({})).await;
    assert!(message(&answer).contains("\"ids\": is required"), "{answer:#}");
    let (_, answer) = customer
        .post(&format!("query($id: ID! = \"{account}\") {{ nodes(ids: [$id]) {{ __typename }} }}"), json!({}))
        .await;
    assert_eq!(answer["data"]["nodes"], json!([{ "__typename": "Account" }]));
}

#[tokio::test]
async fn an_operation_that_is_not_run_asks_for_nothing() {
    let server = TestServer::start().await;
    let account = server.account("tenant", "100").await;
    let customer = server.customer("tenant");
    let document =
        "query A($id: ID!, $same: Int!) { node(id: $id) { ...Of } accounts(first: $same) { totalCount } }
        query B { viewer { role } }
        query C($same: String!) { account(namespace: $same) { ...Of } }
        mutation D($input: RechargeInput!) { recharge(input: $input) { transaction { id } } }
        fragment Of on Node { id ...OfAccount }
        fragment OfAccount on Account { orders(first: 1) { totalCount } namespace }";
    let orders = json!({ "id": account, "orders": { "totalCount": 0 }, "namespace": "tenant" });
    for _ in 0..3 {
        for (operation, variables, data) in [
            ("B", json!({}), json!({ "viewer": { "role": "CUSTOMER" } })),
            (
                "B",
                json!({ "id": 1.5, "same": true, "input": [] }),
                json!({ "viewer": { "role": "CUSTOMER" } }),
            ),
            (
                "A",
                json!({ "id": account, "same": 2 }),
                json!({ "node": orders, "accounts": { "totalCount": 1 } }),
            ),
            ("C", json!({ "same": "tenant" }), json!({ "account": orders })),
        ] {
            let answer = run(&customer, document, Some(operation), variables).await;
            assert_eq!(answer, json!({ "data": data }), "{operation}");
        }
        assert_eq!(
            code(&run(&customer, document, Some("A"), json!({ "id": account, "same": "tenant" })).await),
            "BAD_REQUEST"
        );
        assert_eq!(code(&run(&customer, document, Some("C"), json!({ "same": 2 })).await), "BAD_REQUEST");
        assert_eq!(
            code(&run(&customer, document, Some("D"), json!({ "input": { "amount": "1" } })).await),
            "BAD_REQUEST"
        );
        assert_eq!(code(&run(&customer, document, Some("E"), json!({})).await), "BAD_REQUEST");
        assert_eq!(code(&run(&customer, document, None, json!({})).await), "BAD_REQUEST");
    }
    // A fragment that nothing uses is still told of.
    let unused = "query A { viewer { role } } query B { viewer { role } } fragment F on Viewer { role }";
    assert!(message(&run(&customer, unused, Some("A"), json!({})).await).contains('F'));
}

// ── what may be null is, where it fails ──

#[tokio::test]
async fn a_nullable_field_that_fails_is_null_and_the_rest_is_told() {
    let server = TestServer::start().await;
    let account = server.account("tenant", "100").await;
    let operator = server.operator();
    let window = "seconds: 1, currency: \"USD\"";
    for (field, call, extensions) in [
        ("node", "node(id: \"zzz\") { id }", json!({ "code": "INVALID", "argument": "id" })),
        ("account", "account(id: \"zzz\") { id }", json!({ "code": "INVALID", "argument": "id" })),
        (
            "account",
            "account(id: \"acc_1\", namespace: \"x\") { id }",
            json!({ "code": "INVALID", "argument": "namespace" }),
        ),
        ("plan", "plan(id: \"zzz\") { id }", json!({ "code": "INVALID", "argument": "id" })),
        ("order", "order(id: \"zzz\") { id }", json!({ "code": "INVALID", "argument": "id" })),
        ("order", "order { id }", json!({ "code": "REQUIRED", "argument": "id" })),
        ("bill", "bill(id: \"zzz\") { id }", json!({ "code": "INVALID", "argument": "id" })),
        (
            "bill",
            "bill(id: \"zzz\", number: \"B1\") { id }",
            json!({ "code": "INVALID", "argument": "number" }),
        ),
        ("record", "record(id: \"zzz\") { id }", json!({ "code": "INVALID", "argument": "id" })),
        ("transaction", "transaction(id: \"zzz\") { id }", json!({ "code": "INVALID", "argument": "id" })),
        (
            "idempotentResult",
            "idempotentResult(key: \"k\") { key }",
            json!({ "code": "REQUIRED", "argument": "accountId" }),
        ),
        (
            "ledgerHealth",
            "ledgerHealth(accountId: \"zzz\") { ok }",
            json!({ "code": "INVALID", "argument": "accountId" }),
        ),
        (
            "ledgerAnchor",
            "ledgerAnchor(accountId: \"zzz\") { number }",
            json!({ "code": "INVALID", "argument": "accountId" }),
        ),
        (
            "ledgerAnchor",
            "ledgerAnchor(at: \"2999-01-01T00:00:00Z\") { number }",
            json!({ "code": "INVALID", "argument": "at" }),
        ),
        (
            "capacityCharge",
            &format!("capacityCharge(resource: \"cpu\", amount: -1, {window}) {{ price {{ amount }} }}"),
            json!({ "code": "INVALID", "argument": "amount" }),
        ),
        (
            "price",
            "price(input: { resourceKind: \"cpu\", size: 0, amount: 1, paymentType: POSTPAY, currency: \"USD\" }) { price { amount } }",
            json!({ "code": "INVALID", "argument": "input" }),
        ),
        (
            "simulateCharges",
            "simulateCharges(input: { currency: \"USD\", rules: [] }) { total { amount } }",
            json!({ "code": "REQUIRED", "argument": "input" }),
        ),
    ] {
        let answer =
            operator.answer(&format!("{{ viewer {{ role }} {call} last: viewer {{ role }} }}")).await;
        let role = json!({ "role": "OPERATOR" });
        assert_eq!(
            answer["data"],
            json!({ "viewer": role, field: null, "last": role }),
            "{call}: {answer:#}"
        );
        let errors = answer["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{answer:#}");
        assert_eq!(errors[0]["path"], json!([field]), "{call}");
        assert_eq!(errors[0]["extensions"], extensions, "{call}");
        assert_eq!(errors[0]["locations"], json!([{ "line": 1, "column": 19 }]), "{call}");
        assert!(errors[0]["message"].is_string());
    }
    let answer =
        operator.answer(&format!("{{ nodes(ids: [\"{account}\", \"zzz\", \"acc_999\"]) {{ id }} }}")).await;
    assert_eq!(answer["data"], json!({ "nodes": [{ "id": account }, null, null] }), "{answer:#}");
    assert_eq!(answer["errors"][0]["path"], json!(["nodes", 1]));
    assert_eq!(answer["errors"][0]["extensions"], json!({ "code": "INVALID", "argument": "ids" }));
    // What is never null takes what it stands in with it.
    let answer = operator.answer("{ viewer { role } orders(first: 0) { totalCount } }").await;
    assert_eq!((&answer["data"], &answer["errors"][0]["path"]), (&json!(null), &json!(["orders"])));
    let nested = server
        .customer("tenant")
        .answer("{ viewer { role } account { id orders(first: 0) { totalCount } } }")
        .await;
    assert_eq!(nested["data"], json!({ "viewer": { "role": "CUSTOMER" }, "account": null }));
    assert_eq!(nested["errors"][0]["path"], json!(["account", "orders"]));
}

#[test]
fn no_nullable_field_hands_its_error_to_the_field_above() {
    fn look(dir: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, found);
            } else if std::fs::read_to_string(&path).unwrap().contains("async_graphql::Result<Option<") {
                found.push(path.display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    look(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/graphql"), &mut found);
    assert!(found.is_empty(), "a field that may be null answers Nullable (graphql/nullable.rs): {found:?}");
}

// ── pages know both their ends ──

#[tokio::test]
async fn a_page_between_two_cursors_knows_both_its_ends() {
    let server = TestServer::start().await;
    for number in 0..6 {
        server.plan(&format!("P{number}"), "1").await;
    }
    let operator = server.operator();
    let page = async |arguments: &str| {
        let query = format!(
            "{{ plans({arguments}) {{ edges {{ cursor }} pageInfo {{ hasNextPage hasPreviousPage }} }} }}"
        );
        operator.data(&query).await["plans"].clone()
    };
    let all = page("first: 100").await;
    let cursors: Vec<String> = all["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| edge["cursor"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(cursors.len(), 6);
    let places: Vec<Option<usize>> = std::iter::once(None).chain((0..6).map(Some)).collect();
    for (after, before) in places.iter().flat_map(|after| places.iter().map(move |before| (*after, *before)))
    {
        let (from, to) = (after.map_or(0, |after| after + 1), before.unwrap_or(6));
        for size in [1, 2, 6] {
            for way in ["first", "last"] {
                let mut arguments = format!("{way}: {size}");
                if let Some(after) = after {
                    arguments += &format!(", after: \"{}\"", cursors[after]);
                }
                if let Some(before) = before {
                    arguments += &format!(", before: \"{}\"", cursors[before]);
                }
                let shown = page(&arguments).await;
                let within: Vec<&String> = cursors.iter().take(to).skip(from).collect();
                let cut = within.len().saturating_sub(size);
                let (begin, end) = if way == "first" { (0, within.len() - cut) } else { (cut, within.len()) };
                let found: Vec<&str> = shown["edges"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|edge| edge["cursor"].as_str().unwrap())
                    .collect();
                assert_eq!(found, within[begin..end], "{arguments}");
                let next = before.is_some() || (way == "first" && cut > 0);
                let previous = after.is_some() || (way == "last" && cut > 0);
                let expected = json!({ "hasNextPage": next, "hasPreviousPage": previous });
                assert_eq!(shown["pageInfo"], expected, "{arguments}");
            }
        }
    }
}

// ── null and absence ──

#[tokio::test]
async fn null_takes_away_from_a_plan_what_can_be_taken_and_is_refused_for_the_rest() {
    let server = TestServer::start().await;
    let operator = server.operator();
    let money = json!({ "amount": "5", "currency": "CNY" });
    let plan = server.plan_from(json!({ "name": "P", "price": money, "oncePrice": money })).await;
    let fields = "plan { name description price { amount } oncePrice { amount } }";
    let update = async |change: Value| {
        let mut input = json!({ "planId": plan });
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        operator.mutate("updatePlan", "UpdatePlanInput", input, fields).await["plan"].clone()
    };
    let as_made = json!({ "name": "P", "description": "1 CPU Core, 512M Memory", "price": { "amount": "5.00" }, "oncePrice": { "amount": "5.00" } });
    assert_eq!(update(json!({})).await, as_made);
    let contents = server.contents().await;
    for field in ["name", "description", "price"] {
        let input = json!({ "planId": plan, field: null, "oncePrice": null });
        let refusal = operator.refusal("updatePlan", "UpdatePlanInput", input).await;
        assert_eq!(refusal, ("REQUIRED".to_owned(), format!("input.{field}")));
    }
    server.assert_holds_still(&contents).await;
    assert_eq!(update(json!({ "oncePrice": null })).await["oncePrice"], json!(null));
    assert_eq!(update(json!({ "name": "Q" })).await["oncePrice"], json!(null));
}

// ── defaults and keys ──

#[tokio::test]
async fn a_default_that_is_named_is_the_same_input_for_a_key() {
    let server = TestServer::start().await;
    server.account("tenant", "500").await;
    let (customer, operator) = (server.customer("tenant"), server.operator());
    let plan = server.plan("P", "20").await;
    let fields = "order { id } bill { id }";
    let forms = [
        json!({}),
        json!({ "instalments": 1 }),
        json!({ "instalments": null, "region": "cn-north-1" }),
        json!({ "instalments": 1, "quantity": 1, "autoRenewal": false, "payLater": false, "namespace": "tenant" }),
        json!({ "region": "cn-north-1", "payLater": null }),
    ];
    for (number, first) in forms.iter().enumerate() {
        let buy = async |form: &Value, dry_run: bool| {
            let mut input =
                json!({ "planId": plan, "idempotencyKey": format!("k{number}"), "dryRun": dry_run });
            input.as_object_mut().unwrap().extend(form.as_object().unwrap().clone());
            customer.mutate("checkout", "CheckoutInput", input, fields).await
        };
        buy(first, true).await;
        let bought = buy(first, false).await;
        for form in &forms {
            for dry_run in [false, true] {
                assert_eq!(buy(form, dry_run).await, bought, "{first} then {form}");
            }
        }
        for other in [json!({ "instalments": 2 }), json!({ "quantity": 2 }), json!({ "payLater": true })] {
            let mut input = json!({ "planId": plan, "idempotencyKey": format!("k{number}") });
            input.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
            let refusal = customer.refusal("checkout", "CheckoutInput", input).await;
            assert_eq!(refusal.0, "IDEMPOTENCY_KEY_REUSED", "{other}");
        }
    }
    let discounts = [
        json!({ "type": "d", "money": "1", "currency": "CNY" }),
        json!({ "type": "d", "money": "1", "currency": "CNY", "payablePercent": 100 }),
        json!({ "type": "d", "money": "1", "currency": "CNY", "payablePercent": "100.00" }),
    ];
    for (number, first) in discounts.iter().enumerate() {
        let set = async |discount: &Value, dry_run: bool| {
            let input = json!({ "namespace": "tenant", "infos": [{ "definition": { "discount": discount } }],
                "idempotencyKey": format!("d{number}"), "dryRun": dry_run });
            operator.payload("setPrices", "SetPricesInput", input, "rules { id }").await
        };
        let made = set(first, false).await;
        assert_eq!(made["userErrors"], json!([]), "{made:#}");
        for discount in &discounts {
            assert_eq!(set(discount, false).await, made, "{first} then {discount}");
            assert_eq!(set(discount, true).await, made, "{first} then {discount}");
        }
        let other =
            set(&json!({ "type": "d", "money": "1", "currency": "CNY", "payablePercent": 90 }), false).await;
        assert_eq!(other["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");
    }
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_was_kept_before_defaults_were_filled_in_is_known_again() {
    let server = TestServer::start().await;
    server.account("tenant", "100").await;
    let customer = server.customer("tenant");
    let plan = server.plan("P", "20").await;
    let buy = async |instalments: Value| {
        let input = json!({ "planId": plan, "instalments": instalments, "idempotencyKey": "k" });
        customer.mutate("checkout", "CheckoutInput", input, "order { id }").await
    };
    let bought = buy(json!(1)).await;
    // As an explicit 1 was once digested.
    let written = format!(
        r#"{{"Checkout":{{"plan":"{}","region":null,"datacenter":null,"quantity":1,"comment":null,"instalments":1,"auto_renewal":false,"expected_price":null}}}}"#,
        uuid::Uuid::parse_str(plan.strip_prefix("pln_").unwrap()).unwrap()
    );
    let sql = server.sql().await;
    let update = "UPDATE idempotency_keys SET fingerprint = sha256(convert_to($1, 'UTF8')) WHERE key = 'k'";
    assert_eq!(sql.execute(update, &[&written]).await.unwrap(), 1);
    assert_eq!(buy(json!(1)).await, bought);
    assert_eq!(buy(json!(null)).await, bought);
}

// ── what a request costs ──

#[tokio::test]
async fn what_costs_too_much_is_refused_with_its_cost_the_limit_and_where() {
    let limits = Limits { complexity_max: 1_000, ..Limits::default() };
    let server = TestServer::with(|config| config.limits = limits).await;
    server.account("tenant", "100").await;
    let customer = server.customer("tenant");
    // 1 + 10 × (1 + 1 + 1 + 20 × (1 + 1)) is below, 1 + 100 × … is not.
    let query = "query($first: Int) { viewer { role } mine: orders(first: $first) { totalCount nodes { id theirs: bills(first: 20) { nodes { id } } } } }";
    assert!(customer.post(query, json!({})).await.1.get("errors").is_none());
    for _ in 0..2 {
        let (_, answer) = customer.post(query, json!({ "first": 100 })).await;
        assert!(answer["data"].is_null(), "{answer:#}");
        let error = &answer["errors"][0];
        let cost = 2 + 1 + 20 + 100 * (1 + 1 + 1 + 20 * 2);
        let expected =
            json!({ "code": "BAD_REQUEST", "cost": cost, "costMax": 1_000, "field": "mine.nodes.theirs" });
        let told = &error["extensions"];
        assert_eq!(
            (&told["cost"], &told["costMax"]),
            (&expected["cost"], &expected["costMax"]),
            "{answer:#}"
        );
        assert!(told["field"].as_str().unwrap().starts_with("mine.nodes.theirs"), "{answer:#}");
        let text = error["message"].as_str().unwrap();
        for part in [cost.to_string().as_str(), "1000", "mine.nodes.theirs", "serviceConfig"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(error["locations"][0]["column"].as_i64().unwrap() > 1);
    }
    assert!(customer.post(query, json!({ "first": 20 })).await.1.get("errors").is_none());
}

#[tokio::test]
async fn what_is_told_once_of_a_list_costs_once() {
    let limits = Limits { complexity_max: 1 + 100 * 2 + 20 + 1 + 1 + 300 + 1 + 1, ..Limits::default() };
    let query = "{ bills(first: 100) { totalCount pageInfo { hasNextPage } summary { paidCount unpaidCount } nodes { id } } }";
    for (more, passes) in [(0, true), (-1_i64, false)] {
        let mut limits = limits.clone();
        limits.complexity_max = limits.complexity_max.checked_add_signed(more as isize).unwrap();
        let server = TestServer::with(|config| config.limits = limits).await;
        server.account("tenant", "100").await;
        let answer = server.customer("tenant").answer(query).await;
        assert_eq!(answer.get("errors").is_none(), passes, "{answer:#}");
    }
    // Within the default: neither counts for each of a hundred.
    let server = TestServer::start().await;
    server.account("tenant", "100").await;
    let query =
        "{ orders(first: 100) { totalCount nodes { id bills(first: 10) { totalCount nodes { id } } } } }";
    server.customer("tenant").data(query).await;
}

#[tokio::test]
async fn the_service_says_what_things_cost() {
    let server = TestServer::start().await;
    server.account("tenant", "100").await;
    let query = "{ serviceConfig { complexityMax pageSizeDefault costs { field cost times } } }";
    let config = server.customer("tenant").data(query).await["serviceConfig"].clone();
    assert_eq!((&config["complexityMax"], &config["pageSizeDefault"]), (&json!(50_000), &json!(10)));
    let costs = config["costs"].as_array().unwrap();
    for told in [
        json!({ "field": "Account.orders", "cost": 1, "times": null }),
        json!({ "field": "BillConnection.summary", "cost": 300, "times": 1 }),
        json!({ "field": "OrderConnection.totalCount", "cost": 20, "times": 1 }),
        json!({ "field": "Query.nodes", "cost": 1, "times": null }),
        json!({ "field": "Query.resources", "cost": 1, "times": 20 }),
        json!({ "field": "Query.simulateCharges", "cost": 5_000, "times": 5 }),
    ] {
        assert!(costs.contains(&told), "{told}");
    }
    // Only what the schema prints: no parts that objects are merged of.
    let owner = |cost: &Value| cost["field"].as_str().unwrap().split('.').next().unwrap().to_owned();
    let printed = abacus::graphql::sdl();
    for of in costs.iter().map(owner) {
        assert!(printed.contains(&format!("type {of} ")), "{of}");
    }
    // A field of every list is there, and what lists are made of is not.
    assert!(costs.iter().all(|cost| cost["field"] != "OrderConnection.nodes" && cost["field"] != "Order.id"));
}
