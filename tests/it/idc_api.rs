//! The 51idc API (shared seed 002): every operation of it, each filter alone and in pairs, and figures that are summed
//! again here.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::Client;
use crate::support::life::Life;

/// A filter as GraphQL writes it, and what it lets pass.
struct Narrowing {
    written: String,
    passes: Box<dyn Fn(&Value) -> bool>,
}

fn narrowing(written: impl Into<String>, passes: impl Fn(&Value) -> bool + 'static) -> Narrowing {
    Narrowing { written: written.into(), passes: Box::new(passes) }
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn holds(value: &Value, word: &str) -> bool {
    text(value).to_lowercase().contains(&word.to_lowercase())
}

/// A list as a client sees it: its name, and the fields that are looked at.
struct List<'c> {
    client: &'c Client,
    name: &'static str,
    fields: &'static str,
}

impl List<'_> {
    async fn page(&self, filter: &str, page: &str) -> Value {
        let Self { name, fields, .. } = self;
        let query = format!(
            "{{ {name}({page}, filter: {{ {filter} }}) {{ totalCount nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        self.client.data(&query).await[*name].clone()
    }

    async fn all(&self, filter: &str) -> Vec<Value> {
        let page = self.page(filter, "first: 100").await;
        assert_eq!(page["pageInfo"]["hasNextPage"], false);
        assert_eq!(page["totalCount"].as_u64().unwrap(), page["nodes"].as_array().unwrap().len() as u64);
        page["nodes"].as_array().unwrap().clone()
    }

    /// Each filter alone and in pairs lets pass what it says, and pages by offset and by cursor agree.
    async fn is_narrowed_by(&self, filters: &[Narrowing]) {
        let everything = self.all("").await;
        assert!(everything.len() >= 8, "{}: too little to narrow", self.name);
        let mut used = 0;
        for (place, one) in filters.iter().enumerate() {
            let alone = self.check(&everything, &[one]).await;
            assert!(alone > 0 && alone < everything.len(), "{} tells nothing apart: {alone}", one.written);
            for other in &filters[place + 1..] {
                let key = |filter: &Narrowing| filter.written.split(':').next().unwrap().to_owned();
                if key(one) != key(other) {
                    used += usize::from(self.check(&everything, &[one, other]).await > 0);
                }
            }
        }
        assert!(used > 0, "no pair of filters lets anything pass");
    }

    async fn check(&self, everything: &[Value], filters: &[&Narrowing]) -> usize {
        let written: Vec<&str> = filters.iter().map(|filter| filter.written.as_str()).collect();
        let written = written.join(", ");
        let expected: Vec<&Value> =
            everything.iter().filter(|thing| filters.iter().all(|filter| (filter.passes)(thing))).collect();
        let found = self.all(&written).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{}: {written}", self.name);
        let (mut by_offset, mut by_cursor, mut after) = (Vec::new(), Vec::new(), String::new());
        for offset in (0..=expected.len()).step_by(3) {
            let page = self.page(&written, &format!("first: 3, offset: {offset}")).await;
            assert_eq!(page["totalCount"].as_u64().unwrap(), expected.len() as u64);
            by_offset.extend(page["nodes"].as_array().unwrap().iter().cloned());
            let page = self.page(&written, &format!("first: 3 {after}")).await;
            by_cursor.extend(page["nodes"].as_array().unwrap().iter().cloned());
            if page["pageInfo"]["endCursor"].is_null() {
                break;
            }
            after = format!(", after: {}", page["pageInfo"]["endCursor"]);
        }
        assert_eq!(by_offset, found, "{}: {written}: by offset", self.name);
        assert_eq!(by_cursor, found, "{}: {written}: by cursor", self.name);
        found.len()
    }
}

