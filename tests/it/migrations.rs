//! The schema is changed beside those who use it: nobody waits for long, nothing is half done, and two versions go on side by side.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use abacus::clock::wall;
use abacus::domain::viewer::Role;
use abacus::http::token::TokenKey;
use abacus::store::database::Database;
use abacus::store::migrations::{LOCK_WAIT_DEFAULT, Migrator};
use chrono::TimeDelta;
use diesel_migrations::FileBasedMigrations;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::process::Command;

use crate::support::cluster::{self, connect};
use crate::support::process::{Folder, command, outcome};
use crate::support::server::SECRET;
use crate::support::{Client, TestServer};

/// A command on a database, with the owner's address beside the server's.
fn on(url: &str, args: &[&str]) -> Command {
    let mut command = command(args);
    command
        .env("DATABASE_URL", url)
        .env("ABACUS_MIGRATE_URL", cluster::owner_url(url))
        .env("ABACUS_JWT_SECRET", std::str::from_utf8(SECRET).unwrap())
        .env("RUST_LOG", "warn");
    command
}

async fn success(command: &mut Command) -> String {
    let (status, printed, said) = outcome(command).await;
    assert!(status.success(), "{said}");
    printed
}

fn migrator(url: &str, lock_wait: Duration) -> Migrator {
    Migrator::new(&Database::new(url, 1).unwrap(), Some(&cluster::owner_url(url)), lock_wait).unwrap()
}

/// Has a migration that builds an index in a transaction still to be run, as it was before there was another way.
async fn an_index_is_pending(url: &str) {
    let undo =
        "DROP INDEX orders_unpaid; DELETE FROM __diesel_schema_migrations WHERE version = '20261129000025'";
    connect(url).await.batch_execute(undo).await.unwrap();
}

