//! Recorded events are taken back.

use crate::domain::ids::AccountId;

/// The most events that are taken back at once.
pub const VOIDED_AT_ONCE_MAX: usize = 1_000;

/// Events of an account that are to count no more.
#[derive(Debug, Clone)]
pub struct ToVoid {
    pub account: AccountId,
    /// Each once.
    pub events: Vec<String>,
    pub reason: String,
    /// Who takes them back.
    pub by: String,
}

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voided {
    /// How many count no more because of this.
    pub count: usize,
    /// The ids of which no event is, or was, to be taken back, in their order.
    pub unknown: Vec<String>,
}