/// A main account with a sub-account, and orders of every kind over three months.
async fn market() -> (Life, Client) {
    let life = Life::begin("2026-01-05T03:00:00Z", "5000").await;
    let sub = json!({ "namespace": "tenant-dev", "name": "Development", "currency": "CNY", "parentId": life.account });
    life.server.account_from(sub, "500").await;
    let sub = life.server.customer("tenant-dev");
    let manager =
        json!({ "accountId": life.account, "manager": { "name": "Li Lei", "email": "li.lei@example.com" } });
    life.operator.mutate("updateAccount", "UpdateAccountInput", manager, "account { id }").await;
    let cloud = life.plan("云服务器 Small", "C", "20", "MONTH").await;
    let quarter = life.plan("Cloud quarterly", "C", "55.50", "QUARTER").await;
    let (pool, larger) = (
        life.plan("Pool S", "resources", "100", "MONTH").await,
        life.plan("Pool L", "resources", "300", "MONTH").await,
    );
    let rack = json!({ "name": "机柜 1U", "region": null, "resourceType": "IDC", "billPeriod": "MONTH",
        "price": { "amount": "800", "currency": "CNY" }, "oncePrice": { "amount": "99.99", "currency": "CNY" },
        "resources": [{ "resource": "cpu", "amount": "16" }] });
    let rack = life.server.plan_from(rack).await;
    let by_the_hour = life.plan("On demand", "C", "0.12", "HOUR").await;
    life.buy(&cloud, json!({ "datacenter": "BA", "instalments": 3 })).await;
    life.buy(&rack, json!({ "datacenter": "HDYQ", "quantity": 2, "region": "cn-east-1" })).await;
    life.buy(&by_the_hour, json!({})).await;
    life.advance("2026-01-20T00:00:00Z").await;
    life.buy(&pool, json!({ "datacenter": "BA", "autoRenewal": true })).await;
    life.buy(&quarter, json!({ "datacenter": "YTYQ" })).await;
    for (plan, key) in [(&cloud, "1"), (&quarter, "2")] {
        sub.mutate(
            "checkout",
            "CheckoutInput",
            json!({ "planId": plan, "datacenter": "HDYQ", "idempotencyKey": key }),
            "order { id }",
        )
        .await;
    }
    life.advance("2026-02-15T12:00:00Z").await;
    life.buy(&larger, json!({ "datacenter": "BA" })).await;
    life.advance("2026-03-08T00:00:00Z").await;
    life.buy(&cloud, json!({ "payLater": true })).await;
    (life, sub)
}

#[tokio::test]
async fn orders_are_found_by_each_filter_and_every_pair() {
    let (life, _) = market().await;
    let fields = "id name number resourceType account { kind } payWay productName state type createdAt price { amount } isSelf seq seqCount";
    let list = List { client: &life.customer, name: "orders", fields };
    let newest = list.all("").await[0]["number"].as_str().unwrap().to_owned();
    let tail = newest[newest.len() - 4..].to_lowercase();
    let word = tail.clone();
    list.is_narrowed_by(&[
        narrowing("startTime: \"2026-01-20T00:00:00Z\"", |o| {
            time(&o["createdAt"]) >= "2026-01-20T00:00:00Z".parse::<DateTime<Utc>>().unwrap()
        }),
        narrowing("endTime: \"2026-01-20T00:00:00Z\"", |o| {
            time(&o["createdAt"]) < "2026-01-20T00:00:00Z".parse::<DateTime<Utc>>().unwrap()
        }),
        narrowing("endTime: \"2026-02-15T12:00:00.000001Z\"", |o| {
            time(&o["createdAt"]) <= "2026-02-15T12:00:00Z".parse::<DateTime<Utc>>().unwrap()
        }),
        narrowing("orderType: NEW", |o| o["type"] == "NEW"),
        narrowing("orderType: RENEW", |o| o["type"] == "RENEW"),
        narrowing("orderType: CHANGE", |o| o["type"] == "CHANGE"),
        narrowing("searchWord: \"pool\"", |o| holds(&o["name"], "pool")),
        narrowing("searchWord: \"机柜\"", |o| holds(&o["name"], "机柜")),
        narrowing("searchWord: \"器\"", |o| holds(&o["name"], "器")),
        narrowing("searchWord: \"-202601\"", |o| holds(&o["number"], "-202601")),
        narrowing(format!("searchWord: \"{tail}\""), move |o| {
            holds(&o["number"], &word) || holds(&o["name"], &word)
        }),
        narrowing("resourceType: \"IDC\"", |o| o["resourceType"] == "IDC"),
        narrowing("accountKind: MAIN", |o| o["account"]["kind"] == "MAIN"),
        narrowing("accountKind: SUB", |o| o["account"]["kind"] == "SUB"),
        narrowing("orderState: ACTIVE", |o| o["state"] == "ACTIVE"),
        narrowing("orderState: UNPAID", |o| o["state"] == "UNPAID"),
        narrowing("orderState: ENDED", |o| o["state"] == "ENDED"),
        narrowing("orderState: CANCELLED", |o| o["state"] == "CANCELLED"),
    ])
    .await;
    for order in list.all("").await {
        assert_eq!(order["isSelf"], order["account"]["kind"] == "MAIN");
    }
    // What stands for something else in a pattern is taken as it is.
    for word in ["%", "_", "\\\\", "O%1", "no such order"] {
        assert!(list.all(&format!("searchWord: \"{word}\"")).await.is_empty(), "{word}");
    }
    let defaults = life.customer.data("{ orders { nodes { id } } }").await;
    assert_eq!(defaults["orders"]["nodes"].as_array().unwrap().len(), 10.min(list.all("").await.len()));
}

