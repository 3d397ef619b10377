//! What happens at Stripe beside the server: disputes, refunds in Stripe's own pages, charges that are not known here. Whatever has
//! happened is booked, once.

use abacus::clock::{Clock, wall};
use abacus::payments::StripeConfig;
use hmac::{Hmac, Mac};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::fake_stripe::FakeStripe;
use crate::support::life::at;
use crate::support::{Client, TestServer};

const SECRET: &str = "whsec_of_the_tests";

/// A server that charges cards by the stand-in, with one customer in US dollars who has a card.
struct Shop {
    stripe: FakeStripe,
    server: TestServer,
    operator: Client,
    customer: Client,
    account: String,
    card: Value,
}

impl Shop {
    async fn open() -> Self {
        let stripe = FakeStripe::start().await;
        let url = stripe.url.clone();
        let server = TestServer::with(|config| {
            config.stripe = Some(StripeConfig { url, ..StripeConfig::of_key("sk_test_12345") });
            config.stripe_webhook_secrets = vec![SECRET.to_owned()];
            config.clock = Clock::standing_at(at("2026-03-01T10:00:00Z"));
        })
        .await;
        let input = json!({ "namespace": "tenant", "name": "Tenant", "currency": "USD" });
        let account = server.account_from(input, "0").await;
        let (operator, customer) = (server.operator(), server.customer("tenant"));
        let input = json!({ "providerToken": "pm_visa" });
        let added =
            customer.mutate("addPaymentMethod", "AddPaymentMethodInput", input, "paymentMethod { id }").await;
        Self { stripe, server, operator, customer, account, card: added["paymentMethod"]["id"].clone() }
    }

    /// Puts money on the balance by card; answers the transaction and Stripe's name for the charge.
    async fn recharge(&self, amount: &str) -> (Value, String) {
        let input = json!({ "amount": amount, "paymentMethodId": self.card, "idempotencyKey": key() });
        let made = self.customer.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
        (made["transaction"]["id"].clone(), self.stripe.last_intent())
    }

    /// 50 that were recharged and spent.
    async fn recharged_and_spent(&self) -> (Value, String) {
        let made = self.recharge("50").await;
        self.adjust("-50").await;
        made
    }

    async fn adjust(&self, amount: &str) {
        let input = json!({ "accountId": self.account, "amount": amount, "reason": "spent", "idempotencyKey": key() });
        self.operator.mutate("adjustBalance", "AdjustBalanceInput", input, "transaction { id }").await;
    }

    async fn refund(&self, transaction: &Value, amount: &str) -> Result<Value, Value> {
        let input =
            json!({ "transactionId": transaction, "amount": amount, "reason": "r", "idempotencyKey": key() });
        let done = self.operator.payload("refund", "RefundInput", input, "refund { id }").await;
        match done["userErrors"][0].clone() {
            Value::Null => Ok(done["refund"]["id"].clone()),
            error => Err(error["code"].clone()),
        }
    }

    async fn tell(&self, event: &str, object: &Value) -> StatusCode {
        let data = json!({ "object": object });
        let body = json!({ "id": key(), "type": event, "created": 1, "data": data }).to_string();
        let now = wall().timestamp();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(format!("{now}.{body}").as_bytes());
        let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let request =
            reqwest::Client::new().post(format!("{}/webhooks/stripe", self.server.url())).body(body);
        let answer = request.header("stripe-signature", format!("t={now},v1={digest}")).send().await.unwrap();
        answer.status()
    }

    /// Tells, as Stripe does, that something has become of a thing of its.
    async fn told(&self, event: &str, name: &str) {
        assert_eq!(self.tell(event, &self.stripe.thing(name)).await, StatusCode::OK, "{event}");
    }

    async fn told_of_dispute(&self, event: &str, dispute: &str) {
        self.told(&format!("charge.dispute.{event}"), dispute).await;
    }

