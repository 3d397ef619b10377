//! Cards charged by Stripe: against localstripe, where it is installed.

use std::time::Duration;

use abacus::clock::{Clock, wall};
use abacus::payments::StripeConfig;
use abacus::server::{Server, ServerConfig};
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::timeout;

use crate::support::cluster;
use crate::support::localstripe::{KEY, LocalStripe};
use crate::support::process::{Abacus, Folder};
use crate::support::{Client, TestServer};

const SECRET: &str = "whsec_of_the_tests";
const GOOD: &str = "4242424242424242";
const DECLINED: &str = "4000000000000341";
const AUTHENTICATED: &str = "4000002760003184";

/// A server that charges cards by localstripe, with one customer.
struct Shop {
    stripe: LocalStripe,
    server: TestServer,
    customer: Client,
}

impl Shop {
    async fn open() -> Option<Self> {
        let stripe = LocalStripe::start().await?;
        let url = stripe.url.clone();
        let server = TestServer::with(|config| {
            config.stripe = Some(StripeConfig { url, ..StripeConfig::of_key(KEY) });
            config.stripe_webhook_secrets = vec![SECRET.to_owned()];
            config.clock = Clock::sandbox();
        })
        .await;
        server.account("tenant", "0").await;
        let customer = server.customer("tenant");
        Some(Self { stripe, server, customer })
    }

    async fn card(&self, number: &str) -> Value {
        add_card(&self.customer, &self.stripe.card(number).await).await
    }

    /// Lets time pass, with what falls due in it.
    async fn pass(&self, time: TimeDelta) {
        let to = (self.server.server.app.clock.now() + time).to_rfc3339();
        let input = json!({ "to": to });
        self.server.operator().mutate("advanceClock", "AdvanceClockInput", input, "now").await;
    }

    /// Tells the server that something has become of a payment.
    async fn tell(&self, event: &str, intent: &Value) -> StatusCode {
        let body = event_of(event, intent);
        let signed = signature(&body, wall().timestamp(), SECRET);
        self.send(&body, &signed).await
    }

    async fn send(&self, body: &str, signature: &str) -> StatusCode {
        let client = reqwest::Client::new();
        let request = client.post(format!("{}/webhooks/stripe", self.server.url())).body(body.to_owned());
        request.header("stripe-signature", signature).send().await.unwrap().status()
    }
}

fn event_of(event: &str, intent: &Value) -> String {
    let data = json!({ "object": intent });
    json!({ "id": "evt_1", "type": event, "created": wall().timestamp(), "data": data }).to_string()
}

fn signature(body: &str, at: i64, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={digest}")
}

async fn add_card(customer: &Client, token: &str) -> Value {
    let input = json!({ "providerToken": token });
    let added = customer
        .mutate(
            "addPaymentMethod",
            "AddPaymentMethodInput",
            input,
            "paymentMethod { id brand last4 expiresOn }",
        )
        .await;
    added["paymentMethod"].clone()
}

/// An offer of 7 USD.
async fn quote(customer: &Client) -> Value {
    let input = json!({ "asset": "USD", "clusterId": "c", "chartName": "wordpress", "cpuLimit": 1000, "memLimit": 0,
        "storageLimit": 0, "period": 1 });
    customer.mutate("quotePrepay", "QuotePrepayInput", input, "quote { id }").await["quote"]["id"].clone()
}

fn prepay_input(quote: &Value, card: &Value, key: &str) -> Value {
    json!({ "quoteId": quote, "amount": "7", "paymentMethodId": card["id"], "idempotencyKey": key })
}

const PREPAID: &str = "prepayment { id status failure actionUrl transaction { id status refundedAmount } }";

async fn prepay(customer: &Client, card: &Value, key: &str) -> Value {
    let input = prepay_input(&quote(customer).await, card, key);
    customer.payload("prepay", "PrepayInput", input, PREPAID).await
}

async fn held(customer: &Client, key: &str) -> Value {
    let query = format!("{{ idempotentResult(key: \"{key}\") {{ {PREPAID} payment {{ state failure }} }} }}");
    customer.data(&query).await["idempotentResult"].clone()
}

