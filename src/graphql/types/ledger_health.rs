use std::sync::Arc;

use async_graphql::{Object, SimpleObject};
use rust_decimal::Decimal;

use super::account::Account;
use crate::graphql::scalars::Exact;
use crate::store::repository::HealthReport;

/// What a check of ledgers found.
pub struct LedgerHealth(pub HealthReport);

/// Something about a ledger that must not be.
#[derive(SimpleObject)]
pub struct LedgerFault {
    /// Whose ledger it is.
    account: Account,
    /// What kind of fault: SEQUENCE, CHAIN, HASH, TIME, TRANSACTION, BALANCE, HEAD or LIMIT.
    kind: String,
    /// What is wrong, for people.
    message: String,
}

/// What a check of ledgers found: the numbering, the chain, the hashes, the transactions behind the entries, and the
/// balances.
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
