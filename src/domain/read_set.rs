//! What the commands of a batch name, and what has to be read for them.

use std::collections::HashMap;

use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::account::{Account, AccountStatus};
use super::closing::{Month, RatedMonth};
use super::ids::{AccountId, OwnedId, PaymentId, PlanId};
use super::reversal::ProviderReference;

/// What the commands of a batch name.
#[derive(Default)]
pub struct ReadSet {
    pub key_accounts: Vec<AccountId>,
    pub keys: Vec<String>,
    pub plans: Vec<PlanId>,
    /// What is subscribed to.
    pub resources: Vec<String>,
    /// The accounts that add payment methods.
    pub card_holders: Vec<AccountId>,
    /// The payment methods that are charged or removed.
    pub methods: Vec<OwnedId>,
    /// The accounts that buy something.
    pub buyers: Vec<AccountId>,
    /// The accounts that place an order to be paid later.
    pub owing: Vec<AccountId>,
    /// The accounts that ask for an offer.
    pub offered: Vec<AccountId>,
    /// The accounts that pay what is open, or whose money comes in.
    pub payers: Vec<AccountId>,
    pub transactions: Vec<OwnedId>,
    /// The offers of prepayments.
    pub quotes: Vec<OwnedId>,
    pub prepayments: Vec<OwnedId>,
    pub payments: Vec<OwnedId>,
    /// Whose deposits are counted.
    pub addresses: Vec<(AccountId, String)>,
    /// What does not match, with the accounts that are told.
    pub unmatched: Vec<(AccountId, ProviderReference)>,
    pub orders: Vec<OwnedId>,
    pub bills: Vec<OwnedId>,
    /// The months that are closed or corrected.
    pub months: Vec<(AccountId, Month)>,
    /// What waits for another operator, and is decided on.
    pub approvals: Vec<OwnedId>,
    /// The accounts of commands that are weighed, as an operator asks for them.
    pub weighed: Vec<AccountId>,
    /// The accounts that are closed.
    pub closing: Vec<AccountId>,
    /// The accounts that are erased.
    pub erasing: Vec<AccountId>,
    /// The accounts of which all that is open counts.
    pub settling: Vec<AccountId>,
    /// The accounts that are opened again, if they are closed.
    pub opening: Vec<AccountId>,
    /// The accounts that may be suspended, by how much they are debited whatever the balance; None: for another reason.
    pub(super) suspending: Vec<(AccountId, Option<Decimal>)>,
    /// How many commands each account has, where one may suspend an account.
    pub(super) commands: HashMap<AccountId, usize>,
}

impl ReadSet {
    /// Whether a command may suspend an account. A debit that is covered does not, if nothing else happens to the account.
    fn is_suspending(&self, account: &Account) -> bool {
        let is_alone = self.commands.get(&account.id) == Some(&1);
        let may = |(id, debit): &(AccountId, Option<Decimal>)| {
            let is_covered = debit.is_some_and(|debit| account.available().is_ok_and(|left| left >= debit));
            *id == account.id && !(is_alone && is_covered)
        };
        self.suspending.iter().any(may)
    }

    /// The account may be suspended, by a debit of so much whatever the balance; None: for another reason.
    pub fn may_suspend(&mut self, account: AccountId, debit: Option<Decimal>) {
        self.suspending.push((account, debit));
    }

    /// What came of a payment: money comes in, or was taken back whatever the balance holds.
    pub fn payment_outcome(&mut self, account: AccountId, payment: PaymentId) {
        self.payments.push(payment.0);
        self.payers.push(account);
        self.may_suspend(account, None);
    }

    /// A month that is closed, corrected or taken back.
    pub fn month(&mut self, account: AccountId, rated: &RatedMonth) {
        self.months.push((account, rated.month));
        self.bills.extend(rated.bill.map(|bill| bill.0));
        if rated.revision > 0 || rated.usage.is_some() || !rated.on_demand.is_empty() {
            self.payers.push(account);
        }
    }
}

/// What a batch has to know of accounts because of how they stand.
pub struct Standing {
    /// Those that may be suspended, or not any more: their orders on demand go with them.
    pub on_demand: Vec<AccountId>,
    /// Those that are closed, or are going to be, or are paid out: all that is open counts.
    pub settling: Vec<AccountId>,
    /// Those that are opened again, with the ends of their last months.
    pub opening: Vec<(AccountId, Month)>,
}

impl Standing {
    pub fn of(accounts: &[Account], reads: &ReadSet) -> Self {
        let pays = |account: &&Account| reads.payers.binary_search(&account.id).is_ok();
        let may_be_lifted = |account: &&Account| pays(account) && account.status == AccountStatus::Suspended;
        let may_be_suspended = |account: &&Account| reads.is_suspending(account);
        let on_demand = accounts.iter().filter(|account| may_be_lifted(account) || may_be_suspended(account));
        let is_closed = |account: &&Account| pays(account) && account.status == AccountStatus::Closed;
        let closed = accounts.iter().filter(is_closed).map(|account| account.id);
        let is_opened = |account: &&Account| {
            account.status == AccountStatus::Closed && reads.opening.contains(&account.id)
        };
        let last = |account: &Account| {
            let end = account.closed_at?;
            Some((account.id, Month { start: end.checked_sub_signed(TimeDelta::microseconds(1))?, end }))
        };
        Self {
            opening: accounts.iter().filter(is_opened).filter_map(last).collect(),
            on_demand: on_demand.map(|account| account.id).collect(),
            settling: closed.chain(reads.settling.iter().copied()).collect(),
        }
    }
}
