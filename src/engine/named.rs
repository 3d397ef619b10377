//! What the commands of a batch name, and what has to be read for them.

use std::collections::HashMap;

use chrono::TimeDelta;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::paid::PaidNamed;
use crate::domain::account::{Account, AccountStatus};
use crate::domain::closing::{Month, RatedMonth};
use crate::domain::command::{Action, Command, PayOutWay, UpdateAccount};
use crate::domain::ids::{AccountId, OwnedId, PaymentId};

/// What the commands of a batch name.
#[derive(Default)]
pub(super) struct Named {
    pub key_accounts: Vec<i64>,
    pub keys: Vec<String>,
    pub plans: Vec<Uuid>,
    /// What is subscribed to.
    pub resources: Vec<String>,
    /// The accounts that add payment methods.
    pub card_holders: Vec<i64>,
    /// The payment methods that are charged or removed.
    pub methods: Vec<OwnedId>,
    /// The accounts that buy something.
    pub buyers: Vec<i64>,
    /// The accounts that place an order to be paid later.
    pub owing: Vec<i64>,
    /// The accounts that ask for an offer.
    pub offered: Vec<i64>,
    /// The accounts that pay what is open, or whose money comes in.
    pub payers: Vec<i64>,
    pub transactions: Vec<OwnedId>,
    pub paid: PaidNamed,
    pub orders: Vec<OwnedId>,
    pub bills: Vec<OwnedId>,
    /// The months that are closed or corrected.
    pub months: Vec<(AccountId, Month)>,
    /// What waits for another operator, and is decided on.
    pub approvals: Vec<OwnedId>,
    /// The accounts of commands that are weighed, as an operator asks for them.
    pub weighed: Vec<i64>,
    /// The accounts that are closed.
    pub closing: Vec<i64>,
    /// The accounts that are erased.
    pub erasing: Vec<i64>,
    /// The accounts of which all that is open counts.
    pub settling: Vec<i64>,
    /// The accounts that are opened again, if they are closed.
    opening: Vec<i64>,
    /// The accounts that may be suspended, by how much they are debited whatever the balance; None: for another reason.
    suspending: Vec<(i64, Option<Decimal>)>,
    /// How many commands each account has, where one may suspend an account.
    commands: HashMap<i64, usize>,
}

impl Named {
    pub fn by(commands: &[&Command]) -> Self {
        let mut named = Self::default();
        for command in commands {
            if let Some(key) = &command.key {
                named.key_accounts.push(command.account.0);
                named.keys.push(key.clone());
            }
            if command.asked_by.is_some() && command.action.is_weighed() {
                named.weighed.push(command.account.0);
            }
            named.take(command.account.0, &command.action);
        }
        if !named.suspending.is_empty() {
            for command in commands {
                let count = named.commands.entry(command.account.0).or_default();
                *count = count.saturating_add(1);
            }
        }
        named.plans.sort_unstable();
        named.plans.dedup();
        named.payers.sort_unstable();
        named.payers.dedup();
        named
    }

    /// Whether a command may suspend an account. A debit that is covered does not, if nothing else happens to the account.
    fn may_suspend(&self, account: &Account) -> bool {
        let is_alone = self.commands.get(&account.id.0) == Some(&1);
        let may = |(id, debit): &(i64, Option<Decimal>)| {
            let is_covered = debit.is_some_and(|debit| account.available().is_ok_and(|left| left >= debit));
            *id == account.id.0 && !(is_alone && is_covered)
        };
        self.suspending.iter().any(may)
    }

