//! What the engine is asked to do, and what became of it.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::Serialize;

use super::account::{Account, AccountStatus, Manager};
use super::approval::Approval;
use super::bill::Bill;
use super::burst::{Cycle, CycleCharge};
use super::capacity::Quote;
use super::closing::RatedMonth;
use super::codes::coded_enum;
use super::exchange_rate::ExchangeRate;
use super::fingerprint::Fingerprints;
use super::ids::{
    AccountId, ApprovalId, BillId, OrderId, PaymentId, PaymentMethodId, PlanId, PrepaymentId, QuoteId,
    TransactionId,
};
use super::ledger::Hash;
use super::money::CurrencyCode;
use super::order::Order;
use super::payment::{Payment, Progress};
use super::payment_method::{Card, PaymentMethod};
use super::prepay::{App, DepositTo, Limits, PrepayQuote, Prepayment, Quoted, Wanted};
use super::refusal::{Refusal, RefusalCode};
use super::reversal::{ProviderReference, ReversalReport};
use super::transaction::Transaction;

/// One thing to do to one account, once.
#[derive(Debug, Clone)]
pub struct Command {
    pub account: AccountId,
    /// The same key with the same action is done once. None: what is asked for does nothing more when it is asked again,
    /// because it says which state it is for (a job's step) or to lead to (a cancellation).
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
    pub fn kept_key(&self) -> Option<(AccountId, String)> {
        let key = self.key.as_ref().filter(|_| !self.dry_run)?;
        Some((self.account, key.clone()))
    }
}

coded_enum! {
    /// A mutation that an idempotency key belongs to, or that may wait for another operator, by its name in the schema.
    Mutation {
        Recharge = "recharge",
        Prepay = "prepay",
        Checkout = "checkout",
        Subscribe = "subscribe",
        Refund = "refund",
        PayOrder = "payOrder",
        PayBill = "payBill",
        RenewOrder = "renewOrder",
        CancelOrder = "cancelOrder",
        SetAutoRenewal = "setAutoRenewal",
        AdjustBalance = "adjustBalance",
        SetPrices = "setPrices",
        EndPriceRule = "endPriceRule",
        Rerate = "rerate",
        VoidBill = "voidBill",
        VoidUsage = "voidUsage",
        PayOut = "payOut",
        UpdateAccount = "updateAccount",
        DecideApproval = "decideApproval",
        EraseAccount = "eraseAccount",
    }
}

