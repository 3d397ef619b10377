//! What a provider may set otherwise.

use std::sync::Arc;

use chrono::TimeDelta;

use super::approval::ApprovalPolicy;
use super::retention::BOOKS_KEPT_DEFAULT;

/// Settings that decide what is charged, given back or waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// A prepayment by card that is not bound to an app for so long is given back.
    pub unbound_refund_after: TimeDelta,
    /// From which amounts on one operator is not enough; None: he always is.
    pub approvals: Option<Arc<ApprovalPolicy>>,
    /// An account that is closed for longer may be erased: its books need not be kept any more.
    pub books_kept: TimeDelta,
}

impl Default for Policies {
    fn default() -> Self {
        Self { unbound_refund_after: TimeDelta::days(7), approvals: None, books_kept: BOOKS_KEPT_DEFAULT }
    }
}
