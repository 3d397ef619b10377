//! Invoices: what is on them, when they are issued, how they are numbered, and who may see and print them.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use abacus::clock::wall;
use abacus::domain::ids::{AccountId, IdMint, InvoiceId};
use abacus::domain::money::Currencies;
use abacus::jobs::invoices::invoice_pass;
use abacus::jobs::{JobContext, LeaseGuard};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::life::{Life, at, jobs};
use crate::support::load::Dice;
use crate::support::server::another_server;
use crate::support::{Client, TestServer};

const INVOICE: &str =
    "id number status issuedAt period total { amount currency } totalUsd iconUrls account { namespace }
    groups { period paymentMethod totalUsd totalAmount iconUrls
        items { title amount { amount currency } usd iconUrl prepayment { id } bill { id } } }";

async fn invoices_of(client: &Client, account: &str) -> Vec<Value> {
    let query = format!("{{ invoices(accountId: \"{account}\", first: 100) {{ nodes {{ {INVOICE} }} }} }}");
    client.data(&query).await["invoices"]["nodes"].as_array().unwrap().clone()
}

/// Says what one of a currency is worth in US dollars from an instant on.
async fn set_rate(operator: &Client, base: &str, rate: &str, observed_at: &str) {
    let input =
        json!({ "base": base, "quote": "USD", "rate": rate, "source": "test", "observedAt": observed_at });
    operator.mutate("setExchangeRate", "SetExchangeRateInput", input, "exchangeRate { rate }").await;
}

fn dec(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value} is no decimal")).parse().unwrap()
}

/// The items of a group: title, amount, value.
fn items(invoice: &Value, asset: &str) -> Vec<(String, String, String)> {
    let groups = invoice["groups"].as_array().unwrap();
    let group = groups.iter().find(|group| group["paymentMethod"] == asset).expect("a group");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let usd = |item: &Value| item["usd"].as_str().unwrap_or("unknown").to_owned();
    let item = |item: &Value| (text(&item["title"]), text(&item["amount"]["amount"]), usd(item));
    group["items"].as_array().unwrap().iter().map(item).collect()
}

fn told(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    expected.iter().map(|(t, a, u)| ((*t).to_owned(), (*a).to_owned(), (*u).to_owned())).collect()
}

/// What something was worth, if that is known.
fn worth(value: &Value) -> Option<Decimal> {
    (!value.is_null()).then(|| dec(value))
}

/// Asserts that the totals of an invoice are the sums of its items, in each asset, to the last digit, and that its own is that
/// of the account's currency.
fn assert_adds_up(invoice: &Value) {
    let groups = invoice["groups"].as_array().unwrap();
    for group in groups {
        let items = group["items"].as_array().unwrap();
        assert!(items.iter().all(|item| item["amount"]["currency"] == group["paymentMethod"]));
        let amount: Decimal = items.iter().map(|item| dec(&item["amount"]["amount"])).sum();
        let usd: Option<Decimal> = items.iter().map(|item| worth(&item["usd"])).sum();
        assert_eq!((dec(&group["totalAmount"]), worth(&group["totalUsd"])), (amount, usd), "{group:#}");
    }
    let whole: Option<Decimal> = groups.iter().map(|group| worth(&group["totalUsd"])).sum();
    assert_eq!(worth(&invoice["totalUsd"]), whole, "{invoice:#}");
    let own = groups.iter().find(|group| group["paymentMethod"] == invoice["total"]["currency"]);
    let total = own.map_or(Decimal::ZERO, |group| dec(&group["totalAmount"]));
    assert_eq!(dec(&invoice["total"]["amount"]), total, "{invoice:#}");
}

/// A card on which apps are prepaid.
struct Shop {
    life: Life,
    card: Value,
}

impl Shop {
    async fn open(now: &str, balance: &str) -> Self {
        Self::of(Life::begin(now, balance).await).await
    }

    async fn of(life: Life) -> Self {
        let card = json!({ "providerToken": "pm_card_visa" });
        let fields = "paymentMethod { id }";
        let made = life.customer.mutate("addPaymentMethod", "AddPaymentMethodInput", card, fields).await;
        Self { card: made["paymentMethod"]["id"].clone(), life }
    }

