//! `schemathesis`, which makes queries of a schema, as a process of its own, and a proxy before the server that looks at each answer.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

#[derive(Default)]
pub struct Seen {
    /// Requests with a mutation or a query, but for the look at the schema.
    pub answered: usize,
    /// How many were answered with data and no error.
    pub whole: usize,
    /// Requests with answers that must not be.
    pub wrongs: Vec<String>,
}

struct Watch {
    upstream: String,
    http: reqwest::Client,
    seen: Mutex<Seen>,
}

/// `SCHEMATHESIS`, or what `.ci/run` has installed, or the one on the PATH.
pub fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SCHEMATHESIS") {
        return Some(PathBuf::from(named));
    }
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/schemathesis/bin/schemathesis");
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&on_path).map(|dir| dir.join("schemathesis")).collect::<Vec<_>>();
    std::iter::once(installed).chain(on_path).find(|program| program.is_file())
}

/// Runs it against a server, so many queries for each root field but `except`, and answers what was seen.
pub async fn run(
    program: &Path,
    url: &str,
    token: &str,
    known: &Value,
    each: usize,
    except: &[&str],
) -> Seen {
    let watch =
        Arc::new(Watch { upstream: url.to_owned(), http: reqwest::Client::new(), seen: Mutex::default() });
    let router = Router::new().fallback(pass_on).with_state(Arc::clone(&watch));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let mut command = Command::new(program);
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generated"))
        .env("SCHEMATHESIS_HOOKS", "scalars")
        .env("ABACUS_KNOWN", known.to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["run", &format!("http://{address}/graphql"), "--phases", "fuzzing", "--no-shrink"])
        .args([
            "--max-examples",
            &each.to_string(),
            "--continue-on-failure",
            "--checks",
            "not_a_server_error",
        ])
        .args(["--suppress-health-check", "all", "--generation-database", "none", "--workers", "2"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for name in except {
        command.args(["--exclude-name", name]);
    }
    let output =
        timeout(Duration::from_secs(3_000), command.output()).await.expect("it ends").expect("it starts");
    serving.abort();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // What it takes for a failure are errors of requests that are wrong; those have their codes. What else it says:
    assert!(said.contains("Test cases:"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    if let Some(seed) = said.lines().find(|line| line.starts_with("Seed:")) {
        println!("{seed}");
    }
    std::mem::take(&mut *watch.seen.lock().unwrap())
}

async fn pass_on(
    State(watch): State<Arc<Watch>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asks = method == Method::POST && uri.path() == "/graphql";
    let mut request = watch.http.request(method, format!("{}{uri}", watch.upstream)).body(body.clone());
    for name in ["authorization", "content-type", "accept"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let (status, answer) = match request.send().await {
        Ok(answer) => (answer.status(), answer.bytes().await.unwrap_or_default()),
        Err(error) => (StatusCode::BAD_GATEWAY, Bytes::from(error.to_string())),
    };
    if asks {
        watch.look(&body, status, &answer);
    }
    (status, [("content-type", "application/json")], answer).into_response()
}

impl Watch {
    fn look(&self, request: &[u8], status: StatusCode, answer: &[u8]) {
        let request = String::from_utf8_lossy(request).into_owned();
        if request.contains("__schema") {
            return;
        }
        let read: Value = serde_json::from_slice(answer).unwrap_or_default();
        let errors = read["errors"].as_array().cloned().unwrap_or_default();
        let codes: Vec<&str> =
            errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or("")).collect();
        let is_documented =
            status == StatusCode::SERVICE_UNAVAILABLE && codes.iter().all(|code| !code.is_empty());
        let is_wrong = status.is_server_error() && !is_documented
            || codes.iter().any(|code| ["INTERNAL", ""].contains(code))
            || read.is_null();
        let mut seen = self.seen.lock().unwrap();
        seen.answered += 1;
        seen.whole += usize::from(errors.is_empty() && !read["data"].is_null());
        if is_wrong {
            let answer = String::from_utf8_lossy(answer).into_owned();
            seen.wrongs.push(format!("{request} is answered {status} {answer}"));
        }
    }
}
