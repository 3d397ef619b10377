//! What the engine is asked to do.

use super::decide::Action;
use super::ids::AccountId;
use super::read_set::ReadSet;

/// A key, and whose.
pub type CommandKey = (AccountId, String);

/// One thing to do to one account, once.
#[derive(Debug, Clone)]
pub struct Command {
    pub account: AccountId,
    /// The same key with the same action is done once. None: what is asked for does nothing more when it is asked again,
    /// because it says which state it is for (a job's step) or to lead to (a cancellation), or whoever asks does not mind (an offer).
    pub key: Option<String>,
    /// Decided like any other, and not kept.
    pub dry_run: bool,
    /// The operator who asks for it, as its token names it: what is above an amount another has to allow. None: whoever asks is no
    /// operator, or nobody asks.
    pub asked_by: Option<String>,
    pub action: Action,
}

impl Command {
    /// What nobody asks for, and does nothing more when it comes again.
    pub fn by_itself(account: AccountId, action: Action) -> Self {
        Self { account, key: None, dry_run: false, asked_by: None, action }
    }

    /// Its account and key, if it is to be kept: what is only tried out leaves no trace under its key.
    pub fn kept_key(&self) -> Option<CommandKey> {
        let key = self.key.as_ref().filter(|_| !self.dry_run)?;
        Some((self.account, key.clone()))
    }
}

impl ReadSet {
    /// What commands need to be read before they are decided.
    pub fn of(commands: &[&Command]) -> Self {
        let mut reads = Self::default();
        for command in commands {
            if let Some(key) = &command.key {
                reads.key_accounts.push(command.account);
                reads.keys.push(key.clone());
            }
            if command.asked_by.is_some() && command.action.is_weighed() {
                reads.weighed.push(command.account);
            }
            command.action.needs(command.account, &mut reads);
        }
        if !reads.suspending.is_empty() {
            for command in commands {
                let count = reads.commands.entry(command.account).or_default();
                *count = count.saturating_add(1);
            }
        }
        reads.plans.sort_unstable();
        reads.plans.dedup();
        reads.payers.sort_unstable();
        reads.payers.dedup();
        reads
    }
}
