//! Wrong input, of every kind: a clear answer, nothing changed, and the server goes on.

use abacus::clock::Clock;
use abacus::domain::ids::{
    AccountId, ApprovalId, BillId, IdMint, NoticeId, OrderId, OwnedId, PaymentMethodId, PrepaymentId,
    QuoteId, TransactionId,
};
use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::introspection::Schema;
use crate::support::{Client, TestServer};

const UNKNOWN_PLAN: &str = "pln_0193fb2a5c007000800000000000abcd";

fn refused(code: &str, field: &str) -> (String, String) {
    let path = if field.is_empty() { String::new() } else { format!("input.{field}") };
    (code.to_owned(), path)
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A server with the tenant "tenant" and a plan of 20.00.
struct Shop {
    server: TestServer,
    customer: Client,
    operator: Client,
    account: String,
    plan: String,
}

impl Shop {
    async fn with_balance(balance: &str) -> Self {
        Self::on(TestServer::start().await, json!({}), balance).await
    }

    async fn on(server: TestServer, account: Value, balance: &str) -> Self {
        let mut input = json!({ "namespace": "tenant", "name": "Tenant", "currency": "CNY" });
        input.as_object_mut().unwrap().extend(account.as_object().unwrap().clone());
        let account = server.account_from(input, balance).await;
        let plan = server.plan("Plan A", "20").await;
        Self { customer: server.customer("tenant"), operator: server.operator(), server, account, plan }
    }

    /// Has the customer send a mutation that must be refused so, and must change nothing.
    async fn refuses(&self, mutation: &str, input: Value, code: &str, field: &str) {
        self.refuses_as(&self.customer, mutation, input, code, field).await;
    }

    async fn refuses_as(&self, client: &Client, mutation: &str, input: Value, code: &str, field: &str) {
        let contents = self.server.contents().await;
        let input_type = input_type_of(mutation);
        let found = client.refusal(mutation, &input_type, input.clone()).await;
        assert_eq!(found, refused(code, field), "{mutation} {input:#}");
        self.server.assert_holds_still(&contents).await;
    }

    /// Sends a mutation that cannot even be read, and must change nothing.
    async fn cannot_read(&self, mutation: &str, input: Value) {
        let contents = self.server.contents().await;
        let (status, answer) =
            self.customer.try_mutate(mutation, &input_type_of(mutation), input.clone(), "__typename").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{input:#}\n{answer:#}");
        self.server.assert_holds_still(&contents).await;
    }

    async fn buys(&self, input: Value) -> Value {
        let fields = "order { id number type state expiresAt quantity previous { id state } price { amount } }
            bill { amount { amount } creditAmount { amount } startTime endTime } account { balance { amount available } }";
        self.customer.mutate("checkout", "CheckoutInput", input, fields).await
    }

    /// The id of something of the tenant's that there is not.
    fn an_id<I: From<OwnedId> + std::fmt::Display>(&self) -> String {
        let account = AccountId::parse(&self.account).unwrap();
        let id = IdMint::new(account, at("2026-01-01T00:00:00Z"), 1_000_000, false).next_id().unwrap();
        I::from(id).to_string()
    }

    /// Whether the server still answers.
    async fn goes_on(&self) {
        assert_eq!(self.customer.data("{ account { namespace } }").await["account"]["namespace"], "tenant");
    }
}

fn input_type_of(mutation: &str) -> String {
    format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..])
}

/// `base` with a value at a path, through objects and the first items of lists.
fn with(base: &Value, path: &str, value: Value) -> Value {
    let mut input = base.clone();
    let mut place = &mut input;
    for part in path.split('.') {
        if place.is_array() {
            place = &mut place[0];
        }
        place = &mut place[part];
    }
    *place = value;
    input
}

#[tokio::test]
async fn plans_that_are_unknown_retired_or_no_plans_cannot_be_bought() {
    let shop = Shop::with_balance("100").await;
    let retired = shop.server.plan("Old", "1").await;
    shop.operator.mutate("retirePlan", "RetirePlanInput", json!({ "planId": retired }), "plan { id }").await;
    for (plan, code) in [
        (UNKNOWN_PLAN, "NOT_FOUND"),
        (&retired, "NOT_FOUND"),
        ("", "INVALID"),
        ("1", "INVALID"),
        ("pln_", "INVALID"),
        ("pln_xyz", "INVALID"),
        (&shop.account, "INVALID"),
        (&shop.plan.to_uppercase(), "INVALID"),
        (&format!("{} ", shop.plan), "INVALID"),
        (&format!("{}\u{0}", shop.plan), "INVALID"),
        ("' OR 1=1 --", "INVALID"),
    ] {
        shop.refuses("checkout", json!({ "planId": plan, "idempotencyKey": "k" }), code, "planId").await;
    }
    shop.refuses_as(&shop.operator, "retirePlan", json!({ "planId": UNKNOWN_PLAN }), "NOT_FOUND", "planId")
        .await;
    shop.refuses_as(&shop.operator, "retirePlan", json!({ "planId": "?" }), "INVALID", "planId").await;
}

#[tokio::test]
async fn amounts_that_cannot_be_paid_are_refused() {
    let shop = Shop::with_balance("100").await;
    for (amount, code) in [
        ("0", "INVALID"),
        ("0.00", "INVALID"),
        ("-0", "INVALID"),
        ("-1", "INVALID"),
        ("-0.01", "INVALID"),
        ("0.001", "INVALID"),
        ("99999999.991", "INVALID"),
        ("100000000", "OUT_OF_RANGE"),
        ("100000000.00", "OUT_OF_RANGE"),
        ("79228162514264337593543950335", "OUT_OF_RANGE"),
    ] {
        shop.refuses("recharge", json!({ "amount": amount, "idempotencyKey": "k" }), code, "amount").await;
    }
}

#[tokio::test]
async fn amounts_that_are_no_exact_numbers_are_not_read() {
    let shop = Shop::with_balance("100").await;
    let hundred_digits = "1".repeat(100);
    let hundred_places = format!("0.{hundred_digits}");
    let texts = [
        "NaN", "Infinity", "1e3", "1E3", "", " 5", "5 ", "+5", "5,00", "0x10", "5_0", ".5", "5.", "５",
        "--5", "5\u{0}",
    ];
    for text in
        texts.into_iter().chain([hundred_digits.as_str(), &hundred_places, "79228162514264337593543950336"])
    {
        shop.cannot_read("recharge", json!({ "amount": text, "idempotencyKey": "k" })).await;
    }
    for value in [
        json!(5.5),
        json!(5.0),
        json!(0.1),
        json!(1e300),
        json!(true),
        json!(null),
        json!(["5"]),
        json!({ "a": 5 }),
    ] {
        shop.cannot_read("recharge", json!({ "amount": value, "idempotencyKey": "k" })).await;
    }
    let contents = shop.server.contents().await;
    for literal in ["5.5", "5.0", "1e3", "1E3", "-5.5e-3", "NaN", "true", "null", "[5]", &hundred_digits] {
        let query = format!(
            "mutation {{ recharge(input: {{ amount: {literal}, idempotencyKey: \"k\" }}) {{ userErrors {{ code }} }} }}"
        );
        assert_eq!(shop.customer.error_code(&query).await, "BAD_REQUEST", "{literal}");
    }
    shop.server.assert_holds_still(&contents).await;
}