#[tokio::test]
async fn a_sub_account_sees_its_own_orders_bills_and_records_only() {
    let (life, sub) = market().await;
    for (list, mains) in [("orders", 9), ("bills", 11), ("records", 9)] {
        let query = format!("{{ {list} {{ totalCount nodes {{ account {{ namespace }} }} }} }}");
        let own = sub.data(&query).await[list].clone();
        assert_eq!(own["totalCount"], 2, "{list}");
        assert!(
            own["nodes"].as_array().unwrap().iter().all(|node| node["account"]["namespace"] == "tenant-dev")
        );
        let main = life.customer.data(&query).await[list]["totalCount"].as_i64().unwrap();
        assert!(main >= mains, "{list}: {main}");
    }
}

#[tokio::test]
async fn an_orders_details_tell_everything_of_the_seed() {
    let (life, _) = market().await;
    let found =
        life.customer.data("{ orders(filter: { resourceType: \"IDC\" }) { nodes { number } } }").await;
    let number = &found["orders"]["nodes"][0]["number"];
    let query = format!(
        "{{ order(number: {number}) {{ state number deliveredAt expiresAt createdAt account {{ name manager {{ name }} }}
            payInfo {{ total {{ amount }} payCycle paidAt comment firstPayment {{ amount }} oncePayment {{ amount }} payWay paymentMethod remainingPayments }}
            details {{ name type zone count payWay duration price {{ amount }} products {{ name type }} }} configChanges {{ field }} }} }}"
    );
    let order = life.customer.data(&query).await["order"].clone();
    let expected = json!({
        "state": "ENDED", "number": number, "deliveredAt": "2026-01-05T03:00:00Z", "expiresAt": "2026-02-05T03:00:00Z",
        "createdAt": "2026-01-05T03:00:00Z", "account": { "name": "Tenant", "manager": { "name": "Li Lei" } },
        "payInfo": { "total": { "amount": "1799.98" }, "payCycle": "ONCE", "paidAt": "2026-01-05T03:00:00Z", "comment": null,
            "firstPayment": { "amount": "1799.98" }, "oncePayment": { "amount": "199.98" }, "payWay": "MONTH",
            "paymentMethod": "balance", "remainingPayments": 0 },
        "details": [{ "name": "机柜 1U", "type": "IDC", "zone": "cn-east-1", "count": 2, "payWay": "MONTH", "duration": 1,
            "price": { "amount": "1600.00" }, "products": [{ "name": "CPU cores: 16 core", "type": "cpu" }] }],
        "configChanges": [],
    });
    assert_eq!(order, expected);
    for unknown in ["O1-20260105-1", "O9999999-20260105-1", "nothing"] {
        assert_eq!(
            life.customer.data(&format!("{{ order(number: \"{unknown}\") {{ id }} }}")).await["order"],
            Value::Null
        );
    }
}

