//! Offers of prepayments, and what became of them.

pub mod prepay_quotes;
pub mod prepayments;
