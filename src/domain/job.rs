//! What falls due by itself, and what became of it.

use super::codes::coded_enum;

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
pub struct JobOutcome {
    pub kind: JobKind,
    /// False where it could not do what it is for: a renewal without money.
    pub succeeded: bool,
}
