//! Who is asking, and what they may see and do.

use super::account::Account;
use super::codes::coded_enum;
use super::ids::AccountId;

coded_enum! {
    /// What a token lets its bearer do.
    Role {
        /// The provider: every account, prices, plans.
        Operator = "OPERATOR",
        /// The provider, reading only: sees what operators see, and changes nothing.
        Auditor = "AUDITOR",
        /// An account: its own things, and those of its sub-accounts.
        Customer = "CUSTOMER",
        /// A metering agent: records usage and nothing else.
        Service = "SERVICE",
    }
}

/// The bearer of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub subject: String,
    pub role: Role,
    /// The account that the token is for; a customer always has one.
    pub account: Option<AccountId>,
}

impl Viewer {
    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    /// Whether it is one of the provider's people, who see every account.
    pub fn is_of_provider(&self) -> bool {
        matches!(self.role, Role::Operator | Role::Auditor)
    }

    /// Whether it may report what was used, of any account.
    pub fn may_report_usage(&self) -> bool {
        matches!(self.role, Role::Operator | Role::Service)
    }

    /// Which accounts' things it may see.
    pub fn scope(&self) -> Scope {
        match (self.role, self.account) {
            (Role::Operator | Role::Auditor, _) => Scope::All,
            (Role::Customer, Some(own)) => Scope::Family(own),
            (Role::Customer, None) | (Role::Service, _) => Scope::Nothing,
        }
    }

    /// Whether it may see this account and what that owns.
    pub fn sees(&self, account: &Account) -> bool {
        match self.scope() {
            Scope::All => true,
            Scope::Family(own) => account.id == own || account.parent == Some(own),
            Scope::One(own) => account.id == own,
            Scope::Nothing | Scope::Catalogue => false,
        }
    }
}

/// Whose things somebody may see, or a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Whatever accounts own.
    All,
    /// What this account owns.
    One(AccountId),
    /// This account and its sub-accounts.
    Family(AccountId),
    Nothing,
    /// What no account owns.
    Catalogue,
}