    /// Prepays an app for three months, and binds it to a project.
    async fn prepay(&self, project: &str, icon: &str) -> Value {
        let customer = &self.life.customer;
        let app_of = |more: Value| {
            let mut input = json!({ "asset": "USD", "clusterId": "cluster-1", "chartName": "wordpress", "cpuLimit": 1500,
                "memLimit": 1024, "storageLimit": 2048 });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        let offer = app_of(json!({ "period": 3 }));
        let quote =
            customer.mutate("quotePrepay", "QuotePrepayInput", offer, "quote { id amount }").await["quote"]
                .clone();
        let input = json!({ "quoteId": quote["id"], "amount": quote["amount"], "paymentMethodId": self.card,
            "idempotencyKey": uuid::Uuid::new_v4().to_string() });
        let paid = customer
            .mutate("prepay", "PrepayInput", input, "prepayment { id transaction { id } }")
            .await["prepayment"]
            .clone();
        let binding = app_of(
            json!({ "prepaymentId": paid["id"], "appId": "app-1", "iconUrl": icon, "projectName": project }),
        );
        customer.mutate("bindApp", "BindAppInput", binding, "prepayment { id }").await;
        paid
    }

    async fn refund(&self, transaction: &Value, amount: &str) {
        let input = json!({ "transactionId": transaction, "amount": amount, "reason": "outage",
            "idempotencyKey": uuid::Uuid::new_v4().to_string() });
        self.life.operator.mutate("refund", "RefundInput", input, "refund { id status }").await;
    }

    async fn invoices(&self) -> Vec<Value> {
        invoices_of(&self.life.customer, &self.life.account).await
    }
}

#[tokio::test]
async fn a_month_is_grouped_by_what_was_paid_with_and_issued_an_hour_after_its_end() {
    let shop = Shop::open("2026-08-05T10:00:00Z", "1000").await;
    set_rate(&shop.life.operator, "CNY", "0.1375", "2026-08-01T00:00:00Z").await;
    let first = shop.prepay("blog", "https://example.com/a.png").await;
    shop.prepay("shop", "https://example.com/b.png").await;
    shop.prepay("wiki", "https://example.com/a.png").await;
    let plan = shop.life.plan("Plan C", "C", "99.97", "MONTH").await;
    let bought = shop.life.buy(&plan, json!({})).await;

    let draft = shop.invoices().await.remove(0);
    assert_eq!(
        (&draft["status"], &draft["number"], &draft["issuedAt"]),
        (&json!("DRAFT"), &json!(null), &json!(null))
    );
    assert_eq!(shop.life.advance_and_tell_all("2026-09-01T00:59:59Z").await.get("INVOICE"), None);
    let of_august = |invoice: &&Value| invoice["period"] == "2026-08-01";
    assert_eq!(shop.invoices().await.iter().find(of_august), Some(&draft));
    shop.prepay("late", "https://example.com/c.png").await;
    let september = shop.invoices().await.remove(0);
    assert_eq!(
        (&september["period"], &september["status"]),
        (&json!("2026-09-01"), &json!("DRAFT")),
        "{september:#}"
    );
    assert_eq!(shop.life.advance_and_tell_all("2026-09-01T01:00:00Z").await.get("INVOICE"), Some(&(1, 0)));
    let issued = shop.invoices().await;
    let invoice = issued.iter().find(|invoice| invoice["period"] == "2026-08-01").unwrap();
    assert_eq!((&invoice["status"], &invoice["number"]), (&json!("ISSUED"), &json!("INV-2026-000001")));
    assert_eq!(at(invoice["issuedAt"].as_str().unwrap()), at("2026-09-01T01:00:00Z"));
    assert_eq!((&invoice["groups"], &invoice["id"]), (&draft["groups"], &draft["id"]), "as the draft said");

    let apps = "wordpress on cluster-1, 3 months";
    let titles: Vec<String> = ["blog", "shop", "wiki"].iter().map(|app| format!("{app}: {apps}")).collect();
    let expected: Vec<_> = titles.iter().map(|title| (title.as_str(), "33.30", "33.30")).collect();
    assert_eq!(items(invoice, "USD"), told(&expected));
    // 99.97 × 0.1375 = 13.745875.
    assert_eq!(items(invoice, "CNY"), told(&[("Plan C", "99.97", "13.75")]));
    let [usd, cny] = [0, 1].map(|place| &invoice["groups"][place]);
    assert_eq!((&usd["totalAmount"], &usd["totalUsd"]), (&json!("99.90"), &json!("99.90")));
    assert_eq!((&cny["totalAmount"], &cny["totalUsd"]), (&json!("99.97"), &json!("13.75")));
    let icons = json!(["https://example.com/a.png", "https://example.com/b.png"]);
    assert_eq!((&usd["iconUrls"], &cny["iconUrls"], &invoice["iconUrls"]), (&icons, &json!([]), &icons));
    assert_eq!((&invoice["totalUsd"], &usd["period"]), (&json!("113.65"), &json!("2026-08-01")));
    assert_eq!(invoice["total"], json!({ "amount": "99.97", "currency": "CNY" }), "the account's own");
    assert_eq!(usd["items"][0]["prepayment"]["id"], first["id"]);
    assert_eq!(cny["items"][0]["bill"]["id"], bought["bill"]["id"]);
    assert_adds_up(invoice);

    let query = format!("{{ node(id: {}) {{ ...on Invoice {{ {INVOICE} }} }} }}", invoice["id"]);
    assert_eq!(shop.life.customer.data(&query).await["node"], *invoice);
    let query = format!("{{ account {{ invoices {{ totalCount nodes {{ {INVOICE} }} }} }} }}");
    let listed = shop.life.customer.data(&query).await["account"]["invoices"].clone();
    assert_eq!(listed["nodes"].as_array().unwrap(), &issued);
    assert_eq!(listed["totalCount"], issued.len());
}

#[tokio::test]
async fn what_is_given_back_is_negative_in_its_own_month_and_what_was_issued_stays() {
    let shop = Shop::open("2026-08-05T10:00:00Z", "0").await;
    set_rate(&shop.life.operator, "CNY", "0.14", "2026-08-01T00:00:00Z").await;
    let input = json!({ "amount": "500", "paymentMethodId": shop.card, "idempotencyKey": "k" });
    let recharged = shop.life.customer.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    let recharged = recharged["transaction"]["id"].clone();
    let prepaid = shop.prepay("blog", "https://example.com/a.png").await;
    let plan = shop.life.plan("Plan C", "C", "100", "YEAR").await;
    let bought = shop.life.buy(&plan, json!({})).await;
    let query = format!("{{ bill(id: {}) {{ transactions {{ id }} }} }}", bought["bill"]["id"]);
    let payment = shop.life.customer.data(&query).await["bill"]["transactions"][0]["id"].clone();
    shop.life.advance("2026-09-10T00:00:00Z").await;
    let august = shop.invoices().await.remove(0);
    assert_eq!((&august["period"], &august["totalUsd"]), (&json!("2026-08-01"), &json!("47.30")));

    set_rate(&shop.life.operator, "CNY", "0.15", "2026-09-09T00:00:00Z").await;
    shop.refund(&prepaid["transaction"]["id"], "33.30").await;
    shop.refund(&payment, "10.01").await;
    shop.refund(&recharged, "3").await;
    shop.life.advance("2026-10-02T00:00:00Z").await;
    let invoices = shop.invoices().await;
    let [september, still] = [0, 1].map(|place| &invoices[place]);
    assert_eq!(*still, august, "an issued invoice never changes");
    assert_eq!(
        (&september["number"], &september["period"]),
        (&json!("INV-2026-000002"), &json!("2026-09-01"))
    );
    let of_app = "Refund of blog: wordpress on cluster-1, 3 months (outage)";
    assert_eq!(items(september, "USD"), told(&[(of_app, "-33.30", "-33.30")]));
    // At the rate of the purchase, 0.14.
    assert_eq!(items(september, "CNY"), told(&[("Refund of Plan C (outage)", "-10.01", "-1.40")]));
    assert_eq!(september["totalUsd"], "-34.70");
    assert_eq!(september["total"], json!({ "amount": "-10.01", "currency": "CNY" }));
    assert_adds_up(september);

    let sql = shop.life.server.sql().await;
    for change in ["UPDATE invoices SET total_usd = 0", "DELETE FROM invoices", "TRUNCATE invoices"] {
        assert!(sql.batch_execute(change).await.is_err(), "{change}");
    }
    shop.life.server.assert_ledger_is_healthy().await;
}

/// The first payment of the customer's newest bill.
async fn payment_of_newest_bill(life: &Life) -> Value {
    let query = "{ bills(first: 1) { nodes { transactions { id } } } }";
    life.customer.data(query).await["bills"]["nodes"][0]["transactions"][0]["id"].clone()
}

#[tokio::test]
async fn a_refund_has_the_worth_of_what_it_gives_back() {
    let shop = Shop::open("2026-08-05T10:00:00Z", "100").await;
    set_rate(&shop.life.operator, "CNY", "0.14", "2026-08-01T00:00:00Z").await;
    let plan = shop.life.plan("Plan C", "C", "100", "YEAR").await;
    shop.life.buy(&plan, json!({})).await;
    let payment = payment_of_newest_bill(&shop.life).await;
    shop.life.advance("2026-09-10T00:00:00Z").await;
    set_rate(&shop.life.operator, "CNY", "0.20", "2026-09-05T00:00:00Z").await;
    shop.refund(&payment, "100").await;
    let invoices = shop.invoices().await;
    assert_eq!(items(&invoices[1], "CNY"), told(&[("Plan C", "100.00", "14.00")]));
    assert_eq!(items(&invoices[0], "CNY"), told(&[("Refund of Plan C (outage)", "-100.00", "-14.00")]));
    assert_eq!((&invoices[0]["totalUsd"], &invoices[1]["totalUsd"]), (&json!("-14.00"), &json!("14.00")));
}

#[tokio::test]
async fn what_is_given_back_of_something_without_a_worth_has_none_either() {
    let shop = Shop::open("2026-08-05T10:00:00Z", "100").await;
    let plan = shop.life.plan("Plan C", "C", "100", "YEAR").await;
    shop.life.buy(&plan, json!({})).await;
    let payment = payment_of_newest_bill(&shop.life).await;
    shop.life.advance("2026-09-10T00:00:00Z").await;
    set_rate(&shop.life.operator, "CNY", "0.20", "2026-09-05T00:00:00Z").await;
    shop.refund(&payment, "100").await;
    let worths: Vec<Value> =
        shop.invoices().await.iter().map(|invoice| invoice["totalUsd"].clone()).collect();
    assert_eq!(worths, [json!(null), json!(null)]);
}

#[tokio::test]
async fn what_a_correction_credits_has_the_worth_of_the_bill_that_it_corrects() {
    let life = Life::begin("2026-08-05T10:00:00Z", "1000").await;
    set_rate(&life.operator, "CNY", "0.14", "2026-08-01T00:00:00Z").await;
    let price = async |price: &str, key: &str| {
        let tariffs = json!([{ "resource": "transfer_out", "tiers": [{ "from": 0, "unitPrice": price }] }]);
        let base = json!({ "base": { "currency": "CNY", "tariffs": tariffs } });
        let infos = json!([{ "effectiveFrom": "2026-08-01T00:00:00Z", "definition": base }]);
        let input =
            json!({ "accountId": life.account, "allowPast": true, "infos": infos, "idempotencyKey": key });
        life.operator.mutate("setPrices", "SetPricesInput", input, "rules { id }").await;
    };
    price("1", "first").await;
    let event = json!({ "id": "1", "namespace": "tenant", "resource": "transfer_out", "quantity": "100",
        "time": "2026-08-05T09:00:00Z" });
    let input = json!({ "events": [event] });
    life.operator.mutate("recordUsage", "RecordUsageInput", input, "accepted").await;
    life.advance("2026-10-05T00:00:00Z").await;
    set_rate(&life.operator, "CNY", "0.20", "2026-10-01T00:00:00Z").await;
    price("0.6", "second").await;
    let rerate = json!({ "accountId": life.account, "period": "2026-08-01", "idempotencyKey": "again" });
    life.operator.mutate("rerate", "RerateInput", rerate, "bills { amount { amount } }").await;
    let invoices = invoices_of(&life.customer, &life.account).await;
    let moved = |invoice: &Value| {
        let (_, amount, usd) = items(invoice, "CNY").remove(0);
        (invoice["period"].as_str().unwrap().to_owned(), amount, usd)
    };
    let moved: Vec<_> = invoices.iter().map(moved).collect();
    assert_eq!(moved, told(&[("2026-10-01", "-40.00", "-5.60"), ("2026-09-01", "100.00", "14.00")]));
    life.server.assert_ledger_is_healthy().await;
}

/// Movements of money as they would be in the database, without their entries.
struct Moved {
    account: AccountId,
    at: DateTime<Utc>,
    kind: &'static str,
    currency: &'static str,
    amount: Decimal,
    description: &'static str,
}

impl Moved {
    fn new(account: &str, at: DateTime<Utc>, amount: &str) -> Self {
        let account = AccountId::parse(account).unwrap();
        let amount = amount.parse().unwrap();
        Self { account, at, kind: "CHECKOUT", currency: "USD", amount, description: "Plan C" }
    }
}

async fn insert(server: &TestServer, moved: &[Moved]) {
    let row = |(number, moved): (usize, &Moved)| {
        let number = 1_000 + i64::try_from(number).unwrap();
        let id = IdMint::new(moved.account, moved.at, number, false).next_id().unwrap().uuid();
        let Moved { account, at, kind, currency, amount, description } = moved;
        let at = at.to_rfc3339();
        format!(
            "({}, '{id}', '{kind}', 'FINISHED', '{currency}', {amount}, 'customer', 'revenue:checkout', '{description}', 'balance', 0, '{at}')",
            account.0
        )
    };
    let rows: Vec<String> = moved.iter().enumerate().map(row).collect();
    let insert = format!(
        "INSERT INTO transactions (account_id, id, kind, status, currency, amount, debit_ledger, credit_ledger, description,
         payment_method, refunded_amount, created_at) VALUES {}",
        rows.join(", ")
    );
    server.sql().await.batch_execute(&insert).await.unwrap();
}

