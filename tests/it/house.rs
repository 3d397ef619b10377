//! The import rule of src/lib.rs, read from the code itself: imports run one way through the rooms, and each of the
//! large libraries stays in its own.

mod sql;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The rooms in their order: each may name itself and those before it. cli and demo stand beside each other.
const ORDER: [&[&str]; 13] = [
    &["domain"],
    &["store"],
    &["lane"],
    &["engine"],
    &["metering"],
    &["payments"],
    &["jobs"],
    &["graphql"],
    &["documents"],
    &["http"],
    &["server"],
    &["demo", "cli"],
    &["main"],
];
/// Everyone may name it, and it names no one.
const CLOCK: &str = "clock";
/// They name no room, and only those that put the parts together name them; config may name domain.
const LEAVES: [&str; 4] = ["private_pg", "secret", "telemetry", "config"];
/// It names no other room.
const ALONE: &str = "documents";
/// Libraries, by the beginning of their names, and the rooms that may name them.
const LIBRARIES: [(&str, &[&str]); 5] = [
    ("async_graphql", &["graphql", "http"]),
    ("diesel", &["store", "engine"]),
    ("krilla", &["documents"]),
    ("skrifa", &["documents"]),
    ("maud", &["documents"]),
];
/// domain is pure.
const NOT_IN_DOMAIN: [&str; 5] = ["tokio", "diesel", "async_graphql", "axum", "futures_util"];

fn rank(room: &str) -> Option<usize> {
    ORDER.iter().position(|rooms| rooms.contains(&room))
}

fn may_name(room: &str, other: &str) -> bool {
    if room == other || other == CLOCK {
        return true;
    }
    if room == ALONE {
        return false;
    }
    match (rank(room), rank(other)) {
        (Some(own), Some(others)) => others <= own,
        (Some(own), None) => LEAVES.contains(&other) && Some(own) >= rank("server"),
        (None, _) => room == "config" && other == "domain",
    }
}

fn may_use(room: &str, library: &str) -> bool {
    let kept = LIBRARIES
        .iter()
        .filter(|(name, _)| library.starts_with(name))
        .all(|(_, rooms)| rooms.contains(&room));
    let pure = room != "domain" || !NOT_IN_DOMAIN.iter().any(|name| library.starts_with(name));
    kept && pure
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code without comments and the insides of strings; lines stay where they are.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(hashes) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = hashes + 2;
            rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len())
        } else if c == '"' {
            string_length(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').unwrap() + 2
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.extend(rest[..taken].chars().filter(|c| *c == '\n'));
        rest = &rest[taken..];
    }
    code
}

/// How many hashes a raw string that begins here has.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The words of the code, each with its line and what comes right before and after it.
struct Word<'c> {
    text: &'c str,
    line: usize,
    before: &'c str,
    after: &'c str,
}

fn words(code: &str) -> Vec<Word<'_>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(start) = code[at..].find(is_word).map(|found| at + found) {
        let end = code[start..].find(|c| !is_word(c)).map_or(code.len(), |found| start + found);
        let line = code[..start].matches('\n').count() + 1;
        words.push(Word { text: &code[start..end], line, before: &code[..start], after: &code[end..] });
        at = end;
    }
    words
}

/// The first parts of the paths that follow `crate::`, a list in braces included.
fn heads(after: &str) -> Vec<&str> {
    let Some(path) = after.strip_prefix("::") else { return Vec::new() };
    let head = |path: &'_ str| path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    let Some(list) = path.strip_prefix('{') else { return vec![&path[..head(path)]] };
    let mut found = Vec::new();
    let (mut depth, mut begins) = (0, true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                found.push(&list[at..at + head(&list[at..])]);
                begins = false;
            }
            _ => {}
        }
    }
    found
}

fn breaches_of(room: &str, depth: usize, code: &str) -> Vec<(usize, String)> {
    let mut breaches = Vec::new();
    for word in words(code) {
        let own_name = room == "main" && word.text == "abacus";
        let to_root = word.text == "super" && climbs_to_root(&word, depth);
        if (word.text == "crate" || own_name || to_root) && !word.before.ends_with("$") {
            for other in heads(word.after).into_iter().filter(|head| is_room(head)) {
                if !may_name(room, other) {
                    breaches.push((word.line, format!("{room} names {other}")));
                }
            }
        }
        let begins_path = word.after.starts_with("::") && !word.before.trim_end().ends_with("::");
        let imported = word.before.trim_end().ends_with("use");
        if (begins_path || imported) && !may_use(room, word.text) {
            breaches.push((word.line, format!("{room} names {}", word.text)));
        }
    }
    breaches
}

fn is_room(name: &str) -> bool {
    rank(name).is_some() || LEAVES.contains(&name) || name == CLOCK
}

/// Whether this is the last `super` of so many that they lead to the crate's root.
fn climbs_to_root(word: &Word<'_>, depth: usize) -> bool {
    let supers = 1 + word.before.rsplit("::").skip(1).take_while(|part| part.ends_with("super")).count();
    supers >= depth && !word.after.starts_with("::super")
}

