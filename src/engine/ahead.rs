//! Accounts whose last entry is dated into the future, by a machine whose clock was wrong.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::domain::account::Account;
use crate::domain::command::Command;
use crate::domain::ids::AccountId;

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

/// The accounts whose last entry is still to come, and when that is.
pub(super) fn dated_ahead(
    accounts: &[Account],
    clock: &Clock,
    now: DateTime<Utc>,
) -> Vec<(AccountId, DateTime<Utc>)> {
    // A sandbox's clock may be moved by another server, and is followed.
    let is_to_come =
        |last: &DateTime<Utc>| !clock.is_movable() && last.signed_duration_since(now) > AHEAD_MAX;
    accounts.iter().filter_map(|account| Some((account.id, account.head.time.filter(is_to_come)?))).collect()
}

impl Ahead {
    /// Of accounts that are dated ahead, with those that operators have said are followed there.
    pub fn of(ahead: Vec<(AccountId, DateTime<Utc>)>, accepted: Vec<(AccountId, DateTime<Utc>)>) -> Self {
        let accepted: BTreeMap<_, _> = accepted.into_iter().collect();
        let entry = |(account, last)| {
            let is_accepted = accepted.get(&account).is_some_and(|until| last <= *until);
            (account, LastEntry { last, is_accepted })
        };
        Self(ahead.into_iter().map(entry).collect())
    }

    /// When the last entry of a command's account is dated, if it is not carried out for that.
    pub fn holding_up(&self, command: &Command) -> Option<DateTime<Utc>> {
        let entry = self.0.get(&command.account)?;
        let is_followed = entry.is_accepted && command.action.is_followed();
        (!is_followed).then_some(entry.last)
    }
}
