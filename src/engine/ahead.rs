//! Accounts whose last entry is dated into the future, by a machine whose clock was wrong.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::domain::account::Account;
use crate::domain::command::Command;
use crate::domain::ids::AccountId;
use crate::store::error::StoreError;
use crate::store::{Conn, accepted_futures};

/// So far ahead an account's last entry may be dated: clocks are never quite the same.
const AHEAD_MAX: TimeDelta = TimeDelta::minutes(1);

/// A last entry that is still to come.
struct LastEntry {
    last: DateTime<Utc>,
    /// Whether an operator has said that the account is followed there.
    is_accepted: bool,
}

/// The accounts of a batch that are dated ahead.
pub(super) struct Ahead(BTreeMap<AccountId, LastEntry>);

impl Ahead {
    pub async fn of(
        conn: Conn<'_>,
        accounts: &[Account],
        (clock, now): (&Clock, DateTime<Utc>),
    ) -> Result<Self, StoreError> {
        // A sandbox's clock may be moved by another server, and is followed.
        let is_to_come =
            |last: &DateTime<Utc>| !clock.is_movable() && last.signed_duration_since(now) > AHEAD_MAX;
        let ahead =
            accounts.iter().filter_map(|account| Some((account.id, account.head.time.filter(is_to_come)?)));
        let ahead: Vec<(AccountId, DateTime<Utc>)> = ahead.collect();
        if ahead.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let numbers = ahead.iter().map(|(account, _)| account.0).collect();
        let accepted: BTreeMap<_, _> =
            accepted_futures::accepted_until(conn, numbers).await?.into_iter().collect();
        let entry = |(account, last)| {
            let is_accepted = accepted.get(&account).is_some_and(|until| last <= *until);
            (account, LastEntry { last, is_accepted })
        };
        Ok(Self(ahead.into_iter().map(entry).collect()))
    }

    /// When the last entry of a command's account is dated, if it is not carried out for that.
    pub fn holding_up(&self, command: &Command) -> Option<DateTime<Utc>> {
        let entry = self.0.get(&command.account)?;
        let is_followed = entry.is_accepted && command.action.is_followed();
        (!is_followed).then_some(entry.last)
    }
}