#[tokio::test]
async fn burst_is_one_item_for_each_resource() {
    let life = Life::begin("2026-08-01T00:00:00Z", "0").await;
    life.server
        .sql()
        .await
        .batch_execute("INSERT INTO resources VALUES ('gpu', 'Graphics', 'count', 'CLOUD', 'LAST')")
        .await
        .unwrap();
    set_rate(&life.operator, "CNY", "0.14", "2026-08-01T00:00:00Z").await;
    life.advance("2026-08-10T00:00:00Z").await;
    set_rate(&life.operator, "CNY", "0.15", "2026-08-10T00:00:00Z").await;
    let cycle = |number: i32, resource| Moved {
        kind: "BURST",
        currency: "CNY",
        description: resource,
        ..Moved::new(&life.account, at("2026-08-09T23:00:00Z") + TimeDelta::minutes(5) * number, "0.0123")
    };
    let mut moved: Vec<Moved> = (0..24).map(|number| cycle(number, "gpu")).collect();
    moved.extend((0..10).map(|number| cycle(number, "disk")));
    insert(&life.server, &moved).await;
    let invoice = invoices_of(&life.customer, &life.account).await.remove(0);
    // 12 cycles at each rate: 0.1476 × (0.14 + 0.15) = 0.042804.
    let expected = [("Burst: Graphics", "0.2952", "0.04"), ("Burst: disk", "0.123", "0.02")];
    assert_eq!(items(&invoice, "CNY"), told(&expected));
    assert_adds_up(&invoice);
}