#[tokio::test]
async fn stripe_keeps_charges_and_gives_back_to_a_card() {
    let Some(shop) = Shop::open().await else { return };
    let card = shop.card(GOOD).await;
    assert_eq!((&card["last4"], &card["expiresOn"]), (&json!("4242"), &json!("2032-02-29")));
    let other = shop.card("5555555555554444").await;
    let customers = shop.stripe.all("customers").await;
    assert_eq!(customers.len(), 1, "one account, one customer: {other}");

    let paid = prepay(&shop.customer, &card, "k").await;
    assert_eq!(
        (&paid["userErrors"], &paid["prepayment"]["status"]),
        (&json!([]), &json!("PAID")),
        "{paid:#}"
    );
    let intents = shop.stripe.all("payment_intents").await;
    let [intent] = &intents[..] else { panic!("{intents:#?}") };
    assert_eq!(
        (&intent["amount"], &intent["currency"], &intent["status"]),
        (&json!(700), &json!("usd"), &json!("succeeded"))
    );
    assert!(intent["metadata"]["abacus_payment"].as_str().unwrap().starts_with("pay_"));

    let refund = json!({ "transactionId": paid["prepayment"]["transaction"]["id"], "amount": "2.50", "reason": "r",
        "idempotencyKey": "r" });
    let fields = "refund { status amount { amount } } transaction { refundedAmount }";
    let given_back = shop.server.operator().mutate("refund", "RefundInput", refund, fields).await;
    assert_eq!(given_back["refund"], json!({ "status": "FINISHED", "amount": { "amount": "2.50" } }));
    let refunds = shop.stripe.all("refunds").await;
    assert_eq!((refunds.len(), &refunds[0]["amount"]), (1, &json!(250)));

    let removal = json!({ "paymentMethodId": card["id"] });
    shop.customer
        .mutate("removePaymentMethod", "RemovePaymentMethodInput", removal, "paymentMethod { id }")
        .await;
}

