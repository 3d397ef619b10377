use std::sync::Arc;

use async_graphql::{ID, Object, SimpleObject};
use rust_decimal::Decimal;

use super::account::Account;
use crate::domain::ids::AccountId;
use crate::graphql::scalars::{Exact, Instant};
use crate::store::access::{HealthReport, LedgerStanding};

/// What a check of ledgers found.
pub struct LedgerHealth(pub HealthReport);

/// How far the check of all ledgers has come that servers make by and by.
#[derive(SimpleObject)]
pub struct LedgerRound {
    /// When this round began, or the last one.
    began_at: Option<Instant>,
    /// When the last whole round ended.
    ended_at: Option<Instant>,
    /// All accounts up to this one were looked at in this round; null between two rounds.
    checked_to: Option<ID>,
    /// How many faults are known.
    faults: i32,
}

/// Something about a ledger that must not be.
#[derive(SimpleObject)]
pub struct LedgerFault {
    /// Whose ledger it is.
    account: Account,
    /// What kind of fault. Of the ledger itself: SEQUENCE, CHAIN, HASH, TIME, TRANSACTION, BALANCE, HEAD, LIMIT, or CHECKPOINT where
    /// it is not what was looked at before, ANCHOR where it is not what was anchored (`ledgerAnchor`), or UNCHECKED where that could not be
    /// found out. Of the rows around it: SEAL of one that is not what the server wrote, UNREADABLE, and
    /// BILL, ORDER, REFUND, PAYMENT, KEY or NUMBER of one that does not say what was posted.
    kind: String,
    /// What is wrong, for people.
    message: String,
}

/// What a check of ledgers found: whether the entries are numbered, chained and hashed as they were posted and anchored, whether bills, orders,
/// payments and keys are what the server wrote, and say what was posted, and whether the balances add up. Servers look at all
/// ledgers by and by, too, and tell operators of what they find by notices LEDGER_FAULT.
#[Object]
impl LedgerHealth {
    /// Whether all that was checked is as it must be.
    async fn ok(&self) -> bool {
        self.0.faults.is_empty() && self.0.imbalance == Decimal::ZERO
    }

    /// How many accounts were checked.
    async fn accounts_checked(&self) -> i32 {
        self.0.accounts_checked
    }

    /// How many entries were checked.
    async fn entries_checked(&self) -> i32 {
        self.0.entries_checked
    }

    /// The sum over currencies of |debits − credits|: always zero.
    async fn imbalance(&self) -> Exact {
        Exact::number(self.0.imbalance)
    }

    /// For operators: how far the check has come that servers make by and by. Null for others.
    async fn round(&self) -> Option<LedgerRound> {
        let LedgerStanding { progress, faults } = self.0.standing.clone()?;
        let between = progress.checked_to == AccountId(0);
        Some(LedgerRound {
            began_at: progress.round_began_at.map(Instant),
            ended_at: progress.round_ended_at.map(Instant),
            checked_to: (!between).then(|| ID(progress.checked_to.to_string())),
            faults: i32::try_from(faults).unwrap_or(i32::MAX),
        })
    }

    /// What is wrong; of each account the first 20 faults.
    async fn faults(&self) -> Vec<LedgerFault> {
        let fault =
            |(account, fault): &(Arc<crate::domain::account::Account>, crate::domain::ledger::Fault)| {
                LedgerFault {
                    account: Account(Arc::clone(account)),
                    kind: fault.kind.to_owned(),
                    message: fault.message.clone(),
                }
            };
        self.0.faults.iter().map(fault).collect()
    }
}
