//! The server's role owns nothing, and can do what its statements need (docs/adr/0025).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use abacus::private_pg::{Options, PrivatePostgres};
use abacus::store::database::Database;
use abacus::store::migrations::{LOCK_WAIT_DEFAULT, Migrator};
use abacus::store::rights::{TABLES, VIEWS};
use serde_json::json;
use tokio_postgres::error::SqlState;

use crate::support::TestServer;
use crate::support::cluster::{self, connect, connect_as_told};
use crate::support::process::{Abacus, Folder, command, outcome};

/// What somebody might try who has the server's own connection.
const REFUSED: [&str; 38] = [
    "UPDATE ledger_entries SET amount = 1",
    "UPDATE ledger_entries SET hash = '', reason = 'nothing to see'",
    "DELETE FROM ledger_entries",
    "TRUNCATE ledger_entries",
    "UPDATE transactions SET amount = 1",
    "UPDATE transactions SET debit_ledger = 'promotions'",
    "DELETE FROM transactions",
    "UPDATE bills SET amount = 0",
    "DELETE FROM bills",
    "UPDATE orders SET price = 0",
    "UPDATE orders SET quantity = 1000",
    "DELETE FROM orders",
    "UPDATE accounts SET id = 7",
    "UPDATE accounts SET currency = 'USD'",
    "DELETE FROM accounts",
    "UPDATE invoices SET total_usd = 0",
    "UPDATE payments SET amount = 1",
    "UPDATE deposits SET amount = 1",
    "UPDATE resource_prices SET price = 0",
    "DELETE FROM idempotency_keys",
    "UPDATE installation SET kind = 'SANDBOX'",
    "UPDATE currency_scales SET ledger_scale = 2",
    "INSERT INTO restorations VALUES (now(), 1)",
    "DELETE FROM __diesel_schema_migrations",
    "INSERT INTO usage_marks_00 VALUES (1, 'e', 0)",
    "SELECT setval('account_numbers', 1)",
    "ALTER TABLE ledger_entries DISABLE TRIGGER ALL",
    "ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_chain",
    "SET session_replication_role = replica",
    "DROP TABLE ledger_entries",
    "DROP TRIGGER ledger_entries_are_final ON ledger_entries",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE TABLE of_my_own ()",
    // Which would stand before the real one.
    "CREATE TEMPORARY TABLE ledger_entries ()",
    "CREATE SCHEMA of_my_own",
    "SET ROLE abacus_owner",
    "ALTER ROLE abacus SUPERUSER",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
];

#[tokio::test]
async fn the_servers_role_changes_nothing_that_is_final_and_switches_nothing_off() {
    let sql = connect_as_told(&cluster::database().await).await;
    for statement in REFUSED {
        let error = sql.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}: {error:?}");
    }
    // The one thing that is done for it as the owner is done within bounds.
    for month in ["NULL", "'infinity'", "'1969-12-01'", "'10000-01-01'", "'0044-03-01 BC'"] {
        let error = sql.batch_execute(&format!("SELECT make_usage_month({month})")).await.expect_err(month);
        assert_eq!(error.code(), Some(&SqlState::INVALID_PARAMETER_VALUE), "{month}: {error:?}");
    }
    sql.batch_execute("SET search_path = pg_temp, public; SELECT make_usage_month('2031-05-17')")
        .await
        .unwrap();
    let error = sql.batch_execute("DROP TABLE usage_events_2031_05").await.expect_err("the owner's");
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{error:?}");
}

/// What a role can do to each table that is no partition, by whatever way it has come to it.
const RIGHTS: &str = "SELECT c.relname::text, c.relkind::text,
        ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
            WHERE has_table_privilege('abacus', c.oid, p)),
        ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            AND has_column_privilege('abacus', c.oid, a.attnum, 'UPDATE'))
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition";

