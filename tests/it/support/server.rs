//! A server for one test: in this process, on a port of its own, with a database of its own.

use std::sync::Arc;

use abacus::clock::{Clock, wall};
use abacus::domain::ids::AccountId;
use abacus::domain::money::Currencies;
use abacus::domain::viewer::Role;
use abacus::engine::{Engine, EngineConfig};
use abacus::http::token::TokenKey;
use abacus::jobs::{JobContext, LEASE_SECONDS_DEFAULT};
use abacus::payments::Providers;
use abacus::server::{Server, ServerConfig};
use abacus::store::accounts::account_range::Range;
use abacus::store::cells::Cells;
use abacus::store::database::Database;
use abacus::store::seals::seal_what_is_not;
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::client::Client;
use super::cluster;

pub const SECRET: &[u8] = b"the tests' own secret, at least 32 bytes long";

pub struct TestServer {
    pub server: Server,
    pub database_url: String,
}

impl TestServer {
    /// A sandbox server on a new database.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server on a new database, configured by `change`.
    pub async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::on(cluster::database().await, change).await
    }

    /// A server on a database that is there.
    pub async fn on(database_url: String, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config = ServerConfig::new(listen, database_url.clone(), SECRET.to_vec());
        config.sandbox = true;
        // A test that is about them has them run.
        config.run_jobs = false;
        config.connections_max = 4;
        change(&mut config);
        let server = Server::start(config).await.expect("the server starts");
        pretend_shards(server.app.store.home());
        Self { server, database_url }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// A client with this token, or none.
    pub fn client_with(&self, token: Option<String>) -> Client {
        Client::new(self.url(), token)
    }

    pub fn operator(&self) -> Client {
        self.client_with(Some(token(Role::Operator, None, 600)))
    }

    /// An operator of that name, as its token has it.
    pub fn operator_named(&self, subject: &str) -> Client {
        self.client_with(Some(token_of(subject, Role::Operator, None, 600)))
    }

    /// One of the provider's people who only reads.
    pub fn auditor(&self) -> Client {
        self.client_with(Some(token(Role::Auditor, None, 600)))
    }

    pub fn service(&self) -> Client {
        self.client_with(Some(token(Role::Service, None, 600)))
    }

    pub fn customer(&self, namespace: &str) -> Client {
        self.client_with(Some(token(Role::Customer, Some(namespace), 600)))
    }

    /// A connection past the server, of one who may do everything.
    pub async fn sql(&self) -> tokio_postgres::Client {
        cluster::connect(&self.database_url).await
    }

    /// Makes accounts so, past the server, as if that had written them.
    pub async fn make_accounts_so(&self, statements: &str) {
        let statements = format!("{statements}; UPDATE accounts SET seal = NULL");
        let sql = self.sql().await;
        sql.batch_execute(&statements).await.unwrap();
        let database = self.server.app.store.home().clone();
        let all = Range { first: AccountId(1), last: AccountId(i64::MAX) };
        let of = database.clone();
        let sealing = database.write(move |connection| {
            async move { seal_what_is_not(connection, of.topology(), all, of.keys()).await }.boxed()
        });
        sealing.await.unwrap();
    }

    /// Makes an account in CNY with this balance, and answers its id.
    pub async fn account(&self, namespace: &str, balance: &str) -> String {
        self.account_from(json!({ "namespace": namespace, "name": namespace, "currency": "CNY" }), balance)
            .await
    }

    /// Makes an account from the whole of its input.
    pub async fn account_from(&self, input: Value, balance: &str) -> String {
        let operator = self.operator();
        let made = operator.mutate("createAccount", "CreateAccountInput", input, "account { id }").await;
        let id = made["account"]["id"].as_str().expect("an account").to_owned();
        if balance != "0" {
            let input =
                json!({ "accountId": id, "amount": balance, "idempotencyKey": format!("opening:{id}") });
            operator.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
        }
        id
    }

    /// Puts a plan of type "C" on the market in cn-north-1, and answers its id.
    pub async fn plan(&self, name: &str, price: &str) -> String {
        self.plan_from(json!({ "name": name, "price": { "amount": price, "currency": "CNY" } })).await
    }

    /// Puts a plan on the market; what `input` leaves out is as usual.
    pub async fn plan_from(&self, input: Value) -> String {
        let mut whole = json!({ "type": "C", "region": "cn-north-1", "resourceType": "CLOUD", "billPeriod": "MONTH",
            "description": "1 CPU Core, 512M Memory" });
        whole.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
        let made = self.operator().mutate("createPlan", "CreatePlanInput", whole, "plan { id }").await;
        made["plan"]["id"].as_str().expect("a plan").to_owned()
    }

    /// Everything that the database holds, as a digest of each table (but not how far the last check has come, who runs the
    /// jobs, and which keys were refused).
    pub async fn contents(&self) -> Vec<(String, String)> {
        let sql = self.sql().await;
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'
            AND tablename NOT IN ('ledger_check_position', 'leases', 'refused_keys') ORDER BY 1";
        let mut contents = Vec::new();
        for row in sql.query(tables, &[]).await.unwrap() {
            let table: String = row.get(0);
            let digest =
                format!("SELECT coalesce(md5(string_agg(t::text, ';' ORDER BY t::text)), '') FROM {table} t");
            contents.push((table, sql.query_one(&digest, &[]).await.unwrap().get(0)));
        }
        contents
    }

    /// Asserts that nothing has changed since, and that the ledger is in order.
    pub async fn assert_holds_still(&self, contents: &[(String, String)]) {
        assert_eq!(self.contents().await, contents, "something was changed");
        self.assert_ledger_is_healthy().await;
    }

    /// Asserts that the whole ledger is in order, and answers how many entries there are.
    pub async fn assert_ledger_is_healthy(&self) -> i64 {
        let query =
            "{ ledgerHealth { ok accountsChecked entriesChecked imbalance faults { kind message } } }";
        let health = self.operator().data(query).await["ledgerHealth"].clone();
        assert_eq!(health["ok"], json!(true), "{health:#}");
        assert_eq!(health["imbalance"], json!("0"));
        health["entriesChecked"].as_i64().unwrap()
    }
}

/// With ABACUS_TEST_SHARDS, has everything go as if accounts lived in so many shards of a cluster: a statement of accounts in several,
/// or a batch, fails.
pub fn pretend_shards(database: &Database) {
    if let Some(shards) = pretended_shards() {
        database.topology().pretend(shards);
    }
}

/// How many shards are pretended, if any are.
pub fn pretended_shards() -> Option<u16> {
    let shards = std::env::var("ABACUS_TEST_SHARDS").ok()?;
    Some(shards.parse().expect("ABACUS_TEST_SHARDS is a number"))
}

pub fn token(role: Role, namespace: Option<&str>, seconds: i64) -> String {
    token_of(namespace.unwrap_or(role.code()), role, namespace, seconds)
}

fn token_of(subject: &str, role: Role, namespace: Option<&str>, seconds: i64) -> String {
    TokenKey::new(SECRET).unwrap().issue(subject, role, namespace, wall(), seconds).unwrap()
}

/// Another server's engine and jobs on a database.
pub fn another_server(url: &str, clock: &Clock, currencies: Currencies) -> JobContext {
    let database = Database::new(url, 4).unwrap();
    pretend_shards(&database);
    let currencies = Arc::new(currencies);
    let cells = Cells::one(database);
    let engine = Arc::new(Engine::start(&EngineConfig::default(), &cells, &currencies, clock));
    JobContext::new(cells, engine, clock.clone(), currencies, Providers::default(), LEASE_SECONDS_DEFAULT)
}
