//! Where tables belong on a cluster, and `abacus distribute` where there is none (docs/adr/0040).

use std::collections::BTreeSet;

use abacus::store::distribution::placements::{PLACEMENTS, Placement};

use crate::support::citus;
use crate::support::cluster::{self, connect, superuser_url};
use crate::support::process::{command, outcome};

const TABLES: &str =
    "SELECT c.relname::text FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relnamespace = 'public'::regnamespace";

#[tokio::test]
async fn every_table_of_the_migrations_has_a_place_on_a_cluster_and_nothing_else_has() {
    let sql = connect(&cluster::database().await).await;
    let tables: BTreeSet<String> =
        sql.query(TABLES, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let placed: BTreeSet<String> = PLACEMENTS.iter().map(|(table, _)| (*table).to_owned()).collect();
    assert_eq!(tables, placed, "src/store/distribution/placements.rs");
}

#[tokio::test]
async fn what_lies_on_shards_has_what_it_lies_by_in_every_unique_index() {
    let sql = connect(&cluster::database().await).await;
    // Given up when they are placed.
    const GIVEN_UP: [&str; 3] =
        ["invoices_number_key", "deposit_addresses_pkey", "deposit_addresses_address_key"];
    let indexes = "SELECT i.indexrelid::regclass::text, ARRAY(SELECT a.attname::text FROM pg_attribute a
            WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey::smallint[]))
        FROM pg_index i WHERE i.indisunique AND i.indrelid = to_regclass($1)";
    for (table, placement) in PLACEMENTS {
        let (Placement::ByAccount(column) | Placement::ByKey(column)) = placement else { continue };
        for row in sql.query(indexes, &[table]).await.unwrap() {
            let (index, columns): (String, Vec<String>) = (row.get(0), row.get(1));
            let is_given_up = GIVEN_UP.contains(&index.as_str());
            assert!(
                is_given_up || columns.iter().any(|name| name == column),
                "{index} of {table} is not by {column}"
            );
        }
    }
}

#[tokio::test]
async fn functions_of_the_database_say_nothing_that_goes_wrong_on_shards() {
    let sql = connect(&cluster::database().await).await;
    let functions = "SELECT p.oid::regprocedure::text, l.lanname::text, p.pronargs::integer, p.prosrc FROM pg_proc p
        JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'public'::regnamespace AND l.lanname IN ('sql', 'plpgsql')";
    let tables: Vec<&str> = PLACEMENTS.iter().map(|(table, _)| *table).collect();
    for row in sql.query(functions, &[]).await.unwrap() {
        let (name, language, arguments, text): (String, String, i32, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let reads = tables.iter().any(|table| text.contains(&format!("FROM {table} ")));
        assert!(
            language == "plpgsql" || arguments == 0 || !reads,
            "{name}: a cluster does not know an SQL function's parameters"
        );
        // What servers of before ask for runs on one node alone.
        if name.starts_with("forget_keys") {
            continue;
        }
        let by_place = text.matches("ctid = ANY").count();
        let of_account = text.matches("account_id = account AND ctid = ANY").count();
        assert_eq!(by_place, of_account, "{name}: on another shard another's row lies at the same place");
    }
    let conditions = "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal AND tgqual IS NOT NULL
        AND pg_get_triggerdef(oid) ~ 'WHEN .*(is_erased|moved_lately|abacus_now)'";
    let asking: Vec<String> =
        sql.query(conditions, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(
        asking,
        Vec::<String>::new(),
        "only a trigger's function may look into other tables on a shard"
    );
}

/// What the command says when it fails.
async fn failure(url: &str, args: &[&str]) -> String {
    let mut command = command(&[&["distribute"], args].concat());
    command.env("DATABASE_URL", url).env("ABACUS_SANDBOX", "1");
    let (status, printed, said) = outcome(&mut command).await;
    assert!(!status.success() && printed.is_empty(), "{printed}");
    said
}

#[tokio::test]
async fn a_database_that_is_no_cluster_is_refused_and_is_as_it_was() {
    if citus::url().is_some() {
        println!("passed over: databases are a cluster's (ABACUS_TEST_CITUS_URL)");
        return;
    }
    let url = cluster::database().await;
    let sql = connect(&url).await;
    let state = "SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM pg_trigger t";
    let before: String = sql.query_one(state, &[]).await.unwrap().get(0);
    let said = failure(&superuser_url(&url), &[]).await;
    assert!(said.contains("no extension \"citus\"") && said.contains("CREATE EXTENSION citus"), "{said}");
    let after: String = sql.query_one(state, &[]).await.unwrap().get(0);
    assert_eq!(after, before);
}

#[tokio::test]
async fn what_cannot_be_distributed_is_named() {
    let said = failure(&superuser_url(&cluster::empty_database().await), &[]).await;
    assert!(said.contains("the schema is not current: abacus migrate"), "{said}");
    for (shards, expected) in [("0", "1..=256"), ("257", "1..=256"), ("two", "--shards"), ("", "--shards")] {
        let said = failure("postgres://nobody@127.0.0.1:1/none", &["--shards", shards]).await;
        assert!(said.contains(expected), "{shards}: {said}");
    }
    let (status, _, said) = outcome(&mut command(&["distribute"])).await;
    assert!(!status.success() && said.contains("DATABASE_URL"), "{said}");
}
