//! pay2.0: prepayments by card, from the offer to the app's end; recharges by card; money given back to cards.

use serde_json::{Value, json};

use crate::support::life::{Life, jobs};

const PREPAYMENT: &str = "id status paymentMethod { id } amount { amount currency } usd months autoRenewal depositAddress failure actionUrl
    app { appId clusterId chartName cpuLimit memLimit storageLimit iconUrl projectName } startTime endTime createdAt
    previous { id } transaction { id kind status amount { amount currency } paymentMethod refundedAmount balanceAfter }";

/// A life with a card, on which things can be prepaid.
struct Shop {
    life: Life,
    card: Value,
}

impl Shop {
    async fn open(now: &str, token: &str) -> Self {
        let life = Life::begin(now, "0").await;
        let card = add_card(&life, token).await;
        Self { life, card }
    }

    /// An offer: 33.30 USD for three months.
    async fn quote(&self) -> Value {
        quote(&self.life, json!({})).await
    }

    async fn pay(&self, quote: &Value, more: Value) -> Value {
        let mut input = json!({ "quoteId": quote["id"], "amount": quote["amount"], "paymentMethodId": self.card,
            "idempotencyKey": uuid::Uuid::new_v4().to_string() });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let fields = format!("prepayment {{ {PREPAYMENT} }}");
        self.life.customer.payload("prepay", "PrepayInput", input, &fields).await
    }

    /// A prepayment that is paid.
    async fn paid(&self, more: Value) -> Value {
        let paid = self.pay(&self.quote().await, more).await;
        assert_eq!(
            (&paid["userErrors"], &paid["prepayment"]["status"]),
            (&json!([]), &json!("PAID")),
            "{paid:#}"
        );
        paid["prepayment"].clone()
    }