#[tokio::test]
async fn bills_are_found_by_each_filter_and_their_summary_adds_up() {
    let (life, _) = market().await;
    let fields =
        "id number order { number name } startTime endTime seq seqCount status amount { amount currency }";
    let list = List { client: &life.customer, name: "bills", fields };
    let newest = text(&list.all("").await[0]["number"]).to_owned();
    let number = newest.clone();
    let filters = [
        narrowing("startTime: \"2026-02-01T00:00:00Z\"", |b| {
            time(&b["startTime"]) >= "2026-02-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap()
        }),
        narrowing("endTime: \"2026-02-05T03:00:00Z\"", |b| {
            time(&b["startTime"]) < "2026-02-05T03:00:00Z".parse::<DateTime<Utc>>().unwrap()
        }),
        narrowing("billStatus: PAID", |b| b["status"] == "PAID"),
        narrowing("billStatus: UNPAID", |b| b["status"] == "UNPAID"),
        narrowing("searchWord: \"POOL\"", |b| holds(&b["order"]["name"], "pool")),
        narrowing("searchWord: \"柜\"", |b| holds(&b["order"]["name"], "柜")),
        narrowing(format!("searchWord: \"{newest}\""), move |b| b["number"] == json!(number)),
        narrowing("searchWord: \"-20260120-\"", |b| {
            holds(&b["number"], "-20260120-") || holds(&b["order"]["number"], "-20260120-")
        }),
    ];
    list.is_narrowed_by(&filters).await;

    let everything = list.all("").await;
    for place in 0..filters.len() {
        for other in place..filters.len() {
            let chosen =
                if place == other { vec![&filters[place]] } else { vec![&filters[place], &filters[other]] };
            let mut names: Vec<&str> =
                chosen.iter().map(|filter| filter.written.split(':').next().unwrap()).collect();
            names.dedup();
            if names.len() == chosen.len() {
                summary_adds_up(&life.customer, &everything, &chosen).await;
            }
        }
    }
    // Under an account and an order as well.
    let query = "{ account { bills(first: 1) { summary { paidCount totalAmounts { amount } } } }
        orders(first: 1) { nodes { bills { summary { paidCount unpaidCount pageAmounts { amount } } } } } }";
    let data = life.customer.data(query).await;
    let of_order = json!({ "paidCount": 0, "unpaidCount": 1, "pageAmounts": [{ "amount": "20.00" }] });
    assert_eq!(data["orders"]["nodes"][0]["bills"]["summary"], of_order);
    assert!(data["account"]["bills"]["summary"]["paidCount"].as_i64().unwrap() >= 8);
}

/// The counts leave the status out and honour the rest; the amounts are of the page, and of all that passes.
async fn summary_adds_up(client: &Client, everything: &[Value], filters: &[&Narrowing]) {
    let passes = |bill: &&Value, status: bool| {
        let relevant = |filter: &&&Narrowing| status || !filter.written.starts_with("billStatus");
        filters.iter().filter(relevant).all(|filter| (filter.passes)(bill))
    };
    let matching: Vec<&Value> = everything.iter().filter(|bill| passes(bill, true)).collect();
    let of_any_status: Vec<&Value> = everything.iter().filter(|bill| passes(bill, false)).collect();
    let sum = |bills: &[&Value]| {
        let mut sums: BTreeMap<&str, Decimal> = BTreeMap::new();
        for bill in bills {
            let amount = &bill["amount"];
            *sums.entry(text(&amount["currency"])).or_default() +=
                text(&amount["amount"]).parse::<Decimal>().unwrap();
        }
        let money = |(currency, sum)| json!({ "amount": format!("{sum:.2}"), "currency": currency });
        json!(sums.into_iter().map(money).collect::<Vec<_>>())
    };
    let count = |statuses: &[&str]| {
        of_any_status.iter().filter(|bill| statuses.contains(&text(&bill["status"]))).count()
    };
    let expected = json!({
        "paidCount": count(&["PAID"]), "unpaidCount": count(&["UNPAID", "OVERDUE"]),
        "pageAmounts": sum(&matching[..matching.len().min(2)]), "totalAmounts": sum(&matching),
    });
    let written: Vec<&str> = filters.iter().map(|filter| filter.written.as_str()).collect();
    let written = written.join(", ");
    let query = format!(
        "{{ bills(first: 2, filter: {{ {written} }}) {{ summary {{ paidCount unpaidCount
            pageAmounts {{ amount currency }} totalAmounts {{ amount currency }} }} }} }}"
    );
    assert_eq!(client.data(&query).await["bills"]["summary"], expected, "{written}");
}