/// The room that a file of src/ belongs to, and how many modules deep it is.
fn place(file: &Path) -> (String, usize) {
    let parts: Vec<_> = file.iter().map(|part| part.to_str().unwrap()).collect();
    let depth = parts.len() - usize::from(parts.last() == Some(&"mod.rs"));
    (parts[0].trim_end_matches(".rs").to_owned(), depth)
}

#[test]
fn imports_run_one_way_through_the_rooms() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.sort();
    assert!(files.len() > 80, "the code is where it is looked for");
    let mut breaches = Vec::new();
    for file in &files {
        let inside = file.strip_prefix(&src).unwrap();
        let (room, depth) = place(inside);
        if room == "lib" || room == "core" {
            continue;
        }
        assert!(is_room(&room), "src/{} is in no room that the rule knows", inside.display());
        let code = code_of(&std::fs::read_to_string(file).unwrap());
        let found = breaches_of(&room, depth, &code);
        breaches
            .extend(found.into_iter().map(|(line, what)| format!("src/{}:{line}: {what}", inside.display())));
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

/// They write to many tables, each for one reason: what a wrong clock has written is taken back, what is old goes, and usage that counts no
/// more is taken off all that it went into.
const WRITE_TO_MANY: [&str; 3] =
    ["store/taking_back.rs", "store/retention.rs", "store/usage/voided_usage.rs"];

/// The tables that a file's statements write to.
fn written_tables(text: &str) -> Vec<&str> {
    let beginnings =
        ["INSERT INTO ", "UPDATE ", "DELETE FROM ", "insert_into(\"", "insert_row_into(\"", ".update(\""];
    let after = beginnings
        .iter()
        .flat_map(|begin| text.match_indices(begin).map(|(at, _)| &text[at + begin.len()..]));
    let name =
        |after: &'_ str| after.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(after.len());
    after.map(|after| &after[..name(after)]).collect()
}

#[test]
fn a_table_is_written_by_one_file() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let schema = std::fs::read_to_string(src.join("store/schema.rs")).unwrap();
    let tables: Vec<&str> =
        schema.split("diesel::table! {").skip(1).filter_map(|table| table.trim().split(' ').next()).collect();
    assert!(tables.len() > 50 && tables.contains(&"orders"), "{tables:?}");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut writers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        for table in written_tables(&text).into_iter().filter(|name| tables.contains(name)) {
            if !WRITE_TO_MANY.contains(&inside.as_str()) {
                writers.entry(table.to_owned()).or_default().insert(inside.clone());
            }
        }
    }
    assert!(writers.len() > 50, "{writers:#?}");
    writers.retain(|_, files| files.len() > 1 || files.iter().any(|file| !file.starts_with("store/")));
    assert!(writers.is_empty(), "{writers:#?}");
}

#[test]
fn the_rule_notices_a_breach_however_it_is_written() {
    let breach = |room: &str, depth, code: &str| !breaches_of(room, depth, &code_of(code)).is_empty();
    for (room, code) in [
        ("domain", "use crate::store::rows;"),
        ("domain", "use crate::{clock::Clock, store::{rows, list}};"),
        ("domain", "fn f() { tokio::spawn(async {}); }"),
        ("domain", "use diesel_async::RunQueryDsl;"),
        ("store", "let x = crate::engine::Engine::new();"),
        ("store", "use crate::lane::Lane;"),
        ("store", "use async_graphql::ID;"),
        ("lane", "use crate::engine::EngineError;"),
        ("lane", "use crate::metering::Meter;"),
        ("lane", "use diesel_async::AsyncPgConnection;"),
        ("graphql", "use diesel::prelude::*;"),
        ("graphql", "use crate::{\n    domain::x,\n    http::token::TokenKey,\n};"),
        ("server", "use crate::cli::run;"),
        ("private_pg", "use crate::domain::money;"),
        ("clock", "use crate::domain::money;"),
        ("engine", "use crate::config::Cli;"),
        ("documents", "use crate::domain::money;"),
        ("http", "use maud::html;"),
    ] {
        assert!(breach(room, 2, code), "{room}: {code}");
    }
    assert!(breach("domain", 2, "use super::super::store::rows;"));
    assert!(breach("config", 1, "use super::store::rows;"));
    for (room, code) in [
        ("store", "use crate::domain::money; use crate::store::rows; use crate::clock::Clock;"),
        (
            "domain",
            "// use crate::store;\n/// crate::store::x\nlet x = \"crate::store::rows \\\" use tokio::x\";",
        ),
        ("domain", "let x = r#\"crate::store \"quoted\"\"#;"),
        ("lane", "use crate::store::error::StoreError; use crate::domain::command::Command;"),
        ("engine", "use crate::lane::Lane;"),
        ("config", "use crate::domain::money::Currencies;"),
        ("cli", "use crate::demo::fill; use crate::private_pg::Options;"),
    ] {
        assert!(!breach(room, 2, code), "{room}: {code}");
    }
}
