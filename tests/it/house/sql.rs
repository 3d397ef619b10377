//! What SQL must not say, so that a cluster takes it as well (docs/adr/0035), read from the texts themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::rust_files;

/// Migrations from this one on are held to it.
const FIRST: u32 = 48;

/// Tables that no account owns, and that no shard has.
const OF_NOBODY: [&str; 1] = ["leases"];
/// What is another at each call.
const VOLATILE: [&str; 5] = ["nextval(", "clock_timestamp(", "now(", "random(", "gen_random_uuid("];

/// Arrays that are no keys: of none of them a statement is sent as well. The file, how many, and why.
const NO_KEYS: [(&str, usize, &str); 7] = [
    ("store/accounts/account_creation.rs", 1, "what is counted; there is always a key of the ledger"),
    ("store/bills/mod.rs", 1, "bills that are left out"),
    ("store/burst.rs", 1, "accounts that are left out"),
    ("store/deposits.rs", 2, "tokens of a chain"),
    ("store/ledger_check/standing.rs", 3, "faults that stay"),
    ("store/migrations.rs", 1, "what is counted"),
    ("store/taking_back.rs", 1, "none is all"),
];

/// The texts of a file of Rust, without comments, in one line.
fn one_line(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let joined: Vec<&str> = lines.map(|line| line.trim().trim_end_matches('\\')).collect();
    joined.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The files of src/, by their paths in it.
fn sources() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let inside = |file: &PathBuf| file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|file| (inside(file), one_line(&std::fs::read_to_string(file).unwrap()))).collect()
}

/// Whether a SELECT names nothing.
fn selects_nothing(text: &str) -> bool {
    text.contains("SELECT FROM ")
}

/// What rows become that are there already, of tables that may be an account's, and says something that is another at each call.
fn volatile_upserts(text: &str) -> Vec<&str> {
    let insert = |before: &str| {
        let begins = ["INSERT INTO ", "insert_into(\"", "insert_row_into(\""].into_iter();
        begins.filter_map(|begin| before.rfind(begin).map(|at| at + begin.len())).max()
    };
    let upserts = text.match_indices("DO UPDATE SET ").filter_map(|(at, _)| {
        let (before, after) = text.split_at(at);
        let table = &before[insert(before)?..];
        let is_of_nobody = OF_NOBODY.iter().any(|name| table.starts_with(name));
        // The statement ends where its call does.
        (!is_of_nobody).then(|| after.split(';').next().unwrap_or(after))
    });
    upserts.filter(|upsert| VOLATILE.iter().any(|call| upsert.contains(call))).collect()
}

#[test]
fn statements_say_nothing_that_a_cluster_refuses() {
    let sources = sources();
    assert!(sources.len() > 80 && sources.contains_key("store/leases.rs"));
    for (file, text) in &sources {
        assert!(!selects_nothing(text), "src/{file}: SELECT 1 FROM");
        let volatile = volatile_upserts(text);
        assert!(volatile.is_empty(), "src/{file}: excluded has it from the column's default: {volatile:#?}");
    }
}

#[test]
fn arrays_are_keys_of_none_of_which_nothing_is_sent() {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for (file, text) in sources() {
        let arrays =
            text.matches(".value::<Array<").count() + text.matches(".value::<Nullable<Array<").count();
        if arrays > 0 && file != "store/sql/statement.rs" {
            found.insert(file, arrays);
        }
    }
    let known = NO_KEYS.iter().map(|(file, count, _)| ((*file).to_owned(), *count)).collect();
    assert_eq!(found, known, "keys are bound by `keys`, so that of none nothing is sent");
}

/// The statements of a migration, without comments, each in one line.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter_map(|line| line.split("--").next()).collect();
    let plain = code.join(" ").split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    plain.split(';').map(|statement| statement.trim().to_owned()).filter(|s| !s.is_empty()).collect()
}

