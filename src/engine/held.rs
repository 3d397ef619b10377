//! Accounts that were found held by another transaction: of each the first command alone is tried again and again; the others
//! wait behind it, and no batch has more than one of them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::request::Whose;

/// How soon it is tried again, and at the latest.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(80);

/// Since when one is held, and when it is tried next.
#[derive(Debug, Clone, Copy)]
struct Holding {
    since: Instant,
    next: Instant,
    pause: Duration,
    /// Its first command is in the batch.
    is_tried: bool,
}

/// All of a lane.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<Whose, Holding>);

impl Held {
    /// It was found held, or is held still.
    pub fn found(&mut self, whose: Whose) {
        let now = Instant::now();
        let holding = self.0.entry(whose).or_insert(Holding {
            since: now,
            next: now,
            pause: PAUSE_FIRST,
            is_tried: false,
        });
        holding.is_tried = false;
        holding.next = now.checked_add(holding.pause).unwrap_or(now);
        holding.pause = holding.pause.saturating_mul(2).min(PAUSE_MAX);
    }

    /// Those that are to be tried by now, with since when they are held; those that have waited longest first.
    pub fn due(&self) -> Vec<(Whose, Instant)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        let due = self.0.iter().filter(|(_, holding)| !holding.is_tried && holding.next <= now);
        let mut due: Vec<_> = due.map(|(whose, holding)| (holding.next, *whose, holding.since)).collect();
        due.sort_unstable_by_key(|(next, _, _)| *next);
        due.into_iter().map(|(_, whose, since)| (whose, since)).collect()
    }

    /// Its first command is in the batch.
    pub fn tried(&mut self, whose: Whose) {
        if let Some(holding) = self.0.get_mut(&whose) {
            holding.is_tried = true;
        }
    }

    pub fn forget(&mut self, whose: Whose) {
        self.0.remove(&whose);
    }

    /// Forgets those that were tried and not found held again, and answers which they are.
    pub fn end_tried(&mut self) -> Vec<Whose> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let tried: Vec<Whose> =
            self.0.iter().filter(|(_, holding)| holding.is_tried).map(|(whose, _)| *whose).collect();
        tried.iter().for_each(|whose| self.forget(*whose));
        tried
    }

    /// When the next one is to be tried.
    pub fn next(&self) -> Option<Instant> {
        self.0.values().map(|holding| holding.next).min()
    }
}