#[tokio::test]
async fn generated_months_add_up_to_the_last_digit() {
    let life = Life::begin("2026-01-05T00:00:00Z", "0").await;
    for (base, rate) in [("CNY", "0.139482"), ("EUR", "1.0847"), ("ANKR_ERC20", "0.012345678901234567")] {
        set_rate(&life.operator, base, rate, "2026-01-01T00:00:00Z").await;
    }
    let mut dice = Dice::new(7);
    let mut moved = Vec::new();
    let begin = at("2026-01-05T00:00:00Z");
    for number in 0..400 {
        let (currency, places) = [("USD", 10), ("CNY", 10), ("EUR", 2), ("ANKR_ERC20", 18)][dice.below(4)];
        let units = dice.below(1_000_000_000) as i128 * (1 + dice.below(1_000_000_000)) as i128;
        let amount = Decimal::from_i128_with_scale(units + 1, places);
        let kind = ["CHECKOUT", "RENEWAL", "BILL_PAYMENT", "BURST", "RECHARGE"][dice.below(5)];
        let description = ["cpu", "ip"][dice.below(2)];
        let at = begin + TimeDelta::hours(number * 5) + TimeDelta::seconds(dice.below(3_000) as i64);
        moved.push(Moved { at, kind, currency, amount, description, ..Moved::new(&life.account, at, "1") });
    }
    insert(&life.server, &moved).await;
    life.advance("2026-05-01T02:00:00Z").await;
    let invoices = invoices_of(&life.customer, &life.account).await;
    let periods: Vec<&str> = invoices.iter().map(|invoice| invoice["period"].as_str().unwrap()).collect();
    assert_eq!(periods, ["2026-03-01", "2026-02-01", "2026-01-01"]);
    let mut of_asset: BTreeMap<String, Decimal> = BTreeMap::new();
    for invoice in &invoices {
        assert_eq!(invoice["status"], "ISSUED");
        assert_adds_up(invoice);
        for group in invoice["groups"].as_array().unwrap() {
            let asset = group["paymentMethod"].as_str().unwrap().to_owned();
            *of_asset.entry(asset).or_default() += dec(&group["totalAmount"]);
        }
    }
    let mut paid: BTreeMap<String, Decimal> = BTreeMap::new();
    for moved in moved.iter().filter(|moved| moved.kind != "RECHARGE") {
        *paid.entry(moved.currency.to_owned()).or_default() += moved.amount;
    }
    assert_eq!(of_asset, paid, "nothing is left out, and nothing is there twice");
}