#[tokio::test]
async fn the_role_has_the_rights_on_the_list_to_every_table_and_no_table_is_on_none() {
    let sql = connect(&cluster::database().await).await;
    let mut found = BTreeSet::new();
    for row in sql.query(RIGHTS, &[]).await.unwrap() {
        let (table, kind): (String, String) = (row.get(0), row.get(1));
        let (whole, columns): (Vec<String>, Vec<String>) = (row.get(2), row.get(3));
        if kind == "v" {
            assert!(VIEWS.contains(&table.as_str()), "{table} is not among VIEWS of src/store/rights.rs");
            assert_eq!((whole, columns), (vec!["SELECT".to_owned()], vec![]), "{table}");
            continue;
        }
        let listed = TABLES.iter().find(|rights| rights.table == table);
        let listed = listed.unwrap_or_else(|| panic!("{table} is not among TABLES of src/store/rights.rs"));
        let mut expected = vec!["SELECT"];
        expected.extend(listed.insert.then_some("INSERT"));
        expected.extend(listed.delete.then_some("DELETE"));
        assert_eq!(whole, expected, "{table}");
        let as_set = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(columns.into_iter().collect::<BTreeSet<_>>(), as_set(listed.update.to_vec()), "{table}");
        found.insert(table);
    }
    let gone: Vec<&str> =
        TABLES.iter().map(|rights| rights.table).filter(|table| !found.contains(*table)).collect();
    assert!(gone.is_empty(), "{gone:?} are no tables");
    let partitions = "SELECT count(*) FROM pg_class WHERE relispartition AND has_table_privilege('abacus', oid, 'INSERT, UPDATE, DELETE')";
    assert_eq!(sql.query_one(partitions, &[]).await.unwrap().get::<_, i64>(0), 0);
}

/// What can be told from the tables' names alone: these are never changed, whatever the list of rights says, but for a seal that is
/// missing.
const FINAL: [&str; 17] = [
    "ledger_entries",
    "ledger_anchors",
    "ledger_anchor_pages",
    "ledger_anchor_heads",
    "invoices",
    "metered_records",
    "account_suspensions",
    "namespaces",
    "deposit_addresses",
    "resource_prices",
    "price_definitions",
    "exchange_rates",
    "burst_capacities",
    "burst_levels",
    "usage_marks",
    "installation",
    "currency_scales",
];
/// Rows of these are taken away; of all others none are.
const FORGOTTEN: [&str; 17] = [
    "billing_pages",
    "burst_owed",
    "burst_used",
    "chain_blocks",
    "gauge_slots",
    "late_usage",
    "leases",
    "ledger_faults",
    "notices",
    "open_invoices",
    "operator_moves",
    "prepay_quotes",
    "refused_keys",
    "term_discounts",
    "usage_events",
    "usage_hours",
    "usage_samples",
];

/// What the owner does, not the server.
const OF_THE_OWNER: &str = "taking_back.rs";

/// The code of src/store, without the list itself and what the owner does, and without white space that is more than a space.
fn statements() -> String {
    let mut files = Vec::new();
    code_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store"), &mut files);
    files.retain(|path| !path.ends_with("rights.rs") && !path.ends_with(OF_THE_OWNER));
    let texts: Vec<String> = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    texts.join("\n").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The files of a folder and of its rooms, but those that migrate.
fn code_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with("migrations") {
            code_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names that follow a text.
fn names_after<'c>(code: &'c str, text: &str) -> BTreeSet<&'c str> {
    let name = |after: &'c str| after.split(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap();
    code.split(text).skip(1).map(name).collect()
}