    async fn bind(&self, prepayment: &Value, more: Value) -> Value {
        let mut input = json!({ "prepaymentId": prepayment["id"], "asset": "USD", "appId": "app-1", "clusterId": "cluster-1",
            "chartName": "wordpress", "cpuLimit": 1500, "memLimit": 1024, "storageLimit": 2048,
            "iconUrl": "https://example.com/icon.png", "projectName": "Blog" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let fields = format!("prepayment {{ {PREPAYMENT} }}");
        self.life.customer.payload("bindApp", "BindAppInput", input, &fields).await
    }

    async fn now(&self, prepayment: &Value) -> Value {
        let query = format!("{{ node(id: {}) {{ ...on Prepayment {{ {PREPAYMENT} }} }} }}", prepayment["id"]);
        self.life.customer.data(&query).await["node"].clone()
    }

    /// All prepayments, newest first.
    async fn all(&self) -> Vec<Value> {
        let query = format!("{{ prepayments(first: 100) {{ totalCount nodes {{ {PREPAYMENT} }} }} }}");
        self.life.customer.data(&query).await["prepayments"]["nodes"].as_array().unwrap().clone()
    }

    async fn transactions(&self) -> Vec<(String, String, String)> {
        let query = "{ transactions(first: 100) { nodes { kind status amount { amount } } } }";
        let data = self.life.customer.data(query).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let told = |t: &Value| (text(&t["kind"]), text(&t["status"]), text(&t["amount"]["amount"]));
        data["transactions"]["nodes"].as_array().unwrap().iter().map(told).collect()
    }
}

async fn add_card(life: &Life, token: &str) -> Value {
    let input = json!({ "providerToken": token });
    let fields = "paymentMethod { id }";
    life.customer.mutate("addPaymentMethod", "AddPaymentMethodInput", input, fields).await["paymentMethod"]["id"].clone()
}

async fn quote(life: &Life, more: Value) -> Value {
    let mut input = json!({ "asset": "USD", "clusterId": "cluster-1", "chartName": "wordpress", "cpuLimit": 1500, "memLimit": 1024,
        "storageLimit": 2048, "period": 3 });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let fields = "quote { id amount usd expiresAt }";
    life.customer.mutate("quotePrepay", "QuotePrepayInput", input, fields).await["quote"].clone()
}

fn told(transactions: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    let owned = |text: &&str| (*text).to_owned();
    transactions.iter().map(|(kind, status, amount)| (owned(kind), owned(status), owned(amount))).collect()
}

fn first_error(payload: &Value) -> (&Value, &Value) {
    (&payload["userErrors"][0]["code"], &payload["userErrors"][0]["path"])
}

#[tokio::test]
async fn a_card_pays_an_offer_and_the_app_runs_for_its_term() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let quote = shop.quote().await;
    // 1.5 cores at 7, 1 GiB at 0.5, 2 GiB at 0.05: 11.1 a month.
    assert_eq!((&quote["amount"], &quote["usd"]), (&json!("33.30"), &json!("33.30")));
    let paid = shop.pay(&quote, json!({ "autoRenewal": true })).await["prepayment"].clone();
    assert_eq!(
        (&paid["status"], &paid["usd"], &paid["months"]),
        (&json!("PAID"), &json!("33.30"), &json!(3))
    );
    assert_eq!(paid["amount"], json!({ "amount": "33.30", "currency": "USD" }));
    assert_eq!((&paid["paymentMethod"]["id"], &paid["autoRenewal"]), (&shop.card, &json!(true)));
    assert_eq!(
        (&paid["app"], &paid["startTime"], &paid["failure"]),
        (&json!(null), &json!(null), &json!(null))
    );
    let moved = &paid["transaction"];
    assert_eq!(
        (&moved["kind"], &moved["status"], &moved["paymentMethod"]),
        (&json!("PREPAYMENT"), &json!("FINISHED"), &json!("visa"))
    );
    assert_eq!(
        (&moved["amount"]["amount"], &moved["balanceAfter"]),
        (&json!("33.30"), &json!(null)),
        "beside the balance"
    );

    shop.life.advance("2026-03-02T08:00:00Z").await;
    let bound = shop.bind(&paid, json!({})).await["prepayment"].clone();
    assert_eq!((&bound["status"], &bound["startTime"]), (&json!("BOUND"), &json!("2026-03-02T08:00:00Z")));
    assert_eq!(bound["endTime"], "2026-05-31T08:00:00Z", "three months of 30 days");
    let app = json!({ "appId": "app-1", "clusterId": "cluster-1", "chartName": "wordpress", "cpuLimit": 1500, "memLimit": 1024,
        "storageLimit": 2048, "iconUrl": "https://example.com/icon.png", "projectName": "Blog" });
    assert_eq!(bound["app"], app);
    assert_eq!(shop.bind(&paid, json!({})).await["prepayment"], bound, "the same app again");
    let other = shop.bind(&paid, json!({ "appId": "app-2" })).await;
    assert_eq!(first_error(&other), (&json!("ALREADY_BOUND"), &json!(["input", "appId"])));
    assert_eq!(shop.all().await, [bound]);
    assert_eq!(shop.life.balance().await, "0.00");
    shop.life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn an_offer_is_taken_once_and_a_key_pays_once() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let quote = shop.quote().await;
    let provisional = shop.pay(&quote, json!({ "dryRun": true })).await["prepayment"].clone();
    assert_eq!((&provisional["status"], shop.all().await.len()), (&json!("PROCESSING"), 0));
    let first = shop.pay(&quote, json!({ "idempotencyKey": "k" })).await["prepayment"].clone();
    assert_eq!(shop.pay(&quote, json!({ "idempotencyKey": "k" })).await["prepayment"], first);
    let reused = shop.pay(&quote, json!({ "idempotencyKey": "k", "autoRenewal": true })).await;
    assert_eq!(first_error(&reused).0, "IDEMPOTENCY_KEY_REUSED");
    let again = shop.pay(&quote, json!({})).await;
    assert_eq!(first_error(&again), (&json!("CONFLICT"), &json!(["input", "quoteId"])));
    assert_eq!(shop.transactions().await, told(&[("PREPAYMENT", "FINISHED", "33.30")]));
    let answer = shop
        .life
        .customer
        .data("{ idempotentResult(key: \"k\") { mutation prepayment { id } payment { state } } }")
        .await;
    let expected = json!({ "mutation": "prepay", "prepayment": { "id": first["id"] }, "payment": { "state": "SUCCEEDED" } });
    assert_eq!(answer["idempotentResult"], expected);
}

#[tokio::test]
async fn a_declined_card_says_why_and_another_card_pays_the_same_offer() {
    for (token, reason) in [
        ("pm_card_chargeDeclined", "Your card was declined."),
        ("pm_card_chargeDeclinedInsufficientFunds", "Your card has insufficient funds."),
        ("pm_card_chargeDeclinedExpiredCard", "Your card has expired."),
    ] {
        let shop = Shop::open("2026-03-01T10:00:00Z", token).await;
        let quote = shop.quote().await;
        let declined = shop.pay(&quote, json!({ "idempotencyKey": "k" })).await;
        assert_eq!(
            first_error(&declined),
            (&json!("PAYMENT_DECLINED"), &json!(["input", "paymentMethodId"]))
        );
        assert_eq!(declined["userErrors"][0]["message"], reason);
        let failed = &declined["prepayment"];
        assert_eq!((&failed["status"], &failed["failure"]), (&json!("FAILED"), &json!(reason)));
        assert_eq!(
            shop.pay(&quote, json!({ "idempotencyKey": "k" })).await,
            declined,
            "the key holds this answer"
        );
        assert_eq!((shop.transactions().await, shop.life.balance().await.as_str()), (vec![], "0.00"));
        assert_eq!(shop.life.notices().await, Vec::<String>::new(), "whoever asked was told");
        let refused = shop.bind(failed, json!({})).await;
        assert_eq!(first_error(&refused), (&json!("CONFLICT"), &json!(["input", "prepaymentId"])));

        let other = add_card(&shop.life, "pm_card_mastercard").await;
        let paid = shop.pay(&quote, json!({ "paymentMethodId": other })).await;
        assert_eq!((&paid["prepayment"]["status"], &paid["userErrors"]), (&json!("PAID"), &json!([])));
    }
}

#[tokio::test]
async fn a_slow_payment_and_one_that_is_to_be_authenticated_are_carried_on_by_the_jobs() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_slow").await;
    let slow = shop.pay(&shop.quote().await, json!({})).await["prepayment"].clone();
    assert_eq!((&slow["status"], &slow["actionUrl"]), (&json!("PROCESSING"), &json!(null)));
    let refused = shop.bind(&slow, json!({})).await;
    assert_eq!(refused["userErrors"][0]["message"], "it is not paid yet");
    let card = add_card(&shop.life, "pm_card_authenticationRequired").await;
    let asked = shop.pay(&shop.quote().await, json!({ "paymentMethodId": card })).await["prepayment"].clone();
    assert_eq!(asked["status"], "PROCESSING");
    assert!(asked["actionUrl"].as_str().unwrap().starts_with("https://sandbox.invalid/authenticate/pay_"));
    shop.life.advance("2026-03-01T10:10:00Z").await;
    let paid = shop.now(&asked).await;
    assert_eq!((&paid["status"], &paid["actionUrl"]), (&json!("PAID"), &json!(null)));
    assert_eq!(shop.now(&slow).await["status"], "PROCESSING");
    let ran = shop.life.advance("2026-03-01T13:00:00Z").await;
    assert_eq!(ran, jobs(&[("PAYMENT", 1, 0)]));
    assert_eq!(shop.now(&slow).await["status"], "PAID");
}