#[tokio::test]
async fn what_stripe_declines_is_told_in_its_words_and_moves_nothing() {
    let Some(shop) = Shop::open().await else { return };
    let refused = json!({ "providerToken": shop.stripe.card("4000000000000002").await });
    let refused = shop.customer.refusal("addPaymentMethod", "AddPaymentMethodInput", refused).await;
    assert_eq!(refused, ("PAYMENT_DECLINED".to_owned(), "input.providerToken".to_owned()));
    let refused = shop
        .customer
        .refusal("addPaymentMethod", "AddPaymentMethodInput", json!({ "providerToken": "pm_nothing" }))
        .await;
    assert_eq!(refused, ("NOT_FOUND".to_owned(), "input.providerToken".to_owned()));

    let card = shop.card(DECLINED).await;
    let declined = prepay(&shop.customer, &card, "k").await;
    assert_eq!(declined["userErrors"][0]["code"], "PAYMENT_DECLINED");
    assert_eq!(
        (&declined["prepayment"]["status"], &declined["prepayment"]["failure"]),
        (&json!("FAILED"), &json!("Your card was declined."))
    );
    let recharge = json!({ "amount": "5", "paymentMethodId": card["id"], "idempotencyKey": "r" });
    let fields = "transaction { id } payment { state } account { balance { amount } }";
    let recharge = shop.customer.payload("recharge", "RechargeInput", recharge, fields).await;
    assert_eq!(
        (&recharge["payment"]["state"], &recharge["account"]["balance"]["amount"]),
        (&json!("FAILED"), &json!("0.00"))
    );
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn events_may_come_twice_late_in_any_order_and_from_nobody_else() {
    let Some(shop) = Shop::open().await else { return };
    let card = shop.card(AUTHENTICATED).await;
    assert_eq!(prepay(&shop.customer, &card, "k").await["prepayment"]["status"], "PROCESSING");
    let intent = shop.stripe.all("payment_intents").await.remove(0);
    assert_eq!(intent["status"], "requires_action");
    // An event says that there is something to look at; what there is, Stripe says.
    assert_eq!(shop.tell("payment_intent.succeeded", &intent).await, StatusCode::OK);
    assert_eq!(held(&shop.customer, "k").await["payment"]["state"], "PROCESSING", "nobody has authenticated");

    let secret = [("client_secret", intent["client_secret"].as_str().unwrap()), ("success", "true")];
    shop.stripe
        .post(&format!("/v1/payment_intents/{}/_authenticate", intent["id"].as_str().unwrap()), &secret)
        .await;
    // Not Stripe's: a wrong secret, a body that was changed, a signature of an hour ago, none at all.
    let body = event_of("payment_intent.succeeded", &intent);
    let now = wall().timestamp();
    let forged = [
        signature(&body, now, "whsec_of_others"),
        signature(&format!("{body} "), now, SECRET),
        signature(&body, now - 3600, SECRET),
        String::new(),
    ];
    for forged in forged {
        assert_eq!(shop.send(&body, &forged).await, StatusCode::BAD_REQUEST, "{forged}");
    }
    assert_eq!(held(&shop.customer, "k").await["payment"]["state"], "PROCESSING");

    // First what was sent last, and everything twice; an event that is an hour late is signed when it is sent.
    let mut late: Value = serde_json::from_str(&body).unwrap();
    late["created"] = json!(now - 3600);
    let late = late.to_string();
    for _ in 0..2 {
        assert_eq!(shop.send(&late, &signature(&late, now, SECRET)).await, StatusCode::OK);
        assert_eq!(shop.tell("payment_intent.requires_action", &intent).await, StatusCode::OK);
        assert_eq!(shop.tell("payment_intent.payment_failed", &intent).await, StatusCode::OK);
        let now = held(&shop.customer, "k").await;
        assert_eq!(
            (&now["payment"]["state"], &now["prepayment"]["status"]),
            (&json!("SUCCEEDED"), &json!("PAID"))
        );
    }
    let data = shop.customer.data("{ transactions { totalCount } }").await;
    assert_eq!(data["transactions"]["totalCount"], 1);
    // Somebody else's payments, and what is of no interest.
    let foreign = json!({ "id": "pi_9", "status": "succeeded", "metadata": { "abacus_payment": "pay_9" } });
    assert_eq!(shop.tell("payment_intent.succeeded", &foreign).await, StatusCode::OK);
    assert_eq!(shop.tell("customer.created", &json!({})).await, StatusCode::OK);
    let nonsense = "{";
    assert_eq!(shop.send(nonsense, &signature(nonsense, now, SECRET)).await, StatusCode::BAD_REQUEST);
}

/// Another server on the database of a shop, for which nobody listens where Stripe is.
async fn server_without_stripe(shop: &Shop) -> TestServer {
    TestServer::on(shop.server.database_url.clone(), |config| {
        config.stripe =
            Some(StripeConfig { url: "http://127.0.0.1:9".to_owned(), ..StripeConfig::of_key(KEY) });
        config.clock = Clock::sandbox();
    })
    .await
}

#[tokio::test]
async fn a_provider_that_is_away_leaves_the_payment_to_the_jobs() {
    let Some(shop) = Shop::open().await else { return };
    let card = shop.card(GOOD).await;
    let without = server_without_stripe(&shop).await;
    let paid = prepay(&without.customer("tenant"), &card, "k").await;
    assert_eq!(
        (&paid["userErrors"], &paid["prepayment"]["status"]),
        (&json!([]), &json!("PROCESSING")),
        "{paid:#}"
    );
    assert_eq!(shop.stripe.all("payment_intents").await.len(), 0);

    shop.pass(TimeDelta::minutes(10)).await;
    let now = held(&shop.customer, "k").await;
    assert_eq!(
        (&now["prepayment"]["status"], &now["payment"]["state"]),
        (&json!("PAID"), &json!("SUCCEEDED")),
        "{now:#}"
    );
    let intents = shop.stripe.all("payment_intents").await;
    assert_eq!((intents.len(), &intents[0]["status"]), (1, &json!("succeeded")), "charged once");
}

#[tokio::test]
async fn a_card_that_nobody_can_look_at_is_not_kept() {
    let Some(shop) = Shop::open().await else { return };
    let without = server_without_stripe(&shop).await;
    let input = json!({ "providerToken": shop.stripe.card(GOOD).await });
    let customer = without.customer("tenant");
    let (_, answer) =
        customer.try_mutate("addPaymentMethod", "AddPaymentMethodInput", input, "paymentMethod { id }").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}");
    let kept = shop.customer.data("{ account { paymentMethods { id } } }").await;
    assert_eq!(kept["account"]["paymentMethods"], json!([]));
}

#[tokio::test]
async fn a_charge_that_nobody_authenticates_is_given_up_and_cancelled_at_stripe() {
    let Some(shop) = Shop::open().await else { return };
    let card = shop.card(AUTHENTICATED).await;
    assert_eq!(prepay(&shop.customer, &card, "k").await["prepayment"]["status"], "PROCESSING");
    shop.pass(TimeDelta::hours(20)).await;
    assert_eq!(held(&shop.customer, "k").await["prepayment"]["status"], "PROCESSING");

    shop.pass(TimeDelta::hours(10)).await;
    let now = held(&shop.customer, "k").await;
    assert_eq!(
        (&now["prepayment"]["status"], &now["payment"]["state"]),
        (&json!("FAILED"), &json!("FAILED")),
        "{now:#}"
    );
    assert_eq!(shop.stripe.all("payment_intents").await[0]["status"], "canceled");
    let notices = shop.customer.data("{ account { notices { kind } } }").await;
    assert_eq!(notices["account"]["notices"], json!([{ "kind": "PAYMENT_FAILED" }]));
    assert_eq!(shop.customer.data("{ transactions { totalCount } }").await["transactions"]["totalCount"], 0);
}

