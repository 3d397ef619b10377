//! Accounts by ranges of their numbers.

use crate::domain::ids::AccountId;
use crate::store::sql::statement::Statement;

/// The accounts of a range of numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub first: AccountId,
    pub last: AccountId,
}

impl Range {
    pub fn one(account: AccountId) -> Self {
        Self { first: account, last: account }
    }

    /// Goes on with ` BETWEEN first AND last`.
    pub(in crate::store) fn restrict<ST>(self, statement: Statement<ST>) -> Statement<ST> {
        statement.sql(" BETWEEN ").bigint(self.first.0).sql(" AND ").bigint(self.last.0)
    }
}
