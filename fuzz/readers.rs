//! What is tried of each reader of strangers' bytes: that it comes back at all, that what it takes it would take again as it prints
//! it, and that it takes nothing that is not signed. fuzz/fuzz_targets/ tries it with made-up bytes, and
//! tests/it/fuzz_corpus.rs with those that are kept.
#![allow(dead_code, reason = "each target tries one")]

use abacus::domain::ids::{NodeId, account_of_number, parse_printed_number};
use abacus::domain::viewer::Role;
use abacus::graphql::fuzz_entry_points;
use abacus::http::token::TokenKey;
use abacus::http::usage;
use abacus::payments::stripe::webhook::Webhook;
use chrono::DateTime;

/// No secret of anybody's.
const SECRET: &[u8] = b"what fuzzing signs and never publishes";

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// What is read is printed so that it is read as the same.
fn comes_back(read: fn(&str) -> Option<String>, text: &str) {
    if let Some(printed) = read(text) {
        assert_eq!(read(&printed).as_deref(), Some(printed.as_str()), "{text:?}");
    }
}

/// Decimals, and codes of currencies.
pub fn decimals(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    comes_back(fuzz_entry_points::decimal, text);
    comes_back(fuzz_entry_points::currency, text);
}

/// Instants and days.
pub fn dates(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    comes_back(fuzz_entry_points::instant, text);
    comes_back(fuzz_entry_points::day, text);
    assert!(
        fuzz_entry_points::day(text).is_none_or(|printed| printed == text),
        "a day has one spelling: {text:?}"
    );
}

/// Ids, and numbers that people read.
pub fn ids(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Some(id) = NodeId::parse(text) {
        assert_eq!(NodeId::parse(text), Some(id));
    }
    for letter in ['O', 'B', 'R'] {
        let range = parse_printed_number(letter, text).map(|(account, range)| {
            assert!(range.start <= range.end, "{text:?}");
            account
        });
        assert_eq!(range, account_of_number(letter, text));
    }
}

/// Cursors.
pub fn cursors(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    for (kind, printed) in fuzz_entry_points::cursors(text).into_iter().enumerate() {
        if let Some(printed) = printed {
            assert_eq!(
                fuzz_entry_points::cursors(&printed)[kind].as_deref(),
                Some(printed.as_str()),
                "{text:?}"
            );
        }
    }
}

/// Usage: lines of NDJSON, and batches of CloudEvents.
pub fn usage(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let (id, Ok(report)) = usage::read_line(line) {
            assert_eq!(
                id.as_deref(),
                Some(report.id.as_str()),
                "an event that is taken has the id that it is answered by"
            );
        }
    }
    if let Ok(events) = usage::read_cloud_events(bytes) {
        assert!(events.iter().all(|(id, report)| report.is_err() || id.is_some()));
    }
}

/// Signed events: the header up to the first line's end, and the body. None of them is signed by anybody.
pub fn webhooks(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, body) = bytes.split_at(end);
    let Some(header) = text(header) else { return };
    let webhook = Webhook::new(vec![String::from_utf8_lossy(SECRET).into_owned(), String::new()]);
    let now = DateTime::from_timestamp(1_700_000_000, 0).expect("an instant");
    let read = webhook.read(header, body.get(1..).unwrap_or_default(), now);
    assert!(read.is_err(), "it is signed by nobody: {header:?}");
}

/// Tokens. Those that are taken were signed, and those that were signed are taken only as they are.
pub fn tokens(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let key = TokenKey::new(SECRET).expect("a key");
    assert!(key.verify(text).is_err(), "it is signed by nobody: {text:?}");
    let now = DateTime::from_timestamp(4_000_000_000, 0).expect("an instant");
    let token = key.issue("fuzz", Role::Operator, None, now, 60).expect("a token");
    assert!(key.verify(&token).is_ok());
    let altered = format!("{token}{text}");
    assert!(text.is_empty() || key.verify(&altered).is_err(), "it is taken with more: {text:?}");
}