/// The tables that rows are put into where they may be there already.
fn upserted(code: &str) -> BTreeSet<&str> {
    let inserts = code.split("INSERT INTO ").flat_map(|part| part.split("insert_into(\""));
    let inserts = inserts.flat_map(|part| part.split("insert_row_into(\"")).skip(1);
    let upserts = inserts.filter(|insert| insert.contains("DO UPDATE"));
    upserts.map(|insert| insert.split(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap()).collect()
}

#[test]
fn the_list_allows_what_statements_do_and_no_more() {
    let code = statements();
    let either = |one: &str, other: &str| {
        names_after(&code, one).union(&names_after(&code, other)).copied().collect::<BTreeSet<_>>()
    };
    let mut added = either("INSERT INTO ", "insert_into(\"");
    added.extend(names_after(&code, "insert_row_into(\""));
    let mut changed: BTreeSet<_> = either("UPDATE ", ".update(\"").union(&upserted(&code)).copied().collect();
    // What was not sealed when it was written is sealed later (src/store/seals.rs).
    changed.extend(names_after(&code, "owned(\""));
    let deleted = names_after(&code, "DELETE FROM ");
    for rights in TABLES {
        let table = rights.table;
        // Restores, databases that join and accounts that move are noted by the owner.
        let is_added =
            added.contains(table) && !["restorations", "cell", "cells", "departures"].contains(&table);
        let is_changed = changed.contains(table) && !["departures", "usage_events_kept"].contains(&table);
        assert_eq!(rights.insert, is_added, "{table}: what is added");
        assert_eq!(!rights.update.is_empty(), is_changed, "{table}: what is changed");
        assert_eq!(rights.delete, deleted.contains(table), "{table}: what is taken away");
    }
    let all: BTreeMap<&str, _> = TABLES.iter().map(|rights| (rights.table, rights)).collect();
    assert_eq!(all.len(), TABLES.len(), "each table once");
    let is_final =
        |table: &&str| all[table].update.iter().all(|column| *column == "seal") && !all[table].delete;
    assert!(FINAL.iter().all(is_final));
    let forgotten: Vec<&str> =
        all.values().filter(|rights| rights.delete).map(|rights| rights.table).collect();
    assert_eq!(forgotten, FORGOTTEN);
}

#[tokio::test]
async fn rights_that_are_too_many_or_too_few_are_put_right_by_whoever_migrates() {
    let url = cluster::database().await;
    let sql = connect(&url).await;
    sql.batch_execute(
        "GRANT UPDATE, TRUNCATE ON transactions TO abacus; GRANT UPDATE (amount) ON bills TO abacus;
         REVOKE INSERT ON notices FROM abacus; REVOKE USAGE ON SEQUENCE account_numbers FROM abacus",
    )
    .await
    .unwrap();
    let migrator =
        Migrator::new(&Database::new(&url, 1).unwrap(), Some(&cluster::owner_url(&url)), LOCK_WAIT_DEFAULT);
    assert_eq!(migrator.unwrap().migrate().await.unwrap(), Vec::<String>::new());
    let asked = "SELECT has_table_privilege('abacus', 'transactions', 'UPDATE'), has_table_privilege('abacus', 'transactions', 'TRUNCATE'),
        has_column_privilege('abacus', 'bills', 'amount', 'UPDATE'), has_column_privilege('abacus', 'transactions', 'status', 'UPDATE'),
        has_table_privilege('abacus', 'notices', 'INSERT'), has_sequence_privilege('abacus', 'account_numbers', 'USAGE')";
    let row = sql.query_one(asked, &[]).await.unwrap();
    let has: Vec<bool> = (0..6).map(|column| row.get(column)).collect();
    assert_eq!(has, [false, false, false, true, true, true]);
}

#[tokio::test]
async fn one_role_migrates_and_another_serves() {
    let url = cluster::empty_database().await;
    let run = async |args: &[&str], settings: &[(&str, &str)]| {
        outcome(command(args).env("RUST_LOG", "warn").envs(settings.iter().copied())).await
    };
    let owner = cluster::owner_url(&url);
    let server = ("DATABASE_URL", url.as_str());
    // The server's role alone cannot, and says what can.
    let (status, _, said) = run(&["migrate"], &[server]).await;
    assert!(
        !status.success()
            && said.contains("\"abacus\" may not change it")
            && said.contains("ABACUS_MIGRATE_URL"),
        "{said}"
    );
    let (status, printed, said) = run(&["migrate"], &[server, ("ABACUS_MIGRATE_URL", &owner)]).await;
    assert!(status.success() && printed.contains("least_rights") && said.is_empty(), "{said}");
    // From then on it needs nobody, and has nothing to be warned of.
    let (status, printed, said) = run(&["migrate"], &[server]).await;
    assert!(status.success() && said.is_empty(), "{said}");
    assert_eq!(printed, "the schema is current\n");
    let found = "INSERT INTO installation (kind) VALUES ('PRODUCTION')";
    connect_as_told(&url).await.batch_execute(found).await.unwrap();
    let bill = ["bill", "--month", "2026-01"];
    let (status, _, said) = run(&bill, &[server]).await;
    assert!(status.success() && said.is_empty(), "{said}");
    // One role for everything works, and is told of.
    let (status, _, said) = run(&bill, &[("DATABASE_URL", &owner)]).await;
    assert!(
        status.success() && said.contains("owns its tables") && said.contains("ABACUS_MIGRATE_URL"),
        "{said}"
    );
}

#[tokio::test]
async fn the_owners_address_is_a_secret_and_goes_with_the_servers() {
    let folder = Folder::new();
    let file = folder.path.join("url");
    std::fs::write(&file, "postgres://owner:hunter2@127.0.0.1:1/abacus\n").unwrap();
    let said = async |args: &[&str], settings: &[(&str, &str)]| {
        let (status, _, said) = outcome(command(args).envs(settings.iter().copied())).await;
        assert!(!status.success() && !said.contains("hunter2"), "{said}");
        said
    };
    let server = ("DATABASE_URL", "postgres://abacus@127.0.0.1:1/abacus");
    let lone =
        said(&["migrate"], &[("ABACUS_MIGRATE_URL", "postgres://owner:hunter2@127.0.0.1:1/abacus")]).await;
    assert!(lone.contains("ABACUS_MIGRATE_URL needs a DATABASE_URL"), "{lone}");
    let option = said(&["migrate", "--migrate-url", "postgres://owner@host/abacus"], &[server]).await;
    assert!(option.contains("ABACUS_MIGRATE_URL is no option"), "{option}");
    let of_file = said(&["migrate"], &[server, ("ABACUS_MIGRATE_URL_FILE", file.to_str().unwrap())]).await;
    assert!(of_file.contains("as \"owner\""), "{of_file}");
    let malformed = said(&["migrate"], &[server, ("ABACUS_MIGRATE_URL", "hunter2")]).await;
    assert!(malformed.contains("ABACUS_MIGRATE_URL: an address such as"), "{malformed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_of_an_earlier_version_is_handed_over_to_its_owner() {
    let folder = Folder::new();
    let options =
        Options { data_dir: folder.data_dir(), data_dir_is_default: false, settings: Vec::new(), lock: true };
    let postgres = PrivatePostgres::start(options).await.expect("it starts");
    // As it was: the superuser made everything, and served.
    connect(&postgres.url("postgres"))
        .await
        .batch_execute("CREATE DATABASE abacus TEMPLATE template0")
        .await
        .unwrap();
    let before = Database::new(&postgres.superuser_url("abacus"), 1).unwrap();
    Migrator::new(&before, None, LOCK_WAIT_DEFAULT).unwrap().migrate().await.unwrap();
    let sql = connect(&postgres.url("abacus")).await;
    sql.batch_execute("SELECT make_usage_month('2026-03-01')").await.unwrap();
    drop((sql, before));
    postgres.stop().await;
    drop(postgres);

    let server = Abacus::start(&folder).await;
    let plans = server.customer().data("{ plans { nodes { id } } }").await;
    assert!(
        !plans["plans"]["nodes"].as_array().unwrap().is_empty(),
        "its demo is made, as the server's role"
    );
    let sql = connect(&folder.database_url()).await;
    let own = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relowner <> 'abacus_owner'::regrole
        UNION ALL SELECT proname::text FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND proowner <> 'abacus_owner'::regrole
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        UNION ALL SELECT datname::text FROM pg_database WHERE datname = 'abacus' AND datdba <> 'abacus_owner'::regrole";
    let left: Vec<String> = sql.query(own, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(left.is_empty(), "{left:?}");
    let error = connect_as_told(&folder.database_url())
        .await
        .batch_execute("DELETE FROM ledger_entries")
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    assert!(!folder.log().contains("owns its tables"));
    drop(server);
}

#[tokio::test]
async fn usage_of_a_month_that_nobody_has_reported_yet_is_counted_without_the_right_to_make_tables() {
    let server = TestServer::start().await;
    server.account("tenant", "0").await;
    let sql = server.sql().await;
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'usage_events'::regclass";
    assert_eq!(sql.query_one(partitions, &[]).await.unwrap().get::<_, i64>(0), 0);
    let now = sql
        .query_one("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", &[])
        .await
        .unwrap();
    let event = json!({ "id": "e1", "namespace": "tenant", "resource": "transfer_out", "quantity": "1", "time": now.get::<_, String>(0) });
    let input = json!({ "events": [event] });
    server.service().mutate("recordUsage", "RecordUsageInput", input, "accepted").await;
    assert_eq!(sql.query_one(partitions, &[]).await.unwrap().get::<_, i64>(0), 1);
}