#[tokio::test]
async fn a_bill_tells_everything_of_the_seed() {
    let (life, _) = market().await;
    let found = life.customer.data("{ bills(filter: { searchWord: \"机柜\" }) { nodes { number } } }").await;
    let number = &found["bills"]["nodes"][0]["number"];
    let query = format!(
        "{{ bill(number: {number}) {{ amount {{ amount }} status onceAmount {{ amount }} cycleAmount {{ amount }} startTime seq seqCount
            lastPaidAt datacenter order {{ number name deliveredAt expiresAt }} account {{ name manager {{ name email }} }}
            lines {{ title amount {{ amount }} record {{ price {{ amount }} }} }} }} }}"
    );
    let bill = life.customer.data(&query).await["bill"].clone();
    assert_eq!(
        (&bill["amount"]["amount"], &bill["onceAmount"]["amount"]),
        (&json!("1799.98"), &json!("199.98"))
    );
    assert_eq!((&bill["cycleAmount"]["amount"], &bill["datacenter"]), (&json!("1600.00"), &json!("HDYQ")));
    assert_eq!((&bill["status"], &bill["lastPaidAt"]), (&json!("PAID"), &json!("2026-01-05T03:00:00Z")));
    assert_eq!(bill["account"]["manager"], json!({ "name": "Li Lei", "email": "li.lei@example.com" }));
    assert_eq!(bill["order"]["name"], "机柜 1U");
    let record = json!({ "price": { "amount": "1799.98" } });
    let lines = json!([{ "title": "once", "amount": { "amount": "199.98" }, "record": record },
        { "title": "period", "amount": { "amount": "1600.00" }, "record": record }]);
    assert_eq!(bill["lines"], lines);
    assert_eq!(life.customer.data("{ bill(number: \"B1-20260105-1\") { id } }").await["bill"], Value::Null);
}

#[tokio::test]
async fn records_are_found_by_each_filter_and_explain_their_price() {
    let (life, _) = market().await;
    let fields = "id number order { name number state type } resourceType account { kind } accountKind payWay productName
        createdAt startTime endTime price { amount } bill { amount { amount } status }
        details { id title resourceType consumedAt accountKind orderNumber orderType consumeWay datacenter quantity price { amount }
            explanation { label quantity unitPrice factor divisor amount } }";
    let list = List { client: &life.customer, name: "records", fields };
    list.is_narrowed_by(&[
        narrowing("startTime: \"2026-01-20T00:00:00Z\"", |r| {
            time(&r["startTime"]) >= "2026-01-20T00:00:00Z".parse::<DateTime<Utc>>().unwrap()
        }),
        narrowing("endTime: \"2026-02-15T12:00:00Z\"", |r| {
            time(&r["startTime"]) < "2026-02-15T12:00:00Z".parse::<DateTime<Utc>>().unwrap()
        }),
        narrowing("accountKind: SUB", |r| r["accountKind"] == "SUB"),
        narrowing("accountKind: MAIN", |r| r["account"]["kind"] == "MAIN"),
        narrowing("searchWord: \"Pool\"", |r| holds(&r["order"]["name"], "pool")),
        narrowing("searchWord: \"云\"", |r| holds(&r["order"]["name"], "云")),
        narrowing("searchWord: \"-20260215-\"", |r| {
            holds(&r["order"]["number"], "-20260215-") || holds(&r["number"], "-20260215-")
        }),
        narrowing("resourceType: \"IDC\"", |r| r["resourceType"] == "IDC"),
        narrowing("datacenter: \"BA\"", |r| r["details"][0]["datacenter"] == "BA"),
        narrowing("orderType: CHANGE", |r| r["order"]["type"] == "CHANGE"),
        narrowing("orderType: RENEW", |r| r["order"]["type"] == "RENEW"),
    ])
    .await;
    let amount = |value: &Value| text(value).parse::<Decimal>().unwrap();
    for record in list.all("").await {
        let on_demand = record["payWay"] == "POSTPAY";
        if !on_demand {
            assert_eq!(record["price"], record["bill"]["amount"]);
        }
        let mut total = Decimal::ZERO;
        for detail in record["details"].as_array().unwrap() {
            let steps = detail["explanation"].as_array().unwrap();
            let explained = |step: &&Value| !step["quantity"].is_null() && !on_demand;
            for step in steps.iter().filter(explained) {
                assert_eq!(
                    amount(&step["quantity"]) * amount(&step["unitPrice"]),
                    amount(&step["amount"]),
                    "{step}"
                );
            }
            let sum: Decimal = steps.iter().map(|step| amount(&step["amount"])).sum();
            assert_eq!(sum, amount(&detail["price"]["amount"]));
            assert_eq!(
                (&detail["orderNumber"], &detail["consumedAt"]),
                (&record["order"]["number"], &record["startTime"])
            );
            total += sum;
        }
        assert_eq!(total, amount(&record["price"]["amount"]));
        let query = format!("{{ record(number: {}) {{ {fields} }} }}", record["number"]);
        assert_eq!(life.customer.data(&query).await["record"], record);
    }
    let changed = list.all("orderType: CHANGE").await;
    assert_eq!(changed[0]["details"][1]["title"], "credit for the replaced order");
    assert_eq!(
        life.customer.data("{ record(number: \"R1-20260105-1\") { id } }").await["record"],
        Value::Null
    );
    // An order's own, and an account's.
    let query = "{ orders(filter: { orderType: CHANGE }) { nodes { records { totalCount nodes { price { amount } } } } }
        account { records(first: 1) { totalCount nodes { number } } } }";
    let data = life.customer.data(query).await;
    assert_eq!(data["orders"]["nodes"][0]["records"]["totalCount"], 1);
    assert_eq!(data["account"]["records"]["totalCount"], list.all("accountKind: MAIN").await.len());
}

