//! A small stand-in for Stripe in the test's own process, for what localstripe does not know: disputes, refunds made in Stripe's own
//! pages, and what all of that moves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use reqwest::Url;
use serde_json::{Value, json};

/// A running one; it ends with the test.
#[derive(Clone)]
pub struct FakeStripe {
    pub url: String,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By their names; in the order in which they were made.
    things: Mutex<Vec<Value>>,
    /// Newest last: (name, source, amount).
    moved: Mutex<Vec<(String, String, i64)>>,
    /// Answers nothing but errors.
    down: AtomicBool,
}

impl FakeStripe {
    pub async fn start() -> Self {
        let kept = Arc::new(Kept::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&kept));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, kept }
    }

    pub fn set_down(&self, down: bool) {
        self.kept.down.store(down, Ordering::SeqCst);
    }

    pub fn thing(&self, name: &str) -> Value {
        self.kept.thing(name).expect("such a thing")
    }

    /// The newest payment intent's name.
    pub fn last_intent(&self) -> String {
        let things = self.kept.things.lock().unwrap();
        let last = things.iter().rev().find(|thing| thing["id"].as_str().unwrap().starts_with("pi_"));
        last.expect("a payment intent")["id"].as_str().unwrap().to_owned()
    }

    /// A payment intent that succeeded, made by some other server with our metadata.
    pub fn charged_elsewhere(&self, payment: &str, amount: i64) -> String {
        self.kept.charge(amount, "usd", payment)
    }

    /// A dispute of a charge, as it is opened; answers its name.
    pub fn dispute(&self, intent: &str, amount: i64, status: &str) -> String {
        let charge = self.thing(intent)["latest_charge"].clone();
        let currency = self.thing(intent)["currency"].clone();
        self.kept.keep(
            "dp",
            json!({ "object": "dispute", "amount": amount, "currency": currency, "status": status,
            "charge": charge, "payment_intent": intent, "balance_transactions": [], "metadata": {} }),
        )
    }

    /// What becomes of a dispute: its status, and what moves by it.
    pub fn advance(&self, dispute: &str, status: &str, moved: &[i64]) {
        for amount in moved {
            let transaction = self.kept.moved(dispute, *amount);
            self.change(dispute, |dispute| {
                dispute["balance_transactions"].as_array_mut().unwrap().push(transaction.clone());
            });
        }
        self.change(dispute, |dispute| dispute["status"] = json!(status));
    }

    /// A refund made in Stripe's own pages; answers its name.
    pub fn refund(&self, intent: &str, amount: i64, status: &str) -> String {
        self.kept.refund(intent, amount, status, json!({}))
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut things = self.kept.things.lock().unwrap();
        change(things.iter_mut().find(|thing| thing["id"] == *name).expect("such a thing"));
    }

    /// Forgets a payment intent, with its charge, and that it moved anything.
    pub fn forget(&self, intent: &str) {
        let charge = self.thing(intent)["latest_charge"].clone();
        self.kept.things.lock().unwrap().retain(|thing| thing["id"] != *intent && thing["id"] != charge);
        self.kept.moved.lock().unwrap().retain(|(_, source, _)| json!(source) != charge);
    }
}

impl Kept {
    fn thing(&self, name: &str) -> Option<Value> {
        self.things.lock().unwrap().iter().find(|thing| thing["id"] == *name).cloned()
    }

    fn keep(&self, prefix: &str, mut thing: Value) -> String {
        let mut things = self.things.lock().unwrap();
        let name = format!("{prefix}_{}", uuid::Uuid::new_v4().simple());
        thing["id"] = json!(name);
        things.push(thing);
        name
    }

    fn moved(&self, source: &str, amount: i64) -> Value {
        let mut moved = self.moved.lock().unwrap();
        let name = format!("txn_{}", moved.last().map_or(1, |(last, ..)| number(last) + 1));
        moved.push((name.clone(), source.to_owned(), amount));
        json!({ "id": name, "amount": amount, "source": source })
    }

