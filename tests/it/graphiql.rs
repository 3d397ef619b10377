//! The GraphiQL page: in a real browser against the real server, where there is one.

use std::process::Stdio;
use std::time::Duration;

use abacus::domain::viewer::Role;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::TestServer;
use crate::support::server::token;

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// Of the page's own clock, which runs ahead while nothing loads.
const PAGE_TIME_MILLISECONDS: u32 = 20_000;

fn browser() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).flat_map(|dir| BROWSERS.map(|name| dir.join(name)));
    found.into_iter().find(|file| file.is_file())
}

/// The page as it stands when its scripts have done what they do.
async fn page(browser: &std::path::Path, url: &str) -> String {
    let profile = std::env::temp_dir().join(format!("abacus-browser-{}", uuid::Uuid::new_v4()));
    let running = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--virtual-time-budget={PAGE_TIME_MILLISECONDS}"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(Duration::from_secs(120), running).await.expect("the browser ends").unwrap();
    let _ = std::fs::remove_dir_all(profile);
    String::from_utf8(output.stdout).unwrap()
}

/// The text of the element with that id.
fn text_of<'p>(page: &'p str, id: &str) -> &'p str {
    let element = page.split(&format!("id=\"{id}\"")).nth(1).unwrap_or_default();
    element.split_once('>').map_or("", |(_, rest)| rest.split('<').next().unwrap_or(""))
}

#[tokio::test(flavor = "multi_thread")]
async fn graphiql_in_a_browser_reads_the_schema_with_a_token_and_says_so_without() {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is no Chromium on this machine to open GraphiQL with");
        return;
    };
    let server = TestServer::start().await;
    let token = token(Role::Operator, None, 3_600);
    let without = page(&browser, &format!("{}/graphiql", server.url())).await;
    assert_eq!(text_of(&without, "token-state"), "no token yet");

    let with = page(&browser, &format!("{}/graphiql#token={token}", server.url())).await;
    assert!(text_of(&with, "token-state").starts_with("OPERATOR "), "{}", text_of(&with, "token-state"));
    assert!(!with.contains(&token), "the token stays out of the page's text");
    assert!(with.contains("Checkout, dry run"), "the examples are listed");
    assert!(with.contains("graphiql-query-editor"), "GraphiQL itself is there");

    let refused = page(&browser, &format!("{}/graphiql#token=nonsense", server.url())).await;
    assert!(text_of(&refused, "token-state").starts_with("token refused: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_graphiql_is_a_valid_request() {
    let server = TestServer::start().await;
    server.account("acme", "100").await;
    let plan = server.plan("Plan A", "1").await;
    let prices = "INSERT INTO resources VALUES ('idc_volume', 'Volumes', 'GB', 'IDC', 'LAST');
        INSERT INTO resource_prices (resource_code, currency, level, price, unit, multiplier, effective_from)
        VALUES ('idc_volume', 'CNY', 0, 0.6, 'GB/month', 2592000, '2026-01-01T00:00:00Z')";
    server.sql().await.batch_execute(prices).await.unwrap();
    let examples: Vec<Value> =
        serde_json::from_str(include_str!("../../assets/graphiql/examples.json")).unwrap();
    assert!(examples.len() >= 5);
    for example in examples {
        let title = example["title"].as_str().unwrap();
        let operator = title.to_lowercase().contains("operator");
        let client = if operator { server.operator() } else { server.customer("acme") };
        let mut variables = example["variables"].clone();
        if variables["input"]["planId"].is_string() {
            variables["input"]["planId"] = json!(plan);
        }
        let (status, answer) = client.post(example["query"].as_str().unwrap(), variables).await;
        assert!(status.is_success() && answer["errors"].is_null(), "{title}: {answer}");
    }
}
