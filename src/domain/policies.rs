//! What a provider may set otherwise.

use chrono::TimeDelta;

/// Settings that decide what is charged, given back or waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policies {
    /// A prepayment by card that is not bound to an app for so long is given back.
    pub unbound_refund_after: TimeDelta,
}

impl Default for Policies {
    fn default() -> Self {
        Self { unbound_refund_after: TimeDelta::days(7) }
    }
}
