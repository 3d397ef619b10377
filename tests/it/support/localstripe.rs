//! `localstripe`, a stateful stand-in for Stripe, as a process of its own, and a proxy before it that honours idempotency keys as
//! Stripe does, which localstripe does not.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

pub const KEY: &str = "sk_test_12345";
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// Headers that localstripe needs.
const PASSED_ON: [&str; 2] = ["authorization", "content-type"];

/// A running one behind its proxy; both end with the test.
pub struct LocalStripe {
    /// The proxy's.
    pub url: String,
    upstream: String,
    http: reqwest::Client,
    _process: Child,
}

/// `LOCALSTRIPE`, or the one on the PATH.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LOCALSTRIPE") {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("localstripe")).find(|program| program.is_file())
}

impl LocalStripe {
    /// A new one with nothing in it; None, and said so, where it is not installed.
    pub async fn start() -> Option<Self> {
        let Some(program) = program() else {
            println!("passed over: localstripe is neither named by LOCALSTRIPE nor on the PATH");
            return None;
        };
        // It listens on IPv6 and IPv4 at once.
        let port = std::net::TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .args(["--port", &port.to_string(), "--from-scratch"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let upstream = format!("http://127.0.0.1:{port}");
        let url = proxy_to(&upstream).await;
        let local = Self { url, upstream, http: reqwest::Client::new(), _process: process };
        tokio::time::timeout(STARTS_WITHIN, local.answers()).await.expect("localstripe has not started");
        Some(local)
    }

    async fn answers(&self) {
        while self.http.get(format!("{}/v1/balance", self.upstream)).bearer_auth(KEY).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.upstream)).bearer_auth(KEY);
        request.send().await.unwrap().json().await.unwrap()
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let request = self.http.post(format!("{}{path}", self.upstream)).bearer_auth(KEY).form(form);
        let body = request.send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&body).unwrap_or(Value::Null)
    }

    /// Stripe's name for a card, as the page of a customer gets it.
    pub async fn card(&self, number: &str) -> String {
        let form = [
            ("type", "card"),
            ("card[number]", number),
            ("card[exp_month]", "2"),
            ("card[exp_year]", "2032"),
            ("card[cvc]", "123"),
        ];
        self.post("/v1/payment_methods", &form).await["id"].as_str().unwrap().to_owned()
    }

    /// All that there are of `payment_intents` or `refunds`.
    pub async fn all(&self, what: &str) -> Vec<Value> {
        self.get(&format!("/v1/{what}?limit=100")).await["data"].as_array().unwrap().clone()
    }
}

struct Proxy {
    upstream: String,
    http: reqwest::Client,
    asked: Mutex<HashMap<String, Asked>>,
}

/// What was asked under a key, and its answer once there is one.
struct Asked {
    request: (String, Bytes),
    answer: Option<(StatusCode, Bytes)>,
}

async fn proxy_to(upstream: &str) -> String {
    let proxy =
        Proxy { upstream: upstream.to_owned(), http: reqwest::Client::new(), asked: Mutex::default() };
    let router = Router::new().fallback(answer).with_state(Arc::new(proxy));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

type Request = (Method, String, HeaderMap, Bytes);

async fn answer(
    State(proxy): State<Arc<Proxy>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let request = (method, uri.to_string(), headers, body);
    match key {
        // On a task of its own: it goes on when whoever asked is gone.
        Some(key) => tokio::spawn(once(proxy, key, request)).await.unwrap(),
        None => proxy.pass_on(request).await.into_response(),
    }
}

/// The answer to a request with a key: the first one's, ever after.
async fn once(proxy: Arc<Proxy>, key: String, request: Request) -> Response {
    let same = (request.1.clone(), request.3.clone());
    match proxy.asked.lock().unwrap().entry(key.clone()) {
        Entry::Vacant(vacant) => {
            vacant.insert(Asked { request: same, answer: None });
        }
        Entry::Occupied(occupied) if occupied.get().request != same => {
            let message = "Keys can only be used with the same parameters";
            return refusal(StatusCode::BAD_REQUEST, "idempotency_error", message);
        }
        Entry::Occupied(occupied) => {
            return match occupied.get().answer.clone() {
                Some(answer) => ([("idempotent-replayed", "true")], answer).into_response(),
                None => {
                    refusal(StatusCode::CONFLICT, "invalid_request_error", "Another request has this key")
                }
            };
        }
    }
    let answer = proxy.pass_on(request).await;
    let mut asked = proxy.asked.lock().unwrap();
    if answer.0 == StatusCode::BAD_REQUEST {
        // Nothing has been begun: Stripe forgets the key.
        asked.remove(&key);
    } else if let Some(asked) = asked.get_mut(&key) {
        asked.answer = Some(answer.clone());
    }
    answer.into_response()
}

fn refusal(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, json!({ "error": { "type": kind, "message": message } }).to_string()).into_response()
}

impl Proxy {
    async fn pass_on(&self, (method, uri, headers, body): Request) -> (StatusCode, Bytes) {
        let mut request = self.http.request(method, format!("{}{uri}", self.upstream)).body(body);
        for name in PASSED_ON {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        match request.send().await {
            Ok(answer) => (answer.status(), answer.bytes().await.unwrap_or_default()),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string().into()),
        }
    }
}
