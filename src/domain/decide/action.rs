//! The commands, one a line: a new one is its own file and a line here.

use serde::Serialize;

use super::account_update::UpdateAccount;
use super::add_payment_method::AddPaymentMethod;
use super::adjustment::AdjustBalance;
use super::bill_step::BillStep;
use super::burst::ChargeBurst;
use super::cancellation::CancelOrder;
use super::card::{BookReversal, ClaimPayment, RechargeByCard, SettlePayment};
use super::checkout::Checkout;
use super::close_month::CloseMonth;
use super::decide_approval::{DecideApproval, Fingerprinted};
use super::decision::Decide;
use super::draft::Draft;
use super::end_hold::EndHold;
use super::erasure::EraseAccount;
use super::expire_approval::ExpireApproval;
use super::order_step::OrderStep;
use super::pay_bill::PayBill;
use super::pay_order::PayOrder;
use super::pay_out::PayOut;
use super::prepay::{BindApp, CountDeposits, KeepQuote, Prepay, PrepaymentStep, SetPrepaymentRenewal};
use super::raise_notice::RaiseNotice;
use super::recharge::Recharge;
use super::refund::Refund;
use super::remove_payment_method::RemovePaymentMethod;
use super::renew_order::RenewOrder;
use super::rerate::Rerate;
use super::set_auto_renewal::SetAutoRenewal;
use super::subscription::Subscribe;
use super::take_back_month::TakeBackMonth;
use super::void_bill::VoidBill;
use crate::domain::account::Hash;
use crate::domain::ids::AccountId;
use crate::domain::money::Money;
use crate::domain::mutation::Mutation;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;
use crate::domain::stake::Stake;

macro_rules! actions {
    ($($name:ident($(#[$attribute:meta])* $command:ty),)+) => {
        /// What is to be done. Keys are kept as digests of what was asked for, so what a mutation asks for keeps its name and its
        /// fields here; what no key is used with is not written.
        #[derive(Debug, Clone, Serialize)]
        pub enum Action {
            $($name($(#[$attribute])* $command),)+
        }

        impl Action {
            /// The mutation that asks for it; None for what only jobs do.
            pub fn mutation(&self) -> Option<Mutation> {
                match self {
                    $(Self::$name(_) => <$command>::MUTATION,)+
                }
            }

            /// What it has to do with money; None for what operators and jobs alone have done.
            pub fn stake(&self) -> Option<Stake> {
                match self {
                    $(Self::$name(_) => <$command>::STAKE,)+
                }
            }

            /// Whether it is carried out of an account whose last entry is dated into the future, where that is accepted.
            pub fn is_followed(&self) -> bool {
                match self {
                    $(Self::$name(_) => <$command>::IS_FOLLOWED,)+
                }
            }

            /// Names what has to be read before it is decided.
            pub fn needs(&self, account: AccountId, reads: &mut ReadSet) {
                match self {
                    $(Self::$name(command) => command.needs(account, reads),)+
                }
            }

            /// Does it to the draft, or refuses to.
            pub(super) fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
                match self {
                    $(Self::$name(command) => command.decide(draft),)+
                }
            }

            /// What of it another operator may have to allow.
            pub(super) fn weight(&self, draft: &Draft<'_>, made: &Outcome) -> Option<Money> {
                match self {
                    $(Self::$name(command) => command.weight(draft, made),)+
                }
            }
        }
    };
}

actions! {
    Recharge(Recharge),
    RechargeByCard(RechargeByCard),
    Checkout(Checkout),
    Subscribe(Subscribe),
    Refund(Refund),
    PayOrder(PayOrder),
    PayBill(PayBill),
    RenewOrder(RenewOrder),
    CancelOrder(CancelOrder),
    SetAutoRenewal(SetAutoRenewal),
    AdjustBalance(AdjustBalance),
    VoidBill(VoidBill),
    PayOut(PayOut),
    UpdateAccount(#[serde(skip)] Box<UpdateAccount>),
    EraseAccount(EraseAccount),
    DecideApproval(Box<DecideApproval<Self>>),
    ExpireApproval(ExpireApproval),
    OrderStep(OrderStep),
    BillStep(BillStep),
    EndHold(EndHold),
    CloseMonth(#[serde(skip)] CloseMonth),
    TakeBackMonth(#[serde(skip)] TakeBackMonth),
    Rerate(Box<Rerate>),
    AddPaymentMethod(#[serde(skip)] Box<AddPaymentMethod>),
    RemovePaymentMethod(RemovePaymentMethod),
    KeepQuote(#[serde(skip)] Box<KeepQuote>),
    Prepay(Prepay),
    ClaimPayment(ClaimPayment),
    SettlePayment(#[serde(skip)] Box<SettlePayment>),
    BookReversal(#[serde(skip)] Box<BookReversal>),
    BindApp(#[serde(skip)] Box<BindApp>),
    SetPrepaymentRenewal(SetPrepaymentRenewal),
    PrepaymentStep(#[serde(skip)] Box<PrepaymentStep>),
    CountDeposits(CountDeposits),
    ChargeBurst(#[serde(skip)] ChargeBurst),
    RaiseNotice(#[serde(skip)] RaiseNotice),
}

// As what waits for another operator is carried out by a command itself.
impl Decide for Action {
    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        self.needs(account, reads);
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        self.decide(draft)
    }

    fn weight(&self, draft: &Draft<'_>, made: &Outcome) -> Option<Money> {
        self.weight(draft, made)
    }
}

impl Fingerprinted for Action {
    fn digest(&self) -> Hash {
        self.fingerprint()
    }
}
