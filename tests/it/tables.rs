//! src/store/schema.rs says which tables and columns there are, as Diesel's own tool prints them; src/store/views.rs the same of views.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{TestServer, cluster};

/// The tool, if it is on the PATH or named by DIESEL.
fn diesel() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("DIESEL") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("diesel")).find(|file| file.is_file())
}

fn source(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store").join(name)).unwrap()
}

#[tokio::test]
async fn the_tables_are_written_as_diesel_prints_them() {
    let Some(diesel) = diesel() else {
        println!("passed over: diesel is neither named by DIESEL nor on the PATH");
        return;
    };
    let server = TestServer::start().await;
    let printed = Command::new(diesel)
        .args(["print-schema", "--database-url", &cluster::superuser_url(&server.database_url)])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&printed.stderr);
    assert!(printed.status.success(), "{said}");
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), source("schema.rs"), "{said}");
}

/// Of each table its columns, with their types.
type Tables = BTreeMap<String, Vec<(String, String)>>;

fn written(text: &str) -> Tables {
    let mut tables = Tables::new();
    let (mut table, mut sql_name) = (String::new(), None);
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            table = name.to_owned();
        } else if let Some(name) = line.strip_prefix("#[sql_name = \"") {
            sql_name = Some(name.trim_end_matches("\"]").to_owned());
        } else if let Some((name, kind)) = line.split_once(" -> ").filter(|_| line.ends_with(',')) {
            let name = sql_name.take().unwrap_or_else(|| name.to_owned());
            let column = (name, kind.trim_end_matches(',').to_owned());
            tables.entry(table.clone()).or_default().push(column);
        }
    }
    tables
}

/// The type without what may be NULL, which nobody knows of a view's columns.
fn bare(kind: &str) -> String {
    kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind).to_owned()
}

const COLUMNS: &str = "SELECT c.relname::text, a.attname::text, t.typname::text, a.attnotnull, c.relkind = 'v' \
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid \
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition \
     AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> '__diesel_schema_migrations' AND c.relname <> 'usage_events' \
     ORDER BY c.relname, a.attnum";

fn diesel_type(name: &str) -> String {
    match name.strip_prefix('_') {
        Some(element) => format!("Array<Nullable<{}>>", diesel_type(element)),
        None => {
            let mut letters = name.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
        }
    }
}

#[tokio::test]
async fn every_column_is_written_with_its_type() {
    let server = TestServer::start().await;
    let (mut tables, mut views) = (Tables::new(), Tables::new());
    for row in server.sql().await.query(COLUMNS, &[]).await.unwrap() {
        let (table, column, kind): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let (is_not_null, is_view): (bool, bool) = (row.get(3), row.get(4));
        let kind = diesel_type(&kind);
        if is_view {
            views.entry(table).or_default().push((column, kind));
        } else {
            let kind = if is_not_null { kind } else { format!("Nullable<{kind}>") };
            tables.entry(table).or_default().push((column, kind));
        }
    }
    assert_eq!(written(&source("schema.rs")), tables);
    for (view, columns) in written(&source("views.rs")) {
        let columns: Vec<_> = columns.into_iter().map(|(name, kind)| (name, bare(&kind))).collect();
        assert_eq!(Some(&columns), views.get(&view), "{view}");
    }
}