/// How many commands an ALTER TABLE has: they are apart by commas outside of parentheses.
fn commands(alter: &str) -> usize {
    let mut depth = 0_i32;
    let mut count = 1;
    for c in alter.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => count += 1,
            _ => {}
        }
    }
    count
}

/// What of a migration's statement a cluster refuses, or takes and forgets.
fn breach(statement: &str) -> Option<&'static str> {
    let is_trigger =
        statement.contains("CREATE TRIGGER ") || statement.contains("CREATE OR REPLACE TRIGGER ");
    let events = statement.split(" ON ").next().unwrap_or_default();
    let is_mixed = events.contains(" OR TRUNCATE") || events.contains("TRUNCATE OR ");
    if is_trigger && is_mixed {
        return Some("a trigger of TRUNCATE is of nothing else");
    }
    let at = statement.find("ALTER TABLE ")?;
    let alter = &statement[at..];
    if commands(alter) > 1 {
        return Some("an ALTER has one command");
    }
    let (before, _) = alter.split_once(" CHECK ").or_else(|| alter.split_once(" CHECK("))?;
    let is_unnamed = before.contains(" ADD COLUMN ") && !before.contains(" CONSTRAINT ");
    is_unnamed.then_some("the CHECK of a column that is added has a name")
}

#[test]
fn migrations_do_nothing_that_a_cluster_refuses() {
    let all = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
    let mut looked_at = 0;
    for folder in all.map(|entry| entry.unwrap().path()) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        if name[11..17].parse::<u32>().unwrap() < FIRST {
            continue;
        }
        looked_at += 1;
        for statement in statements(&std::fs::read_to_string(folder.join("up.sql")).unwrap()) {
            assert_eq!(breach(&statement), None, "{name}: {statement}");
        }
    }
    assert!(looked_at >= 2);
}

#[test]
fn the_rules_notice_a_breach() {
    assert!(selects_nothing(&one_line("let x = \"EXISTS (SELECT \\\n    FROM t)\";")));
    assert!(!selects_nothing(&one_line("// SELECT FROM t\nlet x = \"SELECT 1 FROM t\";")));
    let upsert = |table: &str, set: &str| {
        one_line(&format!(
            "x(\"INSERT INTO {table} (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET {set}\"); now();"
        ))
    };
    assert_eq!(volatile_upserts(&upsert("late_usage", "b = nextval('n')")).len(), 1);
    assert!(volatile_upserts(&upsert("late_usage", "b = excluded.b")).is_empty());
    assert!(volatile_upserts(&upsert("leases AS l", "b = clock_timestamp()")).is_empty());
    for (sql, is_breach) in [
        (
            "CREATE TRIGGER t BEFORE DELETE OR TRUNCATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION f()",
            true,
        ),
        ("CREATE OR REPLACE TRIGGER t BEFORE TRUNCATE OR DELETE ON orders EXECUTE FUNCTION f()", true),
        ("CREATE TRIGGER t BEFORE UPDATE OR DELETE ON orders EXECUTE FUNCTION f()", false),
        ("CREATE TRIGGER t BEFORE TRUNCATE ON orders EXECUTE FUNCTION f()", false),
        ("ALTER TABLE t ADD COLUMN a int CHECK (a > 0)", true),
        ("ALTER TABLE t ADD COLUMN a int CONSTRAINT a_is_positive CHECK (a > 0)", false),
        ("ALTER TABLE t ADD CONSTRAINT a_is_some CHECK (a IN (1, 2))", false),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (a, b)", true),
        ("ALTER TABLE t ADD PRIMARY KEY (a, b)", false),
        ("ALTER TABLE t ADD COLUMN a int,\n    ADD COLUMN b int", true),
    ] {
        let found: Vec<_> = statements(sql).iter().filter_map(|statement| breach(statement)).collect();
        assert_eq!(!found.is_empty(), is_breach, "{sql}: {found:?}");
    }
}
