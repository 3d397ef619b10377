//! Who acts counts as well as whose it is: what the account of whoever asks for something must be, beside what the account
//! must be that it is done to. A closed MAIN account does nothing for its SUBs, a suspended one nothing that costs money.

use super::account::{Account, AccountStatus};
use super::ids::AccountId;
use super::refusal::{Refusal, RefusalCode};

/// What something that a customer may ask for has to do with money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stake {
    /// It newly costs money.
    Purchase,
    /// It moves money: what is owed is paid, or a balance filled.
    Payment,
    /// It costs nothing: something is set, ended, offered or noted.
    Setting,
}

impl Stake {
    /// Whether the status of the account that acts is looked at. What an account buys and pays for itself is decided under
    /// its own lock, with what its status allows.
    pub fn concerns_actor(self, actor: AccountId, target: AccountId) -> bool {
        actor != target || self == Self::Setting
    }

    /// Refuses what this account may not have done to that one.
    pub fn require_of(self, actor: &Account, target: AccountId) -> Result<(), Refusal> {
        let message = match actor.status {
            _ if !self.concerns_actor(actor.id, target) => return Ok(()),
            AccountStatus::Active => return Ok(()),
            AccountStatus::Closed => "your account is closed: it may read, and nothing else",
            AccountStatus::Suspended if actor.id == target || self == Self::Setting => return Ok(()),
            AccountStatus::Suspended => {
                "your account is suspended: it does nothing for others that costs money"
            }
        };
        Err(Refusal::general(RefusalCode::AccountSuspended, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an active, a suspended and a closed account may have something done.
    fn may(stake: Stake, actor: AccountId, target: AccountId) -> [bool; 3] {
        [AccountStatus::Active, AccountStatus::Suspended, AccountStatus::Closed].map(|status| {
            let account = Account { status, ..account(actor) };
            stake.require_of(&account, target).is_ok()
        })
    }

    fn account(id: AccountId) -> Account {
        let currency = crate::domain::money::CurrencyCode::parse("CNY").unwrap();
        Account::opened(
            id,
            "main".to_owned(),
            "Main".to_owned(),
            currency,
            "2026-11-29T00:00:00Z".parse().unwrap(),
        )
    }

    #[test]
    fn a_closed_account_does_nothing_for_others_and_a_suspended_one_nothing_that_costs_money() {
        let (main, sub) = (AccountId(1), AccountId(2));
        for (stake, for_itself, for_another) in [
            // What an account buys and pays for itself is its own decision's to refuse.
            (Stake::Purchase, [true, true, true], [true, false, false]),
            (Stake::Payment, [true, true, true], [true, false, false]),
            (Stake::Setting, [true, true, false], [true, true, false]),
        ] {
            assert_eq!(may(stake, main, main), for_itself, "{stake:?}");
            assert_eq!(may(stake, main, sub), for_another, "{stake:?}");
        }
    }
}