#[tokio::test]
async fn numbers_have_no_gaps_when_issuing_is_interrupted_and_done_by_two_servers_at_once() {
    const ACCOUNTS: usize = 120;
    let life = Life::begin("2026-11-03T00:00:00Z", "0").await;
    let mut moved = Vec::new();
    for number in 0..ACCOUNTS {
        let account = life.server.account(&format!("customer-{number}"), "0").await;
        for (place, month) in ["2026-11-15", "2026-12-15", "2027-01-15", "2027-02-15"].iter().enumerate() {
            // Some months are empty.
            if (number + place) % 5 != 0 {
                moved.push(Moved::new(&account, at(&format!("{month}T00:00:00Z")), "1.50"));
            }
        }
    }
    insert(&life.server, &moved).await;
    life.clock.set(at("2027-03-01T02:00:00Z"));
    let url = life.server.database_url.clone();
    let servers: Vec<JobContext> =
        (0..2).map(|_| another_server(&url, &life.clock, Currencies::default())).collect();
    let mut dice = Dice::new(11);
    for _ in 0..12 {
        let passes = servers.iter().map(|jobs| {
            let (jobs, after) = (jobs.clone(), Duration::from_millis(dice.below(60) as u64));
            async move {
                let passing = tokio::spawn(async move { invoice_pass(&jobs, &LeaseGuard::Always).await });
                tokio::time::sleep(after).await;
                passing.abort();
            }
        });
        join_all(passes).await;
    }
    join_all(servers.iter().map(|jobs| invoice_pass(jobs, &LeaseGuard::Always))).await;
    invoice_pass(&servers[0], &LeaseGuard::Always).await.unwrap();

    let sql = life.server.sql().await;
    let rows = "SELECT number, account_id, to_char(period, 'YYYY-MM') FROM invoices ORDER BY number";
    let rows = sql.query(rows, &[]).await.unwrap();
    let numbers: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let of_year = |year: &str| moved.iter().filter(|moved| moved.at.to_rfc3339().starts_with(year)).count();
    let mut expected: Vec<String> = (1..=of_year("2026")).map(|n| format!("INV-2026-{n:06}")).collect();
    expected.extend((1..=of_year("2027")).map(|n| format!("INV-2027-{n:06}")));
    assert_eq!(numbers, expected);
    let mut months: Vec<(i64, String)> = rows.iter().map(|row| (row.get(1), row.get(2))).collect();
    let mut paid: Vec<(i64, String)> =
        moved.iter().map(|moved| (moved.account.0, moved.at.format("%Y-%m").to_string())).collect();
    months.sort();
    paid.sort();
    assert_eq!(months, paid);
    let open = "SELECT count(*) FROM open_invoices WHERE due_at <= '2027-03-01T01:00:00Z'";
    assert_eq!(sql.query_one(open, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert_eq!(sql.query_one("SELECT count(*) FROM open_invoices", &[]).await.unwrap().get::<_, i64>(0), 121);
}

#[tokio::test]
async fn a_month_that_cannot_be_written_holds_up_no_other() {
    let life = Life::begin("2026-02-10T00:00:00Z", "0").await;
    let other = life.server.account("other", "0").await;
    let paid = at("2026-02-11T00:00:00Z");
    insert(&life.server, &[Moved::new(&life.account, paid, "1"), Moved::new(&other, paid, "2")]).await;
    let refuse = format!(
        "CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'too large'; END $$;
         CREATE TRIGGER refuse_one BEFORE INSERT ON invoices FOR EACH ROW WHEN (NEW.account_id = {}) EXECUTE FUNCTION refuse_one()",
        AccountId::parse(&life.account).unwrap().0
    );
    let sql = life.server.sql().await;
    sql.batch_execute(&refuse).await.unwrap();
    let ran = life.advance_and_tell_all("2026-03-01T01:00:00Z").await;
    assert_eq!(ran.get("INVOICE"), Some(&(1, 0)), "the other's: {ran:?}");
    let of_other = invoices_of(&life.operator, &other).await;
    assert_eq!(
        (&of_other[0]["status"], &of_other[0]["number"]),
        (&json!("ISSUED"), &json!("INV-2026-000001"))
    );
    assert_eq!(invoices_of(&life.customer, &life.account).await[0]["status"], "DRAFT");

    sql.batch_execute("DROP TRIGGER refuse_one ON invoices").await.unwrap();
    life.advance("2026-03-03T00:00:00Z").await;
    let own = invoices_of(&life.customer, &life.account).await;
    assert_eq!(
        (&own[0]["status"], &own[0]["number"]),
        (&json!("ISSUED"), &json!("INV-2026-000002")),
        "without a gap"
    );
}

#[tokio::test]
async fn months_are_cut_in_the_accounts_zone() {
    for (zone, begins, ends) in [
        ("Asia/Shanghai", "2026-02-28T16:00:00Z", "2026-03-31T16:00:00Z"),
        // Half an hour off, and an hour less at the end: clocks are set forward on 8 March.
        ("America/St_Johns", "2026-03-01T03:30:00Z", "2026-04-01T02:30:00Z"),
    ] {
        let life = Life::with("2026-02-10T00:00:00Z", "0", json!({ "timeZone": zone })).await;
        let micro = TimeDelta::microseconds(1);
        let (begins, ends) = (at(begins), at(ends));
        let moved: Vec<Moved> = [(begins - micro, "1"), (begins, "2"), (ends - micro, "4"), (ends, "8")]
            .map(|(at, amount)| Moved::new(&life.account, at, amount))
            .into();
        insert(&life.server, &moved).await;
        let hour = TimeDelta::hours(1);
        life.advance(&(ends + hour - micro).to_rfc3339()).await;
        let told = |invoices: &[Value]| -> Vec<(String, String, String)> {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            invoices.iter().map(|i| (text(&i["period"]), text(&i["totalUsd"]), text(&i["status"]))).collect()
        };
        let owned = |rows: [(&str, &str, &str); 3]| {
            rows.map(|(p, t, s)| (p.to_owned(), t.to_owned(), s.to_owned())).to_vec()
        };
        let before = owned([
            ("2026-04-01", "8.00", "DRAFT"),
            ("2026-03-01", "6.00", "DRAFT"),
            ("2026-02-01", "1.00", "ISSUED"),
        ]);
        let shown = invoices_of(&life.customer, &life.account).await;
        assert_eq!(told(&shown), before, "{zone}");
        life.advance(&(ends + hour).to_rfc3339()).await;
        let shown = invoices_of(&life.customer, &life.account).await;
        let mut after = before;
        after[1].2 = "ISSUED".to_owned();
        assert_eq!(told(&shown), after, "{zone}");
    }
}

#[tokio::test]
async fn a_change_of_zone_loses_nothing_and_invoices_nothing_twice() {
    for (from, to) in [("UTC", "Asia/Shanghai"), ("Asia/Shanghai", "UTC"), ("UTC", "America/Los_Angeles")] {
        let life = Life::with("2026-06-10T00:00:00Z", "0", json!({ "timeZone": from })).await;
        let begin = at("2026-06-10T00:00:00Z");
        let moved: Vec<Moved> =
            (0..500).map(|n| Moved::new(&life.account, begin + TimeDelta::hours(6 * n), "1")).collect();
        insert(&life.server, &moved).await;
        life.advance("2026-07-31T20:00:00Z").await;
        let input = json!({ "accountId": life.account, "timeZone": to });
        life.operator.mutate("updateAccount", "UpdateAccountInput", input, "account { id }").await;
        life.advance("2026-11-05T00:00:00Z").await;
        let invoices = invoices_of(&life.customer, &life.account).await;
        let total: Decimal = invoices.iter().map(|invoice| dec(&invoice["totalUsd"])).sum();
        assert_eq!(total, Decimal::from(500), "{from} {to}");
        let periods: Vec<&str> = invoices.iter().map(|i| i["period"].as_str().unwrap()).collect();
        assert_eq!(periods, ["2026-10-01", "2026-09-01", "2026-08-01", "2026-07-01", "2026-06-01"]);
    }
}

/// A customer in euros who has bought something for 100, and prepaid an app in dollars.
async fn paid_in_euros() -> Shop {
    let shop = Shop::of(Life::with("2026-08-05T10:00:00Z", "1000", json!({ "currency": "EUR" })).await).await;
    let price = json!({ "amount": "100", "currency": "EUR" });
    let plan = json!({ "name": "Plan E", "type": "C", "region": null, "price": price, "billPeriod": "YEAR" });
    let plan = shop.life.server.plan_from(plan).await;
    shop.life.buy(&plan, json!({})).await;
    shop
}

#[tokio::test]
async fn an_invoice_is_in_the_accounts_own_currency_and_waits_for_no_rate() {
    let shop = paid_in_euros().await;
    let draft = shop.invoices().await.remove(0);
    assert_eq!(draft["total"], json!({ "amount": "100.00", "currency": "EUR" }));
    assert_eq!((&draft["status"], &draft["totalUsd"]), (&json!("DRAFT"), &json!(null)));
    assert_eq!(items(&draft, "EUR"), told(&[("Plan E", "100.00", "unknown")]));
    shop.prepay("blog", "https://example.com/a.png").await;
    assert_eq!(
        shop.life.advance_and_tell_all("2026-09-01T01:00:00Z").await.get("INVOICE"),
        Some(&(1, 0)),
        "in time"
    );

    let invoice = shop.invoices().await.remove(0);
    assert_eq!((&invoice["status"], &invoice["number"]), (&json!("ISSUED"), &json!("INV-2026-000001")));
    assert_eq!(invoice["total"], json!({ "amount": "100.00", "currency": "EUR" }), "no dollars in it");
    let totals = |asset: &str| {
        let groups = invoice["groups"].as_array().unwrap();
        let group = groups.iter().find(|group| group["paymentMethod"] == asset).unwrap();
        (group["totalAmount"].clone(), group["totalUsd"].clone())
    };
    assert_eq!(totals("EUR"), (json!("100.00"), json!(null)));
    assert_eq!(totals("USD"), (json!("33.30"), json!("33.30")), "in its own group, with its own total");
    assert_eq!(invoice["totalUsd"], json!(null));
    assert_adds_up(&invoice);
    let query = "{ account { notices { kind } } invoices { totalCount unvaluedMonths } }";
    let told = json!({ "account": { "notices": [] }, "invoices": { "totalCount": 1, "unvaluedMonths": [] } });
    assert_eq!(shop.life.customer.data(query).await, told);
    let notices = format!("{{ account(id: \"{}\") {{ notices {{ kind }} }} }}", shop.life.account);
    assert_eq!(shop.life.operator.data(&notices).await["account"]["notices"], json!([]));

    // What was issued stays as it is, and what comes is worth what it is worth then.
    set_rate(&shop.life.operator, "EUR", "1.08", "2026-08-05T10:00:00Z").await;
    assert_eq!(shop.invoices().await[0], invoice);
    insert(
        &shop.life.server,
        &[Moved { currency: "EUR", ..Moved::new(&shop.life.account, at("2026-09-01T01:00:00Z"), "50") }],
    )
    .await;
    let september = shop.invoices().await.remove(0);
    assert_eq!((&september["total"]["amount"], &september["totalUsd"]), (&json!("50.00"), &json!("54.00")));
}

#[tokio::test]
async fn an_account_that_paid_nothing_in_its_own_currency_has_a_total_of_zero() {
    let shop = Shop::open("2026-08-05T10:00:00Z", "0").await;
    shop.prepay("blog", "https://example.com/a.png").await;
    let draft = shop.invoices().await.remove(0);
    assert_eq!(draft["total"], json!({ "amount": "0.00", "currency": "CNY" }));
    assert_eq!(draft["totalUsd"], "33.30");
}

#[tokio::test]
async fn invoices_that_were_issued_when_everything_had_a_worth_stay_readable() {
    let life = Life::begin("2026-08-05T10:00:00Z", "0").await;
    let account = AccountId::parse(&life.account).unwrap();
    let id = InvoiceId::of(account, at("2026-07-01T00:00:00Z"));
    let groups = json!([{ "currency": "CNY", "total_amount": "100", "total_usd": "14.00",
        "items": [{ "title": "Plan C", "amount": "100", "usd": "14.00" }] }]);
    let insert = format!(
        "INSERT INTO invoices VALUES ({}, '{}', '2026-07-01', '2026-07-01', '2026-08-01', 'INV-2026-000001',
         '2026-08-01T01:00:00Z', 'Tenant', 14.00, '{groups}')",
        account.0,
        id.uuid()
    );
    life.server.sql().await.batch_execute(&insert).await.unwrap();
    let invoice = invoices_of(&life.customer, &life.account).await.remove(0);
    assert_eq!(invoice["total"], json!({ "amount": "100.00", "currency": "CNY" }));
    assert_eq!((&invoice["totalUsd"], &invoice["id"]), (&json!("14.00"), &json!(id.to_string())));
    assert_adds_up(&invoice);
}

#[tokio::test]
async fn a_month_that_does_not_add_up_is_missing_and_operators_are_told_once() {
    let life = Life::begin("2026-08-05T10:00:00Z", "0").await;
    let paid = |amount| Moved::new(&life.account, at("2026-08-06T00:00:00Z"), amount);
    insert(&life.server, &[paid("79228162514264337593543950335"), paid("0.01")]).await;
    let id = InvoiceId::of(AccountId::parse(&life.account).unwrap(), at("2026-08-01T00:00:00Z"));
    let query = format!(
        "{{ node(id: \"{id}\") {{ id }} invoices {{ totalCount nodes {{ id }} unvaluedMonths }} account {{ notices {{ kind }} }} }}"
    );
    let absent = json!({ "node": null, "invoices": { "totalCount": 0, "nodes": [], "unvaluedMonths": ["2026-08-01"] },
        "account": { "notices": [] } });
    life.clock.move_to(at("2026-08-07T00:00:00Z"));
    assert_eq!(life.customer.data(&query).await, absent);
    let page = life.customer.request(Method::GET, &format!("/invoices/{id}")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    life.advance("2026-10-20T00:00:00Z").await;
    assert_eq!(life.customer.data(&query).await, absent, "the customer is told nothing");
    let notices = format!("{{ account(id: \"{}\") {{ notices {{ kind message }} }} }}", life.account);
    let message =
        "The invoice of 2026-08 is not issued: what it comes to is out of range. It is tried again.";
    assert_eq!(
        life.operator.data(&notices).await["account"]["notices"],
        json!([{ "kind": "INVOICE_HELD_UP", "message": message }]),
        "once"
    );
}

#[tokio::test]
async fn an_invoice_waits_for_what_is_given_back_and_on_its_way() {
    let life = Life::begin("2026-08-05T10:00:00Z", "0").await;
    let paid_at = at("2026-08-06T00:00:00Z");
    insert(&life.server, &[Moved::new(&life.account, paid_at, "10")]).await;
    let account = AccountId::parse(&life.account).unwrap();
    let refund = IdMint::new(account, paid_at, 2_000, false).next_id().unwrap().uuid();
    let sql = life.server.sql().await;
    let pending = format!(
        "INSERT INTO transactions (account_id, id, kind, status, currency, amount, debit_ledger, credit_ledger, description,
         payment_method, refund_of, refunded_amount, created_at)
         SELECT account_id, '{refund}', 'REFUND', 'PENDING', currency, 4, credit_ledger, 'cash:sandbox', 'outage', 'visa', id, 0,
         created_at FROM transactions WHERE amount = 10"
    );
    sql.batch_execute(&pending).await.unwrap();
    life.advance("2026-09-05T00:00:00Z").await;
    let told = async || {
        let invoice = invoices_of(&life.customer, &life.account).await.remove(0);
        (invoice["status"].as_str().unwrap().to_owned(), invoice["totalUsd"].as_str().unwrap().to_owned())
    };
    assert_eq!(told().await, ("DRAFT".to_owned(), "10.00".to_owned()));
    sql.batch_execute("UPDATE transactions SET status = 'FINISHED' WHERE kind = 'REFUND'").await.unwrap();
    life.advance("2026-09-20T00:00:00Z").await;
    assert_eq!(told().await, ("ISSUED".to_owned(), "6.00".to_owned()));
    let notices = format!("{{ account(id: \"{}\") {{ notices {{ kind }} }} }}", life.account);
    assert_eq!(life.operator.data(&notices).await["account"]["notices"], json!([]));
}

#[tokio::test]
async fn a_list_of_several_accounts_has_what_is_issued_and_the_callers_own_drafts() {
    let life = Life::begin("2026-06-10T00:00:00Z", "0").await;
    let sub = json!({ "namespace": "sub", "name": "Sub", "currency": "CNY", "parentId": life.account });
    let sub = life.server.account_from(sub, "0").await;
    let other = life.server.account("other", "0").await;
    let mut moved = Vec::new();
    for account in [&life.account, &sub, &other] {
        for month in ["06", "07", "08"] {
            moved.push(Moved::new(account, at(&format!("2026-{month}-20T00:00:00Z")), "2"));
        }
    }
    insert(&life.server, &moved).await;
    life.advance("2026-08-25T00:00:00Z").await;
    let list = async |client: &Client, arguments: &str| {
        let query = format!(
            "{{ invoices{arguments} {{ totalCount nodes {{ period status account {{ namespace }} }} pageInfo {{ endCursor hasNextPage
                hasPreviousPage }} }} }}"
        );
        client.data(&query).await["invoices"].clone()
    };
    let told = |page: &Value| -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let row = |i: &Value| {
            format!(
                "{} {} {}",
                text(&i["period"])[5..7].to_owned(),
                text(&i["account"]["namespace"]),
                text(&i["status"])
            )
        };
        page["nodes"].as_array().unwrap().iter().map(row).collect()
    };
    let everyone = list(&life.operator, "").await;
    let expected = [
        "07 other ISSUED",
        "07 sub ISSUED",
        "07 tenant ISSUED",
        "06 other ISSUED",
        "06 sub ISSUED",
        "06 tenant ISSUED",
    ];
    assert_eq!((told(&everyone), &everyone["totalCount"]), (expected.map(str::to_owned).to_vec(), &json!(6)));
    let family = list(&life.customer, "").await;
    let expected =
        ["08 tenant DRAFT", "07 sub ISSUED", "07 tenant ISSUED", "06 sub ISSUED", "06 tenant ISSUED"]
            .map(str::to_owned);
    assert_eq!((told(&family), &family["totalCount"]), (expected.to_vec(), &json!(5)));
    let subs = list(&life.customer, &format!("(accountId: \"{sub}\")")).await;
    assert_eq!(told(&subs), ["08 sub DRAFT", "07 sub ISSUED", "06 sub ISSUED"]);

    // Page by page, from either end, and with offsets, the list is the same.
    let mut walked = Vec::new();
    let mut after = String::new();
    loop {
        let page = list(&life.customer, &format!("(first: 2{after})")).await;
        walked.extend(told(&page));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
    assert_eq!(walked, expected);
    assert_eq!(told(&list(&life.customer, "(last: 2)").await), expected[3..]);
    assert_eq!(told(&list(&life.customer, "(last: 4)").await), expected[1..]);
    assert_eq!(told(&list(&life.customer, "(first: 2, offset: 1)").await), expected[1..3]);
    assert_eq!(told(&list(&life.customer, "(last: 2, offset: 3)").await), expected[..2]);
}

