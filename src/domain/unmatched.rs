//! What a payment provider and this server do not say alike: people have to look at it.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::codes::coded_enum;
use super::ids::{AccountId, PaymentId};
use super::money::CurrencyCode;
use super::reversal::ReversalKind;

coded_enum! {
    /// What a provider has.
    OutsideKind {
        Charge = "CHARGE",
        Refund = "REFUND",
        Dispute = "DISPUTE",
    }
}

impl From<ReversalKind> for OutsideKind {
    fn from(kind: ReversalKind) -> Self {
        match kind {
            ReversalKind::Dispute => Self::Dispute,
            ReversalKind::Refund => Self::Refund,
        }
    }
}

/// Something at a provider that bears an id of ours and is not known here, or otherwise there and here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    pub provider: String,
    /// The provider's name for it.
    pub reference: String,
    pub kind: OutsideKind,
    /// The id of ours that it, or the charge that it takes back from, bears.
    pub payment: PaymentId,
    /// Whose that is, if the account is known here.
    pub account: Option<AccountId>,
    pub currency: CurrencyCode,
    pub amount: Decimal,
    /// How it stands, in the provider's word.
    pub status: String,
    /// What is not alike.
    pub why: String,
    pub seen_at: DateTime<Utc>,
}
