//! A database is spread over the machines of a cluster, with what is in it; in part, and once more.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use abacus::store::distribution::placements::{PLACEMENTS, Placement};
use serde_json::json;
use tokio::time::timeout;

use crate::support::TestServer;
use crate::support::citus::{self, ALONE, Nodes};
use crate::support::cluster::{connect_as_told, owner_url};
use crate::support::life::Life;
use crate::support::process::command;

/// A cluster makes some hundred tables on each node.
const ENDS_WITHIN: Duration = Duration::from_secs(300);

/// A database that knows the nodes, migrated and not distributed.
struct Undistributed {
    nodes: Nodes,
    name: String,
}

impl Undistributed {
    async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nodes = Nodes::find(&citus::url().unwrap()).await;
        let name = format!("it_{}_u{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        nodes.make(&name).await;
        let made = Self { nodes, name };
        let (ok, said) = made.run(&["migrate"]).await;
        assert!(ok, "{said}");
        made
    }

    /// Where it is, for the server.
    fn url(&self) -> String {
        self.nodes.coordinator.url("abacus", &self.name)
    }

    async fn run_at(&self, url: &str, args: &[&str]) -> (bool, String) {
        let mut command = command(args);
        command.env("DATABASE_URL", url).env("ABACUS_MIGRATE_URL", owner_url(url)).env("ABACUS_SANDBOX", "1");
        let output = timeout(ENDS_WITHIN, command.output()).await.expect("it ends").expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    /// Runs a command of the binary on it.
    async fn run(&self, args: &[&str]) -> (bool, String) {
        self.run_at(&self.url(), args).await
    }

    async fn sql(&self) -> tokio_postgres::Client {
        connect_as_told(&self.nodes.coordinator.url("postgres", &self.name)).await
    }

    /// How many tables the cluster knows.
    async fn placed(&self) -> i64 {
        let known = "SELECT count(*) FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid WHERE NOT c.relispartition";
        self.sql().await.query_one(known, &[]).await.unwrap().get(0)
    }
}

fn to_be_placed() -> i64 {
    let placed = PLACEMENTS.iter().filter(|(_, placement)| *placement != Placement::Local).count();
    i64::try_from(placed).unwrap()
}

#[tokio::test]
async fn a_ledger_is_the_same_after_it_was_distributed_and_goes_on() {
    if !citus::is_there() {
        return;
    }
    let database = Undistributed::new().await;
    let before = {
        let server = TestServer::on(database.url(), |_| {}).await;
        server.account("one", "100").await;
        server.account("two", "200").await;
        let plan = server.plan("Small", "10").await;
        for key in ["a", "b"] {
            let input = json!({ "planId": plan, "idempotencyKey": key });
            server.customer("one").mutate("checkout", "CheckoutInput", input, "order { number }").await;
        }
        // While it is connected nothing is done.
        let (ok, said) = database.run(&["distribute"]).await;
        assert!(!ok && said.contains("others are connected") && said.contains("role abacus"), "{said}");
        assert_eq!(database.placed().await, 0);
        let entries = server.assert_ledger_is_healthy().await;
        server.server.stop().await;
        entries
    };
    let (ok, said) = database.run(&["distribute", "--dry-run", "--shards", "4"]).await;
    assert!(
        ok && said.contains("would be placed: orders on the shards of accounts, by account_id"),
        "{said}"
    );
    assert_eq!(database.placed().await, 0);

    let (ok, said) = database.run(&["distribute", "--shards", "4"]).await;
    assert!(ok && said.contains("placed: accounts are on 4 shards"), "{said}");
    assert_eq!(said.matches("2 accounts with").count(), 2, "before and after: {said}");
    assert_eq!(database.placed().await, to_be_placed());
    // Nothing is left beside the shards.
    let sql = database.sql().await;
    let left: i64 = sql
        .query_one("SELECT pg_relation_size('orders') + pg_relation_size('accounts')", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0);

    let (ok, said) = database.run(&["distribute"]).await;
    assert!(ok && said.contains("nothing to do: accounts are on 4 shards, on 2 workers"), "{said}");
    let (ok, said) = database.run(&["distribute", "--shards", "8"]).await;
    assert!(!ok && said.contains("accounts are on 4 shards already"), "{said}");

    let server = TestServer::on(database.url(), |_| {}).await;
    assert_eq!(server.assert_ledger_is_healthy().await, before);
    let input =
        json!({ "accountId": server.account("three", "0").await, "amount": "5", "idempotencyKey": "r" });
    server.operator().mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    assert_eq!(server.assert_ledger_is_healthy().await, before + 1);
}

#[tokio::test]
async fn what_was_placed_in_part_is_gone_on_with_and_what_was_placed_otherwise_is_named() {
    if !citus::is_there() {
        return;
    }
    let database = Undistributed::new().await;
    let sql = database.sql().await;
    sql.batch_execute(
        "SET ROLE abacus_owner; SET citus.enable_unsafe_triggers = on; SET citus.shard_count = 2; SELECT create_reference_table('currency_scales');
         SELECT create_distributed_table('accounts', 'id', colocate_with => 'none');",
    )
    .await
    .unwrap();
    let (ok, said) = database.run(&["distribute"]).await;
    assert!(
        ok && said.contains("placed: orders on the shards of accounts") && !said.contains("placed: accounts"),
        "{said}"
    );
    assert_eq!(database.placed().await, to_be_placed());
    // A worker that came later sets nothing yet.
    let worker = connect_as_told(&database.nodes.workers[0].url("postgres", &database.name)).await;
    worker.batch_execute(&format!("{ALONE} ALTER DATABASE {} RESET ALL", database.name)).await.unwrap();
    let (ok, said) = database.run(&["distribute"]).await;
    assert!(ok && said.lines().count() == 1 && said.contains("placed: sessions on"), "{said}");
    let (ok, said) = database.run(&["distribute"]).await;
    assert!(ok && said.contains("nothing to do"), "{said}");

    let other = Undistributed::new().await;
    let made = "SET ROLE abacus_owner; SELECT create_reference_table('refused_keys')";
    other.sql().await.batch_execute(made).await.unwrap();
    let (ok, said) = other.run(&["distribute"]).await;
    assert!(!ok && said.contains("refused_keys lies whole on every node"), "{said}");
    assert_eq!(other.placed().await, 1);
}

#[tokio::test]
async fn a_node_or_a_version_that_cannot_be_is_refused_and_nothing_is_changed() {
    if !citus::is_there() {
        return;
    }
    let database = Undistributed::new().await;
    let sql = database.sql().await;
    let (ok, said) = database.run(&["distribute", "--shards", "1"]).await;
    assert!(!ok && said.contains("--shards: 1 are fewer than the 2 workers"), "{said}");
    let version: String = sql
        .query_one("SELECT extversion FROM pg_extension WHERE extname = 'citus'", &[])
        .await
        .unwrap()
        .get(0);
    sql.batch_execute("UPDATE pg_extension SET extversion = '12.1-1' WHERE extname = 'citus'").await.unwrap();
    let (ok, said) = database.run(&["distribute"]).await;
    assert!(!ok && said.contains("12.1-1") && said.contains(&version), "{said}");
    sql.batch_execute(&format!("UPDATE pg_extension SET extversion = '{version}' WHERE extname = 'citus'"))
        .await
        .unwrap();
    assert_eq!(database.placed().await, 0);

    // The same schema, on a worker.
    let worker = &database.nodes.workers[0];
    let copied = "SET ROLE abacus_owner; SET citus.enable_ddl_propagation = off; CREATE TABLE __diesel_schema_migrations (version text PRIMARY KEY);
        CREATE TABLE accounts (id bigint)";
    let there = connect_as_told(&worker.url("postgres", &database.name)).await;
    there.batch_execute(copied).await.unwrap();
    let versions: Vec<String> = sql
        .query("SELECT version::text FROM __diesel_schema_migrations", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    for version in versions {
        let note = "INSERT INTO __diesel_schema_migrations VALUES ($1)";
        there.execute(note, &[&version]).await.unwrap();
    }
    let (ok, said) = database.run_at(&worker.url("postgres", &database.name), &["distribute"]).await;
    assert!(!ok && said.contains("this node is a worker"), "{said}");

    for node in &database.nodes.workers {
        let gone = format!("SELECT citus_remove_node('{}', {})", node.host, node.port);
        sql.batch_execute(&gone).await.unwrap();
    }
    let (ok, said) = database.run(&["distribute"]).await;
    assert!(!ok && said.contains("there are no workers"), "{said}");
}

#[tokio::test]
async fn what_is_final_stays_final_on_every_shard_and_numbers_go_on() {
    if !citus::is_there() {
        return;
    }
    let life = Life::begin("2026-01-20T10:00:00Z", "500").await;
    let sql = life.server.sql().await;
    for statement in [
        "DELETE FROM ledger_entries",
        "UPDATE ledger_entries SET amount = 1",
        "TRUNCATE ledger_entries",
        "DELETE FROM transactions",
        "UPDATE transactions SET amount = 1",
        "DELETE FROM resource_prices",
        "TRUNCATE resource_prices",
        "UPDATE installation SET kind = 'PRODUCTION'",
        "DELETE FROM installation",
        "DELETE FROM seal_keys",
    ] {
        let error = sql.batch_execute(statement).await.expect_err(statement);
        let told = error.to_string() + &error.as_db_error().map(ToString::to_string).unwrap_or_default();
        assert!(told.contains("never changed or deleted"), "{statement}: {told}");
    }
    // The prices that the migrations have set are there, and the next is another.
    let row = sql.query_one("SELECT count(*), max(id) FROM resource_prices", &[]).await.unwrap();
    let (count, last): (i64, i64) = (row.get(0), row.get(1));
    let next = "INSERT INTO resource_prices (resource_code, currency, level, price, unit, multiplier, effective_from)
        VALUES ('cpu', 'CNY', 0, 1, 'core', 1, now()) RETURNING id";
    let id: i64 = sql.query_one(next, &[]).await.unwrap().get(0);
    assert!(count > 0 && id == last + 1, "{count} {last} {id}");
}

#[tokio::test]
async fn whoever_migrates_places_what_a_migration_has_made() {
    if !citus::is_there() {
        return;
    }
    let database = Undistributed::new().await;
    let (ok, said) = database.run(&["distribute"]).await;
    assert!(ok, "{said}");
    let sql = database.sql().await;
    // As if it had been made by a migration just now.
    sql.batch_execute("SET ROLE abacus_owner; SELECT undistribute_table('refused_keys')").await.unwrap();
    assert_eq!(database.placed().await, to_be_placed() - 1);
    let (ok, said) = database.run(&["migrate"]).await;
    assert!(ok && said.contains("refused_keys on the shards of accounts, by account_id"), "{said}");
    assert_eq!(database.placed().await, to_be_placed());
    let (ok, said) = database.run(&["migrate"]).await;
    assert!(ok && said.contains("the schema is current"), "{said}");
}