async fn get(client: &Client, path: &str) -> reqwest::Response {
    client.request(Method::GET, path).send().await.unwrap()
}

/// A shop with an issued invoice and a draft: the paths of their pages, signed.
async fn printed() -> (Shop, String, String) {
    let shop = Shop::open("2026-08-05T10:00:00Z", "1000").await;
    set_rate(&shop.life.operator, "CNY", "0.1375", "2026-08-01T00:00:00Z").await;
    shop.prepay("<博客>", "https://example.com/a.png").await;
    let plan = shop.life.plan("Plan C", "C", "99.97", "MONTH").await;
    shop.life.buy(&plan, json!({})).await;
    shop.life.advance("2026-09-10T00:00:00Z").await;
    shop.prepay("news", "https://example.com/b.png").await;
    let query = "{ invoices { nodes { status htmlUrl pdfUrl } } }";
    let nodes = shop.life.customer.data(query).await["invoices"]["nodes"].clone();
    assert_eq!((&nodes[0]["status"], &nodes[1]["status"]), (&json!("DRAFT"), &json!("ISSUED")));
    let path = |place: usize| nodes[place]["htmlUrl"].as_str().unwrap().to_owned();
    let (draft, issued) = (path(0), path(1));
    (shop, issued, draft)
}

#[tokio::test]
async fn invoices_are_printed_for_those_who_may_see_them_and_by_links() {
    let (shop, issued, draft) = printed().await;
    let server = &shop.life.server;
    server.account("stranger", "0").await;
    let nobody = server.client_with(None);
    let (plain, link) = issued.split_once('?').unwrap();
    let pdf = format!("{plain}.pdf?{link}");

    for (client, expected) in [
        (&shop.life.customer, StatusCode::OK),
        (&shop.life.operator, StatusCode::OK),
        (&server.customer("stranger"), StatusCode::NOT_FOUND),
        (&server.service(), StatusCode::FORBIDDEN),
        (&nobody, StatusCode::UNAUTHORIZED),
    ] {
        for path in [plain.to_owned(), format!("{plain}.pdf")] {
            assert_eq!(get(client, &path).await.status(), expected, "{path}");
        }
    }
    let absent = InvoiceId::of(AccountId(999_999), at("2026-08-01T00:00:00Z"));
    let there_is_none = get(&server.customer("stranger"), &format!("/invoices/{absent}")).await;
    assert_eq!(there_is_none.status(), StatusCode::NOT_FOUND);
    let strangers = get(&server.customer("stranger"), plain).await;
    assert_eq!(there_is_none.text().await.unwrap(), strangers.text().await.unwrap());

    let page = get(&nobody, &issued).await;
    let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("content-disposition"), "inline; filename=\"INV-2026-000001.html\"");
    assert_eq!(
        (header("cache-control").as_str(), header("x-content-type-options").as_str()),
        ("private, no-store", "nosniff")
    );
    assert!(header("content-security-policy").starts_with("default-src 'none';"));
    let text = page.text().await.unwrap();
    assert!(text.contains("&lt;博客&gt;") && !text.contains("<博客>") && text.contains("47.05"), "{text}");
    let printed = get(&nobody, &pdf).await;
    assert_eq!(printed.headers()["content-type"], "application/pdf");
    assert_eq!(printed.headers()["content-disposition"], "inline; filename=\"INV-2026-000001.pdf\"");
    assert!(printed.bytes().await.unwrap().starts_with(b"%PDF-"));
    let draft = get(&nobody, &draft).await;
    assert_eq!(draft.headers()["content-disposition"], "inline; filename=\"draft-2026-09.html\"");
    assert!(draft.text().await.unwrap().contains("DRAFT"));
}

