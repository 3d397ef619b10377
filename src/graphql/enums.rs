//! Enumerations of the schema, each the mirror of one of domain/.

use async_graphql::Enum;

use crate::domain::{
    account, approval, bill, invoice, notice, order, payment, period, plan, prepay, price_rule, refusal,
    transaction, unmatched, usage, viewer,
};

/// What an account stands for.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "account::AccountKind")]
pub enum AccountKind {
    /// Stands alone, and may have sub-accounts that it sees and pays for.
    Main,
    /// Belongs to a MAIN account.
    Sub,
}

/// What an account may do.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "account::AccountStatus")]
pub enum AccountStatus {
    /// It may do everything: buy, consume, pay and read.
    Active,
    /// Recharge, pay and read; what would newly cost money is refused.
    Suspended,
    /// It can only be read, until operators open it again.
    Closed,
}

/// What a notice is about.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "notice::NoticeKind")]
pub enum NoticeKind {
    /// A bill need not be paid any more.
    BillVoided,
    /// The account was closed.
    AccountClosed,
    /// The balance will not last long.
    LowBalance,
    /// A bill is past its due date.
    BillOverdue,
    /// An order ends soon.
    OrderExpiring,
    /// An order could not be renewed.
    RenewalFailed,
    /// The account was suspended.
    AccountSuspended,
    /// A limit was reached.
    LimitReached,
    /// Usage was not recorded.
    UsageRefused,
    /// Usage has no price.
    UnpricedUsage,
    /// For operators: usage cannot be rated, as what it comes to is out of range; it is not charged until it can be.
    UnratedUsage,
    /// A payment did not succeed.
    PaymentFailed,
    /// A prepayment ends soon.
    PrepaymentExpiring,
    /// An order was suspended: it has ended, or was not paid in time.
    OrderSuspended,
    /// Something that happens by itself could not be done, for a reason of the provider's; it is tried again.
    JobFailed,
    /// A gauge was not reported for a time: it counts as zero for it.
    GaugeSilent,
    /// Tokens arrived that pay nothing, and the provider decides what becomes of them; or ones of which that was told pay after
    /// all, or are on the chain no more. The message says which.
    DepositUnused,
    /// For operators: a month's invoice cannot be issued, as it cannot be read or added up, say; it is tried again.
    InvoiceHeldUp,
    /// For operators: usage, or what was asked for, could not be written for a time, for a reason of the database's; of this
    /// account and others.
    WritesFailing,
    /// For operators: a card's holder disputes a charge.
    PaymentDisputed,
    /// For operators: a payment provider has something of the account that is not known here, or otherwise there and here
    /// (`unmatchedPayments`).
    PaymentUnmatched,
    /// For operators: a check of the account's ledger found what must not be (`ledgerHealth`).
    LedgerFault,
    /// For operators: one of them has asked for something that another has to allow (`approvals`).
    ApprovalNeeded,
    /// For operators: nobody has decided in time on what one of them has asked for.
    ApprovalExpired,
    /// For operators: what was kept for long enough could not be removed, or blanked; it is tried again.
    RetentionFailed,
    /// For operators: where all ledgers end could not be anchored for hours; it is tried again (`ledgerAnchor`).
    AnchorFailed,
}

/// Where what one operator has asked for stands, and another has to allow.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "approval::ApprovalState")]
pub enum ApprovalState {
    /// Another operator has to decide.
    Pending,
    /// Another has allowed it, and it was carried out with that.
    Done,
    /// It was rejected, or taken back.
    Rejected,
    /// Nobody has decided in time.
    Expired,
}

/// Where an invoice stands.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "invoice::InvoiceStatus")]
pub enum InvoiceStatus {
    /// Its month runs, or something on it is not settled: its figures may still change.
    Draft,
    /// It has a number, and never changes again.
    Issued,
}

/// How the tiers of a tariff price a quantity.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "price_rule::TierMode")]
pub enum TierMode {
    /// Each unit costs what the tier that covers it says.
    Graduated,
    /// The tier that covers the whole quantity prices all of it.
    Volume,
}