#[tokio::test]
async fn codes_have_labels_in_the_language_of_the_request() {
    let life = Life::begin("2026-01-05T03:00:00Z", "0").await;
    let datacenters = "INSERT INTO code_labels VALUES ('DATACENTER', 'BA', 1, '北艾', 'Bei''ai'), ('DATACENTER', 'YTYQ', 2, '亚太一区', 'Asia Pacific 1')";
    life.server.sql().await.batch_execute(datacenters).await.unwrap();
    let query = "{ resourceTypes { code label } orderTypes { code label } orderStates { label } datacenters { code label } }";
    let ask = async |language: &str| {
        let request =
            life.customer.request(reqwest::Method::POST, "/graphql").json(&json!({ "query": query }));
        let answer: Value =
            request.header("Accept-Language", language).send().await.unwrap().json().await.unwrap();
        answer["data"].clone()
    };
    let chinese = ask("zh-CN,zh;q=0.9,en;q=0.8").await;
    assert_eq!(
        chinese["resourceTypes"],
        json!([{ "code": "CLOUD", "label": "云资源" }, { "code": "IDC", "label": "物理架构" }])
    );
    let types = json!([{ "code": "NEW", "label": "新增" }, { "code": "RENEW", "label": "续约" }, { "code": "CHANGE", "label": "变更" }]);
    assert_eq!(chinese["orderTypes"], types);
    assert_eq!(chinese["datacenters"][1], json!({ "code": "YTYQ", "label": "亚太一区" }));
    assert_eq!(chinese["orderStates"].as_array().unwrap().len(), 6);
    for language in ["en", "fr, de;q=0.5", ""] {
        let english = ask(language).await;
        assert_eq!(english["resourceTypes"][1]["label"], "Physical", "{language}");
        assert_eq!(english["orderTypes"][1]["label"], "Renewal");
        assert_eq!(english["datacenters"][0], json!({ "code": "BA", "label": "Bei'ai" }));
    }
}