#[tokio::test]
async fn wrong_links_and_ids_are_refused_with_a_clear_text() {
    let (shop, issued, draft) = printed().await;
    let nobody = shop.life.server.client_with(None);
    let (plain, link) = issued.split_once('?').unwrap();
    let (other, _) = draft.split_once('?').unwrap();
    let (expires, signature) = link.split_once('&').unwrap();
    let later = format!("expires={}", wall().timestamp() + 100_000);
    let gone = format!("expires={}", wall().timestamp() - 10);
    let (wrong, forbidden) = ("the link's signature is wrong\n", StatusCode::FORBIDDEN);
    for (path, status, text) in [
        (format!("{other}?{link}"), forbidden, wrong),
        (format!("/invoices/inv_x?{link}"), forbidden, wrong),
        (format!("/invoices/?{link}"), StatusCode::NOT_FOUND, ""),
        (format!("{plain}?{later}&{signature}"), forbidden, wrong),
        (format!("{plain}?{gone}&{signature}"), forbidden, wrong),
        (format!("{plain}?{expires}&signature=00"), forbidden, wrong),
        (format!("{plain}?{expires}&signature=%00"), forbidden, wrong),
        (format!("{plain}?{expires}"), forbidden, wrong),
        (format!("{plain}?{signature}"), forbidden, wrong),
        (format!("{plain}?expires=x&{signature}"), forbidden, wrong),
        (format!("{plain}?{link}&lang=fr"), StatusCode::BAD_REQUEST, "lang must be zh or en\n"),
    ] {
        let answer = get(&nobody, &path).await;
        assert_eq!((answer.status(), answer.text().await.unwrap().as_str()), (status, text), "{path}");
    }
    for id in [
        "inv_x",
        "x",
        "inv_0193fb2a5c007000800000000000abcd",
        "acc_1",
        "inv_%00",
        "..%2f",
        "inv_x.pdf",
        ".pdf",
    ] {
        let answer = get(&shop.life.customer, &format!("/invoices/{id}")).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!((status, text.as_str()), (StatusCode::NOT_FOUND, "there is no such invoice\n"), "{id}");
    }
    let posted = shop.life.customer.request(Method::POST, plain).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn links_are_absolute_where_the_public_address_is_known_and_expire() {
    let server = TestServer::with(|config| {
        config.public_url = Some("https://billing.example.com/".parse().unwrap());
    })
    .await;
    let account = server.account("tenant", "0").await;
    insert(&server, &[Moved::new(&account, server.server.app.clock.now(), "1")]).await;
    let query = "{ invoices { nodes { htmlUrl pdfUrl } } }";
    let node = server.customer("tenant").data(query).await["invoices"]["nodes"][0].clone();
    for (url, suffix) in [(&node["htmlUrl"], ""), (&node["pdfUrl"], ".pdf")] {
        let url: reqwest::Url = url.as_str().unwrap().parse().unwrap();
        assert_eq!(url.host_str(), Some("billing.example.com"));
        assert_eq!(url.path().ends_with(".pdf"), suffix == ".pdf");
        let expires =
            url.query_pairs().find(|(name, _)| name == "expires").unwrap().1.parse::<i64>().unwrap();
        assert!((expires - wall().timestamp() - 900).abs() < 30, "15 minutes");
    }
}

/// A PDF's text, or None where there is no pdftotext.
fn text_of(pdf: &[u8]) -> Option<String> {
    let file = std::env::temp_dir().join(format!("abacus-invoice-{}.pdf", uuid::Uuid::new_v4()));
    std::fs::write(&file, pdf).unwrap();
    let output = Command::new("pdftotext").args(["-layout", "-enc", "UTF-8"]).arg(&file).arg("-").output();
    std::fs::remove_file(&file).unwrap();
    Some(String::from_utf8(output.ok()?.stdout).unwrap())
}

/// How often each figure with a point occurs in a text.
fn figures(text: &str) -> BTreeMap<String, usize> {
    let mut figures = BTreeMap::new();
    let is_figure =
        |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || ".,-".contains(c));
    for word in text.split_whitespace().filter(is_figure) {
        *figures.entry(word.to_owned()).or_default() += 1;
    }
    figures
}