/// Where a package comes from.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "price_rule::PackageType")]
pub enum PackageType {
    /// Bought.
    Normal,
    /// Given. Its money is zero as a rule, and charged like any other's where it is not.
    Reward,
}

/// How often something is billed.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "period::BillPeriod")]
pub enum BillPeriod {
    /// On demand, by the second; billed afterwards.
    Hour,
    /// One calendar month.
    Month,
    /// Three calendar months.
    Quarter,
    /// Six calendar months.
    HalfYear,
    /// Twelve calendar months.
    Year,
}

/// When something is paid.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "period::PaymentType")]
pub enum PaymentType {
    /// Beforehand, by the period.
    Prepay,
    /// Afterwards, by use.
    Postpay,
}

/// Whether an order is paid in one or in several parts.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "order::PayCycle")]
pub enum PayCycle {
    /// A bill for each of its periods.
    Demand,
    /// One bill.
    Once,
}

/// How the reports on a resource become one quantity for a period.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "plan::Aggregation")]
pub enum Aggregation {
    /// The sum of what was used.
    Sum,
    /// The greatest value reported.
    Max,
    /// The value reported last.
    Last,
    /// The average over time.
    Average,
    /// The 95th percentile of the 5-minute values.
    P95,
}

/// How an order came about.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "order::OrderType")]
pub enum OrderType {
    /// Bought anew.
    New,
    /// Continues the order that it names as `previous`.
    Renew,
    /// Replaces the order that it names as `previous`.
    Change,
}

/// Where an order stands.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "order::OrderState")]
pub enum OrderState {
    /// Placed, and not paid yet.
    Unpaid,
    /// Paid and running.
    Active,
    /// Ends within 7 days.
    Expiring,
    /// Its end has passed without renewal.
    Suspended,
    /// Over, 7 days after its end.
    Ended,
    /// Ended before its time, or replaced.
    Cancelled,
}

/// Where a bill stands; it is paid whole or not at all.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "bill::BillStatus")]
pub enum BillStatus {
    /// To be paid.
    Unpaid,
    /// Paid.
    Paid,
    /// To be paid, and past its due date.
    Overdue,
    /// No longer to be paid.
    Void,
}

/// What a transaction was for.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "transaction::TransactionKind")]
pub enum TransactionKind {
    /// What was on a balance was paid out, outside.
    Payout,
    /// Money came in.
    Recharge,
    /// A plan was bought.
    Checkout,
    /// A bill was paid.
    BillPayment,
    /// An order was renewed.
    Renewal,
    /// Use above what is subscribed.
    Burst,
    /// An app was paid for in advance.
    Prepayment,
    /// What was paid was given back.
    Refund,
    /// An operator corrected the balance.
    Adjustment,
}

/// Where a transaction stands.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "transaction::TransactionStatus")]
pub enum TransactionStatus {
    /// Waiting for a payment provider.
    Pending,
    /// Done.
    Finished,
    /// Not done, and not going to be.
    Failed,
    /// Done, and given back whole.
    Refunded,
}

/// Which way money went, seen from the account.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "transaction::Direction")]
pub enum EntryDirection {
    /// Away from the account.
    Debit,
    /// To the account.
    Credit,
}

/// What a token lets its bearer do.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "viewer::Role")]
pub enum Role {
    /// The provider: every account, prices and plans.
    Operator,
    /// The provider, reading only: sees what operators see, and changes nothing.
    Auditor,
    /// An account: its own things and those of its sub-accounts.
    Customer,
    /// A metering agent: records usage and nothing else.
    Service,
}