#[tokio::test]
async fn recharge_records_are_those_of_their_window() {
    let life = Life::begin("2026-01-05T03:00:00Z", "10").await;
    let plan = life.plan("Small", "C", "1", "MONTH").await;
    for (time, amount) in
        [("2026-01-06T00:00:00Z", "11"), ("2026-01-07T00:00:00Z", "12"), ("2026-01-08T00:00:00Z", "13")]
    {
        life.clock.set(time.parse().unwrap());
        life.recharge(amount).await;
        life.buy(&plan, json!({})).await;
    }
    let ask = async |window: &str, page: &str| {
        let fields = "totalCount nodes { kind amount { amount } }";
        let query = format!(
            "{{ rechargeRecords({window} {page}) {{ {fields} }} account {{ rechargeRecords({window} {page}) {{ {fields} }} }} }}"
        );
        let data = life.customer.data(&query).await;
        assert_eq!(data["rechargeRecords"], data["account"]["rechargeRecords"]);
        data["rechargeRecords"].clone()
    };
    let all = ask("startTime: \"2026-01-01T00:00:00Z\", endTime: \"2027-01-01T00:00:00Z\"", "").await;
    assert_eq!(all["totalCount"], 4);
    let window = "startTime: \"2026-01-06T00:00:00Z\", endTime: \"2026-01-08T00:00:00Z\"";
    let some = ask(window, "").await;
    let amounts: Vec<&str> =
        some["nodes"].as_array().unwrap().iter().map(|node| text(&node["amount"]["amount"])).collect();
    assert_eq!(amounts, ["12.00", "11.00"]);
    assert_eq!(ask(window, ", first: 1, offset: 1").await["nodes"][0]["amount"]["amount"], "11.00");
    let wrong = "{ rechargeRecords(startTime: \"2026-02-01T00:00:00Z\", endTime: \"2026-01-01T00:00:00Z\") { totalCount } }";
    let answer = life.customer.answer(wrong).await;
    assert_eq!(answer["errors"][0]["extensions"], json!({ "code": "INVALID", "argument": "endTime" }));
}

/// The table as the demo makes it: price a month, per unit.
async fn price_table(life: &Life) {
    let table = "INSERT INTO resources VALUES ('idc_volume', 'Volumes', 'GB', 'IDC', 'LAST'), ('idc_loadbalancer_5000', 'LB', 'connections', 'IDC', 'LAST');
        INSERT INTO resource_prices (resource_code, currency, level, price, unit, multiplier, effective_from) VALUES
            ('idc_volume', 'CNY', 0, 99, 'GB/month', 2592000, '2025-01-01T00:00:00Z'),
            ('idc_volume', 'CNY', 0, 0.6, 'GB/month', 2592000, '2026-01-01T00:00:00Z'),
            ('idc_volume', 'CNY', 0, 0.7, 'GB/month', 2592000, '2026-06-01T00:00:00Z'),
            ('idc_volume', 'CNY', 1, 5, 'GB/month', 2592000, '2026-01-01T00:00:00Z'),
            ('idc_volume', 'USD', 0, 0.1, 'GB/month', 2592000, '2026-01-01T00:00:00Z'),
            ('idc_loadbalancer_5000', 'CNY', 0, 72, 'connections/month', 2592000, '2026-01-01T00:00:00Z');
        INSERT INTO term_discounts VALUES (3, '3 months', 0.03), (12, '1 year', 0.25)";
    life.server.sql().await.batch_execute(table).await.unwrap();
}