#[tokio::test]
async fn the_page_and_the_pdf_show_the_same_figures_in_both_languages() {
    let (shop, issued, _) = printed().await;
    let nobody = shop.life.server.client_with(None);
    let pdf = issued.replacen('?', ".pdf?", 1);
    for (lang, words) in [("en", ["Invoice", "Bill to"]), ("zh", ["账单", "客户"])] {
        let page = get(&nobody, &format!("{issued}&lang={lang}")).await.text().await.unwrap();
        let body = page.split_once("<body").unwrap().1;
        let shown: Vec<&str> =
            body.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
        let shown = shown.join("\n");
        assert!(words.iter().all(|word| shown.contains(word)), "{shown}");
        let printed = get(&nobody, &format!("{pdf}&lang={lang}")).await.bytes().await.unwrap();
        let Some(text) = text_of(&printed) else {
            println!("skipped: there is no pdftotext");
            return;
        };
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert_eq!(figures(&text), figures(&shown));
        assert_eq!(figures(&shown)["13.75"], 2, "an item and its group");
    }
    let chinese = nobody
        .request(Method::GET, &issued)
        .header("Accept-Language", "zh-CN,zh;q=0.9")
        .send()
        .await
        .unwrap();
    assert!(chinese.text().await.unwrap().contains("账单"));
    let english = get(&nobody, &issued).await.text().await.unwrap();
    assert!(english.contains("Invoice number"));
}

/// What is seen of an invoice in both forms, in a language: the page, and the PDF where there is pdftotext.
async fn seen(shop: &Shop, lang: &str) -> Vec<String> {
    let invoice = shop.life.customer.data("{ invoices { nodes { htmlUrl pdfUrl } } }").await;
    let [html, pdf] = ["htmlUrl", "pdfUrl"].map(|form| {
        let url = invoice["invoices"]["nodes"][0][form].as_str().unwrap();
        format!("{url}&lang={lang}")
    });
    let nobody = shop.life.server.client_with(None);
    let page = get(&nobody, &html).await.text().await.unwrap();
    let body = page.split_once("<body").unwrap().1;
    let shown: Vec<&str> =
        body.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
    let printed = text_of(&get(&nobody, &pdf).await.bytes().await.unwrap());
    [Some(shown.join("\n")), printed].into_iter().flatten().collect()
}

#[tokio::test]
async fn the_head_figure_is_in_the_accounts_own_currency_in_every_form_and_language() {
    let shop = paid_in_euros().await;
    for (lang, total, worth) in
        [("en", "Total (EUR)", "Value of everything (USD)"), ("zh", "总计 (EUR)", "全部折合 (USD)")]
    {
        for text in seen(&shop, lang).await {
            assert!(text.contains(total) && text.contains("100.00"), "{text}");
            assert!(!text.contains("USD") && !text.contains(worth), "{text}");
        }
    }
    set_rate(&shop.life.operator, "EUR", "1.08", "2026-08-05T00:00:00Z").await;
    for (lang, total, worth) in
        [("en", "Total (EUR)", "Value of everything (USD)"), ("zh", "总计 (EUR)", "全部折合 (USD)")]
    {
        for text in seen(&shop, lang).await {
            assert!(text.contains(total) && text.contains("100.00"), "{text}");
            assert!(text.contains(worth) && text.contains("108.00"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_year_without_payments_has_no_invoices_and_costs_no_jobs() {
    let life = Life::begin("2026-01-05T00:00:00Z", "100").await;
    let ran = life.advance_and_tell_all("2027-01-10T00:00:00Z").await;
    assert_eq!(ran, jobs(&[]));
    assert_eq!(invoices_of(&life.customer, &life.account).await, Vec::<Value>::new());
}