/// Why something that was asked for was not done. Beside these, `extensions.code` of errors[] may be
/// UNAUTHENTICATED, FORBIDDEN, OVERLOADED or UNAVAILABLE (this request has done nothing, nor will it), OUTCOME_UNKNOWN (it
/// may have been done, or may still be: ask again with the same key), BAD_REQUEST or INTERNAL.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "refusal::RefusalCode")]
pub enum UserErrorCode {
    /// There is no such thing, or it is not the caller's.
    NotFound,
    /// The value cannot be used.
    Invalid,
    /// A value is missing.
    Required,
    /// The number is too large, too small or has too many digits.
    OutOfRange,
    /// More than is allowed.
    LimitExceeded,
    /// Something else is there already.
    Conflict,
    /// The balance and the credit limit do not hold what is asked for.
    InsufficientBalance,
    /// The key was used with other input.
    IdempotencyKeyReused,
    /// The price is another by now.
    PriceChanged,
    /// The order is for this plan already.
    PlanUnchanged,
    /// What is left of the old order is more than the new one costs.
    CreditExceedsPrice,
    /// It is paid.
    AlreadyPaid,
    /// The prepayment is bound to another app.
    AlreadyBound,
    /// The quote holds no longer.
    QuoteExpired,
    /// What is asked for is not what was quoted.
    QuoteMismatch,
    /// The payment provider said no.
    PaymentDeclined,
    /// Two currencies that must be one are not.
    CurrencyMismatch,
    /// The rule has begun, and can only be ended.
    RuleStarted,
    /// The account is suspended or closed.
    AccountSuspended,
    /// There is no exchange rate that is recent enough.
    RateStale,
    /// Another operator has to allow it (`decideApproval`); the message names the approval that waits. Nothing of it is done
    /// until then.
    ApprovalNeeded,
}

/// Where a prepayment stands.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "prepay::PrepaymentStatus")]
pub enum PrepaymentStatus {
    /// Its tokens have not arrived.
    AwaitingDeposit,
    /// Its card is being charged.
    Processing,
    /// Paid, and not bound to an app: it is given back after 7 days, unless it was paid in tokens.
    Paid,
    /// Bound to its app: its term runs.
    Bound,
    /// Its term is over, or its tokens did not arrive in time.
    Expired,
    /// Its card could not be charged.
    Failed,
    /// Given back.
    Refunded,
}

/// Whether a deposit of tokens counts for its prepayment, or why not.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "prepay::DepositState")]
pub enum DepositState {
    /// Found on the chain, and not decided on.
    Seen,
    /// Part of what the prepayment is, or is to be, paid with.
    Counted,
    /// Late, too little, too much or of another token: operators have to look.
    Unused,
    /// The chain was re-organised, and has it no more.
    Undone,
}

/// What a payment by card is for.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "payment::PaymentPurpose")]
pub enum PaymentPurpose {
    /// Money for the balance.
    Recharge,
    /// An app's term.
    Prepayment,
    /// Back to the card.
    Refund,
}

/// What a payment provider has.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "unmatched::OutsideKind")]
pub enum UnmatchedKind {
    /// A charge of a card.
    Charge,
    /// What was given back to one.
    Refund,
    /// A card's holder disputes a charge.
    Dispute,
}

/// Where a payment by card stands.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "payment::PaymentState")]
pub enum PaymentState {
    /// Wanted; the payment provider has not been asked.
    Created,
    /// The payment provider has been asked, and has not said what became of it.
    Processing,
    /// Done.
    Succeeded,
    /// Not done, and not going to be.
    Failed,
}

/// What the points of a series of usage stand for.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "usage::Granularity")]
pub enum Granularity {
    /// An hour of the account's local clock.
    Hour,
    /// A calendar day in the account's zone.
    Day,
    /// A calendar month in the account's zone.
    Month,
}

/// What of a licence is counted.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "crate::domain::license::LicenseType")]
pub enum LicenseType {
    /// Installations, whether or not their servers run.
    Install,
    /// Installations on servers that run: the attribute `running` is true.
    Instance,
    /// What the customer reports.
    Stub,
}

/// What became of a reported event.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageOutcome {
    /// It counts from now on.
    Accepted,
    /// It had counted before.
    Duplicate,
    /// It does not count.
    Rejected,
}
