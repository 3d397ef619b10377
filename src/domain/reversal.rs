//! Reversals: what is taken back of a card's charge outside this server, by a dispute of its holder's, or by a refund that was
//! made in the provider's own pages. docs/adr/0019 has the reasons.

use rust_decimal::Decimal;

use super::codes::coded_enum;
use super::ids::{AccountId, PaymentId, TransactionId};
use super::money::{self, CurrencyCode, OutOfRange};

/// A provider, and its name for something that it has.
pub type ProviderReference = (String, String);

coded_enum! {
    /// What takes money back.
    ReversalKind {
        /// The card's holder disputes the charge.
        Dispute = "DISPUTE",
        /// It was given back in the provider's own pages.
        Refund = "REFUND",
    }
}

/// What a provider says of a reversal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReversalReport {
    /// The charge that it takes back from.
    pub payment: PaymentId,
    /// Who says it.
    pub provider: String,
    /// The provider's name for it.
    pub reference: String,
    pub kind: ReversalKind,
    pub currency: CurrencyCode,
    /// How much it is about.
    pub amount: Decimal,
    /// How it stands, in the provider's word.
    pub status: String,
    /// All that was ever withdrawn by it, and all of that which was given back again: both only grow. So of two reports the one
    /// that says more is the later one.
    pub withdrawn: Decimal,
    pub reinstated: Decimal,
    /// Whether something may still become of it.
    pub is_open: bool,
}

/// A reversal, and how much of it is booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    /// What its provider has said.
    pub told: ReversalReport,
    /// What is booked: taken, and not given back again.
    pub booked: Decimal,
    /// The part of that which is beyond what was left of the charge: twice given back.
    pub beyond: Decimal,
    /// The last movement that took money, and the last one that gave some back.
    pub taken_by: Option<TransactionId>,
    pub returned_by: Option<TransactionId>,
}

impl Reversal {
    /// One of which nothing is booked.
    pub fn new(told: ReversalReport) -> Self {
        Self { told, booked: Decimal::ZERO, beyond: Decimal::ZERO, taken_by: None, returned_by: None }
    }

    pub fn name(&self) -> ProviderReference {
        (self.told.provider.clone(), self.told.reference.clone())
    }

    pub fn account(&self) -> AccountId {
        self.told.payment.account()
    }

    /// The same with what is said of it now. What comes late takes nothing of what was said before.
    #[must_use]
    pub fn with(&self, report: &ReversalReport) -> Self {
        let told = &self.told;
        let is_later = (report.withdrawn, report.reinstated, !report.is_open)
            >= (told.withdrawn, told.reinstated, !told.is_open);
        let newest = if is_later { report } else { told };
        let told = ReversalReport {
            withdrawn: told.withdrawn.max(report.withdrawn),
            reinstated: told.reinstated.max(report.reinstated),
            is_open: told.is_open && report.is_open,
            payment: told.payment,
            ..newest.clone()
        };
        Self { told, ..self.clone() }
    }

    /// How much the provider holds now.
    pub fn outstanding(&self) -> Result<Decimal, OutOfRange> {
        Ok(money::subtract(self.told.withdrawn, self.told.reinstated)?.max(Decimal::ZERO))
    }
}
