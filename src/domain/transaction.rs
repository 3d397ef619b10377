//! Transactions: movements of money between two ledgers.
//!
//! Double entry in the form of transfers: one debit ledger, one credit ledger and a positive amount, so that the
//! books balance by construction.

use std::fmt;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::codes::coded_enum;
use super::ids::{AccountId, BillId, OrderId, TransactionId};
use super::money::{self, CurrencyCode, Money};

coded_enum! {
    /// What a transaction was for.
    TransactionKind {
        Recharge = "RECHARGE",
        Checkout = "CHECKOUT",
        BillPayment = "BILL_PAYMENT",
        Renewal = "RENEWAL",
        Burst = "BURST",
        Prepayment = "PREPAYMENT",
        Refund = "REFUND",
        Adjustment = "ADJUSTMENT",
        /// What was on a balance was paid out, outside.
        Payout = "PAYOUT",
    }
}

coded_enum! {
    /// Where a transaction stands.
    TransactionStatus {
        /// Waiting for a payment provider.
        Pending = "PENDING",
        Finished = "FINISHED",
        Failed = "FAILED",
        /// Given back whole.
        Refunded = "REFUNDED",
    }
}

coded_enum! {
    /// Which way a change of a balance goes.
    Direction {
        /// Out of the balance.
        Debit = "DEBIT",
        /// Into the balance.
        Credit = "CREDIT",
    }
}

/// A side of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ledger {
    /// The balance of the account that owns the transaction.
    Customer,
    /// Money that came in or went out through a provider.
    Cash(String),
    /// What was earned, by the kind of transaction.
    Revenue(String),
    Promotions,
    Rounding,
}

impl Ledger {
    /// What is earned by transactions of a kind.
    pub fn revenue(kind: TransactionKind) -> Self {
        Self::Revenue(kind.code().to_lowercase())
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("cash", provider)) => Some(Self::Cash(provider.to_owned())),
            Some(("revenue", kind)) => Some(Self::Revenue(kind.to_owned())),
            Some(_) => None,
            None => match text {
                "customer" => Some(Self::Customer),
                "promotions" => Some(Self::Promotions),
                "rounding" => Some(Self::Rounding),
                _ => None,
            },
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Customer => f.write_str("customer"),
            Self::Cash(provider) => write!(f, "cash:{provider}"),
            Self::Revenue(kind) => write!(f, "revenue:{kind}"),
            Self::Promotions => f.write_str("promotions"),
            Self::Rounding => f.write_str("rounding"),
        }
    }
}

/// What a transaction is made of: how much goes from where to where, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub kind: TransactionKind,
    pub money: Money,
    pub debit: Ledger,
    pub credit: Ledger,
    pub description: String,
    pub payment_method: String,
}

/// A movement of money, always positive; `debit` gives and `credit` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    pub id: TransactionId,
    pub kind: TransactionKind,
    pub status: TransactionStatus,
    pub currency: CurrencyCode,
    pub amount: Decimal,
    pub debit: Ledger,
    pub credit: Ledger,
    pub description: String,
    /// How it was paid: `balance`, a card's brand, a token.
    pub payment_method: String,
    pub order: Option<OrderId>,
    pub bill: Option<BillId>,
    pub refund_of: Option<TransactionId>,
    pub refunded_amount: Decimal,
    /// None where no balance was touched.
    pub balance_after: Option<Decimal>,
    pub region: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl Transaction {
    /// A movement that is done, and belongs to nothing else.
    pub fn finished(id: TransactionId, movement: Movement, at: DateTime<Utc>) -> Self {
        let Movement { kind, money, debit, credit, description, payment_method } = movement;
        Self {
            id,
            kind,
            status: TransactionStatus::Finished,
            currency: money.currency,
            amount: money.amount,
            debit,
            credit,
            description,
            payment_method,
            order: None,
            bill: None,
            refund_of: None,
            refunded_amount: Decimal::ZERO,
            balance_after: None,
            region: None,
            created_at: at,
        }
    }

    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    pub fn direction(&self) -> Direction {
        if self.credit == Ledger::Customer { Direction::Credit } else { Direction::Debit }
    }

    /// The amount as it is shown: negative only for an adjustment that took money away.
    pub fn signed_amount(&self) -> Decimal {
        match (self.kind, self.direction()) {
            (TransactionKind::Adjustment, Direction::Debit) => money::negate(self.amount),
            _ => self.amount,
        }
    }

    /// Whether it changes the account's balance.
    pub fn touches_balance(&self) -> bool {
        self.debit == Ledger::Customer || self.credit == Ledger::Customer
    }
}
