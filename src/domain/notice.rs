//! Notices: what an account's owner should look at.

use chrono::{DateTime, Utc};

use super::codes::coded_enum;
use super::ids::NoticeId;

coded_enum! {
    /// What a notice is about.
    NoticeKind {
        LowBalance = "LOW_BALANCE",
        BillOverdue = "BILL_OVERDUE",
        OrderExpiring = "ORDER_EXPIRING",
        RenewalFailed = "RENEWAL_FAILED",
        AccountSuspended = "ACCOUNT_SUSPENDED",
        LimitReached = "LIMIT_REACHED",
        UsageRefused = "USAGE_REFUSED",
        UnpricedUsage = "UNPRICED_USAGE",
        UnratedUsage = "UNRATED_USAGE",
        PaymentFailed = "PAYMENT_FAILED",
        PrepaymentExpiring = "PREPAYMENT_EXPIRING",
        OrderSuspended = "ORDER_SUSPENDED",
        JobFailed = "JOB_FAILED",
        GaugeSilent = "GAUGE_SILENT",
        DepositUnused = "DEPOSIT_UNUSED",
        InvoiceHeldUp = "INVOICE_HELD_UP",
        BillVoided = "BILL_VOIDED",
        AccountClosed = "ACCOUNT_CLOSED",
        WritesFailing = "WRITES_FAILING",
        PaymentDisputed = "PAYMENT_DISPUTED",
        PaymentUnmatched = "PAYMENT_UNMATCHED",
        LedgerFault = "LEDGER_FAULT",
        ApprovalNeeded = "APPROVAL_NEEDED",
        ApprovalExpired = "APPROVAL_EXPIRED",
        RetentionFailed = "RETENTION_FAILED",
        AnchorFailed = "ANCHOR_FAILED",
    }
}

/// Something to look at, until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub id: NoticeId,
    pub kind: NoticeKind,
    pub message: String,
    /// The node id of what it is about.
    pub subject: Option<String>,
    pub at: DateTime<Utc>,
}