    fn take(&mut self, account: i64, action: &Action) {
        match action {
            Action::Recharge(_) => self.payers.push(account),
            Action::AdjustBalance(adjustment) => {
                self.payers.push(account);
                if adjustment.force {
                    self.suspending.push((account, None));
                }
            }
            Action::Checkout(checkout) => {
                self.plans.push(checkout.plan.0);
                self.buyers.push(account);
                if checkout.pay_later {
                    self.owing.push(account);
                }
            }
            Action::KeepQuote(_) => self.offered.push(account),
            Action::RechargeByCard(recharge) => {
                self.methods.push(recharge.method.0);
                self.payers.push(account);
            }
            Action::Prepay(prepay) => {
                self.paid.quotes.push(prepay.quote.0);
                self.methods.extend(prepay.method.map(|method| method.0));
            }
            Action::ClaimPayment(claim) => self.paid.payments.push(claim.payment.0),
            Action::SettlePayment(report) => {
                self.take_outcome(account, report.payment);
            }
            Action::BookReversal(report) => self.take_outcome(account, report.payment),
            Action::BindApp(binding) => self.paid.prepayments.push(binding.prepayment.0),
            Action::SetPrepaymentRenewal(setting) => self.paid.prepayments.push(setting.prepayment.0),
            Action::PrepaymentStep(step) => self.paid.prepayments.push(step.prepayment.0),
            Action::CountDeposits(address) => {
                self.paid.addresses.push((AccountId(account), address.clone()));
            }
            Action::AddPaymentMethod(_) => self.card_holders.push(account),
            Action::RemovePaymentMethod(method) => self.methods.push(method.0),
            Action::Subscribe(subscribe) => self.resources.push(subscribe.resource.clone()),
            Action::Refund(refund) => {
                self.transactions.push(refund.transaction.0);
                self.payers.push(account);
            }
            Action::PayOrder(order) => {
                self.orders.push(order.0);
                self.payers.push(account);
            }
            Action::RenewOrder(renewal) => self.orders.push(renewal.order.0),
            Action::CancelOrder(cancellation) => {
                self.orders.push(cancellation.order.0);
                self.payers.push(account);
            }
            Action::SetAutoRenewal(setting) => self.orders.push(setting.order.0),
            Action::OrderStep(step) => self.orders.push(step.order.0),
            Action::ChargeBurst(charged) => {
                let debit = charged
                    .charges
                    .iter()
                    .try_fold(Decimal::ZERO, |sum, charge| sum.checked_add(charge.charge));
                self.suspending.push((account, debit));
            }
            Action::VoidBill(void) => {
                self.bills.push(void.bill.0);
                self.payers.push(account);
            }
            Action::PayOut(pay_out) => {
                self.settling.push(account);
                if let PayOutWay::Card(recharge) = pay_out.way {
                    self.transactions.push(recharge.0);
                }
            }
            Action::UpdateAccount(update) => self.take_update(account, update),
            Action::DecideApproval(decision) => {
                self.approvals.push(decision.approval.0);
                if decision.approve {
                    self.take(account, &decision.asked);
                }
            }
            Action::ExpireApproval(step) => self.approvals.push(step.approval.0),
            Action::EndHold(_) => {
                self.payers.push(account);
                self.suspending.push((account, None));
            }
            Action::TellMonthFailure(_)
            | Action::TellBurstHeld(_)
            | Action::TellUsageRefused(_)
            | Action::TellInvoiceHeldUp(_)
            | Action::TellWritesFailing(_)
            | Action::TellLedgerFault(_)
            | Action::TellRetentionFailed(_) => {}
            Action::EraseAccount(_) => self.erasing.push(account),
            Action::TellUnmatched(told) => {
                self.paid.unmatched.push((AccountId(account), told.name.clone()));
            }
            Action::CloseMonth(rated) | Action::TakeBackMonth(rated) => self.take_month(account, rated),
            Action::Rerate(rerate) => rerate.rated.iter().for_each(|rated| self.take_month(account, rated)),
            Action::PayBill(bill) => {
                self.bills.push(bill.0);
                self.payers.push(account);
            }
            Action::BillStep(step) => {
                self.bills.push(step.bill.0);
                self.payers.push(account);
                self.suspending.push((account, None));
            }
        }
    }

    /// What came of a payment: money comes in, or was taken back whatever the balance holds.
    fn take_outcome(&mut self, account: i64, payment: PaymentId) {
        self.paid.payments.push(payment.0);
        self.payers.push(account);
        self.suspending.push((account, None));
    }

    fn take_update(&mut self, account: i64, update: &UpdateAccount) {
        self.payers.push(account);
        self.suspending.push((account, None));
        if matches!(update.status, Some(AccountStatus::Active | AccountStatus::Suspended)) {
            self.opening.push(account);
        }
        if let Some(closing) = &update.closing {
            self.closing.push(account);
            self.settling.push(account);
            closing.months.iter().for_each(|rated| self.take_month(account, rated));
        }
    }

    fn take_month(&mut self, account: i64, rated: &RatedMonth) {
        self.months.push((AccountId(account), rated.month));
        self.bills.extend(rated.bill.map(|bill| bill.0));
        if rated.revision > 0 || rated.usage.is_some() || !rated.on_demand.is_empty() {
            self.payers.push(account);
        }
    }
}

/// What a batch has to know of accounts because of how they stand.
pub(super) struct Standing {
    /// Those that may be suspended, or not any more: their orders on demand go with them.
    pub on_demand: Vec<i64>,
    /// Those that are closed, or are going to be, or are paid out: all that is open counts.
    pub settling: Vec<i64>,
    /// Those that are opened again, with the ends of their last months.
    pub opening: Vec<(AccountId, Month)>,
}

impl Standing {
    pub fn of(accounts: &[Account], named: &Named) -> Self {
        let pays = |account: &&Account| named.payers.binary_search(&account.id.0).is_ok();
        let may_be_lifted = |account: &&Account| pays(account) && account.status == AccountStatus::Suspended;
        let may_be_suspended = |account: &&Account| named.may_suspend(account);
        let on_demand = accounts.iter().filter(|account| may_be_lifted(account) || may_be_suspended(account));
        let is_closed = |account: &&Account| pays(account) && account.status == AccountStatus::Closed;
        let closed = accounts.iter().filter(is_closed).map(|account| account.id.0);
        let is_opened = |account: &&Account| {
            account.status == AccountStatus::Closed && named.opening.contains(&account.id.0)
        };
        let last = |account: &Account| {
            let end = account.closed_at?;
            Some((account.id, Month { start: end.checked_sub_signed(TimeDelta::microseconds(1))?, end }))
        };
        Self {
            opening: accounts.iter().filter(is_opened).filter_map(last).collect(),
            on_demand: on_demand.map(|account| account.id.0).collect(),
            settling: closed.chain(named.settling.iter().copied()).collect(),
        }
    }
}
