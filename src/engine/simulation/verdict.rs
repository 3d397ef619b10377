//! What is in the store in the end, against what clients were told.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::clients::{KeyOutcome, KeyReport};
use super::model::Model;
use crate::domain::ids::AccountId;
use crate::domain::ledger::Entry;

pub(super) fn check(seed: u64, model: &Model, told: &[KeyReport]) {
    let state = model.state();
    let mut posted: BTreeMap<(AccountId, &str), Vec<&Entry>> = BTreeMap::new();
    for (account, entries) in &state.entries {
        let mut end = Decimal::ZERO;
        for (number, entry) in (1..).zip(entries) {
            assert_eq!((entry.seq, entry.initial), (number, end), "seed {seed}: the chain of {account}");
            assert!(entry.end >= Decimal::ZERO, "seed {seed}: {account} was overdrawn");
            end = entry.end;
            posted.entry((*account, key_of(entry))).or_default().push(entry);
        }
    }
    let mut last: BTreeMap<(u64, AccountId), i64> = BTreeMap::new();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for KeyReport { account, key, known, by, is_in_order } in told {
        let entries = posted.get(&(*account, key.as_str())).map_or(&[][..], Vec::as_slice);
        let when = format!("seed {seed}: {key} of {account}, {known:?}");
        assert!(entries.len() <= 1, "{when}, was done {} times", entries.len());
        let is_done = !entries.is_empty();
        assert_eq!(state.answers.contains_key(&(*account, key.clone())), is_done, "{when}: its key");
        match known {
            KeyOutcome::Done => assert!(is_done, "{when}, is not there"),
            KeyOutcome::Refused | KeyOutcome::NotDone => assert!(!is_done, "{when}, was done after all"),
            KeyOutcome::Unknown => {}
        }
        *counts.entry(name_of(*known)).or_default() += 1;
        if *is_in_order && let Some(entry) = entries.first() {
            let before = last.insert((by.0, *account), entry.seq).unwrap_or_default();
            assert!(before < entry.seq, "{when}, was done before what was asked and answered earlier");
        }
    }
    println!("  {} statements: {counts:?}", state.statements);
}

fn name_of(known: KeyOutcome) -> &'static str {
    match known {
        KeyOutcome::Done => "done",
        KeyOutcome::Refused => "refused",
        KeyOutcome::NotDone => "not done",
        KeyOutcome::Unknown => "unknown",
    }
}

/// The key, as the reason says it.
fn key_of(entry: &Entry) -> &str {
    entry.reason.split_whitespace().last().unwrap_or_default()
}
