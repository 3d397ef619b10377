//! Commands that must not be carried out any more: their callers may have been told otherwise meanwhile.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::command::Command;
use crate::store::error::StoreError;
use crate::store::{Conn, keys};

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
pub(super) struct Stale(HashSet<usize>);

impl Stale {
    /// Of a batch whose accounts were locked at that time of the database: whoever decides the same keys elsewhere waits for
    /// that. A command is stale that has waited too long, or whose key was refused since it arrived.
    pub async fn of(
        conn: Conn<'_>,
        batch: &[Asked<'_>],
        locked_at: Option<DateTime<Utc>>,
        patience: Patience,
    ) -> Result<Self, StoreError> {
        let mut stale: HashSet<usize> = HashSet::new();
        let mut in_question = Vec::new();
        for (index, asked) in batch.iter().enumerate() {
            let waited = asked.arrived.elapsed();
            if waited > patience.waiting_max {
                stale.insert(index);
            } else if let (true, Some(key)) =
                (waited > patience.elsewhere_after && !asked.command.dry_run, &asked.command.key)
            {
                in_question.push((index, asked.command.account, key.clone(), waited));
            }
        }
        let Some(locked_at) = locked_at.filter(|_| !in_question.is_empty()) else { return Ok(Self(stale)) };
        let keys = in_question.iter().map(|(_, account, key, _)| (*account, key.clone())).collect();
        let refused = keys::refused_keys(conn, keys).await?;
        for (index, account, key, waited) in in_question {
            let arrived =
                TimeDelta::from_std(waited).ok().and_then(|waited| locked_at.checked_sub_signed(waited));
            let is_refused_since = |(of, refused, at): &(_, String, DateTime<Utc>)| {
                *of == account && *refused == key && arrived.is_none_or(|arrived| *at >= arrived)
            };
            if refused.iter().any(is_refused_since) {
                stale.insert(index);
            }
        }
        Ok(Self(stale))
    }

    pub fn holds(&self, index: usize) -> bool {
        self.0.contains(&index)
    }
}
