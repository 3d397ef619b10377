//! A server whose accounts are spread over two databases, the way to the second of which can be cut.

use abacus::domain::cell::CellNumber;
use abacus::server::{CellConfig, ServerConfig};
use serde_json::json;

use super::cluster;
use super::proxy::Proxy;
use super::server::TestServer;

/// The first number of an account that is born in the second cell.
pub const SECOND_BEGINS: i64 = 1 << 31;

pub struct TwoCells {
    pub server: TestServer,
    pub second_url: String,
    /// Before the second.
    pub way: Proxy,
}

/// A cell as servers are told of it.
pub fn cell(number: i64, name: &str, url: &str) -> CellConfig {
    CellConfig {
        number: CellNumber::new(number).expect("a cell's number"),
        name: name.to_owned(),
        database_url: url.to_owned(),
        owner_url: None,
    }
}

/// The same with who owns its schema.
pub fn owned_cell(number: i64, name: &str, url: &str) -> CellConfig {
    CellConfig { owner_url: Some(cluster::owner_url(url)), ..cell(number, name, url) }
}

impl TwoCells {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let (home, second_url) = (cluster::database().await, cluster::database().await);
        let way = Proxy::before(&second_url).await;
        let cells = vec![
            owned_cell(0, "first", &home),
            CellConfig { database_url: way.url.clone(), ..owned_cell(1, "second", &second_url) },
        ];
        let server = TestServer::on(home, |config| {
            config.cells = cells;
            change(config);
        })
        .await;
        Self { server, second_url, way }
    }

    /// The cells by their databases' own addresses, each with who owns it.
    pub fn addresses(&self) -> Vec<CellConfig> {
        vec![owned_cell(0, "first", &self.server.database_url), owned_cell(1, "second", &self.second_url)]
    }

    /// Makes tenants of these names, and answers their ids.
    pub async fn tenants(&self, names: &[&str]) -> Vec<String> {
        let mut ids = Vec::new();
        for name in names {
            ids.push(self.server.account(name, "1000").await);
        }
        ids
    }

    /// A plan that is sold everywhere.
    pub async fn plan(&self, name: &str) -> String {
        let price = json!({ "amount": "10", "currency": "CNY" });
        self.server.plan_from(json!({ "name": name, "region": null, "price": price })).await
    }
}

/// Whether an account was born in the second cell.
pub fn is_of_second(id: &str) -> bool {
    let number = id.strip_prefix("acc_").expect("an account's id");
    number.parse::<i64>().expect("a number") >= SECOND_BEGINS
}