    /// The balance, and what the account may do.
    async fn account(&self) -> (String, String) {
        let data = self.customer.data("{ account { balance { amount } status } }").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&data["account"]["balance"]["amount"]), text(&data["account"]["status"]))
    }

    /// Kinds, directions and amounts, newest first, of all but what was spent.
    async fn moved(&self) -> Vec<String> {
        let query =
            "{ transactions(first: 100) { nodes { kind status direction description amount { amount } } } }";
        let data = self.customer.data(query).await;
        let nodes = data["transactions"]["nodes"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let line = |t: &Value| {
            format!(
                "{} {} {} {}",
                text(&t["kind"]),
                text(&t["direction"]),
                text(&t["amount"]["amount"]),
                text(&t["status"])
            )
        };
        nodes.iter().filter(|node| node["description"] != "spent").map(line).collect()
    }

    async fn refunded(&self, transaction: &Value) -> (Value, Value) {
        let query =
            format!("{{ node(id: {transaction}) {{ ...on Transaction {{ refundedAmount status }} }} }}");
        let node = self.customer.data(&query).await["node"].clone();
        (node["refundedAmount"].clone(), node["status"].clone())
    }

    /// What operators are told of, newest first.
    async fn notices(&self) -> Vec<String> {
        let query = format!("{{ account(id: \"{}\") {{ notices {{ kind }} }} }}", self.account);
        let data = self.operator.data(&query).await;
        let kind = |notice: &Value| notice["kind"].as_str().unwrap().to_owned();
        data["account"]["notices"].as_array().unwrap().iter().map(kind).collect()
    }

    async fn unmatched(&self) -> Value {
        let query = "{ unmatchedPayments { provider reference kind paymentId account { id } amount { amount currency } status why } }";
        self.operator.data(query).await["unmatchedPayments"].clone()
    }

    async fn advance(&self, to: &str) -> Value {
        let input = json!({ "to": to });
        let moved = self
            .operator
            .mutate("advanceClock", "AdvanceClockInput", input, "jobs { kind ran failed }")
            .await;
        moved["jobs"].clone()
    }

    /// A prepayment of 7 USD that is bound to an app.
    async fn prepaid(&self) -> Value {
        let app = json!({ "clusterId": "c", "chartName": "wordpress", "cpuLimit": 1000, "memLimit": 0, "storageLimit": 0,
            "asset": "USD" });
        let with = |more: Value| {
            let mut input = app.clone();
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        let quoted = self
            .customer
            .mutate("quotePrepay", "QuotePrepayInput", with(json!({ "period": 1 })), "quote { id }")
            .await;
        let input = json!({ "quoteId": quoted["quote"]["id"], "amount": "7", "paymentMethodId": self.card,
            "autoRenewal": true, "idempotencyKey": key() });
        let fields = "prepayment { id transaction { id } }";
        let paid = self.customer.mutate("prepay", "PrepayInput", input, fields).await["prepayment"].clone();
        let bound = with(
            json!({ "prepaymentId": paid["id"], "appId": "app-1", "iconUrl": "https://example.com/i.png",
            "projectName": "Blog" }),
        );
        self.customer.mutate("bindApp", "BindAppInput", bound, "prepayment { id }").await;
        paid
    }

    async fn prepayment(&self, paid: &Value) -> String {
        let query = format!("{{ node(id: {}) {{ ...on Prepayment {{ status }} }} }}", paid["id"]);
        self.customer.data(&query).await["node"]["status"].as_str().unwrap().to_owned()
    }
}

fn key() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn now(balance: &str, status: &str) -> (String, String) {
    (balance.to_owned(), status.to_owned())
}

#[tokio::test]
async fn a_dispute_is_a_forced_debit_that_names_the_recharge_and_is_credited_when_it_is_won() {
    let shop = Shop::open().await;
    let (recharge, intent) = shop.recharged_and_spent().await;
    let dispute = shop.stripe.dispute(&intent, 5000, "needs_response");
    shop.told_of_dispute("created", &dispute).await;
    assert_eq!(shop.account().await, now("0.00", "ACTIVE"), "nothing has been withdrawn");
    assert_eq!(shop.notices().await, ["PAYMENT_DISPUTED"]);

    shop.stripe.advance(&dispute, "needs_response", &[-5000]);
    for _ in 0..2 {
        shop.told_of_dispute("funds_withdrawn", &dispute).await;
        shop.told_of_dispute("updated", &dispute).await;
        assert_eq!(shop.account().await, now("-50.00", "SUSPENDED"));
    }
    assert_eq!(shop.moved().await, ["REFUND DEBIT 50.00 FINISHED", "RECHARGE CREDIT 50.00 REFUNDED"]);
    let query = "{ transactions(filter: { kind: REFUND }) { nodes { description refundOf { id } } } }";
    let named = shop.customer.data(query).await["transactions"]["nodes"][0].clone();
    assert_eq!(named, json!({ "description": format!("Dispute {dispute}"), "refundOf": { "id": recharge } }));
    assert_eq!(shop.notices().await, ["ACCOUNT_SUSPENDED", "PAYMENT_DISPUTED"]);
    let told = shop.customer.data("{ account { notices { kind } } }").await;
    assert_eq!(
        told["account"]["notices"],
        json!([{ "kind": "ACCOUNT_SUSPENDED" }]),
        "the rest is for operators"
    );
    shop.adjust("60").await;
    assert_eq!(
        shop.refund(&recharge, "1").await,
        Err(json!("LIMIT_EXCEEDED")),
        "it cannot be given back on top"
    );

    shop.stripe.advance(&dispute, "won", &[5000]);
    for event in ["closed", "funds_reinstated", "closed"] {
        shop.told_of_dispute(event, &dispute).await;
        assert_eq!(shop.account().await, now("60.00", "ACTIVE"));
    }
    assert_eq!(shop.refunded(&recharge).await, (json!("0.00"), json!("FINISHED")));
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_dispute_that_is_won_lifts_the_suspension() {
    let shop = Shop::open().await;
    let (_, intent) = shop.recharged_and_spent().await;
    let dispute = shop.stripe.dispute(&intent, 5000, "needs_response");
    shop.stripe.advance(&dispute, "under_review", &[-5000]);
    shop.told_of_dispute("funds_withdrawn", &dispute).await;
    assert_eq!(shop.account().await, now("-50.00", "SUSPENDED"));
    shop.stripe.advance(&dispute, "won", &[5000]);
    shop.told_of_dispute("funds_reinstated", &dispute).await;
    assert_eq!(shop.account().await, now("0.00", "ACTIVE"));
}

#[tokio::test]
async fn events_of_a_dispute_come_to_the_same_in_any_order() {
    for (last, balance) in [("lost", "-50.00"), ("won", "0.00")] {
        let shop = Shop::open().await;
        let (_, intent) = shop.recharged_and_spent().await;
        let dispute = shop.stripe.dispute(&intent, 5000, "needs_response");
        shop.stripe.advance(&dispute, last, if last == "won" { &[-5000, 5000] } else { &[-5000] });
        for event in ["closed", "funds_reinstated", "created", "funds_withdrawn", "updated", "created"] {
            shop.told_of_dispute(event, &dispute).await;
            assert_eq!(shop.account().await.0, balance, "{event}");
        }
        shop.server.assert_ledger_is_healthy().await;
    }
}

#[tokio::test]
async fn an_inquiry_takes_nothing() {
    let shop = Shop::open().await;
    let (_, intent) = shop.recharged_and_spent().await;
    let dispute = shop.stripe.dispute(&intent, 5000, "warning_needs_response");
    shop.told_of_dispute("created", &dispute).await;
    shop.stripe.advance(&dispute, "warning_closed", &[]);
    shop.told_of_dispute("closed", &dispute).await;
    assert_eq!(shop.account().await, now("0.00", "ACTIVE"));
}

#[tokio::test]
async fn disputes_of_parts_are_booked_each_and_never_come_to_more_than_the_charge() {
    let shop = Shop::open().await;
    let (recharge, intent) = shop.recharged_and_spent().await;
    let first = shop.stripe.dispute(&intent, 2000, "needs_response");
    let second = shop.stripe.dispute(&intent, 1000, "needs_response");
    shop.stripe.advance(&first, "needs_response", &[-2000]);
    shop.stripe.advance(&second, "lost", &[-1000]);
    for dispute in [&second, &first, &second] {
        shop.told_of_dispute("funds_withdrawn", dispute).await;
    }
    assert_eq!(shop.account().await, now("-30.00", "SUSPENDED"));
    assert_eq!(shop.refunded(&recharge).await, (json!("30.00"), json!("FINISHED")));
    shop.stripe.advance(&first, "won", &[2000]);
    shop.told_of_dispute("closed", &first).await;
    assert_eq!(shop.account().await, now("-10.00", "SUSPENDED"));
    assert_eq!(shop.refunded(&recharge).await, (json!("10.00"), json!("FINISHED")));
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_dispute_of_what_was_refunded_is_booked_and_counts_no_more_than_the_charge() {
    let shop = Shop::open().await;
    let (recharge, intent) = shop.recharge("50").await;
    shop.refund(&recharge, "30").await.unwrap();
    assert_eq!(shop.account().await, now("20.00", "ACTIVE"));
    let dispute = shop.stripe.dispute(&intent, 5000, "needs_response");
    shop.stripe.advance(&dispute, "needs_response", &[-5000]);
    shop.told_of_dispute("funds_withdrawn", &dispute).await;
    // 50 came in, and 80 went out.
    assert_eq!(shop.account().await, now("-30.00", "SUSPENDED"));
    assert_eq!(shop.refunded(&recharge).await, (json!("50.00"), json!("REFUNDED")));
    shop.stripe.advance(&dispute, "won", &[5000]);
    shop.told_of_dispute("funds_reinstated", &dispute).await;
    assert_eq!(shop.account().await, now("20.00", "ACTIVE"));
    assert_eq!(shop.refunded(&recharge).await, (json!("30.00"), json!("FINISHED")));
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_dispute_of_a_prepayment_is_beside_the_balance_and_ends_it_until_it_is_won() {
    let shop = Shop::open().await;
    let paid = shop.prepaid().await;
    let intent = shop.stripe.last_intent();
    let dispute = shop.stripe.dispute(&intent, 700, "needs_response");
    shop.stripe.advance(&dispute, "needs_response", &[-700]);
    for _ in 0..2 {
        shop.told_of_dispute("funds_withdrawn", &dispute).await;
        assert_eq!(shop.prepayment(&paid).await, "REFUNDED");
        assert_eq!(shop.account().await, now("0.00", "ACTIVE"));
    }
    assert_eq!(shop.moved().await, ["REFUND DEBIT 7.00 FINISHED", "PREPAYMENT DEBIT 7.00 REFUNDED"]);
    shop.stripe.advance(&dispute, "won", &[700]);
    for _ in 0..2 {
        shop.told_of_dispute("funds_reinstated", &dispute).await;
        assert_eq!(shop.prepayment(&paid).await, "BOUND");
    }
    assert_eq!(shop.refunded(&paid["transaction"]["id"]).await, (json!("0.00"), json!("FINISHED")));
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_dispute_of_part_of_a_prepayment_leaves_it_running() {
    let shop = Shop::open().await;
    let paid = shop.prepaid().await;
    let dispute = shop.stripe.dispute(&shop.stripe.last_intent(), 200, "needs_response");
    shop.stripe.advance(&dispute, "lost", &[-200]);
    shop.told_of_dispute("closed", &dispute).await;
    assert_eq!(shop.prepayment(&paid).await, "BOUND");
    assert_eq!(shop.refunded(&paid["transaction"]["id"]).await, (json!("2.00"), json!("FINISHED")));
}

#[tokio::test]
async fn a_refund_made_in_stripes_own_pages_is_booked_once_and_put_back_where_it_fails() {
    let shop = Shop::open().await;
    let (recharge, intent) = shop.recharged_and_spent().await;
    let refund = shop.stripe.refund(&intent, 2000, "succeeded");
    let charge = shop.stripe.thing(&intent)["latest_charge"].as_str().unwrap().to_owned();
    for (event, name) in
        [("charge.refunded", &charge), ("refund.created", &refund), ("charge.refund.updated", &refund)]
    {
        shop.told(event, name).await;
        assert_eq!(shop.account().await, now("-20.00", "SUSPENDED"), "{event}");
    }
    assert_eq!(shop.moved().await, ["REFUND DEBIT 20.00 FINISHED", "RECHARGE CREDIT 50.00 FINISHED"]);
    assert_eq!(shop.refunded(&recharge).await, (json!("20.00"), json!("FINISHED")));

    shop.stripe.change(&refund, |refund| refund["status"] = json!("failed"));
    for event in ["refund.failed", "refund.updated"] {
        shop.told(event, &refund).await;
        assert_eq!(shop.account().await, now("0.00", "ACTIVE"), "{event}");
    }
    assert_eq!(shop.refunded(&recharge).await, (json!("0.00"), json!("FINISHED")));
    // One that had failed before anybody told of it is nothing.
    let other = shop.stripe.refund(&intent, 1000, "failed");
    shop.told("refund.created", &other).await;
    assert_eq!(shop.account().await, now("0.00", "ACTIVE"));
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_refund_of_this_servers_own_is_not_booked_as_one_of_stripes() {
    let shop = Shop::open().await;
    let (recharge, intent) = shop.recharge("50").await;
    shop.refund(&recharge, "20").await.unwrap();
    let charge = shop.stripe.thing(&intent)["latest_charge"].as_str().unwrap().to_owned();
    shop.told("charge.refunded", &charge).await;
    assert_eq!(shop.account().await, now("30.00", "ACTIVE"));
    assert_eq!(shop.moved().await, ["REFUND DEBIT 20.00 FINISHED", "RECHARGE CREDIT 50.00 FINISHED"]);
}

#[tokio::test]
async fn what_happens_to_a_closed_account_is_booked_and_it_stays_closed() {
    let shop = Shop::open().await;
    let (_, intent) = shop.recharged_and_spent().await;
    let close = "UPDATE accounts SET status = 'CLOSED', closed_at = now() WHERE namespace = 'tenant'";
    shop.server.make_accounts_so(close).await;
    let dispute = shop.stripe.dispute(&intent, 5000, "needs_response");
    shop.stripe.advance(&dispute, "lost", &[-5000]);
    shop.told_of_dispute("closed", &dispute).await;
    assert_eq!(shop.account().await, now("-50.00", "CLOSED"));
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_stripe_cannot_be_asked_about_is_to_be_sent_again() {
    let shop = Shop::open().await;
    let (_, intent) = shop.recharged_and_spent().await;
    let dispute = shop.stripe.dispute(&intent, 5000, "needs_response");
    shop.stripe.advance(&dispute, "lost", &[-5000]);
    let told = shop.stripe.thing(&dispute);
    shop.stripe.set_down(true);
    let answer = shop.tell("charge.dispute.closed", &told).await;
    assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(shop.account().await, now("0.00", "ACTIVE"));
    shop.stripe.set_down(false);
    shop.told_of_dispute("closed", &dispute).await;
    assert_eq!(shop.account().await, now("-50.00", "SUSPENDED"));
}

/// The id of a payment of an account that a restored database does not know.
fn unknown_payment(account: &str) -> String {
    let number = account.trim_start_matches("acc_").parse().unwrap();
    let mint = &mut abacus::domain::ids::IdMint::new(
        abacus::domain::ids::AccountId(number),
        at("2026-02-01T00:00:00Z"),
        7_000,
        false,
    );
    abacus::domain::ids::PaymentId(mint.next_id().unwrap()).to_string()
}

#[tokio::test]
async fn a_charge_that_is_not_known_here_is_kept_and_told_once_and_answered_503_until_it_is() {
    let shop = Shop::open().await;
    let payment = unknown_payment(&shop.account);
    let intent = shop.stripe.charged_elsewhere(&payment, 1234);
    let told = shop.stripe.thing(&intent);
    shop.stripe.set_down(true);
    assert_eq!(shop.tell("payment_intent.succeeded", &told).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(shop.unmatched().await, json!([]));
    shop.stripe.set_down(false);
    for _ in 0..2 {
        shop.told("payment_intent.succeeded", &intent).await;
        let kept = json!([{ "provider": "stripe", "reference": intent, "kind": "CHARGE", "paymentId": payment,
            "account": { "id": shop.account }, "amount": { "amount": "12.34", "currency": "USD" },
            "status": "succeeded", "why": "it is not known here" }]);
        assert_eq!(shop.unmatched().await, kept);
        assert_eq!(shop.notices().await, ["PAYMENT_UNMATCHED"]);
    }
    let told = shop.customer.data("{ account { notices { kind } } }").await;
    assert_eq!(told["account"]["notices"], json!([]), "it is for operators");
    assert_eq!(shop.account().await, now("0.00", "ACTIVE"));

    // A dispute and a refund of it are kept as well.
    let dispute = shop.stripe.dispute(&intent, 1234, "needs_response");
    shop.told_of_dispute("created", &dispute).await;
    let refund = shop.stripe.refund(&intent, 100, "succeeded");
    shop.told("refund.created", &refund).await;
    let kept = shop.unmatched().await;
    let mut kinds: Vec<&str> =
        kept.as_array().unwrap().iter().map(|kept| kept["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["CHARGE", "DISPUTE", "REFUND"]);
}

#[tokio::test]
async fn a_charge_of_an_account_that_is_not_known_either_is_kept() {
    let shop = Shop::open().await;
    let payment = unknown_payment("acc_4000000");
    let intent = shop.stripe.charged_elsewhere(&payment, 100);
    shop.told("payment_intent.succeeded", &intent).await;
    let kept = shop.unmatched().await;
    assert_eq!((&kept[0]["reference"], &kept[0]["account"]), (&json!(intent), &json!(null)));
    // One that moves no money, and what bears no id of ours, are nobody's business.
    let canceled = json!({ "id": "pi_9", "status": "canceled", "amount": 5, "currency": "usd",
        "metadata": { "abacus_payment": unknown_payment(&shop.account) } });
    assert_eq!(shop.tell("payment_intent.canceled", &canceled).await, StatusCode::OK);
    let foreign = shop.stripe.charged_elsewhere("something else", 100);
    shop.told("payment_intent.succeeded", &foreign).await;
    let dispute = shop.stripe.dispute(&foreign, 100, "needs_response");
    shop.told_of_dispute("created", &dispute).await;
    assert_eq!(shop.unmatched().await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_night_books_what_no_event_told_of_and_tells_once_what_differs() {
    let shop = Shop::open().await;
    let (recharge, intent) = shop.recharged_and_spent().await;
    let (_, other) = shop.recharge("30").await;
    shop.advance("2026-03-02T03:00:00Z").await;
    assert_eq!(shop.unmatched().await, json!([]), "all is alike");

    // A dispute and a refund that nobody told of, a charge that is not known here, and one that Stripe does not know.
    let dispute = shop.stripe.dispute(&intent, 5000, "needs_response");
    shop.stripe.advance(&dispute, "needs_response", &[-5000]);
    shop.stripe.refund(&other, 1000, "succeeded");
    let payment = unknown_payment(&shop.account);
    let unknown = shop.stripe.charged_elsewhere(&payment, 999);
    let (_, lost) = shop.recharge("5").await;
    shop.stripe.forget(&lost);
    let charge = shop.stripe.thing(&unknown)["latest_charge"].clone();
    assert!(charge.is_string());
    let jobs = shop.advance("2026-03-03T03:00:00Z").await;
    for (kind, ran) in [("RECONCILIATION", 1), ("REVERSAL", 2)] {
        let expected = json!({ "kind": kind, "ran": ran, "failed": 0 });
        assert!(jobs.as_array().unwrap().contains(&expected), "{jobs}");
    }
    assert_eq!(shop.account().await, now("-25.00", "SUSPENDED"));
    assert_eq!(shop.refunded(&recharge).await, (json!("50.00"), json!("REFUNDED")));
    let kept = shop.unmatched().await;
    let mut named: Vec<(&str, &str)> = kept
        .as_array()
        .unwrap()
        .iter()
        .map(|kept| (kept["reference"].as_str().unwrap(), kept["why"].as_str().unwrap()))
        .collect();
    named.sort_unstable();
    let mut expected = [
        (unknown.as_str(), "it is not known here"),
        (lost.as_str(), "it has succeeded here, and is not there"),
    ];
    expected.sort_unstable();
    assert_eq!(named, expected);
    let notices = shop.notices().await;

    // What is still open is looked at, and what was told is not told again.
    shop.stripe.advance(&dispute, "won", &[5000]);
    shop.advance("2026-03-05T03:00:00Z").await;
    assert_eq!(shop.account().await, now("25.00", "ACTIVE"));
    assert_eq!((shop.notices().await, shop.unmatched().await), (notices, kept));
    shop.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_night_that_fails_is_made_up_by_the_next() {
    let shop = Shop::open().await;
    let (_, intent) = shop.recharged_and_spent().await;
    let dispute = shop.stripe.dispute(&intent, 5000, "needs_response");
    shop.stripe.advance(&dispute, "lost", &[-5000]);
    shop.stripe.set_down(true);
    let jobs = shop.advance("2026-03-02T03:00:00Z").await;
    assert!(
        jobs.as_array().unwrap().contains(&json!({ "kind": "RECONCILIATION", "ran": 0, "failed": 1 })),
        "{jobs}"
    );
    shop.stripe.set_down(false);
    shop.advance("2026-03-03T03:00:00Z").await;
    assert_eq!(shop.account().await, now("-50.00", "SUSPENDED"));
}

#[tokio::test]
async fn an_amount_that_is_otherwise_at_stripe_is_told() {
    let shop = Shop::open().await;
    let (_, intent) = shop.recharge("50").await;
    let charge = shop.stripe.thing(&intent)["latest_charge"].as_str().unwrap().to_owned();
    for name in [&intent, &charge] {
        shop.stripe.change(name, |thing| thing["amount"] = json!(4000));
    }
    shop.advance("2026-03-02T03:00:00Z").await;
    let kept = shop.unmatched().await;
    assert_eq!(
        (&kept[0]["reference"], &kept[0]["why"]),
        (&json!(intent), &json!("it is 50 USD in the ledger"))
    );
}