    fn charge(&self, amount: i64, currency: &str, payment: &str) -> String {
        let metadata = json!({ "abacus_payment": payment });
        let intent = self.keep(
            "pi",
            json!({ "object": "payment_intent", "amount": amount, "currency": currency,
            "status": "succeeded", "metadata": metadata }),
        );
        let charge = self.keep(
            "ch",
            json!({ "object": "charge", "amount": amount, "currency": currency,
            "status": "succeeded", "metadata": metadata, "payment_intent": intent }),
        );
        self.moved(&charge, amount);
        let mut things = self.things.lock().unwrap();
        let held = things.iter_mut().find(|thing| thing["id"] == *intent).unwrap();
        held["latest_charge"] = json!(charge);
        intent
    }

    fn refund(&self, intent: &str, amount: i64, status: &str, metadata: Value) -> String {
        let of = self.thing(intent).expect("a payment intent");
        let refund = self.keep("re", json!({ "object": "refund", "amount": amount, "currency": of["currency"],
            "status": status, "charge": of["latest_charge"], "payment_intent": intent, "metadata": metadata }));
        self.moved(&refund, -amount);
        refund
    }

    /// A page of what has moved, newest first.
    fn movements(&self, query: &HashMap<String, String>) -> Value {
        let moved = self.moved.lock().unwrap();
        let mut all: Vec<_> = moved.iter().rev().collect();
        if let Some(after) = query.get("starting_after") {
            let place = all.iter().position(|(name, ..)| name == after).unwrap();
            all.drain(..=place);
        }
        // Small pages, so that there are several.
        let data: Vec<Value> =
            all.iter().take(2).map(|(name, source, amount)| self.movement(name, source, *amount)).collect();
        json!({ "object": "list", "data": data, "has_more": all.len() > 2 })
    }

    /// Every second one shows what it comes from.
    fn movement(&self, name: &str, source: &str, amount: i64) -> Value {
        let shown =
            self.thing(source).filter(|_| number(name).is_multiple_of(2)).unwrap_or_else(|| json!(source));
        json!({ "id": name, "amount": amount, "source": shown, "type": "charge" })
    }
}

fn number(transaction: &str) -> usize {
    transaction.trim_start_matches("txn_").parse().unwrap()
}

fn form(text: &str) -> HashMap<String, String> {
    let url = Url::parse(&format!("http://form/?{text}")).unwrap();
    url.query_pairs().into_owned().collect()
}

async fn answer(State(kept): State<Arc<Kept>>, method: Method, uri: Uri, body: Bytes) -> Response {
    if kept.down.load(Ordering::SeqCst) {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "api_error");
    }
    let query = form(uri.query().unwrap_or_default());
    let given = form(std::str::from_utf8(&body).unwrap());
    let path: Vec<&str> = uri.path().trim_start_matches("/v1/").split('/').collect();
    let found = match (method.as_str(), path.as_slice()) {
        ("POST", ["customers"]) => Some(json!({ "id": "cus_1" })),
        ("POST", ["payment_methods", name, "attach"]) => {
            Some(json!({ "id": name, "customer": "cus_1", "card": {
            "brand": "visa", "last4": "4242", "exp_month": 2, "exp_year": 2032 } }))
        }
        ("POST", ["payment_intents"]) => {
            let payment = &given["metadata[abacus_payment]"];
            let intent = kept.charge(given["amount"].parse().unwrap(), &given["currency"], payment);
            kept.thing(&intent)
        }
        ("POST", ["refunds"]) => {
            let metadata = json!({ "abacus_payment": given["metadata[abacus_payment]"] });
            let amount = given["amount"].parse().unwrap();
            let refund = kept.refund(&given["payment_intent"], amount, "succeeded", metadata);
            kept.thing(&refund)
        }
        ("GET", ["balance_transactions"]) => Some(kept.movements(&query)),
        ("GET", ["refunds"]) => {
            let things = kept.things.lock().unwrap();
            let of_it = |thing: &&Value| {
                thing["object"] == "refund" && thing["payment_intent"] == query["payment_intent"]
            };
            let data: Vec<&Value> = things.iter().rev().filter(of_it).collect();
            Some(json!({ "object": "list", "data": data, "has_more": false }))
        }
        ("GET", [_, name]) => kept.thing(name),
        _ => None,
    };
    match found {
        Some(found) => found.to_string().into_response(),
        None => error(StatusCode::NOT_FOUND, "invalid_request_error"),
    }
}

fn error(status: StatusCode, kind: &str) -> Response {
    (status, json!({ "error": { "type": kind, "message": "no" } }).to_string()).into_response()
}