#[tokio::test]
async fn capacity_is_priced_for_an_hour_or_for_months_less_the_discount() {
    let life = Life::begin("2026-01-05T03:00:00Z", "0").await;
    price_table(&life).await;
    let ask = async |input: &str| {
        let fields = "price { amount currency } listPrice { amount } discount { amount } steps { label quantity unitPrice factor divisor amount }";
        life.customer.data(&format!("{{ price(input: {{ {input} }}) {{ {fields} }} }}")).await["price"]
            .clone()
    };
    for (input, price, list_price) in [
        // 0.6 × 100 × 2 ÷ 720 an hour.
        (
            "resourceKind: \"volume\", size: 100, amount: 2, paymentType: POSTPAY",
            "0.1666666667",
            "0.1666666667",
        ),
        (
            "resourceKind: \"volume\", size: 100, amount: 2, paymentType: PREPAY, paymentMonths: 1",
            "120.00",
            "120.00",
        ),
        (
            "resourceKind: \"volume\", size: 100, amount: 2, paymentType: PREPAY, paymentMonths: 3",
            "349.20",
            "360.00",
        ),
        (
            "resourceKind: \"volume\", size: 100, amount: 2, paymentType: PREPAY, paymentMonths: 12",
            "1080.00",
            "1440.00",
        ),
        (
            "resourceKind: \"volume\", size: \"0.5\", amount: 1, paymentType: PREPAY, paymentMonths: 5",
            "1.46",
            "1.50",
        ),
        (
            "resourceKind: \"loadbalancer\", resourceType: \"5000\", size: 1, amount: 1, paymentType: PREPAY, paymentMonths: 2",
            "144.00",
            "144.00",
        ),
    ] {
        let quote = ask(input).await;
        assert_eq!(
            (text(&quote["price"]["amount"]), text(&quote["listPrice"]["amount"])),
            (price, list_price),
            "{input}"
        );
        let amount = |value: &Value| text(value).parse::<Decimal>().unwrap();
        assert_eq!(
            amount(&quote["listPrice"]["amount"]) - amount(&quote["discount"]["amount"]),
            amount(&quote["price"]["amount"])
        );
        let steps: Decimal =
            quote["steps"].as_array().unwrap().iter().map(|step| amount(&step["amount"])).sum();
        assert_eq!(steps, amount(&quote["price"]["amount"]), "{quote:#}");
    }
    let dollars = ask("resourceKind: \"volume\", size: 10, amount: 1, paymentType: PREPAY, paymentMonths: 1, currency: \"USD\"").await;
    assert_eq!(dollars["price"], json!({ "amount": "1.00", "currency": "USD" }));
    life.advance("2026-06-01T00:00:00Z").await;
    let later =
        ask("resourceKind: \"volume\", size: 10, amount: 1, paymentType: PREPAY, paymentMonths: 1").await;
    assert_eq!(later["price"]["amount"], "7.00");
    for (input, code, field) in [
        ("resourceKind: \"volume\", size: 1, amount: 1, paymentType: PREPAY", "REQUIRED", "paymentMonths"),
        (
            "resourceKind: \"volume\", size: 1, amount: 1, paymentType: PREPAY, paymentMonths: 0",
            "OUT_OF_RANGE",
            "paymentMonths",
        ),
        (
            "resourceKind: \"volume\", size: 1, amount: 1, paymentType: POSTPAY, paymentMonths: 1",
            "INVALID",
            "paymentMonths",
        ),
        ("resourceKind: \"volume\", size: 0, amount: 1, paymentType: POSTPAY", "INVALID", "size"),
        ("resourceKind: \"volume\", size: -1, amount: 1, paymentType: POSTPAY", "INVALID", "size"),
        ("resourceKind: \"volume\", size: 1, amount: 0, paymentType: POSTPAY", "OUT_OF_RANGE", "amount"),
        (
            "resourceKind: \"volume\", resourceType: \"ssd\", size: 1, amount: 1, paymentType: POSTPAY",
            "NOT_FOUND",
            "resourceType",
        ),
        ("resourceKind: \"tape\", size: 1, amount: 1, paymentType: POSTPAY", "NOT_FOUND", "resourceKind"),
        ("resourceKind: \"\", size: 1, amount: 1, paymentType: POSTPAY", "INVALID", "resourceKind"),
        (
            "resourceKind: \"volume\", size: 1, amount: 1, paymentType: POSTPAY, currency: \"XYZ\"",
            "INVALID",
            "currency",
        ),
    ] {
        let answer = life
            .customer
            .answer(&format!("{{ price(input: {{ {input} }}) {{ price {{ amount }} }} }}"))
            .await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"], json!({ "code": code, "argument": "input" }), "{input}\n{answer:#}");
        assert!(text(&error["message"]).starts_with(&format!("{field}: ")), "{answer:#}");
    }
    let operator = "{ price(input: { resourceKind: \"volume\", size: 1, amount: 1, paymentType: POSTPAY }) { price { amount } } }";
    assert_eq!(life.operator.error_code(operator).await, "REQUIRED");
    let discounts = life.customer.data("{ discounts { period months value } }").await;
    assert_eq!(discounts["discounts"][1], json!({ "period": "1 year", "months": 12, "value": "0.25" }));
}