async fn is_built(url: &str, index: &str) -> bool {
    let valid =
        "SELECT coalesce(bool_and(indisvalid), false) FROM pg_index WHERE indexrelid = to_regclass($1)";
    connect(url).await.query_one(valid, &[&index]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_migration_says_who_holds_what_it_waits_for_and_gives_up_with_nothing_done() {
    let url = cluster::database().await;
    an_index_is_pending(&url).await;
    let holder = connect(&url).await;
    let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    holder.batch_execute("BEGIN; LOCK TABLE orders IN ROW EXCLUSIVE MODE").await.unwrap();
    let serve = ["serve", "--sandbox", "--listen", "127.0.0.1:0"];
    for args in [&["migrate"][..], &serve] {
        let begin = Instant::now();
        let (status, printed, said) = outcome(on(&url, args).env("ABACUS_MIGRATE_LOCK_WAIT", "7s")).await;
        assert!(!status.success() && printed.is_empty(), "{said}");
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
        let last = said.lines().last().unwrap();
        for told in [
            "abacus: the database is unavailable: the migration 2026-11-29-000025_quotas waited for",
            &format!("process {pid} (role postgres"),
            "LOCK TABLE orders",
            "Nothing of it was done",
            "ABACUS_MIGRATE_LOCK_WAIT",
        ] {
            assert!(last.contains(told), "{told}: {last}");
        }
        let meanwhile = said.lines().filter(|line| line.contains("a migration waits for a lock")).count();
        assert!(meanwhile >= 1 && said.contains(&pid.to_string()), "{said}");
        assert!(!is_built(&url, "orders_unpaid").await);
    }
    // What waits behind it is let through again and again.
    let waiting = tokio::spawn(outcome_of(on(&url, &["migrate"])));
    for _ in 0..3 {
        let begin = Instant::now();
        let sql = connect(&url).await;
        sql.batch_execute("BEGIN; LOCK TABLE orders IN ROW EXCLUSIVE MODE; COMMIT").await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap(), "2026-11-29-000025_quotas\n");
    assert!(is_built(&url, "orders_unpaid").await);
}

async fn outcome_of(mut command: Command) -> String {
    success(&mut command).await
}

#[tokio::test]
async fn one_migrates_at_a_time_and_who_waits_for_it_says_so() {
    let url = cluster::database().await;
    an_index_is_pending(&url).await;
    let other = connect(&url).await;
    other.batch_execute("SELECT pg_advisory_lock(4702394921427289928)").await.unwrap();
    let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let (status, _, said) = outcome(on(&url, &["migrate"]).env("ABACUS_MIGRATE_LOCK_WAIT", "4s")).await;
    assert!(!status.success() && said.contains("waiting for another to migrate"), "{said}");
    assert!(
        said.lines()
            .last()
            .unwrap()
            .contains(&format!("another migrates it, and has for 4 s: process {pid}")),
        "{said}"
    );
    other.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    assert_eq!(success(&mut on(&url, &["migrate"])).await, "2026-11-29-000025_quotas\n");
    // Who has nothing to do starts beside one who migrates.
    other.batch_execute("SELECT pg_advisory_lock(4702394921427289928)").await.unwrap();
    assert_eq!(success(&mut on(&url, &["migrate"])).await, "the schema is current\n");
}

/// Migrations of a version after this one.
struct Later {
    folder: Folder,
}

impl Later {
    fn new() -> Self {
        Self { folder: Folder::new() }
    }

    fn with(self, name: &str, up: &str, in_transaction: bool) -> Self {
        let migration = self.folder.path.join("migrations").join(name);
        std::fs::create_dir_all(&migration).unwrap();
        std::fs::write(migration.join("up.sql"), up).unwrap();
        std::fs::write(migration.join("down.sql"), "SELECT 1").unwrap();
        let metadata = format!("run_in_transaction = {in_transaction}\n");
        std::fs::write(migration.join("metadata.toml"), metadata).unwrap();
        self
    }

    fn migrations(&self) -> FileBasedMigrations {
        let path: PathBuf = self.folder.path.join("migrations");
        FileBasedMigrations::from_path(path).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_built_beside_those_who_write_and_what_a_dead_build_left_is_built_anew() {
    let server = TestServer::start().await;
    let url = server.database_url.clone();
    let later = Later::new().with(
        "2099-01-01-000001_orders_by_name",
        "-- Locks: nothing.\nCREATE INDEX CONCURRENTLY IF NOT EXISTS orders_by_name ON orders (name);",
        false,
    );
    // The build waits for whoever has written before it began, and its process is ended there.
    let writer = connect(&url).await;
    writer.batch_execute("BEGIN; LOCK TABLE orders IN ROW EXCLUSIVE MODE").await.unwrap();
    let error = migrator(&url, Duration::from_secs(2)).migrate_from(later.migrations()).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("2099-01-01-000001_orders_by_name waited for") && said.contains("LOCK TABLE orders"),
        "{said}"
    );
    let left = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    let sql = connect(&url).await;
    assert_eq!(sql.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 1, "an index that is not whole");
    // While the next one waits, purchases go on.
    let again = migrator(&url, LOCK_WAIT_DEFAULT);
    let building = {
        let migrations = later.migrations();
        tokio::spawn(async move { again.migrate_from(migrations).await })
    };
    server.account("tenant", "100").await;
    let plan = server.plan("Plan C", "1").await;
    server.customer("tenant").checkout(&plan, "k").await;
    assert!(!building.is_finished());
    writer.batch_execute("COMMIT").await.unwrap();
    assert_eq!(building.await.unwrap().unwrap(), ["2099-01-01-000001_orders_by_name"]);
    assert!(is_built(&url, "orders_by_name").await);
    assert_eq!(sql.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    // One that was built and not noted, as its process died between, is noted.
    sql.batch_execute("DELETE FROM __diesel_schema_migrations WHERE version LIKE '2099%'").await.unwrap();
    let number = "SELECT 'orders_by_name'::regclass::oid";
    let before: u32 = sql.query_one(number, &[]).await.unwrap().get(0);
    migrator(&url, LOCK_WAIT_DEFAULT).migrate_from(later.migrations()).await.unwrap();
    assert_eq!(sql.query_one(number, &[]).await.unwrap().get::<_, u32>(0), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_goes_on_beside_a_later_version_that_adds_to_its_schema() {
    let old = TestServer::start().await;
    let url = old.database_url.clone();
    old.account("tenant", "100").await;
    let plan = old.plan("Plan C", "1").await;
    let customer = old.customer("tenant");
    customer.checkout(&plan, "before").await;
    let later = Later::new().with(
        "2099-01-01-000001_notes",
        "ALTER TABLE orders ADD COLUMN note text; ALTER TABLE ledger_entries ADD COLUMN mark integer NOT NULL DEFAULT 0;
         CREATE TABLE notes (id bigint PRIMARY KEY); GRANT SELECT, INSERT ON notes TO abacus;",
        true,
    );
    migrator(&url, LOCK_WAIT_DEFAULT).migrate_from(later.migrations()).await.unwrap();

    let ready = async |server: &TestServer| {
        let asked = server.client_with(None).request(Method::GET, "/readyz").send().await.unwrap();
        (asked.status(), asked.text().await.unwrap())
    };
    assert_eq!(ready(&old).await.0, StatusCode::OK, "what it knows of has run");
    customer.checkout(&plan, "after").await;
    let orders = "{ account { orders { nodes { number bills { nodes { status } } } } } }";
    assert_eq!(customer.data(orders).await["account"]["orders"]["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(old.assert_ledger_is_healthy().await, 3);
    // Another of the old version starts beside it, and leaves the later one's rights alone.
    let again = TestServer::on(url.clone(), |config| config.owner_url = Some(cluster::owner_url(&url))).await;
    assert_eq!(ready(&again).await.0, StatusCode::OK);
    let may = "SELECT has_table_privilege('abacus', 'notes', 'INSERT')";
    assert!(old.sql().await.query_one(may, &[]).await.unwrap().get::<_, bool>(0));
    // A version whose own migrations have not all run is not ready.
    let undone = "DELETE FROM __diesel_schema_migrations WHERE version = '20261130000030'";
    old.sql().await.batch_execute(undone).await.unwrap();
    let (status, said) = ready(&old).await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && said.contains("not current"), "{said}");
}

#[tokio::test]
async fn what_there_is_to_do_is_told_with_what_it_locks_and_not_done() {
    let url = cluster::empty_database().await;
    let plan = ["migrate", "--plan"];
    let told = success(&mut on(&url, &plan)).await;
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
    assert_eq!(told.lines().count(), folders, "{told}");
    let sql = connect(&url).await;
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(sql.query_one(tables, &[]).await.unwrap().get::<_, i64>(0), 0);
    success(&mut on(&url, &["migrate"])).await;
    assert_eq!(success(&mut on(&url, &plan)).await, "the schema is current\n");
    let undo =
        "DROP TABLE restorations; DELETE FROM __diesel_schema_migrations WHERE version = '20261130000030'";
    sql.batch_execute(undo).await.unwrap();
    let told = success(&mut on(&url, &plan)).await;
    assert_eq!(told, "2026-11-30-000030_restorations locks nothing that was there before.\n");
}

#[tokio::test]
async fn after_a_restore_no_number_is_given_out_again_and_old_tokens_open_nothing_new() {
    let before = TestServer::start().await;
    before.account("kept", "1").await;
    let kept_token = before.customer("kept");
    let url = before.database_url.clone();
    before.server.stop().await;
    let backup = cluster::backup(&url).await;

    // The day goes on after the backup.
    let day = TestServer::on(url, |_| {}).await;
    let lost = day.account("lost", "1").await;
    let place = "SELECT nextval('deposit_address_places')";
    let last_place: i64 = day.sql().await.query_one(place, &[]).await.unwrap().get(0);
    let token = |made: i64| {
        let key = TokenKey::new(SECRET).unwrap();
        let made = wall().checked_add_signed(TimeDelta::seconds(made)).unwrap();
        Some(key.issue("lost", Role::Customer, Some("lost"), made, 600).unwrap())
    };
    let lost_token = token(0);
    assert_eq!(
        day.client_with(lost_token.clone()).data("{ account { id } }").await["account"]["id"],
        json!(lost)
    );

    // Then there is nothing but the backup.
    let told = success(&mut on(&backup, &["restored"])).await;
    assert!(told.contains("accounts go on with acc_1") && told.lines().count() == 3, "{told}");
    let after = TestServer::on(backup.clone(), |_| {}).await;
    let another = after.account("lost", "1").await;
    let number = |id: &str| id.strip_prefix("acc_").unwrap().parse::<u64>().unwrap();
    assert!(number(&another) > 1_000_000_000 && number(&another) > number(&lost), "{another}");
    let sql = after.sql().await;
    let first_place: i64 = sql.query_one(place, &[]).await.unwrap().get(0);
    assert!(first_place > last_place + 1_000_000, "{first_place}");
    let who = "{ account { id } }";
    let code = async |client: Client| client.error_code(who).await;
    assert_eq!(code(after.client_with(lost_token)).await, "UNAUTHENTICATED", "it was made for another");
    assert_eq!(after.client_with(token(2)).data(who).await["account"]["id"], json!(another));
    let mut kept = kept_token;
    kept.url = after.url();
    assert_eq!(kept.data(who).await["account"]["id"], json!("acc_1001"), "of before, and the same");

    // Once more goes on once more, and says that it was done.
    let again = success(&mut on(&backup, &["restored"])).await;
    assert!(again.lines().count() == 4 && again.contains("restored before, at "), "{again}");
    let next: i64 = sql.query_one(place, &[]).await.unwrap().get(0);
    assert!(next > first_place, "{next}");
    let epochs = "SELECT count(*) FROM restorations";
    assert_eq!(sql.query_one(epochs, &[]).await.unwrap().get::<_, i64>(0), 2);
}
