//! A restore of the database from a backup.

use chrono::{DateTime, Utc};

use super::ids::AccountId;

/// Since when a database goes on from a backup. What was made after the backup is gone, and others may have its names by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restoration {
    pub at: DateTime<Utc>,
    /// No account of before has this number, or a greater one.
    pub first_account: AccountId,
}

impl Restoration {
    /// Whether a token for the account's namespace that was made at `made_at` meant another account, which is gone.
    pub fn outdates(&self, account: AccountId, made_at: DateTime<Utc>) -> bool {
        account >= self.first_account && made_at < self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_before_is_good_for_the_accounts_of_before_alone() {
        let at: DateTime<Utc> = "2026-11-30T12:00:00.5Z".parse().unwrap();
        let restoration = Restoration { at, first_account: AccountId(2_000) };
        let (before, after) =
            ("2026-11-30T12:00:00Z".parse().unwrap(), "2026-11-30T12:00:01Z".parse().unwrap());
        assert!(restoration.outdates(AccountId(2_000), before));
        assert!(!restoration.outdates(AccountId(1_999), before));
        assert!(!restoration.outdates(AccountId(2_000), after));
    }
}
