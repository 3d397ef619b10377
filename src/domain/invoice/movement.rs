use rust_decimal::Decimal;

use crate::domain::ids::{BillId, PrepaymentId};
use crate::domain::money::{self, CurrencyCode};
use crate::domain::transaction::{Direction, TransactionKind, TransactionStatus};

/// A movement of money within a month, with what an invoice says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub kind: TransactionKind,
    pub status: TransactionStatus,
    pub currency: CurrencyCode,
    /// Positive.
    pub amount: Decimal,
    /// Which way it changed the balance; DEBIT where it touched none.
    pub direction: Direction,
    pub description: String,
    pub bill: Option<BillId>,
    /// Of a refund: what it gives back from.
    pub original: Option<Original>,
    /// What was prepaid by it, or by what it gives back from.
    pub prepaid: Option<Prepaid>,
    /// What one of the currency was worth in US dollars when it was paid; of what takes something back, when that was paid.
    /// None: nobody has said.
    pub rate: Option<Decimal>,
}

/// What a refund gives back from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    pub kind: TransactionKind,
    pub description: String,
}

/// A prepayment, as an invoice shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepaid {
    pub id: PrepaymentId,
    pub amount: Decimal,
    /// What it cost in US dollars when it was offered.
    pub usd: Decimal,
    pub icon_url: Option<String>,
    pub project: Option<String>,
}

/// What was charged for burst of a resource in a month while one rate held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurstPart {
    /// What the resource is called.
    pub resource: String,
    pub currency: CurrencyCode,
    pub amount: Decimal,
    pub rate: Option<Decimal>,
}

impl Movement {
    /// Whether money was paid, or given back, for something. Putting money on the balance, taking it off again and
    /// adjusting it pays for nothing.
    pub fn is_payment(&self) -> bool {
        match self.kind {
            TransactionKind::Prepayment
            | TransactionKind::Checkout
            | TransactionKind::BillPayment
            | TransactionKind::Renewal => true,
            TransactionKind::Refund => {
                self.original.as_ref().is_some_and(|original| original.kind != TransactionKind::Recharge)
            }
            TransactionKind::Burst
            | TransactionKind::Recharge
            | TransactionKind::Adjustment
            | TransactionKind::Payout => false,
        }
    }

    /// Whether it has happened for good; what was given back later has a movement of its own.
    pub fn has_happened(&self) -> bool {
        matches!(self.status, TransactionStatus::Finished | TransactionStatus::Refunded)
    }

    /// Whether it may still happen.
    pub fn is_under_way(&self) -> bool {
        self.status == TransactionStatus::Pending
    }

    /// What was paid: negative where money was given back.
    pub fn paid(&self) -> Decimal {
        let gives_back = self.kind == TransactionKind::Refund || self.direction == Direction::Credit;
        if gives_back { money::negate(self.amount) } else { self.amount }
    }

    /// What the item is called.
    pub fn title(&self) -> String {
        let what = match &self.original {
            Some(original) => &original.description,
            None => &self.description,
        };
        let project = self.prepaid.as_ref().and_then(|prepaid| prepaid.project.as_deref());
        let what = project.map_or_else(|| what.clone(), |project| format!("{project}: {what}"));
        match self.kind {
            TransactionKind::Refund => format!("Refund of {what} ({})", self.description),
            TransactionKind::Renewal => format!("Renewal of {what}"),
            _ => what,
        }
    }
}
