//! Accounts: who owes and owns.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::burst::BurstState;
use super::codes::coded_enum;
use super::ids::AccountId;
use super::money::{self, CurrencyCode, OutOfRange};

coded_enum! {
    /// A MAIN account stands alone and may have SUB accounts, which it sees and pays for.
    AccountKind { Main = "MAIN", Sub = "SUB", }
}

coded_enum! {
    /// What an account may do.
    AccountStatus {
        Active = "ACTIVE",
        /// May recharge, pay and read; whatever would newly cost money is refused.
        Suspended = "SUSPENDED",
        /// What is open may still be paid, and what is left is paid out; nothing else.
        Closed = "CLOSED",
    }
}

coded_enum! {
    /// Why an account is suspended.
    Suspension {
        /// An operator has done it, and undoes it.
        Operator = "OPERATOR",
        /// A bill was not paid within the grace period; paying it lifts the suspension.
        OverdueBill = "OVERDUE_BILL",
        /// A debit that could not be avoided took the balance below its limit; money that comes in lifts the suspension.
        Overdrawn = "OVERDRAWN",
    }
}

/// The provider's person for this customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    pub name: String,
    pub email: Option<String>,
}

/// A SHA-256, or an HMAC of it.
pub type Hash = [u8; 32];

/// Where an account's ledger ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The number of the last entry; 0 before the first.
    pub seq: i64,
    /// Of the last entry; before the first, zeros.
    pub hash: Hash,
    pub time: Option<DateTime<Utc>>,
}

/// An account, with the end of its ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub namespace: String,
    pub external_id: Option<String>,
    pub name: String,
    pub kind: AccountKind,
    pub parent: Option<AccountId>,
    pub status: AccountStatus,
    /// Why it is suspended, while it is.
    pub suspension: Option<Suspension>,
    /// Since when it is suspended, while it is.
    pub suspended_at: Option<DateTime<Utc>>,
    /// A suspension was lifted by hand: until then what is overdue does not suspend the account again.
    pub suspension_held_until: Option<DateTime<Utc>>,
    pub currency: CurrencyCode,
    pub time_zone: Tz,
    pub manager: Option<Manager>,
    pub credit_limit: Option<Decimal>,
    pub balance: Decimal,
    /// Whether a debit that could not be avoided took the balance below the limit.
    pub overdrawn: bool,
    /// Whether it ever had an order that was paid.
    pub purchased: bool,
    /// The last number that it gave to something it owns.
    pub last_number: i64,
    /// Up to when its months are closed: billed, or found to hold nothing to bill. None: none yet.
    pub closed_until: Option<DateTime<Utc>>,
    /// When it was closed as an account, if it is.
    pub closed_at: Option<DateTime<Utc>>,
    /// When what names a person was blanked, if it was: nothing is done for it any more.
    pub erased_at: Option<DateTime<Utc>>,
    /// What an hour of all its live orders on demand costs.
    pub on_demand_rate: Decimal,
    /// What it is charged for capacity beyond its subscriptions.
    pub burst: BurstState,
    /// The end of its ledger.
    pub head: Head,
    pub created_at: DateTime<Utc>,
}

/// When an account was suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuspendedSpan {
    pub account: AccountId,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Account {
    /// A new one: MAIN, active, in UTC, without anything that has come of it.
    pub fn opened(
        id: AccountId,
        namespace: String,
        name: String,
        currency: CurrencyCode,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            namespace,
            external_id: None,
            name,
            kind: AccountKind::Main,
            parent: None,
            status: AccountStatus::Active,
            suspension: None,
            suspended_at: None,
            suspension_held_until: None,
            currency,
            time_zone: Tz::UTC,
            manager: None,
            credit_limit: None,
            balance: Decimal::ZERO,
            overdrawn: false,
            purchased: false,
            last_number: 0,
            closed_until: None,
            closed_at: None,
            erased_at: None,
            on_demand_rate: Decimal::ZERO,
            burst: BurstState::default(),
            head: Head::default(),
            created_at: at,
        }
    }

    /// Whether something differs that few commands change: its settings, and what hangs on suspensions and orders on demand.
    pub fn differs_seldom(&self, before: &Self) -> bool {
        let settings = |of: &Self| (of.time_zone, of.credit_limit, of.closed_at, of.erased_at);
        let standing = |of: &Self| (of.suspended_at, of.suspension_held_until, of.on_demand_rate);
        settings(self) != settings(before)
            || standing(self) != standing(before)
            || (&self.name, &self.external_id, &self.manager)
                != (&before.name, &before.external_id, &before.manager)
    }

    /// What can be spent: the balance and the credit limit.
    pub fn available(&self) -> Result<Decimal, OutOfRange> {
        money::add(self.balance, self.credit_limit.unwrap_or_default())
    }

    /// The instant at which a command is decided: the later of the clock and the last entry, so that a ledger's
    /// times never go back.
    pub fn decision_instant(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.head.time.map_or(now, |last| last.max(now))
    }
}
