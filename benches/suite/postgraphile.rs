//! The same read from PostGraphile on the same tables, if folders are named that have it: benches/postgraphile and
//! benches/postgraphile4, after `npm ci` in each.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, Command};

use super::books::Books;
use super::ground::World;
use super::loads;
use super::measured::Measured;
use super::scenarios::{READ_CONNECTIONS, tell};
use super::support::order_tree::{self, BILLS, ORDERS};
use super::support::purchases::number;
use super::support::{
    HttpClient, Load, free_port, load, median, operator_token, rounds, scatter, until_it_listens,
};
use super::table::{Bar, Row};

/// Its process, which ends with this, and how it is asked.
struct PostGraphile {
    port: u16,
    query: String,
    _child: Child,
}

impl PostGraphile {
    async fn start(folder: &str, database_url: &str) -> Self {
        let query = std::fs::read_to_string(format!("{folder}/query.graphql")).expect("a query");
        let port = free_port();
        let child = Command::new("node")
            .arg("server.mjs")
            .current_dir(folder)
            .env("DATABASE_URL", database_url)
            .env("PORT", port.to_string())
            .env("NODE_ENV", "production")
            .env("GRAPHILE_ENV", "production")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        until_it_listens(port).await;
        Self { port, query, _child: child }
    }

    fn asking(&self) -> impl Fn(u64) -> Vec<u8> + Send + Sync + 'static {
        let query = Value::from(self.query.as_str()).to_string();
        move |account| {
            HttpClient::request("", &format!(r#"{{"query":{query},"variables":{{"id":"{account}"}}}}"#))
        }
    }

    async fn reads(&self, first: u64, count: u64) -> Load {
        let request = self.asking();
        let next = move |_, _| request(first + scatter(number()) % count);
        let check = |answer: &[u8]| order_tree::require_bills(answer, ORDERS * BILLS);
        load(self.port, READ_CONNECTIONS, next, check).await
    }
}

/// What both say of an account, as text that does not depend on how ids and amounts are spelled.
fn said(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    // In chunks, the answer is between their lengths.
    let json = &text[text.find('{').expect("JSON")..=text.rfind('}').expect("JSON")];
    let answer: Value = serde_json::from_str(json).expect("JSON");
    let mut said = String::new();
    let nodes =
        |value: &Value| value["nodes"].as_array().cloned().unwrap_or_else(|| panic!("no list: {value}"));
    let id = |value: &Value| {
        value["id"].as_str().unwrap_or_default().replace('-', "").replace("ord_", "").replace("bil_", "")
    };
    for order in nodes(&answer["data"]["account"]["orders"]) {
        said += &format!("{} {}\n", id(&order), order["state"].as_str().unwrap_or_default());
        for bill in nodes(&order["bills"]) {
            let amount = bill["amount"]["amount"].as_str().or(bill["amount"].as_str()).expect("an amount");
            let amount = amount.trim_end_matches('0').trim_end_matches('.');
            said += &format!("  {} {} {amount}\n", id(&bill), bill["status"].as_str().unwrap_or_default());
        }
    }
    said
}

pub async fn run(world: &World) -> Vec<Row> {
    let Ok(folders) = std::env::var("ABACUS_SUITE_POSTGRAPHILE") else {
        println!(
            "passed over: ABACUS_SUITE_POSTGRAPHILE names no folder (benches/postgraphile, after npm ci)"
        );
        return vec![Row::new(
            "the same to PostGraphile: passed over, as ABACUS_SUITE_POSTGRAPHILE named no folder",
        )];
    };
    let mut rows = Vec::new();
    for folder in folders.split(',') {
        rows.push(next_to(world, folder).await);
    }
    rows
}

/// The version that a folder's lock file has.
fn version(folder: &str) -> String {
    let lock = std::fs::read_to_string(format!("{folder}/package-lock.json")).expect("a lock file");
    let lock: Value = serde_json::from_str(&lock).expect("JSON");
    lock["packages"]["node_modules/postgraphile"]["version"].as_str().expect("a version").to_owned()
}

async fn next_to(world: &World, folder: &str) -> Row {
    let ground = &world.ground;
    let other = PostGraphile::start(folder, &world.cluster.postgres.superuser_url(ground.name)).await;
    let (first, count) = (ground.trees.start, ground.trees.end - ground.trees.start);
    let ours = order_tree::request(&operator_token(), first);
    let ours = said(HttpClient::connect(ground.server.port).await.send(&ours).await);
    let theirs = said(HttpClient::connect(other.port).await.send(&other.asking()(first)).await);
    assert_eq!(ours, theirs, "both say the same of an account");

    let (mut measured, mut ratios) = (Measured::new(), Vec::new());
    for round in 1..=rounds() {
        let reference = other.reads(first, count).await.per_second;
        let books = Books::open(ground).await;
        let rate = measured.run(world, ground, loads::reads(ground, READ_CONNECTIONS)).await;
        tell(round, "reads", rate, reference);
        ratios.push(rate / reference);
        books.close(ground).await;
    }
    let row = measured
        .row(&format!("account → 10 orders → 5 bills, 128 connections, to PostGraphile {}", version(folder)));
    row.held_to(median(ratios), Bar::AtLeast(8.0))
}