/// What is to be done.
#[derive(Debug, Clone, Serialize)]
pub enum Action {
    Recharge(Recharge),
    Checkout(Checkout),
    Subscribe(Subscribe),
    Refund(Refund),
    /// Pays an order's earliest unpaid bill.
    PayOrder(OrderId),
    PayBill(BillId),
    RenewOrder(RenewOrder),
    CancelOrder(CancelOrder),
    SetAutoRenewal(SetAutoRenewal),
    AdjustBalance(AdjustBalance),
    VoidBill(VoidBill),
    PayOut(PayOut),
    UpdateAccount(#[serde(skip)] Box<UpdateAccount>),
    DecideApproval(Box<DecideApproval>),
    ExpireApproval(ApprovalStep),
    OrderStep(OrderStep),
    BillStep(BillStep),
    /// The time is over for which a suspension was lifted by hand; it says until when that was.
    EndHold(DateTime<Utc>),
    /// Bills a month that is over, or corrects its bill.
    CloseMonth(#[serde(skip)] Arc<RatedMonth>),
    /// Takes back a month that was closed before it was over, as it was closed, with nothing of it charged.
    TakeBackMonth(#[serde(skip)] Arc<RatedMonth>),
    Rerate(Box<Rerate>),
    TellMonthFailure(MonthFailure),
    AddPaymentMethod(#[serde(skip)] Box<AddPaymentMethod>),
    RemovePaymentMethod(PaymentMethodId),
    /// Keeps an offer of a prepayment.
    KeepQuote(#[serde(skip)] Box<KeepQuote>),
    RechargeByCard(RechargeByCard),
    Prepay(Prepay),
    /// Takes a payment on, to ask its provider.
    ClaimPayment(PaymentClaim),
    /// Takes what a provider says of a payment.
    SettlePayment(#[serde(skip)] Box<PaymentReport>),
    /// Books what a provider says was taken back of a charge outside this server.
    BookReversal(#[serde(skip)] Box<ReversalReport>),
    BindApp(#[serde(skip)] Box<BindApp>),
    SetPrepaymentRenewal(SetPrepaymentRenewal),
    PrepaymentStep(#[serde(skip)] Box<PrepaymentStep>),
    /// Looks what the deposits to this address of the account come to.
    CountDeposits(String),
    /// Charges what was used beyond subscriptions in a cycle.
    ChargeBurst(#[serde(skip)] Arc<CycleCharge>),
    TellBurstHeld(BurstHeld),
    TellUsageRefused(UsageRefused),
    TellInvoiceHeldUp(InvoiceHeldUp),
    TellWritesFailing(WritesFailing),
    TellUnmatched(UnmatchedTold),
    TellLedgerFault(LedgerFaultFound),
    EraseAccount(EraseAccount),
    TellRetentionFailed(RetentionFailed),
}

/// Puts money on the balance.
#[derive(Debug, Clone, Serialize)]
pub struct Recharge {
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    /// Whom the money came in through: `sandbox`, `offline`, a card's brand. It follows from who asks, and is no part of
    /// what is asked: a key's repeat may come from another.
    #[serde(skip)]
    pub payment_method: String,
    pub reason: Option<String>,
}

/// Buys a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Checkout {
    pub plan: PlanId,
    pub region: Option<String>,
    pub datacenter: Option<String>,
    pub quantity: i32,
    pub comment: Option<String>,
    /// How many periods the order runs, each with its own bill; None is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instalments: Option<i32>,
    pub auto_renewal: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pay_later: bool,
    #[serde(serialize_with = "by_optional_value")]
    pub expected_price: Option<Decimal>,
}

/// Buys so much of a resource for a term.
#[derive(Debug, Clone, Serialize)]
pub struct Subscribe {
    /// The resource's code.
    pub resource: String,
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    pub months: i32,
    pub region: Option<String>,
    pub auto_renewal: bool,
}

/// Gives back what was paid, whole or in part.
#[derive(Debug, Clone, Serialize)]
pub struct Refund {
    pub transaction: TransactionId,
    /// None: all that is left.
    #[serde(serialize_with = "by_optional_value")]
    pub amount: Option<Decimal>,
    pub reason: String,
}

/// Continues an order with a new one, at the plan's price of now.
#[derive(Debug, Clone, Serialize)]
pub struct RenewOrder {
    pub order: OrderId,
    /// How many periods the new order runs.
    pub periods: i32,
}

/// Ends an order now, or lets it end with its last period.
#[derive(Debug, Clone, Serialize)]
pub struct CancelOrder {
    pub order: OrderId,
    pub at_period_end: bool,
}

/// Says whether an order is renewed when it ends.
#[derive(Debug, Clone, Serialize)]
pub struct SetAutoRenewal {
    pub order: OrderId,
    pub auto_renewal: bool,
}

/// Corrects a balance.
#[derive(Debug, Clone, Serialize)]
pub struct AdjustBalance {
    /// Negative takes away.
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    pub reason: String,
    /// Takes it away even where the balance does not hold it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// Asks for a bill no longer.
#[derive(Debug, Clone, Serialize)]
pub struct VoidBill {
    pub bill: BillId,
    pub reason: String,
}

/// Pays out what is on a balance.
#[derive(Debug, Clone, Serialize)]
pub struct PayOut {
    /// None: all that is there.
    #[serde(serialize_with = "by_optional_value")]
    pub amount: Option<Decimal>,
    pub way: PayOutWay,
    pub reason: String,
}

/// How money is paid out.
#[derive(Debug, Clone, Serialize)]
pub enum PayOutWay {
    /// Back to the card of this recharge.
    Card(TransactionId),
    /// Outside, under this reference.
    Outside(String),
}

/// Changes an account; None leaves as it is, an inner None clears.
#[derive(Debug, Clone, Default)]
pub struct UpdateAccount {
    pub name: Option<String>,
    pub external_id: Option<Option<String>>,
    pub time_zone: Option<Tz>,
    pub credit_limit: Option<Option<Decimal>>,
    pub manager: Option<Option<Manager>>,
    pub status: Option<AccountStatus>,
    /// Until when a suspension that is lifted, or was, is held off.
    pub held_until: Option<Option<DateTime<Utc>>>,
    /// Why its status is changed.
    pub reason: Option<String>,
    /// The last bills of an account that is to be closed.
    pub closing: Option<Closing>,
}

/// An account's months up to its end, as they were read and rated for closing it.
#[derive(Debug, Clone)]
pub struct Closing {
    /// When it ends.
    pub at: DateTime<Utc>,
    /// All that are not closed yet, oldest first; the last one ends with the account.
    pub months: Vec<RatedMonth>,
}

/// Says whether what waits for another operator is carried out.
#[derive(Debug, Clone, Serialize)]
pub struct DecideApproval {
    pub approval: ApprovalId,
    pub approve: bool,
    pub reason: Option<String>,
    /// The operator who decides; whoever repeats it with the key may be another.
    #[serde(skip)]
    pub by: String,
    /// What waits, as the approval says.
    #[serde(skip)]
    pub asked: Action,
}

/// Gives up what nobody has decided on; `due` as in [`OrderStep`].
#[derive(Debug, Clone, Serialize)]
pub struct ApprovalStep {
    pub approval: ApprovalId,
    pub due: DateTime<Utc>,
}

/// Does what is due of an order. `due` is what the order said when it was read: once the step is done it says something
/// else, so that the step is done once, however many servers ask for it.
#[derive(Debug, Clone, Serialize)]
pub struct OrderStep {
    pub order: OrderId,
    pub due: DateTime<Utc>,
}

/// Does what is due of a bill; `due` as in [`OrderStep`].
#[derive(Debug, Clone, Serialize)]
pub struct BillStep {
    pub bill: BillId,
    pub due: DateTime<Utc>,
}

/// Tells the account's owner that a month could not be closed.
#[derive(Debug, Clone, Serialize)]
pub struct MonthFailure {
    /// The first day of the month.
    pub period: NaiveDate,
    pub message: String,
}

/// Tells operators that a month's invoice cannot be issued.
#[derive(Debug, Clone, Serialize)]
pub struct InvoiceHeldUp {
    /// The first day of the month.
    pub period: NaiveDate,
    pub message: String,
}

/// Tells operators, once, what a payment provider and this server do not say alike.
#[derive(Debug, Clone, Serialize)]
pub struct UnmatchedTold {
    pub name: ProviderReference,
    pub message: String,
}

/// Tells operators of what the check of the ledger has found of an account.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerFaultFound {
    pub kind: String,
    pub message: String,
    /// How many more there are.
    pub others: usize,
}

/// Blanks what names a person.
#[derive(Debug, Clone, Serialize)]
pub struct EraseAccount {
    pub reason: String,
    /// The operator who asks; whoever repeats it with the key may be another.
    #[serde(skip)]
    pub by: String,
}

/// Tells operators of what is kept for a while only, or is to be blanked, and could not be.
#[derive(Debug, Clone, Serialize)]
pub struct RetentionFailed {
    pub what: String,
    pub message: String,
}

/// Charges a card for the balance.
#[derive(Debug, Clone, Serialize)]
pub struct RechargeByCard {
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    pub method: PaymentMethodId,
    pub reason: Option<String>,
}

/// Takes an offer.
#[derive(Debug, Clone, Serialize)]
pub struct Prepay {
    pub quote: QuoteId,
    /// What the caller takes it to be.
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    pub method: Option<PaymentMethodId>,
    pub auto_renewal: bool,
    /// Where tokens are to go: no part of what is asked.
    #[serde(skip)]
    pub deposit_to: DepositTo,
}

/// Takes a payment on; `due` as in [`OrderStep`].
#[derive(Debug, Clone, Serialize)]
pub struct PaymentClaim {
    pub payment: PaymentId,
    pub due: DateTime<Utc>,
}

/// What a provider says of a payment.
#[derive(Debug, Clone)]
pub struct PaymentReport {
    pub payment: PaymentId,
    pub progress: Progress,
}

/// Begins the term of a prepayment, for the app that it is for.
#[derive(Debug, Clone)]
pub struct BindApp {
    pub prepayment: PrepaymentId,
    pub asset: CurrencyCode,
    pub cluster: String,
    pub chart: String,
    pub limits: Limits,
    pub app: App,
}

impl BindApp {
    /// What has to be what was paid for.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted { asset: self.asset, cluster: &self.cluster, chart: &self.chart, limits: self.limits }
    }
}

/// Says whether a prepayment is renewed when it ends.
#[derive(Debug, Clone, Serialize)]
pub struct SetPrepaymentRenewal {
    pub prepayment: PrepaymentId,
    pub auto_renewal: bool,
}

/// Does what is due of a prepayment; `due` as in [`OrderStep`].
#[derive(Debug, Clone)]
pub struct PrepaymentStep {
    pub prepayment: PrepaymentId,
    pub due: DateTime<Utc>,
    /// What another term would cost, at the prices of now; None if there is no price or no need of one.
    pub renewal: Option<Box<Quoted>>,
}

/// Keeps a card that the payment provider holds.
#[derive(Debug, Clone)]
pub struct AddPaymentMethod {
    /// Who charges it.
    pub provider: String,
    /// The provider's name for it.
    pub token: String,
    /// The provider's name for its holder, where it needs one.
    pub customer: Option<String>,
    pub card: Card,
}

/// What an app costs for a term, as it was priced for this.
#[derive(Debug, Clone)]
pub struct KeepQuote {
    /// The asset that is paid with.
    pub currency: CurrencyCode,
    pub quoted: Quoted,
    pub months: i32,
    pub cluster: String,
    pub chart: String,
    pub limits: Limits,
    pub rate: Option<Arc<ExchangeRate>>,
}

/// Tells operators that an account could not be charged for burst from a cycle on.
#[derive(Debug, Clone, Serialize)]
pub struct BurstHeld {
    pub cycle: Cycle,
    pub message: String,
}

/// Tells the account's owner that usage was refused.
#[derive(Debug, Clone, Serialize)]
pub struct UsageRefused {
    /// The resource's code.
    pub resource: String,
    pub message: String,
}

/// Tells operators that what is to be written for the account and others could not be.
#[derive(Debug, Clone, Serialize)]
pub struct WritesFailing {
    pub message: String,
}

/// Rates a closed month again, and bills the difference.
#[derive(Debug, Clone, Serialize)]
pub struct Rerate {
    /// The first day of the month.
    pub period: NaiveDate,
    /// The month as it was read and rated for this; no part of what is asked. None where the key is known to hold an answer.
    #[serde(skip)]
    pub rated: Option<RatedMonth>,
}

coded_enum! {
    /// What jobs do.
    JobKind {
        /// An order goes into its next period.
        OrderPeriod = "ORDER_PERIOD",
        /// An order's coming end is warned of.
        OrderExpiry = "ORDER_EXPIRY",
        /// An order that renews itself is renewed.
        OrderRenewal = "ORDER_RENEWAL",
        /// An order whose end has passed is suspended.
        OrderSuspension = "ORDER_SUSPENSION",
        /// An order is over.
        OrderEnd = "ORDER_END",
        /// An order that was never paid is cancelled.
        OrderCancellation = "ORDER_CANCELLATION",
        /// A bill that falls due, or is overdue, is paid from the balance.
        BillPayment = "BILL_PAYMENT",
        /// What a bill is for is suspended, as it was not paid within the grace period.
        BillSuspension = "BILL_SUSPENSION",
        /// A suspension that was lifted by hand counts again, if what it was for is still there.
        HoldEnd = "HOLD_END",
        /// A month of an account is rated and billed.
        MonthClosing = "MONTH_CLOSING",
        /// A closed month is rated again, as usage came late.
        MonthCorrection = "MONTH_CORRECTION",
        /// A 5-minute cycle of burst is charged to all accounts.
        BurstCycle = "BURST_CYCLE",
        /// A payment by card succeeds, or fails for good.
        Payment = "PAYMENT",
        /// What was taken back of a card's charge outside, by a dispute or a refund, is booked.
        Reversal = "REVERSAL",
        /// What a payment provider has moved is held against the ledger.
        Reconciliation = "RECONCILIATION",
        /// A prepayment's coming end is told of.
        PrepaymentExpiry = "PREPAYMENT_EXPIRY",
        /// A prepayment that renews itself is renewed.
        PrepaymentRenewal = "PREPAYMENT_RENEWAL",
        /// A prepayment that was never bound is given back.
        PrepaymentRefund = "PREPAYMENT_REFUND",
        /// A prepayment is over.
        PrepaymentEnd = "PREPAYMENT_END",
        /// A deposit of tokens is counted, or one that was counted is undone.
        Deposit = "DEPOSIT",
        /// A month's invoice is issued.
        Invoice = "INVOICE",
        /// What waits for another operator is given up.
        ApprovalExpiry = "APPROVAL_EXPIRY",
    }
}

/// What a job's step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobDone {
    pub kind: JobKind,
    /// False where it could not do what it is for: a renewal without money.
    pub succeeded: bool,
}

fn by_value<S: serde::Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&value.normalize())
}

fn by_optional_value<S: serde::Serializer>(
    value: &Option<Decimal>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => by_value(value, serializer),
        None => serializer.serialize_none(),
    }
}

impl Action {
    /// Whether it is carried out of an account whose last entry is dated into the future, where that is accepted. What falls due by
    /// itself is judged by the instant of its decision, and would end, suspend and ask for too early: it waits.
    pub fn is_followed(&self) -> bool {
        !matches!(
            self,
            Self::OrderStep(_)
                | Self::BillStep(_)
                | Self::EndHold(_)
                | Self::ExpireApproval(_)
                | Self::PrepaymentStep(_)
        )
    }

    /// The mutation that asks for it; None for what only jobs do.
    pub fn mutation(&self) -> Option<Mutation> {
        Some(match self {
            Self::Recharge(_) | Self::RechargeByCard(_) => Mutation::Recharge,
            Self::Prepay(_) => Mutation::Prepay,
            Self::Checkout(_) => Mutation::Checkout,
            Self::Subscribe(_) => Mutation::Subscribe,
            Self::Refund(_) => Mutation::Refund,
            Self::PayOrder(_) => Mutation::PayOrder,
            Self::PayBill(_) => Mutation::PayBill,
            Self::RenewOrder(_) => Mutation::RenewOrder,
            Self::CancelOrder(_) => Mutation::CancelOrder,
            Self::SetAutoRenewal(_) => Mutation::SetAutoRenewal,
            Self::AdjustBalance(_) => Mutation::AdjustBalance,
            Self::Rerate(_) => Mutation::Rerate,
            Self::VoidBill(_) => Mutation::VoidBill,
            Self::PayOut(_) => Mutation::PayOut,
            Self::UpdateAccount(_) => Mutation::UpdateAccount,
            Self::DecideApproval(_) => Mutation::DecideApproval,
            Self::EraseAccount(_) => Mutation::EraseAccount,
            Self::ExpireApproval(_)
            | Self::OrderStep(_)
            | Self::BillStep(_)
            | Self::EndHold(_)
            | Self::CloseMonth(_)
            | Self::TakeBackMonth(_)
            | Self::TellMonthFailure(_)
            | Self::AddPaymentMethod(_)
            | Self::RemovePaymentMethod(_)
            | Self::KeepQuote(_)
            | Self::ClaimPayment(_)
            | Self::SettlePayment(_)
            | Self::BookReversal(_)
            | Self::BindApp(_)
            | Self::SetPrepaymentRenewal(_)
            | Self::PrepaymentStep(_)
            | Self::CountDeposits(_)
            | Self::ChargeBurst(_)
            | Self::TellBurstHeld(_)
            | Self::TellUsageRefused(_)
            | Self::TellInvoiceHeldUp(_)
            | Self::TellWritesFailing(_)
            | Self::TellUnmatched(_)
            | Self::TellLedgerFault(_)
            | Self::TellRetentionFailed(_) => return None,
        })
    }
}

/// What a key holds: which mutation was done with it, and what that made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub key: String,
    pub mutation: Mutation,
    pub fingerprint: Hash,
    pub transaction: Option<TransactionId>,
    pub order: Option<OrderId>,
    pub bill: Option<BillId>,
    pub payment: Option<PaymentId>,
    pub prepayment: Option<PrepaymentId>,
    /// What waits for another operator, or has waited; of a decision, what was decided on.
    pub approval: Option<ApprovalId>,
    pub created_at: DateTime<Utc>,
}

impl Answer {
    /// Refuses another use of the key than the one whose answer it holds.
    pub fn require_same(&self, mutation: Mutation, asked: &Fingerprints) -> Result<(), Refusal> {
        if self.mutation == mutation && asked.include(self.fingerprint) {
            return Ok(());
        }
        let message = format!("the key was used for another {}", self.mutation);
        Err(Refusal::new(RefusalCode::IdempotencyKeyReused, "idempotencyKey", message))
    }
}

/// What a command led to, as committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub account: Arc<Account>,
    pub order: Option<Arc<Order>>,
    pub bill: Option<Arc<Bill>>,
    pub transaction: Option<Arc<Transaction>>,
    /// The transaction that a refund gave back from.
    pub refunded: Option<Arc<Transaction>>,
    /// The open bills of the order.
    pub open_bills: Vec<Arc<Bill>>,
    /// What the order would cost to renew, of one, if it can be renewed.
    pub renewal_price: Option<Decimal>,
    /// How the price of a subscription comes about.
    pub quote: Option<Quote>,
    /// What was offered.
    pub prepay_quote: Option<Arc<PrepayQuote>>,
    pub payment_method: Option<Arc<PaymentMethod>>,
    /// What a card is, or was, charged or given back.
    pub payment: Option<Arc<Payment>>,
    pub prepayment: Option<Arc<Prepayment>>,
    /// What was decided on.
    pub approval: Option<Arc<Approval>>,
    /// What a job's step did.
    pub jobs: Vec<JobDone>,
    /// Whether money has paid as many bills as it pays at once, and the jobs go on with the next.
    pub goes_on: bool,
}

/// A command that was not refused.
#[derive(Debug, Clone)]
pub enum Done {
    /// It was done now (or, a dry run, would have been).
    Now(Box<Outcome>),
    /// Its key holds the answer of an earlier time.
    Before(Answer),
    /// Another operator has to allow it; until then nothing of it is done.
    Awaits(Arc<Approval>),
}
