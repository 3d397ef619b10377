//! Commands that must not be carried out any more: their callers may have been told otherwise meanwhile.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::domain::command::{Command, CommandKey};
use crate::domain::ids::AccountId;

/// How long commands may wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// One that has waited longer is not carried out any more: its caller may have left, and must not be surprised.
    pub waiting_max: Duration,
    /// Nobody gives a server up, asks another and is refused there within this time.
    pub elsewhere_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { waiting_max: Duration::from_secs(45), elsewhere_after: Duration::from_millis(100) }
    }
}

/// A command of a batch.
#[derive(Clone, Copy)]
pub(super) struct Asked<'c> {
    pub command: &'c Command,
    pub arrived: Instant,
}

/// Which commands of a batch those are, by their places in it.
pub(super) struct Stale {
    places: HashSet<usize>,
    /// Those that may have been refused elsewhere, with how long they have waited.
    in_question: Vec<(usize, CommandKey, Duration)>,
}

impl Stale {
    /// Those that have waited too long. Of others it is to be asked whether they were refused since.
    pub fn of(batch: &[Asked<'_>], patience: Patience) -> Self {
        let (mut places, mut in_question) = (HashSet::new(), Vec::new());
        for (index, asked) in batch.iter().enumerate() {
            let waited = asked.arrived.elapsed();
            if waited > patience.waiting_max {
                places.insert(index);
            } else if waited > patience.elsewhere_after
                && let Some(key) = asked.command.kept_key()
            {
                in_question.push((index, key, waited));
            }
        }
        Self { places, in_question }
    }

    /// The keys of which it is to be asked whether they were refused.
    pub fn keys_in_question(&self) -> Vec<CommandKey> {
        self.in_question.iter().map(|(_, key, _)| key.clone()).collect()
    }

    /// Of a batch whose accounts were locked at that time of the database: whoever decides the same keys elsewhere waits for
    /// that. A command is stale whose key was refused since it arrived.
    pub fn note_refused(&mut self, refused: &[(AccountId, String, DateTime<Utc>)], locked_at: DateTime<Utc>) {
        for (index, (account, key), waited) in self.in_question.drain(..) {
            let arrived =
                TimeDelta::from_std(waited).ok().and_then(|waited| locked_at.checked_sub_signed(waited));
            let is_refused_since = |(of, refused, at): &(_, String, DateTime<Utc>)| {
                *of == account && *refused == key && arrived.is_none_or(|arrived| *at >= arrived)
            };
            if refused.iter().any(is_refused_since) {
                self.places.insert(index);
            }
        }
    }

    pub fn holds(&self, index: usize) -> bool {
        self.places.contains(&index)
    }
}