#[tokio::test]
async fn what_does_not_fit_the_offer_is_refused_and_no_money_moves() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let quote = shop.quote().await;
    let stranger = shop.life.server.account("stranger", "0").await;
    let theirs = shop.life.server.customer("stranger");
    let card = json!({ "providerToken": "pm_card_visa" });
    let card = theirs.mutate("addPaymentMethod", "AddPaymentMethodInput", card, "paymentMethod { id }").await
        ["paymentMethod"]["id"]
        .clone();
    let removed = add_card(&shop.life, "pm_card_amex").await;
    let input = json!({ "paymentMethodId": removed });
    shop.life
        .customer
        .mutate("removePaymentMethod", "RemovePaymentMethodInput", input, "paymentMethod { id }")
        .await;
    let still = shop.life.server.contents().await;
    for (more, code, field) in [
        (json!({ "amount": "33.31" }), "QUOTE_MISMATCH", "amount"),
        (json!({ "amount": "33.29" }), "QUOTE_MISMATCH", "amount"),
        (json!({ "paymentMethodId": null }), "REQUIRED", "paymentMethodId"),
        (json!({ "paymentMethodId": card }), "NOT_FOUND", "paymentMethodId"),
        (json!({ "paymentMethodId": removed }), "NOT_FOUND", "paymentMethodId"),
        (json!({ "paymentMethodId": "pmt_x" }), "INVALID", "paymentMethodId"),
        (json!({ "quoteId": "pqt_x" }), "INVALID", "quoteId"),
        (json!({ "idempotencyKey": "" }), "INVALID", "idempotencyKey"),
        (json!({ "namespace": "nobody" }), "NOT_FOUND", "namespace"),
        (json!({ "accountId": stranger }), "NOT_FOUND", "accountId"),
    ] {
        let refused = shop.pay(&quote, more.clone()).await;
        assert_eq!(first_error(&refused), (&json!(code), &json!(["input", field])), "{more}");
    }
    // Another team's offer is one that there is not, and an operator cannot have another account pay it.
    let input = |quote: &Value, more: Value| {
        let mut input = json!({ "quoteId": quote["id"], "amount": "33.30", "paymentMethodId": card, "idempotencyKey": "k" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let refused = theirs.refusal("prepay", "PrepayInput", input(&quote, json!({}))).await;
    assert_eq!(refused, ("NOT_FOUND".to_owned(), "input.quoteId".to_owned()));
    let refused = shop
        .life
        .operator
        .refusal("prepay", "PrepayInput", input(&quote, json!({ "accountId": stranger })))
        .await;
    assert_eq!(refused, ("NOT_FOUND".to_owned(), "input.quoteId".to_owned()));
    shop.life.server.assert_holds_still(&still).await;

    shop.life.advance("2026-03-01T10:15:00Z").await;
    let late = shop.pay(&quote, json!({})).await;
    assert_eq!(first_error(&late), (&json!("QUOTE_EXPIRED"), &json!(["input", "quoteId"])));
    assert_eq!(shop.all().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_app_that_is_not_what_was_paid_for_is_not_bound() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let paid = shop.paid(json!({})).await;
    let still = shop.life.server.contents().await;
    for (more, code, field) in [
        (json!({ "asset": "USDT_ERC20" }), "QUOTE_MISMATCH", "asset"),
        (json!({ "clusterId": "cluster-2" }), "QUOTE_MISMATCH", "clusterId"),
        (json!({ "chartName": "drupal" }), "QUOTE_MISMATCH", "chartName"),
        (json!({ "cpuLimit": 1501 }), "QUOTE_MISMATCH", "cpuLimit"),
        (json!({ "memLimit": -1 }), "QUOTE_MISMATCH", "memLimit"),
        (json!({ "storageLimit": 2047 }), "QUOTE_MISMATCH", "storageLimit"),
        (json!({ "appId": "" }), "INVALID", "appId"),
        (json!({ "projectName": " " }), "INVALID", "projectName"),
        (json!({ "iconUrl": "javascript:alert(1)" }), "INVALID", "iconUrl"),
        (json!({ "prepaymentId": "ppy_x" }), "INVALID", "prepaymentId"),
    ] {
        let refused = shop.bind(&paid, more.clone()).await;
        assert_eq!(first_error(&refused), (&json!(code), &json!(["input", field])), "{more}");
    }
    shop.life.server.assert_holds_still(&still).await;
    shop.life.server.account("stranger", "0").await;
    let theirs = shop.life.server.customer("stranger");
    let input = json!({ "prepaymentId": paid["id"], "asset": "USD", "appId": "a", "clusterId": "cluster-1", "chartName": "wordpress",
        "cpuLimit": 1500, "memLimit": 1024, "storageLimit": 2048, "projectName": "p" });
    let refused = theirs.refusal("bindApp", "BindAppInput", input).await;
    assert_eq!(refused, ("NOT_FOUND".to_owned(), "input.prepaymentId".to_owned()));
}

#[tokio::test]
async fn what_is_never_bound_goes_back_to_its_card_after_seven_days() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let paid = shop.paid(json!({})).await;
    shop.life.advance("2026-03-08T09:59:59Z").await;
    assert_eq!(shop.now(&paid).await["status"], "PAID");
    let ran = shop.life.advance("2026-03-08T10:00:00Z").await;
    assert_eq!(ran, jobs(&[("PAYMENT", 1, 0), ("PREPAYMENT_REFUND", 1, 0)]));
    let given_back = shop.now(&paid).await;
    assert_eq!(
        (&given_back["status"], &given_back["transaction"]["status"]),
        (&json!("REFUNDED"), &json!("REFUNDED"))
    );
    let moved = [("REFUND", "FINISHED", "33.30"), ("PREPAYMENT", "REFUNDED", "33.30")];
    assert_eq!(shop.transactions().await, told(&moved));
    let refused = shop.bind(&paid, json!({})).await;
    assert_eq!(refused["userErrors"][0]["message"], "it was given back");
    shop.life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_card_that_cannot_be_given_back_to_leaves_the_prepayment_as_it_was() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_refundFail").await;
    let paid = shop.paid(json!({})).await;
    let ran = shop.life.advance("2026-03-09T10:00:00Z").await;
    assert_eq!(ran, jobs(&[("PAYMENT", 0, 1), ("PREPAYMENT_REFUND", 1, 0)]));
    let kept = shop.now(&paid).await;
    assert_eq!((&kept["status"], &kept["transaction"]["refundedAmount"]), (&json!("PAID"), &json!("0.00")));
    assert_eq!(
        shop.transactions().await,
        told(&[("REFUND", "FAILED", "33.30"), ("PREPAYMENT", "FINISHED", "33.30")])
    );
    assert_eq!(shop.life.notices().await, ["JOB_FAILED"]);
    assert_eq!(shop.bind(&paid, json!({})).await["prepayment"]["status"], "BOUND");
}

#[tokio::test]
async fn a_prepayment_is_told_of_its_end_and_is_over_then() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let paid = shop.paid(json!({})).await;
    shop.bind(&paid, json!({})).await;
    shop.life.advance("2026-05-23T09:59:59Z").await;
    assert_eq!(shop.life.notices().await, Vec::<String>::new());
    let ran = shop.life.advance("2026-05-30T09:00:00Z").await;
    assert_eq!(
        (ran, shop.life.notices().await),
        (jobs(&[("PREPAYMENT_EXPIRY", 1, 0)]), vec!["PREPAYMENT_EXPIRING".to_owned()])
    );
    let ran = shop.life.advance("2026-06-30T10:00:00Z").await;
    assert_eq!(ran.get("PREPAYMENT_END"), Some(&(1, 0)), "{ran:?}");
    assert_eq!(shop.now(&paid).await["status"], "EXPIRED");
}

#[tokio::test]
async fn a_prepayment_renews_itself_by_its_card_at_the_price_of_that_day() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let paid = shop.paid(json!({})).await;
    shop.bind(&paid, json!({})).await;
    let input = json!({ "prepaymentId": paid["id"], "autoRenewal": true });
    let set = shop
        .life
        .customer
        .mutate("setAutoRenewal", "SetAutoRenewalInput", input, "order { id } prepayment { autoRenewal }")
        .await;
    assert_eq!(set["prepayment"]["autoRenewal"], true);
    // 8 instead of 7 for a core: 12.6 a month.
    let price = json!({ "prices": [{ "resource": "app_cpu", "currency": "USD", "level": 0, "price": "8", "unit": "core/month",
        "multiplier": "2592000000" }] });
    shop.life.operator.mutate("setResourcePrices", "SetResourcePricesInput", price, "prices { id }").await;
    shop.life.advance("2026-05-24T10:00:00Z").await;
    assert_eq!(shop.life.notices().await, ["PREPAYMENT_EXPIRING"], "the price has risen");
    let ran = shop.life.advance("2026-05-30T10:00:00Z").await;
    assert_eq!(ran, jobs(&[("PREPAYMENT_RENEWAL", 1, 0), ("PAYMENT", 1, 0)]));
    let [renewal, first] = <[Value; 2]>::try_from(shop.all().await).unwrap();
    assert_eq!((&first["status"], &renewal["status"]), (&json!("EXPIRED"), &json!("BOUND")));
    assert_eq!(
        (&renewal["usd"], &renewal["previous"]["id"], &renewal["autoRenewal"]),
        (&json!("37.80"), &paid["id"], &json!(true))
    );
    assert_eq!(
        (&renewal["startTime"], &renewal["endTime"]),
        (&json!("2026-05-30T10:00:00Z"), &json!("2026-08-28T10:00:00Z"))
    );
    assert_eq!(renewal["app"], first["app"]);
    shop.life.advance("2027-06-01T00:00:00Z").await;
    assert_eq!(shop.all().await.len(), 6, "a term of 90 days after the other");
    shop.life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_renewal_that_fails_is_told_and_tried_again_for_a_week() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let paid = shop.paid(json!({ "autoRenewal": true })).await;
    shop.bind(&paid, json!({})).await;
    let input = json!({ "paymentMethodId": shop.card });
    shop.life
        .customer
        .mutate("removePaymentMethod", "RemovePaymentMethodInput", input, "paymentMethod { id }")
        .await;
    shop.life.advance("2026-05-30T12:00:00Z").await;
    assert_eq!(shop.life.notices().await, ["PAYMENT_FAILED"], "its card was removed");
    assert_eq!(shop.now(&paid).await["status"], "BOUND");
    let ran = shop.life.advance("2026-06-30T12:00:00Z").await;
    assert_eq!(ran, jobs(&[("PREPAYMENT_RENEWAL", 0, 6)]));
    assert_eq!((shop.life.notices().await.len(), &shop.now(&paid).await["status"]), (7, &json!("EXPIRED")));
    assert_eq!(shop.all().await.len(), 1);
}