#[tokio::test]
async fn without_a_secret_nobody_is_believed_to_be_stripe() {
    let server = TestServer::start().await;
    let client = reqwest::Client::new();
    let body = event_of("payment_intent.succeeded", &json!({}));
    let signed = signature(&body, wall().timestamp(), SECRET);
    let request = client.post(format!("{}/webhooks/stripe", server.url())).body(body);
    let answer = request.header("stripe-signature", signed).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_sandbox_charges_no_real_cards() {
    let database = cluster::database().await;
    let mut config = ServerConfig::new("127.0.0.1:0".parse().unwrap(), database.clone(), vec![7; 32]);
    config.sandbox = true;
    config.stripe = Some(StripeConfig::of_key("sk_live_12345"));
    let refused = Server::start(config).await.err().expect("a refusal").to_string();
    assert!(refused.contains("test keys of Stripe only"), "{refused}");
    // Nor is a database a sandbox's for ever by that.
    let noted = "SELECT count(*) FROM installation";
    let count: i64 = cluster::connect(&database).await.query_one(noted, &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
}

/// The points of a payment at which a server can die.
const POINTS: [&str; 4] = [
    "payment-before-the-call",
    "payment-after-the-call",
    "payment-before-the-commit",
    "payment-after-the-commit",
];

fn rounds() -> usize {
    if std::env::var_os("ABACUS_TEST_FULL").is_some() { 20 } else { 2 }
}

#[tokio::test]
async fn a_server_that_is_killed_at_any_step_of_a_payment_charges_its_card_once() {
    let Some(stripe) = LocalStripe::start().await else { return };
    let folder = Folder::new();
    let settings = [("ABACUS_STRIPE_KEY", KEY), ("ABACUS_STRIPE_URL", &stripe.url)];
    let server = Abacus::start_with(&folder, &settings).await;
    let card = add_card(&server.customer(), &stripe.card(GOOD).await).await;
    stop(server).await;
    for round in 0..rounds() {
        for point in POINTS {
            let key = format!("{point}-{round}");
            let failing = format!("{point}=return");
            let with_point: Vec<(&str, &str)> =
                settings.iter().copied().chain([("FAILPOINTS", failing.as_str())]).collect();
            let mut server = Abacus::start_with(&folder, &with_point).await;
            let input = prepay_input(&quote(&server.customer()).await, &card, &key);
            let customer = server.customer();
            let asking = customer.send("prepay", "PrepayInput", input.clone(), PREPAID);
            let asked = timeout(Duration::from_secs(60), asking).await.expect("an end");
            assert!(asked.is_err(), "{point}: the server answered {asked:?}");
            server.ended().await;

            let server = Abacus::start_with(&folder, &settings).await;
            let later = (wall_of(&server).await + TimeDelta::minutes(10)).to_rfc3339();
            let advance = json!({ "to": later });
            server.operator().mutate("advanceClock", "AdvanceClockInput", advance, "now").await;
            let now = held(&server.customer(), &key).await;
            assert_eq!(now["prepayment"]["status"], "PAID", "{point}: {now:#}\n{}", folder.log());
            let again = server.customer().payload("prepay", "PrepayInput", input, PREPAID).await;
            assert_eq!(again["prepayment"], now["prepayment"], "{point}");
            stop(server).await;
        }
    }
    let paid = rounds() * POINTS.len();
    let intents = stripe.all("payment_intents").await;
    assert!(intents.iter().all(|intent| intent["status"] == "succeeded"));
    assert_eq!(intents.len(), paid, "charged exactly once each");
    let server = Abacus::start_with(&folder, &settings).await;
    let query = "{ transactions(filter: { kind: PREPAYMENT }) { totalCount } }";
    assert_eq!(server.customer().data(query).await["transactions"]["totalCount"], paid);
    stop(server).await;
}

/// The server's own time.
async fn wall_of(server: &Abacus) -> chrono::DateTime<chrono::Utc> {
    let input = json!({ "asset": "USD", "clusterId": "c", "chartName": "c", "cpuLimit": 1000, "memLimit": 0, "storageLimit": 0,
        "period": 1 });
    let offer =
        server.customer().mutate("quotePrepay", "QuotePrepayInput", input, "quote { expiresAt }").await;
    let expires: chrono::DateTime<chrono::Utc> =
        offer["quote"]["expiresAt"].as_str().unwrap().parse().unwrap();
    expires - TimeDelta::minutes(15)
}

async fn stop(mut server: Abacus) {
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.ended().await;
}