#[tokio::test]
async fn the_largest_and_the_smallest_amount_and_whole_numbers_are_taken() {
    let shop = Shop::with_balance("0").await;
    let fields = "account { balance { amount } }";
    for (amount, balance) in [
        (json!("99999999.99"), "99999999.99"),
        (json!("0.01"), "100000000.00"),
        (json!(7), "100000007.00"),
        (json!("007.50"), "100000014.50"),
        (json!("1.5000000000"), "100000016.00"),
    ] {
        let input = json!({ "amount": amount, "idempotencyKey": balance });
        let payload = shop.customer.mutate("recharge", "RechargeInput", input, fields).await;
        assert_eq!(payload["account"]["balance"]["amount"], balance);
    }
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn another_tenants_account_cannot_be_named() {
    let shop = Shop::with_balance("100").await;
    let other = shop.server.account("other", "50").await;
    for (field, value) in [
        ("namespace", "other"),
        ("accountId", other.as_str()),
        ("namespace", "nobody"),
        ("namespace", "TENANT"),
        ("accountId", "acc_999999"),
    ] {
        let input = json!({ "amount": "5", "idempotencyKey": "k", field: value });
        shop.refuses("recharge", input, "NOT_FOUND", field).await;
        let input = json!({ "planId": shop.plan, "idempotencyKey": "k", field: value });
        shop.refuses("checkout", input, "NOT_FOUND", field).await;
    }
    for id in ["", "acc_0", "acc_-1", "acc_007", "acc_99999999999999999999", "tenant", &shop.plan] {
        let input = json!({ "amount": "5", "idempotencyKey": "k", "accountId": id });
        shop.refuses("recharge", input, "INVALID", "accountId").await;
    }
    let both =
        json!({ "amount": "5", "idempotencyKey": "k", "accountId": shop.account, "namespace": "tenant" });
    shop.refuses("recharge", both, "INVALID", "namespace").await;
    let neither = json!({ "amount": "5", "idempotencyKey": "k" });
    shop.refuses_as(&shop.operator, "recharge", neither, "REQUIRED", "accountId").await;
}

#[tokio::test]
async fn a_key_is_for_one_mutation_with_one_input() {
    let shop = Shop::with_balance("100").await;
    shop.server.account("other", "50").await;
    let first = json!({ "amount": "5", "reason": "r", "idempotencyKey": "k" });
    shop.customer.mutate("recharge", "RechargeInput", first.clone(), "transaction { id }").await;
    for (field, value) in [("amount", json!("5.01")), ("reason", json!("s")), ("reason", json!(null))] {
        let other = with(&first, field, value);
        shop.refuses("recharge", other.clone(), "IDEMPOTENCY_KEY_REUSED", "idempotencyKey").await;
        let dry = with(&other, "dryRun", json!(true));
        shop.refuses("recharge", dry, "IDEMPOTENCY_KEY_REUSED", "idempotencyKey").await;
    }
    let checkout = json!({ "planId": shop.plan, "idempotencyKey": "k" });
    shop.refuses("checkout", checkout.clone(), "IDEMPOTENCY_KEY_REUSED", "idempotencyKey").await;

    // A key belongs to the account: another account's is another key.
    let other = shop.server.customer("other");
    other.mutate("checkout", "CheckoutInput", checkout, "order { id }").await;
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_key_refuses_every_other_checkout() {
    let shop = Shop::with_balance("500").await;
    let elsewhere = shop
        .server
        .plan_from(
            json!({ "name": "Anywhere", "region": null, "price": { "amount": "20", "currency": "CNY" } }),
        )
        .await;
    let first = json!({ "planId": elsewhere, "region": "cn-east-1", "datacenter": "BA", "comment": "c", "expectedPrice": "20",
        "idempotencyKey": "k" });
    shop.buys(first.clone()).await;
    for (field, value) in [
        ("planId", json!(shop.plan)),
        ("region", json!("cn-east-2")),
        ("datacenter", json!("HDYQ")),
        ("quantity", json!(2)),
        ("comment", json!("d")),
        ("comment", json!(null)),
        ("autoRenewal", json!(true)),
        ("expectedPrice", json!(null)),
    ] {
        shop.refuses("checkout", with(&first, field, value), "IDEMPOTENCY_KEY_REUSED", "idempotencyKey")
            .await;
    }
}

#[tokio::test]
async fn the_same_values_written_otherwise_are_the_same_input() {
    let shop = Shop::with_balance("100").await;
    let fields = "transaction { id } account { balance { amount } }";
    let mut answers = Vec::new();
    for amount in [json!("5"), json!("5.00"), json!(5), json!("05.0"), json!("5.0000000000000")] {
        for account in [json!({}), json!({ "namespace": "tenant" }), json!({ "accountId": shop.account })] {
            let mut input = json!({ "amount": amount, "idempotencyKey": "k" });
            input.as_object_mut().unwrap().extend(account.as_object().unwrap().clone());
            answers.push(shop.customer.mutate("recharge", "RechargeInput", input, fields).await);
        }
    }
    assert_eq!(answers[0]["account"]["balance"]["amount"], "105.00");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let price = |price: &str| json!({ "planId": shop.plan, "expectedPrice": price, "idempotencyKey": "c" });
    assert_eq!(shop.buys(price("20")).await, shop.buys(price("20.000")).await);
    let defaults = json!({ "planId": shop.plan, "expectedPrice": "20", "quantity": 1, "autoRenewal": false, "idempotencyKey": "c" });
    assert_eq!(shop.buys(defaults).await, shop.buys(price("20")).await);
    assert_eq!(shop.server.assert_ledger_is_healthy().await, 3);
}

#[tokio::test]
async fn a_refusal_does_not_use_the_key_up() {
    let shop = Shop::with_balance("19.99").await;
    let input = json!({ "planId": shop.plan, "idempotencyKey": "k" });
    shop.refuses("checkout", input.clone(), "INSUFFICIENT_BALANCE", "").await;
    let cent = json!({ "amount": "0.01", "idempotencyKey": "cent" });
    shop.customer.mutate("recharge", "RechargeInput", cent, "transaction { id }").await;
    assert_eq!(shop.buys(input).await["account"]["balance"]["amount"], "0.00");
}

#[tokio::test]
async fn the_balance_can_be_spent_to_zero_and_not_a_cent_below() {
    let shop = Shop::with_balance("59.99").await;
    let buy =
        |quantity, key: &str| json!({ "planId": shop.plan, "quantity": quantity, "idempotencyKey": key });
    shop.refuses("checkout", buy(3, "a"), "INSUFFICIENT_BALANCE", "").await;
    let cent = json!({ "amount": "0.01", "idempotencyKey": "cent" });
    shop.customer.mutate("recharge", "RechargeInput", cent, "transaction { id }").await;
    assert_eq!(shop.buys(buy(3, "a")).await["account"]["balance"]["amount"], "0.00");
    shop.refuses("checkout", buy(1, "b"), "INSUFFICIENT_BALANCE", "").await;
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_credit_limit_can_be_used_up_and_not_exceeded_nor_lowered_below_what_is_used() {
    let shop = Shop::on(TestServer::start().await, json!({ "creditLimit": "30.00" }), "10").await;
    let bought = shop.buys(json!({ "planId": shop.plan, "quantity": 2, "idempotencyKey": "a" })).await;
    assert_eq!(bought["account"]["balance"], json!({ "amount": "-30.00", "available": "0.00" }));
    let cheap = shop.server.plan("Cheap", "0.01").await;
    shop.refuses("checkout", json!({ "planId": cheap, "idempotencyKey": "b" }), "INSUFFICIENT_BALANCE", "")
        .await;
    let limit = |limit: &str| json!({ "accountId": shop.account, "creditLimit": limit });
    for too_low in ["29.99", "0"] {
        shop.refuses_as(&shop.operator, "updateAccount", limit(too_low), "CONFLICT", "creditLimit").await;
    }
    shop.refuses_as(&shop.operator, "updateAccount", limit("-1"), "INVALID", "creditLimit").await;
    shop.refuses_as(&shop.operator, "updateAccount", limit("1.001"), "INVALID", "creditLimit").await;
    shop.refuses_as(&shop.operator, "updateAccount", limit("100000000"), "OUT_OF_RANGE", "creditLimit").await;
    for enough in ["30", "30.01"] {
        shop.operator.mutate("updateAccount", "UpdateAccountInput", limit(enough), "account { id }").await;
    }
    shop.buys(json!({ "planId": cheap, "idempotencyKey": "b" })).await;
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn quantity_region_price_and_currency_must_fit_the_plan() {
    let shop = Shop::with_balance("1000").await;
    let base = json!({ "planId": shop.plan, "idempotencyKey": "k" });
    for (field, value, code) in [
        ("quantity", json!(0), "OUT_OF_RANGE"),
        ("quantity", json!(-1), "OUT_OF_RANGE"),
        ("quantity", json!(10_001), "OUT_OF_RANGE"),
        ("quantity", json!(i32::MAX), "OUT_OF_RANGE"),
        ("quantity", json!(i32::MIN), "OUT_OF_RANGE"),
        ("region", json!("cn-south-1"), "INVALID"),
        ("region", json!("CN-NORTH-1"), "INVALID"),
        ("expectedPrice", json!("19.99"), "PRICE_CHANGED"),
        ("expectedPrice", json!("20.01"), "PRICE_CHANGED"),
        ("expectedPrice", json!("0"), "PRICE_CHANGED"),
        ("expectedPrice", json!("-20"), "PRICE_CHANGED"),
    ] {
        shop.refuses("checkout", with(&base, field, value), code, field).await;
    }
    for quantity in [json!(2_147_483_648_i64), json!(1.5), json!("1"), json!(null)] {
        shop.cannot_read("checkout", with(&base, "quantity", quantity)).await;
    }
    let dollars =
        shop.server.plan_from(json!({ "name": "D", "price": { "amount": "1", "currency": "USD" } })).await;
    shop.refuses(
        "checkout",
        json!({ "planId": dollars, "idempotencyKey": "k" }),
        "CURRENCY_MISMATCH",
        "planId",
    )
    .await;
    let once = json!({ "name": "O", "type": "C", "resourceType": "CLOUD", "billPeriod": "MONTH", "description": "",
        "price": { "amount": "1", "currency": "CNY" }, "oncePrice": { "amount": "1", "currency": "USD" } });
    shop.refuses_as(&shop.operator, "createPlan", once, "CURRENCY_MISMATCH", "oncePrice.currency").await;
}

#[tokio::test]
async fn an_order_whose_price_is_above_what_can_be_paid_at_once_is_refused() {
    let shop =
        Shop::on(TestServer::start().await, json!({ "creditLimit": "99999999.99" }), "99999999.99").await;
    let dear = shop.server.plan("Dear", "10000").await;
    let input = json!({ "planId": dear, "quantity": 10_000, "idempotencyKey": "k" });
    shop.refuses("checkout", input, "OUT_OF_RANGE", "quantity").await;
    shop.buys(json!({ "planId": dear, "quantity": 9_999, "idempotencyKey": "k" })).await;
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_suspended_account_pays_in_but_buys_nothing_and_a_closed_one_does_neither() {
    let shop = Shop::with_balance("100").await;
    let status = |status: &str| json!({ "accountId": shop.account, "status": status });
    let buy = json!({ "planId": shop.plan, "idempotencyKey": "k" });
    let pay = json!({ "amount": "5", "idempotencyKey": "p" });
    shop.operator.mutate("updateAccount", "UpdateAccountInput", status("SUSPENDED"), "account { id }").await;
    shop.refuses("checkout", buy.clone(), "ACCOUNT_SUSPENDED", "").await;
    shop.refuses_as(
        &shop.operator,
        "checkout",
        with(&buy, "namespace", json!("tenant")),
        "ACCOUNT_SUSPENDED",
        "",
    )
    .await;
    let fields = "account { balance { amount status } }";
    let paid = shop.customer.mutate("recharge", "RechargeInput", pay, fields).await;
    assert_eq!(paid["account"]["balance"], json!({ "amount": "105.00", "status": "SUSPENDED" }));

    shop.operator.mutate("updateAccount", "UpdateAccountInput", status("CLOSED"), "account { id }").await;
    shop.refuses("checkout", buy.clone(), "ACCOUNT_SUSPENDED", "").await;
    shop.refuses("recharge", json!({ "amount": "5", "idempotencyKey": "q" }), "ACCOUNT_SUSPENDED", "").await;
    let seen =
        shop.customer.data("{ account { status balance { amount } transactions { totalCount } } }").await;
    assert_eq!(
        seen["account"],
        json!({ "status": "CLOSED", "balance": { "amount": "105.00" }, "transactions": { "totalCount": 2 } })
    );

    shop.operator.mutate("updateAccount", "UpdateAccountInput", status("ACTIVE"), "account { id }").await;
    shop.buys(buy).await;
}

#[tokio::test]
async fn accounts_must_have_a_known_currency_a_zone_a_free_namespace_and_at_most_one_level() {
    let shop = Shop::with_balance("0").await;
    let sub = shop
        .server
        .account_from(
            json!({ "namespace": "sub", "name": "s", "currency": "CNY", "parentId": shop.account }),
            "0",
        )
        .await;
    let base = json!({ "namespace": "new", "name": "n", "currency": "CNY" });
    for (field, value, code) in [
        ("currency", json!("XXX"), "INVALID"),
        ("timeZone", json!("Mars/Olympus"), "INVALID"),
        ("timeZone", json!("+08:00"), "INVALID"),
        ("timeZone", json!("asia/shanghai"), "INVALID"),
        ("namespace", json!("tenant"), "CONFLICT"),
        ("namespace", json!("-new"), "INVALID"),
        ("namespace", json!("new tenant"), "INVALID"),
        ("namespace", json!("new/tenant"), "INVALID"),
        ("namespace", json!("租户"), "INVALID"),
        ("namespace", json!("n".repeat(65)), "LIMIT_EXCEEDED"),
        ("parentId", json!(sub), "INVALID"),
        ("parentId", json!("acc_999999"), "NOT_FOUND"),
        ("parentId", json!("tenant"), "INVALID"),
        ("creditLimit", json!("-0.01"), "INVALID"),
        ("creditLimit", json!("0.001"), "INVALID"),
        ("creditLimit", json!("100000000"), "OUT_OF_RANGE"),
    ] {
        shop.refuses_as(&shop.operator, "createAccount", with(&base, field, value), code, field).await;
    }
    let dollars = json!({ "namespace": "new", "name": "n", "currency": "USD", "parentId": shop.account });
    shop.refuses_as(&shop.operator, "createAccount", dollars, "CURRENCY_MISMATCH", "currency").await;
    for currency in ["cny", "", "C-Y", "ABCDEFGHIJKLMNOPQ"] {
        let (_, answer) = shop
            .operator
            .try_mutate(
                "createAccount",
                "CreateAccountInput",
                with(&base, "currency", json!(currency)),
                "__typename",
            )
            .await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{currency}: {answer:#}");
    }
    let unknown = json!({ "name": "P", "type": "C", "resourceType": "CLOUD", "billPeriod": "MONTH", "description": "",
        "price": { "amount": "1", "currency": "XXX" } });
    shop.refuses_as(&shop.operator, "createPlan", unknown.clone(), "INVALID", "price.currency").await;
    for (amount, code) in [("-1", "INVALID"), ("0.001", "INVALID"), ("100000000", "OUT_OF_RANGE")] {
        let plan = with(&unknown, "price", json!({ "amount": amount, "currency": "CNY" }));
        shop.refuses_as(&shop.operator, "createPlan", plan, code, "price.amount").await;
    }
    let yen = with(&unknown, "price", json!({ "amount": "1.5", "currency": "JPY" }));
    shop.refuses_as(&shop.operator, "createPlan", yen, "INVALID", "price.amount").await;
    let priced = with(&unknown, "price", json!({ "amount": "1", "currency": "CNY" }));
    for (resources, code) in [
        (json!([{ "resource": "no_such_thing", "amount": 1 }]), "NOT_FOUND"),
        (json!([{ "resource": "cpu", "amount": 0 }]), "INVALID"),
        (json!([{ "resource": "cpu", "amount": 1 }, { "resource": "cpu", "amount": 2 }]), "INVALID"),
        (json!(vec![json!({ "resource": "cpu", "amount": 1 }); 51]), "LIMIT_EXCEEDED"),
    ] {
        shop.refuses_as(
            &shop.operator,
            "createPlan",
            with(&priced, "resources", resources),
            code,
            "resources",
        )
        .await;
    }
}

#[tokio::test]
async fn a_refund_gives_back_no_more_than_was_paid_and_only_payments() {
    let shop = Shop::with_balance("100").await;
    shop.buys(json!({ "planId": shop.plan, "idempotencyKey": "k" })).await;
    let nodes =
        shop.customer.data("{ transactions { nodes { id kind } } }").await["transactions"]["nodes"].clone();
    let (paid, recharge) = (&nodes[0]["id"], &nodes[1]["id"]);
    let refund = |id: &Value, amount: Value, key: &str| json!({ "transactionId": id, "amount": amount, "reason": "r", "idempotencyKey": key });
    for (amount, code) in
        [("20.01", "LIMIT_EXCEEDED"), ("0", "INVALID"), ("-1", "INVALID"), ("0.001", "INVALID")]
    {
        shop.refuses_as(&shop.operator, "refund", refund(paid, json!(amount), "r"), code, "amount").await;
    }
    shop.operator
        .mutate("refund", "RefundInput", refund(paid, json!("12.50"), "half"), "refund { id }")
        .await;
    shop.refuses_as(&shop.operator, "refund", refund(paid, json!("7.51"), "r"), "LIMIT_EXCEEDED", "amount")
        .await;
    let rest = shop
        .operator
        .mutate(
            "refund",
            "RefundInput",
            refund(paid, Value::Null, "rest"),
            "refund { id amount { amount } } transaction { status }",
        )
        .await;
    assert_eq!(
        (&rest["refund"]["amount"]["amount"], &rest["transaction"]["status"]),
        (&json!("7.50"), &json!("REFUNDED"))
    );
    shop.refuses_as(&shop.operator, "refund", refund(paid, Value::Null, "r"), "LIMIT_EXCEEDED", "amount")
        .await;
    let absent = TransactionId(
        IdMint::new(AccountId(999_999), at("2026-03-01T00:00:00Z"), 0, false).next_id().unwrap(),
    );
    for (id, code) in [
        (recharge.clone(), "INVALID"),
        (rest["refund"]["id"].clone(), "INVALID"),
        (json!(absent.to_string()), "NOT_FOUND"),
        (json!("txn_?"), "INVALID"),
        (json!(shop.account), "INVALID"),
    ] {
        shop.refuses_as(&shop.operator, "refund", refund(&id, json!("1"), "r"), code, "transactionId").await;
    }
}

/// A plan of the type of which there is one in a region.
async fn exclusive_plan(shop: &Shop, price: &str) -> String {
    let price = json!({ "amount": price, "currency": "CNY" });
    shop.server.plan_from(json!({ "name": "R", "type": "resources", "region": null, "price": price })).await
}

#[tokio::test]
async fn another_plan_of_resources_replaces_the_first_and_its_days_left_count() {
    let clock = Clock::standing_at(at("2026-03-01T00:00:00Z"));
    let server = TestServer::with(|config| config.clock = clock.clone()).await;
    let shop = Shop::on(server, json!({ "timeZone": "Asia/Shanghai" }), "100").await;
    let (small, large, tiny) = (
        exclusive_plan(&shop, "20").await,
        exclusive_plan(&shop, "40.88").await,
        exclusive_plan(&shop, "13.53").await,
    );
    let buy = |plan: &str, region: &str, key: &str| json!({ "planId": plan, "region": region, "idempotencyKey": key });
    let first = shop.buys(buy(&small, "north", "1")).await;
    assert_eq!(first["bill"]["endTime"], "2026-04-01T00:00:00Z");
    assert_eq!(first["account"]["balance"]["amount"], "80.00");
    shop.refuses("checkout", buy(&small, "north", "2"), "PLAN_UNCHANGED", "planId").await;

    // In Shanghai it is the 11th by now: 21 of the 31 days from 1 March to 1 April are left. 20 × 21 ÷ 31 = 13.548…
    clock.set(at("2026-03-10T16:30:00Z"));
    shop.refuses("checkout", buy(&small, "north", "2"), "PLAN_UNCHANGED", "planId").await;
    shop.refuses("checkout", buy(&tiny, "north", "2"), "CREDIT_EXCEEDS_PRICE", "planId").await;
    let changed = shop.buys(buy(&large, "north", "2")).await;
    assert_eq!(changed["order"]["type"], "CHANGE");
    assert_eq!(changed["order"]["previous"], json!({ "id": first["order"]["id"], "state": "CANCELLED" }));
    assert_eq!(
        changed["bill"],
        json!({ "amount": { "amount": "27.34" }, "creditAmount": { "amount": "13.54" },
            "startTime": "2026-03-10T16:30:00Z", "endTime": "2026-04-10T16:30:00Z" })
    );
    assert_eq!(changed["account"]["balance"]["amount"], "52.66");

    // Asked again, it is answered as it was; elsewhere it is a new order.
    assert_eq!(shop.buys(buy(&large, "north", "2")).await["order"]["id"], changed["order"]["id"]);
    shop.refuses("checkout", buy(&large, "north", "3"), "PLAN_UNCHANGED", "planId").await;
    let elsewhere = shop.buys(buy(&small, "south", "4")).await;
    assert_eq!(
        (&elsewhere["order"]["type"], &elsewhere["account"]["balance"]["amount"]),
        (&json!("NEW"), &json!("32.66"))
    );

    // The credit is of the full price as paid, before credits: 40.88 × 30 ÷ 31 = 39.561… of the day after.
    clock.set(at("2026-03-11T16:00:00Z"));
    let dear = exclusive_plan(&shop, "50").await;
    let again = shop.buys(buy(&dear, "north", "5")).await;
    assert_eq!(
        (&again["bill"]["creditAmount"]["amount"], &again["bill"]["amount"]["amount"]),
        (&json!("39.56"), &json!("10.44"))
    );
    assert_eq!(again["account"]["balance"]["amount"], "22.22");
    let live = shop.customer.data("{ orders(filter: { orderState: ACTIVE }) { totalCount } }").await;
    assert_eq!(live["orders"]["totalCount"], 2);
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_change_that_the_balance_does_not_cover_leaves_the_old_order_running() {
    let clock = Clock::standing_at(at("2026-03-01T00:00:00Z"));
    let server = TestServer::with(|config| config.clock = clock.clone()).await;
    let shop = Shop::on(server, json!({}), "37.33").await;
    let (small, large) = (exclusive_plan(&shop, "20").await, exclusive_plan(&shop, "40.88").await);
    let buy = |plan: &str, key: &str| json!({ "planId": plan, "region": "north", "idempotencyKey": key });
    shop.buys(buy(&small, "1")).await;
    // 40.88 − 20 × 22 ÷ 31 (14.19) = 26.69; in UTC it is still the 10th. There are 17.33.
    clock.set(at("2026-03-10T16:30:00Z"));
    shop.refuses("checkout", buy(&large, "2"), "INSUFFICIENT_BALANCE", "").await;
    let input = json!({ "amount": "9.36", "idempotencyKey": "p" });
    shop.customer.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    assert_eq!(shop.buys(buy(&large, "2")).await["account"]["balance"]["amount"], "0.00");
}

#[tokio::test]
async fn what_is_on_demand_needs_the_price_of_one_hour_and_charges_nothing_yet() {
    let shop = Shop::with_balance("4.99").await;
    let price = json!({ "amount": "2.50", "currency": "CNY" });
    let hourly = shop.server.plan_from(json!({ "name": "H", "billPeriod": "HOUR", "price": price })).await;
    let input = json!({ "planId": hourly, "quantity": 2, "idempotencyKey": "k" });
    shop.refuses("checkout", input.clone(), "INSUFFICIENT_BALANCE", "").await;
    let cent = json!({ "amount": "0.01", "idempotencyKey": "cent" });
    shop.customer.mutate("recharge", "RechargeInput", cent, "transaction { id }").await;
    let bought = shop.buys(input).await;
    assert_eq!((&bought["bill"], &bought["order"]["expiresAt"]), (&Value::Null, &Value::Null));
    assert_eq!(bought["account"]["balance"]["amount"], "5.00");
    assert_eq!(shop.server.assert_ledger_is_healthy().await, 2);
}

#[tokio::test]
async fn plans_of_other_types_can_be_bought_again_and_again() {
    let shop = Shop::with_balance("100").await;
    for (key, balance) in [("1", "80.00"), ("2", "60.00"), ("3", "40.00")] {
        let bought = shop.buys(json!({ "planId": shop.plan, "idempotencyKey": key })).await;
        assert_eq!(
            (&bought["order"]["type"], &bought["account"]["balance"]["amount"]),
            (&json!("NEW"), &json!(balance))
        );
    }
}

#[tokio::test]
async fn orders_and_bills_that_cannot_be_paid_renewed_or_cut_so_are_refused() {
    let clock = Clock::standing_at(at("2026-03-01T00:00:00Z"));
    let server = TestServer::with(|config| config.clock = clock.clone()).await;
    let shop = Shop::on(server, json!({}), "1000").await;
    let other = shop.server.account("other", "100").await;
    let by_the_hour =
        json!({ "name": "Hourly", "billPeriod": "HOUR", "price": { "amount": "1", "currency": "CNY" } });
    let by_the_hour = shop.server.plan_from(by_the_hour).await;
    for instalments in [0, -1, 61, 1_000, i32::MIN, i32::MAX] {
        let input = json!({ "planId": shop.plan, "instalments": instalments, "idempotencyKey": "k" });
        shop.refuses("checkout", input, "OUT_OF_RANGE", "instalments").await;
    }
    for (field, value) in [("instalments", json!(2)), ("payLater", json!(true))] {
        let input = with(&json!({ "planId": by_the_hour, "idempotencyKey": "k" }), field, value);
        shop.refuses("checkout", input, "INVALID", field).await;
    }

    let bought = shop.buys(json!({ "planId": shop.plan, "idempotencyKey": "1" })).await;
    let hourly = shop.buys(json!({ "planId": by_the_hour, "idempotencyKey": "2" })).await;
    let order = bought["order"]["id"].clone();
    let bills = shop.customer.data("{ bills { nodes { id } } }").await;
    let paid = &bills["bills"]["nodes"][0]["id"];
    shop.refuses("payBill", json!({ "billId": paid, "idempotencyKey": "k" }), "ALREADY_PAID", "billId").await;
    shop.refuses("payOrder", json!({ "orderId": order, "idempotencyKey": "k" }), "ALREADY_PAID", "orderId")
        .await;
    let later = json!({ "planId": shop.plan, "accountId": other, "payLater": true, "idempotencyKey": "3" });
    let others = shop.operator.mutate("checkout", "CheckoutInput", later, "order { id } bill { id }").await;
    for (mutation, field, id, code) in [
        ("payBill", "billId", &others["bill"]["id"], "NOT_FOUND"),
        ("payOrder", "orderId", &others["order"]["id"], "NOT_FOUND"),
        ("renewOrder", "orderId", &others["order"]["id"], "NOT_FOUND"),
        ("payBill", "billId", &json!(shop.an_id::<BillId>()), "NOT_FOUND"),
        ("payOrder", "orderId", &json!(shop.an_id::<OrderId>()), "NOT_FOUND"),
        ("renewOrder", "orderId", &json!(shop.an_id::<OrderId>()), "NOT_FOUND"),
        ("payBill", "billId", &order, "INVALID"),
        ("payOrder", "orderId", &hourly["order"]["id"], "INVALID"),
        ("renewOrder", "orderId", &hourly["order"]["id"], "INVALID"),
    ] {
        let input = with(&json!({ "idempotencyKey": "k" }), field, id.clone());
        shop.refuses(mutation, input, code, field).await;
    }
    for (mutation, id) in
        [("cancelOrder", &others["order"]["id"]), ("setAutoRenewal", &others["order"]["id"])]
    {
        let mut input = json!({ "orderId": id });
        if mutation == "setAutoRenewal" {
            input["autoRenewal"] = json!(true);
        }
        shop.refuses(mutation, input, "NOT_FOUND", "orderId").await;
    }
    let input = json!({ "orderId": hourly["order"]["id"], "autoRenewal": true });
    shop.refuses("setAutoRenewal", input, "INVALID", "orderId").await;

    // More than there is, and an order whose first bill is not paid.
    let dear = shop.server.plan("Dear", "5000").await;
    let unpaid = shop.buys(json!({ "planId": dear, "payLater": true, "idempotencyKey": "4" })).await;
    let unpaid = &unpaid["order"]["id"];
    shop.refuses("payOrder", json!({ "orderId": unpaid, "idempotencyKey": "k" }), "INSUFFICIENT_BALANCE", "")
        .await;
    shop.refuses("renewOrder", json!({ "orderId": unpaid, "idempotencyKey": "k" }), "CONFLICT", "orderId")
        .await;
    let ended = json!({ "to": "2026-05-01T00:00:00Z" });
    shop.operator.mutate("advanceClock", "AdvanceClockInput", ended, "now").await;
    shop.refuses("renewOrder", json!({ "orderId": order, "idempotencyKey": "k" }), "INVALID", "orderId")
        .await;
    shop.refuses("cancelOrder", json!({ "orderId": order }), "INVALID", "orderId").await;
    let wrong = json!({ "planId": shop.plan, "price": { "amount": "1", "currency": "USD" } });
    shop.refuses_as(&shop.operator, "updatePlan", wrong, "CURRENCY_MISMATCH", "price.currency").await;
    let wrong = json!({ "planId": shop.plan, "price": { "amount": "-1", "currency": "CNY" } });
    shop.refuses_as(&shop.operator, "updatePlan", wrong, "INVALID", "price.amount").await;
    shop.refuses_as(&shop.operator, "updatePlan", json!({ "planId": UNKNOWN_PLAN }), "NOT_FOUND", "planId")
        .await;
    shop.goes_on().await;
}

/// An input of each mutation that would be carried out. A new mutation needs one here.
fn good_input(shop: &Shop, mutation: &str, transaction: &Value) -> Value {
    match mutation {
        "checkout" => json!({ "planId": shop.plan, "accountId": shop.account }),
        "recharge" => json!({ "amount": "5", "accountId": shop.account }),
        "refund" => json!({ "transactionId": transaction, "amount": "0.01", "reason": "r" }),
        "createPlan" => {
            json!({ "name": "n", "type": "C", "resourceType": "CLOUD", "billPeriod": "MONTH", "description": "d",
            "price": { "amount": "1", "currency": "CNY" }, "resources": [{ "resource": "cpu", "amount": "1" }] })
        }
        "retirePlan" => json!({ "planId": shop.plan }),
        "payOrder" | "renewOrder" => json!({ "orderId": shop.an_id::<OrderId>() }),
        "payBill" => json!({ "billId": shop.an_id::<BillId>() }),
        "cancelOrder" => json!({ "orderId": shop.an_id::<OrderId>() }),
        "setAutoRenewal" => json!({ "orderId": shop.an_id::<OrderId>(), "autoRenewal": true }),
        "adjustBalance" => json!({ "accountId": shop.account, "amount": "-0.01", "reason": "r" }),
        "voidBill" => json!({ "billId": shop.an_id::<BillId>(), "reason": "r" }),
        "voidUsage" => json!({ "accountId": shop.account, "eventIds": ["e"], "reason": "r" }),
        "payOut" => json!({ "accountId": shop.account, "transactionId": transaction, "reason": "r" }),
        "eraseAccount" => json!({ "accountId": shop.account, "reason": "r" }),
        "decideApproval" => json!({ "approvalId": shop.an_id::<ApprovalId>(), "approve": true }),
        "acknowledgeNotice" => json!({ "noticeId": shop.an_id::<NoticeId>() }),
        "updatePlan" => json!({ "planId": shop.plan }),
        "advanceClock" => json!({ "to": "2020-01-01T00:00:00Z" }),
        "simulateDeposit" => {
            json!({ "address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "asset": "USDT_ERC20", "amount": "1" })
        }
        "setPrices" => {
            json!({ "accountId": shop.account, "infos": [{ "definition": { "discount": { "payablePercent": "90" } } }] })
        }
        "recordUsage" => json!({ "events": [] }),
        "setResourcePrices" => {
            json!({ "prices": [{ "resource": "cpu", "currency": "CNY", "level": 1, "price": "1", "unit": "u", "multiplier": "1" }] })
        }
        "subscribe" => json!({ "accountId": shop.account, "resource": "cpu", "amount": "1", "months": 1 }),
        "defineLicense" => {
            json!({ "name": "windows", "longName": "n", "type": "INSTALL", "userMetric": "smp", "burstable": true })
        }
        "setExchangeRate" => json!({ "base": "ANKR_ERC20", "quote": "USD", "rate": "0.03", "source": "s" }),
        "quotePrepay" => {
            json!({ "accountId": shop.account, "asset": "USD", "clusterId": "c", "chartName": "c", "cpuLimit": 100, "memLimit": 100,
            "storageLimit": 100, "period": 1 })
        }
        "addPaymentMethod" => json!({ "accountId": shop.account, "providerToken": "pm_card_visa" }),
        "prepay" => json!({ "accountId": shop.account, "quoteId": shop.an_id::<QuoteId>(), "amount": "1",
            "paymentMethodId": shop.an_id::<PaymentMethodId>() }),
        "bindApp" => {
            json!({ "prepaymentId": shop.an_id::<PrepaymentId>(), "asset": "USD", "appId": "a", "clusterId": "c",
            "chartName": "c", "cpuLimit": 1, "memLimit": 1, "storageLimit": 1, "projectName": "p" })
        }
        "removePaymentMethod" => json!({ "paymentMethodId": shop.an_id::<PaymentMethodId>() }),
        "setBurstCapacity" => {
            json!({ "resource": "cpu", "capacity": "1", "curve": [{ "fromUtilisation": "0", "level": 1 }] })
        }
        "setTermDiscounts" => json!({ "discounts": [{ "period": "p", "months": 1, "value": "0.1" }] }),
        "rerate" => json!({ "accountId": shop.account, "period": "2020-01-01" }),
        "endPriceRule" => json!({ "ruleId": "rul_1" }),
        "defineResource" => {
            json!({ "code": "gpu", "name": "n", "unit": "card", "resourceType": "CLOUD", "aggregation": "LAST" })
        }
        "createAccount" => {
            json!({ "namespace": "new", "name": "n", "currency": "CNY", "manager": { "name": "m" } })
        }
        "updateAccount" => json!({ "accountId": shop.account, "manager": { "name": "m" } }),
        new => panic!("give {new} an input here"),
    }
}

/// The texts that may be empty.
const MAY_BE_EMPTY: [&str; 3] = ["checkout.comment", "createPlan.description", "updatePlan.description"];

#[tokio::test]
async fn texts_that_are_empty_too_long_or_hold_a_zero_are_refused_by_the_name_of_their_field() {
    let shop = Shop::with_balance("1000").await;
    shop.buys(json!({ "planId": shop.plan, "idempotencyKey": "k" })).await;
    let newest = shop.customer.data("{ transactions(first: 1) { nodes { id } } }").await;
    let transaction = &newest["transactions"]["nodes"][0]["id"];
    let schema = Schema::of(&shop.operator).await;
    let (mut tried, mut key) = (0, 0);
    for mutation in schema.fields("Mutation") {
        let input_type = input_type_of(&mutation);
        let scalars = schema.scalars(&input_type);
        let keyed = scalars.iter().any(|(path, _)| path == "idempotencyKey");
        for (path, scalar) in &scalars {
            // Of a definition there is exactly one kind in an input: price_rules.rs tries the texts of each. An event is
            // rejected by itself: usage.rs tries its texts.
            let elsewhere = ["infos.definition.", "events."].iter().any(|prefix| path.starts_with(prefix));
            if !matches!(scalar.as_str(), "String" | "ID") || elsewhere {
                continue;
            }
            for (kind, text) in
                [("empty", String::new()), ("long", "x".repeat(10_000)), ("zero", "a\0b".to_owned())]
            {
                let mut input = good_input(&shop, &mutation, transaction);
                if path == "namespace" && input.get("accountId").is_some() {
                    input.as_object_mut().unwrap().remove("accountId");
                }
                if keyed {
                    key += 1;
                    input["idempotencyKey"] = json!(format!("key {key}"));
                }
                let input = with(&input, path, json!(text));
                let contents = shop.server.contents().await;
                let (_, answer) = shop.operator.try_mutate(&mutation, &input_type, input, "__typename").await;
                let when = format!("{mutation}.{path}, {kind}: {answer:#}");
                assert!(answer.get("errors").is_none(), "{when}");
                let errors = answer["data"][&mutation]["userErrors"].as_array().unwrap();
                let allowed =
                    kind == "empty" && MAY_BE_EMPTY.contains(&format!("{mutation}.{path}").as_str());
                tried += 1;
                if allowed {
                    assert!(errors.is_empty(), "{when}");
                    continue;
                }
                assert_eq!(errors.len(), 1, "{when}");
                let parts = errors[0]["path"].as_array().unwrap_or_else(|| panic!("{when}"));
                // Places in lists are left out.
                let is_name = |part: &&str| part.parse::<usize>().is_err();
                let names = parts.iter().skip(1).map(|part| part.as_str().unwrap()).filter(is_name);
                let named = names.collect::<Vec<_>>().join(".");
                // What is in a list is named by the list.
                let in_list = path.starts_with("resources.") && named == "resources";
                assert!(named == *path || in_list, "{when}");
                assert_eq!(shop.server.contents().await, contents, "{when}");
            }
        }
    }
    assert!(tried >= 75, "{tried}");
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn no_text_in_a_query_makes_the_server_fail() {
    let shop = Shop::with_balance("100").await;
    let schema = Schema::of(&shop.operator).await;
    let texts = [
        "",
        "\0",
        "a\0b",
        "%",
        "_",
        "\\",
        "'",
        "\u{feff}",
        "\u{202e}",
        "res_",
        "res_\0",
        "acc_1\0",
        "O1-20261121-1\0",
        "B1-20261121-1\0",
        "B1-99999999-1",
        "O1-20261121-99999999999999999999",
        "-1",
        "9999999999999999-1",
        "-9223372036854775808-0",
    ];
    let long = "x".repeat(10_000);
    let (mut tried, mut failed) = (0, Vec::new());
    // What a customer may not ask for is refused whatever it is asked with.
    for (client, not_theirs) in [(&shop.operator, ""), (&shop.customer, "approvals")] {
        for field in schema.fields("Query") {
            let arguments = schema.arguments("Query", &field);
            for (path, _) in arguments.iter().filter(|(_, scalar)| matches!(scalar.as_str(), "String" | "ID"))
            {
                for text in texts.iter().copied().chain([long.as_str()]) {
                    let value = if path == "ids" { json!([text]) } else { json!(text) };
                    let mut argument = with(&json!({}), path, value).as_object().unwrap().clone();
                    fill_in(&mut argument, &field, &shop);
                    let written: Vec<_> =
                        argument.iter().map(|(name, value)| format!("{name}: {}", literal(value))).collect();
                    let (_, answer) = client
                        .post(&format!("{{ {field}({}) {{ __typename }} }}", written.join(", ")), json!({}))
                        .await;
                    let code = answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none");
                    let refused = field == not_theirs && code == "FORBIDDEN";
                    let expected = ["none", "INVALID", "NOT_FOUND", "LIMIT_EXCEEDED", "BAD_REQUEST"];
                    if !refused && !expected.contains(&code) {
                        failed.push(format!("{field}({path}: {text:.20?}): {code}"));
                    }
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 900, "{tried}");
    assert!(failed.is_empty(), "{failed:#?}");
    shop.goes_on().await;
}

/// Gives a root field the arguments that it cannot do without.
fn fill_in(argument: &mut serde_json::Map<String, Value>, field: &str, shop: &Shop) {
    match field {
        "idempotentResult" => {
            argument.entry("key").or_insert(json!("k"));
            argument.entry("accountId").or_insert(json!(shop.account));
        }
        "usage" => {
            argument.entry("resource").or_insert(json!("transfer_out"));
            argument.entry("accountId").or_insert(json!(shop.account));
            argument.insert("startTime".to_owned(), json!("2026-01-01T00:00:00Z"));
            argument.insert("endTime".to_owned(), json!("2026-01-02T00:00:00Z"));
            argument.insert("granularity".to_owned(), json!("DAY"));
        }
        "rechargeRecords" => {
            argument.insert("startTime".to_owned(), json!("2026-01-01T00:00:00Z"));
            argument.insert("endTime".to_owned(), json!("2027-01-01T00:00:00Z"));
        }
        _ => {}
    }
}

/// A value as GraphQL writes it.
fn literal(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}: {}", literal(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        // An enumeration's value.
        Value::String(text) if text == "DAY" => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn pages_that_cannot_be_are_refused_by_the_name_of_their_argument() {
    let shop = Shop::with_balance("100").await;
    for list in [
        "accounts",
        "plans",
        "orders",
        "bills",
        "records",
        "transactions",
        "ledger",
        "account/orders",
        "account/ledger",
        "account/records",
    ] {
        for (arguments, code, argument) in [
            ("first: 1, last: 1", "INVALID", "last"),
            ("first: 0", "INVALID", "first"),
            ("first: -1", "INVALID", "first"),
            ("first: 101", "LIMIT_EXCEEDED", "first"),
            ("first: 2147483647", "LIMIT_EXCEEDED", "first"),
            ("last: 0", "INVALID", "last"),
            ("last: -5", "INVALID", "last"),
            ("last: 101", "LIMIT_EXCEEDED", "last"),
            ("offset: -1", "INVALID", "offset"),
            ("after: \"\"", "INVALID", "after"),
            ("after: \"?\"", "INVALID", "after"),
            ("before: \"0\"", "INVALID", "before"),
            ("before: \"\\u0000\"", "INVALID", "before"),
        ] {
            let query = match list.split_once('/') {
                Some((outer, inner)) => {
                    format!("{{ {outer} {{ {inner}({arguments}) {{ nodes {{ id }} }} }} }}")
                }
                None => format!("{{ {list}({arguments}) {{ nodes {{ id }} }} }}"),
            };
            let answer = shop.customer.answer(&query).await;
            let extensions = &answer["errors"][0]["extensions"];
            assert_eq!(*extensions, json!({ "code": code, "argument": argument }), "{query}");
        }
        for arguments in ["offset: 1000", "offset: 2147483647", "last: 5, offset: 1000"] {
            let (outer, inner) = list.split_once('/').unwrap_or(("", list));
            let inner = format!(
                "{inner}({arguments}) {{ nodes {{ id }} pageInfo {{ hasNextPage startCursor }} totalCount }}"
            );
            let query = if outer.is_empty() {
                format!("{{ {inner} }}")
            } else {
                format!("{{ {outer} {{ {inner} }} }}")
            };
            let data = shop.customer.data(&query).await;
            let page = if outer.is_empty() { &data[list] } else { &data[outer][&list[outer.len() + 1..]] };
            assert_eq!(page["nodes"], json!([]), "{query}");
            assert!(page["totalCount"].is_number() && page["pageInfo"]["startCursor"].is_null(), "{query}");
        }
    }
    let query = "{ orders(filter: { startTime: \"2026-02-01T00:00:00Z\", endTime: \"2026-01-01T00:00:00Z\" }) { totalCount } }";
    assert_eq!(shop.customer.error_code(query).await, "INVALID");
    for time in [
        "2026-02-30T00:00:00Z",
        "2026-02-01",
        "2026-02-01T00:00:00",
        "yesterday",
        "99999-01-01T00:00:00Z",
        "",
    ] {
        let query = format!("{{ orders(filter: {{ startTime: \"{time}\" }}) {{ totalCount }} }}");
        assert_eq!(shop.customer.error_code(&query).await, "BAD_REQUEST", "{time}");
    }
    for time in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59Z"] {
        let query = format!(
            "{{ orders(filter: {{ startTime: \"{time}\" }}) {{ totalCount }} account {{ balance(at: \"{time}\") {{ amount }} }} }}"
        );
        shop.customer.data(&query).await;
    }
    let many = format!("{{ nodes(ids: [{}]) {{ id }} }}", "\"acc_1\"".repeat(101));
    assert_eq!(shop.customer.error_code(&many).await, "LIMIT_EXCEEDED");
}

/// Sends a body as it is.
async fn send(client: &Client, content_type: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
    let request =
        client.request(reqwest::Method::POST, "/graphql").header(CONTENT_TYPE, content_type).body(body);
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn assert_bad_request(answer: &Value, when: &str) {
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{when}: {answer:#}");
    assert!(answer["errors"][0]["message"].is_string() && answer["data"].is_null(), "{when}");
}

#[tokio::test]
async fn bodies_that_are_no_graphql_requests_are_refused() {
    let shop = Shop::with_balance("100").await;
    let deep_variables = format!(
        "{{\"query\":\"{{ viewer {{ role }} }}\",\"variables\":{{\"a\":{}{}}}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let bodies: [(&str, Vec<u8>); 14] = [
        ("nothing", Vec::new()),
        ("not JSON", b"query { viewer { role } }".to_vec()),
        ("half of it", b"{\"query\":\"{ viewer".to_vec()),
        ("invalid UTF-8", b"{\"query\":\"{ viewer { \xff\xfe } }\"}".to_vec()),
        ("a lone surrogate", b"{\"query\":\"{ viewer { role } } # \\ud800\"}".to_vec()),
        ("a list", b"[{\"query\":\"{ viewer { role } }\"}]".to_vec()),
        ("a text", b"\"{ viewer { role } }\"".to_vec()),
        ("null", b"null".to_vec()),
        ("no query", b"{\"variables\":{}}".to_vec()),
        ("a query of null", b"{\"query\":null}".to_vec()),
        ("a number for a query", b"{\"query\":5}".to_vec()),
        ("a list of variables", b"{\"query\":\"{ viewer { role } }\",\"variables\":[]}".to_vec()),
        ("two bodies", b"{\"query\":\"{ viewer { role } }\"}{}".to_vec()),
        ("deep variables", deep_variables.into_bytes()),
    ];
    for (kind, body) in bodies {
        let (status, answer) = send(&shop.customer, "application/json", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{kind}: {answer:#}");
        assert_bad_request(&answer, kind);
    }
    let good = "{\"query\":\"{ viewer { role } }\"}";
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=latin1",
        "application/jsonx",
        "",
    ] {
        let (status, answer) = send(&shop.customer, content_type, good).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        assert_bad_request(&answer, content_type);
    }
    for content_type in
        ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\""]
    {
        assert_eq!(send(&shop.customer, content_type, good).await.0, StatusCode::OK, "{content_type}");
    }
    shop.goes_on().await;
}

#[tokio::test]
async fn documents_that_cannot_be_executed_are_refused() {
    let shop = Shop::with_balance("100").await;
    for query in [
        "",
        " ",
        "{",
        "}",
        "{}",
        "query",
        "{ nothing }",
        "{ viewer }",
        "{ viewer { role { x } } }",
        "mutation { viewer { role } }",
        "subscription { balanceChanged { amount } }",
        "{ ...F }",
        "query($x: Nothing) { viewer { role } }",
        "\u{0}",
        "fragment F on Query { ...F } { ...F }",
        "{ account(namespace: tenant) { id } }",
        "{ account(id: 1.5) { id } }",
        "query($id: ID!) { node(id: $id) { id } }",
        "{ viewer @nothing { role } }",
        "query A { viewer { role } } query A { viewer { role } }",
    ] {
        let (status, answer) = shop.customer.post(query, json!({})).await;
        assert_eq!(status, StatusCode::OK, "{query}");
        assert_bad_request(&answer, query);
    }
    let body = |name: &str| {
        json!({ "query": "query A { viewer { role } } query B { viewer { subject } }", "operationName": name }).to_string()
    };
    let (_, answer) = send(&shop.customer, "application/json", body("C")).await;
    assert_bad_request(&answer, "an operation that is not there");
    let (_, answer) = send(&shop.customer, "application/json", body("B")).await;
    assert_eq!(answer["data"]["viewer"]["subject"], "tenant");
    let none = json!({ "query": "query A { viewer { role } } query B { viewer { role } }" }).to_string();
    assert_bad_request(&send(&shop.customer, "application/json", none).await.1, "which of the two");
    shop.goes_on().await;
}

#[tokio::test]
async fn what_asks_for_too_much_is_refused_before_it_is_executed() {
    let shop = Shop::with_balance("100").await;
    let parents =
        |depth| format!("{{ account {}{{ id }}{} }}", "{ parent ".repeat(depth), " }".repeat(depth));
    let aliases: String = (0..1_000).map(|n| format!("a{n}: __typename ")).collect();
    let directives = "@skip(if: false) ".repeat(1_000);
    let spread_fragments: String =
        (0..500).map(|n| format!("fragment F{n} on Query {{ ...F{} }} ", n + 1)).collect();
    let pages = "accounts(first: 100) { nodes { orders(first: 100) { nodes { bills(first: 100) { nodes { transactions { id } } } } } } }";
    let doubling: String = (0..30)
        .map(|n| format!("fragment F{n} on Query {{ ...F{next} ...F{next} }} ", next = n + 1))
        .collect();
    let types = |depth| {
        format!(
            "{{ __schema {{ types {{ {} name {} }} }} }}",
            "fields { type { ".repeat(depth),
            "} }".repeat(depth)
        )
    };
    let queries = [
        ("fragments that double", format!("{{ ...F0 }} {doubling} fragment F30 on Query {{ __typename }}")),
        ("types of fields of types of fields", types(4)),
        ("200 deep", parents(200)),
        ("21 deep", parents(20)),
        ("1,000 aliases", format!("{{ {aliases} }}")),
        ("1,000 directives on one field", format!("{{ __typename {directives} }}")),
        ("a million bills", format!("{{ {pages} }}")),
        (
            "a long chain of fragments",
            format!("{{ ...F0 }} {spread_fragments} fragment F500 on Query {{ __typename }}"),
        ),
        (
            "many introspections",
            format!(
                "{{ {} }}",
                (0..99)
                    .map(|n| format!(
                        "a{n}: __schema {{ types {{ fields {{ type {{ fields {{ name }} }} }} }} }} "
                    ))
                    .collect::<String>()
            ),
        ),
    ];
    for (kind, query) in queries {
        let (status, answer) = shop.customer.post(&query, json!({})).await;
        assert_eq!(status, StatusCode::OK, "{kind}");
        assert_bad_request(&answer, kind);
    }
    // Just within.
    shop.customer.data(&parents(18)).await;
    shop.goes_on().await;
}

#[tokio::test]
async fn brackets_without_end_are_refused_and_the_server_goes_on() {
    let shop = Shop::with_balance("100").await;
    for depth in [60, 100, 400, 800, 200_000] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        for query in [
            format!("{{ node(id: {open}{close}) {{ id }} }}"),
            format!("{{ node(id: {open}"),
            format!("{{ node(id: {}1{}) {{ id }} }}", "{a:".repeat(depth), "}".repeat(depth)),
            format!("query($x: {open}Int{close}) {{ viewer {{ role }} }}"),
            format!("query($x: [Int] = {open}{close}) {{ viewer {{ role }} }}"),
            "{a".repeat(depth),
            format!("{{a{}", "...{a ".repeat(depth)),
        ] {
            let (status, answer) = shop.customer.post(&query, json!({})).await;
            assert_eq!(status, StatusCode::OK);
            assert_bad_request(&answer, &query[..query.len().min(60)]);
        }
    }
    // Brackets in a text are text.
    let text =
        format!("{{ account(namespace: \"{}\") {{ id }} }} # {}", "\\\"[".repeat(1_000), "{".repeat(1_000));
    assert_eq!(shop.customer.data(&text).await["account"], Value::Null);
    let block = format!(
        "{{ account(namespace: \"\"\"{} \\\"\"\" \" {} \"\"\") {{ id }} }}",
        "[".repeat(1_000),
        "[".repeat(1_000)
    );
    assert_eq!(shop.customer.data(&block).await["account"], Value::Null);
    shop.goes_on().await;
}

#[tokio::test]
async fn a_body_of_a_hundred_megabytes_is_refused_and_the_server_goes_on() {
    let shop = Shop::with_balance("100").await;
    let chunks = || {
        let chunk = vec![b' '; 64 * 1024];
        futures_util::stream::iter((0..1_600).map(move |_| Ok::<_, std::io::Error>(chunk.clone())))
    };
    // Of unknown length, streamed.
    let (status, answer) =
        send(&shop.customer, "application/json", reqwest::Body::wrap_stream(chunks())).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_bad_request(&answer, "streamed");
    // Of a length that is told beforehand.
    let (status, answer) = send(&shop.customer, "application/json", vec![b' '; 9 * 1024 * 1024]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_bad_request(&answer, "told beforehand");
    shop.goes_on().await;
}

#[tokio::test]
async fn a_get_changes_nothing() {
    let shop = Shop::with_balance("100").await;
    let contents = shop.server.contents().await;
    let get = |query: &str| {
        shop.customer.request(reqwest::Method::GET, "/graphql").query(&[("query", query)]).send()
    };
    let recharge =
        "mutation { recharge(input: { amount: 5, idempotencyKey: \"k\" }) { userErrors { code } } }";
    let answer = get(recharge).await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()["allow"], "POST");
    assert_bad_request(&answer.json().await.unwrap(), "by GET");
    let named = shop.customer.request(reqwest::Method::GET, "/graphql").query(&[
        (
            "query",
            &format!("query Q {{ viewer {{ role }} }} {}", recharge.replacen("mutation", "mutation M", 1)),
        ),
        ("operationName", &"M".to_owned()),
    ]);
    assert_eq!(named.send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(get("{ account { namespace } }").await.unwrap().status(), StatusCode::OK);
    let bare = shop.customer.request(reqwest::Method::GET, "/graphql").send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::BAD_REQUEST);
    for method in [reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::PATCH] {
        let answer = shop.customer.request(method, "/graphql").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    shop.server.assert_holds_still(&contents).await;
}

#[tokio::test]
async fn a_request_like_a_valid_one_is_validated_where_it_differs() {
    let shop = Shop::with_balance("100").await;
    let query = "query Orders($filter: OrderFilter, $first: Int) { orders(filter: $filter, first: $first) { totalCount } }";
    let good = json!({ "filter": { "orderState": "ACTIVE", "searchWord": "a" }, "first": 3 });
    let bad = [
        json!({ "filter": { "orderState": "ASLEEP", "searchWord": "a" }, "first": 3 }),
        json!({ "filter": { "orderState": "active", "searchWord": "a" }, "first": 3 }),
        json!({ "filter": { "orderState": 1, "searchWord": "a" }, "first": 3 }),
        json!({ "filter": { "orderState": "ACTIVE", "word": "a" }, "first": 3 }),
        json!({ "filter": { "orderState": "ACTIVE", "searchWord": 7 }, "first": 3 }),
        json!({ "filter": { "orderState": "ACTIVE", "searchWord": "a" }, "first": 3.5 }),
        json!({ "filter": { "orderState": "ACTIVE", "searchWord": "a" }, "first": "3" }),
        json!({ "filter": "ACTIVE", "first": 3 }),
    ];
    let ask = async |variables: &Value| shop.customer.post(query, variables.clone()).await;
    let mut before = Vec::new();
    for variables in &bad {
        let (status, answer) = ask(variables).await;
        assert!(answer["errors"][0]["message"].is_string(), "{variables}: {answer}");
        before.push((status, answer));
    }
    for _ in 0..3 {
        assert_eq!(ask(&good).await.1["data"]["orders"]["totalCount"], 0);
    }
    for (variables, before) in bad.iter().zip(before) {
        assert_eq!(ask(variables).await, before, "{variables}");
    }
    let too_many = json!({ "filter": { "orderState": "ACTIVE", "searchWord": "b" }, "first": 1_000_000 });
    assert_eq!(ask(&too_many).await.1["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
}
