//! Keys whose commands may have been carried out, or may still be: whoever asks again with one of them must not be told that
//! nothing was done.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::engine_error::EngineError;
use crate::domain::command::{Command, CommandKey};

/// Keys that are remembered; beyond, those that have been in doubt the longest are forgotten.
const REMEMBERED: usize = 10_000;

/// The keys of a server's commands that are in doubt.
#[derive(Default)]
pub(super) struct Doubts(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    keys: HashSet<CommandKey>,
    in_order: VecDeque<CommandKey>,
}

impl Doubts {
    /// Nobody knows what became of the command with that key.
    pub fn begin(&self, key: Option<CommandKey>) {
        let Some(key) = key else { return };
        self.with(|remembered| {
            if remembered.keys.insert(key.clone()) {
                remembered.in_order.push_back(key);
            }
            while remembered.in_order.len() > REMEMBERED {
                if let Some(oldest) = remembered.in_order.pop_front() {
                    remembered.keys.remove(&oldest);
                }
            }
        });
    }

    /// It was decided, under the account's lock.
    pub fn end(&self, command: &Command) {
        self.with(|remembered| {
            // As a rule there are none.
            if remembered.keys.is_empty() {
                return;
            }
            if let Some(key) = command.kept_key()
                && remembered.keys.remove(&key)
            {
                remembered.in_order.retain(|held| *held != key);
            }
        });
    }

    /// Whether the outcome of every command is known.
    pub fn are_none(&self) -> bool {
        self.with(|remembered| remembered.keys.is_empty())
    }

    /// What is answered of a command that was not carried out because of `error`.
    pub fn told(&self, command: &Command, error: EngineError) -> EngineError {
        let is_in_doubt = self.with(|remembered| {
            !remembered.keys.is_empty()
                && command.kept_key().is_some_and(|key| remembered.keys.contains(&key))
        });
        if is_in_doubt { EngineError::Unknown } else { error }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Remembered) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decide::{Action, Recharge};
    use crate::domain::ids::AccountId;
    use rust_decimal::Decimal;

    fn command(key: &str, dry_run: bool) -> Command {
        let recharge = Recharge { amount: Decimal::ONE, payment_method: "sandbox".to_owned(), reason: None };
        Command {
            account: AccountId(1),
            key: Some(key.to_owned()),
            dry_run,
            asked_by: None,
            action: Action::Recharge(recharge),
        }
    }

    fn is_unknown(doubts: &Doubts, key: &str) -> bool {
        matches!(doubts.told(&command(key, false), EngineError::Overloaded), EngineError::Unknown)
    }

    #[test]
    fn a_key_is_in_doubt_until_it_is_decided() {
        let doubts = Doubts::default();
        doubts.begin(command("k", false).kept_key());
        doubts.begin(command("tried", true).kept_key());
        assert!(is_unknown(&doubts, "k") && !is_unknown(&doubts, "other") && !is_unknown(&doubts, "tried"));
        doubts.end(&command("k", false));
        assert!(!is_unknown(&doubts, "k"));
    }

    #[test]
    fn those_that_are_in_doubt_the_longest_are_forgotten_first() {
        let doubts = Doubts::default();
        for number in 0..=REMEMBERED {
            doubts.begin(command(&number.to_string(), false).kept_key());
        }
        assert!(!is_unknown(&doubts, "0") && is_unknown(&doubts, "1"));
    }
}