#[tokio::test]
async fn a_declined_renewal_charges_the_card_again_the_next_day() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_authenticationRequired").await;
    let asked = shop.pay(&shop.quote().await, json!({ "autoRenewal": true })).await["prepayment"].clone();
    shop.life.advance("2026-03-01T10:10:00Z").await;
    shop.bind(&asked, json!({})).await;
    // Its holder is not there at the renewal: declined each day.
    let ran = shop.life.advance("2026-06-30T12:00:00Z").await;
    assert_eq!(
        (ran.get("PAYMENT"), ran.get("PREPAYMENT_RENEWAL")),
        (Some(&(0, 7)), Some(&(7, 0))),
        "{ran:?}"
    );
    let all = shop.all().await;
    assert_eq!(all.iter().filter(|renewal| renewal["status"] == "FAILED").count(), 7);
    assert_eq!((all.len(), &shop.now(&asked).await["status"]), (8, &json!("EXPIRED")));
    assert_eq!(shop.transactions().await, told(&[("PREPAYMENT", "FINISHED", "33.30")]));
}

#[tokio::test]
async fn a_renewal_that_would_cost_nothing_is_told_and_not_made() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let paid = shop.paid(json!({ "autoRenewal": true })).await;
    shop.bind(&paid, json!({})).await;
    let free = |resource: &str, unit: &str| json!({ "resource": resource, "currency": "USD", "level": 0, "price": "0", "unit": unit, "multiplier": "1" });
    let prices =
        [free("app_cpu", "core/month"), free("app_mem", "GiB/month"), free("app_storage", "GiB/month")];
    let input = json!({ "prices": prices });
    shop.life.operator.mutate("setResourcePrices", "SetResourcePricesInput", input, "prices { id }").await;
    let ran = shop.life.advance("2026-06-30T12:00:00Z").await;
    assert_eq!(ran.get("PREPAYMENT_RENEWAL"), Some(&(0, 7)), "{ran:?}");
    assert_eq!((shop.all().await.len(), &shop.now(&paid).await["status"]), (1, &json!("EXPIRED")));
    assert_eq!(shop.transactions().await, told(&[("PREPAYMENT", "FINISHED", "33.30")]));
}

#[tokio::test]
async fn nothing_is_given_back_while_a_renewal_is_being_paid() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_slow").await;
    let slow = shop.pay(&shop.quote().await, json!({ "autoRenewal": true })).await["prepayment"].clone();
    shop.life.advance("2026-03-01T13:00:00Z").await;
    let paid = shop.bind(&slow, json!({})).await["prepayment"].clone();
    let input = json!({ "transactionId": paid["transaction"]["id"], "amount": "33.30", "reason": "r", "idempotencyKey": "k" });
    shop.life.advance("2026-05-30T13:10:00Z").await;
    assert_eq!(shop.all().await[0]["status"], "PROCESSING", "its renewal");
    let refused = shop.life.operator.refusal("refund", "RefundInput", input.clone()).await;
    assert_eq!(refused, ("CONFLICT".to_owned(), "input.transactionId".to_owned()));
    shop.life.advance("2026-05-30T18:00:00Z").await;
    assert_eq!(shop.all().await[0]["status"], "BOUND");
    shop.life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_card_recharges_the_balance_and_is_given_back_to() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let recharge = async |card: &Value, amount: &str, key: &str| {
        let input = json!({ "amount": amount, "paymentMethodId": card, "idempotencyKey": key });
        let fields = "transaction { id kind status paymentMethod balanceAfter } payment { state purpose failure transaction { id } }
            account { balance { amount } }";
        shop.life.customer.payload("recharge", "RechargeInput", input, fields).await
    };
    let paid = recharge(&shop.card, "100.00", "k").await;
    let expected = json!({ "id": paid["transaction"]["id"], "kind": "RECHARGE", "status": "FINISHED", "paymentMethod": "visa",
        "balanceAfter": "100.00" });
    assert_eq!((&paid["transaction"], &paid["account"]["balance"]["amount"]), (&expected, &json!("100.00")));
    assert_eq!(
        (&paid["payment"]["state"], &paid["payment"]["purpose"]),
        (&json!("SUCCEEDED"), &json!("RECHARGE"))
    );
    assert_eq!(recharge(&shop.card, "100.00", "k").await, paid, "once");
    let declined = add_card(&shop.life, "pm_card_chargeDeclined").await;
    let refused = recharge(&declined, "50.00", "l").await;
    assert_eq!(first_error(&refused), (&json!("PAYMENT_DECLINED"), &json!(["input", "paymentMethodId"])));
    assert_eq!((&refused["transaction"], &refused["payment"]["state"]), (&json!(null), &json!("FAILED")));
    assert_eq!(shop.life.balance().await, "100.00");
    let slow = add_card(&shop.life, "pm_card_slow").await;
    assert_eq!(recharge(&slow, "7.00", "m").await["payment"]["state"], "PROCESSING");
    shop.life.advance("2026-03-01T13:00:00Z").await;
    assert_eq!(recharge(&slow, "7.00", "m").await["transaction"]["balanceAfter"], "107.00");

    let refund = async |amount: Option<&str>| {
        let input = json!({ "transactionId": paid["transaction"]["id"], "amount": amount, "reason": "asked for",
            "idempotencyKey": uuid::Uuid::new_v4().to_string() });
        let fields = "refund { status amount { amount } refundOf { id } } transaction { status refundedAmount } account { balance { amount } }";
        shop.life.operator.payload("refund", "RefundInput", input, fields).await
    };
    let part = refund(Some("30.00")).await;
    assert_eq!(
        (&part["refund"]["status"], &part["transaction"]["refundedAmount"]),
        (&json!("FINISHED"), &json!("30.00"))
    );
    assert_eq!(part["account"]["balance"]["amount"], "77.00");
    let plan = shop.life.plan("P", "C", "60.00", "MONTH").await;
    shop.life.buy(&plan, json!({})).await;
    let refused = refund(None).await;
    assert_eq!(
        first_error(&refused),
        (&json!("INSUFFICIENT_BALANCE"), &json!(["input", "amount"])),
        "not without overdrawing"
    );
    let refused = refund(Some("70.01")).await;
    assert_eq!(first_error(&refused), (&json!("LIMIT_EXCEEDED"), &json!(["input", "amount"])));
    shop.life.recharge("53.00").await;
    let rest = refund(None).await;
    assert_eq!(
        (&rest["transaction"]["status"], &rest["account"]["balance"]["amount"]),
        (&json!("REFUNDED"), &json!("0.00"))
    );
    shop.life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_refund_that_the_provider_fails_puts_the_money_back_on_the_balance() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_refundFail").await;
    let input = json!({ "amount": "10.00", "paymentMethodId": shop.card, "idempotencyKey": "k" });
    let paid = shop.life.customer.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    let input = json!({ "transactionId": paid["transaction"]["id"], "reason": "r", "idempotencyKey": "l" });
    let fields = "transaction { status refundedAmount } account { balance { amount } }";
    let refund = shop.life.operator.payload("refund", "RefundInput", input, fields).await;
    assert_eq!(refund["userErrors"][0]["code"], "PAYMENT_DECLINED");
    assert_eq!(
        (&refund["transaction"]["status"], &refund["account"]["balance"]["amount"]),
        (&json!("FINISHED"), &json!("10.00"))
    );
    assert_eq!(shop.life.notices().await, ["JOB_FAILED"]);
    shop.life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_part_of_a_prepayment_that_is_given_back_leaves_it_running_and_the_whole_ends_it() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let paid = shop.paid(json!({ "autoRenewal": true })).await;
    shop.bind(&paid, json!({})).await;
    let input = json!({ "transactionId": paid["transaction"]["id"], "amount": "11.10", "reason": "r", "idempotencyKey": "k" });
    let fields = "refund { status amount { amount currency } } transaction { status refundedAmount }";
    let part = shop.life.operator.mutate("refund", "RefundInput", input, fields).await;
    assert_eq!(
        part["refund"],
        json!({ "status": "FINISHED", "amount": { "amount": "11.10", "currency": "USD" } })
    );
    assert_eq!(part["transaction"], json!({ "status": "FINISHED", "refundedAmount": "11.10" }));
    let now = shop.now(&paid).await;
    assert_eq!((&now["status"], &now["autoRenewal"]), (&json!("BOUND"), &json!(true)));
    let rest = json!({ "transactionId": paid["transaction"]["id"], "reason": "r", "idempotencyKey": "l" });
    let whole = shop.life.operator.mutate("refund", "RefundInput", rest, fields).await;
    assert_eq!(whole["transaction"]["status"], "REFUNDED");
    shop.life.advance("2026-06-30T10:00:00Z").await;
    let now = shop.now(&paid).await;
    assert_eq!((&now["status"], &now["autoRenewal"]), (&json!("REFUNDED"), &json!(false)));
}

#[tokio::test]
async fn automatic_renewal_is_set_of_an_order_or_a_prepayment_and_of_no_other() {
    let shop = Shop::open("2026-03-01T10:00:00Z", "pm_card_visa").await;
    let paid = shop.paid(json!({})).await;
    let set =
        async |input: Value| shop.life.customer.refusal("setAutoRenewal", "SetAutoRenewalInput", input).await;
    let refused = set(json!({ "autoRenewal": true })).await;
    assert_eq!(refused, ("REQUIRED".to_owned(), "input.orderId".to_owned()));
    let refused = set(json!({ "orderId": "ord_x", "prepaymentId": paid["id"], "autoRenewal": true })).await;
    assert_eq!(refused, ("INVALID".to_owned(), "input.prepaymentId".to_owned()));
    shop.life.advance("2026-03-09T10:00:00Z").await;
    let refused = set(json!({ "prepaymentId": paid["id"], "autoRenewal": true })).await;
    assert_eq!(refused, ("CONFLICT".to_owned(), "input.prepaymentId".to_owned()), "it was given back");
}
